"""Run blocking calls in a thread that never keeps the process alive."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class DaemonThread:
    """One daemon thread, calls in order; as much of an executor as `run_in_executor` needs."""

    # Threads of `ThreadPoolExecutor` are joined at exit: a write that hangs (a network share) would keep the process.
    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._since = 0.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[*Ts], T], *args: *Ts) -> Future[T]:
        """Queue a call; it can not be cancelled any more, because a batch half written must be known as such."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        # Here and not in the thread: one that has not yet begun is not idle, and must be waited for all the more.
        self._since = time.monotonic()
        self._idle.clear()

        def call() -> None:
            try:
                answer = partial(future.set_result, fn(*args))
            except BaseException as error:
                answer = partial(future.set_exception, error)
            self._idle.set()  # before the answer, which may bring the next call
            answer()

        self._calls.put(call)
        return future

    def wait_idle(self, seconds: float) -> None:
        """Wait for the call that was submitted last, but no longer than this."""
        self._idle.wait(seconds)

    def busy_s(self) -> float:
        """How long ago the call was submitted that is under way; 0 when none is."""
        return 0.0 if self._idle.is_set() else time.monotonic() - self._since

    def shutdown(self, wait: bool) -> None:
        """End the thread after the calls queued so far."""
        self._calls.put(None)
        if wait:
            self._thread.join()

    def _work(self) -> None:
        while call := self._calls.get():
            call()
