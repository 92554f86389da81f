"""What is on disk at the start, taken up in small steps: where the last run stopped, and what it did not get to.

`load` brings back statistics, worst events, identities and gaps of the day in the log directory; `way_back` judges
what had arrived and had no lines yet. Lines are read by `delaylog` and `wayback`, judged by the handler, written by the
recorder like any others. Invariant: after both, memory and files are those of a run that never ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from . import lines
from .clock import now_us
from .day import CameraDay
from .handler import INITIAL_WINDOW_US
from .logdir.blocks import size_of, whole_lines
from .logdir.camerafile import cameras_of, read_cameras
from .logdir.days import day_of
from .model import Camera, Gap
from .past.delaylog import DelayLog
from .past.rejudge import record_again, subscribe, use_up_first
from .past.wayback import UpdateSequence, read_gaps
from .past.worstlog import WorstEvents, event_key, find_event, read_worst_events
from .paths import LogPaths
from .recorder import Recorder
from .text.logfmt import parse
from .writer import Writer

_OVERLAP_US: Final = INITIAL_WINDOW_US
"""How far before the complete point the way back begins: no value older than this can be some subscription's first."""


class History:
    """The log directory as the last run left it; `stems` are the names of its cameras' files.

    `done_bytes` of `total_bytes` are read so far; `unreadable` lines were skipped.
    """

    def __init__(self, paths: LogPaths, recorder: Recorder, writer: Writer) -> None:
        self._paths = paths
        self._recorder = recorder
        self._writer = writer
        self.stems = paths.find_stems()
        self.total_bytes = sum(map(size_of, self._read_by_load()))
        self.done_bytes = 0
        self.unreadable = 0
        self._listed = read_cameras(paths)
        self._known = cameras_of(self.stems) | self._listed
        self._unlogged: list[tuple[int, str, str]] = []

    def cameras(self) -> dict[str, Camera]:
        """The cameras last known, from `cameras.json`; where there is none, those that have files."""
        return self._listed or self._known

    def take_up(self, done_us: int | None, is_late: Callable[[], bool]) -> Iterator[None]:
        """All of it: once it is late the rest is left, and what arrived meanwhile, to the next start.

        But for a day that is over: its files have to be complete before what arrived later gets new ones.
        """
        way_back = () if done_us is None else self.way_back(done_us)
        for _ in chain(self.load(done_us), way_back):
            if is_late() and day_of(now_us()) <= self._recorder.day:
                self._recorder.keep_only()
                return
            yield

    def load(self, done_us: int | None = None) -> Iterator[None]:
        """Take up what is on disk; identities of lines from `done_us` on are known even if their log misses them."""
        for camera_id, stems in self.stems.items():
            # A stop may come before a camera's log is read, and what arrives until then has to be kept.
            self._writer.register(camera_id, stems[-1])
        yield from self._load_uuids()
        worst_events: WorstEvents = {}
        yield from read_worst_events(self._paths, worst_events)
        since_us = None if done_us is None else done_us - _OVERLAP_US
        for camera_id, stems in self.stems.items():
            log = DelayLog(since_us)
            for stem in stems:
                before = log.size
                for size in log.read(self._paths.delay(stem)):
                    self.done_bytes += size
                    yield
                self._writer.register(camera_id, stem, log.size - before)
            self._label(camera_id)
            yield from self._take(camera_id, log, worst_events)
        for gap in read_gaps(self._paths):
            self._recorder.observation.restore(gap)
            yield
        self._complete_uuids()

    def way_back(self, done_us: int) -> Iterator[None]:
        """Judge what arrived at `done_us` or later and has no lines yet; what is older only uses up "first" values."""
        recorder, handler = self._recorder, self._recorder.handler
        files = []
        for camera_id, stems in self.stems.items():
            files += [(camera_id, self._paths.stream(stem)) for stem in stems]
            yield
        updates = UpdateSequence(files, read_gaps(self._paths), done_us - _OVERLAP_US)
        last_us = None
        for item in updates:
            if isinstance(item, Gap):
                yield from self._subscribe(item)
            elif item is not None and "event" in item.data:
                if item.arrived_us < done_us:
                    use_up_first(handler, item)
                else:
                    last_us = item.arrived_us
                    self.unreadable += not record_again(recorder, item)
            yield
        self.unreadable += updates.unreadable
        if last_us is not None:
            self._writer.mark(last_us)

    def reread(self, camera_id: str) -> CameraDay | None:
        """A camera's statistics as its delay log now has them, after others changed it; at once, not in steps."""
        log = DelayLog()
        for stem in self.stems.get(camera_id, []):
            for _ in log.read(self._paths.delay(stem)):
                pass
        if not log.size:
            return None
        worst = log.worst
        for step in find_event(self._paths, self.stems[camera_id], worst) if worst else ():
            worst = step or worst
        return CameraDay(log.stats, worst, log.clean)

    def _read_by_load(self) -> Iterator[Path]:
        yield from (self._paths.uuids_old, self._paths.uuids)
        for stems in self.stems.values():
            yield from map(self._paths.delay, stems)

    def _load_uuids(self) -> Iterator[None]:
        """The remembered identities, oldest first; the writer learns how many lines the current log has."""
        restore = self._recorder.handler.dedup.restore
        for path in (self._paths.uuids_old, self._paths.uuids):
            count = 0
            for block in whole_lines(path):
                count += block.count(b"\n")
                self.done_bytes += len(block)
                restore(map(_identity, filter(None, block.decode("utf-8", "replace").split("\n"))))
                yield
        self._writer.uuid_lines = count

    def _take(self, camera_id: str, log: DelayLog, worst_events: WorstEvents) -> Iterator[None]:
        """What was read of a camera's delay log becomes what the handler knows of the camera."""
        self.unreadable += log.unreadable
        if not log.size:
            return
        handler = self._recorder.handler
        for four_cc, identity in log.latest.items():
            handler.dedup.restore_latest(camera_id, four_cc, identity)
        self._unlogged += [
            (arrived_us, camera_id, identity) for arrived_us, identity in log.recent if identity not in handler.dedup
        ]
        worst = log.worst and log.worst._replace(camera_id=camera_id)
        if worst is not None:
            event = worst_events.get(event_key(worst))
            if event is not None:
                worst = worst._replace(data=event)
            else:  # the snapshot is behind, or was removed
                for step in find_event(self._paths, self.stems[camera_id], worst):
                    worst = step or worst
                    yield
        clean = log.clean and log.clean._replace(camera_id=camera_id)
        handler.day.restart(camera_id, CameraDay(log.stats, worst, clean))

    def _complete_uuids(self) -> None:
        """Lines whose identity did not get to its log any more: a delay log is written before it."""
        for _, camera_id, identity in sorted(self._unlogged):
            self._recorder.handler.dedup.restore([identity])
            self._writer.log_processed_event_uuid(identity, camera_id)

    def _subscribe(self, gap: Gap) -> Iterator[None]:
        """A subscription of the day; a camera measured since then has had its first event after the gap."""
        handler = self._recorder.handler
        # Also cameras that have no files yet: they were not observed either.
        for camera_id in [gap.camera_id] if gap.camera_id else self._known:
            stats = handler.day.cameras.get(camera_id)
            subscribe(handler, gap, [camera_id], missed=stats is None or stats.latest_us() < gap.to_us)
            yield

    def _label(self, camera_id: str) -> None:
        """A camera that is no longer in the list keeps its lines, and gets those it has not had."""
        if camera_id not in self._recorder.labels:
            self._recorder.labels[camera_id] = lines.label(self._known[camera_id])


def _identity(line: str) -> str:
    return parse(f"uuid={line}").get("uuid", "") if line.startswith('"') else line
