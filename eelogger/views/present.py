"""The present of a run, put together from its rooms: for the summary, `health.log`, the status line, the closing table.

Only gathers; how it looks is for `summary`, `closing` and `terminal`. Nothing here changes anything but the minute
counters of `health.log`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from ..clock import kernel_state, now_us, resolution_us
from ..day import Day, DayView
from ..errors import EeloggerError
from ..figures.histogram import P95, merged
from ..figures.observation import Observation
from ..handler import Handler
from ..model import LOGGED_KINDS, Camera
from ..net.lag import threshold_us
from ..reconnect.roster import Roster
from ..reconnect.session import Session
from ..recorder import Recorder
from ..screen.terminal import Glance
from ..settings import Settings
from ..stream import EventStream
from ..text.times import parse_time, time_text
from ..writer import Writer
from . import metrics
from .closing import closing_table
from .standing import OwnError, Standing, observed_shares
from .summary import SummaryRenderer
from .top import own_error_sentence
from .vitals import Vitals

MANY: Final = 40
"""Cameras beyond which the status line goes without a p95: merging their hours each second would cost stamps."""


class Run(Protocol):
    """The rooms of a run that is looked at; `ended_us` is 0 while it goes on."""

    settings: Settings
    started_us: int
    ended_us: int
    recorder: Recorder
    handler: Handler
    observation: Observation
    session: Session
    stream: EventStream
    vitals: Vitals
    writer: Writer


class Present:
    """Views of one run."""

    def __init__(self, run: Run, roster: Roster) -> None:
        self._run = run
        self._roster = roster
        self._renderer = SummaryRenderer()
        self._kernel = kernel_state()
        self._minute_before = (0, 0)

    def revision(self) -> object:
        """Equal as long as nothing happened that a snapshot would show."""
        run = self._run
        return run.recorder.messages, run.session.state, len(run.observation.gaps)

    def today(self) -> DayView:
        """The day that goes on, or at whose end the run stopped."""
        run = self._run
        return DayView(run.recorder.day, run.handler.day, run.observation, run.ended_us or None)

    def summary(self, view: DayView, headline: str) -> Iterator[str]:
        """The text of `summary.log` in pieces; `headline` replaces the state once the run has stopped."""
        return self._renderer.render(self._standing(view, headline))

    def metrics(self) -> Iterator[str]:
        """The Prometheus textfile in pieces."""
        session, vitals = self._run.session, self._run.vitals
        standing = self._standing(self.today(), "")
        return metrics.render(standing, connected=session.state == "connected", rtt_us=vitals.rtt_us)

    def stopped(self, error: EeloggerError | None, *, broken: bool = False) -> str:
        """The summary's line of how the run stopped; `broken`: by a defect of the program."""
        if broken:
            return f"STOPPED {time_text(now_us())} exit=1 a defect, see eelogger.log"
        if error is None:
            return f"STOPPED {time_text(now_us())} exit=0 as asked"
        reason = " ".join(str(error).split())
        return f"STOPPED {time_text(now_us())} exit={error.exit_code} {reason} ({error.hint})"

    def health_line(self) -> str:
        """The past minute's line of `health.log`."""
        run = self._run
        events, rejected = run.handler.totals.total(), run.recorder.rejects.counts.total()
        before, self._minute_before = self._minute_before, (events, rejected)
        self._kernel = kernel_state()
        connection = run.stream.connection
        return run.vitals.health_line(
            state=run.session.state,
            cameras=len(run.recorder.cameras),
            kernel=self._kernel,
            write_p99_us=run.writer.take_write_p99_us(),
            backlog=connection.queued_bytes if connection else 0,
            events=events - before[0],
            rejected=rejected - before[1],
        )

    def _cameras_of(self, day: Day) -> dict[str, Camera]:
        """The cameras of the list, and those that left it and have figures of this day."""
        recorder = self._run.recorder
        gone = day.cameras.keys() - recorder.cameras.keys()
        return recorder.cameras | {camera_id: recorder.known[camera_id] for camera_id in gone & recorder.known.keys()}

    def closing(self) -> Iterator[str]:
        """The closing table in pieces."""
        run = self._run
        standing = self._standing(self.today(), "")
        return closing_table(
            run.handler.day,
            standing.cameras,
            standing.observed,
            date=run.recorder.day,
            own_error=own_error_sentence(standing.own_error),
        )

    def glance(self) -> Glance:
        """What the status line shows."""
        run, now = self._run, now_us()
        offset, lag = run.vitals.offset, run.vitals.lag.since_start()
        last = run.handler.last
        camera = run.recorder.cameras.get(last.camera_id) if last else None
        day = run.handler.day.cameras
        recent = merged(stats.recent(None, now) for stats in day.values()) if len(day) <= MANY else None
        return Glance(
            state=run.session.state,
            uptime_us=now - run.started_us,
            cameras=len(run.recorder.cameras),
            events=sum(run.handler.totals[kind] for kind in LOGGED_KINDS),
            last_us=last.delay_us if last else None,
            last_camera=(camera.name or camera.id) if camera else "",
            p95_us=recent.quantile_us(P95) if recent and recent.n else None,
            rtt_us=run.vitals.rtt_us,
            gaps=sum(1 for gap in run.observation.gaps if gap.kind == "gap"),
            lag_us=lag.p99_us if lag.n else None,
            lag_threshold_us=threshold_us(resolution_us()),
            clock_us=offset.offset_us if offset and offset.warns else None,
        )

    def _standing(self, view: DayView, headline: str) -> Standing:
        run, now = self._run, now_us()
        lag = run.vitals.lag.since_start()
        observed_until_us = now if view.until_us is None else view.until_us
        return Standing(
            state=headline or run.session.state,
            written_us=now,
            started_us=run.started_us,
            since_us=now if headline else run.session.state_since_us,
            date=view.date,
            day=view.day,
            cameras=self._cameras_of(view.day),
            observed=observed_shares(view.observation, parse_time(view.date), observed_until_us, self._roster.left),
            counted=run.handler.totals,
            rejected=run.recorder.rejects.counts,
            gaps=view.observation.gaps,
            offset=run.vitals.offset,
            kernel=self._kernel,
            network=self._network(),
            own_error=OwnError(lag.p99_us, lag.max_us, threshold_us(resolution_us()), run.writer.write_p99_us()),
            clean=view.day.clean,
            left=self._roster.left,
            previews=run.handler.previews,
            names=run.settings.namespace_table,
        )

    def _network(self) -> str:
        vitals = self._run.vitals
        if vitals.rtt_us is None:
            return ""
        return f"round trip {vitals.rtt_us / 1000:.1f} ms ({vitals.rtt_source})"
