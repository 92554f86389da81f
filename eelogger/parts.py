"""Build and connect the parts of a run, and tell its state. `run` starts, keeps and ends them."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

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
from .storage.camera_files import cameras_text, read_cameras
from .storage.daemon_thread import DaemonThread
from .storage.days import day_moves, rename_moves
from .storage.disk import OTHER
from .storage.formats import parse_time
from .storage.lock import DirectoryLock
from .storage.paths import LogPaths, day_of
from .storage.state import State, state_text
from .storage.upkeep import Upkeep
from .storage.writer import Writer
from .views.run_state import OwnError, RunState, Vitals
from .views.snapshots import HealthLog, Snapshots, encoded

_log = logging.getLogger(__name__)


class Parts:
    """The parts of one run, and the moments of its life."""

    reading: Restore | None = None  # reads the day's files until `ready_us`
    ready_us = ended_us = 0  # observing goes on while the second is 0
    kernel: KernelClock | None = None
    _stated: object = None  # what `.state` shows

    def __init__(self, settings: Settings, load: Callable[[], Settings], timing: Timing, started_us: int) -> None:
        self.settings, self.timing, self.started_us = settings, timing, started_us
        self.paths = paths = LogPaths(settings.log_dir)
        self.lock = lock = DirectoryLock(paths)
        self.writer = Writer(paths, buffer_bytes=settings.disk_buffer_bytes, timing=timing, may_write=lock.still_ours)
        handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
        self.recorder = Recorder(handler, self.writer, Coverage(started_us), paths, day=day_of(started_us))
        self.recorder.on_day_end = self._end_day
        self.recorder.on_renamed = lambda stems: self.writer.barrier(lambda held: rename_moves(paths, stems))
        self.vitals, self.health = Vitals(), HealthLog()
        self.credentials = Credentials()
        known = CameraList(*read_cameras(paths))
        self.recorder.logged = set(known.cameras) or None
        self._cameras_text = cameras_text(known.cameras.values(), known.bridges) if known.cameras else ""
        self.session = Session(load, settings, self.recorder, self.credentials, known, timing)
        self.session.on_date = self._note_date
        self.session.on_rtt = lambda rtt_us: self.vitals.rtt_sample(rtt_us, "pong", now_us())
        self.session.cameras.on_use = self._note_cameras
        self.snapshots = Snapshots(
            self.writer.replace, paths, now=self.state, metrics_file=settings.metrics_file, timing=timing
        )
        self.upkeep = Upkeep(lock, self.writer, timing, self._write_again, settings.keep_days, settings.log_max_bytes)

    async def restore(self, stop: asyncio.Future[None]) -> Restore | None:
        """Read the day's files in a thread; None when the run was ended meanwhile."""
        reading = self.reading = Restore(self.recorder)
        thread = DaemonThread("restore")
        restoring = asyncio.wrap_future(thread.submit(reading.run, self.writer.done_us))
        thread.shutdown()
        # A stop does not wait for the disk: the thread is left behind, and writes nothing.
        waited: tuple[asyncio.Future[Any], ...] = restoring, stop
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            return None
        restoring.result()
        self.recorder.handler.totals.clear()
        self.reading = None
        return reading

    def state(self) -> RunState:
        """Where the run stands."""
        now = now_us()
        recorder, session, writer = self.recorder, self.session, self.writer
        lags, lag_p99_us, lag_max_us = session.lag.since_start()
        return RunState(
            state=session.state,
            since_us=session.state_since_us,
            written_us=now,
            started_us=self.started_us,
            until_us=min(self.ended_us or now, parse_time(recorder.day) + DAY_US - 1),
            date=recorder.day,
            day=recorder.handler.day,
            cameras=recorder.cameras,
            known=recorder.known,
            coverage=recorder.coverage,
            totals=recorder.handler.totals,
            rejected=recorder.rejects.counts,
            offset=self.vitals.bounds.offset(now),
            kernel=self.kernel,
            rtt=self.vitals.rtt(now),
            own_error=OwnError(lag_p99_us, lag_max_us, threshold_us(), lags),
            write_p99_us=writer.write_p99_us(),
            left=session.left,
            previews=recorder.handler.previews,
            names=self.settings.namespace_table,
            last=recorder.handler.last,
            reading=self.reading.share if self.reading else None,
            disk=writer.trouble,
            held_lines=writer.pending_lines if writer.trouble else 0,
            queued_bytes=session.queued_bytes,
        )

    def write_state(self, *, force: bool = False, clean: bool = False) -> None:
        """Replace `.state` when something happened since, or when told to."""
        recorder, done_us = self.recorder, self.writer.done_us or self.started_us
        stated = recorder.day, recorder.messages, self.session.state, len(recorder.coverage.gaps)
        if not force and stated == self._stated:
            return
        self._stated = stated
        alive_us, _ = recorder.coverage.blind.get("", (now_us(), ""))
        # Lines that wait longer for the disk may go with the process: until they are written, they were not observed.
        # Before the first line of this run is on disk, they wait at most since it could have any.
        held_since_us = max(done_us, self.ready_us)
        if alive_us - held_since_us > 5_000_000:
            alive_us = held_since_us
        state = State(recorder.day, alive_us, done_us, clean, recorder.coverage.since_us)
        self.writer.replace(os.fspath(self.paths.state), state_text(state, self.credentials.remembered))

    async def write_health(self) -> None:
        """Write the past minute's line of `health.log`."""
        self.kernel = kernel_state()
        (_, lag_p99_us, lag_max_us), rtt_max_us = self.session.lag.take_minute(), self.vitals.take_rtt_max_us()
        lines = self.health.line(self.state(), lag_p99_us, lag_max_us, rtt_max_us)
        self.writer.write(OTHER, os.fspath(self.paths.health), (await encoded(lines)).decode())

    def _note_cameras(self, cameras: Mapping[str, Camera], bridges: Mapping[str, str]) -> None:
        self._cameras_text = cameras_text(cameras.values(), bridges)
        self._write_cameras(self.paths)  # also where nothing changed: others may have removed the file

    def _note_date(self, sample: DateSample) -> None:
        if step := self.vitals.date_sample(sample):
            self.recorder.note_gap(step)
        if warning := self.vitals.clock_warning(now_us()):
            _log.warning("%s", warning)

    def _write_again(self) -> None:
        self._write_cameras(self.paths)
        self.write_state(force=True)
        self.snapshots.write_again()

    def _write_cameras(self, paths: LogPaths) -> None:
        if self._cameras_text:
            self.writer.replace(os.fspath(paths.cameras), self._cameras_text)

    def _end_day(self, today: str) -> None:
        ended = self.state()
        self.writer.barrier(partial(day_moves, self.paths, ended.date))
        self._write_cameras(self.paths.day(ended.date))
        asyncio.get_running_loop().call_soon(self.write_state)  # once the recorder has begun the day
        self.upkeep.prune_for = today
        self.snapshots.end_day(ended)
        _log.info("a new day: %s; the files of %s are in days/%s", today, ended.date, ended.date)
