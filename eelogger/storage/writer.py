"""Bring lines and snapshots to disk soon, in order, whatever happens."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Self

from aiofiles.os import wrap

from ..errors import DiskError
from ..measure.dedup import GENERATION
from ..model import Timing
from .batch import Batch, Moves, Sink
from .daemon_thread import DaemonThread
from .days import Move
from .disk import Flush, IdentityLog
from .disk_errors import Notify, Trouble
from .paths import LogPaths

UUID_LIMIT: Final = GENERATION  # lines of the identity log before it becomes the old one
REMEMBERED: Final = 10_000  # batches whose durations are kept: a few minutes at the highest rates, hours at low ones
# A batch that takes longer is the disk's fault: lines are held for it up to the bound, and no longer.
SLOW_S: Final = 1.0
HANGS_S: Final = 60.0  # a batch takes milliseconds, on a slow disk seconds
CLOSING_RETRY_S: Final = 0.1
LEND_CHARS: Final = 8192
# While a batch is written, the loop waits so long for the thread at every so many characters handed over: only one
# thread runs Python at a time, and each system call gives that up. At saturation a batch of 500 cameras takes 30 ms,
# without this up to a second.
LEND_S: Final = 0.0005
PATIENCE: Final = 20  # after so many loans in which no file was written it is the disk that is waited for

_in_thread: Callable[..., Awaitable[Flush]] = wrap(Flush.run)


class Writer(Sink):
    """Writes the log files; an async context manager, to be the outermost one, awaited and never cancelled.

    A line handed over is written once and in order, or counted in the `DiskError` that `close` raises. `buffer_bytes`
    bounds what waits, in characters; `failed` gets the `DiskError` when that is reached, or a defect. `may_write` is
    asked in the thread before each file. `stuck` are moves that the disk refuses now, by source: lines for such a
    file wait; moves that failed at a start are put there before the first line. `uuid_lines` are those in the
    identity log, to be set then too. `done_us` is the newest mark all of whose lines are on disk.
    """

    def __init__(
        self,
        paths: LogPaths,
        *,
        buffer_bytes: int,
        timing: Timing,
        notify: Notify,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self.paths = paths
        self.failed: asyncio.Future[None]
        self.stuck: dict[str, Move] = {}
        self.done_us: int | None = None
        self.uuid_lines = self.written_bytes = 0
        self._bound = buffer_bytes
        self._timing = timing
        self._may_write: Callable[[], bool] = lambda: not self._abandoned and may_write()
        self._full = self._closing = self._abandoned = False
        self._queue = deque([Batch()])
        self._held = Batch()  # what is being written, or could not be
        self._pending = self._refused = 0
        self._trouble = Trouble(notify)
        self._retry_at: float | None = None
        self._sleeper: asyncio.Future[None] | None = None
        self._lend_at = sys.maxsize
        self._loans = self._lent_size = 0
        self._durations_us: deque[int] = deque(maxlen=REMEMBERED)
        self._latest_us: deque[int] = deque(maxlen=REMEMBERED)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        self._rested = asyncio.Event()
        self._thread = DaemonThread("writer")
        self._task = self._loop.create_task(self._run(), name="writer")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, deadline_s: float | None = None) -> None:
        """Write out what waits, for at most `timing.disk_close_s`; raises `DiskError` with the number of lost lines.

        A cancellation meanwhile is raised after the end. Lines handed over afterwards are refused.
        """
        if self._closing:
            return
        self._closing = True
        now = self._loop.time()
        self._retry_at = None if self._retry_at is None else now
        self._rouse()
        end = now + (self._timing.disk_close_s if deadline_s is None else deadline_s)
        cancelled = False
        while not self._task.done() and (left := end - self._loop.time()) > 0:
            try:
                await asyncio.wait([self._task], timeout=left)
            except asyncio.CancelledError:
                cancelled = True
        self._full = True
        self._abandoned = not self._task.done()  # what hangs must write nothing when it goes on after the end
        self._task.cancel()
        await asyncio.wait([self._task])
        self._thread.shutdown(wait=not self._abandoned)
        if self.failed.done():
            self.failed.exception()  # so that nobody else has to ask
        lost = self._refused + self.pending_lines
        if lost or self.moving:
            raise self._error(f"{lost} lines are lost" if lost else "files were not moved", lost)
        if cancelled:
            raise asyncio.CancelledError

    # What is handed over

    def room(self, text: str) -> Batch | None:
        """The batch that takes this text; None once the buffer was full: what is on disk is complete up to a moment."""
        size = len(text)
        if self._full or (self._pending + size > self._bound and not self._works):
            self._refuse()
            return None
        self._pending += size
        forming = self._queue[-1]
        forming.size += size
        if self._sleeper is not None:
            self._rouse()
        elif forming.size > self._lend_at:
            self._lend(forming)
        return forming

    def _refuse(self) -> None:
        self._refused += 1
        if not self._full and not self.failed.done():
            text = f"{self.pending_lines} lines wait, the buffer of {self._bound / (1 << 20):.0f} MiB is full"
            self.failed.set_exception(self._error(text, self._refused))
        self._full = True

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

    def barrier(self, moves: Moves) -> asyncio.Future[None]:
        """Move files between what was handed over before and what comes after.

        For midnight: `writer.barrier(partial(day_moves, paths, day))`; for renames:
        `writer.barrier(lambda held: rename_moves(paths, {old_stem: new_stem, …}))`. The future is done once each file
        was moved or is known to be `stuck`. No line before it is waited for: what is held follows its file.
        """
        batch = self._queue[-1]
        batch.moves, batch.moved = moves, self._loop.create_future()
        self._queue.append(Batch())
        self._rouse()
        return batch.moved

    # What is said of it

    @property
    def moving(self) -> bool:
        """Whether a barrier is queued or under way."""
        return any(batch.moved for batch in (self._held, *self._queue))

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
        return _p99(self._durations_us)

    def take_write_p99_us(self) -> int:
        """The same of the batches since it was asked last."""
        latest, self._latest_us = self._latest_us, deque(maxlen=REMEMBERED)
        return _p99(latest)

    # How it gets to disk

    async def _run(self) -> None:
        rest_s = self._timing.write_rest_s
        while await self._due():
            while self._held.moves is None and not self._queue[0].is_empty:
                self._held.extend(self._queue.popleft())
                if not self._queue:
                    self._queue.append(Batch())
            flush = await self._turn()
            if self._closing and flush.refused:
                return  # another process has the directory
            if not self._closing:
                # The dearer the batches, the fewer; nobody sees a line later than a quarter of a second.
                await asyncio.sleep(min(max(rest_s, 4e-6 * flush.took_us), 3 * rest_s))

    async def _due(self) -> bool:
        """Wait until something is to be written now; False when all is done."""
        while True:
            if self._held.moves is None:
                if not self._queue[0].is_empty:
                    return True
                if self._closing and not self._held.size:
                    return False
            left = None if self._retry_at is None else self._retry_at - self._loop.time()
            if left is not None and left <= 0:
                return True
            self._sleeper = self._loop.create_future()
            await asyncio.wait([self._sleeper], timeout=left)
            self._sleeper = None

    def _rouse(self) -> None:
        if self._sleeper is not None:
            self._sleeper.set_result(None)
            self._sleeper = None

    async def _turn(self) -> Flush:
        """One batch to disk, and what follows from how it went."""
        trouble, held, started = self._trouble, self._held, self._loop.time()
        due = self._retry_at is None or started >= self._retry_at
        skip = set() if due else trouble.paths
        waiting = self.pending_lines if trouble.errors else 0
        self._lent_size = size = held.size
        self._loans, self._lend_at = PATIENCE, LEND_CHARS
        log = IdentityLog(str(self.paths.uuids), str(self.paths.uuids_old), UUID_LIMIT, self.uuid_lines)
        flush = await _in_thread(Flush(held, log, skip, self._may_write, self.stuck), executor=self._thread)
        self._lend_at = sys.maxsize
        self.uuid_lines = log.lines
        self._pending -= size - held.size
        self.written_bytes += size - held.size
        if size:
            self._durations_us.append(flush.took_us)
            self._latest_us.append(flush.took_us)
        if held.moved is not None and held.moves is None:
            if not held.moved.done():
                held.moved.set_result(None)
            held.moved = None
        if not held.size and held.mark_us is not None:
            self.done_us, held.mark_us = held.mark_us, None
        now = self._loop.time()
        if not flush.refused:
            fate = f"{self._refused} were lost" if self._refused else "none was lost"
            trouble.heed(flush.errors, self.stuck, skip, now, f"{waiting} lines waited, {fate}")
            trouble.heed_snapshots(flush.snapshots, skip)
        if due:
            again = CLOSING_RETRY_S if self._closing else self._timing.disk_retry_s
            self._retry_at = now + again if trouble.paths or flush.refused else None
        self._rested.set()
        return flush

    def _lend(self, forming: Batch) -> None:
        """Lend the interpreter to the thread while a batch is being written and lines keep coming."""
        self._thread.wait_idle(LEND_S)
        if self._held.size != self._lent_size:
            self._lent_size, self._loans = self._held.size, PATIENCE
        else:
            self._loans -= 1
        self._lend_at = forming.size + LEND_CHARS if self._loans > 0 else sys.maxsize

    def _error(self, text: str, lost_lines: int) -> DiskError:
        cause, hint = self._trouble.cause
        return DiskError(f"{text}: {cause}", hint, lost_lines=lost_lines)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._full = True
            if not self.failed.done():
                self.failed.set_exception(error)


def _p99(durations_us: Iterable[int]) -> int:
    ordered = sorted(durations_us)
    return ordered[len(ordered) * 99 // 100] if ordered else 0
