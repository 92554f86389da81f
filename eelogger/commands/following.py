"""Delay logs followed as they grow: each line once, whatever becomes of the files meanwhile.

A file is known by its inode, so that a rename and the move at midnight are no new file. Decides which lines are new;
reading one file on is for `growing`, which lines are shown, and how, for `watch`. Invariant: a line is handed out
once. Of a content read from its beginning a line is new when it has not been read and arrived after its camera's
lines that were there at the start. No file stays open between two looks.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from ..lines import parse_delay_line
from ..logdir.blocks import open_file
from ..model import Camera, Verdict
from ..paths import LogPaths
from .growing import Growing, stamp

Logged = tuple[Verdict, Camera]
"""A line of a delay log."""

REMEMBERED: Final = 50_000
"""Lines remembered as read; only a content read from its beginning is compared with them."""
_DAYS_BACK: Final = 2
_SAME_TIME_NS: Final = 1_000_000_000
_DELAY_LOG = re.compile(r".+_([0-9A-Fa-f]{8})\.log", re.DOTALL).fullmatch
_ON_THE_WAY = re.compile(r".+_([0-9A-Fa-f]{8})\.log.*", re.DOTALL).fullmatch

_Key = tuple[int, int]


class Follower:
    """The delay logs of one log directory; `wanted` chooses among the lines.

    `unreadable` counts lines that are none, `problems` says by path why a file cannot be read.
    """

    def __init__(
        self, paths: LogPaths, wanted: Callable[[Verdict, Camera], bool] = lambda verdict, camera: True
    ) -> None:
        self.unreadable = 0
        self.problems: dict[str, str] = {}
        self._paths = paths
        self._wanted = wanted
        self._places: dict[_Key, Growing] = {}
        self._floor_us: dict[str, int] = {}
        self._read: OrderedDict[tuple[str, int, str], None] = OrderedDict()
        self._old_days: frozenset[str] = frozenset()
        self._changed_ns: dict[str, int] = {}
        self._archived: set[_Key] = set()

    def start(self, last: int = 0) -> list[Logged]:
        """Go on from the present end of each file; returns the `last` lines before, in the order of arrival."""
        found: list[Logged] = []
        self._old_days = frozenset(self._paths.days())
        for path, camera_id in _files(self._paths.root, _DELAY_LOG):
            if file := self._open(path):
                with file:
                    since_us = found[0][0].arrived_us if last and len(found) == last else 0
                    found += self._begin(file, camera_id, last, since_us)
                    found = sorted(found, key=_arrived)[-last:] if last else []
        self.unreadable = 0  # what was there before is not what is watched
        return found

    def poll(self) -> list[Logged]:
        """The lines that came since the last call, in the order of arrival."""
        new: list[Logged] = []
        here: set[_Key] = set()
        for path, camera_id in _files(self._paths.root, _DELAY_LOG):
            new += self._look(path, camera_id, here)
        new += self._look_elsewhere(self._places.keys() - here)
        return sorted((line for line in new if self._wanted(*line)), key=_arrived)

    def _look(self, path: str, camera_id: str, here: set[_Key]) -> list[Logged]:
        with suppress(OSError):
            status = os.stat(path)
            place = self._places.get(_key(status))
            if place is not None and place.stamp == stamp(status):
                here.add(_key(status))
                return []
        if file := self._open(path):
            with file:
                here.add(_key(os.fstat(file.fileno())))
                return self._read_on(file, camera_id)
        return []

    def _look_elsewhere(self, gone: set[_Key]) -> list[Logged]:
        """What was not read yet of files with another name now, or that came and went to a day's folder meanwhile."""
        days = self._paths.days()[-_DAYS_BACK:]
        changed = [day for day in days if day not in self._old_days and self._is_changing(day)]
        if not gone and not changed:
            return []
        new: list[Logged] = []
        for day, folder in (("", self._paths.root), *((day, self._paths.day(day).root) for day in days)):
            for path, camera_id in _files(folder, _ON_THE_WAY):
                with suppress(OSError):
                    key = _key(os.stat(path))
                    if key not in gone and (day not in changed or key in self._archived):
                        continue
                    if file := self._open(path):
                        with file:
                            new += self._read_on(file, camera_id)
                    if day:
                        self._archived.add(key)
        for key in gone | self._archived:
            self._places.pop(key, None)
        if len(self._archived) > REMEMBERED:
            self._archived.clear()
        return new

    def _is_changing(self, day: str) -> bool:
        """Whether files came into a day's folder since the last look; right after one it may not show by its time."""
        try:
            changed_ns = os.stat(self._paths.day(day).root).st_mtime_ns
        except OSError:
            return False
        before, self._changed_ns[day] = self._changed_ns.get(day), changed_ns
        return changed_ns != before or time.time_ns() - changed_ns < _SAME_TIME_NS

    def _begin(self, file: FileIO, camera_id: str, last: int, since_us: int) -> list[Logged]:
        """Note where to go on; returns up to `last` wanted lines before that, none before `since_us`."""
        place = self._places[_key(os.fstat(file.fileno()))] = Growing()
        wanted: list[Logged] = []
        for tail in place.from_end(file):
            wanted.clear()
            for logged in self._parse(reversed(tail.split(b"\n")[:-1])):
                self._raise_floor(camera_id, logged[0].arrived_us)
                if len(wanted) >= last or logged[0].arrived_us < since_us:
                    return wanted
                if self._wanted(*logged):
                    wanted.append(logged)
        return wanted

    def _read_on(self, file: FileIO, camera_id: str) -> list[Logged]:
        whole, appended = self._places.setdefault(_key(os.fstat(file.fileno())), Growing()).read_on(file)
        lines = [line for line in self._parse(whole.split(b"\n")[:-1]) if appended or self._is_new(camera_id, line[0])]
        for verdict, _ in lines:
            self._remember(camera_id, verdict)
        return lines

    def _parse(self, lines: Iterable[bytes]) -> Iterator[Logged]:
        for line in lines:
            logged = parse_delay_line(line.decode("utf-8", "replace"))
            if logged is None:
                self.unreadable += 1
            else:
                yield logged

    def _is_new(self, camera_id: str, verdict: Verdict) -> bool:
        later = verdict.arrived_us > self._floor_us.get(camera_id, -1)
        return later and (camera_id, verdict.arrived_us, verdict.identity) not in self._read

    def _remember(self, camera_id: str, verdict: Verdict) -> None:
        self._read[camera_id, verdict.arrived_us, verdict.identity] = None
        if len(self._read) > REMEMBERED:
            (camera_id, arrived_us, _), _ = self._read.popitem(last=False)
            self._raise_floor(camera_id, arrived_us)

    def _raise_floor(self, camera_id: str, arrived_us: int) -> None:
        self._floor_us[camera_id] = max(self._floor_us.get(camera_id, -1), arrived_us)

    def _open(self, path: str) -> FileIO | None:
        try:
            file = open_file(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problems[path] = error.strerror or str(error)
            return None
        self.problems.pop(path, None)
        return file


def _files(folder: Path, named: Callable[[str], re.Match[str] | None]) -> Iterator[tuple[str, str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if match := named(entry.name):
                yield entry.path, match[1]


def _key(status: os.stat_result) -> _Key:
    return status.st_dev, status.st_ino


def _arrived(line: Logged) -> int:
    return line[0].arrived_us
