"""Turn messages into verdicts and lines, and begin the days."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .errors import MessageError
from .measure import protocol
from .measure.camera_statistics import Day
from .measure.coverage import Coverage, is_missed
from .measure.handler import Handler
from .model import DAY_US, HOUR_US, LOGGED_KINDS, Camera, CloudNotice, Gap, Reject, Verdict
from .storage.disk import DELAY, OTHER, STREAM, Sink
from .storage.formats import Label, delay_line, gap_line, label, parse_time, quote, reject_line, stream_line
from .storage.line_blocks import size_of
from .storage.paths import LogPaths, day_of

# A stranger's stream must not fill the disk with lines of `rejected.log`. The counts have no bounds.
BURST: Final = 100  # lines that may come at once
PER_SECOND: Final = 5
DAY_BYTES: Final = 10_000_000


class Recorder:
    """Takes messages, updates and gaps; all lines of a message are handed over before the next one is taken."""

    def __init__(self, handler: Handler, lines: Sink, coverage: Coverage, paths: LogPaths, *, day: str) -> None:
        self.handler, self.lines, self.paths = handler, lines, paths
        self.cameras: dict[str, Camera] = {}
        self.known: dict[str, Camera] = {}
        self.stems: dict[str, str] = {}
        self.logged: set[str] | None = None  # up to the last subscription, or in `cameras.json`; None: unknown
        self.messages = 0
        self.rejects = Rejects(lambda line: self.lines.write(OTHER, str(paths.rejected), line), size_of(paths.rejected))
        # Called between the lines of two days, while all else is still that of the day that ends.
        self.on_day_end: Callable[[str], None] = lambda today: None
        self.on_renamed: Callable[[dict[str, str]], object] = lambda stems: None  # files get other stems: old → new
        self.on_event: Callable[[Verdict, str], None] | None = None  # a verdict with a delay line, the camera's name
        self._by_lower_id: dict[str, Camera] = {}
        self._files: dict[str, tuple[str, str, Label]] = {}  # stream log, delay log, and what stands in its lines
        self.begin(day, coverage)

    def begin(self, day: str, coverage: Coverage) -> None:
        """Let the lines that follow be this day's."""
        self.day, self.coverage = day, coverage
        self.lost = coverage.open_gap  # what the connection tells needs no more than to be handed on
        began_us = parse_time(day)
        # A clock put back over midnight by less than an hour leaves its lines in the later day.
        self._earliest_us, self._midnight_us = began_us - HOUR_US, began_us + DAY_US

    def know(self, cameras: Mapping[str, Camera]) -> None:
        """Log only these cameras from now on, each under its present name."""
        for camera_id in self.cameras.keys() - cameras.keys():
            self.coverage.blind.pop(camera_id, None)  # it is not meant to be observed any more
        self.logged = self.logged and self.logged & cameras.keys()
        self.cameras = dict(cameras)
        self._by_lower_id = {camera.id.lower(): camera for camera in cameras.values()}
        before = dict(self.stems)
        self.use_files(camera for camera in cameras.values() if self.known.get(camera.id) != camera)
        renamed = {stem: self.stems[id_] for id_, stem in before.items() if self.stems[id_] != stem}
        if renamed:
            self.on_renamed(renamed)

    def use_files(self, cameras: Iterable[Camera], stems: Mapping[str, str] | None = None) -> None:
        """Log these cameras into the files of these stems, by id; where there is none, of their present name."""
        for camera in cameras:
            stem = self.stems[camera.id] = (stems or {}).get(camera.id) or self.paths.stem(camera.id, camera.name)
            self.known[camera.id] = camera
            stream, delay = os.fspath(self.paths.stream(stem)), os.fspath(self.paths.delay(stem))
            self._files[camera.id] = stream, delay, label(camera)

    @property
    def is_behind(self) -> bool:
        """Whether messages should wait: too much that was recorded is not on disk yet."""
        return self.lines.is_behind

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """Begin a subscription: the connection's, or that of single cameras on an open connection."""
        if camera_ids is None and self.logged is not None:  # what is new has a line too
            camera_ids = sorted({"", *self.coverage.blind, *(self.cameras.keys() - self.logged)})
        self.logged = set(self.cameras)
        for gap in self.coverage.close_gaps(at_us, camera_ids):
            self.note_gap(gap)
            missed_us = gap.to_us - gap.from_us if is_missed(gap) else None
            self.handler.subscribed([gap.camera_id] if gap.camera_id else self.cameras, at_us, missed_us)

    def note_gap(self, gap: Gap) -> None:
        """Write one line of `gaps.log`."""
        self.lines.write(OTHER, os.fspath(self.paths.gaps), gap_line(gap))

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Take one message; returns the errors that the server reports in it."""
        self.turn_day(arrived_us)
        try:
            updates, rejects, notices = protocol.read_message(data)
        except MessageError as error:
            text = data[: protocol.EXCERPT_CHARS].decode("utf-8", "backslashreplace")
            updates, rejects, notices = [], [Reject(error.reason, "", text)], []
        for camera_id, cam_data in updates:
            camera = self.cameras.get(camera_id) or self._by_lower_id.get(camera_id.lower())
            if camera is None:
                rejects.append(Reject("unknown-camera", camera_id, protocol.excerpt(cam_data)))
                continue
            try:
                # The list's own text of the id: the look-ups that follow find it without comparing letters.
                rejects += self.record_update(camera.id, cam_data, arrived_us, lag_us)
            except MessageError as error:
                rejects.append(Reject(error.reason, camera_id, protocol.excerpt(cam_data)))
        for reject in rejects:
            self.rejects.add(reject, arrived_us, len(data))
        self.messages += 1
        self.lines.mark(arrived_us)
        for at, notice in enumerate(notices):
            if camera := self._by_lower_id.get(notice.camera_id.lower()):
                notices[at] = notice._replace(camera_id=camera.id)
        return notices

    def record_update(
        self, camera_id: str, cam_data: dict[str, Any], arrived_us: int, lag_us: int | None = None
    ) -> list[Reject]:
        """Write a camera's update to its stream log and judge it; raises `MessageError` when it is nested too deep."""
        self.lines.write(STREAM, self._files[camera_id][0], stream_line(arrived_us, cam_data))
        return self.judge_update(camera_id, cam_data, arrived_us, lag_us)

    def judge_update(
        self, camera_id: str, cam_data: dict[str, Any], arrived_us: int, lag_us: int | None = None
    ) -> list[Reject]:
        """Judge an update's events, and write what follows; returns what could not be read."""
        lines, (_, delay, camera) = self.lines, self._files[camera_id]
        verdicts, rejects = self.handler.judge(camera_id, cam_data, arrived_us, lag_us)
        for verdict in verdicts:
            if verdict.kind in LOGGED_KINDS:
                lines.write(DELAY, delay, delay_line(verdict, camera))
                lines.write_identity(quote(verdict.identity) + "\n", delay)
                if self.on_event is not None:
                    self.on_event(verdict, self.known[camera_id].name)
        return rejects

    def turn_day(self, at_us: int) -> None:
        """Begin another day at midnight, or when a wrong clock began this one."""
        if self._earliest_us <= at_us < self._midnight_us:
            return
        coverage, gaps = self.coverage.next_day(min(at_us, self._midnight_us))
        for gap in gaps:
            self.note_gap(gap)
        today = day_of(at_us)
        self.on_day_end(today)
        self.begin(today, coverage)
        self.handler.day = Day()
        self.rejects.size = 0


class Rejects:
    """Counts and writes rejects; `write` takes a finished line, `size` is what the day's file has in bytes already."""

    def __init__(self, write: Callable[[str], None], size: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.size = size
        self._write = write
        self._tokens = float(BURST)
        self._refilled_us = 0

    def add(self, reject: Reject, arrived_us: int, size: int) -> None:
        """Count a reject, and write its line while the bounds allow. `size` is the message's bytes."""
        self.counts[reject.reason] += 1
        elapsed_us = max(0, arrived_us - self._refilled_us)
        self._tokens = min(BURST, self._tokens + elapsed_us * PER_SECOND / 1_000_000)
        self._refilled_us = arrived_us
        if self._tokens >= 1 and self.size <= DAY_BYTES:
            line = reject_line(arrived_us, reject, size)
            self._tokens -= 1
            self.size += len(line)
            self._write(line)
