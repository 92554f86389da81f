"""The cyclic garbage collector, made rare: it stops the event loop, and an arrival is stamped late by its pauses.

Nearly everything here is freed by its reference count. What lives as long as the run is told apart once, else the
collector goes through all of it every few seconds: a tenth of all CPU under load, and up to 0.1 s at 10,000 cameras.
Invariant: cycles are still found, only later.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 20_000
"""New objects before it looks at them, for half a millisecond; more than a batch under load holds, since what goes with
its batch need not be looked at."""
SECOND_LOOKS: Final = (5, 50)
"""How many looks at new objects make one at those before, and how many of these one at all that came since `settle`."""


def calm() -> None:
    """At the start of a run, before its history is read: that makes objects by the hundred thousand, all to stay."""
    gc.set_threshold(YOUNG, *SECOND_LOOKS)


def settle() -> None:
    """Once the run is under way: what is there now is not looked at again."""
    gc.freeze()


def leave() -> None:
    """At the end: the interpreter would go through all of it once more, half a second at 10,000 cameras."""
    gc.freeze()
