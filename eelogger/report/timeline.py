"""Delays along the time axis, in slots that grow with the period, so that a month costs no more than an hour.

Invariant: every delay is in exactly one slot, all slots are of one length, which is a divisor of a day or whole days,
and there are at most `LIMIT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..figures.histogram import Histogram
from .values import Slot

LIMIT: Final = 400
"""More than a plot can show apart, on paper or screen."""
_SECONDS: Final = (5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
"""Each a multiple of the one before, so that whole slots become part of a longer one."""


class Timeline:
    """Delays by slot; starts with 5 s and takes the next longer slots whenever there are too many."""

    def __init__(self) -> None:
        self.slot_us = _SECONDS[0] * 1_000_000
        self._slots: dict[int, Histogram] = {}
        self._first = self._last = -1

    def count(self, arrived_us: int, bucket: int, delay_us: int) -> None:
        """Count a delay whose `bucket_of` is known."""
        index = arrived_us // self.slot_us
        slot = self._slots.get(index)
        if slot is None:
            slot = self._slots[index] = Histogram()
            slot.count(bucket, delay_us)
            self._keep_within(index)
            return
        slot.count(bucket, delay_us)

    def slots(self) -> Iterator[Slot]:
        """The slots that have delays, in order of time."""
        for index in sorted(self._slots):
            yield Slot(index * self.slot_us, (index + 1) * self.slot_us, self._slots[index])

    def _keep_within(self, index: int) -> None:
        self._first = index if self._first < 0 else min(self._first, index)
        self._last = max(self._last, index)
        while self._last - self._first >= LIMIT:
            longer_us = next((s * 1_000_000 for s in _SECONDS if s * 1_000_000 > self.slot_us), self.slot_us * 2)
            merged: dict[int, Histogram] = {}
            for old, slot in self._slots.items():
                merged.setdefault(old * self.slot_us // longer_us, Histogram()).merge(slot)
            self._slots, self.slot_us = merged, longer_us
            self._first, self._last = min(merged), max(merged)
