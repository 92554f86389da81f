"""Compare what the cloud recorded with what was delivered and when somebody listened."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from math import sqrt
from typing import Final, NamedTuple

from ..measure.histogram import P99
from ..model import HOUR_US, Gap
from .delivered import Delivered, Fingerprints

# What happened longer than this before a gap was not on its way when the gap began.
LONGEST_DELAY_US: Final = 60_000_000
_Z95: Final = 1.96


@dataclass(slots=True)
class Counts:
    """Annotations of some cameras and hours.

    `missing` never arrived while we listened, `gap` never arrived while we did not; of these `edge` lie so near a gap
    that delay or clock may have put them there. `unrecorded` were delivered and are in no list. `unknown` are hours
    that could not be compared.
    """

    recorded: int = 0
    missing: int = 0
    gap: int = 0
    edge: int = 0
    unrecorded: int = 0
    unknown: int = 0

    def add(self, other: Counts, times: int = 1) -> None:
        """Count what the other has counted."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + times * getattr(other, each.name))

    @property
    def delivered(self) -> int:
        """How many of the recorded ones arrived."""
        return self.recorded - self.missing - self.gap

    @property
    def share(self) -> float | None:
        """The share lost of what could arrive; None when nothing could."""
        could = self.recorded - self.gap
        return self.missing / could if could else None

    @property
    def bounds(self) -> tuple[float, float]:
        """Where the share lies with 95 % (Wilson); for the upper bound what is near a gap was lost by the stream."""
        could = self.recorded - self.gap
        return _wilson(self.missing, could)[0], _wilson(self.missing + self.edge, could + self.edge)[1]


_MISSING, _GAP, _EDGE = Counts(missing=1), Counts(gap=1), Counts(gap=1, edge=1)


def summed(parts: Iterable[Counts]) -> Counts:
    """All parts together."""
    whole = Counts()
    for part in parts:
        whole.add(part)
    return whole


def worst_hour(hours: Mapping[int, Counts]) -> int | None:
    """The hour with the most missing events, the earliest of equal ones; None when nothing is missing."""
    worst = max(hours, key=lambda hour_us: (hours[hour_us].missing, -hour_us), default=None)
    return worst if worst is not None and hours[worst].missing else None


class Missing(NamedTuple):
    """A recorded event that was not delivered; `at_us` is None when the list does not date it."""

    uuid: str
    ns: int | None
    at_us: int | None
    hour_us: int
    counts_as: Counts


class Blind:
    """When nobody listened, made wider where a time is uncertain."""

    def __init__(self, spans: Iterable[tuple[int, int]], before_us: int = 0, after_us: int = 0) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted((start - before_us, end + after_us) for start, end in spans if end > start):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def touches(self, from_us: int, to_us: int) -> bool:
        """Whether any moment of [from, to) was not listened to."""
        at = bisect_right(self._ends, from_us)
        return at < len(self._starts) and self._starts[at] < to_us


class Reconciliation:
    """One camera, an hour's list at a time; `clock_us` is how wrong our clock may be, 0 when it is not suspect.

    `begins_us` is when the list begins; `unlisted` so many events were delivered in the hours before.
    """

    def __init__(self, delivered: Delivered, gaps: Iterable[Gap], known: Container[str], clock_us: int) -> None:
        self.hours: dict[int, Counts] = {}
        self.repeated = self.unreadable = self.unlisted = 0
        self.damaged = delivered.skipped.lines
        self.begins_us: int | None = None
        self.failure = ""
        self._delivered, self._known = delivered, known
        self._listed, self._met = Fingerprints(), Counter[int]()
        spans = [(gap.from_us, gap.to_us) for gap in gaps] + [*zip(delivered.seen_us, delivered.added_us, strict=True)]
        delay_us = min(LONGEST_DELAY_US, delivered.delays.quantile_us(P99)) if delivered.delays.n else 0
        self._blind, self._near = Blind(spans), Blind(spans, clock_us + delay_us, clock_us)

    def fail(self, from_us: int, reason: str, hours: int = 1) -> None:
        """An hour, or several from there on, could not be compared."""
        self.hours[from_us] = Counts(unknown=hours)
        self.failure = self.failure or reason

    def take(self, from_us: int, to_us: int, rows: Iterable[tuple[str, int | None, int | None]]) -> Iterator[Missing]:
        """Compare the list of an hour (uuid, time, namespace); yields what is missing."""
        counts = self.hours[from_us] = Counts()
        for uuid, at_us, ns in rows:
            if not self._listed.add(uuid):
                self.repeated += 1
                continue
            counts.recorded += 1
            self.begins_us = min(filter(None, (self.begins_us, at_us)), default=None)
            hour = self._hour_of(uuid, from_us // HOUR_US)
            if hour is not None:
                self._met[hour] += 1
            elif uuid not in self._delivered.others and uuid not in self._known:
                span = (from_us, to_us) if at_us is None else (at_us, at_us + 1)
                kind = _GAP if self._blind.touches(*span) else _EDGE if self._near.touches(*span) else _MISSING
                counts.add(kind)
                yield Missing(uuid, ns, at_us, from_us, kind)

    def _hour_of(self, uuid: str, likely: int) -> int | None:
        """The hour in which the stream dates an event; None when it created none such."""
        created = self._delivered.created
        if likely in created and uuid in created[likely]:
            return likely
        return next((hour for hour, part in created.items() if uuid in part), None)

    def arrived_late(self, missing: Missing) -> None:
        """What was missing has arrived meanwhile."""
        self.hours[missing.hour_us].add(missing.counts_as, -1)

    def finish(self) -> None:
        """All hours are read: count what was delivered and is in no list, but not before the list begins."""
        extra = {hour: len(part) - self._met[hour] for hour, part in self._delivered.created.items()}
        read = [hour_us for hour_us, counts in self.hours.items() if not counts.unknown]
        first = next((number for number, hour_us in enumerate(read) if self.hours[hour_us].recorded), 0)
        self.unlisted = sum(extra.get(hour_us // HOUR_US, 0) for hour_us in read[:first])
        for hour_us in read[first + bool(self.unlisted) :]:
            self.hours[hour_us].unrecorded = extra.get(hour_us // HOUR_US, 0)


def _wilson(hits: int, n: int) -> tuple[float, float]:
    if not n:
        return 0.0, 1.0
    part, z2 = hits / n, _Z95 * _Z95
    middle, wide = part + z2 / (2 * n), _Z95 * sqrt(part * (1 - part) / n + z2 / (4 * n * n))
    low, high = ((middle + sign * wide) / (1 + z2 / n) for sign in (-1, 1))
    return max(0.0, low) if hits else 0.0, min(1.0, high) if hits < n else 1.0
