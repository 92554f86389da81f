"""Put a report together: everything that is shown of a period, as one value."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import NothingToShow
from ..measure.coverage import UNKNOWN, Coverage
from ..model import Camera, Gap, Group
from ..storage.paths import LogPaths, day_of
from ..views.figures import NO_BRIDGE, Figures, Row, Table, Tally, rank
from ..views.number_format import count, moment, span
from ..views.sentences import camera_labels, group_name
from . import conditions
from .cells import Event, OnEvents, Timeline
from .conditions import Minute
from .lookup import StreamLines
from .query import Query
from .read import Progress, Reading, folders, sentences


class Worst(NamedTuple):
    """A single bad event, the health line of its minute, and its JSON ("" when that cannot be found)."""

    event: Event
    minute: Minute | None
    body: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown: ranked rows by kind (account, bridge, camera, namespace, cell) and what goes with them.

    A cell is one camera's events of one group. `suspects` says why rows carry `?`, `conditions` how far the figures
    can be trusted.
    """

    query: Query
    made_us: int
    from_us: int
    to_us: int
    rows: dict[str, list[Row]]
    cameras: dict[str, Camera]
    worst: list[Worst]
    timeline: Timeline
    gaps: list[Gap]
    minutes: list[Minute]
    skipped: dict[str, int]
    headlines: list[str]
    suspects: list[str]
    conditions: dict[str, str]

    @property
    def total(self) -> Row:
        """All cameras together."""
        return self.rows["account"][0]

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The tables for people: a single bridge tells nothing that the total does not."""
        names = ("bridge", "camera", "namespace")
        return {name: self.rows[name] for name in names if name != "bridge" or len(self.rows[name]) > 1}

    @property
    def period(self) -> str:
        """From when to when, with which patterns, from where."""
        text = f"{moment(self.from_us)} to {moment(self.to_us)} ({span(self.to_us - self.from_us)})"
        text += f"; only {patterns}" if (patterns := self.query.patterns()) else ""
        return f"{text}, {source}" if (source := self.query.source()) else text


def build(query: Query, now_us: int, progress: Progress, on_events: OnEvents | None = None) -> Report:
    """The report of a log directory; `on_events` gets all events in it. Raises `NothingToShow`."""
    reading = Reading(query, progress, on_events)
    reading.read()
    counted, labels = reading.cells, reading.cells.labels
    if not any(counted):
        raise _nothing(query, reading)
    where = folders(LogPaths(query.log_dir), query, [])
    from_us, to_us, last_us = conditions.period(query, counted.first_us, counted.last_us, now_us)
    gaps = conditions.gaps_in(where, from_us, to_us)
    if to_us > last_us:
        gaps.append(Gap("gap", last_us, to_us, conditions.NOT_RUNNING))
    if labels:
        gaps = [labels.gap(gap) for gap in gaps]
    minutes, streams = conditions.read_minutes(where, from_us, to_us), StreamLines(where)
    rows, cameras = _rows(reading, query, gaps, (from_us, to_us))
    total, dated = rows["account"][0], day_of(from_us) != day_of(to_us)
    top = total.figures.max_event
    whose = cameras[top.camera_id].name or top.camera_id if top else ""
    return Report(
        query=query,
        made_us=now_us,
        from_us=from_us,
        to_us=to_us,
        rows=rows,
        cameras=cameras,
        worst=[
            Worst(event, conditions.minute_of(minutes, event.row.arrived_us), "" if labels else _body(streams, event))
            for event in counted.worst()
        ],
        timeline=counted.timeline,
        gaps=gaps,
        minutes=conditions.thinned(minutes, from_us, to_us),
        skipped=reading.skipped(),
        headlines=Table(rows["camera"]).headlines(total, whose, dated=dated),
        suspects=[*conditions.suspects(rows["camera"], total)],
        conditions=dict(conditions.sentences(total.figures, minutes, gaps, cameras)),
    )


def _rows(
    reading: Reading, query: Query, gaps: list[Gap], period: tuple[int, int]
) -> tuple[dict[str, list[Row]], dict[str, Camera]]:
    """The rows of each kind, ranked; each kind holds each event once. Then the cameras by id."""
    coverage = Coverage(period[0])
    for gap in gaps:
        coverage.restore(gap)
    is_known, share = not any(gap.kind == UNKNOWN for gap in gaps), coverage.shares(*period)
    cells = [*reading.cells]
    wanted = map(reading.cells.labelled, filter(query.wants_camera, reading.cameras.values()))
    cameras = {camera.id: camera for camera in (*(cell.camera for cell in cells), *wanted)}
    labels = camera_labels(cameras.values())
    bridges: dict[str, set[str]] = {}
    for camera in (*cameras.values(), *(cell.camera for cell in cells)):
        bridges.setdefault(camera.bridge, set()).add(camera.id)

    def row(kind: str, of: str, group: Group | None, tallies: list[Tally]) -> Row:
        part = sum(map(share, bridges[of])) / len(bridges[of]) if kind == "bridge" else share(of)
        name = labels[of] if kind in ("camera", "cell") else of or NO_BRIDGE if kind == "bridge" else "all cameras"
        name = group_name(group, query.names) if kind == "namespace" and group is not None else name
        bridge = cameras[of].bridge if of in cameras else of
        return Row(kind, of, name, bridge, group, Figures(tallies, part if is_known else None))

    found: dict[tuple[str, str, Group | None], list[Tally]] = {("bridge", bridge, None): [] for bridge in bridges}
    found |= {("camera", camera_id, None): [] for camera_id in cameras}
    for cell in cells:
        camera, group = cell.camera, cell.group
        for key in (
            ("account", "", None), ("bridge", camera.bridge, None), ("camera", camera.id, None),
            ("namespace", "", group), ("cell", camera.id, group),
        ):  # fmt: skip
            found.setdefault(key, []).append(cell.tally)
    rows: dict[str, list[Row]] = {}
    for key, tallies in found.items():
        rows.setdefault(key[0], []).append(row(*key, tallies))
    return {kind: sorted(of_kind, key=rank) for kind, of_kind in rows.items()}, cameras


def _body(streams: StreamLines, event: Event) -> str:
    at_us, identity = event.row.arrived_us, json.dumps(event.row.identity).encode()
    lines = streams.lines(event.cell.id, at_us, at_us + 1)
    return max(lines, key=lambda line: identity in line, default=b"").partition(b" -- ")[2].decode("utf-8", "replace")


def _nothing(query: Query, reading: Reading) -> NothingToShow:
    hint = "--log-dir says where the logs are"
    try:
        entries = os.listdir(query.log_dir)
    except OSError as error:
        return NothingToShow(f"{query.log_dir} cannot be read: {error.strerror}", hint)
    found = [count(len(reading.files), "delay log"), *sentences(reading.skipped())]
    if reading.files:
        found.append(f"{count(reading.cells.outside, 'event')} outside the period")
        hint = "look at --since, --until and the patterns"
    else:
        found.append(f"{count(len(entries), 'entry', 'entries')} in all")
    return NothingToShow(f"no event to report in {query.log_dir}: found {', '.join(found)}", hint)
