"""Start, keep and end one run; lose nothing that arrived.

    lock → torn tails, moves cut short → restore → writer (outermost, never cancelled) → connection, snapshots, upkeep

At the end, in this order: the connection, recording what it received, the last snapshots, the writer.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from itertools import count

from . import __version__
from .clock import gaps_between, now_us, read_clocks
from .errors import AlreadyRunning, DiskError, EeloggerError
from .measure.clock_offset import OffsetBounds
from .measure.coverage import STARTED, Coverage
from .model import Reject, Timing, Verdict
from .parts import Parts
from .restore import Restore
from .settings import Settings
from .storage.camera_files import cut_torn_tails
from .storage.days import complete_moves, guess_day
from .storage.disk_errors import explain
from .storage.formats import parse_time, time_text
from .storage.paths import day_of
from .storage.program_log import ProgramLog
from .storage.state import read_refused_login, read_state
from .views.run_state import RunState

_log = logging.getLogger(__name__)


class Run:
    """One run in one log directory, made inside the event loop; `load` reads the settings again for each connection."""

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[], Settings] | None = None,
        timing: Timing | None = None,
        started_us: int | None = None,
    ) -> None:
        self.parts = Parts(settings, load or (lambda: settings), timing or Timing(), started_us or now_us())
        self.on_begun: Callable[[], None] = lambda: None  # the directory is ours
        self.on_event: Callable[[Verdict, str], None] | None = None  # a first-seen event, its camera's name
        self._has_begun = self._is_broken = False
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: EeloggerError | None = None

    def stop(self) -> None:
        """End the run once what has arrived is recorded; may be called at any time."""
        if not self._stop.done():
            self._stop.set_result(None)
        self.parts.session.stop()

    def state(self) -> RunState | None:
        """Where the run stands; None before it has the directory."""
        return self.parts.state() if self._has_begun else None

    async def run(self) -> None:
        """Until stopped; raises the `EeloggerError` that ends the run when it was not asked to end."""
        parts = self.parts
        # The collector stops the event loop, so it looks ten times less often: nearly all objects go by their count.
        gc.set_threshold(20_000, 5, 50)
        with ExitStack() as opened:
            try:
                opened.enter_context(parts.lock)
                self._open_day()
            except OSError as error:
                where, (cause, hint) = error.filename2 or error.filename or parts.paths.root, explain(error)
                raise DiskError(f"cannot use {where}: {cause}", hint) from error
            self._has_begun = True
            self.on_begun()
            upkeep = asyncio.create_task(self._end_with(parts.upkeep.run()), name="upkeep")
            try:
                if found := await parts.restore(self._stop):
                    async with parts.writer:
                        with ProgramLog(parts.writer):
                            self._begin(found)
                            await self._live()
            finally:
                upkeep.cancel()
                await asyncio.wait([upkeep])
        gc.freeze()  # the interpreter would go through all objects once more: half a second at 10,000 cameras
        if self._error is not None:
            raise self._error

    def _open_day(self) -> None:
        """Finish what the last run left half done; find its day."""
        parts, paths, started_us = self.parts, self.parts.paths, self.parts.started_us
        before = read_state(paths)
        day = before.day if before else guess_day(paths) or day_of(started_us)
        put_back = before is not None and before.alive_us < parse_time(day)
        parts.writer.stuck.update(complete_moves(paths, day, put_back=put_back))
        for path, cut, size in cut_torn_tails(paths):  # what the line said is in the stream log, or was never whole
            text = f"{path.name}: {cut.decode('utf-8', 'backslashreplace')}"
            parts.recorder.rejects.add(Reject("torn-line", "", text), started_us, size)
        if before is None:
            coverage = Coverage(started_us)
            coverage.open_gap(started_us, STARTED)
        else:
            coverage = Coverage(min(before.since_us, started_us))
            coverage.open_gap(before.alive_us, "stopped" if before.clean else "died")
            parts.writer.done_us = before.done_us
        parts.recorder.begin(day, coverage)
        parts.credentials.remembered = read_refused_login(paths)

    def _begin(self, found: Restore) -> None:
        parts = self.parts
        _log.info("eelogger %s starts, process %d, files in %s", __version__, os.getpid(), parts.paths.root)
        for warning in parts.settings.warnings:
            _log.warning("%s", warning)
        if found.rows:
            took_s = (now_us() - parts.started_us) / 1e6
            _log.info("the day was read in %.1f s: %d lines, %d updates judged", took_s, found.rows, found.judged)
        lines, files = found.skipped.lines, found.skipped.files
        if lines or files:
            named = "; ".join(map(str, files[:5])) or "none"
            _log.warning("passed over: %d unreadable lines, %d files: %s", lines, len(files), named)
        parts.recorder.on_event = self.on_event
        parts.ready_us = now_us()
        parts.recorder.turn_day(parts.ready_us)
        parts.upkeep.prune_for = parts.recorder.day
        # A kill in the first second must be restored from too.
        parts.write_state(force=True)

    async def _live(self) -> None:
        parts = self.parts
        await self._written()
        gc.freeze()  # what the day's files brought stays as long as the run: the collector need not look at it
        disk = self._end_with(asyncio.shield(parts.writer.failed))
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(work) for work in (parts.snapshots.run(), self._watch(), disk)]
                try:
                    await self._end_with(parts.session.run())
                finally:
                    for task in beside:
                        task.cancel()
        except BaseException:
            self._is_broken = True
            raise
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """Hand over the last snapshots, then `.state`. That says that everything before it is on disk."""
        parts, now, began_s = self.parts, now_us(), asyncio.get_running_loop().time()
        if isinstance(self._error, AlreadyRunning):
            # What stands in the directory is another's: not one more line into it.
            with suppress(DiskError):
                await parts.writer.close(0.0)
            return
        parts.writer.mark(now)
        # Observing ended when the connection did; without one it never began.
        coverage = parts.recorder.coverage
        blind_us, _ = coverage.blind.get("", (now, ""))
        parts.ended_us = blind_us if blind_us > parts.started_us else now
        for gap in coverage.close_gaps(parts.ended_us, [camera_id for camera_id in coverage.blind if camera_id]):
            parts.recorder.note_gap(gap)  # the next start knows only of the gap that begins now
        await parts.write_health()  # a run shorter than a minute leaves its clock, network and own error too
        await parts.snapshots.finish(f"STOPPED {time_text(now_us())} {self._how_it_ended()}")
        await self._written()
        parts.write_state(force=True, clean=not self._is_broken)
        waited_s = asyncio.get_running_loop().time() - began_s
        await parts.writer.close(max(0.0, parts.timing.disk_close_s - waited_s))

    def _how_it_ended(self) -> str:
        if self._is_broken:
            return "exit=1 a defect, see eelogger.log"
        error = self._error
        return f"exit={error.exit_code} {' '.join(str(error).split())} ({error.hint})" if error else "exit=0 as asked"

    async def _written(self) -> None:
        """Wait until everything handed over is on disk. On a slow disk `.state` is older than it could be."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self.parts.writer.idle()

    async def _end_with(self, work: Awaitable[None]) -> None:
        """End the run with the error that this work raises: it receives to the end, like at any other stop."""
        try:
            await work
        except EeloggerError as error:
            if isinstance(error, AlreadyRunning):
                # Said here, because `cli` takes this error for a second start, which is silent.
                _log.warning("%s was removed or replaced, and taken by another: %s", self.parts.paths.root, error)
            self._error = self._error or error
            self.stop()

    async def _watch(self) -> None:
        """Look once a second: did the clock jump, is it midnight, is a minute over?"""
        parts, tick_s = self.parts, self.parts.timing.tick_s
        clocks, ticks_a_minute = read_clocks(), max(1, round(parts.timing.health_s / tick_s))
        for tick in count(1):
            await asyncio.sleep(tick_s)
            before, clocks = clocks, read_clocks()
            for gap in gaps_between(before, clocks, round(tick_s * 1e9)):
                parts.recorder.note_gap(gap)
                _log.warning("%s of %.1f s: %s", gap.kind, (gap.to_us - gap.from_us) / 1e6, gap.reason)
                parts.vitals.bounds = OffsetBounds()  # the clock has been set since
                if gap.kind == "suspend":
                    parts.session.leave("suspend")
            if not parts.session.queued_bytes:
                # Nothing waits: whatever arrived before this moment has been handed over.
                now = now_us()
                parts.recorder.turn_day(now)
                parts.writer.mark(now)
            parts.write_state(force=tick % 10 == 0)
            if tick % ticks_a_minute == 0 or tick == 3:  # soon, so that `status` knows a run that has just begun
                await parts.write_health()
