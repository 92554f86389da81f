"""Describe a running logger to a monitoring system in one line. What follows `|` is for machines."""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from ..clock import now_us
from ..errors import EeloggerError, NothingToShow
from ..measure.clock_offset import WARN_US
from ..model import HOUR_US
from ..storage.disk_errors import free_bytes
from ..storage.formats import parse_pairs, parse_time
from ..storage.line_blocks import Skipped, lines_backwards
from ..storage.lock import FRESH_S, HANGS, NEVER, RUNNING, STALE_S, STOPPED, ProcessState, process_state
from ..storage.paths import LogPaths
from ..storage.state import read_state
from ..views.console import Console
from ..views.text import clock_time, count, printable, share, span
from . import NOT_RUNNING, paths_to_read

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
BLIND_US: Final = 30_000_000  # `.state` of an idle logger is up to 10 s old; beyond that nothing is observed
HEALTH_US: Final = 180_000_000  # a line a minute: older than three, it says nothing of now
UNWRITTEN_US: Final = 20_000_000

_HELP: Final = f"""\
Times are in seconds, or with ms, s, m, h or d: --warn p95=2,silent=10m --crit blind=1h. NAME=off removes a limit.
A logger that is stopped, dead or hanging is CRITICAL whatever the limits; a full disk is a WARNING.
One that was killed is seen as dead {FRESH_S} s later at the latest, one that hangs after {STALE_S} s.
"""
_SECONDS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_LIMIT = re.compile(r"\s*([a-z0-9]+)\s*=\s*(?:(off)|([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([a-z]*|%))\s*").fullmatch

Values = dict[str, float | None]  # by measure, in its unit: figures (None: unknown) or limits (None: none)


class Measure(NamedTuple):
    """What can be limited, and the limits it has unless told otherwise."""

    unit: str  # s, % or none
    key: str  # in `health.log`, "" when it is not from there alone
    meaning: str
    warn: float | None = None
    crit: float | None = None
    low: bool = False  # low values are bad

    def shown(self, value: float) -> str:
        """A value of this measure for people."""
        if self.unit == "s" and value >= 0.001:
            return span(round(value * 1_000_000))
        return f"{_digits(value, 6)}{' ' if self.unit else ''}{self.unit}"


MEASURES: Final = {
    "p95": Measure("s", "p95_s", "95 % of the delays of the two latest clock hours are shorter"),
    "silent": Measure("s", "", "time since the last first-seen event"),
    "blind": Measure("s", "", "how long nothing has been observed; 0 while connected", 60, 300),
    "observed": Measure("%", "observed", "share of today (UTC) that was observed", low=True),
    "gaps": Measure("", "gaps", "gaps in today's observation"),
    "early": Measure("%", "early", "events of these hours dated after their arrival: a clock is wrong", 1),
    "clock": Measure("s", "", "how far the local clock is off, as far as that is certain", WARN_US / 1e6),
    "lag": Measure("s", "lag_p99_s", "the logger's own error, p99 of the last minute", 0.1),
    "rtt": Measure("s", "rtt_s", "round trip to the cloud"),
    "held": Measure("", "held", "lines that wait for the disk", 0),
    "unwritten": Measure("s", "", "how long a running logger has written nothing; 0 below 20 s", 0, 300),
    "events": Measure("", "recent", "measured events of the two latest clock hours", low=True),
}


def _digits(value: float, places: int) -> str:
    return f"{value:.{places}f}".rstrip("0").rstrip(".")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--warn` and `--crit`."""
    parser.description = "One line about a running logger. Exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    text = "what can be limited (default limits in brackets):\n"
    for name, measure in MEASURES.items():
        named = (("warn", measure.warn), ("crit", measure.crit))
        limits = ", ".join(f"{level} {measure.shown(limit)}" for level, limit in named if limit is not None)
        text += f"  {name:<10}{measure.meaning}{f' ({limits})' if limits else ''}\n"
    parser.epilog = text + _HELP
    for option, level in ("--warn", "WARNING"), ("--crit", "CRITICAL"):
        parser.add_argument(option, action="append", default=[], metavar="NAME=LIMIT", help=f"{level} beyond it")


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the line; returns 0, 1, 2 or 3 as monitoring plugins do."""
    try:
        warn, crit = parse_limits(options.warn), parse_limits(options.crit)
        code, said = status(paths_to_read(options), warn, crit, now_us())
    except (ValueError, EeloggerError) as wrong:
        code, said = UNKNOWN, str(wrong).replace("|", "/")
    console.write(f"EELOGGER {_WORDS[code]} - {said}\n")
    return code


def parse_limits(texts: Iterable[str]) -> Values:
    """`p95=2,silent=10m` and `blind=off` as limits; raises `ValueError` with what is wrong."""
    limits: Values = {}
    for part in (part for text in texts for part in text.split(",")):
        match = _LIMIT(part.lower())
        if not match or match[1] not in MEASURES:
            raise ValueError(f"{part!r}: give NAME=LIMIT, such as silent=10m; NAME is one of {', '.join(MEASURES)}")
        unit = MEASURES[match[1]].unit
        units = _SECONDS if unit == "s" else {"": 1.0, unit: 1.0}
        if not match[2] and match[4] not in units:
            raise ValueError(f"{part!r}: {match[4]} is not a unit of {match[1]}")
        limits[match[1]] = None if match[2] else float(match[3]) * units[match[4]]
    return limits


def status(paths: LogPaths, warn: Values, crit: Values, at_us: int) -> tuple[int, str]:
    """The exit code and the text for the logger in a log directory. Figures for machines follow `|`."""
    process, health = process_state(paths), _health(paths, at_us)
    if process.kind == NEVER:
        raise NothingToShow(f"no logger has been at work in {printable(paths.root)}")
    values = _values(paths, process, health, at_us)
    found, machine = list(_troubles(paths, process)), ""
    for name, measure in MEASURES.items():
        value, limits = values[name], (warn.get(name, measure.warn), crit.get(name, measure.crit))
        if name == "blind" and process.kind not in (RUNNING, HANGS):  # already said
            limits = None, None
        for level, limit in zip((CRITICAL, WARNING), reversed(limits), strict=True):
            if value is not None and limit is not None and (value < limit if measure.low else value > limit):
                beyond = f"{_WORDS[level].lower()} {'below' if measure.low else 'above'} {measure.shown(limit)}"
                found.append((level, f"{name} {measure.shown(value)} ({beyond})"))
                break
        ranges = [f"{_digits(limit, 6)}{':' if measure.low else ''}" if limit is not None else "" for limit in limits]
        shown = "U" if value is None else _digits(value, 3) + measure.unit
        machine += f" {name}={shown};{';'.join(ranges)};0"
    found.sort(key=lambda item: -item[0])
    said = "; ".join([*(text for _, text in found), ", ".join(_summary(process, health, values))])
    return found[0][0] if found else OK, f"{said.replace('|', '/')} |{machine}"


def _health(paths: LogPaths, at_us: int) -> dict[str, str]:
    """The last line of `health.log`, unless it is too old."""
    for folder in (paths, *map(paths.day, paths.days(Skipped())[-1:])):
        with suppress(OSError, ValueError, KeyError):
            _, line = next(lines_backwards(folder.health), (0, b""))
            pairs = parse_pairs(line.decode("utf-8", "replace"))
            if 0 <= at_us - parse_time(pairs["time"]) <= HEALTH_US:
                return pairs
    return {}


def _values(paths: LogPaths, process: ProcessState, health: Mapping[str, str], at_us: int) -> Values:
    """The value of each measure; None when unknown."""
    values = {name: _number(health, m.key, 100 if m.unit == "%" else 1) for name, m in MEASURES.items()}
    unwritten_us, state = 0, read_state(paths)
    with suppress(ValueError, OSError):  # `.state` is written every 10 s
        since_us = max(parse_time(process.since), paths.state.stat().st_mtime_ns // 1000)
        if process.kind == RUNNING and at_us - since_us > UNWRITTEN_US:
            unwritten_us = at_us - since_us
    blind_us = at_us - unwritten_us - state.alive_us if state else 0
    is_observing = process.kind == RUNNING and blind_us < BLIND_US
    values |= {"blind": 0.0 if is_observing else max(0, blind_us) / 1e6, "unwritten": unwritten_us / 1e6}
    offset, bound = _number(health, "clock_offset_s"), _number(health, "clock_bound_s")
    if offset is not None and bound is not None:  # less than the bound may be an artefact of the network
        values["clock"] = abs(offset) if abs(offset) > bound else 0.0
    with suppress(ValueError, KeyError):  # up to the line of `health.log`: later events are not known here
        values["silent"] = max(0, parse_time(health["time"]) - parse_time(health["last_event"])) / 1e6
    return values


def _number(health: Mapping[str, str], key: str, factor: int = 1) -> float | None:
    with suppress(ValueError, KeyError):
        value = float(health[key]) * factor
        return round(value, 6) if abs(value) < 1e15 else None  # neither nan nor inf
    return None


def _troubles(paths: LogPaths, process: ProcessState) -> Iterator[tuple[int, str]]:
    """What is wrong whatever the limits; a disk that is full keeps `health.log` as it was when all was well."""
    if process.kind in NOT_RUNNING:
        quiet = f" (process {process.pid or '?'}, no sign of life for {span(int(process.untouched_s * 1_000_000))})"
        yield CRITICAL, f"the logger {NOT_RUNNING[process.kind]}{'' if process.kind == STOPPED else quiet}"
    elif (room := free_bytes(paths.root)) is not None and room < 1 << 20:
        yield WARNING, "the disk is full and lines are held: free some space, or keep fewer days (EEN_KEEP_DAYS)"


def _summary(process: ProcessState, health: Mapping[str, str], values: Values) -> Iterator[str]:
    if process.kind == RUNNING:
        yield printable(health.get("state", "running")).replace("-", " ")
    if not health:
        yield "no figures of the last minutes"
        return
    at_us, silent_s, p95_s, observed = parse_time(health["time"]), *map(values.get, ("silent", "p95", "observed"))
    yield count(int(_number(health, "cameras") or 0), "camera")
    figures = "no measured event"
    if p95_s is not None:
        figures = f"p95 {span(round(p95_s * 1e6))} of {count(int(values['events'] or 0), 'event')}"
    yield f"{figures} since {clock_time((at_us // HOUR_US - 1) * HOUR_US)} UTC"
    last = "no event until" if silent_s is None else f"last event {span(round(silent_s * 1e6))} before"
    yield f"{last} {clock_time(at_us)} UTC"
    if observed is not None:
        yield f"observed {share(observed / 100)} of today"
