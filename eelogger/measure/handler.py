"""Judge each value under a four-CC, and remember identities.

    measured at all? → has an identity? → duplicate → undated → early → initial → measured

After each subscription the server pushes the latest value of each (camera, four-CC), which may be days old and is not
marked. So the first value of a (camera, four-CC) in a subscription is `initial` when it is dated before the
subscription and arrived within 60 s of it. A repeat or undated value uses "first" up too. Known error: a camera whose
clock is far behind has one fresh event of each four-CC and connection taken for `initial`.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from ..model import DUPLICATE, EARLY, FOUR_CCS, IGNORED, INITIAL, MEASURED, UNDATED, UNIDENTIFIED, Reject, Verdict, made
from .camera_statistics import Day
from .histogram import Histogram
from .protocol import event_time_us, identity as identity_of, integer, split_events

INITIAL_WINDOW_US: Final = 60_000_000
PREVIEW: Final = "pre"
GENERATION: Final = 100_000  # identities in one generation, lines of one identity log


class Dedup:
    """The identities of two generations: those of `processed_event_uuids.log` and of its `.1`; 20 MB when full."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._current: set[bytes] = set()
        self._previous: set[bytes] = set()
        # Of each (camera, four-CC), however long ago it came: that is what a server repeats after a reconnect.
        self._latest: dict[tuple[str, str], bytes] = {}

    def seen(self, identity: str, camera_id: str, four_cc: str) -> bool:
        """Tell whether the identity is known; from now on it is."""
        mark, kind = _fingerprint(identity), (camera_id, four_cc)
        known = self._latest.get(kind) == mark or self._add(mark)
        self._latest[kind] = mark
        return known

    def restore(self, identities: Iterable[str]) -> None:
        """Take the lines of an identity log, oldest first; call `turn` between `.1` and the current one."""
        for identity in identities:
            self._add(_fingerprint(identity))

    def turn(self) -> None:
        """Begin a new generation and forget the oldest. Nothing happens if one has just begun."""
        if self._current:
            self._previous, self._current = self._current, set()

    def __contains__(self, identity: str) -> bool:
        mark = _fingerprint(identity)
        return mark in self._current or mark in self._previous

    def _add(self, mark: bytes) -> bool:
        """Put a fingerprint into the present generation; True when it is in one already."""
        if mark in self._current or mark in self._previous:
            return True
        self._current.add(mark)
        if len(self._current) >= self._generation:  # as the writer rotates: what a restart would know never differs
            self.turn()
        return False


def _fingerprint(identity: str) -> bytes:
    # 15 bytes take 48 in memory, a UUID's text 96, the longest identity over 300. Two of 10**10 identities have one
    # fingerprint with a probability of 10**-16. A lone surrogate is legal in JSON: it is encoded too.
    return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=15).digest()


class Handler:
    """Judges the events of a run; `day` is replaced at midnight, `totals` counts verdicts by kind, and previews."""

    def __init__(self, events: Container[str], namespaces: Container[int] | None, names: Mapping[int, str]) -> None:
        self._events, self._namespaces = events, namespaces
        self._names = {ns: name.partition("(")[0].strip() for ns, name in names.items()}
        self._sort = lru_cache(maxsize=1024)(self._sort_of)  # bounded: what is foreign must not fill the memory
        self.dedup = Dedup()
        self.day = Day()
        self.totals: Counter[str] = Counter()
        self.last: Verdict | None = None
        self.previews: dict[str, Histogram] = {}
        # When a camera was subscribed, and the four-CCs seen since. Entries go when the window is over.
        self._fresh: dict[str, tuple[int, frozenset[str]]] = {}
        # A camera's gaps since its last measured event: how long all but the last were, the last's end and length.
        self._missed: dict[str, tuple[int, int, int]] = {}

    def subscribed(self, camera_ids: Iterable[str], at_us: int, gap_us: int | None = None) -> None:
        """Begin a subscription of these cameras; `gap_us` is how long they were not observed, None if they are new."""
        for camera_id in camera_ids:
            self._fresh[camera_id] = at_us, frozenset()
            earlier_us, end_us, last_us = self._missed.pop(camera_id, (0, at_us, 0))
            if gap_us is not None:
                if at_us != end_us:
                    earlier_us, last_us = earlier_us + last_us, 0
                # A camera's own gap ends with that of all cameras: then the longer one counts.
                self._missed[camera_id] = earlier_us, at_us, max(last_us, gap_us)

    def judge(
        self, camera_id: str, cam_data: dict[str, Any], arrived_us: int, lag_us: int | None = None
    ) -> tuple[list[Verdict], list[Reject]]:
        """Judge each event of an update, in order. Counts its previews; also returns what could not be read."""
        if PREVIEW in cam_data:
            self._count_previews(camera_id, cam_data[PREVIEW], arrived_us)
        events, rejects = split_events(camera_id, cam_data)
        return [self.handle_event(camera_id, event, arrived_us, lag_us=lag_us) for event in events], rejects

    def use_up_first(self, camera_id: str, cam_data: dict[str, Any], arrived_us: int) -> None:
        """Note these four-CCs as seen: no later value is the first of its subscription."""
        for event in split_events(camera_id, cam_data)[0]:
            self._first_since(camera_id, event["type"], arrived_us)

    def handle_event(
        self, camera_id: str, event_data: dict[str, Any], timestamp: int, *, lag_us: int | None = None
    ) -> Verdict:
        """Judge one event: a four-CC's object with its `type` added; `timestamp` is the arrival in microseconds."""
        four_cc: str = event_data["type"]
        first_since_us = self._first_since(camera_id, four_cc, timestamp)
        ns = integer(event_data.get("ns"))
        is_measured, description = self._sort(four_cc, ns)
        identity = identity_of(camera_id, event_data)
        event_us = delay_us = figures = after_gap_us = None
        new_max = False
        if not is_measured:
            kind = IGNORED
        elif identity is None:
            kind = UNIDENTIFIED
        elif self.dedup.seen(identity, camera_id, four_cc):
            kind = DUPLICATE
        elif (event_us := event_time_us(event_data.get("timestamp"))) is None:
            kind = UNDATED
        elif (delay_us := timestamp - event_us) < 0:
            kind = EARLY
        elif event_us < first_since_us:
            kind = INITIAL
        else:
            kind = MEASURED
            group = four_cc if ns is None else ns
            statistics = self.day.cameras[camera_id]
            new_max, figures = statistics.observe(timestamp, delay_us, group), statistics.figures(group)
            missed = self._missed.pop(camera_id, None)
            after_gap_us = missed and missed[0] + missed[2]
        verdict = made(Verdict, (
            kind, camera_id, four_cc, ns, description, identity or "", timestamp, event_us, delay_us, figures,
            integer(event_data.get("op")), integer(event_data.get("seq")), after_gap_us, lag_us, new_max, event_data,
        ))  # fmt: skip
        self.totals[kind] += 1
        self.day.count(verdict)
        if kind == MEASURED:
            self.last = verdict
        return verdict

    def _count_previews(self, camera_id: str, previews: object, timestamp: int) -> None:
        """Count the delays of preview timestamps. They come about once a second and have no lines."""
        first_since_us = self._first_since(camera_id, PREVIEW, timestamp)
        for preview in previews if type(previews) is list else (previews,):
            taken_us = event_time_us(preview)
            if taken_us is not None and first_since_us <= taken_us <= timestamp:
                self.totals[PREVIEW] += 1
                self.previews.setdefault(camera_id, Histogram()).add(timestamp - taken_us)

    def _first_since(self, camera_id: str, four_cc: str, timestamp: int) -> int:
        """The moment of subscription, if this is its four-CC's first value within the window. Else 0."""
        if camera_id not in self._fresh:
            return 0
        subscribed_us, seen = self._fresh[camera_id]
        if timestamp - subscribed_us > INITIAL_WINDOW_US:
            del self._fresh[camera_id]
            return 0
        if four_cc in seen:
            return 0
        self._fresh[camera_id] = subscribed_us, seen | {four_cc}
        return subscribed_us

    def _sort_of(self, four_cc: str, ns: int | None) -> tuple[bool, str]:
        """Whether events of this sort are measured, and their name."""
        is_asked = self._namespaces is None or ns in self._namespaces or (ns is None and four_cc != "ANNT")
        name = FOUR_CCS.get(four_cc, four_cc) if ns is None else self._names.get(ns) or f"namespace {ns}"
        return is_asked and four_cc in self._events, name
