"""Read the delay logs of a period and count their events. The logger may move them meanwhile."""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import Final, NamedTuple

from ..measure.histogram import bucket_of
from ..model import DAY_US, EARLY, INITIAL, MEASURED, UNDATED, Camera, Group, Verdict
from ..storage.camera_files import CameraFiles
from ..storage.delaylog import DelayRow, read_rows
from ..storage.line_blocks import Skipped, size_of
from ..storage.paths import TEMPORARY, LogPaths, day_of
from ..storage.state import read_state
from ..views.figures import Figures
from ..views.text import count
from .plots import Timeline
from .query import FOREVER_US, Query

MOST_LATE: Final = 5_000  # events over `--min-delay` that are kept, the worst ones; the others are counted
_SKIPPED: Final = {
    "files": ("skipped", "file", "files", " without a single line of a delay log"),
    "errors": ("skipped", "file or folder", "files or folders", " that cannot be read"),
    "lines": ("skipped", "damaged line", "damaged lines", ""),
    "foreign": ("skipped", "file or folder", "files or folders", " among the days that are no logs"),
    "events": ("left out", "event", "events", f" of --min-delay: the worst {MOST_LATE:,} are listed"),
}


@dataclass(slots=True)
class Cell:
    """One camera's events of one group through one bridge; `id` is the camera's own, also in an anonymous report."""

    id: str
    camera: Camera
    group: Group
    tally: Figures = field(default_factory=Figures)


class Event(NamedTuple):
    """One line of a delay log."""

    row: DelayRow
    cell: Cell

    @property
    def identity(self) -> str:
        """The identity. Where it holds the camera's id, that is its label."""
        identity, own, label = self.row.identity, self.cell.id, self.cell.camera.id
        return identity if own == label else re.sub(re.escape(own), label, identity, flags=re.IGNORECASE)

    def verdict(self) -> Verdict:
        """All that the line says, the camera as the report calls it."""
        return self.row.parsed()[0]._replace(camera_id=self.cell.camera.id, identity=self.identity)


Progress = Callable[[int, int], None]  # called with the bytes read so far and in all
OnEvent = Callable[[Event], object]


class DelayLogs:
    """The delay logs that may tell of a period; `cameras` are those of `cameras.json` by their present names.

    `folders` are those that may hold lines of it, oldest first, the log directory itself last. Of the logs read,
    `good` hold delay lines; `empty` hold lines, but none of a delay log.
    """

    def __init__(self, query: Query) -> None:
        self.skipped = Skipped()
        self.good = self.empty = 0
        self._query = query
        self._find(self.skipped)

    def _find(self, skipped: Skipped) -> None:
        # A folder may begin with lines of the day before, when the clock was set back over a midnight.
        first, last = day_of(self._query.since_us), day_of(min(self._query.until_us + DAY_US, FOREVER_US))
        here = LogPaths(self._query.log_dir)
        self.folders = [*(here.day(day) for day in here.days(skipped) if first <= day <= last), here]
        self.cameras: dict[str, Camera] = {}
        self.files: dict[str, dict[str | None, list[Path]]] = {}  # by camera id and day
        state = read_state(here)
        # Today's first: what moves at midnight is met where it was, or where it went.
        for folder in reversed(self.folders):
            found, day = CameraFiles(folder, skipped), state.day if state else None
            if folder != here:  # where nobody knows the day, all lines of copies count
                day = folder.root.name
            self.cameras = found.listed | self.cameras
            # A move to another file system, cut short, leaves a day's lines in two places: each is read once.
            for camera_id, files in found.delay_logs().items():
                self.files.setdefault(camera_id, {}).setdefault(day, []).extend(files)

    def rows(self, camera_id: str, skipped: Skipped) -> Iterator[list[DelayRow]]:
        """The delay lines of one camera, some hundred at a time."""
        newest = next(iter(self.files.get(camera_id, {}).values()), [])
        if not all(map(os.path.exists, newest)):  # moved at midnight, or renamed
            self._find(Skipped())
        for day, files in self.files.get(camera_id, {}).items():
            damaged, is_good = skipped.lines, False
            for rows in read_rows(files, day, skipped):
                is_good = True
                yield rows
            self.good += is_good
            if not is_good:
                self.empty += skipped.lines > damaged
                skipped.lines = damaged


class Reading:
    """The events of a query, read a camera at a time; `on_event` gets each. Memory does not grow with the lines.

    `files` counts the logs with delay lines, `outside` events of other times, `skipped` what was not read or listed.
    `worst` are the worst measured events, worst first, with `Query.min_delay_us` also others so late.
    """

    def __init__(self, query: Query, progress: Progress, on_event: OnEvent | None = None) -> None:
        self.cells: dict[tuple[bytes, Group], Cell | None] = {}  # None is not asked for
        self.timeline = Timeline()
        self.outside = self.last_us = 0
        self.first_us = query.until_us
        self._query, self._on_event = query, on_event
        self._labels: dict[str, dict[str, str]] = {"camera": {}, "bridge": {}}
        self._kept: list[tuple[int, int, int, Event]] = []
        self._number = itertools.count(0, -1)
        self._most = query.worst if query.min_delay_us == FOREVER_US else max(query.worst, MOST_LATE)
        self._floor_us = -1
        self._late = 0
        logs = DelayLogs(query)
        self.cameras, skipped = logs.cameras, logs.skipped
        # In the order of ids, so that a label is the camera's own as long as the directory knows the same cameras.
        for camera_id in sorted({*self.cameras, *logs.files}):
            self.label(camera_id)
        for bridge in sorted({camera.bridge for camera in self.cameras.values()}):
            self.label(bridge, "bridge")
        total = sum(size_of(path) for days in logs.files.values() for files in days.values() for path in files)
        for camera_id in [*logs.files]:
            for rows in logs.rows(camera_id, skipped):
                self._count(rows)
                progress(skipped.read_bytes, total)
        kept = enumerate(sorted(self._kept, reverse=True))
        self.worst = [event for i, (us, _, _, event) in kept if i < query.worst or us >= query.min_delay_us]
        unlisted = max(0, self._late - len(self.worst))
        values = logs.empty, len(skipped.files), skipped.lines, _foreign(logs.folders), unlisted
        self.folders, self.files, self.skipped = logs.folders, logs.good, dict(zip(_SKIPPED, values, strict=True))

    def label(self, of: str, kind: str = "camera") -> str:
        """What the report calls a camera or bridge: its id, or a label."""
        if not self._query.anonymise or not of:
            return of
        return self._labels[kind].setdefault(of, f"{kind}-{1 + len(self._labels[kind])}")

    def called(self, camera: Camera) -> Camera:
        """The camera as the report calls it."""
        if not self._query.anonymise:
            return camera
        return Camera(self.label(camera.id), self.label(camera.id), self.label(camera.bridge, "bridge"))

    def _count(self, rows: Iterable[DelayRow]) -> None:
        cells, from_us, to_us = self.cells, self._query.since_us, self._query.until_us
        for row in rows:
            arrived_us, delay_us, kind, four_cc, ns, _, _, _, line = row
            if not from_us <= arrived_us < to_us:
                self.outside += 1
                continue
            # What says camera and bridge is the same text on all lines of both, so it need not be parsed.
            begin = line.rfind(b" camera=")
            end = line.find(b" ", line.find(b" bridge=", begin) + 8)
            place = line[begin:end] if 0 <= begin < end else row.parsed()[1].id.encode()
            key = place, four_cc if ns is None else ns
            try:
                cell = cells[key]
            except KeyError:
                cell = cells[key] = self._new_cell(row)
            if cell is None:
                continue
            self.first_us, self.last_us = min(self.first_us, arrived_us), max(self.last_us, arrived_us)
            if kind == MEASURED:
                self._count_measured(row, cell, delay_us or 0)
            elif kind == EARLY:
                cell.tally.early.add(-(delay_us or 0))
            else:
                cell.tally.initial += kind == INITIAL
                cell.tally.undated += kind == UNDATED
            if self._on_event:
                self._on_event(Event(row, cell))

    def _count_measured(self, row: DelayRow, cell: Cell, delay_us: int) -> None:
        bucket, tally = bucket_of(delay_us), cell.tally
        if delay_us > tally.delays.max_us or not tally.delays.n:
            tally.max_event = Event(row, cell).verdict()
        tally.delays.count(bucket, delay_us)
        self.timeline.count(row.arrived_us, bucket, delay_us)
        clean = tally.clean_max
        if (clean is None or delay_us > (clean.delay_us or 0)) and row.is_clean:
            tally.clean_max = Event(row, cell).verdict()
        self._late += delay_us >= self._query.min_delay_us
        if delay_us > self._floor_us:
            heappush(self._kept, (delay_us, -row.arrived_us, next(self._number), Event(row, cell)))
            if len(self._kept) > self._most:
                self._floor_us = heappop(self._kept)[0]

    def _new_cell(self, row: DelayRow) -> Cell | None:
        camera = row.parsed()[1]
        camera = replace(camera, name=self.cameras.setdefault(camera.id, camera).name)
        return Cell(camera.id, self.called(camera), row.group) if self._query.wants(camera, row.group) else None


def sentences(skipped: dict[str, int]) -> list[str]:
    """Sentences on `Reading.skipped`. There are none when all was read."""
    said = ((skipped[name], *words) for name, words in _SKIPPED.items())
    return [f"{verb} {count(n, one, many)}{what}" for n, verb, one, many, what in said if n]


def _foreign(where: list[LogPaths]) -> int:
    """Count files among the days that are not our logs. Those being written do not count."""
    *days, paths = where
    expected = {paths.days_dir: set(paths.days(Skipped()))}
    for day in days:
        logs = {path.name for _, _, path in (*day.delay_files(Skipped()), *day.stream_files(Skipped()))}
        ours = {f"{name}{suffix}" for name in day.ours for suffix in ("", ".gz")}
        expected |= {day.stream_dir: logs, day.root: logs | ours | {day.stream_dir.name}}
    found = ((name, expected.get(Path(top))) for top, dirs, files in os.walk(paths.days_dir) for name in dirs + files)
    return sum(names is not None and name not in names and not name.endswith(TEMPORARY) for name, names in found)
