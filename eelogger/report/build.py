"""Put a report together: everything that is shown of a period, as one value."""

import os
from collections import defaultdict
from dataclasses import dataclass, replace

from ..errors import NothingToShow
from ..measure.coverage import UNKNOWN, Coverage
from ..model import Camera, Gap, Group
from ..storage.paths import day_of
from ..views.figures import NO_BRIDGE, Figures, Row, Tally, headlines, rank, sum_up
from ..views.number_format import count
from ..views.sentences import SUSPECT, camera_labels, group_name
from . import conditions
from .plots import Timeline
from .query import Query
from .read import Event, OnEvent, Progress, Reading, sentences


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
    worst: list[Event]
    timeline: Timeline
    gaps: list[Gap]
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


def build(query: Query, now_us: int, progress: Progress, on_event: OnEvent | None = None) -> Report:
    """The report of a log directory; `on_event` gets all events in it. Raises `NothingToShow`."""
    reading = Reading(query, progress, on_event)
    if not any(reading.cells.values()):
        raise _nothing(query, reading)
    where = reading.folders
    from_us, to_us, last_us = conditions.period(query, reading.first_us, reading.last_us, now_us)
    gaps, health = conditions.gaps_in(where, from_us, to_us), conditions.read_health(where, from_us, to_us)
    if to_us > last_us:
        gaps.append(Gap("gap", last_us, to_us, conditions.NOT_RUNNING))
    gaps = [replace(gap, camera_id=reading.label(gap.camera_id)) for gap in gaps]
    rows, cameras = _rows(reading, query, gaps, (from_us, to_us))
    total, top = rows["account"][0], rows["account"][0].figures.max_event
    whose = cameras[top.camera_id].name or top.camera_id if top else ""
    suspects = sum(row.figures.suspect for row in rows["camera"])
    return Report(
        query=query,
        made_us=now_us,
        from_us=from_us,
        to_us=to_us,
        rows=rows,
        cameras=cameras,
        worst=reading.worst,
        timeline=reading.timeline,
        gaps=gaps,
        skipped=reading.skipped,
        headlines=headlines(rows["camera"], total, whose, dated=day_of(from_us) != day_of(to_us)),
        suspects=[f"{SUSPECT} Marked so: {count(suspects, 'camera')}."] if suspects or total.figures.suspect else [],
        conditions=dict(conditions.sentences(total.figures, health, gaps, cameras)),
    )


def _rows(
    reading: Reading, query: Query, gaps: list[Gap], period: tuple[int, int]
) -> tuple[dict[str, list[Row]], dict[str, Camera]]:
    # Each kind holds each event once.
    coverage = Coverage(period[0])
    for gap in gaps:
        coverage.restore(gap)
    is_known, share = not any(gap.kind == UNKNOWN for gap in gaps), coverage.shares(*period)
    cells = [*filter(None, reading.cells.values())]
    wanted = map(reading.called, filter(query.wants_camera, reading.cameras.values()))
    cameras = {camera.id: camera for camera in (*(cell.camera for cell in cells), *wanted)}
    labels = camera_labels(cameras.values())
    bridges: dict[str, set[str]] = {}
    for camera in (*cameras.values(), *(cell.camera for cell in cells)):
        bridges.setdefault(camera.bridge, set()).add(camera.id)
    names = {"account": {"": "all cameras"}, "camera": labels, "cell": labels}
    names["bridge"] = {bridge: bridge or NO_BRIDGE for bridge in bridges}
    found: dict[tuple[str, str, Group | None], list[Tally]] = defaultdict(list)
    found |= {("bridge", bridge, None): [] for bridge in bridges}
    found |= {("camera", camera_id, None): [] for camera_id in cameras}
    for cell in cells:
        for kind, of in {"account": "", "bridge": cell.camera.bridge, "camera": cell.camera.id}.items():
            found[kind, of, None].append(cell.tally)
        for kind, of in {"namespace": "", "cell": cell.camera.id}.items():
            found[kind, of, cell.group].append(cell.tally)
    rows: dict[str, list[Row]] = {}
    for (kind, of, group), tallies in found.items():
        over = [of] if kind in ("camera", "cell") else bridges[of] if kind == "bridge" else cameras
        figures = Figures(sum_up(tallies), sum(map(share, over)) / len(over) if is_known else None)
        name = names[kind][of] if kind in names else group_name("" if group is None else group, query.names)
        row = Row(of, name, figures, cameras[of].bridge if of in cameras else of, group)
        rows.setdefault(kind, []).append(row)
    return {kind: sorted(of_kind, key=rank) for kind, of_kind in rows.items()}, cameras


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
