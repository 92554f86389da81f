"""Bring lines and snapshots to disk soon, in order, whatever happens."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Self

from aiofiles.os import wrap

from ..model import Timing
from .batch import Batch, Moves, Sink
from .daemon_thread import DaemonThread
from .days import Move
from .disk import Flush, IdentityLog
from .disk_errors import Trouble
from .paths import LogPaths

REMEMBERED: Final = 1_000  # batches whose durations are kept: a minute at the highest rates, hours at low ones
# A batch that takes longer is the disk's fault: lines are held for it up to the bound, and no longer.
SLOW_S: Final = 1.0
HANGS_S: Final = 60.0  # a batch takes milliseconds, on a slow disk seconds
LEND_CHARS: Final = 8192
# While a batch is written, the loop waits so long for the thread at every so many characters handed over: only one
# thread runs Python at a time, and each system call gives that up. At saturation a batch of 500 cameras takes 30 ms,
# without this up to a second.
LEND_S: Final = 0.0005


class Writer(Sink):
    """Writes each line once and in order, or counts it in the `DiskError` of `close`; an async context manager.

    `buffer_bytes` bounds what waits, in characters; `failed` gets the `DiskError` when that is reached, or a defect.
    `may_write` is asked in the thread before each file. `stuck` are moves that the disk refuses now, by source.
    `done_us` is the newest mark all of whose lines are on disk.
    """

    def __init__(
        self, paths: LogPaths, *, buffer_bytes: int, timing: Timing, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self.paths = paths
        self.failed: asyncio.Future[None]
        self.stuck: dict[str, Move] = {}
        self.done_us: int | None = None
        self.written_bytes = 0
        self._bound = buffer_bytes
        self._timing = timing
        self._may_write: Callable[[], bool] = lambda: not self._abandoned and may_write()
        self._full = self._closing = self._abandoned = False
        self._queue = deque([Batch()])
        self._held = Batch()  # what is being written, or could not be
        self._identities = IdentityLog(paths)
        self._pending = self._refused = 0
        self._trouble = Trouble()
        self._retry_at = inf
        self._sleeper: asyncio.Future[None] | None = None
        self._lend_at, self._lent_size = LEND_CHARS, 0
        self._durations_us: deque[int] = deque(maxlen=REMEMBERED)

    async def __aenter__(self) -> Self:
        self.failed = asyncio.Future()
        self.failed.add_done_callback(asyncio.Future.exception)  # so that nobody has to ask
        self._rested = asyncio.Event()
        self._thread = DaemonThread("writer")
        self._task = asyncio.create_task(self._run(), name="writer")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, deadline_s: float | None = None) -> None:
        """Write out what waits, for at most `timing.disk_close_s`; raises `DiskError` with the number of lost lines."""
        if self._closing:
            return
        self._closing = True
        self._retry_at = time.monotonic()
        self._rouse()
        end = self._retry_at + (self._timing.disk_close_s if deadline_s is None else deadline_s)
        cancelled = False
        while not self._task.done() and (left := end - time.monotonic()) > 0:
            try:
                await asyncio.wait([self._task], timeout=left)
            except asyncio.CancelledError:
                cancelled = True
        self._full = True
        self._abandoned = not self._task.done()  # what hangs must write nothing when it goes on after the end
        self._task.cancel()
        await asyncio.wait([self._task])
        self._thread.shutdown(wait=not self._abandoned)
        lost = self._refused + self.pending_lines
        if lost or self.moving:
            raise self._trouble.error(f"{lost} lines are lost" if lost else "files were not moved")
        if cancelled:
            raise asyncio.CancelledError

    def room(self, text: str) -> Batch | None:
        """The batch that takes this text; None once the buffer was full: what is on disk is complete up to a moment."""
        size = len(text)
        if self._full or (self._pending + size > self._bound and not self._works):
            self._refused += 1
            if not (self._full or self.failed.done()):
                cause = f"{self.pending_lines} lines wait, the buffer of {self._bound / (1 << 20):.0f} MiB is full"
                self.failed.set_exception(self._trouble.error(cause))
            self._full = True
            return None
        self._pending += size
        forming = self._queue[-1]
        forming.size += size
        if self._sleeper is not None:
            self._rouse()
        elif forming.size > self._lend_at:
            # Lend the interpreter to the thread while a batch is being written and lines keep coming. When no file
            # was written since the last loan, it may be the disk that is waited for.
            self._lend_at = forming.size + LEND_CHARS
            if self._held.size != self._lent_size or self._thread.busy_s() < SLOW_S:
                self._lent_size = self._held.size
                self._thread.wait_idle(LEND_S)
        return forming

    def mark(self, us: int) -> None:
        """Say that all lines of everything that arrived up to `us` were handed over."""
        if not self._full:
            self._queue[-1].mark_us = us
            self._rouse()

    def add(self, batch: Batch) -> None:
        """Hand over a whole batch; its size is not bounded."""
        self._pending += batch.size
        self._queue[-1].extend(batch)
        self._rouse()

    def replace(self, path: str, content: str | bytes) -> None:
        """Hand over the new content of a snapshot; of several for one path the latest counts."""
        self._queue[-1].snapshots[path] = content
        self._rouse()

    def barrier(self, moves: Moves) -> None:
        """Move files between what came before and what comes after; lines that are held follow their file."""
        self._queue[-1].moves = moves
        self._queue.append(Batch())
        self._rouse()

    @property
    def moving(self) -> bool:
        """Whether a barrier is queued or under way."""
        return any(batch.moves for batch in (self._held, *self._queue))

    @property
    def pending_lines(self) -> int:
        """How many lines wait for the disk, a record of several counted once."""
        return sum(batch.lines for batch in (self._held, *self._queue))

    @property
    def hangs(self) -> bool:
        """Whether a batch has been in the thread for longer than a slow disk explains."""
        return self._thread.busy_s() > HANGS_S

    @property
    def is_behind(self) -> bool:
        """Whether more waits than should, though the disk works: what comes may wait where it came from."""
        return self._pending > self._bound // 2 and self._works

    @property
    def _works(self) -> bool:
        return not self._trouble.errors and self._thread.busy_s() < SLOW_S

    @property
    def trouble(self) -> str:
        """What the disk refuses now, "" when nothing."""
        return self._trouble.cause[0] if self._trouble.errors else ""

    async def idle(self) -> None:
        """Wait until no line and no barrier waits: never, while lines keep coming or a file cannot be written."""
        while self._held.size or self.moving or not self._queue[0].is_empty:
            self._rested.clear()
            await self._rested.wait()

    def write_p99_us(self) -> int:
        """99th percentile of what the latest `REMEMBERED` batches took on disk, in µs."""
        ordered = sorted(self._durations_us)
        return ordered[len(ordered) * 99 // 100] if ordered else 0

    async def _run(self) -> None:
        rest_s = self._timing.write_rest_s
        while await self._due():
            while self._held.moves is None and not self._queue[0].is_empty:
                self._held.extend(self._queue.popleft())
                if not self._queue:
                    self._queue.append(Batch())
            flush = await self._turn()
            if not self._closing:
                # The dearer the batches, the fewer; nobody sees a line later than a quarter of a second.
                await asyncio.sleep(min(max(rest_s, 4e-6 * flush.took_us), 3 * rest_s))
            elif flush.refused:
                return  # another process has the directory

    async def _due(self) -> bool:
        """Wait until something is to be written; False when all is done."""
        while True:
            if self._held.moves is None and not self._queue[0].is_empty:
                return True
            if self._closing and not (self._held.size or self._held.moves):
                return False
            left = self._retry_at - time.monotonic()
            if left <= 0:
                return True
            self._sleeper = asyncio.Future()
            await asyncio.wait([self._sleeper], timeout=min(left, HANGS_S))
            self._sleeper = None

    def _rouse(self) -> None:
        if self._sleeper is not None:
            self._sleeper.set_result(None)
            self._sleeper = None

    async def _turn(self) -> Flush:
        trouble, held, started = self._trouble, self._held, time.monotonic()
        skip = trouble.paths if started < self._retry_at else set()
        waiting = self.pending_lines if trouble.errors else 0
        self._lent_size = size = held.size
        self._lend_at = LEND_CHARS
        flush = Flush(held, self._identities, skip, self._may_write, self.stuck)
        await wrap(flush.run)(executor=self._thread)
        self._pending -= size - held.size
        self.written_bytes += size - held.size
        if size:
            self._durations_us.append(flush.took_us)
        if not held.size and held.mark_us is not None:
            self.done_us, held.mark_us = held.mark_us, None
        if not flush.refused:
            fate = f"{self._refused} were lost" if self._refused else "none was lost"
            trouble.heed(flush.errors, flush.snapshots, self.stuck, skip, f"{waiting} lines waited, {fate}")
        if not (trouble.paths or flush.refused):
            self._retry_at = inf
        elif not started < self._retry_at < inf:
            self._retry_at = time.monotonic() + self._timing.disk_retry_s
        self._rested.set()
        return flush

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not (task.cancelled() or self.failed.done()) and (error := task.exception()) is not None:
            self.failed.set_exception(error)
