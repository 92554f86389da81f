"""Gaps and health of a period: when the logger was blind, and how good its clock, network and own timing were.

Decides what "observed" means for any period; the lines are read by `wayback` and `logfmt`. Invariant: time that
nobody knows to have been observed counts as not observed, nothing before the first day that is kept counts at all, and
where there is no record of it no share is given.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ..figures.observation import NO_RECORD, UNKNOWN, covered_us, is_missed
from ..logdir.blocks import whole_lines
from ..logdir.state import read_state
from ..model import Gap
from ..past.wayback import read_gaps
from ..paths import LogPaths
from ..text.logfmt import parse
from ..text.times import micros, parse_time
from .values import Minute

NOT_RUNNING: Final = "not-running"
MOST_MINUTES: Final = 600
_ALIVE_US: Final = 30_000_000
"""`.state` is at most 10 s behind an idle logger; a younger end is no end."""
_LINE_US: Final = 150_000_000
"""A health line speaks of the minute before it; a busy machine may write it late."""


def gaps_in(where: Sequence[LogPaths], from_us: int, to_us: int) -> list[Gap]:
    """The gaps that touch a period, in order of their beginning; all of it is unknown where no run left a record."""
    if not any(path.exists() for paths in where for path in (paths.state, paths.gaps, paths.health)):
        return [Gap(UNKNOWN, from_us, to_us, NO_RECORD)]
    found = (gap for paths in where for gap in read_gaps(paths) if gap.to_us >= from_us and gap.from_us < to_us)
    return sorted(found, key=lambda gap: (gap.from_us, gap.to_us, gap.camera_id))


def first_observed_us(paths: LogPaths) -> int | None:
    """Since when the log directory has anything to say: its beginning, or that of the oldest day that is kept."""
    state = read_state(paths)
    days = paths.days(unreadable=[])
    oldest_us = parse_time(days[0]) if days else None
    if state is None:
        return None
    kept_us = parse_time(state.day) if oldest_us is None else oldest_us
    return max(state.since_us, min(kept_us, parse_time(state.day)))


def last_observed_us(paths: LogPaths, now_us: int) -> int | None:
    """The last moment known observing, `now_us` while the logger runs; None without `.state`."""
    state = read_state(paths)
    if state is None:
        return None
    return now_us if not state.clean and 0 <= now_us - state.alive_us < _ALIVE_US else min(now_us, state.alive_us)


def observed_share(gaps: Sequence[Gap], from_us: int, to_us: int) -> Callable[[str], float | None]:
    """The share of a period in which the account ("") or a camera was observed: 0 … 1; None where that is unknown."""
    if any(gap.kind == UNKNOWN for gap in gaps):
        return lambda camera_id: None
    blind = [gap for gap in gaps if gap.kind == "gap" and is_missed(gap)]
    everyones = [(gap.from_us, gap.to_us) for gap in blind if not gap.camera_id]
    own: dict[str, list[tuple[int, int]]] = {}
    for gap in blind:
        if gap.camera_id:
            own.setdefault(gap.camera_id, []).append((gap.from_us, gap.to_us))

    def share(spans: list[tuple[int, int]]) -> float:
        return 1 - covered_us(spans, from_us, to_us) / (to_us - from_us) if to_us > from_us else 1.0

    whole = share(everyones)
    return lambda camera_id: share(everyones + own[camera_id]) if camera_id in own else whole


class Health:
    """The health lines of a period, thinned out to `MOST_MINUTES`; and the exact ones of some moments."""

    def __init__(self, from_us: int, to_us: int, moments_us: Iterable[int]) -> None:
        self._from_us = from_us
        self._slot_us = max(60_000_000, (to_us - from_us) // MOST_MINUTES + 1)
        self._to_us = to_us
        self._wanted = sorted(moments_us)
        self._found: dict[int, Minute] = {}
        self._slots: dict[int, Minute] = {}
        self.unreadable = 0
        self.whole: Minute | None = None
        """The worst of everything."""

    def read(self, where: Iterable[LogPaths]) -> None:
        """Take up the health logs of some folders."""
        for paths in where:
            for block in whole_lines(paths.health):
                for line in filter(None, block.decode("utf-8", "replace").split("\n")):
                    minute = parse_health_line(line)
                    if minute is None:
                        self.unreadable += 1
                    else:
                        self._take(minute)

    def minutes(self) -> list[Minute]:
        """The course of the period; where it is long, the worst of each stretch."""
        return [self._slots[slot] for slot in sorted(self._slots)]

    def at(self, moment_us: int) -> Minute | None:
        """The line of the minute in which a moment (one of those asked for) lies."""
        return self._found.get(moment_us)

    def _take(self, minute: Minute) -> None:
        at = bisect_left(self._wanted, minute.time_us - _LINE_US)
        while at < len(self._wanted) and self._wanted[at] <= minute.time_us:
            known = self._found.get(self._wanted[at])
            if known is None or minute.time_us < known.time_us:
                self._found[self._wanted[at]] = minute
            at += 1
        if self._from_us <= minute.time_us <= self._to_us + _LINE_US:
            slot = (minute.time_us - self._from_us) // self._slot_us
            self._slots[slot] = worse(self._slots.get(slot), minute)
            self.whole = worse(self.whole, minute)


def worse(one: Minute | None, other: Minute) -> Minute:
    """The worst of two minutes in each respect; the time of the latter."""
    if one is None:
        return other
    return Minute(other.time_us, *(_larger(a, b) for a, b in zip(one[1:], other[1:], strict=True)))


def _larger(one: int | None, other: int | None) -> int | None:
    """The one further from zero: only an offset may be negative."""
    if one is None or other is None:
        return other if one is None else one
    return one if abs(one) > abs(other) else other


def parse_health_line(line: str) -> Minute | None:
    """The figures of a line of `health.log`; None when it is none."""
    keys = parse(line)
    try:
        return Minute(parse_time(keys["time"]), *_values(keys))
    except (KeyError, ValueError):
        return None


def _values(keys: dict[str, str]) -> Iterator[int | None]:
    for key in ("clock_offset_s", "clock_bound_s", "rtt_s", "rtt_max_s", "lag_p99_s", "lag_max_s"):
        yield micros(keys[key]) if key in keys else None
