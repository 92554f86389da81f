"""Read delay lines: those in the usual form fast, all others by `parse_delay_line`, with the same result."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from ..measure.camera_statistics import CREATE_OP
from ..model import EARLY, LOGGED_KINDS, MEASURED, UNDATED, Camera, Group, Verdict, made
from .camera_files import read_once
from .formats import parse_delay_line, parse_time
from .line_blocks import Skipped, whole_lines

_ROWS_AT_ONCE: Final = 500
_LONGEST_US: Final = 10**16  # of ten digits of seconds; what is longer can be no delay
# A line as `formats.delay_line` writes it, but for undated ones; `rows` takes the groups by their place.
_USUAL: Final = re.compile(
    rb"time=(20..-..-..T..:..):([0-5][0-9]\.[0-9]{6})Z delay_s=(-?[0-9]{1,10})\.([0-9]{6})"
    rb" verdict=(measured|early|initial) event=%(text)b name=%(text)b"
    rb"(?: n=%(number)b p50_s=%(number)b p95_s=%(number)b p99_s=%(number)b avg_s=%(number)b min_s=%(number)b"
    rb" max_s=%(number)b)?(?: ns=(%(integer)b))?(?: ns_n=%(number)b ns_avg_s=%(number)b)?"
    rb' type=(%(bare)b) camera=%(bare)b bridge=(?:""|%(bare)b) event_time=20[0-9T:.Z-]+ uuid=(%(bare)b)'
    rb"(?: op=(%(integer)b))?(?: seq=%(integer)b)?(?: after_gap_s=(%(seconds)b))?(?: lag_s=(%(seconds)b))?"
    rb"(?: new_max=1)?"
    % {
        b"text": rb'(?:[^"\s]+|"[^"\\\n]*(?:\\.[^"\\\n]*)*")',
        b"bare": rb"[!#-<>-\[\]-~]+",
        b"number": rb"[0-9.]++",
        b"integer": rb"-?[0-9]{1,18}",
        b"seconds": rb"-?[0-9]{1,12}\.[0-9]{6}",
    }
).fullmatch


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
        """All that the line says, or the row if the line is damaged. The verdict has no `data`."""
        times = self.arrived_us, None, self.delay_us
        known = Verdict(self.kind, "", self.type, self.ns, self.type, self.identity, *times), Camera("", "")
        return parse_delay_line(self.line.decode("utf-8", "replace")) or known


def rows(block: bytes, skipped: Skipped) -> list[DelayRow]:
    """The rows of a block's whole lines; `skipped` counts what cannot be read, half a line at the end too."""
    usual, minute_us, parts, read = _USUAL, _minute_us, _parts, list[DelayRow]()
    *lines, half = block.split(b"\n")
    skipped.lines += bool(half)
    for line in lines:
        if match := usual(line):
            minute, second, whole, fraction, kind, ns, four_cc, identity, op, gap, lag = match.groups()
            began_us, delay_us = minute_us(minute), int(whole + fraction)
            kind_text, type_text, number, op_number = parts(kind, four_cc, ns, op)
            if began_us is not None and (delay_us < 0) is (kind_text == EARLY):
                arrived_us, is_tainted = began_us + int(second.replace(b".", b"")), bool(gap or lag)
                row = arrived_us, delay_us, kind_text, type_text, number, identity.decode(), op_number, is_tainted, line
                read.append(made(DelayRow, row))
                continue
        elif row_of := _plain_row(line):
            read.append(row_of)
            continue
        skipped.lines += bool(line)
    return read


def _plain_row(line: bytes) -> DelayRow | None:
    parsed = parse_delay_line(line.decode("utf-8", "replace"))
    if parsed is None:
        return None
    kind, _, four_cc, ns, _, identity, arrived_us, _, delay_us, _, op, _, after_gap_us, lag_us, *_ = parsed[0]
    if delay_us is None:
        fits = kind == UNDATED
    else:
        fits = kind in LOGGED_KINDS and (delay_us < 0) is (kind == EARLY) and abs(delay_us) < _LONGEST_US
    is_tainted = after_gap_us is not None or lag_us is not None
    return DelayRow(arrived_us, delay_us, kind, four_cc, ns, identity, op, is_tainted, line) if fits else None


@lru_cache(maxsize=2048)  # a day has 1,440
def _minute_us(text: bytes) -> int | None:
    try:
        return parse_time(f"{text.decode()}:00.000000Z")
    except ValueError:
        return None


@lru_cache(maxsize=4096)  # a camera's events are of a few sorts
def _parts(kind: bytes, four_cc: bytes, ns: bytes, op: bytes) -> tuple[str, str, int | None, int | None]:
    return kind.decode(), four_cc.decode(), int(ns) if ns else None, int(op) if op else None


def read_rows(files: Sequence[Path], day: str | None, skipped: Skipped) -> Iterator[list[DelayRow]]:
    """Yield the rows of one camera's files, some hundred at a time. `read_once` reads them."""

    def read(path: Path) -> Iterator[DelayRow]:
        return chain.from_iterable(rows(block, skipped) for block in whole_lines(path, skipped=skipped))

    once = read_once(files, read, lambda row: row.identity, day)
    return iter(lambda: list(islice(once, _ROWS_AT_ONCE)), [])
