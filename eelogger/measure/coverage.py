"""Keep the gaps of a day and the share of it that was observed.

Every closed gap is returned, for `gaps.log`. A gap across midnight is two, so that each day's file stands alone. A
`gap` ends with a subscription, unless another one starts at its end: a replay takes its subscription times from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from ..model import Gap

STARTED: Final = "started"  # reason of the very first subscription: nothing was missed, there was nothing before
START_US: Final = 60_000_000  # a very first start that takes longer than this is an outage like any other
ADDED: Final = "added"  # reason of a camera's first subscription on an open connection
UNKNOWN: Final = "unknown"  # kind of a time with events on record, but not when somebody was watching
NO_RECORD: Final = "no-record"  # its reason


@dataclass
class Coverage:
    """What was observed today; `since_us` is when this log directory's first observation was meant to begin.

    `gaps` are today's closed gaps in which something was missed. A camera id of "" stands for all cameras.
    """

    since_us: int
    gaps: list[Gap] = field(default_factory=list)
    # Since when and why each camera is not observed.
    _open: dict[str, tuple[int, str]] = field(default_factory=dict)
    # When each camera was not observed: its share need not look at all others' gaps.
    _spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def open_gap(self, at_us: int, reason: str, camera_id: str = "") -> None:
        """Nothing is observed from `at_us` on; of several causes in a row the first counts."""
        self._open.setdefault(camera_id, (at_us, reason))

    def close_gap(self, at_us: int) -> Gap | None:
        """The connection's subscription begins: the gap that it ends. Ask `close_camera_gaps` before."""
        self.close_camera_gaps(at_us)
        return self._close("", at_us) if "" in self._open else None

    def close_camera_gap(self, camera_id: str, at_us: int) -> Gap:
        """One camera is subscribed on the open connection; a gap without length when it is new."""
        self._open.setdefault(camera_id, (at_us, ADDED))
        return self._close(camera_id, at_us)

    def close_camera_gaps(self, at_us: int) -> list[Gap]:
        """The gaps of single cameras that end because the connection's subscription begins."""
        return [self._close(camera_id, at_us) for camera_id in list(self._open) if camera_id]

    def camera_gone(self, camera_id: str) -> None:
        """The camera left the account: it is no longer meant to be observed."""
        self._open.pop(camera_id, None)

    def midnight(self, at_us: int) -> tuple["Coverage", list[Gap]]:
        """Begin a day: the coverage of the ended one, which changes no more, and the halves of gaps that end here."""
        day, ended = replace(self, _open=dict(self._open)), []
        for camera_id, (from_us, reason) in sorted(day._open.items()):
            if from_us < at_us:
                ended.append(Gap("gap", from_us, at_us, reason, camera_id))
                self._open[camera_id] = at_us, reason
        self.gaps, self._spans = [], {}
        return day, ended

    def restore(self, gap: Gap) -> None:
        """Take a gap of today from `gaps.log`; a gap that is open now began no earlier than that one ended."""
        self._keep(gap)
        if gap.kind == "gap" and not gap.camera_id and "" in self._open:
            from_us, reason = self._open[""]
            self._open[""] = max(from_us, gap.to_us), reason

    @property
    def blind_since_us(self) -> int | None:
        """Since when nothing is observed; None while something is."""
        return self._open[""][0] if "" in self._open else None

    def observed_share(self, from_us: int, to_us: int, camera_id: str = "") -> float:
        """The share of [from, to) in which the account, or the camera, was observed: 0 to 1."""
        from_us = max(from_us, self.since_us)
        if to_us <= from_us:
            return 1.0
        spans: list[tuple[int, int]] = []
        for who in {"", camera_id}:
            spans += self._spans.get(who, ())
            if who in self._open:
                spans.append((self._open[who][0], to_us))
        covered, reached = 0, from_us  # overlaps count once
        for start, end in sorted(spans):
            start, end = max(start, reached), min(end, to_us)
            if end > start:
                covered += end - start
                reached = end
        return 1 - covered / (to_us - from_us)

    def shares(self, from_us: int, to_us: int) -> Callable[[str], float]:
        """`observed_share` for many cameras: those without gaps of their own share one computation."""
        whole, own = self.observed_share(from_us, to_us), self._spans.keys() | self._open.keys()
        return lambda camera_id: self.observed_share(from_us, to_us, camera_id) if camera_id in own else whole

    def _close(self, camera_id: str, at_us: int) -> Gap:
        from_us, reason = self._open.pop(camera_id)
        # a clock put back meanwhile must not make a gap that ends before it begins.
        gap = Gap("gap", min(from_us, at_us), at_us, reason, camera_id)
        self._keep(gap)
        return gap

    def _keep(self, gap: Gap) -> None:
        if is_missed(gap) and (gap.to_us > gap.from_us or gap.kind != "gap"):
            self.gaps.append(gap)
            if gap.kind == "gap":
                self._spans.setdefault(gap.camera_id, []).append((gap.from_us, gap.to_us))


def is_missed(gap: Gap) -> bool:
    """Whether events may have been missed: not in a quick very first start, nor by a camera that was just added."""
    return gap.reason != ADDED and (gap.reason != STARTED or gap.to_us - gap.from_us > START_US)
