"""A progress bar for long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .console import Console
from .number_format import span
from .tables import cut

PATIENCE_S: Final = 0.7  # work that is done sooner shows no bar
REDRAW_S: Final = 0.2
_STEPS: Final = 40


@contextmanager
def progress(doing: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """A function that is told the bytes done and in all, as often as one likes; at the end the bar is gone."""
    began_s = time.monotonic()
    next_s = began_s + PATIENCE_S

    def advance(done: int, total: int) -> None:
        nonlocal next_s
        now_s = time.monotonic()
        if now_s >= next_s and total > 0:
            next_s = now_s + REDRAW_S
            console.show(lambda columns: bar(doing, done / total, now_s - began_s, columns))

    try:
        yield advance
    finally:
        console.show(lambda columns: "")


def bar(doing: str, part: float, elapsed_s: float, columns: int) -> str:
    """`reading  42 %, 14 s left [######------]`, as much of it as the terminal has room for."""
    part = min(1.0, part)
    left = f", {span(round(elapsed_s / part - elapsed_s) * 1_000_000).replace('.0', '')} left" if part else ""
    full = int(part * _STEPS)
    text = f"{doing} {int(part * 100):3d} %{left} [{'#' * full}{'-' * (_STEPS - full)}]"
    return cut(text, max(1, columns - 1))
