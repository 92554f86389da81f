"""Put a report together: everything that is shown of a period, as one value."""

import os
from collections import defaultdict
from dataclasses import replace

from ..errors import NothingToShow
from ..measure.coverage import UNKNOWN, Coverage
from ..model import Gap, Group
from ..storage.paths import day_of
from ..views.figures import NO_BRIDGE, Figures, Row, rank, summed
from ..views.number_format import count
from ..views.sentences import SUSPECT, camera_labels, group_name, headlines
from . import conditions
from .query import Query
from .read import Cell, OnEvent, Progress, Reading, sentences


class Report:
    """A report, read when it is made; `on_event` gets all its events. Raises `NothingToShow`.

    `rows` are ranked, by kind: account, bridge, camera, namespace, and cell, one camera's events of one group.
    """

    def __init__(self, query: Query, now_us: int, progress: Progress, on_event: OnEvent | None = None) -> None:
        reading = Reading(query, progress, on_event)
        if not any(reading.cells.values()):
            raise _nothing(query, reading)
        self.query, self.made_us, self.timeline = query, now_us, reading.timeline
        self.worst, self.skipped, self.folders = reading.worst, reading.skipped, reading.folders
        self.from_us, self.to_us, last_us = conditions.period(query, reading.first_us, reading.last_us, now_us)
        gaps = conditions.gaps_in(self.folders, self.from_us, self.to_us)
        health = conditions.read_health(self.folders, self.from_us, self.to_us)
        if self.to_us > last_us:
            gaps.append(Gap("gap", last_us, self.to_us, conditions.NOT_RUNNING))
        self.gaps = [replace(gap, camera_id=reading.label(gap.camera_id)) for gap in gaps]
        cells = [*filter(None, reading.cells.values())]
        wanted = map(reading.called, filter(query.wants_camera, reading.cameras.values()))
        self.cameras = {camera.id: camera for camera in (*(cell.camera for cell in cells), *wanted)}
        self.rows = self._ranked(cells)
        self.total = self.rows["account"][0]
        top = self.total.figures.max_event
        whose = self.cameras[top.camera_id].name or top.camera_id if top else ""
        is_dated = day_of(self.from_us) != day_of(self.to_us)
        self.headlines = headlines(self.rows["camera"], self.total, whose, dated=is_dated)
        suspects = sum(row.figures.suspect for row in self.rows["camera"])
        self.suspects = [f"{SUSPECT} Marked so: {count(suspects, 'camera')}."] if suspects else []
        self.conditions = dict(conditions.sentences(self.total.figures, health, self.gaps, self.cameras))

    def _ranked(self, cells: list[Cell]) -> dict[str, list[Row]]:
        cameras, coverage = self.cameras, Coverage(self.from_us)
        for gap in self.gaps:
            coverage.restore(gap)
        is_known, share = not any(gap.kind == UNKNOWN for gap in self.gaps), coverage.shares(self.from_us, self.to_us)
        bridges = defaultdict[str, set[str]](set)
        for camera in (*cameras.values(), *(cell.camera for cell in cells)):
            bridges[camera.bridge].add(camera.id)
        found: dict[tuple[str, str, Group | None], list[Figures]] = defaultdict(list)
        found |= {("bridge", bridge, None): [] for bridge in bridges}
        found |= {("camera", camera_id, None): [] for camera_id in cameras}
        for cell in cells:  # each kind holds each event once
            for key in (("account", ""), ("bridge", cell.camera.bridge), ("camera", cell.camera.id)):
                found[*key, None].append(cell.tally)
            for key in (("namespace", ""), ("cell", cell.camera.id)):
                found[*key, cell.group].append(cell.tally)
        labels = camera_labels(cameras.values())
        names = {"account": {"": "all cameras"}, "camera": labels, "cell": labels}
        names["bridge"] = {bridge: bridge or NO_BRIDGE for bridge in bridges}
        rows = defaultdict[str, list[Row]](list)
        for (kind, of, group), tallies in found.items():
            over = [of] if kind in ("camera", "cell") else bridges[of] if kind == "bridge" else cameras
            figures = summed(tallies)
            figures.observed = sum(map(share, over)) / len(over) if is_known else None
            name = names[kind][of] if kind in names else group_name("" if group is None else group, self.query.names)
            rows[kind].append(Row(of, name, figures, cameras[of].bridge if of in cameras else of, group))
        return {kind: sorted(of_kind, key=rank) for kind, of_kind in rows.items()}


def _nothing(query: Query, reading: Reading) -> NothingToShow:
    try:
        entries = os.listdir(query.log_dir)
    except OSError as error:
        hint = "--log-dir says where the logs are"
        return NothingToShow(f"{query.log_dir} cannot be read: {error.strerror}", hint)
    found = [count(reading.files, "delay log"), *sentences(reading.skipped)]
    if reading.files:
        found.append(f"{count(reading.outside, 'event')} outside the period")
    else:
        found.append(f"{count(len(entries), 'entry', 'entries')} in all")
    hint = "look at --log-dir, --since, --until and the patterns"
    return NothingToShow(f"no event to report in {query.log_dir}: found {', '.join(found)}", hint)
