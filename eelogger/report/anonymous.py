"""Names and ids replaced by labels, for a report that is shown to others.

Decides what gives somebody away: camera names and ids, bridge ids, paths, patterns, the JSON of events. Kept are
figures, times, namespaces and event uuids. Invariant: a camera has the same label everywhere in everything made of
one log directory, as long as its list of cameras stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..model import Camera, Gap
from .values import Logged, Report, Row, Worst


class Labels:
    """Labels by camera and bridge id, numbered in the order of the ids."""

    def __init__(self, cameras: Mapping[str, Camera]) -> None:
        self._cameras = {camera_id: f"camera-{i}" for i, camera_id in enumerate(sorted(cameras), 1)}
        bridges = sorted({camera.bridge for camera in cameras.values()} - {""})
        self._bridges = {bridge: f"bridge-{i}" for i, bridge in enumerate(bridges, 1)}

    def camera(self, camera: Camera) -> Camera:
        """The camera with labels for all it is called."""
        label = self._camera(camera.id)
        return Camera(label, label, self._bridge(camera.bridge))

    def logged(self, event: Logged) -> Logged:
        """The event with labels for its camera, also inside an identity made of the camera's id."""
        verdict, camera = event
        label = self._camera(camera.id)
        identity = verdict.identity.replace(camera.id, label)
        return Logged(verdict._replace(camera_id=label, identity=identity, data=None), self.camera(camera))

    def report(self, report: Report) -> Report:
        """The report with labels everywhere."""
        return replace(
            report,
            source="",
            filters="some patterns" if report.filters else "",
            total=self._row(report.total),
            bridges=[replace(self._row(row), label=self._bridge(row.bridge) or row.label) for row in report.bridges],
            cameras=[self._row(row) for row in report.cameras],
            namespaces=[self._row(row) for row in report.namespaces],
            cells=[self._row(row) for row in report.cells],
            worst=[Worst(self.logged(each.logged), each.minute, "") for each in report.worst],
            gaps=[self._gap(gap) for gap in report.gaps],
            anonymised=True,
        )

    def _row(self, row: Row) -> Row:
        camera = row.camera and self.camera(row.camera)
        return replace(
            row,
            label=camera.id if camera else row.label,
            camera=camera,
            bridge=self._bridge(row.bridge),
            worst=row.worst and self.logged(row.worst),
            clean=row.clean and self.logged(row.clean),
        )

    def _gap(self, gap: Gap) -> Gap:
        return replace(gap, camera_id=self._camera(gap.camera_id)) if gap.camera_id else gap

    def _camera(self, camera_id: str) -> str:
        return self._cameras.setdefault(camera_id, f"camera-{len(self._cameras) + 1}")

    def _bridge(self, bridge: str) -> str:
        return self._bridges.setdefault(bridge, f"bridge-{len(self._bridges) + 1}") if bridge else ""
