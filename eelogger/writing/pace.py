"""How often a batch is written, and how loop and writer's thread share the interpreter meanwhile.

Only one thread runs Python at a time, and each system call gives that up: while the loop is busy the thread would
wait for it after every call, up to 5 ms, thousands of times a batch. Invariant: neither waits long for the other,
and a disk that hangs holds up the loop for no more than a bounded time a batch.
"""

from __future__ import annotations

import sys
from typing import Final

from ..thread import DaemonThread
from .pending import Pending

PAUSE_A_CAMERA_S: Final = 0.0004
LONGEST_PAUSE_S: Final = 0.06
"""The pause after a batch, the longer the more cameras, whose cost is opening files; a kill may take what arrived in
the last 0.1 s, and no more."""
BUSY_CHARS: Final = 200_000
BUSY_PAUSE_S: Final = 0.04
"""After so much in a batch it is the thousands of events a second that count, and fewer, larger batches cost less."""
SATURATED_CHARS: Final = 1_000_000
SATURATED_PAUSE_S: Final = 0.15
"""After so much the processor is what there is too little of, and lines may be seen a quarter of a second late."""

LEND_CHARS: Final = 8192
LEND_S: Final = 0.0005
"""While a batch is being written, the loop waits this long for the thread at every so many characters handed over.
Measured at saturation: a batch of 500 cameras takes 30 ms, without it up to a second."""
PATIENCE: Final = 20
"""After so many loans in which no file was written it is the disk that is waited for; a file takes about 20 µs, but
other processes may have the processor first."""


def pause_s(cameras: int, characters: int) -> float:
    """Seconds to leave between a batch of so many cameras and characters and the next."""
    least = BUSY_PAUSE_S if characters > BUSY_CHARS else 0.0
    longest = SATURATED_PAUSE_S if characters > SATURATED_CHARS else LONGEST_PAUSE_S
    return min(max(least, PAUSE_A_CAMERA_S * cameras), longest)


class Lender:
    """Lends the interpreter to the thread while a batch is being written and lines keep coming."""

    def __init__(self, pending: Pending, thread: DaemonThread) -> None:
        self._pending = pending
        self._thread = thread
        self._size = self._left = 0
        pending.on_lend = self._lend

    def begin(self) -> None:
        """A batch is in the thread."""
        self._left = PATIENCE
        self._expect()

    def end(self) -> None:
        """The batch is done."""
        self._pending.lend_at = sys.maxsize

    def _lend(self) -> None:
        self._thread.wait_idle(LEND_S)
        batch = self._pending.current
        if batch is not None and batch.size != self._size:
            self._size, self._left = batch.size, PATIENCE
        else:
            self._left -= 1
        self._expect()

    def _expect(self) -> None:
        self._pending.lend_at = self._pending.forming.size + LEND_CHARS if self._left > 0 else sys.maxsize
