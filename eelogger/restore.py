"""Take up the day's files at a start, before anything connects."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Self

from .clock import now_us
from .errors import MessageError
from .measure.camera_statistics import CameraStatistics
from .measure.coverage import is_missed
from .measure.dedup import GENERATION
from .measure.handler import INITIAL_WINDOW_US, Handler
from .model import DAY_US, Camera, Gap
from .recorder import Recorder
from .storage.camera_files import CameraFiles, Logs
from .storage.delaylog import read_rows
from .storage.formats import parse_identity, quote
from .storage.line_blocks import Skipped, size_of, whole_lines
from .storage.streamlog import find_event, read_gaps, updates

_MOST_IDENTITIES: Final = 2 * GENERATION


class Restore:
    """One start: `rows` delay lines were read, `judged` updates had none."""

    def __init__(self, recorder: Recorder) -> None:
        self.rows = self.judged = 0
        self.skipped = Skipped()
        self._recorder, self._handler = recorder, recorder.handler
        self._total = 0
        self._last_identity = ""  # the last line of the identity logs, and its arrival
        self._last_identity_us: int | None = None
        # Arrivals and identities that may be missing in the identity log: a kill came between it and their delay lines.
        self._unlogged: list[tuple[int, str]] = []

    @property
    def share(self) -> float:
        """How much of the files was read, 0 to 1."""
        return min(1.0, self.skipped.read_bytes / self._total) if self._total else 0.0

    def run(self, done_us: int | None) -> Self:
        """Bring back the day; lines that are missing go to `recorder.lines`, to be written once all is well.

        `done_us`: all that arrived before has its lines (None: everything has).
        """
        recorder, paths = self._recorder, self._recorder.paths
        found = CameraFiles(paths, self.skipped)
        known, logs, streams = found.known(), found.delay_logs(), found.stream_logs()
        recorder.use_files((known[camera_id] for camera_id in found.stems), found.stems)
        files = paths.uuids_old, paths.uuids, *(path for files in logs.values() for path in files)
        self._total = sum(map(size_of, files))
        for path in (paths.uuids_old, paths.uuids):
            self._read_identities(path)
        for camera_id, own in logs.items():
            self._read_delay_logs(camera_id, own, streams)
        gaps = read_gaps(paths)
        for gap in gaps:
            recorder.coverage.restore(gap)
        if done_us is not None and done_us > now_us():  # a clock that was ahead said so
            done_us = self._last_identity_us
        since_us = self._last_identity_us or 0
        if done_us is not None:  # within one batch identities are written file by file
            since_us = min(since_us, done_us)
        newer = sorted(item for item in self._unlogged if item[0] >= since_us)[-_MOST_IDENTITIES:]
        self._handler.dedup.restore([identity for _, identity in newer])
        for _, identity in newer:
            recorder.lines.write_identity(f"{quote(identity)}\n")
        if done_us is not None:
            self._judge(streams, gaps, done_us, known)
        return self

    def _read_identities(self, path: Path) -> None:
        dedup = self._handler.dedup
        dedup.turn()
        for block in whole_lines(path, skipped=self.skipped):
            identities = [parse_identity(line) for line in block.decode("utf-8", "replace").split("\n") if line]
            dedup.restore(identities)
            self._last_identity = [self._last_identity, *identities][-1]

    def _read_delay_logs(self, camera_id: str, files: list[Path], streams: Logs) -> None:
        statistics, worst, clean, clean_us = CameraStatistics(), None, None, -1
        dedup, unlogged = self._handler.dedup, list[tuple[int, str]]()
        for rows in read_rows(files, self._recorder.day, self.skipped):
            self.rows += len(rows)
            # Only rows after the camera's last known identity can be unlogged.
            known = next((number for number in reversed(range(len(rows))) if rows[number].identity in dedup), -1)
            if known >= 0:
                unlogged.clear()
                if rows[known].identity == self._last_identity:
                    self._last_identity_us = rows[known].arrived_us
            unlogged += [(row.arrived_us, row.identity) for row in rows[known + 1 :] if row.identity]
            for row in rows:
                if statistics.count(row.kind, row.arrived_us, row.delay_us, row.group):
                    worst = row
                if (row.delay_us or 0) > clean_us and row.is_clean:
                    clean, clean_us = row, row.delay_us or 0
        self._unlogged += unlogged
        if len(self._unlogged) > 2 * _MOST_IDENTITIES:  # both identity logs are gone
            self._unlogged = sorted(self._unlogged)[-_MOST_IDENTITIES:]
        day = self._handler.day
        day.cameras[camera_id] = statistics
        if worst is not None:
            verdict = worst.parsed()[0]._replace(camera_id=camera_id)
            data = find_event(streams.get(camera_id, ()), verdict)
            day.worst[camera_id] = verdict._replace(data=data)
            day.worst_changes += 1
        if clean is not None:
            day.clean[camera_id] = clean.parsed()[0]._replace(camera_id=camera_id)

    def _judge(self, streams: Logs, gaps: list[Gap], done_us: int, known: Mapping[str, Camera]) -> None:
        # Updates from `done_us` on are judged as if they came now; what has its delay line is a duplicate by now.
        recorder, handler = self._recorder, self._handler
        since_us = done_us - INITIAL_WINDOW_US  # no earlier value can be the first of a subscription
        order = updates(streams, gaps, recorder.day, self.skipped, since_us)
        lines, on_reject = recorder.lines, handler.on_reject
        # Their lines are in the stream logs already, and their rejects in `rejected.log`.
        keep = {"write_delay": lines.write_delay, "write_identity": lines.write_identity}
        recorder.lines = SimpleNamespace(write_stream=lambda path, text: None, **keep)  # type: ignore[assignment]
        handler.on_reject = lambda reject: None
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
                self.judged += 1
                try:
                    recorder.record_update(item.camera_id, {"event": item.data["event"]}, item.arrived_us)
                except MessageError:
                    self.skipped.lines += 1
                lines.mark(item.arrived_us)
        recorder.lines, handler.on_reject = lines, on_reject


def subscribe_again(handler: Handler, gap: Gap, camera_ids: Iterable[str], *, missed: bool = True) -> None:
    """Tell the handler of the subscription that ended a gap; `missed`: the first event after it is yet to come."""
    was_cut = gap.from_us < gap.to_us and gap.to_us % DAY_US == 0  # at midnight, with no subscription
    if not is_missed(gap):  # all cameras of the day are known by now, also those that were added then
        handler.begin_cameras(camera_ids)
    if gap.kind == "gap" and not was_cut:
        gap_us = gap.to_us - gap.from_us if missed and is_missed(gap) else None
        handler.subscribed(camera_ids, gap.to_us, gap_us)
