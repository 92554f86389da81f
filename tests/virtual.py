"""Hours in milliseconds: an event loop whose clock jumps to the next timer as soon as nothing else is to be done.

Sockets, files and threads are real; only waiting costs nothing. While a thread of the loop works the clock stands
still, and before each jump the kernel gets a moment to deliver what is under way on loopback.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

GRACE_S = 0.0005
BUSY_S = 0.005
T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if nothing is, `timeout` seconds have passed."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.busy or timeout is None:
            return super().select(BUSY_S)
        ready = super().select(GRACE_S)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop with another clock."""

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self.selector.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """As ever, and the clock stands still meanwhile."""
        return self.standing_still(super().run_in_executor(executor, func, *args))

    def standing_still(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        """The clock stands still until the future, a thread's, is done."""

        def done(future: object) -> None:
            self.selector.busy -= 1

        self.selector.busy += 1
        future.add_done_callback(done)
        return future


def virtually(work: Coroutine[Any, Any, T], limit_s: float = 20_000) -> T:
    """Run a coroutine in virtual time; it fails after `limit_s` seconds of that."""
    wrap = asyncio.wrap_future

    def wrap_future(future: Any, *, loop: Any = None) -> Any:
        running = asyncio.get_running_loop()
        assert isinstance(running, VirtualLoop)
        return running.standing_still(wrap(future, loop=loop))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, patch("asyncio.wrap_future", wrap_future):
        return runner.run(asyncio.wait_for(work, limit_s))


def loop_s() -> float:
    """The running loop's time in seconds."""
    return asyncio.get_running_loop().time()
