"""One run: opens everything from top to bottom, owns every task, and ends it so that nothing that arrived is lost.

    lock → writer (outermost, never cancelled) → history, session, snapshots, watchdog, upkeep

Decides the order of start, midnight and stop; everything else is the rooms'. Invariant: at the end the reader stops
first, what it received is recorded, then the last snapshots are handed over, then the writer is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from typing import Final

from .clock import now_us, resolution_us
from .day import DayView
from .errors import AlreadyRunning, DiskError, EeloggerError
from .figures.observation import STARTED, Observation
from .handler import Handler
from .history import History
from .logdir.days import day_of, guess_day
from .logdir.filing import Filing
from .logdir.lock import DirectoryLock
from .logdir.oplog import ProgramLog
from .logdir.state import State, read_state, state_text
from .logdir.tails import heal_tails
from .model import Camera, DateSample, Gap
from .net.lag import threshold_us
from .paths import LogPaths
from .reconnect.keys import Keys
from .reconnect.roster import Roster
from .reconnect.session import Session
from .recorder import Recorder
from .screen.terminal import Glance
from .settings import Settings
from .stream import EventStream
from .text.times import parse_time
from .upkeep import collector
from .upkeep.chores import Upkeep
from .upkeep.watchdog import Watchdog
from .version import __version__
from .views.present import Present
from .views.slices import HISTORY_SLICE_S, in_slices
from .views.snapshots import Snapshots
from .views.vitals import Vitals
from .writer import Writer
from .writing.drain import CLOSE_S
from .writing.trouble import unusable

HELD_US: Final = 5_000_000
"""Lines that wait longer for the disk may go with the process: until they are there, they were not observed."""
PAST_S: Final = 1.0
"""How long the last run's files are read on after a stop, which must be over in 2 s; usually that is enough."""
STATE_WAIT_S: Final = 2.0
"""How long the first and the last `.state` are waited for; on a slower disk they say less than they could."""

_log = logging.getLogger(__name__)


class Service:
    """A run in one log directory; made and used inside the event loop."""

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        started_us: int,
        on_begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.started_us = started_us
        self.paths = LogPaths(settings.log_dir)
        self.ready = asyncio.Event()
        self.ended_us = 0
        self._built = False
        self._load = load
        self._on_begun = on_begun
        self._stop = asyncio.Event()
        self._ends_since: float | None = None
        self._error: EeloggerError | None = None
        self._is_broken = False

    def stop(self) -> None:
        """End the run, once what has arrived is recorded; may be called at any time."""
        self._stop.set()

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
            self.writer = Writer(
                self.paths,
                buffer_bytes=self.settings.disk_buffer_bytes,
                rebase=lambda camera_id, tokens: self.recorder.rebase(camera_id, tokens),
                notify=_notify,
                close_s=CLOSE_S - STATE_WAIT_S,
            )
            async with self.writer:
                with ProgramLog(self.writer):
                    self._build(lock, before)
                    _log.info("eelogger %s starts, process %d, files in %s", __version__, os.getpid(), self.paths.root)
                    self._on_begun()
                    for tail in tails:
                        self.recorder.torn(tail.path, tail.bytes)
                    await self._live()

    @property
    def worked_s(self) -> float:
        """How long, in seconds, the longest connection of the run lasted."""
        return self.session.longest_s if self._built else 0.0

    def glance(self) -> Glance | None:
        """What the status line shows; None before the run has begun."""
        return self.present.glance() if self._built else None

    def closing(self) -> Iterator[str]:
        """The closing table in pieces; nothing before the run has begun."""
        return self.present.closing() if self._built else iter(())

    def _build(self, lock: DirectoryLock, before: State | None) -> None:
        """Everything that lives as long as the run."""
        settings, started_us = self.settings, self.started_us
        self.before = before
        self.handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
        self.observation = Observation(before.since_us if before else started_us)
        if before is None:
            self.observation.lost(started_us, STARTED)
        else:
            self.observation.lost(before.alive_us, "stopped" if before.clean else "died")
        self.recorder = Recorder(
            self.handler,
            self.writer,
            self.observation,
            day=before.day if before else guess_day(self.paths) or day_of(started_us),
            on_new_day=self._new_day,
            reread=lambda camera_id: self.history.reread(camera_id),
        )
        self.vitals = Vitals(self.recorder.note_gap)
        self.stream = EventStream(
            self.recorder,
            events=settings.events,
            resources=settings.resources,
            lag_threshold_us=threshold_us(resolution_us()),
        )
        self.stream.on_rtt = self.vitals.rtt_sample
        self.stream.on_lag = self.vitals.lag.note
        self.history = History(self.paths, self.recorder, self.writer)
        self.filing = Filing(self.writer, self.history.stems)
        known = {camera.id: camera for camera in self.history.cameras().values() if settings.keeps(camera)}
        roster = Roster(self.recorder, self.stream, known, self._cameras_changed)
        self.keys = Keys(before.login if before else None, lambda: self.snapshots.write_state(force=True))
        self.session = Session(self._load, settings, self.stream, self.recorder, roster, self.keys, self._dated)
        self.present = Present(self, roster)
        self._built = True
        self.snapshots = Snapshots(
            self.writer,
            self.recorder.labels,
            now=self.present.today,
            revision=self.present.revision,
            render_summary=self.present.summary,
            render_state=self._state,
            render_metrics=self.present.metrics,
            metrics_file=settings.metrics_file,
        )
        self.upkeep = Upkeep(lock, settings, self.writer, self._retaken)
        self.watchdog = Watchdog(on_gap=self._clock_gap, on_tick=self._tick, on_minute=self._minute)

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._read_history(), name="history"),
                    group.create_task(self.snapshots.run(), name="snapshots"),
                    group.create_task(self.watchdog.run(), name="watchdog"),
                    group.create_task(self._keep_directory(), name="upkeep"),
                    group.create_task(self._watch_disk(), name="disk"),
                    group.create_task(self._watch_stop(), name="stop"),
                ]
                try:
                    await self.session.run()
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
        await in_slices(self._past(), HISTORY_SLICE_S)
        if not self.recorder.judges:
            self._use_cameras()
            self.stream.ready.set()
            return
        self.ready.set()
        self._use_cameras()
        self.recorder.turn_day(now_us())
        self.upkeep.prune(self.recorder.day)
        # A kill in the first second must find a way back too.
        self.snapshots.write_state(force=True)
        await self._written()
        collector.settle()
        self.stream.ready.set()

    def _past(self) -> Iterator[None]:
        """The steps of reading it; a stop soon cuts them short, and what arrived meanwhile is left to the next start.

        But for a day that is over: its files have to be complete before what arrived later gets new ones.
        """
        done_us = self.before.done_us if self.before else None
        way_back = () if done_us is None else self.history.way_back(done_us)
        for _ in chain(self.history.load(done_us), way_back):
            if self._is_late() and day_of(now_us()) <= self.recorder.day:
                self.recorder.keep_only()
                return
            yield

    def _is_late(self) -> bool:
        """Whether the run was asked to end a while ago."""
        return self._ends_since is not None and asyncio.get_running_loop().time() > self._ends_since + PAST_S

    async def _written(self) -> None:
        """Until all that was handed over is on disk, or the disk has had its chance."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STATE_WAIT_S):
                await self.writer.idle()

    async def _keep_directory(self) -> None:
        try:
            await self.upkeep.run()
        except EeloggerError as error:
            # Said here, because the edge takes this error for a second start, which is silent.
            _log.warning("%s was removed or replaced, and taken by another: %s", self.paths.root, error)
            with suppress(DiskError):
                await self.writer.close(0.0)  # not one more line into another's files
            self._fail(error)

    def _retaken(self) -> None:
        """The directory was removed or replaced by others: what is not appended to has to be put there again."""
        _log.warning("%s was removed or replaced, and is made anew", self.paths.root)
        if self.ready.is_set():
            self.snapshots.write_cameras(self.recorder.cameras.values())
            self.snapshots.write_again()

    async def _watch_disk(self) -> None:
        await asyncio.wait([self.writer.failed])
        error = self.writer.failed.exception()
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
        self.session.stop()

    async def _finish(self) -> None:
        """The last snapshots, and then `.state`, which says that everything before it is on disk."""
        if self.ready.is_set():
            self.writer.mark(now_us())
        # Observing ended when the connection did, not when its closing was over; without one it never began.
        blind_us = self.observation.blind_since_us
        self.ended_us = now_us() if blind_us is None or blind_us <= self.started_us else blind_us
        if isinstance(self._error, AlreadyRunning):
            return  # what stands in the directory is another's
        # A run shorter than a minute leaves its clock, network and own error too.
        self._minute()
        headline = self.present.stopped(self._error, broken=self._is_broken)
        if self.ready.is_set():
            await self.snapshots.finish(headline)
        else:
            # The day was not read to its end: the figures that stand there say more than ours.
            self.snapshots.write_headline(headline)
        await self._written()
        self.snapshots.write_state(force=True, clean=not self._is_broken)

    def _state(self, clean: bool) -> str:
        done_us = self.writer.done_us
        if done_us is None:
            done_us = self.before.done_us if self.before else self.started_us
        blind_us = self.observation.blind_since_us
        alive_us = now_us() if blind_us is None else blind_us
        if self.ready.is_set() and alive_us - done_us > HELD_US:
            alive_us = done_us
        return state_text(
            State(self.recorder.day, alive_us, done_us, clean, self.observation.since_us, self.keys.remembered)
        )

    def _cameras_changed(self, cameras: dict[str, Camera]) -> None:
        # While the day's files are being read their names stay.
        if self.ready.is_set():
            self._use_cameras()

    def _use_cameras(self) -> None:
        self.filing.use(self.recorder.cameras.values())
        self.snapshots.write_cameras(self.recorder.cameras.values())

    def _new_day(self, ended: str) -> None:
        """Midnight has passed."""
        day = self.handler.new_day()
        self.filing.end_day(ended, lambda: self.upkeep.prune(self.recorder.day))
        observed = self.recorder.observation_before_midnight
        self.snapshots.end_day(DayView(ended, day, observed, parse_time(self.recorder.day)))
        _log.info("a new day: %s; the files of %s are in days/%s", self.recorder.day, ended, ended)

    def _tick(self, now: int) -> None:
        connection = self.stream.connection
        if not self.ready.is_set() or (connection is not None and connection.waiting):
            return
        self.recorder.turn_day(now)
        # Nothing waits: whatever arrived before this moment has been handed over.
        self.writer.mark(now)

    def _minute(self) -> None:
        self.writer.append(self.paths.health, self.present.health_line())

    def _dated(self, sample: DateSample) -> None:
        self.vitals.date_sample(sample)
        sentence = self.vitals.clock_warning()
        if sentence is not None:
            _log.warning("%s", sentence)

    def _clock_gap(self, gap: Gap) -> None:
        self.recorder.note_gap(gap)
        _log.warning("%s of %.1f s: %s", gap.kind, (gap.to_us - gap.from_us) / 1e6, gap.reason)
        self.vitals.clock_stepped()
        if gap.kind == "suspend":
            self.session.woke_up(gap.from_us)


def _notify(severity: str, text: str) -> None:
    _log.log(getattr(logging, severity.upper()), "%s", text)
