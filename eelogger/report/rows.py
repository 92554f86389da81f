"""Lines of delay logs as rows of bytes: one regular expression for a whole block, because a report reads millions.

Reads what `lines.delay_line` writes; a line that looks otherwise is for `lines.parse_delay_line`. Invariant: both ways
give the same value.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final, NamedTuple

from ..lines import delay_line, label, parse_delay_line
from ..model import Camera, Verdict
from ..text.times import micros, parse_time
from .values import Logged

_VALUE = rb'("[^"\\\n]*(?:\\.[^"\\\n]*)*"|[^"\s]+)'
_NUMBER = rb"(-?[0-9]{1,40})"
_SECONDS = rb"(-?[0-9]{1,12}\.[0-9]{6})"
_TIME = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"

find_rows: Final = re.compile(
    rb"^time=([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}):([0-5][0-9])\.([0-9]{6})Z"
    rb"(?: delay_s=(-?[0-9]{1,12})\.([0-9]{6}))? verdict=([a-z]+) event=" + _VALUE + rb" name=" + _VALUE +
    rb"(?: n=[0-9]+ p50_s=[0-9.]+ p95_s=[0-9.]+ p99_s=[0-9.]+ avg_s=[0-9.]+ min_s=[0-9.]+ max_s=[0-9.]+)?"
    rb"(?: ns=" + _NUMBER + rb")?(?: ns_n=[0-9]+ ns_avg_s=[0-9.]+)? type=" + _VALUE + rb" camera=" + _VALUE +
    rb" bridge=" + _VALUE + rb"(?: event_time=(" + _TIME + rb"))? uuid=" + _VALUE +
    rb"(?: op=" + _NUMBER + rb")?(?: seq=" + _NUMBER + rb")?(?: after_gap_s=" + _SECONDS +
    rb")?(?: lag_s=" + _SECONDS + rb")?"
    rb"(?: new_max=1)?\n",
    re.MULTILINE,
).findall  # fmt: skip
"""All canonical lines of a block, as the fields of `Line`."""


Fields = tuple[bytes, ...]
"""A `Line` as the regular expression gives it."""


class Line(NamedTuple):
    """The fields of one line as they stand there; empty where there is none."""

    minute: bytes
    second: bytes
    fraction: bytes
    whole: bytes
    part: bytes
    kind: bytes
    event: bytes
    name: bytes
    ns: bytes
    type: bytes
    camera: bytes
    bridge: bytes
    event_time: bytes
    identity: bytes
    op: bytes
    seq: bytes
    after_gap: bytes
    lag: bytes


def logged(fields: Fields) -> Logged:
    """The value of a line whose arrival is a time; an event time that is none is left out."""
    line = Line._make(fields)
    arrived_us = minute_us(line.minute) + int(line.second + line.fraction)
    camera = Camera(plain(line.camera), plain(line.name), plain(line.bridge))
    verdict = Verdict(
        line.kind.decode(),
        camera.id,
        plain(line.type),
        int(line.ns) if line.ns else None,
        plain(line.event),
        plain(line.identity),
        arrived_us,
        _time_or_none(line.event_time),
        int(line.whole + line.part) if line.whole else None,
        None,
        int(line.op) if line.op else None,
        int(line.seq) if line.seq else None,
        micros(line.after_gap.decode()) if line.after_gap else None,
        micros(line.lag.decode()) if line.lag else None,
    )
    return Logged(verdict, camera)


def rewritten(text: bytes) -> Line | None:
    """Any other delay line as the canonical one that says the same; None when it is no delay line."""
    parsed = parse_delay_line(text.decode("utf-8", "replace"))
    if parsed is None:
        return None
    verdict, camera = parsed
    rows = find_rows(delay_line(verdict._replace(figures=None), label(camera)).encode("utf-8", "replace"))
    return Line(*rows[0]) if rows else None


def _time_or_none(text: bytes) -> int | None:
    try:
        return parse_time(text.decode()) if text else None
    except ValueError:  # a 31st of February
        return None


@lru_cache(maxsize=4096)
def minute_us(text: bytes) -> int:
    """The microseconds of `2026-11-22T09:07`; raises `ValueError`."""
    return parse_time(f"{text.decode()}:00.000000Z")


@lru_cache(maxsize=65536)
def plain(value: bytes) -> str:
    """A logfmt value without its quotes."""
    text = value.decode("utf-8", "replace")
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text[1:-1]
