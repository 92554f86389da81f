"""The status line of a running logger on a terminal: one line, redrawn in place, above which log lines scroll.

Decides what stands in it, in which order things give way when the terminal is narrow, and how it makes room; what is
true at the moment is `present`'s, when to redraw and where to write is `cli`'s. Invariant: the line never takes the
last column, so that no terminal wraps it, and foreign text in it is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..net.lag import TAINTED_US
from ..text import words
from ..text.tables import cut, printable, width

REDRAW_S: Final = 1.0
CONNECTED: Final = "connected"
_GREEN, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[0m"
_BETWEEN: Final = " · "
_LONGEST_NAME: Final = 24
_colours = re.compile(r"\x1b\[[0-9;]*m").sub


@dataclass(frozen=True, slots=True)
class Glance:
    """What a glance at the logger shows; None is what is not known yet.

    `uptime_us` is since the process began, `events` the first-seen ones since then, `last_us` the delay of the latest
    measured one and `last_camera` whose it was, `p95_us` of the two latest clock hours over all cameras, `gaps` those
    of the day, `lag_us` the p99 of our own error, `clock_us` the offset where it is worth a warning.
    """

    state: str
    uptime_us: int
    cameras: int
    events: int
    last_us: int | None = None
    last_camera: str = ""
    p95_us: int | None = None
    rtt_us: int | None = None
    gaps: int = 0
    lag_us: int | None = None
    lag_threshold_us: int = TAINTED_US
    clock_us: int | None = None


class _Piece(NamedTuple):
    """A part of the line: the lowest `rank` stays longest on a narrow terminal."""

    rank: int
    text: str
    colour: str = ""


def status_line(glance: Glance, columns: int, *, colour: bool = False) -> str:
    """The line in at most `columns` - 1 columns; colours are beside that."""
    room = max(1, columns - 1)
    pieces = list(_pieces(glance))
    while len(pieces) > 1 and width(_BETWEEN.join(piece.text for piece in pieces)) > room:
        pieces.remove(max(pieces, key=lambda piece: piece.rank))
    if len(pieces) == 1:
        pieces = [pieces[0]._replace(text=cut(pieces[0].text, room))]
    return _BETWEEN.join(_coloured(piece) if colour else piece.text for piece in pieces)


def _pieces(glance: Glance) -> Iterator[_Piece]:
    connected = glance.state == CONNECTED
    yield _Piece(0, printable(glance.state), _GREEN if connected else _YELLOW)
    seconds = glance.uptime_us // 1_000_000
    yield _Piece(6, f"{seconds} s" if seconds < 120 else words.span(glance.uptime_us))
    yield _Piece(5, words.count(glance.cameras, "camera"))
    yield _Piece(2, words.count(glance.events, "event"))
    if glance.last_us is not None:
        yield _Piece(1, f"last {words.span(glance.last_us)}")
        if glance.last_camera:
            yield _Piece(10, cut(printable(glance.last_camera), _LONGEST_NAME))
    if glance.p95_us is not None:
        yield _Piece(3, f"p95 {words.span(glance.p95_us)}")
    if glance.rtt_us is not None:
        yield _Piece(8, f"RTT {_ms(glance.rtt_us)}")
    yield _Piece(7, words.count(glance.gaps, "gap") if glance.gaps else "no gap", _YELLOW if glance.gaps else "")
    if glance.lag_us is not None:
        yield _Piece(9, f"own {_ms(glance.lag_us)}", _YELLOW if glance.lag_us > glance.lag_threshold_us else "")
    if glance.clock_us is not None:
        yield _Piece(4, f"clock off by {words.span(abs(glance.clock_us))}", _YELLOW)


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms" if us < 100_000 else f"{us // 1000} ms"


def _coloured(piece: _Piece) -> str:
    return f"{piece.colour}{piece.text}{_PLAIN}" if piece.colour else piece.text


class StatusLine:
    """One line at the bottom that is drawn over itself; `write` puts text on the terminal at once."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._text = ""

    def show(self, text: str) -> None:
        """Draw `text` in the place of what was there; nothing is written when it is the same."""
        if text != self._text:
            # Blanks and no escape sequence: also a terminal that knows none is left clean.
            self._write(f"\r{text}{' ' * (_taken(self._text) - _taken(text))}")
            self._text = text

    def clear(self) -> None:
        """Take the line away and leave the cursor where it began."""
        if self._text:
            self._write(f"\r{' ' * _taken(self._text)}\r")
            self._text = ""

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """For as long as something else is written to the terminal, which ends with a newline."""
        text = self._text
        self.clear()
        try:
            yield
        finally:
            if text:
                self.show(text)


async def keep(line: StatusLine, glance: Callable[[], Glance | None], draw: Callable[[Glance], str]) -> None:
    """Draw the line anew every second, until cancelled; then it is taken away."""
    try:
        while True:
            seen = glance()
            if seen is not None:
                line.show(draw(seen))
            await asyncio.sleep(REDRAW_S)
    finally:
        line.clear()


class AboveLine(logging.Handler):
    """Hands records to another handler of the same terminal, above the status line."""

    def __init__(self, inner: logging.Handler, line: StatusLine) -> None:
        super().__init__(inner.level)
        self._inner = inner
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Let the record be written where the line was, then draw that again."""
        with self._line.aside():
            self._inner.handle(record)


def _taken(text: str) -> int:
    return width(_colours("", text))
