"""Measure how long events waited for this process before they were stamped.

What a selector delivers arrived while it slept (then it was read at once) or since it last looked (then at most as
long ago as that was). No event has waited longer in the event loop than its lag says.
"""

import asyncio
import selectors
import socket
from collections.abc import Coroutine
from functools import partial
from time import perf_counter_ns
from typing import Any, Final

from ..clock import resolution_us
from ..measure.histogram import P99, Histogram, merged
from ..storage.daemon_thread import DaemonThread

TAINTED_US: Final = 10_000
# `connection` reads 64 KiB at a time, a little less after decryption: from here on more of the same may be waiting.
FULL_READ: Final = 48 * 1024
_SLEPT_NS: Final = 50_000  # A `select` that took longer was asleep, it did not find something at once
# After callbacks of this length it is asked for certain whether something waits already, for one more system call.
_LONG_PASS_NS: Final = 1_000_000
# `epoll` may sleep a millisecond longer than told; beyond that the process was not allowed to run.
_OVERSLEPT_NS: Final = 2_000_000
_NAP_S: Final = 0.05  # no sleep is longer: only a late wake-up shows that the process was stopped meanwhile


class LoopDelaySelector(selectors.DefaultSelector):
    """The system's selector; `since_ns` (`perf_counter_ns`) is the earliest arrival of what it delivered last."""

    def __init__(self) -> None:
        super().__init__()
        self.since_ns = self.looked_ns = perf_counter_ns()
        self.slept_ns = 0  # in all

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as every selector does, but for a nap at most."""
        timeout = _NAP_S if timeout is None else min(timeout, _NAP_S)
        began_ns, since_ns = perf_counter_ns(), self.looked_ns
        may_sleep = timeout > 0
        ready: list[tuple[selectors.SelectorKey, int]] = []
        if may_sleep and began_ns - since_ns > _LONG_PASS_NS:
            ready = super().select(0)
            may_sleep, since_ns = not ready, since_ns if ready else began_ns
        if not ready:
            ready = super().select(timeout)
        self.looked_ns = perf_counter_ns()
        if may_sleep and self.looked_ns - began_ns > _SLEPT_NS:
            since_ns = self.looked_ns
            if since_ns - began_ns > timeout * 1e9 + _OVERSLEPT_NS:
                since_ns = began_ns + int(timeout * 1e9)
                if not ready:  # a stopped process comes back with nothing, and finds at the next look what waited
                    self.looked_ns = since_ns
            self.slept_ns += since_ns - began_ns
        self.since_ns = since_ns
        return ready


class LoopDelayLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop on a `LoopDelaySelector`: a `loop_factory` for `asyncio.Runner`."""

    def __init__(self) -> None:
        self.selector = LoopDelaySelector()
        super().__init__(self.selector)

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """Look up in a daemon thread each: a resolver that hangs must not keep the process from ending."""
        thread = DaemonThread("resolver")
        answer = thread.submit(partial(socket.getaddrinfo, host, port, **hints))
        thread.shutdown()
        return await asyncio.wrap_future(answer)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run` in a `LoopDelayLoop`: a run measures with it, and no command waits for a resolver that hangs."""
    with asyncio.Runner(loop_factory=LoopDelayLoop) as runner:
        return runner.run(main)


def lag_us(loop: asyncio.AbstractEventLoop, read_bytes: int = 0) -> int:
    """How long the bytes read now may have waited. It is 0 in another kind of loop."""
    if not isinstance(loop, LoopDelayLoop):
        return 0
    lag_ns = perf_counter_ns() - loop.selector.since_ns
    if read_bytes >= FULL_READ:  # what the next pass finds at once may have waited as long as this
        loop.selector.looked_ns = loop.selector.since_ns
    return lag_ns // 1_000


def slept_ns(loop: asyncio.AbstractEventLoop) -> int:
    """How long the loop has slept in all. Another kind of loop counts as always asleep."""
    return loop.selector.slept_ns if isinstance(loop, LoopDelayLoop) else perf_counter_ns()


def threshold_us() -> int:
    """The lag above which a line carries `lag_s`: 10 ms, or twice the clock's resolution."""
    return max(TAINTED_US, 2 * resolution_us())


class LagMeter:
    """Number, p99 and maximum of all events' lag in µs. Two periods: the running minute, and since the start."""

    def __init__(self) -> None:
        self._minute, self._ended = Histogram(), Histogram()

    def note(self, us: int) -> None:
        """Add an event's lag."""
        # Fed with nanoseconds the histogram's finest bucket is one microsecond.
        self._minute.add(us * 1_000)

    def take_minute(self) -> tuple[int, int, int]:
        """The figures since the last call, which then begin anew."""
        minute, self._minute = self._minute, Histogram()
        self._ended = merged([self._ended, minute])
        return _figures(minute)

    def since_start(self) -> tuple[int, int, int]:
        """The figures of all events."""
        return _figures(merged([self._ended, self._minute]))


def _figures(lag: Histogram) -> tuple[int, int, int]:
    return lag.n, round(lag.quantile_us(P99) / 1_000) if lag.n else 0, lag.max_us // 1_000
