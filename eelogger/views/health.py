"""One line of `health.log` a minute.

It says how far the logger can be trusted. The last keys are what `commands.status` needs of a run.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.histogram import P95
from ..measure.seconds import seconds3, seconds6
from ..storage.formats import time_text
from .figures import Tally
from .run_state import RunState
from .slices import encoded


class HealthLog:
    """Remembers the counts of the minute before."""

    def __init__(self) -> None:
        self._events = self._rejected = 0

    async def line(self, state: RunState, *, lag_p99_us: int, lag_max_us: int, rtt_max_us: int | None) -> str:
        """The line of the past minute, newline included; what is not known is left out."""
        events, rejected = sum(state.totals.values()), sum(state.rejected.values())
        offset, kernel = state.offset, state.kernel
        pairs = {
            "time": time_text(state.written_us),
            "state": state.state.replace(" ", "-"),
            "cameras": len(state.cameras),
            "clock_offset_s": seconds3(offset.offset_us) if offset else "",
            "clock_bound_s": seconds3(offset.bound_us) if offset else "",
            "ntp": "" if kernel is None else "synchronised" if kernel.synchronised else "unsynchronised",
            "rtt_s": "" if state.rtt_us is None else seconds6(state.rtt_us),
            "rtt_max_s": "" if rtt_max_us is None else seconds6(rtt_max_us),
            "lag_p99_s": seconds6(lag_p99_us),
            "lag_max_s": seconds6(lag_max_us),
            "write_p99_s": seconds6(state.write_p99_us),
            "backlog": state.queued_bytes,
            "events": events - self._events,
            "rejected": rejected - self._rejected,
        }
        self._events, self._rejected = events, rejected
        line = " ".join(f"{key}={value}" for key, value in pairs.items() if value != "")
        return line + (await encoded(_of_day(state))).decode()


def _of_day(state: RunState) -> Iterator[str]:
    """What monitoring asks for: of the two latest clock hours `recent`, `p95_s` and `early`, of the day the others."""
    cameras, recent, early = list(state.day.cameras.values()), Tally(), 0
    last_us = state.last.arrived_us if state.last else 0
    yield from recent.add(Tally(statistics.recent(None, state.now_us)) for statistics in cameras)
    for statistics in cameras:
        early += statistics.recent_early(state.now_us)
        last_us = max(last_us, statistics.latest_us())
        yield ""
    n = recent.delays.n
    yield f" recent={n}"
    yield f" p95_s={seconds3(recent.delays.quantile_us(P95))}" if n else ""
    yield f" early={early / (early + n):.4f}" if early + n else ""
    yield f" last_event={time_text(last_us)}" if last_us else ""
    yield f" observed={int(state.observed()('') * 10_000 + 1e-6) / 10_000:.4f}"
    yield f" gaps={sum(gap.kind == 'gap' for gap in state.gaps)} held={state.held_lines}\n"
