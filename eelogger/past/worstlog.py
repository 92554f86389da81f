"""`maxeventdelay.log` as a text, and its events found again: in it, or where they came from, the stream logs.

Which line is a camera's worst is told by its delay log alone (`delaylog`); here is only the event's JSON, which that
line does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from .. import wire
from ..lines import Label, parse_delay_line, worst_line
from ..logdir.blocks import whole_lines, whole_lines_backwards
from ..model import Verdict
from ..paths import LogPaths
from ..text.times import time_text
from .wayback import parse_update

WorstEvents = dict[tuple[str, int, str], dict[str, Any]]
"""Event objects by `event_key`."""


def event_key(verdict: Verdict) -> tuple[str, int, str]:
    """What tells one first sight from all others."""
    return verdict.camera_id, verdict.arrived_us, verdict.identity


def worst_text(worst: Iterable[Verdict], labels: Mapping[str, Label]) -> str:
    """The content of `maxeventdelay.log`: one line a camera, worst first."""
    in_order = sorted(worst, key=lambda v: (v.delay_us or 0, v.camera_id), reverse=True)
    return "".join(worst_line(v, labels[v.camera_id]) for v in in_order)


def read_worst_events(paths: LogPaths, found: WorstEvents) -> Iterator[None]:
    """Add the events in `maxeventdelay.log`, step by step; lines that cannot be read are skipped."""
    for block in whole_lines(paths.max_delay):
        for line in block.decode("utf-8", "replace").split("\n"):
            parsed, event = parse_delay_line(line), _event_of(line)
            if parsed is not None and event is not None:
                found[event_key(parsed[0])] = event
        yield


def find_event(paths: LogPaths, stems: list[str], worst: Verdict) -> Iterator[Verdict | None]:
    """Search the stream log from its end for a verdict's event: None for each step without it, then the verdict."""
    begin = f"{time_text(worst.arrived_us)[:-1]}+00:00 -- ".encode()
    for path in map(paths.stream, stems):
        with suppress(OSError):
            for _, block in whole_lines_backwards(path):
                for line in block.split(b"\n") if begin in block else ():
                    if line.startswith(begin) and (event := _event_in(line, worst)):
                        yield worst._replace(data=event)
                        return
                yield None


def _event_in(line: bytes, worst: Verdict) -> dict[str, Any] | None:
    update = parse_update(worst.camera_id, line)
    for event in wire.split_events(worst.camera_id, update.data)[0] if update else ():
        if wire.identity(worst.camera_id, event) == worst.identity:
            return event
    return None


def _event_of(line: str) -> dict[str, Any] | None:
    """The JSON object behind the first ` -- ` that is followed by nothing but JSON: a name may hold another."""
    at = line.find(" -- ")
    while at >= 0:
        with suppress(ValueError, RecursionError):
            event = json.loads(line[at + 4 :])
            return event if isinstance(event, dict) else None
        at = line.find(" -- ", at + 1)
    return None
