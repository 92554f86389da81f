"""Bring lines and snapshots to disk soon, in order, whatever happens."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from aiofiles.os import wrap

from ..model import Timing
from .daemon_thread import DaemonThread
from .disk import Batch, Disk, Moves, Sink
from .disk_errors import Trouble
from .paths import LogPaths

REMEMBERED: Final = 1_000  # batches whose durations are kept: a minute at the highest rates, hours at low ones
SLOW_S: Final = 1.0  # a longer batch is the disk's fault: lines are held for it up to the bound, and no longer
LEND_CHARS: Final = 8192
# While a batch is written, the loop gives the thread so long after every so many characters: only one thread runs
# Python at a time. At saturation a batch of 500 cameras takes 30 ms, without this up to a second.
LEND_S: Final = 0.0005


class Writer(Sink):
    """An async context manager that writes each line once, in order. `close` counts lost lines in its `DiskError`."""

    def __init__(self, paths: LogPaths, *, buffer_bytes: int, timing: Timing, may_write: Callable[[], bool]) -> None:
        self.paths = paths
        self.failed: asyncio.Future[None]  # gets the `DiskError` when the buffer is full, or a defect
        self.done_us: int | None = None  # the newest mark all of whose lines are on disk
        self.written_bytes = 0
        self._bound = buffer_bytes  # of what waits, in characters
        self._timing = timing
        self._full = self._closing = self._abandoned = False
        self._disk = Disk(paths, lambda: not self._abandoned and may_write())
        self.stuck = self._disk.stuck  # moves that the disk refuses now, by source
        self._thread = DaemonThread("writer")
        self._queue = deque([Batch()])
        self._held = Batch()  # what is being written, or could not be
        self._pending = self._refused = 0
        self._trouble = Trouble()
        self._retry_at = 0.0
        self._wake, self._written = asyncio.Event(), asyncio.Event()
        self._durations_us: deque[int] = deque(maxlen=REMEMBERED)

    async def __aenter__(self) -> Self:
        self.failed = asyncio.Future()
        self.failed.add_done_callback(asyncio.Future.exception)  # so that asyncio does not warn when nobody asks
        self._task = asyncio.create_task(self._run(), name="writer")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, deadline_s: float | None = None) -> None:
        """Write out what waits, for at most `timing.disk_close_s`; raises `DiskError` with the number of lost lines."""
        if self._closing:
            return
        self._closing = True
        self._retry_at = 0.0
        self._wake.set()
        await asyncio.wait([self._task], timeout=self._timing.disk_close_s if deadline_s is None else deadline_s)
        self._abandoned = not self._task.done()  # what hangs must write nothing when it goes on after the end
        self._task.cancel()
        await asyncio.wait([self._task])
        self._thread.shutdown()
        if lost := self._refused + self.pending_lines:
            raise self._trouble.error(f"{lost} lines are lost")

    def room(self, text: str) -> Batch | None:
        """The batch that takes this text. None once the buffer was full: the files end there, without holes."""
        size = len(text)
        if self._full or (self._pending + size > self._bound and not self._works):
            self._refused += size > 0
            if not (self._full or self.failed.done()):
                cause = f"{self.pending_lines} lines wait, the buffer of {self._bound / (1 << 20):.0f} MiB is full"
                self.failed.set_exception(self._trouble.error(cause))
            self._full = True
            return None
        self._pending += size
        forming = self._queue[-1]
        forming.size += size
        if forming.size == size:
            self._wake.set()
        elif forming.size % LEND_CHARS < size:  # it went past a multiple
            self._thread.wait_idle(LEND_S)
        return forming

    def replace(self, path: str, content: str | bytes) -> None:
        """Hand over the new content of a snapshot; of several for one path the latest counts."""
        self._queue[-1].snapshots[path] = content
        self._wake.set()

    def barrier(self, moves: Moves) -> None:
        """Move files between what came before and what comes after; lines that are held follow their file."""
        self._queue[-1].moves = moves
        self._queue.append(Batch())
        self._wake.set()

    @property
    def moving(self) -> bool:
        """Whether a barrier is queued or under way."""
        return any(batch.moves for batch in (self._held, *self._queue))

    @property
    def pending_lines(self) -> int:
        """How many lines wait for the disk. A record of several counts once."""
        return sum(batch.lines for batch in (self._held, *self._queue))

    @property
    def is_behind(self) -> bool:
        """Whether more waits than should, though the disk works: what comes may wait where it came from."""
        return self._pending > self._bound // 2 and self._works

    @property
    def _works(self) -> bool:
        return not self._trouble.held and self._thread.busy_s() < SLOW_S

    @property
    def trouble(self) -> str:
        """What the disk refuses now, "" when nothing."""
        return self._trouble.cause[0] if self._trouble.held else ""

    async def idle(self) -> None:
        """Wait until nothing waits for the disk; for ever while lines keep coming or one is refused."""
        while self._held.size or self.moving or not self._queue[0].is_empty:
            self._written.clear()
            await self._written.wait()

    def write_p99_us(self) -> int:
        """p99 of the latest batches' time on disk, in µs."""
        ordered = sorted(self._durations_us)
        return ordered[len(ordered) * 99 // 100] if ordered else 0

    async def _run(self) -> None:
        rest_s = self._timing.write_rest_s
        try:
            while await self._is_due():
                took_us = await self._write()
                if not self._closing:
                    # The dearer the batches, the fewer; nobody sees a line later than a quarter of a second.
                    await asyncio.sleep(min(max(rest_s, 4e-6 * took_us), 3 * rest_s))
                elif self._disk.is_refused:
                    return  # another process has the directory
        except Exception as defect:
            if not self.failed.done():
                self.failed.set_exception(defect)

    async def _is_due(self) -> bool:
        """Wait until something is to be written; False when all is done."""
        held = self._held
        while held.moves is not None or self._queue[0].is_empty:
            if self._closing and not (held.size or held.moves):
                return False
            retry_s = self._retry_at - time.monotonic() if self.stuck or not held.is_empty else None
            if retry_s is not None and retry_s <= 0:
                return True
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s):
                    await self._wake.wait()
        return True

    async def _write(self) -> int:
        held = self._held
        while held.moves is None and not self._queue[0].is_empty:
            held.extend(self._queue.popleft())
            if not self._queue:
                self._queue.append(Batch())
        size, retry = held.size, time.monotonic() >= self._retry_at
        took_us = await wrap(self._disk.write)(held, retry=retry, executor=self._thread)
        if retry:
            self._retry_at = time.monotonic() + self._timing.disk_retry_s
        self._pending -= size - held.size
        self.written_bytes += size - held.size
        if size:
            self._durations_us.append(took_us)
        if not held.size and held.mark_us:
            self.done_us, held.mark_us = held.mark_us, 0
        if not self._disk.is_refused:
            self._trouble.heed(self._disk.errors, held.snapshots, self.stuck)
        self._written.set()
        return took_us
