"""Move finished days to their folders and remove the oldest."""

import errno
import gzip
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from .camera_files import CameraFiles
from .disk_errors import explain
from .line_blocks import open_file, packed, whole_lines, whole_lines_backwards
from .paths import TEMPORARY, LogPaths, day_of, is_day, temporary

_LINE_TIME = re.compile(rb"(?m)^(?:kind=\S+ )?(?:time=|from=)?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+)")


def day_moves(paths: LogPaths, day: str, held: Collection[str] = ()) -> dict[str, str]:
    """Where the day's files go, those of `held` lines too: to `days/{day}/`. Copies and the list of cameras stay."""
    archive, files = paths.day(day), _day_files(paths)
    files += [p for p in map(Path, held) if p.is_relative_to(paths.root) and not p.is_relative_to(paths.days_dir)]
    return {str(path): str(archive.root / path.relative_to(paths.root)) for path in files}


def rename_moves(paths: LogPaths, renames: Mapping[str, str]) -> dict[str, str]:
    """Where files go when cameras get other stems (old → new). It reads no directory."""
    moves = ((place(old), place(new)) for old, new in renames.items() for place in (paths.stream, paths.delay))
    return {str(source): str(target) for move in moves for source, target in (move, map(packed, move))}


def move(source: str, target: str) -> None:
    """Move a file that may be missing, or end its move; a target that exists gets its lines in time order."""
    if not os.path.isfile(source):  # what else may stand there is not ours to move
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # They are one file where the file system ignores case or composition and only that differs.
    merging = os.path.exists(target) and not os.path.samefile(source, target)
    if not merging:
        try:
            os.replace(source, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:  # `days` may be on another file system
                raise
    beside = target + TEMPORARY
    try:
        if merging:
            open_: Any = gzip.open if target.endswith(".gz") else open
            with open_file(Path(target)) as older, open_file(Path(source)) as newer, open_(beside, "wb") as both:
                both.writelines(_merged(older, newer))
        else:
            shutil.copyfile(source, beside)
        os.replace(beside, target)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise
    os.unlink(source)


def _merged(older: Iterable[bytes], newer: Iterable[bytes]) -> Iterator[bytes]:
    both = merge(_timed(older, False), _timed(newer, True), key=itemgetter(0))
    for _, entries in groupby(both, itemgetter(0)):
        there: Counter[bytes] = Counter()
        for _, is_newer, line in entries:
            if is_newer and there[line]:  # an earlier move, cut short before the source went, has brought it
                there[line] -= 1
                continue
            there[line] += not is_newer
            yield line


def _timed(file: Iterable[bytes], is_newer: bool) -> Iterator[tuple[bytes, bool, bytes]]:
    time = b""  # the latest so far: a line stays behind those before it, whatever its own time is
    for line in file:
        if match := _LINE_TIME.match(line):
            time = max(time, match[1])
        yield time, is_newer, line if line.endswith(b"\n") else line + b"\n"


def complete_moves(paths: LogPaths, day: str, *, put_back: bool = False) -> dict[str, str]:
    """At a start, remove temporaries and move what missed its midnight; returns what still cannot be moved."""
    for folder in (paths, *map(paths.day, {day, *paths.days()[-2:]})):
        for beside in (*folder.root.glob(f"*{TEMPORARY}"), *folder.stream_dir.glob(f"*{TEMPORARY}")):
            with suppress(OSError):
                beside.unlink()
    stuck = {}
    # When the clock was put back over midnight, earlier lines are this day's too.
    for path in () if put_back else _day_files(paths):
        if day_of(path.stat().st_mtime_ns // 1000) >= day or (last := _last_day(path) or day) >= day:
            continue
        if any(found >= day for found in _days_in(next(whole_lines(path, block_bytes=1 << 14), b""))):
            continue  # begun on this day, before the clock was put back
        source, target = str(path), str(paths.day(last).root / path.relative_to(paths.root))
        try:
            move(source, target)
        except OSError:
            stuck[source] = target
    return stuck


def guess_day(paths: LogPaths) -> str | None:
    """The day of the latest last line; None where there is none."""
    return max((day for path in _day_files(paths) if (day := _last_day(path))), default=None)


def _day_files(paths: LogPaths) -> list[Path]:
    found = CameraFiles(paths)
    places = [paths.root / name for name in paths.ours if name != paths.cameras.name]
    places += [own for own, *_ in (*found.delay_logs().values(), *found.stream_logs().values())]
    return [path for place in places for path in (packed(place), place) if path.is_file()]


def _last_day(path: Path) -> str | None:
    with suppress(OSError):
        return next((max(days) for _, block in whole_lines_backwards(path, 1 << 14) if (days := _days_in(block))), None)
    return None


def _days_in(block: bytes) -> list[str]:
    return [day for time in _LINE_TIME.findall(block) if is_day(day := str(time[:10], "ascii"))]


def prune(paths: LogPaths, keep_days: int, max_bytes: int | None, today: str) -> tuple[list[str], str]:
    """Remove the oldest days beyond `keep_days` and `max_bytes`.

    Returns the days removed, and a warning or "". Folders are counted: the clock may be wrong. Not during a move.
    """
    for folder in paths.days_dir.glob(f"*{TEMPORARY}"):  # a removal was cut short
        if is_day(folder.name.removesuffix(TEMPORARY)):
            shutil.rmtree(folder, ignore_errors=True)  # which leaves links alone
    sizes, total = dict.fromkeys(paths.days(), 0), 0
    if max_bytes is not None:  # else nobody asks, and it takes long with many files
        sizes = {day: _bytes(paths.day(day).root.rglob("*")) for day in sizes}
        total = _bytes([*_day_files(paths), paths.uuids, paths.uuids_old]) + sum(sizes.values())
    past = [day for day in sizes if day != today]
    removed, warning = list[str](), ""
    while past and (len(past) > keep_days or (max_bytes is not None and total > max_bytes)):
        day = past.pop(0)
        folder = paths.day(day).root
        try:
            os.replace(folder, temporary(folder))  # as a whole: a reader never finds half of a day
            shutil.rmtree(temporary(folder))
            removed.append(day)
            total -= sizes[day]
        except OSError as error:
            warning = "day {} cannot be removed: {} ({})".format(day, *explain(error))
    if max_bytes is not None and total > max_bytes and not warning:
        warning = f"what is left has {total / 1e6:.1f} MB, more than the {max_bytes / 1e6:.1f} MB that may be kept"
    return removed, warning


def _bytes(files: Iterable[Path]) -> int:
    total = 0
    for path in files:
        with suppress(FileNotFoundError):  # removed by others meanwhile
            total += 0 if path.is_dir() and not path.is_symlink() else path.lstat().st_size
    return total
