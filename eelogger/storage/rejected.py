"""Count what could not be read, and show some of it in `rejected.log`.

A stranger's stream must not fill the disk, so the file is limited in rate and in size a day; the counts are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from ..model import Reject
from .formats import reject_line

BURST: Final = 100  # lines that may come at once
PER_SECOND: Final = 5
DAY_BYTES: Final = 10_000_000


class Rejects:
    """Counts and writes rejects; `write` takes a finished line, `size` is what the day's file has in bytes already."""

    def __init__(self, write: Callable[[str], None], size: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self._write = write
        self._tokens = float(BURST)
        self._refilled_us = 0
        self._bytes = size

    def new_day(self) -> None:
        """A new day's file begins."""
        self._bytes = 0

    def add(self, reject: Reject, arrived_us: int, size: int) -> None:
        """Count one reject of a message of `size` bytes, and write its line while the bounds allow."""
        self.counts[reject.reason] += 1
        elapsed_us = max(0, arrived_us - self._refilled_us)
        self._tokens = min(BURST, self._tokens + elapsed_us * PER_SECOND / 1_000_000)
        self._refilled_us = arrived_us
        if self._tokens < 1 or self._bytes > DAY_BYTES:
            return
        self._tokens -= 1
        line = reject_line(arrived_us, reject, size)
        self._bytes += len(line)
        self._write(line)
