"""What the files of a log directory tell of its logger at this moment, without asking it.

Decides what is read from where, and how old it may be; who is at work is `presence`'s, what is good or bad is for
`status`. Reads the ends of files only. Invariant: nothing is changed, and what is missing, damaged or foreign is
unknown, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..figures.histogram import P95, Histogram
from ..figures.observation import Observation
from ..figures.offset import Offset
from ..lines import parse_gap_line
from ..logdir.blocks import whole_lines, whole_lines_backwards
from ..logdir.camerafile import read_cameras
from ..logdir.days import day_of
from ..logdir.presence import RUNNING, Presence, presence
from ..logdir.state import State, read_state
from ..paths import LogPaths
from ..stats import HOUR_US
from ..text import logfmt
from ..text.tables import printable
from ..text.times import micros, parse_time
from .delaylog import DelayLog

BLIND_US: Final = 30_000_000
"""`.state` of an idle logger is up to 10 s old; what it says of longer ago is blindness."""
HEALTH_US: Final = 180_000_000
"""A line a minute: older than three, it says nothing of now."""
_TIME: Final = len("time=")
_TIME_END: Final = len("time=2026-11-22T09:07:20.123456Z")


@dataclass(frozen=True, slots=True)
class Readings:
    """A logger as its files show it; None is unknown.

    `events` and `p95_us` are of the two latest clock hours, from `from_us` on, `early` is the share 0 … 1 of events
    before their own timestamp; `latest_us` the arrival of the last first-seen event; `observed` the share 0 … 1 of
    today, `gaps` those of today; `blind_us` for how long nothing has been observed; `odd_files` are named like
    delay logs and are no ordinary files. The rest is the last minute's.
    """

    presence: Presence
    headline: str
    from_us: int
    events: int
    p95_us: int | None
    early: float
    latest_us: int | None
    blind_us: int
    observed: float | None
    gaps: int
    cameras: int | None
    state: str
    offset: Offset | None
    rtt_us: int | None
    lag_us: int | None
    unreadable: int
    odd_files: int = 0


def take_readings(paths: LogPaths, now_us: int) -> Readings:
    """All of it at `now_us`."""
    who, state = presence(paths), read_state(paths)
    observation = _observation(paths, state, now_us)
    blind_us = now_us - state.alive_us if state else 0
    if blind_us < BLIND_US and who.kind == RUNNING:
        blind_us = 0
    elif state:
        observation.lost(state.alive_us, who.kind)
    from_us = (now_us // HOUR_US - 1) * HOUR_US
    day_us = parse_time(day_of(now_us))
    delays, early, unreadable, odd_files = _delays(paths, from_us, now_us)
    health = _health(paths, now_us)
    return Readings(
        presence=who,
        headline=_headline(paths),
        from_us=from_us,
        events=delays.n,
        p95_us=delays.quantile_us(P95) if delays.n else None,
        early=early,
        latest_us=_latest_us(paths),
        blind_us=max(0, blind_us),
        observed=observation.observed_share(day_us, now_us) if state else None,
        gaps=sum(gap.kind == "gap" and gap.to_us > day_us for gap in observation.gaps),
        cameras=_number(health.get("cameras")) or len(read_cameras(paths)) or None,
        state=health.get("state", "").replace("-", " "),
        offset=_offset(health),
        rtt_us=_micros(health.get("rtt_s")),
        lag_us=_micros(health.get("lag_p99_s")),
        unreadable=unreadable,
        odd_files=odd_files,
    )


def _observation(paths: LogPaths, state: State | None, now_us: int) -> Observation:
    observation = Observation(state.since_us if state else now_us)
    for block in whole_lines(paths.gaps):
        for line in block.decode("utf-8", "replace").splitlines():
            if gap := parse_gap_line(line):
                observation.restore(gap)
    return observation


def _delays(paths: LogPaths, from_us: int, now_us: int) -> tuple[Histogram, float, int, int]:
    """The measured delays of the two latest hours, the early share, how many lines could not be read, and odd files."""
    parts, early, dated, unreadable, odd = Histogram(), 0, 0, 0, 0
    for folder in (*(paths.day(day) for day in paths.days() if day >= day_of(from_us)), paths):
        for path in _delay_logs(folder):
            odd += path.exists() and not path.is_file()
            log = DelayLog()
            for block in reversed(list(_blocks_since(path, from_us))):
                log.take(block)
            parts.merge(log.stats.recent(None, now_us))
            early += log.stats.early
            dated += log.stats.early + log.stats.n
            unreadable += log.unreadable
    return parts, early / dated if dated else 0.0, unreadable, odd


def _delay_logs(paths: LogPaths) -> Iterator[Path]:
    for stems in paths.find_stems().values():
        yield from map(paths.delay, stems)


def _blocks_since(path: Path, from_us: int) -> Iterator[bytes]:
    """The blocks of a delay log from its end back to the first that begins earlier."""
    for _, block in whole_lines_backwards(path):
        yield block
        began_us = _time_of(block)
        if began_us is not None and began_us < from_us:
            return


def _latest_us(paths: LogPaths) -> int | None:
    """When the last first-seen event arrived: today's, else of the last day that has one."""
    for folder in (paths, *map(paths.day, reversed(paths.days()[-2:]))):
        times = [_time_of(_last_line(path)) for path in _delay_logs(folder)]
        if known := [us for us in times if us is not None]:
            return max(known)
    return None


def _last_line(path: Path) -> bytes:
    for _, block in whole_lines_backwards(path):
        return block.rstrip(b"\n").rpartition(b"\n")[2]
    return b""


def _time_of(line: bytes) -> int | None:
    """The time at the beginning of a line, or of the first of several."""
    with suppress(ValueError):
        return parse_time(line[_TIME:_TIME_END].decode("ascii", "replace")) if line.startswith(b"time=") else None
    return None


def _health(paths: LogPaths, now_us: int) -> dict[str, str]:
    """The last line of `health.log`, unless it is too old to say anything."""
    for folder in (paths, *map(paths.day, reversed(paths.days()[-1:]))):
        keys = logfmt.parse(_last_line(folder.health).decode("utf-8", "replace"))
        with suppress(ValueError, KeyError):
            if 0 <= now_us - parse_time(keys["time"]) <= HEALTH_US:
                return keys
    return {}


def _headline(paths: LogPaths) -> str:
    """How the last run ended, by the first line of its summary; "" when it did not say."""
    for block in whole_lines(paths.summary):
        first = block.split(b"\n", 1)[0].decode("utf-8", "replace")
        return printable(first) if first.startswith("STOPPED ") else ""
    return ""


def _offset(health: dict[str, str]) -> Offset | None:
    offset_us, bound_us = _micros(health.get("clock_offset_s")), _micros(health.get("clock_bound_s"))
    return None if offset_us is None or bound_us is None else Offset(offset_us, bound_us)


def _micros(text: str | None) -> int | None:
    with suppress(ValueError):
        return micros(text) if text else None
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
