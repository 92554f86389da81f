"""The instrument of one run, put together: every room that lives as long as the run, and what one tells another.

Decides who is told what: of a camera list that changed, a clock that stepped, a minute or a day that is over. When it
begins and ends is for `service`. Invariant: no day ends before `is_ready`, when what stood in its files has been taken
up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

from .clock import now_us, resolution_us
from .day import DayView
from .figures.observation import STARTED, Observation
from .handler import Handler
from .history import History
from .logdir.days import day_of, guess_day
from .logdir.filing import Filing
from .logdir.state import State, state_text
from .model import Camera, DateSample, Gap
from .net.lag import threshold_us
from .reconnect.keys import Keys
from .reconnect.roster import Roster
from .reconnect.session import Session
from .recorder import Recorder
from .settings import Settings
from .stream import EventStream
from .text.times import parse_time
from .views.present import Present
from .views.snapshots import Snapshots
from .views.vitals import Vitals
from .writer import Writer

HELD_US: Final = 5_000_000
"""Lines that wait longer for the disk may go with the process: until they are there, they were not observed."""

_log = logging.getLogger(__name__)


class Instrument:
    """The rooms of a run, made inside the event loop; `before` is the state in which the last run left the files.

    `prune(day)` is to remove the days that are too many once that day has begun.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        writer: Writer,
        before: State | None,
        started_us: int,
        prune: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.writer = writer
        self.before = before
        self.started_us = started_us
        self.ended_us = 0
        self.is_ready = False
        self._ready_us = started_us
        self._prune = prune
        self._set_up_recording()
        self._set_up_connecting(load)
        self._set_up_showing()

    def _set_up_recording(self) -> None:
        settings, before, started_us = self.settings, self.before, self.started_us
        self.handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
        self.observation = Observation(before.since_us if before else started_us)
        if before is None:
            self.observation.lost(started_us, STARTED)
        else:
            self.observation.lost(before.alive_us, "stopped" if before.clean else "died")
        paths = self.writer.paths
        self.recorder = Recorder(
            self.handler,
            self.writer,
            self.observation,
            day=before.day if before else guess_day(paths) or day_of(started_us),
            on_new_day=self._new_day,
            reread=lambda camera_id: self.history.reread(camera_id),
        )
        self.history = History(paths, self.recorder, self.writer)
        self._filing = Filing(self.writer, self.history.stems)

    def _set_up_connecting(self, load: Callable[[], Settings]) -> None:
        settings, before = self.settings, self.before
        self.vitals = Vitals(self.recorder.note_gap)
        self.stream = EventStream(
            self.recorder,
            events=settings.events,
            resources=settings.resources,
            lag_threshold_us=threshold_us(resolution_us()),
        )
        self.stream.on_rtt = self.vitals.rtt_sample
        self.stream.on_lag = self.vitals.lag.note
        known = {camera.id: camera for camera in self.history.cameras().values() if settings.keeps(camera)}
        self._roster = Roster(self.recorder, self.stream, known, self._cameras_changed)
        self._keys = Keys(before.login if before else None, lambda: self.snapshots.write_state(force=True))
        self.session = Session(load, settings, self.stream, self.recorder, self._roster, self._keys, self._dated)

    def _set_up_showing(self) -> None:
        self.present = Present(self, self._roster)
        self.snapshots = Snapshots(
            self.writer,
            self.recorder.labels,
            now=self.present.today,
            revision=self.present.revision,
            render_summary=self.present.summary,
            render_state=self._state,
            render_metrics=self.present.metrics,
            metrics_file=self.settings.metrics_file,
        )

    def take_up_past(self, is_late: Callable[[], bool]) -> Iterator[None]:
        """Read what the last run left, in small steps, as far as it gets before it is late."""
        return self.history.take_up(self.before.done_us if self.before else None, is_late)

    def begin_day(self) -> None:
        """What was on disk has been taken up: today's files are there, and of a day that is over none."""
        self.is_ready, self._ready_us = True, now_us()
        self.use_cameras()
        self.recorder.turn_day(now_us())
        self._prune(self.recorder.day)
        # A kill in the first second must find a way back too.
        self.snapshots.write_state(force=True)

    def use_cameras(self) -> None:
        """Each camera that is known has its files, under its present name."""
        self._filing.use(self.recorder.cameras.values())
        self.snapshots.write_cameras(self.recorder.cameras.values())

    def write_again(self) -> None:
        """The directory was made anew: what is not appended to has to be put there again."""
        if self.is_ready:
            self.snapshots.write_cameras(self.recorder.cameras.values())
            self.snapshots.write_again()

    def tick(self, now: int) -> None:
        """A second has passed."""
        connection = self.stream.connection
        if not self.is_ready or (connection is not None and connection.waiting):
            return
        self.recorder.turn_day(now)
        # Nothing waits: whatever arrived before this moment has been handed over.
        self.writer.mark(now)

    def minute(self) -> None:
        """A minute has passed."""
        self.writer.append(self.writer.paths.health, self.present.health_line())

    def clock_gap(self, gap: Gap) -> None:
        """The machine slept, or its clock was put."""
        self.recorder.note_gap(gap)
        _log.warning("%s of %.1f s: %s", gap.kind, (gap.to_us - gap.from_us) / 1e6, gap.reason)
        self.vitals.clock_stepped()
        if gap.kind == "suspend":
            self.session.woke_up(gap.from_us)

    def observing_ended(self) -> None:
        """The run is over: note since when nothing was observed, and that all that arrived was handed over."""
        if self.is_ready:
            self.writer.mark(now_us())
        # Observing ended when the connection did, not when its closing was over; without one it never began.
        blind_us = self.observation.blind_since_us
        self.ended_us = now_us() if blind_us is None or blind_us <= self.started_us else blind_us

    def _state(self, clean: bool) -> str:
        done_us = self.writer.done_us
        if done_us is None:
            done_us = self.before.done_us if self.before else self.started_us
        blind_us = self.observation.blind_since_us
        alive_us = now_us() if blind_us is None else blind_us
        # Before the first line of this run is on disk, lines wait at most since it could have any.
        held_since_us = max(done_us, self._ready_us)
        if self.is_ready and alive_us - held_since_us > HELD_US:
            alive_us = held_since_us
        return state_text(
            State(self.recorder.day, alive_us, done_us, clean, self.observation.since_us, self._keys.remembered)
        )

    def _cameras_changed(self, cameras: dict[str, Camera]) -> None:
        # While the day's files are being read their names stay.
        if self.is_ready:
            self.use_cameras()

    def _new_day(self, ended: str) -> None:
        """Midnight has passed."""
        day = self.handler.new_day()
        self._filing.end_day(ended, lambda: self._prune(self.recorder.day))
        observed = self.recorder.observation_before_midnight
        self.snapshots.end_day(DayView(ended, day, observed, parse_time(self.recorder.day)))
        _log.info("a new day: %s; the files of %s are in days/%s", self.recorder.day, ended, ended)

    def _dated(self, sample: DateSample) -> None:
        self.vitals.date_sample(sample)
        sentence = self.vitals.clock_warning()
        if sentence is not None:
            _log.warning("%s", sentence)
