"""Start, keep and end one run, so that nothing that arrived is lost.

    lock → torn tails, moves cut short → restore → writer (outermost, never cancelled) → connection, snapshots, upkeep

At the end, in this order: the connection, recording what it received, the last snapshots, the writer.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Final

from . import __version__
from .clock import gaps_between, now_us, read_clocks
from .errors import AlreadyRunning, DiskError, EeloggerError
from .measure.coverage import STARTED
from .model import Reject, Timing, Verdict
from .parts import Parts
from .restore import Restore
from .settings import Settings
from .storage.camera_files import cut_torn_tails
from .storage.days import complete_moves, guess_day
from .storage.disk_errors import unusable
from .storage.formats import parse_time, time_text
from .storage.paths import day_of
from .storage.program_log import ProgramLog
from .storage.state import read_refused_login, read_state
from .views.run_state import RunState

# How long the first and the last `.state` are waited for; on a slower disk they say less than they could.
STATE_WAIT_S: Final = 2.0
# The collector stops the event loop, so it looks ten times less often at new objects: nearly all go by their count.
GC_THRESHOLDS: Final = (20_000, 5, 50)
NAMED: Final = 5  # files that cannot be read are named, so many of them
FIRST_HEALTH_TICK: Final = 3  # so that `status` knows a run that has just begun

_log = logging.getLogger(__name__)


class Run:
    """One run in one log directory, made inside the event loop; `load` reads the settings again for each connection.

    `on_begun` is called once the directory is ours, `on_event` with each first-seen event and its camera's name.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[], Settings] | None = None,
        timing: Timing | None = None,
        started_us: int | None = None,
    ) -> None:
        self.parts = Parts(settings, load or (lambda: settings), timing or Timing(), started_us or now_us())
        self.on_begun: Callable[[], None] = lambda: None
        self.on_event: Callable[[Verdict, str], None] | None = None
        self._has_begun = self._is_broken = False
        self._stop = asyncio.Event()
        self._error: EeloggerError | None = None

    def stop(self) -> None:
        """End the run once what has arrived is recorded; may be called at any time."""
        self._stop.set()
        self.parts.session.stop()

    def state(self) -> RunState | None:
        """Where the run stands; None before it has the directory."""
        return self.parts.state() if self._has_begun else None

    async def run(self) -> None:
        """Until stopped; raises the `EeloggerError` that ends the run when it was not asked to end."""
        gc.set_threshold(*GC_THRESHOLDS)
        parts = self.parts
        with ExitStack() as opened:
            try:
                opened.enter_context(parts.lock)
                tails = self._open_day()
            except OSError as error:
                raise unusable(parts.paths.root, error) from error
            self._has_begun = True
            self.on_begun()
            upkeep = asyncio.create_task(self._keep_directory(), name="upkeep")
            try:
                if found := await parts.restore(self._stop):
                    async with parts.writer:
                        with ProgramLog(parts.writer):
                            self._begin(found, tails)
                            await self._live()
            finally:
                upkeep.cancel()
                await asyncio.wait([upkeep])
        gc.freeze()  # the interpreter would go through all objects once more: half a second at 10,000 cameras
        if self._error is not None:
            raise self._error

    def _open_day(self) -> list[tuple[Path, bytes, int]]:
        """Finish what the last run left half done, and see which day it left."""
        parts, paths = self.parts, self.parts.paths
        before = parts.before = read_state(paths)
        day = before.day if before else guess_day(paths) or day_of(parts.started_us)
        put_back = before is not None and before.alive_us < parse_time(day)
        parts.writer.stuck.update({move.source: move for move in complete_moves(paths, day, put_back=put_back)})
        tails = cut_torn_tails(paths)
        parts.recorder.begin(day)
        if before is None:
            parts.coverage.open_gap(parts.started_us, STARTED)
        else:
            parts.coverage.since_us = min(before.since_us, parts.started_us)
            parts.coverage.open_gap(before.alive_us, "stopped" if before.clean else "died")
        parts.credentials.remembered = before.login if before else read_refused_login(paths)
        return tails

    def _begin(self, found: Restore, tails: list[tuple[Path, bytes, int]]) -> None:
        parts = self.parts
        _log.info("eelogger %s starts, process %d, files in %s", __version__, os.getpid(), parts.paths.root)
        for warning in parts.settings.warnings:
            _log.warning("%s", warning)
        if found.rows:
            took_s = (now_us() - parts.started_us) / 1e6
            _log.info("the day was read in %.1f s: %d lines, %d updates judged", took_s, found.rows, found.judged)
        lines, files = found.skipped.lines, found.skipped.files
        if lines or files:
            named = "; ".join(map(str, files[:NAMED])) or "none"
            _log.warning("passed over: %d unreadable lines, %d files: %s", lines, len(files), named)
        parts.recorder.on_event = self.on_event
        parts.ready_us = now_us()
        for path, cut, size in tails:  # what the line said is in the stream log, or was never whole
            text = f"{path.name}: {cut.decode('utf-8', 'backslashreplace')}"
            parts.recorder.rejects.add(Reject("torn-line", "", text), parts.ready_us, size)
        parts.recorder.turn_day(parts.ready_us)
        parts.upkeep.prune(parts.recorder.day)
        # A kill in the first second must be restored from too.
        parts.snapshots.write_state(force=True)

    async def _live(self) -> None:
        parts = self.parts
        await self._written()
        gc.freeze()  # what the day's files brought stays as long as the run: the collector need not look at it
        work = {"snapshots": parts.snapshots.run(), "watch": self._watch(), "disk": self._watch_disk()}
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(task, name=name) for name, task in work.items()]
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
        parts, now, began_s = self.parts, now_us(), asyncio.get_running_loop().time()
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
        await parts.write_health()  # a run shorter than a minute leaves its clock, network and own error too
        await parts.snapshots.finish(f"STOPPED {time_text(now_us())} {self._how_it_ended()}")
        await self._written()
        parts.snapshots.write_state(force=True, clean=not self._is_broken)
        waited_s = asyncio.get_running_loop().time() - began_s
        await parts.writer.close(max(0.0, parts.timing.disk_close_s - waited_s))

    def _how_it_ended(self) -> str:
        if self._is_broken:
            return "exit=1 a defect, see eelogger.log"
        error = self._error
        return f"exit={error.exit_code} {' '.join(str(error).split())} ({error.hint})" if error else "exit=0 as asked"

    async def _written(self) -> None:
        """Wait until all that was handed over is on disk, or the disk has had its chance."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STATE_WAIT_S):
                await self.parts.writer.idle()

    # What ends the run with an error: it receives to the end like at any other stop.
    async def _keep_directory(self) -> None:
        try:
            await self.parts.upkeep.run()
        except EeloggerError as error:
            # Said here, because `cli` takes this error for a second start, which is silent.
            _log.warning("%s was removed or replaced, and taken by another: %s", self.parts.paths.root, error)
            self._error = error
            self.stop()

    async def _watch_disk(self) -> None:
        try:
            await asyncio.shield(self.parts.writer.failed)
        except EeloggerError as error:
            self._error = error
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
                parts.vitals.bounds.restart()
                if gap.kind == "suspend":
                    parts.session.leave("suspend")
            if not parts.session.queued_bytes:
                # Nothing waits: whatever arrived before this moment has been handed over.
                now = now_us()
                parts.recorder.turn_day(now)
                parts.writer.mark(now)
            if tick % ticks_a_minute == 0 or tick == FIRST_HEALTH_TICK:
                await parts.write_health()
                parts.write_cameras()
