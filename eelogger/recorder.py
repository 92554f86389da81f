"""Turn messages into verdicts and lines, and begin the days."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from .errors import MessageError
from .measure import protocol
from .measure.coverage import Coverage, is_missed
from .measure.handler import Handler
from .model import DAY_US, HOUR_US, LOGGED_KINDS, Camera, CloudNotice, Gap, Reject, Verdict
from .storage.batch import Sink
from .storage.formats import Label, delay_line, gap_line, label, parse_time, quote, reject_line, stream_line
from .storage.line_blocks import size_of
from .storage.paths import LogPaths, day_of

# A stranger's stream must not fill the disk with lines of `rejected.log`. The counts have no bounds.
BURST: Final = 100  # lines that may come at once
PER_SECOND: Final = 5
DAY_BYTES: Final = 10_000_000

PUT_BACK_US: Final = HOUR_US  # a clock put back over midnight by less than this leaves its lines in the later day
_EXCERPT_BYTES: Final = 4096


class Recorder:
    """Takes messages, updates and gaps; all lines of a message are handed over before the next one is taken.

    `on_new_day(ended, coverage)` is called between the lines of two days, `on_renamed(stems)` when files get other
    stems (old → new), `on_event` with each verdict that has a delay line and the camera's name.
    """

    def __init__(self, handler: Handler, lines: Sink, coverage: Coverage, paths: LogPaths, *, day: str) -> None:
        self.handler = handler
        self.lines = lines
        self.coverage = coverage
        self.paths = paths
        self.cameras: dict[str, Camera] = {}
        self.known: dict[str, Camera] = {}
        self.labels: dict[str, Label] = {}
        self.stems: dict[str, str] = {}
        self.messages = 0
        self.rejects = Rejects(lambda line: self.lines.write_other(str(paths.rejected), line), size_of(paths.rejected))
        self.on_new_day: Callable[[str, Coverage], None] = lambda ended, coverage: None
        self.on_renamed: Callable[[dict[str, str]], object] = lambda stems: None
        self.on_event: Callable[[Verdict, str], None] | None = None
        self.lost = coverage.open_gap  # the end of a subscription needs no more than to be handed on
        self._by_lower_id: dict[str, Camera] = {}
        self._files: dict[str, tuple[str, str]] = {}
        self._arrived_us = self._size = 0
        self.begin(day)
        handler.on_reject = self._reject

    def know(self, cameras: Mapping[str, Camera]) -> None:
        """Log these cameras and no others from now on, each under its present name."""
        for camera_id in self.cameras.keys() - cameras.keys():
            self.coverage.camera_gone(camera_id)
        self.cameras = dict(cameras)
        self._by_lower_id = {camera.id.lower(): camera for camera in cameras.values()}
        before = dict(self.stems)
        self.use_files(camera for camera in cameras.values() if self.known.get(camera.id) != camera)
        renamed = {stem: self.stems[id_] for id_, stem in before.items() if self.stems[id_] != stem}
        if renamed:
            self.on_renamed(renamed)

    def use_files(self, cameras: Iterable[Camera], stems: Mapping[str, str] = MappingProxyType({})) -> None:
        """Log these cameras into the files of these stems, by id; where there is none, of their present name."""
        for camera in cameras:
            stem = self.stems[camera.id] = stems.get(camera.id) or self.paths.stem(camera.id, camera.name)
            self.known[camera.id] = camera
            self.labels[camera.id] = label(camera)
            self._files[camera.id] = os.fspath(self.paths.stream(stem)), os.fspath(self.paths.delay(stem))

    @property
    def is_behind(self) -> bool:
        """Whether messages should wait: too much that was recorded is not on disk yet."""
        return self.lines.is_behind

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """Begin a subscription: the connection's, or that of single cameras on an open connection."""
        if camera_ids is not None:
            for camera_id in camera_ids:
                self._begun([camera_id], self.coverage.close_camera_gap(camera_id, at_us), at_us)
            return
        single = self.coverage.close_camera_gaps(at_us)
        self._begun(list(self.cameras), self.coverage.close_gap(at_us), at_us)
        for gap in single:
            self._begun([gap.camera_id], gap, at_us)

    def note_gap(self, gap: Gap) -> None:
        """Write one line of `gaps.log`."""
        self.lines.write_other(os.fspath(self.paths.gaps), gap_line(gap))

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Take one message; returns the errors that the server reports in it."""
        if not self._earliest_us <= arrived_us < self._midnight_us:
            self.turn_day(arrived_us)
        self._arrived_us, self._size = arrived_us, len(data)
        try:
            updates, rejects, notices = protocol.read_message(data)
        except MessageError as error:
            self._reject(Reject(error.reason, "", data[:_EXCERPT_BYTES].decode("utf-8", "backslashreplace")))
            return []
        for camera_id, cam_data in updates:
            camera = self.cameras.get(camera_id) or self._by_lower_id.get(camera_id.lower())
            if camera is None:
                self._reject(Reject("unknown-camera", camera_id, protocol.excerpt(cam_data)))
                continue
            try:
                # The list's own text of the id: the look-ups that follow find it without comparing letters.
                self.record_update(camera.id, cam_data, arrived_us, lag_us)
            except MessageError as error:
                self._reject(Reject(error.reason, camera_id, protocol.excerpt(cam_data)))
        for reject in rejects:
            self._reject(reject)
        self.messages += 1
        self.lines.mark(arrived_us)
        if not notices:
            return notices
        ids = self._by_lower_id
        return [n._replace(camera_id=ids[n.camera_id.lower()].id) if n.camera_id.lower() in ids else n for n in notices]

    def record_update(
        self, camera_id: str, cam_data: dict[str, Any], arrived_us: int, lag_us: int | None = None
    ) -> list[Verdict]:
        """Write a camera's update to its stream log, judge its events, and write what follows.

        Raises `MessageError` when the update is nested too deep to be written.
        """
        stream, delay = self._files[camera_id]
        lines = self.lines
        lines.write_stream(stream, stream_line(arrived_us, cam_data))
        verdicts = self.handler.judge(camera_id, cam_data, arrived_us, lag_us)
        for verdict in verdicts:
            if verdict.kind in LOGGED_KINDS:
                lines.write_delay(delay, delay_line(verdict, self.labels[camera_id]))
                lines.write_identity(quote(verdict.identity) + "\n", delay)
                if self.on_event is not None:
                    self.on_event(verdict, self.known[camera_id].name)
        return verdicts

    def turn_day(self, at_us: int) -> None:
        """Begin another day when midnight has passed, or when the running day is one of a wrong clock."""
        if self._earliest_us <= at_us < self._midnight_us:
            return
        ended = self.day
        coverage, gaps = self.coverage.midnight(min(at_us, self._midnight_us))
        for gap in gaps:
            self.note_gap(gap)
        self.begin(day_of(at_us))
        self.rejects.size = 0
        self.on_new_day(ended, coverage)

    def begin(self, day: str) -> None:
        """Let the lines that follow be this day's."""
        self.day = day
        began_us = parse_time(day)
        self._earliest_us, self._midnight_us = began_us - PUT_BACK_US, began_us + DAY_US

    def _begun(self, camera_ids: list[str], gap: Gap | None, at_us: int) -> None:
        if gap is not None:
            self.note_gap(gap)
        self.handler.subscribed(camera_ids, at_us, gap.to_us - gap.from_us if gap and is_missed(gap) else None)

    def _reject(self, reject: Reject) -> None:
        self.rejects.add(reject, self._arrived_us, self._size)


class Rejects:
    """Counts and writes rejects; `write` takes a finished line, `size` is what the day's file has in bytes already."""

    def __init__(self, write: Callable[[str], None], size: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.size = size
        self._write = write
        self._tokens = float(BURST)
        self._refilled_us = 0

    def add(self, reject: Reject, arrived_us: int, size: int) -> None:
        """Count one reject of a message of `size` bytes, and write its line while the bounds allow."""
        self.counts[reject.reason] += 1
        elapsed_us = max(0, arrived_us - self._refilled_us)
        self._tokens = min(BURST, self._tokens + elapsed_us * PER_SECOND / 1_000_000)
        self._refilled_us = arrived_us
        if self._tokens >= 1 and self.size <= DAY_BYTES:
            line = reject_line(arrived_us, reject, size)
            self._tokens -= 1
            self.size += len(line)
            self._write(line)
