"""When was the logger watching? Gaps of the connection and of single cameras, and the share observed of a day.

Pure: the caller says what happened when, and writes the `Gap` values it gets back to `gaps.log`. A gap that
crosses midnight is two values, so that each day's file stands alone. Invariant: a `gap` whose end is no start of
another ends with a subscription; `replay` takes its subscription times from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from ..model import Gap

STARTED: Final = "started"
"""Reason of the line that marks the very first subscription: nothing was missed, there was nothing before."""
START_US: Final = 60_000_000
"""A very first start that takes longer than this is an outage like any other."""
ADDED: Final = "added"
"""Reason of the line that marks a camera's first subscription on an open connection."""
UNKNOWN: Final = "unknown"
"""Kind of the line for a time of which only the events are on record, not when anybody was watching."""
NO_RECORD: Final = "no-record"
"""Its reason."""


@dataclass(frozen=True, slots=True)
class _Blindness:
    from_us: int
    reason: str


@dataclass
class Observation:
    """What is being watched; `since_us` is when this log directory's first observation was meant to begin."""

    since_us: int
    _all: _Blindness | None = None
    _cameras: dict[str, _Blindness] = field(default_factory=dict)
    _gaps: list[Gap] = field(default_factory=list)
    _spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """When each camera, or "" the account, was not seen: with hundreds that fail all day nobody may walk all gaps."""

    def lost(self, at_us: int, reason: str) -> None:
        """Nothing is observed from `at_us` on; of several causes in a row the first counts."""
        if self._all is None:
            self._all = _Blindness(at_us, reason)

    def begun(self, at_us: int) -> Gap | None:
        """The connection's subscription begins; the gap it ends. Single cameras' gaps end with it (`cameras_begun`)."""
        self.cameras_begun(at_us)
        blind, self._all = self._all, None
        if blind is None:
            return None
        # A clock put back meanwhile must not make a gap that ends before it begins.
        return self._keep(Gap("gap", min(blind.from_us, at_us), at_us, blind.reason))

    def camera_lost(self, camera_id: str, at_us: int, reason: str) -> None:
        """One camera left the session."""
        self._cameras.setdefault(camera_id, _Blindness(at_us, reason))

    def camera_begun(self, camera_id: str, at_us: int) -> Gap:
        """One camera is subscribed on the open connection; a gap without length when it is new."""
        blind = self._cameras.pop(camera_id, None) or _Blindness(at_us, ADDED)
        return self._keep(Gap("gap", blind.from_us, at_us, blind.reason, camera_id))

    def cameras_begun(self, at_us: int) -> list[Gap]:
        """The gaps of single cameras that end because the connection's subscription begins; to be asked before it."""
        return [self.camera_begun(camera_id, at_us) for camera_id in list(self._cameras)]

    def camera_gone(self, camera_id: str) -> None:
        """The camera left the account: it is no longer meant to be observed."""
        self._cameras.pop(camera_id, None)

    def midnight(self, at_us: int) -> list[Gap]:
        """Cut what is blind at midnight in two: the halves that end here; those of the ended day are forgotten."""
        ended = []
        if self._all is not None and self._all.from_us < at_us:
            ended.append(Gap("gap", self._all.from_us, at_us, self._all.reason))
            self._all = _Blindness(at_us, self._all.reason)
        for camera_id, blind in list(self._cameras.items()):
            if blind.from_us < at_us:
                ended.append(Gap("gap", blind.from_us, at_us, blind.reason, camera_id))
                self._cameras[camera_id] = _Blindness(at_us, blind.reason)
        self._gaps, self._spans = [], {}
        return ended

    def as_it_stands(self) -> Observation:
        """A copy that does not change, for the figures of a day that ends."""
        spans = {camera_id: list(own) for camera_id, own in self._spans.items()}
        return replace(self, _cameras=dict(self._cameras), _gaps=list(self._gaps), _spans=spans)

    def restore(self, gap: Gap) -> None:
        """Take up a gap of today read from `gaps.log`; what is blind now was not before the end of that one."""
        self._keep(gap)
        blind = self._all
        if blind is not None and gap.kind == "gap" and not gap.camera_id and gap.to_us > blind.from_us:
            self._all = _Blindness(gap.to_us, blind.reason)

    @property
    def blind_since_us(self) -> int | None:
        """Since when nothing is being observed; None while something is."""
        return None if self._all is None else self._all.from_us

    @property
    def gaps(self) -> list[Gap]:
        """The ended gaps of today in which something was missed, of the connection and of cameras."""
        return list(self._gaps)

    def observed_share(self, from_us: int, to_us: int, camera_id: str = "") -> float:
        """The share of [from, to) in which the account, or the camera, was observed: 0 to 1."""
        from_us = max(from_us, self.since_us)
        if to_us <= from_us:
            return 1.0
        spans = [span for who in {"", camera_id} for span in self._spans.get(who, ())]
        spans += [(b.from_us, to_us) for b in (self._all, self._cameras.get(camera_id)) if b]
        return 1 - covered_us(spans, from_us, to_us) / (to_us - from_us)

    def _keep(self, gap: Gap) -> Gap:
        if gap.to_us > gap.from_us and is_missed(gap):
            self._gaps.append(gap)
            if gap.kind == "gap":
                self._spans.setdefault(gap.camera_id, []).append((gap.from_us, gap.to_us))
        return gap


def is_missed(gap: Gap) -> bool:
    """Whether something may have been missed: not in the moments that a very first start takes, nor by a new camera."""
    return gap.reason != ADDED and (gap.reason != STARTED or gap.to_us - gap.from_us > START_US)


def covered_us(spans: list[tuple[int, int]], from_us: int, to_us: int) -> int:
    """How much of [from, to) the spans cover, overlaps counted once."""
    covered, reached = 0, from_us
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, to_us)
        if end > start:
            covered += end - start
            reached = end
    return covered
