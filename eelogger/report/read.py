"""Read the delay logs of a period, also while the logger moves them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Final

from ..model import DAY_US, Camera
from ..storage.camera_files import delay_logs, read_cameras
from ..storage.delaylog import read_rows
from ..storage.line_blocks import Skipped, read_at, size_of
from ..storage.paths import TEMPORARY, LogPaths, day_of
from ..storage.state import read_state
from ..views.number_format import count
from .cells import MOST_LATE, Cells, OnEvents
from .query import FOREVER_US, Labels, Query

_PASSES: Final = 4  # how often files are read because some moved meanwhile: midnight comes once, renames are rare
_SKIPPED: Final = {
    "files": ("skipped", "file", "files", " without a single line of a delay log"),
    "errors": ("skipped", "file or folder", "files or folders", " that cannot be read"),
    "lines": ("skipped", "damaged line", "damaged lines", ""),
    "foreign": ("skipped", "file or folder", "files or folders", " among the days that are no logs"),
    "events": ("left out", "event", "events", f" of --min-delay: the worst {MOST_LATE:,} are listed"),
}

Progress = Callable[[int, int], None]  # called with the bytes read so far and in all
_Found = dict[LogPaths, dict[str, list[Path]]]  # the files of each folder by camera


def folders(paths: LogPaths, query: Query, unreadable: list[OSError]) -> list[LogPaths]:
    """The folders that may hold lines of the period, oldest first; the log directory itself is the last.

    A folder may begin with lines of the day before, when the clock was set back over a midnight.
    """
    first, last = day_of(query.from_us), day_of(min(query.to_us + DAY_US, FOREVER_US))
    return [*(paths.day(day) for day in paths.days(unreadable) if first <= day <= last), paths]


class Reading:
    """Reads the files of a query into `cells`.

    `cameras` are those it met, called as they are now; `files` holds the good and damaged lines of each delay log.
    """

    def __init__(self, query: Query, progress: Progress, on_events: OnEvents | None = None) -> None:
        self.cells = Cells(query, on_events)
        self.cameras: dict[str, Camera] = {}
        # By a hash of its first good line: a move may also be a copy.
        self.files: dict[int, tuple[int, int]] = {}
        self._empty = self._foreign = self._done = self._total = 0
        self._query = query
        self._progress = progress
        self._paths = LogPaths(query.log_dir)
        self._skipped = Skipped()

    def read(self) -> None:
        """Read everything; what moved meanwhile, to its end."""
        for _ in range(_PASSES):
            self._skipped = Skipped()
            found = self._look_around(self._skipped)
            self._read_all(found)
            if self._look_around(Skipped()) == found:
                break
        self._foreign = _foreign(self._paths, [*found][:-1])

    def skipped(self) -> dict[str, int]:
        """How much was not read, and how many events of `--min-delay` are not listed."""
        damaged = self.cells.damaged + sum(bad for _, bad in self.files.values())
        unlisted = max(0, self.cells.late - len(self.cells.worst()))
        values = self._empty, len(self._skipped.files), damaged, self._foreign, unlisted
        return dict(zip(_SKIPPED, values, strict=True))

    def _look_around(self, skipped: Skipped) -> _Found:
        """Find the files to be read; learn which cameras there are."""
        where = folders(self._paths, self._query, skipped.files)
        found = {folder: delay_logs(folder, skipped) for folder in where}
        for folder in where:
            self.cells.listed |= read_cameras(folder)
        self.cameras |= self.cells.listed
        if self._query.anonymise and not self.cells.labels:  # they depend on all cameras
            ids = {camera_id: Camera(camera_id, "") for cameras in found.values() for camera_id in cameras}
            self.cells.labels = Labels((ids | self.cells.listed).values())
        return found

    def _read_all(self, found: _Found) -> None:
        self._total = sum(size_of(path) for each in found.values() for files in each.values() for path in files)
        self._empty = self._done = 0
        state = read_state(self._paths)
        for folder, cameras in found.items():
            today = state.day if state else None
            for files in cameras.values():
                self._read_camera(files, today if folder == self._paths else folder.root.name)

    def _read_camera(self, files: list[Path], day: str | None) -> None:
        """Count a camera's files of a folder; where they were read before they moved, only what is new."""
        begun, good, known = None, 0, 0
        here = Skipped(files=self._skipped.files)
        for rows in filter(None, read_rows(files, day=day, skipped=here, on_read=self._advance)):
            if begun is None:
                begun = hash(rows[0].line)
                known, _ = self.files.get(begun, (0, 0))
            self.cells.count(rows[max(0, known - good) :])
            good, last = good + len(rows), rows[-1]
        bad = here.lines - (here.lines > 0 and _is_being_written(files[0]))
        if begun is None:
            self._empty += bad > 0
            return
        self.files[begun] = good, bad
        camera = last.parsed()[1]
        if camera.id not in self.cells.listed:
            self.cameras[camera.id] = camera

    def _advance(self, size: int) -> None:
        self._done += size
        self._progress(self._done, self._total)


def sentences(skipped: dict[str, int]) -> list[str]:
    """What is to be said of `Reading.skipped`; nothing when all was read."""
    said = ((skipped[name], *words) for name, words in _SKIPPED.items())
    return [f"{verb} {count(n, one, many)}{what}" for n, verb, one, many, what in said if n]


def _is_being_written(path: Path) -> bool:
    try:
        return read_at(path, max(0, size_of(path) - 1), 1) not in (b"", b"\n")
    except OSError:
        return False


def _foreign(paths: LogPaths, days: Iterable[LogPaths]) -> int:
    """How much lies among the days that is no log of ours; what the logger is just writing does not count."""
    expected = {paths.days_dir: set(paths.days([]))}
    for day in days:
        logs = {path.name for _, _, path in (*day.delay_files([]), *day.stream_files([]))}
        ours = {f"{name}{suffix}" for name in day.ours() for suffix in ("", ".gz")}
        expected |= {day.stream_dir: logs, day.root: logs | ours | {day.stream_dir.name}}
    found = ((name, expected.get(Path(top))) for top, *names in os.walk(paths.days_dir) for name in chain(*names))
    return sum(names is not None and name not in names and not name.endswith(TEMPORARY) for name, names in found)
