"""The instrument about itself: how far its clock, its network, its own slowness and its disk are to be trusted.

Collects samples and tells them as one line of `health.log` a minute and as sentences; measuring is `clock`'s,
`offset`'s, `lag`'s and `connection`'s. Nothing here corrects a delay: what is known is stated beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..clock import KernelClock, now_us
from ..figures.offset import Offset, OffsetBounds
from ..model import DateSample, Gap
from ..net.lag import LagMeter
from ..text.times import time_text
from ..text.units import seconds3, seconds6


class Vitals:
    """What is known now; `on_gap` takes the clock steps that `Date` headers reveal."""

    def __init__(self, on_gap: Callable[[Gap], None] = lambda gap: None) -> None:
        self.lag = LagMeter()
        self.rtt_us: int | None = None
        self.rtt_source = ""
        self._rtt_max_us = 0
        self._warned = False
        self._bounds = OffsetBounds()
        self._on_gap = on_gap

    def date_sample(self, sample: DateSample) -> None:
        """A REST answer came: its `Date` bounds the clock, and its round trip stands in until a better one is known."""
        step = self._bounds.add(sample)
        if step is not None:
            self._on_gap(step)
        if self.rtt_source in ("", "REST"):
            self._take_rtt(sample.received_us - sample.sent_us, "REST")

    def rtt_sample(self, rtt_us: int, source: str) -> None:
        """The connection's own round trip, from a pong or from TCP."""
        self._take_rtt(rtt_us, source)

    def clock_stepped(self) -> None:
        """The local clock was set: what was known of its offset is void."""
        self._bounds.restart()

    def clock_warning(self) -> str | None:
        """The sentence to warn with when the clock has become wrong, or right again; None while nothing changed."""
        offset = self.offset
        if offset is None or offset.warns == self._warned:
            return None
        self._warned = offset.warns
        return offset.sentence()

    @property
    def offset(self) -> Offset | None:
        """What is known of the clock, None until a REST answer had a `Date`."""
        return self._bounds.offset(now_us())

    def health_line(
        self,
        *,
        state: str,
        cameras: int,
        kernel: KernelClock | None,
        write_p99_us: int,
        backlog: int,
        events: int,
        rejected: int,
    ) -> str:
        """The line of the past minute for `health.log`; starts the next minute."""
        offset = self.offset
        _, p99_us, max_us = self.lag.take_minute()
        pairs: Iterable[tuple[str, str]] = (
            ("time", time_text(now_us())),
            ("state", state.replace(" ", "-")),
            ("cameras", str(cameras)),
            ("clock_offset_s", seconds3(offset.offset_us) if offset else ""),
            ("clock_bound_s", seconds3(offset.bound_us) if offset else ""),
            ("ntp", "" if kernel is None else "synchronised" if kernel.synchronised else "unsynchronised"),
            ("rtt_s", "" if self.rtt_us is None else seconds6(self.rtt_us)),
            ("rtt_max_s", "" if not self._rtt_max_us else seconds6(self._rtt_max_us)),
            ("lag_p99_s", seconds6(p99_us)),
            ("lag_max_s", seconds6(max_us)),
            ("write_p99_s", seconds6(write_p99_us)),
            ("backlog", str(backlog)),
            ("events", str(events)),
            ("rejected", str(rejected)),
        )
        self._rtt_max_us = 0
        # What is not known is left out: readers go by key.
        return " ".join(f"{key}={value}" for key, value in pairs if value) + "\n"

    def _take_rtt(self, rtt_us: int, source: str) -> None:
        self.rtt_us, self.rtt_source = max(0, rtt_us), source
        self._rtt_max_us = max(self._rtt_max_us, rtt_us)
