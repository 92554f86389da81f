"""Build the parts of a run and connect them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial

from .clock import now_us
from .cloud.cameras import CameraList
from .cloud.loop_delay import LagMeter
from .cloud.session import Session
from .cloud.sign_in import Credentials
from .measure.coverage import Coverage
from .measure.handler import Handler
from .model import Camera, DateSample, Timing
from .parts import Parts
from .recorder import Recorder
from .run import Run
from .settings import Settings
from .storage.camera_files import cameras_text, read_bridges, read_cameras
from .storage.days import rename_moves
from .storage.lock import DirectoryLock
from .storage.paths import LogPaths, day_of
from .storage.writer import Writer
from .views.run_state import Vitals

_log = logging.getLogger(__name__)


def build_run(
    settings: Settings,
    *,
    load: Callable[[], Settings] | None = None,
    timing: Timing | None = None,
    started_us: int | None = None,
    on_begun: Callable[[], None] = lambda: None,
) -> Run:
    """Build a run, inside the event loop; `load` reads the settings again for each connection.

    `started_us` is when the process began; `on_begun` is called once the log directory is ours.
    """
    timing = timing or Timing()
    started_us = now_us() if started_us is None else started_us
    paths = LogPaths(settings.log_dir)
    lock = DirectoryLock(paths)
    writer = Writer(paths, buffer_bytes=settings.disk_buffer_bytes, timing=timing, may_write=lock.still_ours)
    coverage = Coverage(started_us)
    handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
    recorder = Recorder(handler, writer, coverage, paths, day=day_of(started_us))
    vitals, lag = Vitals(recorder.note_gap), LagMeter()
    credentials = Credentials()

    def renamed(stems: dict[str, str]) -> None:
        writer.barrier(lambda held: rename_moves(paths, stems))

    def listed(cameras: Mapping[str, Camera], bridges: Mapping[str, str]) -> None:
        writer.replace(os.fspath(paths.cameras), cameras_text(cameras.values(), bridges))

    recorder.on_renamed = renamed
    session = Session(
        load or (lambda: settings),
        settings,
        recorder,
        credentials,
        known=CameraList(read_cameras(paths), read_bridges(paths)),
        timing=timing,
        on_date=partial(_note_date, vitals),
        on_rtt=lambda rtt_us, source: vitals.rtt_sample(rtt_us, source, now_us()),
        on_lag=lag.note,
        on_cameras=listed,
    )
    parts = Parts(
        settings, timing, paths, lock, coverage, recorder, writer, vitals, lag, credentials, session, started_us
    )
    return Run(parts, on_begun)


def _note_date(vitals: Vitals, sample: DateSample) -> None:
    vitals.date_sample(sample)
    if warning := vitals.clock_warning(now_us()):
        _log.warning("%s", warning)
