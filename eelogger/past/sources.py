"""What a replay reads: log directories, folders of single days, or stream files that stand alone.

Decides which files make up which day, in which order, and whether their subscriptions are on record; leaves reading
them to `wayback`. Invariant: the days of a log directory come in order, its current day last.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from os.path import exists
from pathlib import Path

from ..errors import NothingToShow, UsageError
from ..figures.observation import UNKNOWN
from ..logdir.blocks import whole_lines
from ..logdir.camerafile import cameras_of, read_cameras
from ..logdir.days import day_of, guess_day
from ..logdir.state import State, read_state
from ..model import Camera, Gap
from ..paths import LogPaths, is_day
from ..text import words
from .wayback import parse_update, read_gaps

_FILE = re.compile(r"(?:(.*?)_?)([0-9A-Fa-f]{8})(?:_stream)?\.[a-z]+").fullmatch


@dataclass(frozen=True)
class Part:
    """Stream logs of one day, or, where no run told their day, of some days from `day` on.

    `recorded`: `gaps.log` says when subscriptions began, or that none did; false as well where it does so only from
    the end of an unknown time on. `state` is where the run stood that wrote them.
    """

    day: str
    files: list[tuple[str, Path]]
    cameras: dict[str, Camera]
    recorded: bool
    gaps: Iterable[Gap] = field(default=())
    state: State | None = None


def parts_of(sources: Iterable[Path], unreadable: list[OSError] | None = None) -> list[Part]:
    """The parts of all sources, by day; raises `NothingToShow` when there is no line of a stream log in them.

    Folders that cannot be read are left out; why goes to `unreadable`.
    """
    single, parts = [], []
    for source in sources:
        found = list(_directory(source, [] if unreadable is None else unreadable)) if source.is_dir() else []
        parts += found
        if not found:
            single += _stream_files(source) if source.is_dir() else [source]
    parts += _alone(single)
    if not any(_first_day(part.files) for part in parts):
        raise NothingToShow(
            f"there is no readable line of a stream log in {', '.join(map(str, sources))}: found "
            + words.count(sum(exists(path) for part in parts for _, path in part.files), "stream log"),
            "give a log directory, a folder of its days, or files called NAME_ID_stream.log",
        )
    return sorted(parts, key=lambda part: part.day)


def span_us(parts: Iterable[Part]) -> tuple[int, int]:
    """From when to when the runs observed whose logs these are, as far as their `.state` tells."""
    states = [part.state for part in parts if part.state]
    since_us, alive_us = [state.since_us for state in states], [state.alive_us for state in states]
    return min(since_us, default=sys.maxsize), max(alive_us, default=0)


def require_empty(log_dir: Path) -> None:
    """Raise `UsageError` unless the directory is empty or does not exist yet."""
    hint = "give a directory that is empty or does not exist yet"
    there = next(path for path in (log_dir.absolute(), *log_dir.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is no directory", hint)
    if log_dir.exists() and any(log_dir.iterdir()):
        raise UsageError(f"{log_dir} is not empty", hint)


def _directory(root: Path, unreadable: list[OSError]) -> Iterator[Part]:
    paths = LogPaths(root)
    folders = [*((paths.day(day), day) for day in paths.days(unreadable)), (paths, "")]
    # A run writes health.log every minute, but to gaps.log only when there is a gap.
    recorded = any(exists(folder.gaps) or exists(folder.health) for folder, _ in folders)
    for folder, name in folders:
        stems = folder.find_stems(unreadable)
        files = [(camera_id, folder.stream(stem)) for camera_id, found in stems.items() for stem in found]
        day = name or _day_of_root(paths, files, recorded)
        if day and (files or exists(folder.gaps)):
            known = recorded and all(gap.kind != UNKNOWN for gap in read_gaps(folder))
            cameras = cameras_of(stems) | read_cameras(folder)
            yield Part(day, files, cameras, known, read_gaps(folder), None if name else read_state(folder))


def _day_of_root(paths: LogPaths, files: list[tuple[str, Path]], recorded: bool) -> str | None:
    if is_day(paths.root.name):
        return paths.root.name
    if not recorded:  # the older script kept all days in one file
        return _first_day(files)
    if state := read_state(paths):
        return state.day
    try:
        return guess_day(paths)
    except OSError:
        return _first_day(files)


def _stream_files(folder: Path) -> list[Path]:
    """The files of a folder that is no log directory; none where it cannot be read, which is told already."""
    with suppress(PermissionError):
        return sorted(path for path in folder.iterdir() if _FILE(path.name))
    return []


def _alone(files: list[Path]) -> Iterator[Part]:
    """Files that stand alone, as one part."""
    found, cameras = [], {}
    for path in files:
        if match := _FILE(path.name):
            found.append((match[2], path))
            cameras[match[2]] = Camera(match[2], match[1] or match[2])
    if day := _first_day(found):
        yield Part(day, found, cameras, recorded=False)


def _first_day(files: list[tuple[str, Path]]) -> str | None:
    """The day of the oldest first line."""
    firsts = [us for _, path in files if (us := _first_us(path)) is not None]
    return day_of(min(firsts)) if firsts else None


def _first_us(path: Path) -> int | None:
    for block in whole_lines(path):
        for line in block.split(b"\n"):
            if update := parse_update("", line):
                return update.arrived_us
    return None
