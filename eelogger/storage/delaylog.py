"""Read delay lines: fast those in the present form, by `parse_delay_line` all others, with the same result."""

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Final, NamedTuple

from ..measure.camera_statistics import CREATE_OP
from ..model import EARLY, LOGGED_KINDS, MEASURED, UNDATED, Camera, Group, Verdict, made
from .camera_files import read_once
from .formats import DELAY_KEYS, parse_delay_line, parse_time
from .line_blocks import OnRead, Skipped, whole_lines

_ROWS_AT_ONCE: Final = 500
_BARE = rb"[!#-<>-\[\]-~]+"
_TEXT = rb'(?:[^"\s]+|"[^"\\\n]*(?:\\.[^"\\\n]*)*")'
_INTEGER = rb"-?[0-9]{1,18}"
_SECONDS = rb"-?[0-9]{1,12}\.[0-9]{6}"
_VALUES: Final = {  # named is what a row holds
    "time": rb"(?P<minute>20..-..-..T..:..):(?P<second>[0-5][0-9]\.[0-9]{6})Z",
    "delay_s": rb"(?P<whole>-?[0-9]{1,12})\.(?P<fraction>[0-9]{6})",
    "verdict": rb"(?P<kind>[a-z]+)",
    "ns": rb"(?P<ns>" + _INTEGER + rb")",
    "type": rb"(?P<type>" + _BARE + rb")",
    "camera": _BARE,
    "bridge": rb'(?:""|' + _BARE + rb")",
    "event_time": rb"20[0-9T:.Z-]+",
    "uuid": rb"(?P<uuid>" + _BARE + rb")",
    "op": rb"(?P<op>" + _INTEGER + rb")",
    "seq": _INTEGER,
    "after_gap_s": rb"(?P<after_gap>" + _SECONDS + rb")",
    "lag_s": rb"(?P<lag>" + _SECONDS + rb")",
}
_FIGURES: Final = {"n", "p50_s", "p95_s", "p99_s", "avg_s", "min_s", "max_s", "ns_n", "ns_avg_s"}
_ALWAYS: Final = {"time", "delay_s", "verdict", "event", "name", "type", "camera", "bridge", "event_time", "uuid"}


def _expression() -> re.Pattern[bytes]:
    # `_fast_rows` takes matches apart by place, since names cost too much there: the order of the keys is part of it.
    pattern = b""
    for are_figures, keys in groupby(DELAY_KEYS, _FIGURES.__contains__):
        if are_figures:
            pattern += rb"(?:" + b"".join(b" %s=[0-9.]++" % key.encode() for key in keys) + rb")?"
            continue
        for key in keys:
            part = b"%s%s=%s" % (b" " if pattern else b"", key.encode(), _VALUES.get(key, _TEXT))
            pattern += part if key in _ALWAYS else rb"(?:" + part + rb")?"
    return re.compile(rb"^(?P<line>" + pattern + rb")$", re.MULTILINE)


_LINE: Final = _expression()
_KINDS: Final = {kind.encode(): kind for kind in LOGGED_KINDS}


class DelayRow(NamedTuple):
    """One line of a delay log; `is_tainted` after a gap or while the logger was late, `line` without its newline."""

    arrived_us: int
    delay_us: int | None
    kind: str
    type: str
    ns: int | None
    identity: str
    op: int | None
    is_tainted: bool
    line: bytes

    @property
    def group(self) -> Group:
        """What its figures are kept by."""
        return self.type if self.ns is None else self.ns

    @property
    def is_clean(self) -> bool:
        """Whether its delay can be defended; change `measure.camera_statistics.is_clean` with it."""
        return self.kind == MEASURED and not self.is_tainted and self.op in (None, CREATE_OP)

    def parsed(self) -> tuple[Verdict, Camera]:
        """All that the line says; the verdict has no `data`."""
        parsed = parse_delay_line(self.line.decode("utf-8", "replace"))
        if parsed is None:  # damaged where a row does not look
            verdict = Verdict(self.kind, "", self.type, self.ns, self.type, self.identity, self.arrived_us, None, None)
            return verdict._replace(delay_us=self.delay_us), Camera("", "")
        return parsed


def rows(block: bytes) -> list[DelayRow | None]:
    """A row for each line of a block; None for one that cannot be read, or has no newline yet."""
    found = _LINE.findall(block)
    if len(found) == block.count(b"\n") and block.endswith(b"\n"):
        return _fast_rows(found)
    *lines, torn = block.split(b"\n")
    read: list[DelayRow | None] = []
    for line in filter(None, lines):
        found = _LINE.findall(line)
        read += _fast_rows(found) if found else [_plain_row(line)]
    return [*read, None] if torn else read


def _fast_rows(matches: list[tuple[bytes, ...]]) -> list[DelayRow | None]:
    minute_us, parts = _minute_us, _parts
    read: list[DelayRow | None] = []
    for line, minute, second, whole, fraction, kind, ns, four_cc, identity, op, gap, lag in matches:
        began_us, delay_us = minute_us(minute), int(whole + fraction)
        kind_text, type_text, number, op_number = parts(kind, four_cc, ns, op)
        if began_us is None or (delay_us < 0) is not (kind_text == EARLY) or not kind_text:
            read.append(None)
            continue
        is_tainted = bool(gap or lag)
        arrived_us = began_us + int(second.replace(b".", b""))
        row = arrived_us, delay_us, kind_text, type_text, number, identity.decode(), op_number, is_tainted, line
        read.append(made(DelayRow, row))
    return read


def _plain_row(line: bytes) -> DelayRow | None:
    parsed = parse_delay_line(line.decode("utf-8", "replace"))
    if parsed is None:
        return None
    kind, _, four_cc, ns, _, identity, arrived_us, _, delay_us, _, op, _, after_gap_us, lag_us, *_ = parsed[0]
    # a delay that contradicts its verdict is nobody's figure.
    if kind not in LOGGED_KINDS or (kind != UNDATED if delay_us is None else (delay_us < 0) is not (kind == EARLY)):
        return None
    is_tainted = after_gap_us is not None or lag_us is not None
    return DelayRow(arrived_us, delay_us, kind, four_cc, ns, identity, op, is_tainted, line)


@lru_cache(maxsize=2048)  # a day has 1,440
def _minute_us(text: bytes) -> int | None:
    try:
        return parse_time(f"{text.decode()}:00.000000Z")
    except ValueError:
        return None


@lru_cache(maxsize=4096)  # a camera's events are of a few sorts
def _parts(kind: bytes, four_cc: bytes, ns: bytes, op: bytes) -> tuple[str, str, int | None, int | None]:
    return _KINDS.get(kind, ""), four_cc.decode(), int(ns) if ns else None, int(op) if op else None


def read_rows(
    files: Sequence[Path], *, day: str | None = None, skipped: Skipped | None = None, on_read: OnRead | None = None
) -> Iterator[list[DelayRow]]:
    """Yield the rows of one camera's files, some hundred at a time; several files are read by `read_once`."""
    unread = Skipped() if skipped is None else skipped

    def blocks(path: Path) -> Iterator[list[DelayRow]]:
        for block in whole_lines(path, skipped=unread, on_read=on_read):
            found = rows(block)
            readable = [row for row in found if row is not None]
            unread.lines += len(found) - len(readable)
            yield readable

    if len(files) == 1:
        yield from blocks(files[0]) if os.path.exists(files[0]) else ()
        return
    once = read_once(files, lambda path: chain.from_iterable(blocks(path)), lambda row: row.identity, day)
    while batch := list(islice(once, _ROWS_AT_ONCE)):
        yield batch
