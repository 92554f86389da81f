"""What waits for the disk: batches in order, parted by barriers, the last of them still forming.

Decides whether another line is taken, and what goes to disk next; leaves when to `drain`. Invariant: lines leave in
the order they came, none overtakes a barrier, and once one had to be refused every later one is, so that what is on
disk is complete up to a point in time.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from .batch import Batch, CameraLines, Lines

T = TypeVar("T")


class Pending:
    """Takes lines up to `bound` characters; `current` is the batch that is being written or could not be.

    Setting `wake` is what makes the writer look; lines do it only while it is `asleep`. It sets `rested` after each
    batch. `written` counts the characters on disk. `on_lend` is called when the forming batch passes `lend_at`.
    """

    def __init__(self, uuids_path: str, bound: int) -> None:
        self.bound = bound
        self.size = 0
        self.written = 0
        self.refused = 0
        self.full = False
        self.on_full: Callable[[], None] = lambda: None
        self.lend_at = sys.maxsize
        self.on_lend: Callable[[], None] = lambda: None
        self.done_us: int | None = None
        self.wake = asyncio.Event()
        self.rested = asyncio.Event()
        self.asleep = False
        self.current: Batch | None = None
        self._uuids_path = uuids_path
        self.forming = Batch(uuids_path)
        self._queue = deque([self.forming])

    def admit(self, size: int) -> Batch | None:
        """The batch that takes a line of this length, None when it is refused and thereby lost."""
        self.size += size
        if self.size > self.bound or self.full:
            self._refuse(size)
            return None
        batch = self.forming
        batch.size += size
        if self.asleep:
            self.rouse()
        elif batch.size > self.lend_at:
            self.on_lend()
        return batch

    def rouse(self) -> None:
        """Make the writer look."""
        self.asleep = False
        self.wake.set()

    def mark(self, us: int) -> None:
        """All that arrived up to `us` was handed over; meaningless once lines were refused."""
        if self.full:
            return
        if self.asleep and self.current is None:
            self.done_us = us
        else:
            self.forming.mark = us

    def part(self, fn: Callable[[], T], waiter: asyncio.Future[T], insist: bool) -> None:
        """What comes from here on waits until everything before is on disk and `fn` was called, for `waiter`."""

        def answer(tell: Callable[[Any], None], value: object) -> None:
            if not waiter.done():
                tell(value)

        def then() -> Callable[[], None]:
            try:
                value = fn()
            except Exception as error:
                if insist and isinstance(error, OSError):
                    raise
                return partial(answer, waiter.set_exception, error)
            return partial(answer, waiter.set_result, value)

        self.forming.then = then
        self._form()
        self.rouse()

    @property
    def waiting(self) -> bool:
        """Whether something waits behind the current batch."""
        return bool(self._queue[0])

    def next(self) -> Batch | None:
        """All that is pending up to the next barrier, what is left of the current batch first; None: nothing."""
        while self._queue[0] and (self.current is None or self.current.then is None):
            later = self._queue.popleft()
            if not self._queue:
                self._form()
            if self.current is None:
                self.current = later
            else:
                self.current.merge(later)
        self._settle_mark()
        return self.current

    def wrote(self, batch: Batch, size: int) -> None:
        """The current batch has been to the disk; it was `size` characters long before."""
        self.size -= size - batch.size
        self.written += size - batch.size
        if not batch.has_lines and batch.mark is not None:
            self.done_us, batch.mark = batch.mark, None
        if not batch:
            self.current = None
        self._settle_mark()
        self.rested.set()

    def tokens(self, camera_id: str) -> list[object]:
        """What the pending delay lines of a camera can be rendered from again, in order, across barriers."""
        return [key for _, lines in self._delays(camera_id) for key in lines.keys]

    def render(self, camera_id: str, texts: list[str]) -> None:
        """Give the pending delay lines of a camera other texts, one for each of its `tokens`."""
        renewed = iter(texts)
        for batch, lines in self._delays(camera_id):
            before = sum(map(len, lines.texts))
            lines.texts = list(islice(renewed, len(lines.keys)))
            lines.torn = 0
            grown = sum(map(len, lines.texts)) - before
            batch.size += grown
            self.size += grown

    def lines(self) -> int:
        """How many lines are pending; walks all of it."""
        return sum(batch.lines() for batch in (self.current, *self._queue) if batch)

    def _delays(self, camera_id: str) -> list[tuple[Batch, Lines]]:
        batches = [batch for batch in (self.current, *self._queue) if batch]
        return [(batch, batch.cameras[camera_id].delay) for batch in batches if camera_id in batch.cameras]

    def _settle_mark(self) -> None:
        missing = self.waiting or (self.current is not None and self.current.has_lines)
        if not missing and self.forming.mark is not None:
            self.done_us, self.forming.mark = self.forming.mark, None

    def _form(self) -> None:
        self.forming = Batch(self._uuids_path)
        self._queue.append(self.forming)

    def _refuse(self, size: int) -> None:
        self.size -= size
        self.refused += 1
        if not self.full:
            self.full = True
            self.on_full()


class CameraLog:
    """The stream log of one camera, as `Writer.stream_logs` gives it to the handler."""

    __slots__ = ("_delay_path", "_pending", "_stream_path", "camera_id")

    def __init__(self, pending: Pending, camera_id: str, stream_path: str, delay_path: str) -> None:
        self.camera_id = camera_id
        self._pending = pending
        self._stream_path = stream_path
        self._delay_path = delay_path

    def write(self, text: str) -> None:
        """Hand over one line of the stream log, newline included."""
        batch = self._pending.admit(len(text))
        if batch is not None:
            (batch.cameras.get(self.camera_id) or self._begin(batch)).stream.texts.append(text)

    def write_delay(self, token: object, text: str) -> None:
        """Hand over one line of the delay log, newline included, and what it can be rendered from again."""
        batch = self._pending.admit(len(text))
        if batch is not None:
            delay = (batch.cameras.get(self.camera_id) or self._begin(batch)).delay
            delay.texts.append(text)
            delay.keys.append(token)

    def _begin(self, batch: Batch) -> CameraLines:
        lines = batch.cameras[self.camera_id] = CameraLines(self._stream_path, self._delay_path)
        return lines
