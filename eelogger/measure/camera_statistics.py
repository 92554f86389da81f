"""Keep the delay statistics of each camera for one UTC day."""

from collections import defaultdict
from collections.abc import Container
from typing import Final

from ..model import EARLY, HOUR_US, INITIAL, LOGGED_KINDS, MEASURED, UNDATED, Group, RunningFigures, Verdict, made
from .histogram import ANSWERS_US, P95, Histogram, RunningQuantiles, bucket_of, merged
from .seconds import mean3, seconds3

# `op` of an annotation's creation. A later one seen first (a modify may carry the creation's timestamp) dates from
# before we could see it.
CREATE_OP: Final = 1

_TEXT: Final = {us: seconds3(us) for us in ANSWERS_US}
# Most groups have no events in most hours. They share these, which never change.
_EMPTY: Final = Histogram()
_NO_HOURS: Final[dict[int, int]] = {}


def is_suspect(early: int, measured: int) -> bool:
    """More than 1 % came early: a clock is wrong, and the measured delays lack their low end."""
    return early * 100 > early + measured


def is_clean(verdict: Verdict) -> bool:
    """Whether its delay is free of gaps and own lag, and dates from its creation."""
    is_tainted = verdict.after_gap_us is not None or verdict.lag_us is not None
    return verdict.kind == MEASURED and not is_tainted and verdict.op in (None, CREATE_OP)


class _GroupStatistics:
    """One group's day in three parts: the present clock hour, the one before it in time of arrival, all others."""

    __slots__ = ("before", "hour", "latest_us", "others")

    def __init__(self) -> None:
        self.others = self.before = self.hour = _EMPTY
        self.latest_us = 0


class CameraStatistics:
    """One camera's first-seen events of a UTC day, and their figures.

    By group two clock hours are kept, those in which events came last, whichever way the clock was set.
    """

    __slots__ = (
        "_before", "_day", "_early_hours", "_hour", "_least", "_most", "_p95s", "early", "groups", "initial", "undated",
    )  # fmt: skip

    def __init__(self) -> None:
        self.initial = self.undated = 0
        self.early, self._early_hours = _EMPTY, _NO_HOURS  # delays without their sign
        self._day = RunningQuantiles()
        self.groups: dict[Group, _GroupStatistics] = {}
        self._hour = self._before = -1
        self._p95s: list[int | None] | None = None
        self._least = self._most = ""

    def count(self, kind: str, arrived_us: int, delay_us: int | None, group: Group) -> bool:
        """Count a first sight; True when it is the worst measured one of the day so far."""
        if kind == INITIAL:
            self.initial += 1
        elif kind == UNDATED or delay_us is None:
            self.undated += 1
        elif kind == EARLY:
            if not self.early.n:
                self.early, self._early_hours = Histogram(), defaultdict(int)
            self.early.add(-delay_us)
            self._early_hours[arrived_us // HOUR_US] += 1
        else:
            return self.observe(arrived_us, delay_us, group)
        return False

    def observe(self, arrived_us: int, delay_us: int, group: Group) -> bool:
        """Add a measured delay (0 or more); True when it is the worst of the day so far."""
        hour = arrived_us // HOUR_US
        if hour != self._hour:
            self._turn(hour)
        stats = self.groups.get(group)
        if stats is None:
            stats = self.groups[group] = _GroupStatistics()
        if arrived_us > stats.latest_us:
            stats.latest_us = arrived_us
        bucket = bucket_of(delay_us)
        if not stats.hour.n:
            stats.hour = Histogram()
        stats.hour.count(bucket, delay_us)
        day = self._day.histogram
        worst = delay_us > day.max_us or not day.n
        if worst:
            self._most = seconds3(delay_us)
        if delay_us < day.min_us or not day.n:
            self._least = seconds3(delay_us)
        self._day.count(bucket, delay_us)
        return worst

    def figures(self, group: Group) -> RunningFigures:
        """The figures for a delay line of this group; KeyError when it has no measured event."""
        day, stats = self._day.histogram, self.groups[group]
        n = stats.others.n + stats.before.n + stats.hour.n
        total_us = stats.others.total_us + stats.before.total_us + stats.hour.total_us
        # A percentile is a bucket's answer or else an extreme; those have their texts already.
        least, most, most_us = self._least, self._most, day.max_us
        p50, p95, p99 = self._day.values_us()
        p50_s = most if p50 == most_us else _TEXT.get(p50) or least
        p95_s = most if p95 == most_us else _TEXT.get(p95) or least
        p99_s = most if p99 == most_us else _TEXT.get(p99) or least
        means = mean3(day.total_us, day.n), mean3(total_us, n)
        return made(RunningFigures, (day.n, p50_s, p95_s, p99_s, means[0], least, most, n, means[1]))

    def _turn(self, hour: int) -> None:
        """Begin this clock hour. If it was the one before, the clock was put back or set right."""
        returns = hour == self._before
        if not returns and self._before >= 0:
            self._p95s = self.hourly_p95
        for stats in self.groups.values():
            if not returns and stats.before.n:
                stats.others, stats.before = merged((stats.others, stats.before)), _EMPTY
            stats.hour, stats.before = stats.before, stats.hour
        self._hour, self._before = hour, self._hour

    @property
    def hourly_p95(self) -> list[int | None]:
        """p95 in µs of each UTC hour, None without measured events."""
        p95s = list(self._p95s or [None] * 24)
        for hour in (self._before, self._hour):
            whole = self._kept(None, (hour,))
            if whole.n:
                # The bucket's answer: one integer object for all cameras.
                p95s[hour % 24] = ANSWERS_US[bucket_of(whole.quantile_us(P95))]
        return p95s

    @property
    def n(self) -> int:
        """Measured events of the day."""
        return self._day.histogram.n

    def latest_us(self, group: Group | None = None) -> int:
        """Arrival of the group's (or camera's) latest measured event. It is 0 when there is none."""
        return max((stats.latest_us for stats in self._chosen(group)), default=0)

    def day(self, group: Group | None = None) -> Histogram:
        """The day of the camera or of a group, as a copy."""
        if group is None:
            return merged([self._day.histogram])
        return merged(part for each in self._chosen(group) for part in (each.others, each.before, each.hour))

    def recent(self, group: Group | None, now_us: int) -> Histogram:
        """A copy of two clock hours: that of `now_us` and the one before."""
        hour = now_us // HOUR_US
        return self._kept(group, (hour - 1, hour))

    def _kept(self, group: Group | None, hours: Container[int]) -> Histogram:
        chosen = self._chosen(group)
        parts = [stats.hour for stats in chosen] if self._hour in hours else []
        if self._before in hours:
            parts += [stats.before for stats in chosen]
        return merged(parts)

    def _chosen(self, group: Group | None) -> list[_GroupStatistics]:
        return [stats for key, stats in self.groups.items() if group is None or key == group]

    def recent_early(self, now_us: int) -> int:
        """Early events of the same two clock hours as in `recent`."""
        return sum(self._early_hours.get(now_us // HOUR_US - back, 0) for back in (0, 1))

    @property
    def suspect(self) -> bool:
        """The figures cannot be trusted, see `is_suspect`."""
        return is_suspect(self.early.n, self.n)


class Day:
    """Statistics, worst and worst clean verdict by camera id; a camera without an event today has none."""

    def __init__(self) -> None:
        self.cameras: dict[str, CameraStatistics] = defaultdict(CameraStatistics)
        self.worst: dict[str, Verdict] = {}
        self.clean: dict[str, Verdict] = {}
        self.worst_changes = 0  # counts what makes `maxeventdelay.log` another

    def count(self, verdict: Verdict) -> None:
        """Rank a measured verdict among the worst, or count another first sight; a repeat is none."""
        kind, camera_id, delay_us = verdict.kind, verdict.camera_id, verdict.delay_us
        if kind == MEASURED:
            if verdict.new_max:
                self.worst[camera_id] = verdict
                self.worst_changes += 1
            before = self.clean.get(camera_id)
            if (before is None or (delay_us or 0) > (before.delay_us or 0)) and is_clean(verdict):
                self.clean[camera_id] = verdict._replace(data=None)
        elif kind in LOGGED_KINDS:
            self.cameras[camera_id].count(kind, verdict.arrived_us, delay_us, verdict.group)
