"""A progress bar for long work: one line of text, drawn over itself.

Decides when a bar is worth showing, how often it changes and what stands in it; whether there is a terminal, and how
to draw on it, is the console's. Invariant: work that is soon done shows no bar, and none is left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from ..text import words
from ..text.tables import cut

BROKEN_OFF: Final = 130
"""What shells expect of a command that Ctrl-C ended; not 0, which would let what follows with && begin."""
PATIENCE_S: Final = 0.7
"""A person waits so long without wondering."""
REDRAW_S: Final = 0.2
_WIDEST: Final = 40
_NARROWEST: Final = 8
_UNITS: Final = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


class Terminal(Protocol):
    """Where a long command's text goes: what was asked for, remarks, and a line that is drawn over itself."""

    def write(self, text: str) -> object:
        """Text that was asked for, newlines included."""

    def tell(self, text: str) -> object:
        """A remark beside it, without its newline."""

    def show(self, draw: Callable[[int], str]) -> object:
        """A line in the place of the one before, drawn for so many columns; "" takes it away."""

    def columns(self, piped: int) -> int:
        """How wide it is, `piped` where what is written goes to no terminal."""


@contextmanager
def progress(
    doing: str, terminal: Terminal, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int], None]]:
    """A function that is told the bytes done and in all, as often as one likes; at the end the bar is gone."""
    began = clock()
    next_s = began + PATIENCE_S

    def advance(done: int, total: int) -> None:
        nonlocal next_s
        now = clock()
        if now >= next_s and total > 0:
            next_s = now + REDRAW_S
            terminal.show(lambda columns: bar(doing, done, total, now - began, columns))

    try:
        yield advance
    finally:
        terminal.show(lambda columns: "")


def bar(doing: str, done: int, total: int, elapsed_s: float, columns: int) -> str:
    """`reading [######------]  42 % of 1.2 GB, 14 s left`; what has no room is left out, the share stays longest."""
    share = min(1.0, done / total)
    percent = f"{int(share * 100):3d} %"
    tail = f"{percent} of {_size(total)}"
    if share > 0:
        tail += f", {_left(round(elapsed_s * (1 - share) / share))} left"
    room = min(_WIDEST, columns - 1 - len(f"{doing} [] {tail}"))
    if room < _NARROWEST:
        return cut(f"{doing} {percent.strip()}", max(1, columns - 1))
    full = int(share * room)
    return f"{doing} [{'#' * full}{'-' * (room - full)}] {tail}"


def _left(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else words.span(seconds * 1_000_000)


def _size(count: int) -> str:
    return next((f"{count / size:.1f} {unit}" for unit, size in _UNITS if count >= size), f"{count} bytes")
