"""Keep p50, p95 and p99 current at a constant cost per event."""

from .histogram import ANSWERS_US, P50, P95, P99, Histogram


class RunningQuantiles:
    """p50, p95 and p99 of a growing histogram: remembered positions that follow, instead of a scan each time.

    `count` keeps account of what lies below each position, `values_us` moves it to its rank: by at most one occupied
    bucket an event, so that the cost of an event does not depend on their number.
    """

    __slots__ = ("_at50", "_at95", "_at99", "_below50", "_below95", "_below99", "histogram")

    def __init__(self) -> None:
        # Were it a `Histogram` itself, look-ups in `Histogram.count` would meet two classes: 1 µs more an event.
        self.histogram = Histogram()
        self._at50 = self._at95 = self._at99 = 0
        self._below50 = self._below95 = self._below99 = 0

    def count(self, bucket: int, us: int) -> None:
        """Count one duration whose `bucket_of` is known already."""
        self.histogram.count(bucket, us)
        if self.histogram.n == 1:
            self._at50 = self._at95 = self._at99 = bucket
        if bucket < self._at99:
            self._below99 += 1
            if bucket < self._at95:
                self._below95 += 1
                if bucket < self._at50:
                    self._below50 += 1

    def values_us(self) -> tuple[int, int, int]:
        """The median, p95 and p99; 0 when nothing was counted."""
        histogram = self.histogram
        n, first, counts = histogram.n, histogram._first, histogram._counts
        low_us, high_us = histogram.min_us, histogram.max_us
        if n < 3:  # the median is the smallest; from 3 on its rank is neither the first nor the last
            return low_us, high_us, high_us
        # Written out three times: as a loop it costs twice as much, and this runs for each logged line.
        rank = -(-P50 * n // 1000)
        at, below = self._at50, self._below50
        if not below < rank <= below + counts[at - first]:
            self._at50, self._below50 = at, _ = self._moved(at, below, rank)
        p50 = ANSWERS_US[at]
        rank = -(-P95 * n // 1000)
        at, below = self._at95, self._below95
        if not below < rank <= below + counts[at - first]:
            self._at95, self._below95 = at, _ = self._moved(at, below, rank)
        p95 = high_us if rank == n else ANSWERS_US[at]
        rank = -(-P99 * n // 1000)
        at, below = self._at99, self._below99
        if not below < rank <= below + counts[at - first]:
            self._at99, self._below99 = at, _ = self._moved(at, below, rank)
        p99 = high_us if rank == n else ANSWERS_US[at]
        if low_us <= p50 <= high_us and p95 <= high_us and p99 <= high_us:
            return p50, p95, p99
        p50, p95, p99 = (max(low_us, min(high_us, us)) for us in (p50, p95, p99))
        return p50, p95, p99

    def _moved(self, at: int, below: int, rank: int) -> tuple[int, int]:
        """The bucket that holds this rank and what lies below it; empty buckets between are walked through."""
        first, counts = self.histogram._first, self.histogram._counts
        while below >= rank:
            at -= 1
            below -= counts[at - first]
        while below + counts[at - first] < rank:
            below += counts[at - first]
            at += 1
        return at, below
