"""A day (UTC) is a folder: where finished days go and how long they stay.

Decides when a day ends, moves its files to `days/{day}/` and removes the oldest; which files are a day's is for
`paths`, the calling at midnight and at the start for `service`. Invariant: every line is in exactly one day, also
when a move is cut short and done again. Plain functions for the writer's thread; `OSError` passes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ..paths import LogPaths, is_day
from ..text.times import DAY_US
from ..writing.merging import TEMPORARY, move_file, temporary
from .blocks import open_file

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TAIL_BYTES: Final = 1 << 14  # the last line of nearly every file
_LONGEST_LINE_BYTES: Final = 1 << 28  # four times the largest message, since JSON escapes make it longer
_LINE_DAY = re.compile(rb"\n(?:time=)?([0-9]{4}-[0-9]{2}-[0-9]{2})T").findall


def day_of(us: int) -> str:
    """The UTC day of a moment in microseconds, as `2026-11-21`."""
    return (_EPOCH + timedelta(microseconds=us)).date().isoformat()


def midnight_after_us(us: int) -> int:
    """The first moment of the next UTC day, in microseconds."""
    return (us // DAY_US + 1) * DAY_US


def move_day(paths: LogPaths, day: str, boundary: Callable[[str], None] = lambda _: None) -> int:
    """Move the day's files to `days/{day}/` and return how many; after a kill or an error, the same call completes it.

    A file that is there already, of a clock that was set back, gets the further lines in time order.
    `boundary("day-move")` is called between any two changes of the disk.
    """
    archive = paths.day(day)

    def step() -> None:
        boundary("day-move")

    paths.settle(step)
    archive.settle(step)
    # The cameras are still the same tomorrow: their list is copied.
    moving = [name for name in paths.day_files() if name.name != paths.cameras.name]
    if not moving:
        return 0
    archive.stream_dir.mkdir(parents=True, exist_ok=True)
    step()
    with suppress(FileNotFoundError):
        shutil.copyfile(paths.cameras, temporary(archive.cameras))
        step()
        os.replace(temporary(archive.cameras), archive.cameras)
        step()
    for name in moving:
        in_time_order = name.name not in paths.snapshots
        move_file(paths.root / name, archive.root / name, in_time_order=in_time_order, step=step)
    return len(moving)


def guess_day(paths: LogPaths) -> str | None:
    """The day of the files found, for a start without `.state`; None where there are none.

    The latest last line counts; where no stream or delay log has a line with a time, the latest change of a file.
    """
    files = [paths.root / name for name in paths.day_files() if name.name != paths.cameras.name]
    ours = paths.ours()
    days = [day for path in files if path.name not in ours and (day := _last_day(path))]
    if days:
        return max(days)
    changed_ns = [path.stat().st_mtime_ns for path in files]
    return day_of(max(changed_ns) // 1000) if changed_ns else None


def _last_day(path: Path) -> str | None:
    with open_file(path) as file:
        size = file.seek(0, os.SEEK_END)
        length = min(size, _TAIL_BYTES)
        while True:
            file.seek(size - length)
            # Only what follows a newline is the beginning of a line.
            tail = (b"\n" if length == size else b"") + file.read(length)
            days = [text for found in _LINE_DAY(tail) if is_day(text := found.decode())]
            if days or length == size or length >= _LONGEST_LINE_BYTES:
                return days[-1] if days else None
            length = min(size, 8 * length)


@dataclass(frozen=True)
class Pruned:
    """What `prune` removed, and a warning where that was not enough, else ""."""

    days: list[str]
    bytes: int
    warning: str = ""


def prune(paths: LogPaths, keep_days: int, max_bytes: int | None, today: str) -> Pruned:
    """Keep the newest `keep_days` day folders, then remove the oldest until everything is within `max_bytes`.

    Folders are counted, not compared with the clock: one that is wrong, or weeks without a run, must not remove all.
    Today's files and its folder stay. Links are neither followed nor removed.
    """
    _complete_removals(paths)
    past = [day for day in paths.days() if day != today]
    beyond = max(0, len(past) - keep_days)
    sizes = {day: _tree_bytes(paths.day(day).root) for day in past}
    kept = _bytes(_current_files(paths)) + _tree_bytes(paths.day(today).root)
    total = kept + sum(sizes.values())
    removed: list[str] = []
    for number, day in enumerate(past):
        if number >= beyond and (max_bytes is None or total <= max_bytes):
            break
        _remove(paths.day(day).root)
        removed.append(day)
        total -= sizes[day]
    freed = sum(sizes[day] for day in removed)
    if max_bytes is None or total <= max_bytes:
        return Pruned(removed, freed)
    warning = f"today's files alone have {total / 1e6:.1f} MB, more than the {max_bytes / 1e6:.1f} MB that may be kept"
    return Pruned(removed, freed, warning)


def _current_files(paths: LogPaths) -> Iterable[Path]:
    return [*(paths.root / name for name in paths.day_files()), paths.uuids, paths.uuids_old]


def _tree_bytes(root: Path) -> int:
    return _bytes(Path(folder, name) for folder, _, names in os.walk(root) for name in names)


def _bytes(files: Iterable[Path]) -> int:
    total = 0
    for path in files:
        with suppress(FileNotFoundError):  # removed by others meanwhile
            total += path.lstat().st_size
    return total


def _remove(folder: Path) -> None:
    """Remove a day as a whole: a reader never finds half of one."""
    os.replace(folder, temporary(folder))
    shutil.rmtree(temporary(folder))


def _complete_removals(paths: LogPaths) -> None:
    with suppress(FileNotFoundError):
        for name in os.listdir(paths.days_dir):
            folder = paths.days_dir / name
            if name.endswith(TEMPORARY) and is_day(name.removesuffix(TEMPORARY)) and not folder.is_symlink():
                shutil.rmtree(folder)
