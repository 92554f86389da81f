"""Run blocking calls in a thread that never keeps the process alive."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent import futures
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThread:
    """One daemon thread, calls in order; as much of an executor as `run_in_executor` needs."""

    # Threads of `ThreadPoolExecutor` are joined at exit: a write that hangs (a network share) would keep the process.
    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[futures.Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._latest: futures.Future[Any] = futures.Future()
        self._latest.set_result(None)
        self._since = 0.0
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, fn: Callable[..., T], *args: Any) -> futures.Future[T]:
        """Queue a call. It cannot be cancelled: a half-written batch must be known as such."""
        future: futures.Future[T] = futures.Future()
        future.set_running_or_notify_cancel()
        self._since, self._latest = time.monotonic(), future
        self._calls.put((future, partial(fn, *args)))
        return future

    def wait_idle(self, seconds: float) -> None:
        """Wait for the latest call, but no longer than this."""
        if not self._latest.done():
            futures.wait([self._latest], seconds)

    def busy_s(self) -> float:
        """How long ago the latest call was submitted; 0 once it is done."""
        return 0.0 if self._latest.done() else time.monotonic() - self._since

    def shutdown(self) -> None:
        """End the thread after the calls queued so far."""
        self._calls.put(None)

    def _work(self) -> None:
        while call := self._calls.get():
            future, run = call
            try:
                future.set_result(run())
            except BaseException as error:
                future.set_exception(error)
