"""The only door to the log files: lines and snapshots are handed over at any time and are on disk soon after.

Decides what a line belongs to; what waits is in `pending`, when and how it gets to disk in `drain`. Handing over
never waits and never fails. Invariant: a line handed over is written once and in order, or counted in the `DiskError`
that `close` raises; no cancellation changes that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from .errors import DiskError
from .paths import LogPaths
from .text.logfmt import quote
from .writing.batch import Known, Lines
from .writing.drain import CLOSE_S, Drain, Rebase
from .writing.pending import CameraLog, Pending
from .writing.trouble import Notify

T = TypeVar("T")

UUID_LIMIT: Final = 100_000
"""Lines of the identity log before it becomes the old one; both together cover what dedup remembers."""


class Writer:
    """Writes the log files; an async context manager, to be the outermost one, awaited and never cancelled.

    `rebase(camera_id, tokens)` is called when others changed a camera's delay log: it counts the statistics anew
    from the file as it is and returns the lines of all pending tokens, in their order (a token must tell its day).
    `buffer_bytes` bounds what waits, in characters. `failed` gets the `DiskError` when that is reached, or a defect.
    """

    def __init__(
        self,
        paths: LogPaths,
        *,
        buffer_bytes: int,
        rebase: Rebase,
        notify: Notify,
        uuid_limit: int = UUID_LIMIT,
        close_s: float = CLOSE_S,
    ) -> None:
        self.paths = paths
        self.stream_logs: dict[str, CameraLog] = {}
        self.failed: asyncio.Future[None]
        self._pending = Pending(str(paths.uuids), buffer_bytes)
        self._pending.on_full = self._full
        self._known = Known(str(paths.uuids_old), uuid_limit)
        self._drain = Drain(self._pending, self._known, rebase, notify)
        self._barriers: set[asyncio.Future[Any]] = set()
        self._close_s = close_s
        self._closed = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        self._drain.start().add_done_callback(self._ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(self._close_s)

    async def close(self, deadline_s: float = CLOSE_S) -> None:
        """Write out what is pending, for at most `deadline_s` seconds; raises `DiskError` with the lines lost.

        A cancellation meanwhile is raised after the end. Lines handed over afterwards are refused.
        """
        if self._closed:
            return
        self._closed = True
        cancelled = await self._drain.finish(deadline_s)
        self._pending.full = True
        if self.failed.done():
            self.failed.exception()  # so that nobody else has to ask
        lost = self._pending.refused + self._pending.lines()
        if lost or self._drain.abandoned:
            raise self._disk_error(lost)
        if cancelled:
            raise asyncio.CancelledError

    def _disk_error(self, lost: int) -> DiskError:
        error = self._drain.trouble.error(f"{lost} lines are lost", lost)
        for waiter in self._barriers:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()
        return error

    def _full(self) -> None:
        text = f"{self._pending.lines()} lines wait, the buffer of {self._pending.bound >> 20} MiB is full"
        self._fail(self._drain.trouble.error(text, 1))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._pending.full = True
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    # What is handed over

    def register(self, camera_id: str, stem: str, delay_size: int | None = None) -> None:
        """Log a camera under this stem; from here on its delay log is expected to be `delay_size` bytes long.

        Without a size what was known of the camera's log goes on (a rename), or its size is learned at first touch.
        """
        stream, delay = str(self.paths.stream(stem)), str(self.paths.delay(stem))
        self.stream_logs[camera_id] = CameraLog(self._pending, camera_id, stream, delay)
        if delay_size is not None:
            self._pending.forming.sizes[camera_id] = delay_size

    def log_delay(self, camera_id: str, token: object, text: str) -> None:
        """Hand over one line of a camera's delay log, newline included; `token` is for `rebase`."""
        self.stream_logs[camera_id].write_delay(token, text)

    def log_processed_event_uuid(self, event_uuid: str, camera_id: str = "") -> None:
        """Hand over an identity, written after the lines of its camera, and quoted so as to be one line."""
        text = quote(event_uuid) + "\n"
        batch = self._pending.admit(len(text))
        if batch is not None:
            batch.uuids.texts.append(text)
            batch.uuids.keys.append(camera_id)

    def append(self, path: os.PathLike[str] | str, text: str) -> None:
        """Hand over whole lines for any other file."""
        batch = self._pending.admit(len(text))
        if batch is not None:
            batch.appends.setdefault(os.fspath(path), Lines(os.fspath(path))).texts.append(text)

    def replace(self, path: os.PathLike[str] | str, content: str | bytes) -> None:
        """Hand over the new content of a snapshot; of several for one path the latest counts."""
        self._pending.forming.snapshots[os.fspath(path)] = content
        if self._pending.asleep:
            self._pending.rouse()

    def mark(self, us: int) -> None:
        """Say that all lines of everything that arrived up to `us` were handed over."""
        self._pending.mark(us)

    def barrier(self, fn: Callable[[], T], *, insist: bool = False) -> asyncio.Future[T]:
        """Call `fn` in the writer's thread between what was handed over before and what comes after.

        It is called even if nobody awaits its result any more; with `insist` again and again while it raises
        `OSError`, as a file that cannot be written is tried again.
        """
        waiter: asyncio.Future[T] = self._loop.create_future()
        self._barriers.add(waiter)
        waiter.add_done_callback(self._barriers.discard)
        self._pending.part(fn, waiter, insist)
        return waiter

    @property
    def done_us(self) -> int | None:
        """The newest mark all of whose lines are on disk."""
        return self._pending.done_us

    @property
    def pending_bytes(self) -> int:
        """What waits for the disk, in characters, snapshots aside."""
        return self._pending.size

    @property
    def written_bytes(self) -> int:
        """How many characters of lines went to disk so far; nearly all of them are one byte."""
        return self._pending.written

    @property
    def lives(self) -> bool:
        """Whether no call in the thread hangs; a disk that is full or refuses is no such case."""
        return not self._drain.hangs

    async def idle(self) -> None:
        """Until nothing waits for the disk: never, while lines keep coming or a file cannot be written."""
        while self._pending.current is not None or self._pending.waiting:
            self._pending.rested.clear()
            await self._pending.rested.wait()

    def write_p99_us(self) -> int:
        """99th percentile of what the last `drain.REMEMBERED` batches took on disk, in microseconds."""
        return _p99(self._drain.durations_us)

    def take_write_p99_us(self) -> int:
        """The same of the batches since it was asked last."""
        since, self._drain.since_asked_us = self._drain.since_asked_us, []
        return _p99(since)

    @property
    def uuid_lines(self) -> int:
        """Lines in the identity log; to be set before the first one is handed over."""
        return self._known.uuid_lines

    @uuid_lines.setter
    def uuid_lines(self, lines: int) -> None:
        self._known.uuid_lines = lines


def _p99(durations_us: Iterable[int]) -> int:
    ordered = sorted(durations_us)
    return ordered[len(ordered) * 99 // 100] if ordered else 0
