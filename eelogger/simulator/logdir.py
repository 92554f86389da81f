"""A log directory, read by a parser of its own: an oracle must not share the reader, or the writer, it judges.

Reads the stream logs, delay logs and identity logs of a directory and of its `days/`, oldest first. What cannot be read
is a finding too; nothing is repaired or guessed.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .events import RESOURCES_AS_EVENTS, event

Key = tuple[str, str, str, int | None]
"""Camera, four-CC, identity, event time: as `ledger.Entry.key`."""

_STREAM_NAME: Final = re.compile(r".*_([0-9A-Fa-f]{8})_stream\.log", re.DOTALL)
_DELAY_NAME: Final = re.compile(r".*_([0-9A-Fa-f]{8})\.log", re.DOTALL)
_STREAM_LINE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00) -- (\{.*\})", re.ASCII)
_LOGGED_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_PAIR: Final = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s="\\]+)(?: |$)')
_SECONDS: Final = re.compile(r"-?\d+\.(\d{3}|\d{6})", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One value in a stream log: where it stands, when it arrived, what it is."""

    where: str
    arrived_us: int
    key: Key


@dataclass(frozen=True, slots=True)
class DelayLine:
    """One line of a delay log; `camera_id` is the file's, `arrived_us` its `time=`."""

    where: str
    camera_id: str
    arrived_us: int
    fields: dict[str, str]


@dataclass(slots=True)
class Logs:
    """All of it. `identities_cut`: the identity log has been rotated, so its oldest lines may be gone."""

    arrivals: list[Arrival] = field(default_factory=list)
    delay_files: list[list[DelayLine]] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    identities_cut: bool = False
    unreadable: list[str] = field(default_factory=list)


def read_logs(root: Path) -> Logs:
    """Everything under `root` and `root/days/*`."""
    logs = Logs()
    for directory in [*sorted((root / "days").glob("*")), root]:
        for path in sorted((directory / "stream").glob("*.log")):
            if match := _STREAM_NAME.fullmatch(path.name):
                logs.arrivals += _read_stream(path, match[1], logs.unreadable)
        for path in sorted(directory.glob("*.log")):
            if match := _DELAY_NAME.fullmatch(path.name):
                logs.delay_files.append(list(_read_delays(path, match[1], logs.unreadable)))
    rotated = root / "processed_event_uuids.log.1"
    logs.identities_cut = rotated.exists()
    for path in (rotated, root / "processed_event_uuids.log"):
        logs.identities += [_unquoted(line) for _, line in _lines(path, logs.unreadable)]
    return logs


def _lines(path: Path, unreadable: list[str]) -> Iterator[tuple[str, str]]:
    """`(where, line)` for each line that ends as one; split at newlines only, as a line of a log is."""
    if not path.exists():
        return
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        unreadable.append(f"{path.name}: torn last line of {len(rest)} bytes")
    for number, line in enumerate(lines, 1):
        where = f"{path.parent.name}/{path.name}:{number}"
        try:
            yield where, line.decode("utf-8")
        except UnicodeDecodeError:
            unreadable.append(f"{where}: not UTF-8")


def _read_stream(path: Path, camera_id: str, unreadable: list[str]) -> Iterator[Arrival]:
    for where, line in _lines(path, unreadable):
        match = _STREAM_LINE.fullmatch(line)
        try:
            arrived_us, data = (_iso_us(match[1]), json.loads(match[2])) if match else (0, None)
        except (ValueError, RecursionError):
            data = None
        if data is None:
            unreadable.append(f"{where}: {line[:80]}")
            continue
        for key in _values(camera_id, data):
            yield Arrival(where, arrived_us, key)


def _values(camera_id: str, data: dict[str, Any]) -> Iterator[Key]:
    found: list[tuple[str, Any]] = [(name, data[name]) for name in sorted(RESOURCES_AS_EVENTS & data.keys())]
    events = data.get("event")
    for four_cc, value in events.items() if isinstance(events, dict) else ():
        found += [(four_cc, item) for item in (value if isinstance(value, list) else [value])]
    for four_cc, body in found:
        made = event(camera_id, four_cc, body)
        yield made.camera_id, four_cc, made.identity, made.event_us


def _read_delays(path: Path, camera_id: str, unreadable: list[str]) -> Iterator[DelayLine]:
    for where, line in _lines(path, unreadable):
        fields = parse_logfmt(line)
        arrived_us = logged_us(fields.get("time", "")) if fields is not None else None
        if fields is None or arrived_us is None:
            unreadable.append(f"{where}: {line[:80]}")
        else:
            yield DelayLine(where, camera_id, arrived_us, fields)


def parse_logfmt(line: str) -> dict[str, str] | None:
    """The pairs of a logfmt line; None when a piece is no pair, a key comes twice or a quoted value is not JSON."""
    fields: dict[str, str] = {}
    position = 0
    while position < len(line):
        match = _PAIR.match(line, position)
        if match is None or match[1] in fields:
            return None
        try:
            fields[match[1]] = json.loads(match[2]) if match[2].startswith('"') else match[2]
        except ValueError:
            return None
        position = match.end()
    return fields


def logged_us(text: str) -> int | None:
    """Microseconds of `2026-11-22T09:07:20.123456Z`, None for any other text."""
    try:
        return _iso_us(text) if _LOGGED_TIME.fullmatch(text) else None
    except ValueError:
        return None


def _iso_us(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - _EPOCH) // dt.timedelta(microseconds=1)


def seconds_us(text: str) -> int | None:
    """Microseconds of seconds with exactly three or six decimals, None for any other text."""
    match = _SECONDS.fullmatch(text)
    return None if match is None else int(text.replace(".", "")) * 10 ** (6 - len(match[1]))


def _unquoted(line: str) -> str:
    """An identity as it was: one with spaces, control characters and the like is written as a JSON string."""
    try:
        value = json.loads(line) if line.startswith('"') else line
    except ValueError:
        return line
    return value if isinstance(value, str) else line
