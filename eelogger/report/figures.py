"""From cells to rows: the same events by camera and namespace, by camera, by bridge, by namespace, and all together.

Decides how rows are called and ordered. Invariant: every table holds each event of the report exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from ..figures.histogram import P95, Histogram
from ..model import Camera
from ..text import words
from ..views.bridges import NO_BRIDGE
from .cells import Cell
from .rows import Fields, logged
from .values import Logged, Row


class Tables:
    """Rows drawn from cells; `observed("")` is the account's share, `observed(id)` a camera's."""

    def __init__(
        self,
        cells: list[Cell],
        cameras: Mapping[str, Camera],
        observed: Callable[[str], float | None],
        names: Mapping[int, str],
    ) -> None:
        self._cells = cells
        self._observed = observed
        self._names = names
        latest = {cell.camera.id: cell.camera for cell in sorted(cells, key=lambda cell: cell.latest_us)}
        self._cameras = {**cameras, **latest}
        self._labels = words.camera_labels(self._cameras.values())

    def total(self) -> Row:
        """All events."""
        return _row("all cameras", self._cells, self._observed(""))

    def by_camera(self) -> list[Row]:
        """One row a camera, those without events included."""
        groups = _grouped(self._cells, lambda cell: cell.camera.id)
        return _ranked(self._camera_row(camera_id, groups.get(camera_id, [])) for camera_id in self._cameras)

    def by_cell(self) -> list[Row]:
        """One row for each camera and namespace that have events."""
        groups = _grouped(self._cells, lambda cell: (cell.camera.id, cell.group))
        return _ranked(self._camera_row(camera_id, cells, group=group) for (camera_id, group), cells in groups.items())

    def by_bridge(self) -> list[Row]:
        """One row a bridge; its observed share is the mean of its cameras'."""
        groups = _grouped(self._cells, lambda cell: cell.camera.bridge)
        rows = []
        for bridge, cells in groups.items():
            cameras = {cell.camera.id for cell in cells}
            shares = [share for share in map(self._observed, cameras) if share is not None]
            observed = sum(shares) / len(shares) if shares else None
            rows.append(_row(bridge or NO_BRIDGE, cells, observed, bridge=bridge))
        return _ranked(rows)

    def by_namespace(self) -> list[Row]:
        """One row a namespace, or four-CC."""
        groups = _grouped(self._cells, lambda cell: cell.group)
        return _ranked(
            _row(words.group_name(group, self._names), cells, self._observed(""), group=group)
            for group, cells in groups.items()
        )

    def _camera_row(self, camera_id: str, cells: list[Cell], **fields: Any) -> Row:
        camera = self._cameras[camera_id]
        observed = self._observed(camera_id)
        return _row(self._labels[camera_id], cells, observed, camera=camera, bridge=camera.bridge, **fields)


def _grouped(cells: Iterable[Cell], key: Callable[[Cell], Hashable]) -> dict[Any, list[Cell]]:
    groups: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _row(label: str, cells: list[Cell], observed: float | None, **fields: Any) -> Row:
    delays, early = Histogram(), Histogram()
    delays.merge(*(cell.delays for cell in cells))
    early.merge(*(cell.early for cell in cells))
    initial, undated = sum(cell.initial for cell in cells), sum(cell.undated for cell in cells)
    worst, clean = _worst(cell.worst for cell in cells), _worst(cell.clean for cell in cells)
    return Row(label, delays, early, initial, undated, observed, worst, clean, **fields)


def _worst(lines: Iterable[Fields]) -> Logged | None:
    found = [logged(line) for line in lines if line[0]]
    return max(found, key=lambda event: (event.verdict.delay_us or 0, -event.verdict.arrived_us), default=None)


def _ranked(rows: Iterable[Row]) -> list[Row]:
    def rank(row: Row) -> tuple[bool, int, str, str]:
        p95_us = row.delays.quantile_us(P95) if row.n else -1
        return row.n < words.FEW, -p95_us, row.label, row.camera.id if row.camera else ""

    return sorted(rows, key=rank)
