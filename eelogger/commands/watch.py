"""Show a running logger's events, one short line each. Neither lock nor key is needed."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final

from ..setting_types import matches
from ..storage.delaylog import DelayRow, rows
from ..storage.line_blocks import Skipped, lines_backwards
from ..storage.lock import RUNNING, process_state
from ..storage.paths import LogPaths, day_of
from ..views.console import Console
from ..views.status_line import event_heading, event_line
from ..views.text import count as counted, printable
from . import NOT_RUNNING, count, paths_to_read, seconds

POLL_S: Final = 0.25
FAR: Final = 50_000  # so many lines before the end a file's latest row is looked for; a copy need not hold it
LOOKS: Final = 10  # a pause is at least so many times as long as a look, which at thousands of files takes a while


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--camera`, `--min-delay` and `--lines`."""
    parser.add_argument("--camera", action="append", default=[], metavar="PATTERN", help="id, or name with * and ?")
    parser.add_argument("--min-delay", type=seconds, metavar="S", help="only delays of S seconds and more")
    parser.add_argument("--lines", type=count, default=0, metavar="N", help="begin with the last N events of today")


def run(options: argparse.Namespace, console: Console) -> int:
    """Show events until interrupted, and what is wrong with logger or files. Raises `NothingToShow`."""
    paths = paths_to_read(options)
    follower = Follower(paths, options.camera, round((options.min_delay or 0) * 1_000_000))
    day, kind, pause_s, told = "", RUNNING, POLL_S, set[str]()
    console.write(event_heading(console.columns()))
    found = follower.poll(options.lines)
    try:
        while True:
            for row in found:
                verdict, camera = row.parsed()
                if (arrived_day := day_of(row.arrived_us)) != day:
                    day = arrived_day
                    console.write(f"-- {day} (UTC) --\n")
                console.write(event_line(verdict, camera.name, console.columns()))
            if found or kind == RUNNING:  # asking about a dead logger again and again could refuse the next one's start
                before, kind = kind, process_state(paths).kind
                if kind not in (RUNNING, before):
                    console.info(f"the logger {NOT_RUNNING[kind]} in {printable(paths.root)}: waiting for events")
            for problem in follower.problems - told:
                console.info(problem)
            told |= follower.problems
            time.sleep(pause_s)
            began = time.monotonic()
            found = follower.poll()
            pause_s = max(POLL_S, (time.monotonic() - began) * LOOKS)
    finally:
        if follower.unreadable:
            console.info(f"skipped {counted(follower.unreadable, 'line')} that could not be read")


class Follower:
    """The growing delay logs of one directory, also when they are renamed."""

    def __init__(self, paths: LogPaths, cameras: Sequence[str], min_delay_us: int) -> None:
        self.unreadable = 0  # lines
        self.problems: set[str] = set()  # which files cannot be read, and why
        self._paths, self._cameras, self._min_delay_us = paths, cameras, min_delay_us
        self._stamps: dict[Path, tuple[int, int, int]] = {}
        self._latest: dict[str, DelayRow] = {}  # by camera: what follows it, in any of the camera's files, is new
        self._old_days = frozenset(paths.days(Skipped()))

    def poll(self, last: int | None = None) -> list[DelayRow]:
        """The events that came since the last call, by arrival; at the first one the `last` that were there."""
        found: dict[bytes, DelayRow] = {}  # a line may be in two files while one is copied
        latest: dict[str, DelayRow] = {}
        stamps = {}
        for path, camera_id, is_new in self._files():
            try:
                status = os.stat(path)
                stamps[path] = status.st_ino, status.st_size, status.st_mtime_ns
                if stamps[path] == self._stamps.get(path) or not (is_new or camera_id in self._latest):
                    continue
                read = self._new(path, self._latest.get(camera_id)) if last is None else self._last(path, last)
            except FileNotFoundError:  # it was moved meanwhile
                continue
            except OSError as error:
                self.problems.add(f"{printable(path)} cannot be read: {error.strerror}")
                continue
            if read:
                found |= {row.line: row for row in reversed(read)}
                latest[camera_id] = max(read[0], latest.get(camera_id, read[0]), key=attrgetter("arrived_us"))
        self._stamps = stamps
        self._latest |= latest
        wanted = sorted(filter(self._wants, found.values()), key=attrgetter("arrived_us"))
        return wanted if last is None else wanted[max(0, len(wanted) - last) :]

    def _wants(self, row: DelayRow) -> bool:
        if self._min_delay_us and (row.delay_us or 0) < self._min_delay_us:
            return False
        camera = row.parsed()[1]
        return matches(self._cameras, camera.id, camera.name)

    def _files(self) -> Iterator[tuple[Path, str, bool]]:
        """Path, camera and whether its folder is of this time; where a file moves to comes last."""
        folders = {self._paths: True}
        with suppress(ValueError, OSError):
            newest = max(self._paths.days(Skipped()), key=lambda day: os.stat(self._paths.day(day).root).st_mtime_ns)
            folders[self._paths.day(newest)] = newest not in self._old_days
        for folder, is_new in folders.items():
            for camera_id, _, path in folder.delay_files(Skipped()):
                yield path, camera_id, is_new

    def _last(self, path: Path, most: int) -> list[DelayRow]:
        """The newest row and the `most` wanted ones before it."""
        read = filter(None, _backwards(path))
        return [*islice(read, 1), *islice(filter(self._wants, read), most)]

    def _new(self, path: Path, latest: DelayRow | None) -> list[DelayRow]:
        """What follows the latest row, newest first; where that is not there, what arrived later."""
        read: list[DelayRow | None] = []
        for row in islice(_backwards(path), FAR):
            if row and latest and row.line == latest.line:
                break
            read.append(row)
        else:
            read = [row for row in read if not (row and latest) or row.arrived_us > latest.arrived_us]
        if new := [row for row in read if row]:
            self.unreadable += read[read.index(new[0]) :].count(None)  # those before it will be met again
        return new


def _backwards(path: Path) -> Iterator[DelayRow | None]:
    for _, line in lines_backwards(path, 1 << 14):
        if line.endswith(b"\n"):  # half a line waits for its other half
            yield next(iter(rows(line, Skipped())), None)
