"""Keep the gaps of a day and its observed share.

A gap across midnight is two, so that each day's file stands alone. A `gap` ends with a subscription, unless another
one starts at its end: a replay takes its subscription times from there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ..model import Gap

STARTED: Final = "started"  # reason of the very first subscription: nothing was missed, there was nothing before
ADDED: Final = "added"  # reason of a new camera's first subscription
UNKNOWN: Final = "unknown"  # kind of a time with events on record, but not when somebody was watching
NO_RECORD: Final = "no-record"  # its reason


@dataclass
class Coverage:
    """What was observed today; a camera id of "" stands for all cameras."""

    since_us: int  # when this log directory's first observation was meant to begin
    gaps: list[Gap] = field(default_factory=list)  # closed today, and something was missed in them
    blind: dict[str, tuple[int, str]] = field(default_factory=dict)  # since when and why a camera is not observed
    # When each camera was not observed: its share need not look at all others' gaps.
    _spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def open_gap(self, at_us: int, reason: str, camera_id: str = "") -> None:
        """Nothing is observed from `at_us` on; of several causes in a row the first counts."""
        self.blind.setdefault(camera_id, (at_us, reason))

    def close_gaps(self, at_us: int, camera_ids: Iterable[str] | None = None) -> list[Gap]:
        """End gaps at a subscription: these cameras', or the connection's (it comes first) and all cameras'."""
        gaps = []
        for camera_id in sorted({"", *self.blind}) if camera_ids is None else camera_ids:
            from_us, reason = self.blind.pop(camera_id, (at_us, ADDED))  # one without a gap is new
            # A clock put back meanwhile must not make a gap that ends before it begins.
            gaps.append(Gap("gap", min(from_us, at_us), at_us, reason, camera_id))
            self._keep(gaps[-1])
        return gaps

    def next_day(self, at_us: int) -> tuple["Coverage", list[Gap]]:
        """Split open gaps at midnight: the new day's coverage, and the parts that end. This one is finished."""
        open_gaps = sorted(self.blind.items())
        ended = [Gap("gap", from_us, at_us, reason, id_) for id_, (from_us, reason) in open_gaps if from_us < at_us]
        blind = {id_: (max(from_us, at_us), reason) for id_, (from_us, reason) in open_gaps}
        return Coverage(self.since_us, blind=blind), ended

    def restore(self, gap: Gap) -> None:
        """Take a gap of today from `gaps.log`; a gap that is open now began no earlier than that one ended."""
        self._keep(gap)
        if gap.kind == "gap" and not gap.camera_id and "" in self.blind:
            from_us, reason = self.blind[""]
            self.blind[""] = max(from_us, gap.to_us), reason

    def observed_share(self, from_us: int, to_us: int, camera_id: str = "") -> float:
        """The observed share of [from, to), 0 to 1, for the account or a camera."""
        from_us = max(from_us, self.since_us)
        if to_us <= from_us:
            return 1.0
        spans: list[tuple[int, int]] = []
        for who in {"", camera_id}:
            spans += self._spans.get(who, ())
            if who in self.blind:
                spans.append((self.blind[who][0], to_us))
        covered, reached = 0, from_us  # overlaps count once
        for start, end in sorted(spans):
            start, end = max(start, reached), min(end, to_us)
            if end > start:
                covered += end - start
                reached = end
        return 1 - covered / (to_us - from_us)

    def shares(self, from_us: int, to_us: int) -> Callable[[str], float]:
        """`observed_share` for many cameras: those without gaps of their own share one computation."""
        whole, own = self.observed_share(from_us, to_us), self._spans.keys() | self.blind.keys()
        return lambda camera_id: self.observed_share(from_us, to_us, camera_id) if camera_id in own else whole

    def _keep(self, gap: Gap) -> None:
        if is_missed(gap) and (gap.to_us > gap.from_us or gap.kind != "gap"):
            self.gaps.append(gap)
            if gap.kind == "gap":
                self._spans.setdefault(gap.camera_id, []).append((gap.from_us, gap.to_us))


def is_missed(gap: Gap) -> bool:
    """Whether events may have been missed. A first start of up to a minute, or a new camera, misses nothing."""
    return gap.reason != ADDED and (gap.reason != STARTED or gap.to_us - gap.from_us > 60_000_000)
