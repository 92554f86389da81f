"""Compare what the cloud recorded with what was delivered and when somebody listened."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Final, NamedTuple

from ..errors import NothingToShow
from ..measure.camera_statistics import CREATE_OP
from ..measure.histogram import P99, Histogram
from ..model import HOUR_US, INITIAL, MEASURED, Gap, Group
from ..storage.delaylog import DelayRow
from ..storage.formats import parse_identity
from ..storage.line_blocks import text_lines
from ..storage.paths import LogPaths
from .query import Query
from .read import DelayLogs

LONGEST_DELAY_US: Final = 60_000_000  # what happened longer before a gap was not on its way when the gap began


# Annotations: `missing` never arrived while we listened, `gap` while we did not; of these `edge` lie so near a gap that
# delay or clock may have put them there. `unrecorded` are in no list. `unknown` are hours that could not be compared.
KINDS: Final = ("recorded", "missing", "gap", "edge", "unrecorded", "unknown")
Counts = Counter[str]


class Missing(NamedTuple):
    """A recorded event that was not delivered; `at_us` is None when the list does not date it."""

    uuid: str
    ns: int | None
    at_us: int | None
    hour_us: int
    counts_as: tuple[str, ...]


def mark(uuid: str) -> int:
    """A hash for sets of a million: letters count as small ones, since lists may write a uuid otherwise."""
    return hash(uuid.lower())


class Reconciliation:
    """One camera: first its delay lines are delivered, then the hours' lists taken, then it is finished.

    `added_us`, in order, is when it was logged (again); `known` are identities that arrived; `clock_us` is how wrong
    our clock may be. `begins_us` is the hour in which the list begins; `unlisted` events were delivered before.
    """

    def __init__(self, gaps: Iterable[Gap], added_us: Sequence[int], known: set[int], clock_us: int) -> None:
        self.hours: dict[int, Counts] = {}
        self.unreadable = self.damaged = self.unlisted = self.begins_us = 0
        self.failure = ""
        self._gaps, self._added_us, self._seen_us = gaps, added_us, [0] * len(added_us)
        self._known, self._clock_us, self._delays = known, clock_us, Histogram()
        self._created: dict[int, int] = {}  # the hours of events that a list should have
        self._others, self._listed = set[int](), set[int]()

    def deliver(self, rows: Iterable[list[DelayRow]], query: Query, wants: Callable[[Group], bool]) -> None:
        """Take delay lines; `wants` tells whether a list should have events of a group."""
        for row in chain.from_iterable(rows):
            at = bisect_right(self._added_us, row.arrived_us)
            if at < len(self._added_us):
                self._seen_us[at] = max(self._seen_us[at], row.arrived_us)
            if row.delay_us is not None and row.kind == MEASURED:
                self._delays.add(row.delay_us)
            # What is first seen after its creation began earlier than it says; an initial value may be of any age.
            is_created = row.type == "ANNT" and row.kind != INITIAL and row.op in (None, CREATE_OP) and wants(row.group)
            at_us = row.arrived_us - (row.delay_us or 0)
            if row.delay_us is not None and is_created and query.since_us <= at_us < query.until_us:
                self._created[mark(row.identity)] = at_us // HOUR_US
            else:
                self._others.add(mark(row.identity))

    def fail(self, from_us: int, reason: str, hours: int = 1) -> None:
        """An hour, or several from there on, could not be compared."""
        self.hours[from_us] = Counts(unknown=hours)
        self.failure = self.failure or reason

    def take(self, from_us: int, to_us: int, rows: Iterable[tuple[str, int | None, int | None]]) -> Iterator[Missing]:
        """Compare the list of an hour (uuid, time, namespace); yields what is missing."""
        counts = self.hours[from_us] = Counts()
        for uuid, at_us, ns in rows:
            if (key := mark(uuid)) in self._listed:
                continue
            self._listed.add(key)
            counts["recorded"] += 1
            if self._created.pop(key, None) is None and key not in self._others and key not in self._known:
                missing = self._missing(*((from_us, to_us) if at_us is None else (at_us, at_us + 1)))
                counts.update(missing)
                yield Missing(uuid, ns, at_us, from_us, missing)

    def finish(self) -> None:
        """All hours are read: count what was delivered and is in no list, but not before the list begins."""
        extra = Counter(self._created.values())
        read = [hour_us for hour_us, counts in self.hours.items() if not counts["unknown"]]
        first = next((number for number, hour_us in enumerate(read) if self.hours[hour_us]["recorded"]), 0)
        self.begins_us = read[first] if read else 0
        self.unlisted = sum(extra[hour_us // HOUR_US] for hour_us in read[:first])
        for hour_us in read[first + bool(self.unlisted) :]:
            self.hours[hour_us]["unrecorded"] = extra[hour_us // HOUR_US]
        self._created, self._others, self._listed = {}, set(), set()  # of thousands of cameras they would fill memory

    @cached_property
    def _blind(self) -> list[tuple[int, int]]:
        spans = [(gap.from_us, gap.to_us) for gap in self._gaps]
        return [span for span in (*spans, *zip(self._seen_us, self._added_us, strict=True)) if span[1] > span[0]]

    def _missing(self, from_us: int, to_us: int) -> tuple[str, ...]:
        if any(start < to_us and end > from_us for start, end in self._blind):
            return ("gap",)
        delay_us = min(LONGEST_DELAY_US, self._delays.quantile_us(P99)) if self._delays.n else 0
        before_us, after_us = from_us - self._clock_us, to_us + self._clock_us + delay_us
        if any(start < after_us and end > before_us for start, end in self._blind):
            return "gap", "edge"
        return ("missing",)


def find_logs(query: Query) -> DelayLogs:
    """The delay logs that may tell of a period; raises `NothingToShow` when one cannot be listed."""
    logs = DelayLogs(replace(query, since_us=max(0, query.since_us - HOUR_US)))  # a clock was behind at midnight
    for error in logs.skipped.files:
        raise NothingToShow(f"{error.filename} cannot be read: {error.strerror}", "check its owner and mode")
    return logs


def identities(paths: LogPaths) -> set[int]:
    """The marks of what the identity logs have now."""
    return {mark(parse_identity(line)) for path in (paths.uuids_old, paths.uuids) for line in text_lines(path)}
