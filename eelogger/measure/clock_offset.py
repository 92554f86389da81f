"""Bound the local clock's offset by the `Date` headers of REST answers.

An offset is cloud minus local: positive means that the local clock is behind and that delays are shown too short.
No figure is corrected by it.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..model import HOUR_US, DateSample, Gap
from .seconds import seconds3

MEMORY_US: Final = 2 * HOUR_US  # how long a sample counts; by then drift has widened it by 0.36 s
WARN_US: Final = 1_000_000  # a clock that is further off is warned about
DRIFT_PPM: Final = 50  # what a cheap quartz drifts by at most; a sample's bounds widen by it as it ages


class Offset(NamedTuple):
    """What is known of the local clock: cloud minus local is `offset_us` ± `bound_us`."""

    offset_us: int
    bound_us: int

    @property
    def warns(self) -> bool:
        """Whether the clock is surely further off than `WARN_US`."""
        return abs(self.offset_us) > max(WARN_US, self.bound_us)

    def sentence(self) -> str:
        """Say which way the delays are biased, or that the clock agrees."""
        off_s, bound_s = abs(self.offset_us) / 1e6, self.bound_us / 1e6
        if not self.warns:
            return f"the local clock agrees with the cloud's to within {off_s + bound_s:.1f} s"
        where, bias = ("behind", "short") if self.offset_us > 0 else ("ahead", "long")
        return (
            f"the local clock is {off_s:.1f} s {where} (± {bound_s:.1f} s): "
            f"every delay is shown about {off_s:.1f} s too {bias}"
        )


class OffsetBounds:
    """Bounds of the offset by the `Date` headers of the last two hours.

    One answer bounds it to one second plus the round trip (Cristian). They come at other fractions of a second each
    time, so a dozen of them together bound it to about ± 0.1 s.
    """

    def __init__(self, samples: Iterable[DateSample] = ()) -> None:
        self._samples: deque[DateSample] = deque(maxlen=240)
        for sample in samples:
            self.add(sample)

    def add(self, sample: DateSample) -> Gap | None:
        """Take an answer; if it contradicts the others a clock was stepped, and only the newest counts on."""
        if sample.received_us < sample.sent_us:  # the clock was stepped in between: this one says nothing
            return None
        believed = self._intersection(sample.received_us)
        low, high = _bounds(sample, sample.received_us)
        if believed is None or (low <= believed[1] and believed[0] <= high):
            self._samples.append(sample)
            return None
        # After a clock was put back nobody knows how much time passed: the line must not span it.
        from_us = min(self._samples[-1].received_us, sample.received_us)
        self._samples.clear()
        self._samples.append(sample)
        stepped_us = believed[1] - low if low > believed[1] else believed[0] - high
        return Gap(
            "clock-step", from_us, sample.received_us, f"by Date headers stepped by at least {seconds3(stepped_us)} s"
        )

    def offset(self, now_us: int) -> Offset | None:
        """What is known now; None without a sample of the last two hours."""
        found = self._intersection(now_us)
        return found and Offset(sum(found) // 2, (found[1] - found[0] + 1) // 2)

    def _intersection(self, now_us: int) -> tuple[int, int] | None:
        bounds = [_bounds(s, now_us) for s in self._samples if now_us - s.received_us <= MEMORY_US]
        low, high = max((b[0] for b in bounds), default=1), min((b[1] for b in bounds), default=0)
        return (low, high) if low <= high else None


def _bounds(sample: DateSample, now_us: int) -> tuple[int, int]:
    """One sample's bounds of the offset: Date + 0.5 s − midpoint, ± RTT/2 + 0.5 s, wider by the drift since then."""
    drift_us = max(0, now_us - sample.received_us) * DRIFT_PPM // 1_000_000 + 1
    return sample.date_us - sample.received_us - drift_us, sample.date_us + 1_000_000 - sample.sent_us + drift_us
