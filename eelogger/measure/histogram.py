"""Count delays in logarithmic buckets that answer percentiles within 1 %.

Buckets grow by 2 % from 1 ms to 30 days, with one below and one above. A bucket answers with the value from which
both its ends are equally far in proportion, so that a nearest-rank percentile is within 1 % of the exact one, rounded
to a µs. Below 1 ms the one bucket is right within 0.5 ms; above 30 days the answer is "at least 30 days".
`n`, `total_us`, `min_us` and `max_us` are exact, and the first and last rank answer with them.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, count, pairwise, takewhile
from operator import add
from typing import Final

FIRST_US: Final = 1_000
LAST_US: Final = 30 * 24 * 3600 * 1_000_000
P50: Final = 500  # percentiles are given in thousandths
P95: Final = 950
P99: Final = 990

_BLOCK: Final = 8  # counts are kept for whole blocks of this many buckets (a factor of 1.17): few growths, little waste
# Most buckets hold fewer than 256 events: counts start with one byte and widen when one is full.
_WIDER: Final = {"B": "H", "H": "I"}

# The smallest µs of each bucket but the lowest, by exact arithmetic: 1000 · (51/50)^k, then 30 days.
_POWERS: Final = (-(-FIRST_US * 51**k // 50**k) for k in count())
_BOUNDS: Final[list[int]] = [*takewhile(lambda us: us < LAST_US, _POWERS), LAST_US]
# The first bucket of each block: one integer object for all histograms that begin there.
_FIRSTS: Final = list(range(0, len(_BOUNDS) + 1, _BLOCK))

# What each bucket answers with, the harmonic mean of its ends: all that a percentile can be but minimum and maximum.
_MEANS: Final = [round(2 * low * (end - 1) / (low + end - 1)) for low, end in pairwise(_BOUNDS)]
ANSWERS_US: Final = [FIRST_US // 2, *_MEANS, LAST_US]

# The bucket a duration falls into, by exact comparison; about as fast as one logarithm.
bucket_of: Final[Callable[[int], int]] = partial(bisect_right, _BOUNDS)


def rank_of(per_mille: int, n: int) -> int:
    """The nearest rank (1 … n) of a quantile in thousandths (1 … 1000)."""
    return -(-per_mille * n // 1000)


class Histogram:
    """Counts of durations in µs (0 or more); `min_us` and `max_us` are 0 while it is empty."""

    __slots__ = ("_counts", "_first", "max_us", "min_us", "n", "total_us")

    def __init__(self) -> None:
        self.n = self.total_us = self.min_us = self.max_us = self._first = 0
        self._counts = array("B")

    def add(self, us: int) -> None:
        """Count one duration."""
        self.count(bucket_of(us), us)

    def count(self, bucket: int, us: int) -> None:
        """Count a duration whose `bucket_of` is known already: one search serves several histograms."""
        index = bucket - self._first
        if not 0 <= index < len(self._counts):
            index = self._make_room(bucket)
        try:
            self._counts[index] += 1
        except OverflowError:
            self._counts = array(_WIDER[self._counts.typecode], self._counts)
            self._counts[index] += 1
        if us < self.min_us or not self.n:
            self.min_us = us
        if us > self.max_us:
            self.max_us = us
        self.n += 1
        self.total_us += us

    def _make_room(self, bucket: int) -> int:
        """Extend the range to this bucket's block; returns the bucket's index in it."""
        block, zero = _FIRSTS[bucket // _BLOCK], array(self._counts.typecode, [0])
        if not self._counts:
            self._first = block
        before, after = self._first - block, block + _BLOCK - self._first - len(self._counts)
        self._counts = zero * before + self._counts + zero * after  # of these one is negative: nothing
        self._first = min(block, self._first)
        return bucket - self._first

    def quantile_us(self, per_mille: int) -> int:
        """The nearest-rank quantile (500 is the median); 0 when nothing was counted."""
        return self.quantiles_us((per_mille,))[0]

    def quantiles_us(self, per_milles: Iterable[int]) -> list[int]:
        """Several quantiles for the cost of one."""
        upto = list(accumulate(self._counts))
        return [self._value_at(rank_of(per_mille, self.n), upto) for per_mille in per_milles]

    def _value_at(self, rank: int, upto: list[int]) -> int:
        if rank == self.n:
            return self.max_us
        if rank == 1:
            return self.min_us
        return max(self.min_us, min(self.max_us, ANSWERS_US[self._first + bisect_left(upto, rank)]))

    def counts(self) -> Iterator[tuple[int, int]]:
        """Each occupied bucket, upwards: the largest µs that falls into it (the maximum above 30 days), its count."""
        for bucket, n in enumerate(self._counts, self._first):
            if n:
                yield (_BOUNDS[bucket] - 1 if bucket < len(_BOUNDS) else self.max_us), n


class RunningQuantiles:
    """p50, p95, p99 of a growing histogram, at constant cost per event.

    Each position is remembered with what lies below it, and moves by at most one occupied bucket an event.
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


def merged(parts: Iterable[Histogram]) -> Histogram:
    """A new histogram of everything the parts have counted."""
    whole, used = Histogram(), [part for part in parts if part.n]
    if len(used) == 1:  # the usual case while snapshots are rendered: nothing to add up
        (one,) = used
        whole.n, whole.total_us, whole.min_us, whole.max_us = one.n, one.total_us, one.min_us, one.max_us
        whole._first, whole._counts = one._first, one._counts[:]
    elif used:
        whole.n, whole.total_us = sum(part.n for part in used), sum(part.total_us for part in used)
        whole.min_us, whole.max_us = min(part.min_us for part in used), max(part.max_us for part in used)
        whole._first = first = min(part._first for part in used)
        sums = [0] * (max(part._first + len(part._counts) for part in used) - first)
        for part in used:
            here = slice(part._first - first, part._first - first + len(part._counts))
            sums[here] = map(add, sums[here], part._counts)
        most = max(sums)
        whole._counts = array("B" if most < 1 << 8 else "H" if most < 1 << 16 else "I", sums)
    return whole


def signed_quantile_us(early: Histogram, delays: Histogram, per_mille: int) -> int:
    """A quantile over all dated events; `early` holds the negative delays without their sign."""
    rank = rank_of(per_mille, early.n + delays.n)
    if rank <= early.n:
        return -early._value_at(early.n - rank + 1, list(accumulate(early._counts)))
    return delays._value_at(rank - early.n, list(accumulate(delays._counts)))
