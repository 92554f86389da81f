"""Restore the day from its files at a start, before anything connects."""

from pathlib import Path
from typing import Final

from .clock import now_us
from .measure.camera_statistics import CameraStatistics
from .measure.coverage import is_missed
from .measure.handler import GENERATION, INITIAL_WINDOW_US
from .model import DAY_US, Gap
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
        self._total = 0  # bytes
        self._last_identity = ""  # the last line of the identity logs, and its arrival
        self._last_identity_us: int | None = None
        # Arrivals and identities that may be missing in the identity log: a kill came between it and their delay lines.
        self._unlogged: list[tuple[int, str]] = []

    @property
    def share(self) -> float:
        """How much of the files was read, 0 to 1."""
        return min(1.0, self.skipped.read_bytes / self._total) if self._total else 0.0

    def run(self, done_us: int | None) -> None:
        """Bring back the day; all that arrived before `done_us` has its lines (None: everything has)."""
        recorder, paths = self._recorder, self._recorder.paths
        found = CameraFiles(paths, self.skipped)
        logs, streams = found.delay_logs(), found.stream_logs()
        recorder.use_files(found.known().values(), found.stems)
        files = paths.uuids_old, paths.uuids, *(path for files in logs.values() for path in files)
        self._total = sum(map(size_of, files))
        for path in (paths.uuids_old, paths.uuids):
            self._read_identities(path)
        for camera_id, own in logs.items():
            self._read_delay_logs(camera_id, own, streams)
        gaps = read_gaps(paths)
        for gap in gaps:
            recorder.coverage.restore(gap)
        if done_us is not None and done_us > now_us():  # written by a clock that was ahead
            done_us = self._last_identity_us
        # Within one batch identities are written file by file.
        since_us = min(self._last_identity_us or 0, done_us or now_us())
        newer = sorted(item for item in self._unlogged if item[0] >= since_us)[-_MOST_IDENTITIES:]
        self._handler.dedup.restore([identity for _, identity in newer])
        for _, identity in newer:
            recorder.lines.write_identity(f"{quote(identity)}\n")
        if done_us is not None:
            self._judge(streams, gaps, done_us)

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
                arrived_us, delay_us, kind, four_cc, ns = row[:5]  # names would cost too much for a million rows
                if statistics.count(kind, arrived_us, delay_us, four_cc if ns is None else ns):
                    worst = row
                if (delay_us or 0) > clean_us and row.is_clean:
                    clean, clean_us = row, delay_us or 0
        self._unlogged += unlogged
        if len(self._unlogged) > 2 * _MOST_IDENTITIES:  # both identity logs are gone
            self._unlogged = sorted(self._unlogged)[-_MOST_IDENTITIES:]
        day = self._handler.day
        day.cameras[camera_id] = statistics
        if worst is not None:
            verdict = worst.parsed()[0]._replace(camera_id=camera_id)
            day.worst[camera_id] = verdict._replace(data=find_event(streams.get(camera_id, ()), verdict))
            day.worst_changes += 1
        if clean is not None:
            day.clean[camera_id] = clean.parsed()[0]._replace(camera_id=camera_id)

    def _judge(self, streams: Logs, gaps: list[Gap], done_us: int) -> None:
        # Updates from `done_us` on are judged as if they came now; what has its delay line is a duplicate by now.
        # Their lines are in the stream logs already, and their rejects in `rejected.log`.
        recorder = self._recorder
        since_us = done_us - INITIAL_WINDOW_US  # no earlier value can be the first of a subscription
        order = updates(streams, gaps, recorder.day, self.skipped, since_us)
        for item in order:
            if isinstance(item, Gap):
                subscribe_again(recorder, item)
            elif item.arrived_us < done_us:
                self._handler.use_up_first(item.camera_id, item.data, item.arrived_us)
            elif "event" in item.data and item.camera_id in recorder.known:
                self.judged += 1
                recorder.judge_update(item.camera_id, {"event": item.data["event"]}, item.arrived_us)
                recorder.lines.mark(item.arrived_us)


def subscribe_again(recorder: Recorder, gap: Gap) -> None:
    """Begin the subscription that ended a recorded gap. Cameras without files have it too."""
    was_cut = gap.from_us < gap.to_us and gap.to_us % DAY_US == 0  # at midnight, with no subscription
    if gap.kind != "gap" or was_cut:
        return
    for camera_id in [gap.camera_id] if gap.camera_id else recorder.known:
        statistics = recorder.handler.day.cameras.get(camera_id)
        has_told = statistics is not None and statistics.latest_us() >= gap.to_us  # the first event after it
        missed_us = gap.to_us - gap.from_us if is_missed(gap) and not has_told else None
        recorder.handler.subscribed([camera_id], gap.to_us, missed_us)
