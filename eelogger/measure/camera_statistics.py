"""Keep the delay statistics of each camera for one UTC day.

Only measured delays are figures; early ones are kept apart. Whatever the order of groups and hours, figures are those
recomputed from the list of all delays: exact for n, min, avg and max, within 1 % for percentiles.
"""

from collections import defaultdict
from typing import Final

from ..model import EARLY, HOUR_US, INITIAL, LOGGED_KINDS, MEASURED, UNDATED, Group, RunningFigures, Verdict, made
from .histogram import ANSWERS_US, P95, Histogram, bucket_of, merged
from .quantiles import RunningQuantiles
from .seconds import mean3, seconds3

# `op` of an annotation's creation. A later one seen first (a modify may carry the creation's timestamp) dates from
# before we could see it.
CREATE_OP: Final = 1

_TEXT: Final = {us: seconds3(us) for us in ANSWERS_US}
_NO_HOUR: Final = -1
# These stand for what has no events, as most groups in most hours: nothing is counted into them.
_EMPTY: Final = Histogram()
_NO_HOURS: Final[dict[int, int]] = {}


def is_suspect(early: int, measured: int) -> bool:
    """More than 1 % came early: a clock is wrong, and the measured delays lack their low end."""
    return early * 100 > early + measured


def is_clean(verdict: Verdict) -> bool:
    """Measured, neither after a gap nor while we were busy, and seen first as its creation."""
    is_tainted = verdict.after_gap_us is not None or verdict.lag_us is not None
    return verdict.kind == MEASURED and not is_tainted and verdict.op in (None, CREATE_OP)


class _GroupStatistics:
    """One group's day in three parts: the present clock hour, the one before it in time of arrival, all others."""

    __slots__ = ("before", "hour", "latest_us", "others")

    def __init__(self) -> None:
        self.others = self.before = self.hour = _EMPTY
        self.latest_us = 0


class CameraStatistics:
    """One camera's delays of a UTC day; the caller counts the first sights that are `initial` or `undated`.

    By group two clock hours are kept, those in which events came last, whichever way the clock was set.
    """

    __slots__ = (
        "_before", "_day", "_early", "_early_hours", "_groups", "_hour", "_least", "_most", "_p95s",
        "initial", "undated",
    )  # fmt: skip

    def __init__(self) -> None:
        self.initial = self.undated = 0
        self._early, self._early_hours = _EMPTY, _NO_HOURS
        self._day = RunningQuantiles()
        self._groups: dict[Group, _GroupStatistics] = {}
        self._hour = self._before = _NO_HOUR
        self._p95s: list[int | None] | None = None
        self._least = self._most = ""

    def observe(self, arrived_us: int, delay_us: int, group: Group) -> bool:
        """Add a measured delay (0 or more); True when it is the worst of the day so far."""
        hour = arrived_us // HOUR_US
        if hour != self._hour:
            self._turn(hour)
        stats = self._groups.get(group)
        if stats is None:
            stats = self._groups[group] = _GroupStatistics()
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

    def observe_early(self, arrived_us: int, delay_us: int) -> None:
        """Add an early event's negative delay; only the early share and the signed quantiles know of it."""
        if not self._early.n:
            self._early, self._early_hours = Histogram(), defaultdict(int)
        self._early.add(-delay_us)
        self._early_hours[arrived_us // HOUR_US] += 1

    def figures(self, group: Group) -> RunningFigures:
        """The figures for a delay line of this group; KeyError when it has no measured event."""
        day, stats = self._day.histogram, self._groups[group]
        n = stats.others.n + stats.before.n + stats.hour.n
        total_us = stats.others.total_us + stats.before.total_us + stats.hour.total_us
        # a percentile is a bucket's answer or else an extreme; those have their texts already.
        least, most, most_us = self._least, self._most, day.max_us
        p50, p95, p99 = self._day.values_us()
        p50_s = most if p50 == most_us else _TEXT.get(p50) or least
        p95_s = most if p95 == most_us else _TEXT.get(p95) or least
        p99_s = most if p99 == most_us else _TEXT.get(p99) or least
        means = mean3(day.total_us, day.n), mean3(total_us, n)
        return made(RunningFigures, (day.n, p50_s, p95_s, p99_s, means[0], least, most, n, means[1]))

    def count(self, kind: str, at_us: int, delay_us: int | None, group: Group) -> bool:
        """Take a first sight of any kind; True when it is the worst measured one so far."""
        if kind == MEASURED:
            return self.observe(at_us, delay_us or 0, group)
        if kind == EARLY:
            self.observe_early(at_us, delay_us or 0)
        else:
            self.initial += kind == INITIAL
            self.undated += kind == UNDATED
        return False

    def _turn(self, hour: int) -> None:
        """Let this clock hour be the present one; if it is the one before, the clock was put back or set right."""
        returns = hour == self._before
        if not returns and self._before != _NO_HOUR:
            self._p95s = self.hourly_p95
        for stats in self._groups.values():
            if not returns and stats.before.n:
                stats.others, stats.before = merged((stats.others, stats.before)), _EMPTY
            stats.hour, stats.before = stats.before, stats.hour
        self._hour, self._before = hour, self._hour

    @property
    def hourly_p95(self) -> list[int | None]:
        """p95 in µs of each UTC hour of the day, None without measured events."""
        p95s = list(self._p95s or [None] * 24)
        for hour in (self._before, self._hour):
            whole = self._hours(None, hour, hour)
            if whole.n:
                # the bucket's answer: one integer object for all cameras.
                p95s[hour % 24] = ANSWERS_US[bucket_of(whole.quantile_us(P95))]
        return p95s

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
        """The day of the camera or of a group, as a copy."""
        if group is None:
            return merged([self._day.histogram])
        return merged(part for each in self._chosen(group) for part in (each.others, each.before, each.hour))

    def recent(self, group: Group | None, now_us: int) -> Histogram:
        """The clock hour of `now_us` and the one before it, of the camera or of a group, as a copy."""
        return self._hours(group, now_us // HOUR_US - 1, now_us // HOUR_US)

    def _hours(self, group: Group | None, first: int, last: int) -> Histogram:
        chosen, parts = self._chosen(group), list[Histogram]()
        if first <= self._hour <= last:
            parts += [stats.hour for stats in chosen]
        if first <= self._before <= last:
            parts += [stats.before for stats in chosen]
        return merged(parts)

    def _chosen(self, group: Group | None) -> list[_GroupStatistics]:
        return [stats for key, stats in self._groups.items() if group is None or key == group]

    @property
    def early(self) -> int:
        """Events of the day that arrived before their own timestamp."""
        return self._early.n

    def recent_early(self, now_us: int) -> int:
        """Early events of the clock hour of `now_us` and the one before it."""
        return sum(self._early_hours.get(now_us // HOUR_US - back, 0) for back in (0, 1))

    @property
    def early_delays(self) -> Histogram:
        """The delays of early events without their sign, as a copy."""
        return merged([self._early])

    @property
    def suspect(self) -> bool:
        """The figures cannot be trusted, see `is_suspect`."""
        return is_suspect(self.early, self.n)


class Day:
    """Statistics, worst and worst clean verdict by camera id; a camera without an event today has none.

    `worst_changes` counts what makes `maxeventdelay.log` another.
    """

    def __init__(self) -> None:
        self.cameras: dict[str, CameraStatistics] = {}
        self.worst: dict[str, Verdict] = {}
        self.clean: dict[str, Verdict] = {}
        self.worst_changes = 0

    def camera(self, camera_id: str) -> CameraStatistics:
        """The statistics of a camera, empty ones when it has none yet."""
        return self.cameras.get(camera_id) or self.cameras.setdefault(camera_id, CameraStatistics())

    def count(self, verdict: Verdict) -> None:
        """Take a verdict: its place among the worst, or its count when it is a first sight that is not measured."""
        kind, camera_id, delay_us = verdict.kind, verdict.camera_id, verdict.delay_us or 0
        if kind == MEASURED:
            if verdict.new_max:
                self.worst[camera_id] = verdict
                self.worst_changes += 1
            before = self.clean.get(camera_id)
            if (before is None or delay_us > (before.delay_us or 0)) and is_clean(verdict):
                self.clean[camera_id] = verdict._replace(data=None)
        elif kind in LOGGED_KINDS:
            self.camera(camera_id).count(kind, verdict.arrived_us, delay_us, verdict.group)
