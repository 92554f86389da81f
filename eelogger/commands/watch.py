"""Show a running logger's events, one short line each.

It needs neither lock nor key: it reads the delay logs as they grow, through renames, midnight and `gzip`.
"""

import argparse
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from ..errors import NothingToShow
from ..setting_types import matches
from ..settings import log_dir_of
from ..storage.delaylog import DelayRow, rows
from ..storage.line_blocks import open_file, whole_lines_backwards
from ..storage.lock import DIED, HANGS, NEVER, RUNNING, STOPPED, process_state
from ..storage.paths import LogPaths, day_of
from ..views.console import Console
from ..views.number_format import count as counted
from ..views.status_line import event_heading, event_line
from ..views.tables import printable
from . import count, seconds

POLL_S: Final = 0.25
LOOKS: Final = 10  # a pause is at least so many times as long as a look, which at thousands of files takes a while
_AT_ONCE: Final = 1 << 24
_BACK_BYTES: Final = 1 << 14
_BEFORE_BYTES: Final = 96  # lines of a delay log are longer and hold their own time: no two places look alike

_NOT_RUNNING: Final = {NEVER: "has not run yet", STOPPED: "is stopped", DIED: "died", HANGS: "hangs"}
_arrived: Final = attrgetter("arrived_us")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--camera`, `--min-delay` and `--lines`."""
    text = "only this camera: id, or name with * and ?"
    parser.add_argument("--camera", action="append", default=[], metavar="PATTERN", help=text)
    parser.add_argument("--min-delay", type=seconds, metavar="S", help="only delays of S seconds and more")
    parser.add_argument("--lines", type=count, default=0, metavar="N", help="begin with the last N events of today")


def run(options: argparse.Namespace, console: Console) -> int:
    """Show events until interrupted; raises `NothingToShow`."""
    paths = LogPaths(log_dir_of(options.env_file, options.log_dir))
    try:
        os.listdir(paths.root)
    except OSError as error:
        message = f"the log directory {printable(str(paths.root))} cannot be read: {error.strerror}"
        raise NothingToShow(message, "start the logger first, or give --log-dir") from None
    min_delay_us = round((options.min_delay or 0) * 1_000_000)

    def wants(row: DelayRow) -> bool:
        if min_delay_us and (row.delay_us is None or row.delay_us < min_delay_us):
            return False
        camera = row.parsed()[1]
        return matches(options.camera, camera.id, camera.name)

    follower = Follower(paths, wants)
    try:
        _show(paths, follower, follower.poll(options.lines), console)
    finally:
        if follower.unreadable:
            console.info(f"skipped {counted(follower.unreadable, 'line')} that could not be read")


def _show(paths: LogPaths, follower: "Follower", found: list[DelayRow], console: Console) -> NoReturn:
    """Show what was found, then what comes, for ever; say when the logger or a file is in trouble."""
    day, kind, pause_s = "", RUNNING, POLL_S
    told: set[tuple[str, str]] = set()
    console.write(event_heading(console.columns()))
    while True:
        for row in found:
            verdict, camera = row.parsed()
            if (arrived_day := day_of(row.arrived_us)) != day:
                day = arrived_day
                console.write(f"-- {day} (UTC) --\n")
            console.write(event_line(verdict, camera.name, console.columns()))
        if found or kind == RUNNING:  # asked of a dead logger again and again it could refuse the next one's start
            before, kind = kind, process_state(paths).kind
            if kind not in (RUNNING, before):
                console.info(f"the logger {_NOT_RUNNING[kind]} in {printable(str(paths.root))}: waiting for events")
        for path, problem in follower.problems.items() - told:
            console.info(f"{printable(path)} cannot be read: {problem}")
        told |= follower.problems.items()
        time.sleep(pause_s)
        began = time.monotonic()
        found = follower.poll()
        pause_s = max(POLL_S, (time.monotonic() - began) * LOOKS)


class _Place(NamedTuple):
    """Where to go on in a file; `before` stands right before, `stamp` changes whenever the file does."""

    offset: int = 0
    before: bytes = b""
    stamp: tuple[int, int] = (-1, -1)


class Follower:
    """The delay logs of one directory as they grow; a file is known by device and inode, whatever it is called.

    `unreadable` counts lines that are none; `problems` says by path why a file cannot be read.
    """

    def __init__(self, paths: LogPaths, wants: Callable[[DelayRow], bool] = lambda row: True) -> None:
        self.unreadable = 0
        self.problems: dict[str, str] = {}
        self._paths, self._wants = paths, wants
        self._places: dict[tuple[int, int], _Place] = {}
        self._latest_us: dict[str, int] = {}
        self._old_days = frozenset(paths.days([]))

    def poll(self, last: int | None = None) -> list[DelayRow]:
        """The events that came since the last call, by arrival; at the first one the `last` that were there."""
        found: dict[bytes, DelayRow] = {}  # a line may be in two files while one is copied
        places: dict[tuple[int, int], _Place] = {}
        latest_us: dict[str, int] = {}  # not with those before: the clock may have been put back
        for path, camera_id, is_new in self._files():
            try:
                status = os.stat(path)
                key, stamp = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
                if key not in self._places and not is_new:
                    continue
                place = places[key] = self._places.get(key, _Place())
                if place.stamp == stamp:
                    continue
                if last is None:
                    rows_read, place = self._read_on(path, place, self._latest_us.get(camera_id, -1))
                    places[key] = place._replace(stamp=stamp)
                else:
                    rows_read, places[key] = self._read_back(path, last)
                self.problems.pop(str(path), None)
                found |= {row.line: row for row in rows_read}
                latest_us[camera_id] = max([latest_us.get(camera_id, -1), *map(_arrived, rows_read[-1:])])
            except (FileNotFoundError, EOFError):  # it was moved meanwhile, or is being packed
                pass
            except (OSError, zlib.error) as error:
                self.problems[str(path)] = getattr(error, "strerror", "") or str(error)
        self._places = places
        self._latest_us |= {camera_id: us for camera_id, us in latest_us.items() if us >= 0}
        wanted = sorted(filter(self._wants, found.values()), key=_arrived)
        return wanted if last is None else wanted[max(0, len(wanted) - last) :]

    def _files(self) -> Iterator[tuple[Path, str, bool]]:
        """Path, camera and whether an unknown file there is a new one; where a file moves to comes last."""
        folders = [(self._paths, True)]
        with suppress(ValueError, OSError):
            newest = max(self._paths.days([]), key=lambda day: os.stat(self._paths.day(day).root).st_mtime_ns)
            folders.append((self._paths.day(newest), newest not in self._old_days))
        return (
            (path, camera_id, is_new) for folder, is_new in folders for camera_id, _, path in folder.delay_files([])
        )

    def _read_back(self, path: Path, last: int) -> tuple[list[DelayRow], _Place]:
        """At least the `last` wanted events of a file, and its latest one at the end; where to go on."""
        wanted: list[DelayRow] = []
        latest: list[DelayRow] = []
        place = _Place()
        for start, block in whole_lines_backwards(path, _BACK_BYTES):
            if not place.offset:
                block = block[: block.rfind(b"\n") + 1]  # half a line waits for its other half
                place = _Place(start + len(block), block[-_BEFORE_BYTES:])
            readable = [row for row in rows(block) if row is not None]
            latest = latest or readable[-1:]
            wanted += filter(self._wants, readable if last else ())
            if latest and len(wanted) >= last:
                break
        return wanted + latest, place

    def _read_on(self, path: Path, place: _Place, floor_us: int) -> tuple[list[DelayRow], _Place]:
        """What was appended to a file; of a content that was not there before, what arrived after `floor_us`."""
        found: list[DelayRow] = []
        offset, before, _ = place
        with open_file(path) as file:
            file.seek(offset - len(before))
            if offset and file.read(len(before)) == before:
                floor_us = -1
            else:
                offset, before = file.seek(0), b""
            while data := file.read(_AT_ONCE):
                whole = data[: data.rfind(b"\n") + 1]
                if not whole:
                    break
                offset, before = file.seek(offset + len(whole)), whole[-_BEFORE_BYTES:]
                read = rows(whole)
                self.unreadable += read.count(None)
                found += [row for row in read if row is not None and row.arrived_us > floor_us]
        return found, _Place(offset, before)
