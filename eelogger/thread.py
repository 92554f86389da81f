"""A thread of our own for calls that may block, one that never keeps the process from ending."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThread(Executor):
    """An executor of one daemon thread, calls in order; `latest` is the last one queued.

    Threads of `ThreadPoolExecutor` are joined at interpreter exit, where a write that hangs (a dead network share)
    would keep the process for ever.
    """

    def __init__(self, name: str) -> None:
        self.latest: Future[Any]
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._since: float | None = None
        self._idle.set()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; it can not be cancelled any more, because a batch half written must be known as such."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self.latest = future
        # Here and not in the thread: one that has not yet begun is not idle, and must be waited for all the more.
        self._idle.clear()

        def call() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                self._idle.set()
                future.set_exception(error)
            else:
                self._idle.set()  # before the answer, which may bring the next call
                future.set_result(result)

        self._calls.put(call)
        return future

    def wait_idle(self, seconds: float) -> None:
        """Wait for the call that was submitted last, but no longer than this."""
        self._idle.wait(seconds)

    def busy_s(self) -> float:
        """How long the call that is running has been; 0 when none is."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread after the calls queued so far; `cancel_futures` has no meaning here."""
        self._calls.put(None)
        if wait:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._since = time.monotonic()
            call()
            self._since = None
