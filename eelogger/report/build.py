"""Put a report together: everything that is shown of a period, and what bears on its figures, as one value."""

import os
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ..errors import NothingToShow
from ..measure.clock_offset import Offset
from ..measure.coverage import NO_RECORD, UNKNOWN, Coverage
from ..measure.seconds import micros, seconds3
from ..model import Gap, Group
from ..storage.formats import parse_pairs, parse_time
from ..storage.line_blocks import Skipped, text_lines
from ..storage.paths import LogPaths, day_of
from ..storage.state import read_state
from ..storage.streamlog import read_gaps
from ..views.figures import NO_BRIDGE, Figures, Row, rank, summed
from ..views.sentences import SUSPECT, camera_labels, gaps_text, group_name, headlines, is_shown
from ..views.text import count, milliseconds, moment, printable, share
from .query import FOREVER_US, Query
from .read import Cell, OnEvent, Progress, Reading, sentences

NOT_RUNNING: Final = "not-running"
_ALIVE_US: Final = 30_000_000  # `.state` of an idle logger is up to 10 s old: a younger one may be of a running logger
_LINE_US: Final = 150_000_000  # a health line speaks of the minute before it; a busy machine may write it late
_KEYS: Final[Sequence[str]] = ("clock_offset_s", "clock_bound_s", "rtt_s", "rtt_max_s", "lag_p99_s", "lag_max_s")


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
        self.from_us, self.to_us, last_us = period(query, reading.first_us, reading.last_us, now_us)
        gaps = gaps_in(self.folders, self.from_us, self.to_us)
        health = read_health(self.folders, self.from_us, self.to_us)
        if self.to_us > last_us:
            gaps.append(Gap("gap", last_us, self.to_us, NOT_RUNNING))
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
        self.conditions = dict(conditions(self.total.figures, health, self.gaps, self.cameras))

    def _ranked(self, cells: list[Cell]) -> dict[str, list[Row]]:
        cameras, coverage = self.cameras, Coverage(self.from_us)
        for gap in self.gaps:
            coverage.restore(gap)
        share_of = coverage.shares(self.from_us, self.to_us)
        is_known = not any(gap.kind == UNKNOWN for gap in self.gaps)
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
        names = {"account": {"": "All cameras"}, "camera": labels, "cell": labels}
        names["bridge"] = {bridge: bridge or NO_BRIDGE for bridge in bridges}
        rows = defaultdict[str, list[Row]](list)
        for (kind, of, group), tallies in found.items():
            over = [of] if kind in ("camera", "cell") else bridges[of] if kind == "bridge" else cameras
            figures = summed(tallies)
            figures.observed = sum(map(share_of, over)) / len(over) if is_known else None
            name = names[kind][of] if kind in names else group_name("" if group is None else group, self.query.names)
            rows[kind].append(Row(of, name, figures, cameras[of].bridge if of in cameras else of, group))
        return {kind: sorted(of_kind, key=rank) for kind, of_kind in rows.items()}


def _nothing(query: Query, reading: Reading) -> NothingToShow:
    try:
        entries = os.listdir(query.log_dir)
    except OSError as error:
        hint = "--log-dir says where the logs are"
        return NothingToShow(f"{query.log_dir} cannot be read: {error.strerror}", hint)
    outside, in_all = count(reading.outside, "event"), count(len(entries), "entry", "entries")
    found = [count(reading.files, "delay log"), *sentences(reading.skipped)]
    found.append(f"{outside} outside the period" if reading.files else f"{in_all} in all")
    hint = "look at --log-dir, --since, --until and the patterns"
    return NothingToShow(f"no event to report in {query.log_dir}: found {', '.join(found)}", hint)


def first_observed_us(paths: LogPaths) -> int | None:
    """Since when the log directory has anything to say: its first observation, or the oldest day that is kept."""
    state = read_state(paths)
    return max(state.since_us, min(map(parse_time, [*paths.days(Skipped())[:1], state.day]))) if state else None


def period(query: Query, first_us: int, last_us: int, now_us: int) -> tuple[int, int, int]:
    """Beginning and end of the report, and its last moment on record."""
    paths, last_us = LogPaths(query.log_dir), last_us + 1  # the event itself is within the period
    if state := read_state(paths):
        first_us = min(first_us, first_observed_us(paths) or first_us)
        is_running = not state.clean and 0 <= now_us - state.alive_us < _ALIVE_US
        last_us = max(last_us, now_us if is_running else min(now_us, state.alive_us))
    from_us = max(query.since_us, first_us)
    is_asked = (query.since_us, query.until_us) != (0, FOREVER_US)
    to_us = max(from_us, min(query.until_us, max(now_us, last_us)) if is_asked else last_us)
    return from_us, to_us, min(last_us, to_us)


def gaps_in(where: Sequence[LogPaths], from_us: int, to_us: int) -> list[Gap]:
    """The gaps that touch a period, by their beginning; all of it is unknown where no run left a record."""
    if not any(next(text_lines(path), "") for paths in where for path in (paths.state, paths.gaps, paths.health)):
        return [Gap(UNKNOWN, from_us, to_us, NO_RECORD)]
    found = (gap for paths in where for gap in read_gaps(paths) if gap.to_us >= from_us and gap.from_us < to_us)
    return sorted(found, key=lambda gap: (gap.from_us, gap.to_us, gap.camera_id))


def read_health(where: Iterable[LogPaths], from_us: int, to_us: int) -> list[dict[str, int]]:
    """The health lines that speak of a period: µs by `_KEYS`, as far as they were known."""
    found = []
    for pairs in (parse_pairs(line) for paths in where for line in text_lines(paths.health)):
        with suppress(KeyError, ValueError):
            if from_us <= parse_time(pairs["time"]) <= to_us + _LINE_US:
                found.append({key: micros(pairs[key]) for key in _KEYS if key in pairs})
    return found


def conditions(
    total: Figures, minutes: Iterable[dict[str, int]], gaps: Sequence[Gap], cameras: Container[str]
) -> Iterator[tuple[str, str]]:
    """How far the figures of these `cameras` can be trusted: label and sentence; `minutes` are from `read_health`."""
    counts = f"early {total.early.n:,}, initial {total.initial:,}, undated {total.undated:,}"
    yield "events", f"measured {total.events:,}, {counts}"
    worst: dict[str, int] = {}
    for minute in minutes:
        worst |= {key: us for key, us in minute.items() if abs(us) >= abs(worst.get(key, 0))}
    if not worst:
        yield "health", "no health.log of this period: nothing is known of clock, network and own error"
    elif "clock_offset_s" in worst and "clock_bound_s" in worst:
        offset = Offset(worst["clock_offset_s"], worst["clock_bound_s"])
        off = f"cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s"
        yield "clock", f"where it was furthest off, {offset.sentence()}; {off}"
    else:
        yield "clock", "never compared with the cloud's"
    if "rtt_s" in worst:
        most = max(worst["rtt_s"], worst.get("rtt_max_s", 0))
        yield "network", f"round trip to the cloud at most {milliseconds(most)}"
    if "lag_p99_s" in worst and "lag_max_s" in worst:
        p99, most_lag = milliseconds(worst["lag_p99_s"]), milliseconds(worst["lag_max_s"])
        unseen = "no delay contains more of our own, unless the system stopped this process unseen"
        yield "own error", f"p99 of the worst minute {p99}, maximum {most_lag}; {unseen}"
    if total.observed is None:
        yield "observed", "unknown: nothing on record says when it was observed"
        return
    of_all = [gap for gap in gaps if is_shown(gap) and not gap.camera_id]
    text = f"{share(total.observed)} of the period; {gaps_text(of_all)}"
    if of_all:
        longest = max(of_all, key=lambda gap: gap.to_us - gap.from_us)
        text += f" from {moment(longest.from_us)} ({printable(longest.reason)})"
    if own := sum(gap.camera_id in cameras for gap in filter(is_shown, gaps)):
        text += f" (but for {count(own, 'gap of a single camera', 'gaps of single cameras')})"
    yield "observed", text
