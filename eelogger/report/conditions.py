"""Say what bears on the figures of a period: gaps, clock, network, own error."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from ..measure.clock_offset import Offset
from ..measure.coverage import NO_RECORD, UNKNOWN, is_missed
from ..measure.seconds import micros, seconds3
from ..model import Gap
from ..storage.formats import parse_gap_line, parse_pairs, parse_time
from ..storage.line_blocks import whole_lines
from ..storage.paths import LogPaths, day_start_us
from ..storage.state import read_state
from ..views.figures import Figures, Row
from ..views.number_format import count, milliseconds, moment, share, span
from ..views.sentences import SUSPECT, suspect
from ..views.tables import printable
from .lookup import plain_or_packed
from .query import Query

NOT_RUNNING: Final = "not-running"
_MINUTES: Final = 600
_SUSPECTS: Final = 10
_ALIVE_US: Final = 30_000_000  # `.state` is at most 10 s behind an idle logger; a younger end is no end
_LINE_US: Final = 150_000_000  # a health line speaks of the minute before it; a busy machine may write it late
_KEYS: Final = ("clock_offset_s", "clock_bound_s", "rtt_s", "rtt_max_s", "lag_p99_s", "lag_max_s")


class Minute(NamedTuple):
    """One line of `health.log`, by `_KEYS`; None is what was not known."""

    time_us: int
    offset_us: int | None
    bound_us: int | None
    rtt_us: int | None
    rtt_max_us: int | None
    lag_p99_us: int | None
    lag_max_us: int | None


def first_observed_us(paths: LogPaths) -> int | None:
    """Since when the log directory has anything to say: its first observation, or the oldest day that is kept."""
    state = read_state(paths)
    return max(state.since_us, min(map(day_start_us, [*paths.days([])[:1], state.day]))) if state else None


def period(query: Query, first_us: int, last_us: int, now_us: int) -> tuple[int, int, int]:
    """Beginning and end of what is reported, and the last moment in it that is known to be observed.

    `first_us` and `last_us` are the arrivals of the first and last event.
    """
    paths, last_us = LogPaths(query.log_dir), last_us + 1  # the event itself is within the period
    if state := read_state(paths):
        first_us = min(first_us, first_observed_us(paths) or first_us)
        is_running = not state.clean and 0 <= now_us - state.alive_us < _ALIVE_US
        last_us = max(last_us, now_us if is_running else min(now_us, state.alive_us))
    from_us = max(query.from_us, first_us)
    is_asked = query.until_us is not None or query.since_us is not None
    to_us = max(from_us, min(query.to_us, max(now_us, last_us)) if is_asked else last_us)
    return from_us, to_us, min(last_us, to_us)


def gaps_in(where: Sequence[LogPaths], from_us: int, to_us: int) -> list[Gap]:
    """The gaps that touch a period, by their beginning; all of it is unknown where no run left a record."""
    if not any(plain_or_packed(p).exists() for paths in where for p in (paths.state, paths.gaps, paths.health)):
        return [Gap(UNKNOWN, from_us, to_us, NO_RECORD)]
    found = map(parse_gap_line, _lines(paths.gaps for paths in where))
    touching = (gap for gap in found if gap and gap.to_us >= from_us and gap.from_us < to_us)
    return sorted(touching, key=lambda gap: (gap.from_us, gap.to_us, gap.camera_id))


def read_minutes(where: Iterable[LogPaths], from_us: int, to_us: int) -> list[Minute]:
    """The health lines that speak of a period, in order of time."""
    minutes = map(_minute, _lines(paths.health for paths in where))
    found = (minute for minute in minutes if minute and from_us <= minute.time_us <= to_us + _LINE_US)
    return sorted(found, key=lambda minute: minute.time_us)


def minute_of(minutes: Sequence[Minute], moment_us: int) -> Minute | None:
    """The line of the minute in which a moment lies."""
    at = bisect_left(minutes, moment_us, key=lambda minute: minute.time_us)
    return minutes[at] if at < len(minutes) and minutes[at].time_us <= moment_us + _LINE_US else None


def thinned(minutes: Sequence[Minute], from_us: int, to_us: int) -> list[Minute]:
    """Few enough for a plot: where there are more, the worst of each stretch."""
    stretch_us = max(60_000_000, (to_us - from_us) // _MINUTES)
    return [_worst([*each]) for _, each in groupby(minutes, lambda minute: (minute.time_us - from_us) // stretch_us)]


def suspects(cameras: Iterable[Row], total: Row) -> Iterator[str]:
    """Why rows carry `?`, and how far the worst of them are cut off; nothing when none does."""
    found = [row for row in cameras if row.figures.suspect]
    if found or total.figures.suspect:
        yield SUSPECT
    yield from (f"{printable(row.name)}: {suspect(row.figures)}" for row in found[:_SUSPECTS])
    if len(found) > _SUSPECTS:
        yield f"… and {count(len(found) - _SUSPECTS, 'more camera')}"


def sentences(
    total: Figures, minutes: Sequence[Minute], gaps: Sequence[Gap], cameras: Container[str]
) -> Iterator[tuple[str, str]]:
    """How far the figures of these `cameras` can be trusted: label and sentence."""
    counts = f"early {total.early:,}, initial {total.initial:,}, undated {total.undated:,}"
    yield "events", f"measured {total.events:,}, {counts}"
    if minutes:
        yield from _of_health(_worst(minutes))
    else:
        yield "health", "no health.log of this period: nothing is known of clock, network and own error"
    yield "observed", _observed(total.observed, gaps, cameras)


def _of_health(worst: Minute) -> Iterator[tuple[str, str]]:
    _, offset_us, bound_us, rtt_us, rtt_max_us, p99_us, most_us = worst
    if offset_us is None or bound_us is None:
        yield "clock", "never compared with the cloud's"
    else:
        off = f"cloud − local {seconds3(offset_us)} s ± {seconds3(bound_us)} s"
        yield "clock", f"where it was furthest off, {Offset(offset_us, bound_us).sentence()}; {off}"
    if rtt_us is not None:
        yield "network", f"round trip to the cloud at most {milliseconds(max(rtt_us, rtt_max_us or 0))}"
    if p99_us is not None and most_us is not None:
        most = f"p99 of the worst minute {milliseconds(p99_us)}, maximum {milliseconds(most_us)}"
        yield "own error", f"{most}; no delay contains more of our own, unless the system stopped this process unseen"


def _observed(part: float | None, gaps: Sequence[Gap], cameras: Container[str]) -> str:
    if part is None:
        return "unknown: nothing on record says when it was observed"
    blind = [gap for gap in gaps if gap.kind == "gap" and gap.to_us > gap.from_us and is_missed(gap)]
    text = f"{share(part)} of the period; "
    if found := sorted((gap.to_us - gap.from_us, gap.from_us, gap.reason) for gap in blind if not gap.camera_id):
        whole_us, (most_us, from_us, reason) = sum(us for us, _, _ in found), found[-1]
        text += f"{count(len(found), 'gap')}, {span(whole_us)} in all, the longest {span(most_us)}"
        text += f" from {moment(from_us)} ({printable(reason)})"
    else:
        text += "no gap"
    own = sum(gap.camera_id in cameras for gap in blind)
    return f"{text} (but for {count(own, 'gap of a single camera', 'gaps of single cameras')})" if own else text


def _worst(minutes: Sequence[Minute]) -> Minute:
    """The worst of several minutes in each respect, at the time of the last one."""
    _, *columns = zip(*minutes, strict=True)
    return Minute(minutes[-1].time_us, *(max((v for v in c if v is not None), key=abs, default=None) for c in columns))


def _minute(line: str) -> Minute | None:
    pairs = parse_pairs(line)
    try:
        return Minute(parse_time(pairs["time"]), *(micros(pairs[key]) if key in pairs else None for key in _KEYS))
    except (KeyError, ValueError):
        return None


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        for block in whole_lines(plain_or_packed(path)):
            yield from block.decode("utf-8", "replace").split("\n")
