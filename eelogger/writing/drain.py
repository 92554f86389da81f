"""When pending lines go to disk: soon, later when the disk refused, all of them at the end.

A batch forms while the one before is being written and for a short pause after it (`pace`): after a quiet moment what
is there goes at once, and batches grow only under load. Each is one call in a thread of our own (`flush`).
Invariant: what is in the thread is awaited to its end; who cancels gets everything written, unless the disk hangs.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiofiles.ospath import wrap  # type: ignore[attr-defined]  # its stubs leave it out

from ..thread import DaemonThread
from .batch import Batch, Known
from .flush import Outcome, write_batch
from .pace import Lender, pause_s
from .pending import Pending
from .trouble import FIRST_RETRY_S, Notify, Trouble

Rebase = Callable[[str, list[Any]], list[str]]

CLOSE_S: Final = 10.0
"""How long a slow disk is waited for at the end, in seconds."""

BUSY_RETRY_S: Final = 1.0
"""How soon a snapshot that a reader holds is tried again, and how long at the end, in seconds."""

REMEMBERED: Final = 10_000
"""How many batches' durations are kept: a few minutes at the highest rates, hours at low ones."""

HANGS_S: Final = 60.0
"""A batch takes milliseconds, on a slow disk seconds."""

_in_thread: Callable[..., Awaitable[Outcome]] = wrap(write_batch)


class Drain:
    """One task and one thread, which bring what is pending to disk."""

    def __init__(self, pending: Pending, known: Known, rebase: Rebase, notify: Notify) -> None:
        self.trouble = Trouble(notify)
        self.durations_us: deque[int] = deque(maxlen=REMEMBERED)
        self.since_asked_us: list[int] = []
        self.abandoned = False
        self._pending = pending
        self._known = known
        self._rebase = rebase
        self._not_before = 0.0
        self._retry_at: float | None = None
        self._heed_lines = True
        self._changed: frozenset[str] = frozenset()
        self._closing_since: float | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin; the task ends after `finish`, or with a defect."""
        self._loop = asyncio.get_running_loop()
        self._thread = DaemonThread("writer")
        self._lender = Lender(self._pending, self._thread)
        self._task = self._loop.create_task(self._run(), name="writer")
        return self._task

    async def finish(self, deadline_s: float) -> bool:
        """Write all that is pending, or give up after `deadline_s` seconds; whether somebody cancelled."""
        cancelled = False
        self._close(deadline_s)
        while not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError:
                cancelled = True
        self._thread.shutdown(wait=not self.abandoned)
        return cancelled

    @property
    def hangs(self) -> bool:
        """Whether a batch has been in the thread for longer than a slow disk explains."""
        return self._thread.busy_s() > HANGS_S

    async def _run(self) -> None:
        while not self._ended():
            await self._pause()
            batch = self._pending.next()
            while batch is not None and await self._write(batch):
                pass  # others changed delay logs: what was rendered again goes at once

    async def _pause(self) -> None:
        """Sleep while nothing is to be written, or nothing of it is due."""
        pending = self._pending
        if self._retry_at is None and pending.next() is None and self._closing_since is None:
            await self._sleep(None)
        if self._closing_since is None and (left := self._not_before - self._loop.time()) > 0:
            await self._sleep(left, heed_lines=False)
        while self._retry_at is not None and (left := self._retry_at - self._loop.time()) > 0:
            if not self._heed_lines:
                # What came meanwhile may be for files that work, but not each line is worth a look.
                await self._sleep(min(left, FIRST_RETRY_S), heed_lines=False)
                self._heed_lines = True
            elif pending.waiting:
                return
            else:
                await self._sleep(left)

    async def _sleep(self, seconds: float | None, *, heed_lines: bool = True) -> None:
        pending = self._pending
        pending.wake.clear()
        pending.asleep = heed_lines
        timer = None if seconds is None else self._loop.call_later(seconds, pending.wake.set)
        try:
            await pending.wake.wait()
        except asyncio.CancelledError:
            self._outlive()
        finally:
            pending.asleep = False
            if timer is not None:
                timer.cancel()

    async def _write(self, batch: Batch) -> bool:
        """One batch to disk, and what follows from how it went; whether to write what is left at once."""
        due = self._retry_at is None or self._loop.time() >= self._retry_at
        skip = {} if due else self.trouble.errors
        lines = self._pending.lines() if self.trouble and due else 0
        size, cameras = batch.size, len(batch.cameras)
        self._lender.begin()
        outcome = await self._call(_in_thread(batch, self._known, skip, executor=self._thread))
        self._lender.end()
        self.durations_us.append(outcome.took_us)
        if len(self.since_asked_us) < REMEMBERED:
            self.since_asked_us.append(outcome.took_us)
        self._pending.wrote(batch, size)
        if outcome.tell is not None:
            outcome.tell()
        rendered = self._render_changed(outcome)
        now = self._loop.time()
        self._not_before = now + pause_s(cameras, size)
        self._heed_lines = batch.size < size or not outcome.errors
        if not outcome.errors:
            if self.trouble:
                self.trouble.over(lines, self._pending.refused, now)
            self._retry_at = now + BUSY_RETRY_S if outcome.busy else None
        elif due:
            self._retry_at = self.trouble.failed(outcome.errors, now)
        else:
            self.trouble.errors = outcome.errors
        if outcome.changed and not rendered:
            self._retry_at = min(self._retry_at or math.inf, now + FIRST_RETRY_S)
        elif self._closing_since is not None:
            self._hurry(now + FIRST_RETRY_S)
        return rendered

    def _render_changed(self, outcome: Outcome) -> bool:
        """Have the pending lines of changed delay logs rendered again; False when one changes all the time."""
        for camera_id, size in outcome.changed.items():
            try:
                texts = self._rebase(camera_id, self._pending.tokens(camera_id))
            except OSError as error:
                outcome.errors[str(error.filename)] = error.with_traceback(None)
                continue
            self._pending.render(camera_id, texts)
            self._known.sizes[camera_id] = size
        new = self._changed.isdisjoint(outcome.changed)
        self._changed = frozenset(outcome.changed)
        return bool(outcome.changed) and new and not outcome.errors

    async def _call(self, call: Awaitable[Outcome]) -> Outcome:
        """Await a call in the thread to its end, whoever cancels: no batch may be left half known."""
        while True:
            try:
                return await call
            except asyncio.CancelledError:
                self._outlive()
                call = asyncio.wrap_future(self._thread.latest)

    def _outlive(self) -> None:
        """Take a cancellation for the wish to end: write out what is pending first."""
        if self.abandoned:
            raise asyncio.CancelledError
        self._close(CLOSE_S)

    def _close(self, deadline_s: float) -> None:
        if self._closing_since is None:
            self._closing_since = self._loop.time()
            give_up = self._loop.call_later(deadline_s, self._give_up)
            self._task.add_done_callback(lambda task: give_up.cancel())
        self._hurry(self._closing_since)
        self._pending.rouse()

    def _give_up(self) -> None:
        self.abandoned = True
        self._task.cancel()

    def _hurry(self, at: float) -> None:
        if self._retry_at is not None:
            self._retry_at = min(self._retry_at, at)

    def _ended(self) -> bool:
        """Whether all is written that is to be written; snapshots which readers hold on to are given up."""
        if self._closing_since is None:
            return False
        batch = self._pending.current
        held = batch is not None and not (batch.has_lines or batch.then or self.trouble)
        given_up = held and self._loop.time() - self._closing_since > BUSY_RETRY_S
        return (batch is None or given_up) and not self._pending.waiting
