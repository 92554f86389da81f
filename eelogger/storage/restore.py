"""Take up the day's files at a start, before anything connects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Protocol

from ..clock import now_us
from ..errors import MessageError
from ..measure.camera_statistics import CameraStatistics
from ..measure.coverage import Coverage, is_missed
from ..measure.dedup import GENERATION
from ..measure.handler import INITIAL_WINDOW_US, Handler
from ..model import DAY_US, Camera, Gap
from .batch import Batch
from .camera_files import Logs, delay_logs, stream_logs
from .delaylog import count, read_rows
from .formats import parse_pairs, quote
from .line_blocks import OnRead, Skipped, size_of, whole_lines
from .paths import LogPaths
from .streamlog import find_event, read_gaps, updates

_MOST_IDENTITIES: Final = 2 * GENERATION


class Stopped(Exception):
    """A stop was asked for meanwhile; nothing was changed on disk."""


@dataclass
class Restored:
    """What a start found."""

    rows: int = 0  # delay lines
    judged: int = 0  # updates that had none
    skipped: Skipped = field(default_factory=Skipped)


class Recorder(Protocol):
    """What a restore needs of the recorder."""

    handler: Handler
    coverage: Coverage
    day: str
    stems: dict[str, str]
    lines: Any

    def record_update(self, camera_id: str, cam_data: dict[str, Any], arrived_us: int) -> object:
        """Judge an update, and write what follows."""


def restore(
    paths: LogPaths,
    recorder: Recorder,
    *,
    done_us: int | None,
    sink: Batch,
    known: Mapping[str, Camera],
    progress: Callable[[int, int], object],
    is_stopped: Callable[[], bool],
) -> Restored:
    """Bring back the day in the directory; lines that are missing go to `sink`, which the caller gives to the writer.

    `done_us`: all that arrived before has its lines (None: everything has). `known` are the cameras that have files.
    Raises `Stopped` when `is_stopped()`: then memory is half-filled, and `sink` must not be written.
    """
    found = Restored()
    logs = delay_logs(paths, found.skipped, recorder.stems)
    streams = stream_logs(paths, found.skipped, recorder.stems)
    total = sum(map(size_of, (paths.uuids_old, paths.uuids, *(path for files in logs.values() for path in files))))
    done = 0

    def on_read(size: int) -> None:
        nonlocal done
        if is_stopped():
            raise Stopped
        done = min(total, done + size)
        progress(done, total)

    reading = _Restore(recorder, found, streams, on_read)
    for path in (paths.uuids_old, paths.uuids):
        reading.read_identities(path)
    for camera_id, files in logs.items():
        reading.read_delay_logs(camera_id, files)
    gaps = read_gaps(paths)
    for gap in gaps:
        recorder.coverage.restore(gap)
    if done_us is not None and done_us > now_us():  # a clock that was ahead said so
        done_us = reading.last_identity_us
    since_us = reading.last_identity_us or 0
    if done_us is not None:  # within one batch identities are written file by file
        since_us = min(since_us, done_us)
    newer = sorted(item for item in reading.unlogged if item[0] >= since_us)[-_MOST_IDENTITIES:]
    recorder.handler.dedup.restore([identity for _, identity in newer])
    for _, identity in newer:
        sink.write_identity(f"{quote(identity)}\n")
    if done_us is not None:
        reading.judge(gaps, done_us, sink, known)
    return found


@dataclass
class _Restore:
    """One start under way."""

    recorder: Recorder
    found: Restored
    streams: Logs
    on_read: OnRead
    last_identity: str = ""  # the last line of the identity logs, and its arrival
    last_identity_us: int | None = None
    # Arrivals and identities that may be missing in the identity log: a kill came between it and their delay lines.
    unlogged: list[tuple[int, str]] = field(default_factory=list)

    def read_identities(self, path: Path) -> None:
        dedup = self.recorder.handler.dedup
        dedup.turn()
        for block in (
            whole_lines(path, skipped=self.found.skipped, on_read=self.on_read) if os.path.exists(path) else ()
        ):
            lines = [line for line in block.decode("utf-8", "replace").split("\n") if line]
            identities = [parse_pairs(f"uuid={x}").get("uuid", "") if x.startswith('"') else x for x in lines]
            dedup.restore(identities)
            self.last_identity = [self.last_identity, *identities][-1]

    def read_delay_logs(self, camera_id: str, files: list[Path]) -> None:
        statistics, worst, clean, clean_us = CameraStatistics(), None, None, -1
        dedup, unlogged = self.recorder.handler.dedup, list[tuple[int, str]]()
        for rows in read_rows(files, day=self.recorder.day, skipped=self.found.skipped, on_read=self.on_read):
            self.found.rows += len(rows)
            # Only rows after the camera's last known identity can be unlogged.
            known = next((number for number in reversed(range(len(rows))) if rows[number].identity in dedup), -1)
            if known >= 0:
                unlogged.clear()
                if rows[known].identity == self.last_identity:
                    self.last_identity_us = rows[known].arrived_us
            unlogged += [(row.arrived_us, row.identity) for row in rows[known + 1 :] if row.identity]
            for row in rows:
                if count(statistics, row):
                    worst = row
                if (row.delay_us or 0) > clean_us and row.is_clean:
                    clean, clean_us = row, row.delay_us or 0
        self.unlogged += unlogged
        if len(self.unlogged) > 2 * _MOST_IDENTITIES:  # both identity logs are gone
            self.unlogged = sorted(self.unlogged)[-_MOST_IDENTITIES:]
        day = self.recorder.handler.day
        day.cameras[camera_id] = statistics
        if worst is not None:
            verdict = worst.parsed()[0]._replace(camera_id=camera_id)
            data = find_event(self.streams.get(camera_id, ()), verdict, self.on_read)
            day.worst[camera_id] = verdict._replace(data=data)
            day.worst_changes += 1
        if clean is not None:
            day.clean[camera_id] = clean.parsed()[0]._replace(camera_id=camera_id)

    def judge(self, gaps: list[Gap], done_us: int, sink: Batch, known: Mapping[str, Camera]) -> None:
        # Updates from `done_us` on are judged as if they came now; what has its delay line is a duplicate by now.
        recorder, handler, skipped = self.recorder, self.recorder.handler, self.found.skipped
        since_us = done_us - INITIAL_WINDOW_US  # no earlier value can be the first of a subscription
        order = updates(self.streams, gaps, since_us, day=recorder.day, skipped=skipped, on_read=self.on_read)
        lines, on_reject = recorder.lines, handler.on_reject
        # Their lines are in the stream logs already, and their rejects in `rejected.log`.
        keep = {"write_delay": sink.write_delay, "write_identity": sink.write_identity}
        recorder.lines = SimpleNamespace(write_stream=lambda path, text: None, **keep)
        handler.on_reject = lambda reject: None
        try:
            for item in order:
                if isinstance(item, Gap):
                    # Also cameras that have no files yet: they were not observed either.
                    for camera_id in [item.camera_id] if item.camera_id else known:
                        statistics = handler.day.cameras.get(camera_id)
                        missed = statistics is None or statistics.latest_us() < item.to_us
                        subscribe_again(handler, item, [camera_id], missed=missed)
                elif item.arrived_us < done_us:
                    handler.use_up_first(item.camera_id, item.data, item.arrived_us)
                elif "event" in item.data and item.camera_id in known:
                    self.found.judged += 1
                    try:
                        recorder.record_update(item.camera_id, {"event": item.data["event"]}, item.arrived_us)
                    except MessageError:
                        skipped.lines += 1
                    sink.mark(item.arrived_us)
        finally:
            recorder.lines, handler.on_reject = lines, on_reject


def subscribe_again(handler: Handler, gap: Gap, camera_ids: Iterable[str], *, missed: bool = True) -> None:
    """Tell the handler of the subscription that ended a gap; `missed`: the first event after it is yet to come."""
    was_cut = gap.from_us < gap.to_us and gap.to_us % DAY_US == 0  # at midnight, with no subscription
    if not is_missed(gap):  # all cameras of the day are known by now, also those that were added then
        handler.begin_cameras(camera_ids)
    if gap.kind == "gap" and not was_cut:
        gap_us = gap.to_us - gap.from_us if missed and is_missed(gap) else None
        handler.subscribed(camera_ids, gap.to_us, gap_us)
