"""The statistics of one camera on one UTC day: by group (annotation namespace, or four-CC) and by clock hour.

Only measured delays are figures; early ones (negative delays) are kept apart, and `censored` says when there are so
many that the figures are cut off. Which event is measured is for `handler`, how it looks for `lines`. Invariant:
whatever the order of groups and hours, figures are those recomputed from the list of all delays (exact for n, min,
avg, max; percentiles within 1 %). Beside the day only the two latest hours seen are kept, by group.
Memory, measured with three groups: 2.9 KB in the first hour, 4.9 KB after a day of 60 events an hour (49 MB for 10,000
cameras), 5.7 KB after one of 1,000.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from .figures.histogram import ANSWERS_US, P95, Histogram, bucket_of, joined, merged, rank_of
from .figures.quantiles import RunningQuantiles
from .model import Figures, Group, made
from .text.units import mean3, seconds3

HOUR_US: Final = 3_600_000_000
CENSORED_PARTS: Final = 100
"""More than one early event in so many (measured and early) means that the measured ones are cut off as well."""

_TEXT: Final = {us: seconds3(us) for us in ANSWERS_US}


class _GroupStats:
    """One group's day and its two latest clock hours: the day without the current hour, the one before packed."""

    __slots__ = ("earlier", "hour", "hour_before", "latest_us")

    def __init__(self) -> None:
        self.earlier = Histogram()
        self.hour = Histogram()
        self.hour_before: bytes | None = None
        self.latest_us = 0

    def turn(self, *, to_next: bool) -> None:
        """The current hour is over; the one that begins is the next one, or a later one."""
        self.hour_before = self.hour.packed() if to_next and self.hour.n else None
        self.earlier.merge(self.hour)
        self.hour = Histogram()

    def count_late(self, bucket: int, delay_us: int, *, hour_before: bool) -> None:
        """Count an event of an hour that is over."""
        self.earlier.count(bucket, delay_us)
        if hour_before:
            before = Histogram.unpacked(self.hour_before) if self.hour_before else Histogram()
            before.count(bucket, delay_us)
            self.hour_before = before.packed()


class CameraStats:
    """What is known of one camera's delays on one UTC day; `initial` and `undated` first sights the caller counts."""

    __slots__ = ("_day", "_early", "_groups", "_hour", "_max_text", "_min_text", "_p95_of_hours", "initial", "undated")

    def __init__(self) -> None:
        self.initial = 0
        self.undated = 0
        self._early: Histogram | None = None
        self._day = RunningQuantiles()
        self._groups: dict[Group, _GroupStats] = {}
        self._hour = 0
        self._p95_of_hours: array[int] | None = None
        self._min_text = self._max_text = ""

    def observe(self, arrived_us: int, delay_us: int, group: Group) -> bool:
        """Add a measured delay (0 or more); True when it is the worst of the day so far."""
        hour = arrived_us // HOUR_US
        if hour > self._hour:
            self._turn(hour)
        stats = self._groups.get(group)
        if stats is None:
            stats = self._groups[group] = _GroupStats()
        if arrived_us > stats.latest_us:
            stats.latest_us = arrived_us
        bucket = bucket_of(delay_us)
        if hour == self._hour:
            stats.hour.count(bucket, delay_us)
        else:  # only when a clock was put back
            stats.count_late(bucket, delay_us, hour_before=hour == self._hour - 1)
        day = self._day.histogram
        worst = delay_us > day.max_us or not day.n
        if worst:
            self._max_text = seconds3(delay_us)
        if delay_us < day.min_us or not day.n:
            self._min_text = seconds3(delay_us)
        self._day.count(bucket, delay_us)
        return worst

    def observe_early(self, delay_us: int) -> None:
        """Add an early event's negative delay; it enters no figure but the share and the signed quantiles."""
        self._early = self._early or Histogram()
        self._early.add(-delay_us)

    def figures(self, group: Group) -> Figures:
        """The running statistics for a delay line of this group; KeyError when it has no measured event."""
        day, of_group = self._day.histogram, self._groups[group]
        p50, p95, p99 = self._day.values_us()
        n = of_group.earlier.n + of_group.hour.n
        # A percentile is a bucket's answer or else an extreme; those have their texts already.
        least, most, most_us = self._min_text, self._max_text, day.max_us
        figures = (
            day.n,
            most if p50 == most_us else _TEXT.get(p50) or least,
            most if p95 == most_us else _TEXT.get(p95) or least,
            most if p99 == most_us else _TEXT.get(p99) or least,
            mean3(day.total_us, day.n),
            least,
            most,
            n,
            mean3(of_group.earlier.total_us + of_group.hour.total_us, n),
        )
        return made(Figures, figures)

    def _turn(self, hour: int) -> None:
        """Begin a new clock hour."""
        if self._groups:
            self._p95_of_hours = self._p95_by_hour()
        for stats in self._groups.values():
            stats.turn(to_next=hour == self._hour + 1)
        self._hour = hour

    def _p95_by_hour(self) -> array[int]:
        """A place for each hour of the day, -1 without measured events; the two kept hours brought up to date."""
        hours = array("q", self._p95_of_hours or [-1] * 24)
        for hour in (self._hour - 1, self._hour):
            whole = self.recent(None, hour * HOUR_US, hours=1)
            if whole.n:
                hours[hour % 24] = whole.quantile_us(P95)
        return hours

    @property
    def hourly_p95(self) -> list[int | None]:
        """p95 in µs of each UTC hour of the day, None without measured events."""
        return [None if us < 0 else us for us in self._p95_by_hour()]

    @property
    def groups(self) -> list[Group]:
        """The groups that have measured events, in the order of their first."""
        return list(self._groups)

    @property
    def n(self) -> int:
        """Measured events of the day."""
        return self._day.histogram.n

    def latest_us(self, group: Group | None = None) -> int:
        """When the latest measured event of a group, or of the camera, arrived; 0 when there is none."""
        return max((stats.latest_us for stats in self._chosen(group)), default=0)

    def day(self, group: Group | None = None) -> Histogram:
        """The day of the camera, a copy; or of a group, to be read at once (`histogram.joined`)."""
        if group is None:
            return merged([self._day.histogram])
        return joined(part for stats in self._chosen(group) for part in (stats.earlier, stats.hour))

    def recent(self, group: Group | None, now_us: int, hours: int = 2) -> Histogram:
        """The last two clock hours up to the one of `now_us` (with `hours=1` only that), of a group or the camera.

        To be read at once (`histogram.joined`).
        """
        parts = list(self._hours_of(group, range(now_us // HOUR_US - hours + 1, now_us // HOUR_US + 1)))
        if group is None and sum(part.n for part in parts) == self.n:
            return self._day.histogram  # the day has no other events: nothing to add up
        return joined(parts)

    def _hours_of(self, group: Group | None, wanted: range) -> Iterator[Histogram]:
        for stats in self._chosen(group):
            if self._hour in wanted:
                yield stats.hour
            if stats.hour_before and self._hour - 1 in wanted:
                yield Histogram.unpacked(stats.hour_before)

    def _chosen(self, group: Group | None) -> list[_GroupStats]:
        if group is None:
            return list(self._groups.values())
        return [self._groups[group]] if group in self._groups else []

    @property
    def early(self) -> int:
        """Events of the day that arrived before their own timestamp."""
        return self._early.n if self._early else 0

    @property
    def early_share(self) -> float:
        """The early part of all measured and early events, 0 … 1."""
        return self.early / (self.early + self.n) if self.early else 0.0

    @property
    def censored(self) -> bool:
        """More than 1 % were early: what is measured lacks its low end, and the figures cannot be trusted."""
        return self.early * CENSORED_PARTS > self.early + self.n

    def signed_quantile_us(self, per_mille: int) -> int:
        """A quantile over all dated events, early ones as negative delays; ValueError when there is none."""
        rank = rank_of(per_mille, self.early + self.n)
        if self._early and rank <= self.early:
            return -self._early.value_at(self.early - rank + 1)
        return self._day.histogram.value_at(rank - self.early)
