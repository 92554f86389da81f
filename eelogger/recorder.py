"""From the bytes of a message to lines in the writer's hands: where judgement meets the files.

Decides what is written for each verdict, when a day begins, and what a gap line says; leaves reading to `wire`,
judging to `handler`, text to `lines` and the disk to `writer`. Invariant: an update's lines are all handed over
before the next message is taken, so `writer.mark` can say how far the files are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from . import lines, wire
from .clock import now_us
from .day import CameraDay, Day
from .errors import MessageError
from .figures.observation import Observation, is_missed
from .handler import Handler, StreamLog
from .logdir.blocks import size_of
from .logdir.days import day_of, midnight_after_us
from .logdir.rejects import Rejects
from .model import LOGGED_KINDS, Camera, CloudNotice, Gap, Reject, Verdict
from .text.times import parse_time
from .writer import Writer


class Recorder:
    """Takes messages, updates and gaps; `on_new_day` gets the day that ended, its lines already handed over."""

    def __init__(
        self,
        handler: Handler,
        writer: Writer,
        observation: Observation,
        *,
        day: str,
        on_new_day: Callable[[str], None] = lambda day: None,
        reread: Callable[[str], CameraDay | None] = lambda camera_id: None,
    ) -> None:
        self.handler = handler
        self.observation = observation
        rejected = writer.paths.rejected
        self.rejects = Rejects(lambda line: writer.append(rejected, line), size_of(rejected))
        self.cameras: dict[str, Camera] = {}
        self._by_lower_id: dict[str, Camera] = {}
        self.known: dict[str, Camera] = {}
        self.day = day
        self.messages = 0
        self.judges = True
        self._writer = writer
        self.labels: dict[str, lines.Label] = {}
        self._midnight_us = midnight_after_us(parse_time(day))
        self.observation_before_midnight = observation
        self._on_new_day = on_new_day
        self._reread = reread
        self._arrived_us = 0
        self._size = 0
        handler.on_reject = self._reject

    def know(self, cameras: Mapping[str, Camera]) -> None:
        """These cameras, and no others, are logged from now on; a camera known by another name gets its new one."""
        self.cameras = dict(cameras)
        self._by_lower_id = {camera.id.lower(): camera for camera in cameras.values()}
        self.known |= cameras
        self.labels.update((camera.id, lines.label(camera)) for camera in cameras.values())

    def name_namespaces(self, ns_values: Mapping[int, str]) -> None:
        """The names of annotation namespaces, from here on."""
        self.handler.name_namespaces(ns_values)

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """A subscription begins: the connection's, or that of single cameras on an open connection."""
        if camera_ids is None:
            single = self.observation.cameras_begun(at_us)
            self._begun(list(self.cameras), self.observation.begun(at_us), at_us)
            for gap in single:
                self._begun([gap.camera_id], gap, at_us)
            return
        for camera_id in camera_ids:
            self._begun([camera_id], self.observation.camera_begun(camera_id, at_us), at_us)

    def keep_only(self) -> None:
        """From now on what arrives gets its stream line alone: the next start judges it, on its way back."""
        self.judges = False

    def lost(self, at_us: int, reason: str) -> None:
        """Nothing is observed from `at_us` on, until the next subscription."""
        self.observation.lost(at_us, reason)

    def torn(self, path: Path, cut: bytes) -> None:
        """A torn last line was found at the start and cut away: it is rebuilt by the way back."""
        reject = Reject("torn-line", "", f"{path.name}: {cut[:4096].decode('utf-8', 'backslashreplace')}")
        self.rejects.add(reject, now_us(), len(cut))

    def note_gap(self, gap: Gap) -> None:
        """Write one line of `gaps.log`."""
        self._writer.append(self._writer.paths.gaps, lines.gap_line(gap))

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Take one message; returns the errors the server reports in it."""
        if arrived_us >= self._midnight_us and self.judges:
            self.turn_day(arrived_us)
        self._arrived_us, self._size = arrived_us, len(data)
        try:
            updates, rejects, notices = wire.read_message(data)
        except MessageError as error:
            self._reject(Reject(error.reason, "", data[:4096].decode("utf-8", "backslashreplace")))
            return []
        for camera_id, cam_data in updates:
            camera = self._listed(camera_id)
            if camera is None:
                self._reject(Reject("unknown-camera", camera_id, wire.excerpt(cam_data)))
                continue
            try:
                # The list's own text of the id: the dozen look-ups that follow find it without comparing letters.
                self.record_update(camera.id, cam_data, arrived_us, lag_us, self._writer.stream_logs)
            except MessageError as error:
                self._reject(Reject(error.reason, camera_id, wire.excerpt(cam_data)))
        for reject in rejects:
            self._reject(reject)
        self.messages += 1
        if self.judges:
            self._writer.mark(arrived_us)
        return [self._as_listed(notice) for notice in notices] if notices else notices

    def record_update(
        self,
        camera_id: str,
        cam_data: dict[str, Any],
        arrived_us: int,
        lag_us: int | None,
        stream_logs: Mapping[str, StreamLog],
    ) -> None:
        """Take one camera's update; with `stream_logs` that go nowhere it is one already in its stream log."""
        handler, writer = self.handler, self._writer
        if not self.judges:
            stream_logs[camera_id].write(lines.stream_line(arrived_us, cam_data))
            return
        for verdict in handler.log_event_data(camera_id, cam_data, arrived_us, stream_logs, lag_us=lag_us):
            if verdict.kind in LOGGED_KINDS:
                text = lines.delay_line(verdict, self.labels[camera_id])
                writer.log_delay(camera_id, (handler.day, verdict), text)
                writer.log_processed_event_uuid(verdict.identity, camera_id)

    def turn_day(self, now_us: int) -> None:
        """Begin a new day when midnight has passed; a clock set back over midnight stays in its later day."""
        while now_us >= self._midnight_us:
            ended, midnight_us = self.day, self._midnight_us
            self.observation_before_midnight = self.observation.as_it_stands()
            for gap in self.observation.midnight(midnight_us):
                self.note_gap(gap)
            self.day = day_of(max(now_us, midnight_us))
            self._midnight_us = midnight_after_us(max(now_us, midnight_us))
            self.rejects.new_day()
            self._on_new_day(ended)

    def rebase(self, camera_id: str, tokens: list[tuple[Day, Verdict]]) -> list[str]:
        """The writer found a delay log changed by others: statistics start from the file as it now is.

        Returns the lines that are still to be written, with the figures they have then.
        """
        label = self.labels[camera_id]
        rebuilt: set[int] = set()
        texts = []
        for day, verdict in tokens:
            if id(day) not in rebuilt:
                rebuilt.add(id(day))
                # Of several days only the first can have lines on disk already.
                day.restart(camera_id, self._reread(camera_id) if len(rebuilt) == 1 else None)
            texts.append(lines.delay_line(day.again(verdict), label))
        return texts

    def _begun(self, camera_ids: list[str], gap: Gap | None, at_us: int) -> None:
        gap_us = None
        if gap is not None:
            self.note_gap(gap)
            if is_missed(gap):
                gap_us = gap.to_us - gap.from_us
        self.handler.subscribed(camera_ids, at_us, gap_us)

    def _listed(self, camera_id: str) -> Camera | None:
        """The camera of the list, however its id is written; None when it is not in there."""
        return self.cameras.get(camera_id) or self._by_lower_id.get(camera_id.lower())

    def _as_listed(self, notice: CloudNotice) -> CloudNotice:
        camera = self._listed(notice.camera_id)
        return notice if camera is None else notice._replace(camera_id=camera.id)

    def _reject(self, reject: Reject) -> None:
        self.rejects.add(reject, self._arrived_us, self._size)
