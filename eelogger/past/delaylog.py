"""A delay log read back into what it was the log of: its camera's statistics, worst event and latest identities.

A line that `lines.delay_line` writes is read by one regular expression for a whole block (a million lines are read at
a start), any other by `lines.parse_delay_line`. Invariant: both ways give the same; what is read is what the log
would make of its lines one after the other, so a restart and a run without one agree.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from ..figures.worst import CREATE_OP, is_clean
from ..lines import parse_delay_line
from ..logdir.blocks import whole_lines
from ..model import EARLY, INITIAL, LOGGED_KINDS, MEASURED, Group, Verdict
from ..stats import CameraStats
from ..text.times import parse_time

_VALUE = rb'(?:"[^"\\\n]*(?:\\.[^"\\\n]*)*"|[^"\s]+)'
_BARE = rb"[!#-<>-\[\]-~]+"
_SECONDS = rb"-?[0-9]+\.[0-9]{6}"
_ROWS: Final = re.compile(
    rb"^time=([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}):([0-5][0-9])\.([0-9]{6})Z"
    rb" delay_s=(-?[0-9]+)\.([0-9]{6}) verdict=([a-z]+) event=" + _VALUE + rb" name=" + _VALUE + rb"(?: n=[0-9]+"
    rb" p50_s=[0-9.]+ p95_s=[0-9.]+ p99_s=[0-9.]+ avg_s=[0-9.]+ min_s=[0-9.]+ max_s=[0-9.]+)?"
    rb"(?: ns=(-?[0-9]+))?(?: ns_n=[0-9]+ ns_avg_s=[0-9.]+)? type=(" + _BARE + rb") camera=" + _BARE +
    rb" bridge=(?:" + _BARE + rb'|"")'
    rb" event_time=20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{6}Z uuid=(" + _BARE + rb")"
    rb"(?: op=(-?[0-9]+))?(?: seq=-?[0-9]+)?((?: after_gap_s=" + _SECONDS + rb")?(?: lag_s=" + _SECONDS + rb")?)"
    rb"(?: new_max=1)?\n",
    re.MULTILINE,
).findall  # fmt: skip

_Row = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]


class DelayLog:
    """What was read so far of one camera's delay log.

    `worst` is its first line with the greatest delay, `clean` that among those without taint, both without the
    event's JSON; `latest` the last identity by four-CC; `recent` arrival and identity of the lines that arrived at
    `since_us` or later; `size` the bytes read.
    """

    def __init__(self, since_us: int | None = None) -> None:
        self.stats = CameraStats()
        self.worst: Verdict | None = None
        self.clean: Verdict | None = None
        self.recent: list[tuple[int, str]] = []
        self.size = 0
        self.unreadable = 0
        self._since_us = sys.maxsize if since_us is None else since_us
        self._clean_us = -1
        self._latest: dict[bytes, bytes] = {}
        self._groups: dict[tuple[bytes, bytes], Group] = {}

    @property
    def latest(self) -> dict[str, str]:
        """The last identity of each four-CC."""
        return {_text(four_cc): _text(identity) for four_cc, identity in self._latest.items()}

    def read(self, path: Path) -> Iterator[int]:
        """Take up a file, block by block: how many bytes each had."""
        for block in whole_lines(path):
            self.size += len(block)
            self.take(block)
            yield len(block)

    def take(self, block: bytes) -> None:
        """Take up a block of whole lines."""
        rows = _ROWS(block)
        if len(rows) == block.count(b"\n") and block.endswith(b"\n"):
            self._take_rows(rows, block)
            return
        for line in block.split(b"\n"):
            if rows := _ROWS(line + b"\n"):
                self._take_rows(rows, line)
            elif line:
                self._take_line(line)

    def _take_rows(self, rows: list[_Row], block: bytes) -> None:
        """The fast way: rows of the regular expression."""
        observe, latest, groups, since_us = self.stats.observe, self._latest, self._groups, self._since_us
        worst: _Row | None = None
        clean: _Row | None = None
        last_minute, minute_us = b"", None
        for row in rows:
            minute, second, fraction, whole, part, kind, ns, four_cc, identity, op, taints = row
            if minute != last_minute:
                last_minute, minute_us = minute, _minute_us(minute)
            if minute_us is None:
                self.unreadable += 1
                continue
            arrived_us = minute_us + int(second + fraction)
            delay_us = int(whole + part)
            latest[four_cc] = identity
            if arrived_us >= since_us:
                self.recent.append((arrived_us, identity.decode()))
            if kind != b"measured" or delay_us < 0:
                self._count(kind.decode(), delay_us)
                continue
            group = groups.get((ns, four_cc))
            if group is None:
                group = groups[ns, four_cc] = int(ns) if ns else four_cc.decode()
            if observe(arrived_us, delay_us, group):
                worst = row
            if delay_us > self._clean_us and not taints and (not op or int(op) == CREATE_OP):
                self._clean_us, clean = delay_us, row
        if worst is not None:
            self.worst = _find(worst, block)
        if clean is not None:
            self.clean = _find(clean, block)

    def _take_line(self, line: bytes) -> None:
        """The plain way, for any other line."""
        parsed = parse_delay_line(line.decode("utf-8", "replace"))
        if parsed is None:
            self.unreadable += 1
            return
        verdict = parsed[0]
        self._latest[_bytes(verdict.type)] = _bytes(verdict.identity)
        if verdict.arrived_us >= self._since_us:
            self.recent.append((verdict.arrived_us, verdict.identity))
        if verdict.kind != MEASURED or verdict.delay_us is None or verdict.delay_us < 0:
            self._count(verdict.kind, verdict.delay_us)
            return
        group: Group = verdict.type if verdict.ns is None else verdict.ns
        if self.stats.observe(verdict.arrived_us, verdict.delay_us, group):
            self.worst = verdict
        if verdict.delay_us > self._clean_us and is_clean(verdict):
            self._clean_us, self.clean = verdict.delay_us, verdict

    def _count(self, kind: str, delay_us: int | None) -> None:
        """A first sight that is not measured; a delay that contradicts its verdict is nobody's figure."""
        if kind == EARLY and delay_us is not None and delay_us < 0:
            self.stats.observe_early(delay_us)
        elif kind == INITIAL:
            self.stats.initial += 1
        elif kind in LOGGED_KINDS - {MEASURED, EARLY}:
            self.stats.undated += 1
        else:
            self.unreadable += 1


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a quoted value may hold a lone surrogate


def _text(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogatepass")


@lru_cache(maxsize=2048)  # a day has 1,440
def _minute_us(text: bytes) -> int | None:
    try:
        return parse_time(f"{text.decode()}:00.000000Z")
    except ValueError:
        return None


def _find(row: _Row, block: bytes) -> Verdict | None:
    """The verdict of the line a row was read from; one update may hold several of one arrival and delay."""
    begin = b"time=%s:%s.%sZ " % row[:3]
    for line in block.split(b"\n"):
        if line.startswith(begin) and row in _ROWS(line + b"\n"):
            parsed = parse_delay_line(line.decode("utf-8", "replace"))
            return parsed[0] if parsed else None
    return None
