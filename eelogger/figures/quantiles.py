"""p50, p95 and p99 after every event, at a cost that does not depend on how many there were.

Remembered positions in a histogram follow it, instead of a scan each time. Invariant: `values_us` is what a scan of
the histogram (`Histogram.quantiles_us`) would answer, at every moment.
"""

from __future__ import annotations

from typing import Final

from .histogram import ANSWERS_US, P50, P95, P99, PERCENTILES, Histogram, bucket_of

FEWEST: Final = 3
"""With fewer the median is the smallest; from here on its rank is neither the first nor the last."""


class RunningQuantiles:
    """p50, p95 and p99 of a growing histogram: remembered positions that follow, instead of a scan each time.

    `count` keeps account of what lies below each position, `values_us` moves it to its rank: by at most one occupied
    bucket an event, so the cost of an event does not depend on their number.
    """

    __slots__ = ("_at", "_below", "histogram")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._at = [0] * len(PERCENTILES)
        self._below = [0] * len(PERCENTILES)

    def add(self, us: int) -> None:
        """Count one duration in µs."""
        self.count(bucket_of(us), us)

    def count(self, bucket: int, us: int) -> None:
        """Count one duration whose `bucket_of` is known already."""
        self.histogram.count(bucket, us)
        if self.histogram.n == 1:
            self._at = [bucket] * len(PERCENTILES)
        at50, at95, at99 = self._at
        if bucket < at99:
            self._below[2] += 1
            if bucket < at95:
                self._below[1] += 1
                if bucket < at50:
                    self._below[0] += 1

    def values_us(self) -> tuple[int, int, int]:
        """The values of `PERCENTILES`, as `Histogram.quantiles_us` would find them; ValueError when empty."""
        histogram = self.histogram
        n, first, counts = histogram.n, histogram._first, histogram._counts
        if not n:
            raise ValueError("nothing was counted")
        at50, at95, at99 = self._at
        below50, below95, below99 = self._below
        if n < FEWEST:
            return histogram.min_us, histogram.max_us, histogram.max_us
        low_us, high_us = histogram.min_us, histogram.max_us
        # Written out three times: as a loop it costs twice as much, and this runs for each logged line.
        rank = -(-P50 * n // 1000)
        if not below50 < rank <= below50 + counts[at50 - first]:
            at50 = self._move(0, rank)
        p50 = ANSWERS_US[at50]
        rank = -(-P95 * n // 1000)
        if not below95 < rank <= below95 + counts[at95 - first]:
            at95 = self._move(1, rank)
        p95 = high_us if rank == n else ANSWERS_US[at95]
        rank = -(-P99 * n // 1000)
        if not below99 < rank <= below99 + counts[at99 - first]:
            at99 = self._move(2, rank)
        p99 = high_us if rank == n else ANSWERS_US[at99]
        if low_us <= p50 <= high_us and p95 <= high_us and p99 <= high_us:
            return p50, p95, p99
        p50, p95, p99 = (max(low_us, min(high_us, us)) for us in (p50, p95, p99))
        return p50, p95, p99

    def _move(self, which: int, rank: int) -> int:
        """Take one position to the bucket that holds this rank; empty buckets between are walked through."""
        first, counts = self.histogram._first, self.histogram._counts
        at, below = self._at[which], self._below[which]
        while below >= rank:
            at -= 1
            below -= counts[at - first]
        while below + counts[at - first] < rank:
            below += counts[at - first]
            at += 1
        self._at[which], self._below[which] = at, below
        return at
