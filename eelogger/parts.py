"""Build the parts of a run, connect them, and tell where it stands; `run` starts, keeps and ends them."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from .clock import KernelClock, kernel_state, now_us
from .cloud.cameras import CameraList
from .cloud.loop_delay import threshold_us
from .cloud.session import Session
from .cloud.sign_in import Credentials
from .measure.coverage import Coverage
from .measure.handler import Handler
from .model import DAY_US, Camera, DateSample, Timing
from .recorder import Recorder
from .restore import Restore
from .settings import Settings
from .storage.batch import Batch
from .storage.camera_files import cameras_text, read_bridges, read_cameras
from .storage.daemon_thread import DaemonThread
from .storage.days import day_moves, rename_moves
from .storage.formats import parse_time
from .storage.lock import DirectoryLock
from .storage.paths import LogPaths, day_of
from .storage.state import State, state_text
from .storage.upkeep import Upkeep
from .storage.writer import Writer
from .views.run_state import OwnError, RunState, Vitals
from .views.snapshots import HealthLog, Snapshots

_log = logging.getLogger(__name__)

# Lines that wait longer for the disk may go with the process: until they are written, they were not observed.
HELD_US: Final = 5_000_000


class Parts:
    """The parts of one run, and the moments of its life.

    `before` is the state the last run left; `read` the share of the day's files read so far, None once all were, at
    `ready_us`; `ended_us` when observing ended, 0 while it goes on.
    """

    before: State | None = None
    read: float | None = 0.0
    ready_us = ended_us = 0
    kernel: KernelClock | None = None
    _cameras_text = ""

    def __init__(self, settings: Settings, load: Callable[[], Settings], timing: Timing, started_us: int) -> None:
        self.settings, self.timing, self.started_us = settings, timing, started_us
        self.paths = paths = LogPaths(settings.log_dir)
        self.lock = DirectoryLock(paths)
        self.writer = Writer(
            paths, buffer_bytes=settings.disk_buffer_bytes, timing=timing, may_write=self.lock.still_ours
        )
        self.coverage = Coverage(started_us)
        handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
        self.recorder = Recorder(handler, self.writer, self.coverage, paths, day=day_of(started_us))
        self.recorder.on_new_day = self._new_day
        self.recorder.on_renamed = lambda stems: self.writer.barrier(lambda held: rename_moves(paths, stems))
        self.vitals, self.health = Vitals(self.recorder.note_gap), HealthLog()
        self.credentials = Credentials()
        self.session = Session(
            load,
            settings,
            self.recorder,
            self.credentials,
            CameraList(read_cameras(paths), read_bridges(paths)),
            timing,
            on_date=self._note_date,
            on_rtt=lambda rtt_us: self.vitals.rtt_sample(rtt_us, "pong", now_us()),
            on_cameras=self._note_cameras,
        )
        self.snapshots = Snapshots(
            self.writer.replace,
            paths,
            now=self.state,
            revision=lambda: (self.recorder.messages, self.session.state, len(self.coverage.gaps)),
            state_text=self.state_text,
            metrics_file=settings.metrics_file,
            timing=timing,
        )
        keep = settings.keep_days, settings.log_max_bytes
        self.upkeep = Upkeep(self.lock, self.writer, timing, self._retaken, *keep)

    async def restore(self, stop: asyncio.Event) -> Restore | None:
        """Read the day's files in a thread; None when the run was ended meanwhile."""
        self.recorder.lines = batch = Batch()
        thread = DaemonThread("restore")
        reading = Restore(self.recorder, self._progress)
        restoring = asyncio.wrap_future(thread.submit(reading.run, self.before.done_us if self.before else None))
        thread.shutdown(wait=False)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        waited: set[asyncio.Future[Any]] = {restoring, stopping}
        # A stop does not wait for the disk: the thread is left behind, and writes nothing.
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            return None
        found = restoring.result()
        self.writer.add(batch)
        self.recorder.lines = self.writer
        self.recorder.handler.totals.clear()
        self.read = None
        return found

    def _progress(self, done_bytes: int, total_bytes: int) -> None:
        self.read = done_bytes / total_bytes if total_bytes else 1.0

    def state(self) -> RunState:
        """Where the run stands."""
        now = now_us()
        recorder, session, writer = self.recorder, self.session, self.writer
        lags, lag_p99_us, lag_max_us = session.lag.since_start()
        rtt = self.vitals.rtt(now)
        return RunState(
            state=session.state if self.read is None else "reading the day",
            since_us=session.state_since_us,
            written_us=now,
            started_us=self.started_us,
            date=recorder.day,
            day=recorder.handler.day,
            cameras=recorder.cameras,
            coverage=self.coverage,
            until_us=self.ended_us or None,
            known=recorder.known,
            totals=recorder.handler.totals,
            rejected=recorder.rejects.counts,
            gaps=self.coverage.gaps,
            offset=self.vitals.bounds.offset(now),
            kernel=self.kernel,
            rtt_us=rtt[0] if rtt else None,
            rtt_source=rtt[1] if rtt else "",
            own_error=OwnError(lag_p99_us, lag_max_us, threshold_us(), lags),
            write_p99_us=writer.write_p99_us(),
            left=session.left,
            previews=recorder.handler.previews,
            names=self.settings.namespace_table,
            last=recorder.handler.last,
            reading=self.read,
            disk=writer.trouble,
            held_lines=writer.pending_lines if writer.trouble else 0,
            queued_bytes=session.queued_bytes,
        )

    def state_text(self, clean: bool) -> str:
        """The content of `.state`."""
        before = self.before
        done_us = self.writer.done_us or (before.done_us if before else self.started_us)
        alive_us = now_us() if self.coverage.blind_since_us is None else self.coverage.blind_since_us
        # Before the first line of this run is on disk, lines wait at most since it could have any.
        held_since_us = max(done_us, self.ready_us)
        if alive_us - held_since_us > HELD_US:
            alive_us = held_since_us
        login = self.credentials.remembered
        return state_text(State(self.recorder.day, alive_us, done_us, clean, self.coverage.since_us, login))

    async def write_health(self) -> None:
        """Write the past minute's line of `health.log`."""
        self.kernel = kernel_state()
        _, lag_p99_us, lag_max_us = self.session.lag.take_minute()
        line = await self.health.line(
            self.state(), lag_p99_us=lag_p99_us, lag_max_us=lag_max_us, rtt_max_us=self.vitals.take_rtt_max_us()
        )
        self.writer.write_other(os.fspath(self.paths.health), line)

    def write_cameras(self) -> None:
        """Write `cameras.json`, which others may have removed."""
        if self._cameras_text:
            self.writer.replace(os.fspath(self.paths.cameras), self._cameras_text)

    def _note_cameras(self, cameras: Mapping[str, Camera], bridges: Mapping[str, str]) -> None:
        self._cameras_text = cameras_text(cameras.values(), bridges)
        self.write_cameras()

    def _note_date(self, sample: DateSample) -> None:
        self.vitals.date_sample(sample)
        if warning := self.vitals.clock_warning(now_us()):
            _log.warning("%s", warning)

    def _retaken(self) -> None:
        _log.warning("%s was removed or replaced, and is made anew", self.paths.root)
        self.write_cameras()
        self.snapshots.write_again()

    def _new_day(self, ended: str, coverage: Coverage) -> None:
        until_us = min(parse_time(ended) + DAY_US, now_us())
        state, today = self.state(), self.recorder.day
        day = self.recorder.handler.new_day()
        self.writer.barrier(partial(day_moves, self.paths, ended))
        self.upkeep.prune(today)
        self.snapshots.end_day(
            replace(state, date=ended, day=day, coverage=coverage, gaps=coverage.gaps, until_us=until_us)
        )
        _log.info("a new day: %s; the files of %s are in days/%s", today, ended, ended)
