"""One run: opens everything from top to bottom, owns every task, and ends it so that nothing that arrived is lost.

    lock → writer (outermost, never cancelled) → history, session, snapshots, watchdog, upkeep

Decides the order of start and stop; what the rooms tell each other meanwhile is for `instrument`, everything else
theirs. Invariant: at the end the reader stops first, what it received is recorded, then the last snapshots are handed
over, then the writer is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Final

from .errors import AlreadyRunning, DiskError, EeloggerError
from .instrument import Instrument
from .logdir.lock import DirectoryLock
from .logdir.oplog import ProgramLog
from .logdir.state import read_state
from .logdir.tails import heal_tails
from .paths import LogPaths
from .screen.terminal import Glance
from .settings import Settings
from .upkeep import collector
from .upkeep.chores import Upkeep
from .upkeep.watchdog import Watchdog
from .version import __version__
from .views.slices import HISTORY_SLICE_S, in_slices
from .writer import Writer
from .writing.drain import CLOSE_S
from .writing.trouble import unusable

PAST_S: Final = 1.0
"""How long the last run's files are read on after a stop, which must be over in 2 s; usually that is enough."""
STATE_WAIT_S: Final = 2.0
"""How long the first and the last `.state` are waited for; on a slower disk they say less than they could."""

_log = logging.getLogger(__name__)


class Service:
    """A run in one log directory; made and used inside the event loop. `instrument` is there once it has begun."""

    instrument: Instrument

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        started_us: int,
        on_begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.paths = LogPaths(settings.log_dir)
        self._load = load
        self._settings = settings
        self._started_us = started_us
        self._on_begun = on_begun
        self._has_begun = False
        self._stop = asyncio.Event()
        self._ends_since: float | None = None
        self._error: EeloggerError | None = None
        self._is_broken = False

    def stop(self) -> None:
        """End the run, once what has arrived is recorded; may be called at any time."""
        self._stop.set()

    @property
    def worked_s(self) -> float:
        """How long, in seconds, the longest connection of the run lasted."""
        return self.instrument.session.longest_s if self._has_begun else 0.0

    def glance(self) -> Glance | None:
        """What the status line shows; None before the run has begun."""
        return self.instrument.present.glance() if self._has_begun else None

    def closing(self) -> Iterator[str]:
        """The closing table in pieces; nothing before the run has begun."""
        return self.instrument.present.closing() if self._has_begun else iter(())

    async def run(self) -> None:
        """Until stopped; raises the `EeloggerError` that ends the run when it was not asked to end."""
        collector.calm()
        with ExitStack() as opened:
            try:
                lock = opened.enter_context(DirectoryLock(self.paths))
                before = read_state(self.paths)
                self.paths.remove_temporaries()
                tails = heal_tails(self.paths)
            except OSError as error:
                raise unusable(self.paths.root, error) from error
            writer = Writer(
                self.paths,
                buffer_bytes=self._settings.disk_buffer_bytes,
                rebase=lambda camera_id, tokens: self.instrument.recorder.rebase(camera_id, tokens),
                notify=_notify,
                close_s=CLOSE_S - STATE_WAIT_S,
            )
            async with writer:
                with ProgramLog(writer):
                    upkeep = Upkeep(lock, self._settings, writer, self._retaken)
                    self.instrument = Instrument(
                        self._load, self._settings, writer, before, self._started_us, upkeep.prune
                    )
                    self._has_begun = True
                    _log.info("eelogger %s starts, process %d, files in %s", __version__, os.getpid(), self.paths.root)
                    self._on_begun()
                    for tail in tails:
                        self.instrument.recorder.torn(tail.path, tail.bytes)
                    await self._live(upkeep)

    async def _live(self, upkeep: Upkeep) -> None:
        instrument = self.instrument
        watchdog = Watchdog(on_gap=instrument.clock_gap, on_tick=instrument.tick, on_minute=instrument.minute)
        try:
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._read_history(), name="history"),
                    group.create_task(instrument.snapshots.run(), name="snapshots"),
                    group.create_task(watchdog.run(), name="watchdog"),
                    group.create_task(self._keep_directory(upkeep), name="upkeep"),
                    group.create_task(self._watch_disk(), name="disk"),
                    group.create_task(self._watch_stop(), name="stop"),
                ]
                try:
                    await instrument.session.run()
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
        if self._error is not None:
            raise self._error

    async def _read_history(self) -> None:
        """What is on disk, the way back, the day: only then is anything live recorded, or at a stop kept."""
        instrument = self.instrument
        await in_slices(instrument.take_up_past(self._is_late), HISTORY_SLICE_S)
        if instrument.recorder.judges:
            instrument.begin_day()
            await self._written()
            collector.settle()
        else:
            instrument.use_cameras()
        instrument.stream.ready.set()

    def _is_late(self) -> bool:
        """Whether the run was asked to end a while ago."""
        return self._ends_since is not None and asyncio.get_running_loop().time() > self._ends_since + PAST_S

    async def _written(self) -> None:
        """Until all that was handed over is on disk, or the disk has had its chance."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STATE_WAIT_S):
                await self.instrument.writer.idle()

    async def _keep_directory(self, upkeep: Upkeep) -> None:
        try:
            await upkeep.run()
        except EeloggerError as error:
            # Said here, because the edge takes this error for a second start, which is silent.
            _log.warning("%s was removed or replaced, and taken by another: %s", self.paths.root, error)
            with suppress(DiskError):
                await self.instrument.writer.close(0.0)  # not one more line into another's files
            self._fail(error)

    def _retaken(self) -> None:
        _log.warning("%s was removed or replaced, and is made anew", self.paths.root)
        self.instrument.write_again()

    async def _watch_disk(self) -> None:
        failed = self.instrument.writer.failed
        await asyncio.wait([failed])
        error = failed.exception()
        if not isinstance(error, EeloggerError):
            raise RuntimeError("the writer ended") from error
        self._fail(error)

    async def _watch_stop(self) -> None:
        await self._stop.wait()
        self._end()

    def _fail(self, error: EeloggerError) -> None:
        """End the run with this error, but receive to the end like any other stop."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._ends_since = self._ends_since or asyncio.get_running_loop().time()
        self.instrument.session.stop()

    async def _finish(self) -> None:
        """The last snapshots, and then `.state`, which says that everything before it is on disk."""
        instrument = self.instrument
        instrument.observing_ended()
        if isinstance(self._error, AlreadyRunning):
            return  # what stands in the directory is another's
        # A run shorter than a minute leaves its clock, network and own error too.
        instrument.minute()
        headline = instrument.present.stopped(self._error, broken=self._is_broken)
        if instrument.is_ready:
            await instrument.snapshots.finish(headline)
        else:
            # The day was not read to its end: the figures that stand there say more than ours.
            instrument.snapshots.write_headline(headline)
        await self._written()
        instrument.snapshots.write_state(force=True, clean=not self._is_broken)


def _notify(severity: str, text: str) -> None:
    _log.log(getattr(logging, severity.upper()), "%s", text)
