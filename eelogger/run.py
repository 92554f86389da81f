"""Start, keep and end one run, so that nothing that arrived is lost.

    lock → torn tails, moves cut short → restore → writer (outermost, never cancelled) → connection, snapshots, upkeep

At the end the connection stops first, what it received is recorded, then the last snapshots are handed over, then the
writer is awaited.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

from . import __version__
from .clock import StepWatch, now_us
from .errors import AlreadyRunning, DiskError, EeloggerError
from .measure.coverage import Coverage
from .model import DAY_US, Verdict
from .parts import Parts
from .storage.batch import Batch
from .storage.camera_files import cameras_text
from .storage.days import day_moves
from .storage.disk_errors import unusable
from .storage.formats import parse_time
from .storage.program_log import ProgramLog
from .storage.restore import Restored
from .storage.torn_tails import TornTail
from .storage.upkeep import Upkeep
from .views.run_state import RunState
from .views.snapshots import Snapshots
from .views.summary import closing_table

# How long the first and the last `.state` are waited for; on a slower disk they say less than they could.
STATE_WAIT_S: Final = 2.0
# The collector stops the event loop, so it looks ten times less often at new objects: nearly all go by their count.
GC_THRESHOLDS: Final = (20_000, 5, 50)
NAMED: Final = 5  # files that cannot be read are named, so many of them
FIRST_HEALTH_TICK: Final = 3  # so that `status` knows a run that has just begun

_log = logging.getLogger(__name__)


class Run:
    """One run in one log directory; `on_event` are called with each first-seen event and its camera's name."""

    def __init__(self, parts: Parts, on_begun: Callable[[], None] = lambda: None) -> None:
        self.paths = parts.paths
        self.on_event: list[Callable[[Verdict, str], None]] = []
        self._parts = parts
        self._on_begun = on_begun
        self._has_begun = self._is_broken = False
        self._stop = asyncio.Event()
        self._error: EeloggerError | None = None
        self._snapshots = Snapshots(
            parts.writer.replace,
            parts.paths,
            now=parts.state,
            revision=parts.revision,
            state_text=parts.state_text,
            metrics_file=parts.settings.metrics_file,
            timing=parts.timing,
        )
        self._upkeep = Upkeep(
            parts.lock,
            parts.writer,
            keep_days=parts.settings.keep_days,
            max_bytes=parts.settings.log_max_bytes,
            on_retaken=self._retaken,
            timing=parts.timing,
        )
        parts.recorder.on_new_day = self._new_day

    def stop(self) -> None:
        """End the run once what has arrived is recorded; may be called at any time."""
        self._stop.set()
        self._parts.session.stop()

    @property
    def worked_s(self) -> float:
        """How long, in seconds, the longest ended connection of the run lasted."""
        return self._parts.session.longest_s

    def state(self) -> RunState | None:
        """Where the run stands; None before it has the directory."""
        return self._parts.state() if self._has_begun else None

    def closing(self) -> Iterator[str]:
        """The closing table in pieces; nothing before the run has the directory."""
        return closing_table(self._parts.state()) if self._has_begun else iter(())

    async def run(self) -> None:
        """Until stopped; raises the `EeloggerError` that ends the run when it was not asked to end."""
        gc.set_threshold(*GC_THRESHOLDS)
        parts = self._parts
        with ExitStack() as opened:
            try:
                opened.enter_context(parts.lock)
                tails = parts.open_day()
            except OSError as error:
                raise unusable(self.paths.root, error) from error
            self._has_begun = True
            self._on_begun()
            upkeep = asyncio.create_task(self._keep_directory(), name="upkeep")
            try:
                restored = await parts.restore(self._stop)
                if restored is not None:
                    async with parts.writer:
                        with ProgramLog(parts.writer):
                            self._begin(*restored, tails)
                            await self._live()
            finally:
                upkeep.cancel()
                await asyncio.wait([upkeep])
        gc.freeze()  # the interpreter would go through all objects once more: half a second at 10,000 cameras
        if self._error is not None:
            raise self._error

    def _begin(self, batch: Batch, found: Restored, tails: list[TornTail]) -> None:
        """Hand over what the restore found missing, and begin today."""
        parts = self._parts
        _log.info("eelogger %s starts, process %d, files in %s", __version__, os.getpid(), self.paths.root)
        if found.rows:
            took_s = (now_us() - parts.started_us) / 1e6
            _log.info("the day was read in %.1f s: %d lines, %d updates judged", took_s, found.rows, found.judged)
        for error in found.skipped.files[:NAMED]:
            _log.warning("cannot be read and is passed over: %s", error)
        if found.skipped.lines or found.skipped.files[NAMED:]:
            counts = found.skipped.lines, len(found.skipped.files)
            _log.warning("passed over: %d unreadable lines, %d files", *counts)
        parts.writer.add(batch)
        if self.on_event:
            parts.recorder.on_event = self._tell_event
        for tail in tails:
            parts.recorder.torn(tail)
        parts.ready_us = now_us()
        parts.recorder.turn_day(parts.ready_us)
        self._upkeep.prune(parts.recorder.day)
        # a kill in the first second must be restored from too.
        self._snapshots.write_state(force=True)

    async def _live(self) -> None:
        parts = self._parts
        await self._written()
        gc.freeze()  # what the day's files brought stays as long as the run: the collector need not look at it
        try:
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._snapshots.run(), name="snapshots"),
                    group.create_task(self._watch(), name="watch"),
                    group.create_task(self._watch_disk(), name="disk"),
                ]
                try:
                    await parts.session.run()
                except EeloggerError as error:
                    self._error = self._error or error
                finally:
                    for task in beside:
                        task.cancel()
        except BaseException:
            self._is_broken = True
            raise
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """Hand over the last snapshots, and then `.state`, which says that everything before it is on disk."""
        parts, now = self._parts, now_us()
        if isinstance(self._error, AlreadyRunning):
            # What stands in the directory is another's: not one more line into it.
            with suppress(DiskError):
                await parts.writer.close(0.0)
            return
        parts.writer.mark(now)
        # Observing ended when the connection did; without one it never began.
        blind_us = parts.coverage.blind_since_us
        parts.ended_us = now if blind_us is None or blind_us <= parts.started_us else blind_us
        for gap in parts.coverage.close_camera_gaps(parts.ended_us):
            parts.recorder.note_gap(gap)  # the next start knows only of the gap that begins now
        await self._parts.write_health()  # a run shorter than a minute leaves its clock, network and own error too
        await self._snapshots.finish(parts.headline(self._error, is_broken=self._is_broken))
        await self._written()
        self._snapshots.write_state(force=True, clean=not self._is_broken)

    async def _written(self) -> None:
        """Wait until all that was handed over is on disk, or the disk has had its chance."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STATE_WAIT_S):
                await self._parts.writer.idle()

    async def _keep_directory(self) -> None:
        try:
            await self._upkeep.run()
        except EeloggerError as error:
            # Said here, because `cli` takes this error for a second start, which is silent.
            _log.warning("%s was removed or replaced, and taken by another: %s", self.paths.root, error)
            self._fail(error)

    def _retaken(self) -> None:
        _log.warning("%s was removed or replaced, and is made anew", self.paths.root)
        parts = self._parts
        parts.writer.replace(os.fspath(self.paths.cameras), cameras_text(parts.recorder.cameras.values()))
        self._snapshots.write_again()

    async def _watch_disk(self) -> None:
        failed = self._parts.writer.failed
        await asyncio.wait([failed])
        error = failed.exception()
        if not isinstance(error, EeloggerError):
            raise RuntimeError("the writer ended") from error
        self._fail(error)

    def _fail(self, error: EeloggerError) -> None:
        """End the run with this error, but receive to the end like any other stop."""
        self._error = error
        self.stop()

    async def _watch(self) -> None:
        """Look once a second: did the clock jump, is it midnight, is a minute over?"""
        timing, steps = self._parts.timing, StepWatch(self._parts.timing.tick_s)
        ticks_a_minute = max(1, round(timing.health_s / timing.tick_s))
        for tick in count(1):
            await asyncio.sleep(timing.tick_s)
            for gap in steps.tick():
                self._parts.note_clock_gap(gap)
            if not self._parts.session.queued_bytes:
                # Nothing waits: whatever arrived before this moment has been handed over.
                now = now_us()
                self._parts.recorder.turn_day(now)
                self._parts.writer.mark(now)
            if tick % ticks_a_minute == 0 or tick == FIRST_HEALTH_TICK:
                await self._parts.write_health()

    def _new_day(self, ended: str, coverage: Coverage) -> None:
        """Move the files of the ended day, whose last line was just handed over."""
        parts = self._parts
        until_us = min(parse_time(ended) + DAY_US, now_us())
        state = self._parts.state()
        day = parts.recorder.handler.new_day()
        parts.writer.barrier(partial(day_moves, self.paths, ended))
        self._upkeep.prune(parts.recorder.day)
        self._snapshots.end_day(
            replace(state, date=ended, day=day, coverage=coverage, gaps=coverage.gaps, until_us=until_us)
        )
        _log.info("a new day: %s; the files of %s are in days/%s", parts.recorder.day, ended, ended)

    def _tell_event(self, verdict: Verdict) -> None:
        for tell in self.on_event:
            camera = self._parts.recorder.cameras.get(verdict.camera_id)
            tell(verdict, camera.name if camera else "")
