"""Take up the day's files at a start, before anything connects."""

from __future__ import annotations

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
from .camera_files import delay_logs, stream_logs
from .delaylog import DelayRow, count, read_rows
from .formats import parse_pairs, quote
from .line_blocks import OnRead, Skipped, size_of, whole_lines
from .paths import LogPaths
from .streamlog import find_event, read_gaps, updates

_MOST_IDENTITIES: Final = 2 * GENERATION


class Stopped(Exception):
    """A stop was asked for meanwhile; nothing was changed on disk."""


@dataclass
class Restored:
    """What a start found: delay lines, updates judged again, what was skipped."""

    rows: int = 0
    judged: int = 0
    skipped: Skipped = field(default_factory=Skipped)


class Recorder(Protocol):
    """What a restore needs of the recorder."""

    handler: Handler
    coverage: Coverage
    day: str
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
    To be run in a thread. Raises `Stopped` when `is_stopped()`: memory is then half-filled, `sink` must not be written.
    """
    found = Restored()
    logs, streams = delay_logs(paths, found.skipped), stream_logs(paths, found.skipped)
    total = sum(map(size_of, (paths.uuids_old, paths.uuids, *(path for files in logs.values() for path in files))))
    done = 0

    def on_read(size: int) -> None:
        nonlocal done
        if is_stopped():
            raise Stopped
        done = min(total, done + size)
        progress(done, total)

    reading = _Restore(recorder, sink, known, found, streams, on_read)
    reading.read_identities(paths.uuids_old)
    reading.read_identities(paths.uuids)
    for camera_id, files in logs.items():
        reading.read_delay_logs(camera_id, files)
    gaps = read_gaps(paths)
    for gap in gaps:
        recorder.coverage.restore(gap)
    if done_us is not None and done_us > now_us():  # a clock that was ahead said so
        done_us = reading.last_identity_us
    reading.log_identities(done_us)
    if done_us is not None:
        reading.judge_the_rest(gaps, done_us)
    return found


@dataclass
class _Restore:
    """One start under way.

    `unlogged` are identities by arrival whose delay lines may be newer than the last line of the identity logs, which
    arrived at `last_identity_us`: a kill came between the two.
    """

    recorder: Recorder
    sink: Batch
    known: Mapping[str, Camera]
    found: Restored
    streams: Mapping[str, list[Path]]
    on_read: OnRead
    last_identity: str = ""
    last_identity_us: int | None = None
    unlogged: list[tuple[int, str]] = field(default_factory=list)

    def read_identities(self, path: Path) -> None:
        """Make the identities of a log those of the current generation."""
        dedup = self.recorder.handler.dedup
        dedup.turn()
        for block in whole_lines(path, skipped=self.found.skipped, on_read=self.on_read) if path.exists() else ():
            lines = [line for line in block.decode("utf-8", "replace").split("\n") if line]
            identities = [parse_pairs(f"uuid={x}").get("uuid", "") if x.startswith('"') else x for x in lines]
            dedup.restore(identities)
            self.last_identity = [self.last_identity, *identities][-1]

    def read_delay_logs(self, camera_id: str, files: list[Path]) -> None:
        """Count the lines of one camera."""
        statistics, worst, clean, clean_us = CameraStatistics(), None, None, -1
        unlogged: list[tuple[int, str]] = []
        for rows in read_rows(files, day=self.recorder.day, skipped=self.found.skipped, on_read=self.on_read):
            self.found.rows += len(rows)
            self._note_unlogged(rows, unlogged)
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
            verdict = worst.verdict()._replace(camera_id=camera_id)
            day.worst[camera_id] = verdict._replace(data=find_event(self.streams.get(camera_id, ()), verdict))
            day.worst_changes += 1
        if clean is not None:
            day.clean[camera_id] = clean.verdict()._replace(camera_id=camera_id)

    def _note_unlogged(self, rows: list[DelayRow], unlogged: list[tuple[int, str]]) -> None:
        """Of a camera's rows only those after its last known identity can be unlogged."""
        dedup = self.recorder.handler.dedup
        known = next((number for number in reversed(range(len(rows))) if rows[number].identity in dedup), -1)
        if known >= 0:
            unlogged.clear()
            if rows[known].identity == self.last_identity:
                self.last_identity_us = rows[known].arrived_us
        unlogged += [(row.arrived_us, row.identity) for row in rows[known + 1 :] if row.identity]

    def log_identities(self, done_us: int | None) -> None:
        """Write what is missing in the identity log."""
        since_us = self.last_identity_us or 0
        if done_us is not None:  # within one batch identities are written file by file
            since_us = min(since_us, done_us)
        newer = sorted(item for item in self.unlogged if item[0] >= since_us)[-_MOST_IDENTITIES:]
        self.recorder.handler.dedup.restore([identity for _, identity in newer])
        for _, identity in newer:
            self.sink.write_identity(f"{quote(identity)}\n")

    def judge_the_rest(self, gaps: list[Gap], done_us: int) -> None:
        """Judge updates from `done_us` on as if they came now; what has its delay line is a duplicate by now."""
        recorder, handler, sink, skipped = self.recorder, self.recorder.handler, self.sink, self.found.skipped
        lines, on_reject = recorder.lines, handler.on_reject
        # Their lines are in the stream logs already, and their rejects in `rejected.log`.
        keep = {"write_delay": sink.write_delay, "write_identity": sink.write_identity}
        recorder.lines = SimpleNamespace(write_stream=lambda path, text: None, **keep)
        handler.on_reject = lambda reject: None
        since_us = done_us - INITIAL_WINDOW_US  # no earlier value can be the first of a subscription
        order = updates(self.streams, gaps, since_us, day=recorder.day, skipped=skipped, on_read=self.on_read)
        try:
            for item in order:
                if isinstance(item, Gap):
                    self._subscribe(item)
                elif item.arrived_us < done_us:
                    handler.use_up_first(item.camera_id, item.data, item.arrived_us)
                elif "event" in item.data and item.camera_id in self.known:
                    self.found.judged += 1
                    try:
                        recorder.record_update(item.camera_id, {"event": item.data["event"]}, item.arrived_us)
                    except MessageError:
                        skipped.lines += 1
                    sink.mark(item.arrived_us)
        finally:
            recorder.lines, handler.on_reject = lines, on_reject

    def _subscribe(self, gap: Gap) -> None:
        # Also cameras that have no files yet: they were not observed either.
        for camera_id in [gap.camera_id] if gap.camera_id else self.known:
            statistics = self.recorder.handler.day.cameras.get(camera_id)
            missed = statistics is None or statistics.latest_us() < gap.to_us
            subscribe_again(self.recorder.handler, gap, [camera_id], missed=missed)


def subscribe_again(handler: Handler, gap: Gap, camera_ids: Iterable[str], *, missed: bool = True) -> None:
    """Tell the handler of the subscription that ended a gap; `missed`: the first event after it is yet to come.

    A half that was cut off at midnight ended with no subscription, and is the day's before.
    """
    was_cut = gap.from_us < gap.to_us and gap.to_us % DAY_US == 0
    if not is_missed(gap):  # all cameras of the day are known by now, also those that were added then
        handler.begin_cameras(camera_ids)
    if gap.kind == "gap" and not was_cut:
        gap_us = gap.to_us - gap.from_us if missed and is_missed(gap) else None
        handler.subscribed(camera_ids, gap.to_us, gap_us)
