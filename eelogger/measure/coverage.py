"""Keep the gaps of a day and the share of it that was observed.

Every closed gap is returned, for `gaps.log`. A gap across midnight is two, so that each day's file stands alone. A
`gap` ends with a subscription, unless another one starts at its end: a replay takes its subscription times from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from ..model import Gap

# Reason of the line that marks the very first subscription: nothing was missed, there was nothing before.
STARTED: Final = "started"
START_US: Final = 60_000_000  # a very first start that takes longer than this is an outage like any other
ADDED: Final = "added"  # reason of the line that marks a camera's first subscription on an open connection
# Kind of the line for a time of which only the events are on record, but not when somebody was watching.
UNKNOWN: Final = "unknown"
NO_RECORD: Final = "no-record"  # its reason


@dataclass(frozen=True, slots=True)
class _OpenGap:
    from_us: int
    reason: str

    def closed(self, at_us: int, camera_id: str = "") -> Gap:
        # a clock put back meanwhile must not make a gap that ends before it begins.
        return Gap("gap", min(self.from_us, at_us), at_us, self.reason, camera_id)


@dataclass
class Coverage:
    """What was observed today; `since_us` is when this log directory's first observation was meant to begin."""

    since_us: int
    _whole: _OpenGap | None = None
    _cameras: dict[str, _OpenGap] = field(default_factory=dict)
    _gaps: list[Gap] = field(default_factory=list)
    # When each camera ("": the account) was not observed: a camera's share need not look at all others' gaps.
    _spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def open_gap(self, at_us: int, reason: str) -> None:
        """Nothing is observed from `at_us` on; of several causes in a row the first counts."""
        if self._whole is None:
            self._whole = _OpenGap(at_us, reason)

    def close_gap(self, at_us: int) -> Gap | None:
        """The connection's subscription begins: the gap that it ends. Ask `close_camera_gaps` before."""
        self.close_camera_gaps(at_us)
        gap, self._whole = self._whole, None
        return self._keep(gap.closed(at_us)) if gap else None

    def open_camera_gap(self, camera_id: str, at_us: int, reason: str) -> None:
        """One camera is not observed from `at_us` on; the first cause counts."""
        self._cameras.setdefault(camera_id, _OpenGap(at_us, reason))

    def close_camera_gap(self, camera_id: str, at_us: int) -> Gap:
        """One camera is subscribed on the open connection; a gap without length when it is new."""
        gap = self._cameras.pop(camera_id, None) or _OpenGap(at_us, ADDED)
        return self._keep(gap.closed(at_us, camera_id))

    def close_camera_gaps(self, at_us: int) -> list[Gap]:
        """The gaps of single cameras that end because the connection's subscription begins."""
        return [self.close_camera_gap(camera_id, at_us) for camera_id in list(self._cameras)]

    def camera_gone(self, camera_id: str) -> None:
        """The camera left the account: it is no longer meant to be observed."""
        self._cameras.pop(camera_id, None)

    def midnight(self, at_us: int) -> list[Gap]:
        """Cut open gaps at midnight: the halves that end here. The ended day's gaps are forgotten."""
        ended = []
        if self._whole is not None and self._whole.from_us < at_us:
            ended.append(self._whole.closed(at_us))
            self._whole = replace(self._whole, from_us=at_us)
        for camera_id, gap in self._cameras.items():
            if gap.from_us < at_us:
                ended.append(gap.closed(at_us, camera_id))
                self._cameras[camera_id] = replace(gap, from_us=at_us)
        self._gaps, self._spans = [], {}
        return ended

    def frozen(self) -> Coverage:
        """A copy that does not change, for the figures of a day that ends."""
        spans = {camera_id: list(own) for camera_id, own in self._spans.items()}
        return replace(self, _cameras=dict(self._cameras), _gaps=list(self._gaps), _spans=spans)

    def restore(self, gap: Gap) -> None:
        """Take a gap of today from `gaps.log`; a gap that is open now began no earlier than that one ended."""
        self._keep(gap)
        whole = self._whole
        if whole is not None and gap.kind == "gap" and not gap.camera_id and gap.to_us > whole.from_us:
            self._whole = replace(whole, from_us=gap.to_us)

    @property
    def blind_since_us(self) -> int | None:
        """Since when nothing is observed; None while something is."""
        return None if self._whole is None else self._whole.from_us

    @property
    def gaps(self) -> list[Gap]:
        """Today's closed gaps in which something was missed, of the connection and of cameras."""
        return list(self._gaps)

    def observed_share(self, from_us: int, to_us: int, camera_id: str = "") -> float:
        """The share of [from, to) in which the account, or the camera, was observed: 0 to 1."""
        from_us = max(from_us, self.since_us)
        if to_us <= from_us:
            return 1.0
        spans = [span for who in {"", camera_id} for span in self._spans.get(who, ())]
        spans += [(gap.from_us, to_us) for gap in (self._whole, self._cameras.get(camera_id)) if gap]
        return 1 - covered_us(spans, from_us, to_us) / (to_us - from_us)

    def shares(self, from_us: int, to_us: int) -> Callable[[str], float]:
        """`observed_share` for many cameras: those without gaps of their own share one computation."""
        whole, own = self.observed_share(from_us, to_us), self._spans.keys() | self._cameras.keys()
        return lambda camera_id: self.observed_share(from_us, to_us, camera_id) if camera_id in own else whole

    def observed_shares(self, from_us: int, to_us: int, camera_ids: Iterable[str]) -> float:
        """The mean over these cameras, also those without events; of none, the connection's share."""
        shares = [*map(self.shares(from_us, to_us), camera_ids)] or [self.observed_share(from_us, to_us)]
        return sum(shares) / len(shares)

    def _keep(self, gap: Gap) -> Gap:
        if gap.to_us > gap.from_us and is_missed(gap):
            self._gaps.append(gap)
            if gap.kind == "gap":
                self._spans.setdefault(gap.camera_id, []).append((gap.from_us, gap.to_us))
        return gap


def is_missed(gap: Gap) -> bool:
    """Whether events may have been missed: not in a quick very first start, nor by a camera that was just added."""
    return gap.reason != ADDED and (gap.reason != STARTED or gap.to_us - gap.from_us > START_US)


def covered_us(spans: Iterable[tuple[int, int]], from_us: int, to_us: int) -> int:
    """How much of [from, to) the spans cover, overlaps counted once."""
    covered, reached = 0, from_us
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, to_us)
        if end > start:
            covered += end - start
            reached = end
    return covered
