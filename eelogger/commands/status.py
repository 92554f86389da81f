"""`status`: one line and an exit code about a running logger, as monitoring plugins give them.

Decides what is judged by which limit and how it is said; what is true is for `readings`. Invariant: one line of
printable text, the worst first, then `|` and the same figures for machines; 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from ..logdir.presence import DIED, HANGS, NEVER, RUNNING, STOPPED
from ..past.readings import Readings, take_readings
from ..paths import LogPaths
from ..text import words
from ..text.tables import printable
from ..text.units import seconds3
from .limits import MEASURES, Limits, Measure

OK: Final = 0
WARNING: Final = 1
CRITICAL: Final = 2
UNKNOWN: Final = 3
_WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def status(paths: LogPaths, warn: Limits, crit: Limits, now_us: int) -> tuple[int, str]:
    """The exit code and the line of the logger in a log directory."""
    where = printable(str(paths.root)).replace("|", "/")
    try:
        os.listdir(paths.root)
        readings = take_readings(paths, now_us)
    except OSError as error:
        return UNKNOWN, f"EELOGGER UNKNOWN - the log directory {where} cannot be read: {error.strerror}"
    if readings.presence.kind == NEVER:
        return UNKNOWN, f"EELOGGER UNKNOWN - no logger has been at work in {where}"
    return verdict(readings, warn, crit, now_us)


def verdict(readings: Readings, warn: Limits, crit: Limits, now_us: int) -> tuple[int, str]:
    """The exit code and the line of readings."""
    values = _values(readings, now_us)
    if readings.presence.kind not in (RUNNING, HANGS):
        crit = {**crit, "blind": None}  # a logger that is not there is blind, and that is said already
        warn = {**warn, "blind": None}
    found = [_of_presence(readings), *_beyond(values, warn, crit)]
    code = max(level for level, _ in found)
    trouble = [text for level, text in sorted(found, key=lambda item: -item[0]) if level]
    said = "; ".join([*trouble, ", ".join(_summary(readings, now_us))]).replace("|", "/")
    machine = " ".join(_performance(measure, values[measure.name], warn, crit) for measure in MEASURES)
    return code, f"EELOGGER {_WORDS[code]} - {said} | {machine} events={readings.events};;;0"


def _values(readings: Readings, now_us: int) -> dict[str, float | None]:
    """What is measured, in the units of `MEASURES`; None is unknown."""
    offset = readings.offset
    # Less than the bound may be an artefact of the network.
    off_us = None if offset is None else abs(offset.offset_us) if abs(offset.offset_us) > offset.bound_us else 0
    silent_us = None if readings.latest_us is None else max(0, now_us - readings.latest_us)
    return {
        "p95": _seconds(readings.p95_us),
        "silent": _seconds(silent_us),
        "blind": _seconds(readings.blind_us),
        "observed": None if readings.observed is None else int(readings.observed * 1000) / 10,
        "gaps": readings.gaps,
        "early": round(readings.early * 100, 2),
        "clock": _seconds(off_us),
        "lag": _seconds(readings.lag_us),
        "rtt": _seconds(readings.rtt_us),
    }


def _of_presence(readings: Readings) -> tuple[int, str]:
    who = readings.presence
    process = f"process {who.pid}" if who.pid else "the process"
    said = {
        HANGS: f"{process} has shown no sign of life for {_span(int(who.untouched_s * 1_000_000))}",
        DIED: f"the logger died: {process} is gone and did not stop by itself",
        STOPPED: f"the logger is stopped{f' ({readings.headline})' if readings.headline else ''}",
    }
    return (CRITICAL, said[who.kind]) if who.kind in said else (OK, "")


def _beyond(values: Mapping[str, float | None], warn: Limits, crit: Limits) -> Iterator[tuple[int, str]]:
    """What is beyond a limit, a level and a sentence each."""
    for measure in MEASURES:
        value = values[measure.name]
        for level, given in ((CRITICAL, crit), (WARNING, warn)):
            limit = _limit(measure, given, level)
            if value is None or limit is None or not (value < limit if measure.low else value > limit):
                continue
            beyond = f"{'below' if measure.low else 'above'} {measure.shown(limit)}"
            yield level, f"{measure.name} {measure.shown(value)} ({_WORDS[level].lower()} {beyond})"
            break


def _limit(measure: Measure, given: Limits, level: int) -> float | None:
    return given.get(measure.name, measure.crit if level == CRITICAL else measure.warn)


def _summary(readings: Readings, now_us: int) -> Iterator[str]:
    if readings.presence.kind == RUNNING:
        yield readings.state or "running"
    if readings.cameras is not None:
        yield words.count(readings.cameras, "camera")
    since = words.clock_time(readings.from_us)
    if readings.p95_us is None:
        yield f"no measured event since {since} UTC"
    else:
        mark = "?" if readings.early > 0.01 else ""
        events = words.count(readings.events, "event")
        yield f"p95 {words.span(readings.p95_us)}{mark} of {events} since {since} UTC"
    yield "no event yet" if readings.latest_us is None else f"last event {_span(now_us - readings.latest_us)} ago"
    if readings.observed is not None:
        yield f"observed {words.share(readings.observed)} of today"
    if readings.unreadable:
        yield f"{words.count(readings.unreadable, 'line')} unreadable"
    if readings.odd_files:
        yield f"skipped {words.count(readings.odd_files, 'log that is no file', 'logs that are no files')}"


def _performance(measure: Measure, value: float | None, warn: Limits, crit: Limits) -> str:
    limits = [_limit(measure, warn, WARNING), _limit(measure, crit, CRITICAL)]
    ranges = ["" if limit is None else f"{limit:g}{':' if measure.low else ''}" for limit in limits]
    shown = "U" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") + measure.unit
    return f"{measure.name}={shown};{';'.join(ranges)};0"


def _seconds(us: int | None) -> float | None:
    return None if us is None else float(seconds3(us))


def _span(us: int) -> str:
    return words.span(max(0, us))
