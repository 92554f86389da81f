"""Hold the parts of one run, and tell where it stands."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from .clock import KernelClock, kernel_state, now_us, resolution_us
from .cloud.loop_delay import LagMeter, threshold_us
from .cloud.session import Session
from .cloud.sign_in import Credentials
from .errors import EeloggerError
from .measure.coverage import STARTED, Coverage
from .model import Gap, Timing
from .recorder import Recorder
from .settings import Settings
from .storage.batch import Batch
from .storage.camera_files import known_cameras, own_stems
from .storage.daemon_thread import DaemonThread
from .storage.days import complete_moves, guess_day
from .storage.formats import time_text
from .storage.lock import DirectoryLock
from .storage.paths import LogPaths, day_of, day_start_us
from .storage.restore import Restored, Stopped, restore
from .storage.state import State, read_refused_login, read_state, state_text
from .storage.torn_tails import TornTail, cut_torn_tails
from .storage.writer import Writer
from .views.health import HealthLog
from .views.run_state import OwnError, RunState, Vitals

_log = logging.getLogger(__name__)

# Lines that wait longer for the disk may go with the process: until they are written, they were not observed.
HELD_US: Final = 5_000_000


@dataclass
class Parts:
    """The parts of a run, connected by `wiring`, and the moments of its life.

    `before` is the state the last run left; `read` the share of the day's files read so far, None once all were;
    `ready_us` when that was; `ended_us` when observing ended, 0 while it goes on.
    """

    settings: Settings
    timing: Timing
    paths: LogPaths
    lock: DirectoryLock
    coverage: Coverage
    recorder: Recorder
    writer: Writer
    vitals: Vitals
    lag: LagMeter
    credentials: Credentials
    session: Session
    started_us: int
    before: State | None = None
    read: float | None = 0.0
    ready_us: int = 0
    ended_us: int = 0
    kernel: KernelClock | None = None
    health: HealthLog = field(default_factory=HealthLog)

    def open_day(self) -> list[TornTail]:
        """Finish what the last run left half done, and see which day it left."""
        paths = self.paths
        before = self.before = read_state(paths)
        day = before.day if before else guess_day(paths) or day_of(self.started_us)
        put_back = before is not None and before.alive_us < day_start_us(day)
        self.writer.stuck.update({move.source: move for move in complete_moves(paths, day, put_back=put_back)})
        tails = cut_torn_tails(paths)
        self.recorder.begin(day)
        self.coverage.since_us = min(before.since_us, self.started_us) if before else self.started_us
        if before is None:
            self.coverage.open_gap(self.started_us, STARTED)
        else:
            self.coverage.open_gap(before.alive_us, "stopped" if before.clean else "died")
        self.credentials.remembered = before.login if before else read_refused_login(paths)
        return tails

    async def restore(self, stop: asyncio.Event) -> tuple[Batch, Restored] | None:
        """Read the day's files in a thread; None when the run was ended meanwhile."""
        recorder, batch = self.recorder, Batch()
        stems, known = own_stems(self.paths), known_cameras(self.paths)
        recorder.use_files((known[camera_id] for camera_id in stems), stems)
        recorder.lines = batch
        thread = DaemonThread("restore")
        reading = partial(
            restore,
            self.paths,
            recorder,
            done_us=self.before.done_us if self.before else None,
            sink=batch,
            known=known,
            progress=self._progress,
            is_stopped=stop.is_set,
        )
        restoring = asyncio.wrap_future(thread.submit(reading))
        thread.shutdown(wait=False)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        waited: set[asyncio.Future[Any]] = {restoring, stopping}
        try:
            # a disk that hangs must not keep the process: then the thread is left behind.
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if stop.is_set():
            return None
        try:
            found = restoring.result()
        except Stopped:
            return None
        recorder.lines = self.writer
        recorder.handler.totals.clear()
        self.read = None
        return batch, found

    def _progress(self, done_bytes: int, total_bytes: int) -> None:
        self.read = done_bytes / total_bytes if total_bytes else 1.0

    def state(self) -> RunState:
        """Where the run stands."""
        now = now_us()
        recorder, session, writer = self.recorder, self.session, self.writer
        lag, rtt = self.lag.since_start(), self.vitals.rtt(now)
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
            offset=self.vitals.offset(now),
            kernel=self.kernel,
            rtt_us=rtt[0] if rtt else None,
            rtt_source=rtt[1] if rtt else "",
            own_error=OwnError(lag.p99_us, lag.max_us, threshold_us(resolution_us()), lag.n),
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
        done_us = self.writer.done_us
        if done_us is None:
            done_us = before.done_us if before else self.started_us
        blind_us = self.coverage.blind_since_us
        alive_us = now_us() if blind_us is None else blind_us
        # Before the first line of this run is on disk, lines wait at most since it could have any.
        held_since_us = max(done_us, self.ready_us)
        if alive_us - held_since_us > HELD_US:
            alive_us = held_since_us
        login = self.credentials.remembered
        return state_text(State(self.recorder.day, alive_us, done_us, clean, self.coverage.since_us, login))

    def revision(self) -> object:
        """Equal as long as nothing happened that a snapshot would show."""
        return self.recorder.messages, self.session.state, len(self.coverage.gaps)

    async def write_health(self) -> None:
        """Write the past minute's line of `health.log`."""
        self.kernel = kernel_state()
        lag = self.lag.take_minute()
        line = await self.health.line(
            self.state(), lag_p99_us=lag.p99_us, lag_max_us=lag.max_us, rtt_max_us=self.vitals.take_rtt_max_us()
        )
        self.writer.write_other(os.fspath(self.paths.health), line)

    def note_clock_gap(self, gap: Gap) -> None:
        """The machine slept, or its clock was put."""
        self.recorder.note_gap(gap)
        _log.warning("%s of %.1f s: %s", gap.kind, (gap.to_us - gap.from_us) / 1e6, gap.reason)
        self.vitals.clock_stepped()
        if gap.kind == "suspend":
            self.session.woke_up(gap.from_us)

    def headline(self, error: EeloggerError | None, *, is_broken: bool) -> str:
        """The summary's line of how the run stopped."""
        when = time_text(now_us())
        if is_broken:
            return f"STOPPED {when} exit=1 a defect, see eelogger.log"
        if error is None:
            return f"STOPPED {when} exit=0 as asked"
        text = " ".join(str(error).split())
        return f"STOPPED {when} exit={error.exit_code} {text} ({error.hint})"
