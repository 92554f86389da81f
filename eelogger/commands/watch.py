"""Show a running logger's events, one short line each.

It needs neither lock nor key: it reads the delay logs as they grow, through renames and midnight.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
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
LOOKS: Final = 10  # looking at thousands of files takes longer: a pause is at least so many times as long
_AT_ONCE: Final = 1 << 24
_BEFORE_BYTES: Final = 96  # lines of a delay log are longer and hold their own time: no two places look alike

_NOT_RUNNING: Final = {
    NEVER: "no logger has been at work",
    STOPPED: "the logger is stopped",
    DIED: "the logger died",
    HANGS: "the logger hangs",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--camera`, `--min-delay` and `--lines`."""
    text = "only this camera: id, or name with * and ?"
    parser.add_argument("--camera", action="append", default=[], metavar="PATTERN", help=text)
    parser.add_argument("--min-delay", type=seconds, metavar="S", help="only delays of S seconds and more")
    parser.add_argument("--lines", type=count, default=0, metavar="N", help="begin with the last N events of today")


def run(options: argparse.Namespace, console: Console) -> int:
    """Show events until interrupted; raises `NothingToShow`."""
    paths = LogPaths(log_dir_of(None, options.env_file, options.log_dir))
    where = printable(str(paths.root))
    try:
        os.listdir(paths.root)
    except OSError as error:
        message = f"the log directory {where} cannot be read: {error.strerror}"
        raise NothingToShow(message, "start the logger first, or give --log-dir") from None
    min_delay_us = None if options.min_delay is None else round(options.min_delay * 1_000_000)
    follower = Follower(paths, partial(_wants, options.camera, min_delay_us))
    found = follower.start(options.lines)
    if (kind := process_state(paths).kind) != RUNNING:
        console.info(f"{_NOT_RUNNING[kind]} in {where}: waiting for events")
    console.write(event_heading(console.columns()))
    try:
        _show(follower, found, console)
    finally:
        if follower.unreadable:
            console.info(f"skipped {counted(follower.unreadable, 'line')} that could not be read")


def _show(follower: Follower, found: list[DelayRow], console: Console) -> NoReturn:
    """Show what was found, then what comes, for ever."""
    day = ""
    told: set[tuple[str, str]] = set()
    pause_s = POLL_S
    while True:
        for row in found:
            verdict, camera = row.parsed()
            if (arrived_day := day_of(row.arrived_us)) != day:
                day = arrived_day
                console.write(f"-- {day} (UTC) --\n")
            console.write(event_line(verdict, camera.name, console.columns()))
        for path, problem in follower.problems.items() - told:
            told.add((path, problem))
            console.info(f"{printable(path)} cannot be read: {problem}")
        time.sleep(pause_s)
        began = time.monotonic()
        found = follower.poll()
        pause_s = max(POLL_S, (time.monotonic() - began) * LOOKS)


def _wants(patterns: Sequence[str], min_delay_us: int | None, row: DelayRow) -> bool:
    """Whether this event is to be shown; one without a delay has none of any length."""
    if min_delay_us is not None and (row.delay_us is None or row.delay_us < min_delay_us):
        return False
    camera = row.parsed()[1]
    return matches(patterns, camera.id, camera.name)


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
        self._paths = paths
        self._wants = wants
        self._places: dict[tuple[int, int], _Place] = {}
        self._latest_us: dict[str, int] = {}
        self._old_days = frozenset(paths.days())

    def start(self, last: int = 0) -> list[DelayRow]:
        """Go on from the present end of each file; returns the `last` events before, in the order of arrival."""
        found: list[DelayRow] = []
        for path, camera_id, is_new in self._files():
            since_us = found[0].arrived_us if last and len(found) == last else 0
            with self._noting_problems(path):
                found += self._begin(path, camera_id, last if is_new else 0, since_us)
            found = sorted(found, key=_arrived)[-last:] if last else []
        return found

    def poll(self) -> list[DelayRow]:
        """The events that came since the last call, in the order of arrival."""
        found: dict[bytes, DelayRow] = {}  # a line may be in two files while one is copied
        places: dict[tuple[int, int], _Place] = {}
        latest_us: dict[str, int] = {}
        for path, camera_id, is_new in self._files():
            with self._noting_problems(path):
                status = os.stat(path)
                key, stamp = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
                place = places.get(key) or self._places.get(key) or (_Place() if is_new else None)
                if place is None:
                    continue
                places[key] = place
                if place.stamp != stamp:
                    rows_read, place = self._read_on(path, place, self._latest_us.get(camera_id, -1))
                    places[key] = place._replace(stamp=stamp)
                    self.problems.pop(str(path), None)
                    found |= {row.line: row for row in rows_read}
                    if rows_read:
                        latest_us.setdefault(camera_id, rows_read[-1].arrived_us)  # today's, also of a clock put back
        self._places = places
        self._latest_us |= latest_us
        return sorted(filter(self._wants, found.values()), key=_arrived)

    def _files(self) -> Iterator[tuple[Path, str, bool]]:
        """Path, camera and whether an unknown file there is a new one; where a file moves to comes last."""
        folders = [(self._paths, True)]
        with suppress(ValueError, OSError):
            newest = max(self._paths.days(), key=lambda day: os.stat(self._paths.day(day).root).st_mtime_ns)
            folders.append((self._paths.day(newest), newest not in self._old_days))
        for folder, is_new in folders:
            for camera_id, _, path in folder.delay_files():
                if path.suffix == ".log":
                    yield path, camera_id, is_new

    @contextmanager
    def _noting_problems(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:  # it was moved meanwhile
            pass
        except OSError as error:
            self.problems[str(path)] = error.strerror or str(error)

    def _begin(self, path: Path, camera_id: str, last: int, since_us: int) -> list[DelayRow]:
        """Note where to go on; returns up to `last` wanted events before that, none before `since_us`."""
        wanted: list[DelayRow] = []
        status, place = os.stat(path), _Place()
        for start, block in whole_lines_backwards(path):
            if not place.offset:
                block = block[: block.rfind(b"\n") + 1]  # half a line waits for its other half
                place = _Place(start + len(block), block[-_BEFORE_BYTES:])
            self._places[status.st_dev, status.st_ino] = place
            for row in reversed([row for row in rows(block) if row is not None]):
                self._latest_us[camera_id] = max(self._latest_us.get(camera_id, -1), row.arrived_us)
                if len(wanted) >= last or row.arrived_us < since_us:
                    return wanted
                if self._wants(row):
                    wanted.append(row)
        return wanted

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


def _arrived(row: DelayRow) -> int:
    return row.arrived_us
