"""Count what could not be read, and show some of it in `rejected.log`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from ..model import Reject
from .formats import reject_line

# A stranger's stream must not fill the disk. The counts have no bounds.
BURST: Final = 100  # lines that may come at once
PER_SECOND: Final = 5
DAY_BYTES: Final = 10_000_000


class Rejects:
    """Counts and writes rejects; `write` takes a finished line, `size` is what the day's file has in bytes already."""

    def __init__(self, write: Callable[[str], None], size: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self._write = write
        self._size = size
        self._tokens = float(BURST)
        self._refilled_us = 0

    def new_day(self) -> None:
        """A new day's file begins."""
        self._size = 0

    def add(self, reject: Reject, arrived_us: int, size: int) -> None:
        """Count one reject of a message of `size` bytes, and write its line while the bounds allow."""
        self.counts[reject.reason] += 1
        elapsed_us = max(0, arrived_us - self._refilled_us)
        self._tokens = min(BURST, self._tokens + elapsed_us * PER_SECOND / 1_000_000)
        self._refilled_us = arrived_us
        if self._tokens >= 1 and self._size <= DAY_BYTES:
            line = reject_line(arrived_us, reject, size)
            self._tokens -= 1
            self._size += len(line)
            self._write(line)
