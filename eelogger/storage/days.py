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
from typing import Any, BinaryIO, NamedTuple

from .camera_files import CameraFiles
from .disk_errors import explain
from .line_blocks import whole_lines, whole_lines_backwards
from .paths import TEMPORARY, LogPaths, day_of, is_day, temporary

_LINE_TIME = re.compile(rb"(?:kind=\S+ )?(?:time=|from=)?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+)").match
_LINE_DAY = re.compile(rb"\n(?:kind=\S+ )?(?:time=|from=)?([0-9]{4}-[0-9]{2}-[0-9]{2})T").findall


class Move(NamedTuple):
    """A file that gets another place; with `keep` it is copied and stays."""

    source: str
    target: str
    keep: bool = False


def day_moves(paths: LogPaths, day: str, held: Collection[str] = ()) -> list[Move]:
    """The files of the day that go to `days/{day}/`, those of `held` lines too; copies of cameras' files stay."""
    archive = paths.day(day)
    files = _day_files(paths)
    files += [p for p in map(Path, held) if p.is_relative_to(paths.root) and not p.is_relative_to(paths.days_dir)]
    names = dict.fromkeys(path.relative_to(paths.root) for path in files)
    moves = [Move(str(paths.root / name), str(archive.root / name)) for name in names]
    # The cameras are still the same tomorrow: their list is copied.
    return [*moves, Move(str(paths.cameras), str(archive.cameras), keep=True)] if moves else []


def rename_moves(paths: LogPaths, renames: Mapping[str, str]) -> list[Move]:
    """The files of cameras that get another stem (old → new); lists nothing."""
    places = (paths.stream, paths.delay)
    return [Move(str(place(old)), str(place(new))) for old, new in renames.items() for place in places]


def move(move: Move) -> None:
    """Move a file that may be missing; a target that exists gets its lines in time order. `OSError` passes.

    Where it is cut short, the same call ends it, and no line is lost or there twice.
    """
    source, target = move.source, move.target
    if not os.path.isfile(source):  # what else may stand there is not ours to move
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # They are one file where the file system ignores case or composition and only that differs.
    merging = not move.keep and os.path.exists(target) and not os.path.samefile(source, target)
    if not (merging or move.keep):
        try:
            os.replace(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:  # `days` may be on another file system
                raise
        else:
            return
    beside = target + TEMPORARY
    try:
        if merging:
            open_: Any = gzip.open if target.endswith(".gz") else open
            with open_(target, "rb") as older, open_(source, "rb") as newer, open_(beside, "wb") as both:
                both.writelines(_merged(older, newer))
        else:
            shutil.copyfile(source, beside)
        os.replace(beside, target)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise
    if not move.keep:
        os.unlink(source)


def _merged(older: BinaryIO, newer: BinaryIO) -> Iterator[bytes]:
    # Once only those that an earlier move, cut short before the source went, has brought.
    for _, entries in groupby(merge(_timed(older), _timed(newer, is_newer=True), key=itemgetter(0)), itemgetter(0)):
        there: Counter[bytes] = Counter()
        for _, is_newer, line in entries:
            if is_newer and there[line]:
                there[line] -= 1
                continue
            there[line] += not is_newer
            yield line


def _timed(file: BinaryIO, is_newer: bool = False) -> Iterator[tuple[bytes, bool, bytes]]:
    time = b""  # the latest so far: a line stays behind those before it, whatever its own time is
    for line in file:
        if match := _LINE_TIME(line):
            time = max(time, match[1])
        yield time, is_newer, line if line.endswith(b"\n") else line + b"\n"


def complete_moves(paths: LogPaths, day: str, *, put_back: bool = False) -> list[Move]:
    """At a start: remove temporaries, and move what could not be moved at its midnight; what still cannot be.

    `day` is that of the files here. When the clock was `put_back` over midnight, earlier lines are this day's too.
    """
    for folder in (paths, *map(paths.day, {day, *paths.days()[-2:]})):
        for beside in (*folder.root.glob(f"*{TEMPORARY}"), *folder.stream_dir.glob(f"*{TEMPORARY}")):
            with suppress(OSError):
                beside.unlink()
    stuck = []
    for path in () if put_back else _day_files(paths):
        if earlier := _earlier_day(path, day):
            late = Move(str(path), str(paths.day(earlier).root / path.relative_to(paths.root)))
            try:
                move(late)
            except OSError:
                stuck.append(late)
    return stuck


def _earlier_day(path: Path, day: str) -> str | None:
    if day_of(path.stat().st_mtime_ns // 1000) < day and (last := _last_day(path)) and last < day:
        first = next(whole_lines(path, block_bytes=1 << 14), b"")  # put back over midnight: begun in this day
        return None if any(str(found, "ascii") >= day for found in _LINE_DAY(b"\n" + first)) else last
    return None


def check_move(paths: LogPaths) -> None:
    """Move a file to `days/` for trial; raises `OSError` when that is not possible."""
    probe, target = temporary(paths.root / "move"), paths.days_dir / "moved"
    probe.write_bytes(b"")
    try:
        move(Move(str(probe), str(target)))
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            paths.days_dir.rmdir()


def guess_day(paths: LogPaths) -> str | None:
    """The day of the latest last line, else of the latest change of a file; None where there are no files."""
    files = _day_files(paths)
    return max(
        [day for path in files if (day := _last_day(path))]
        or [day_of(path.stat().st_mtime_ns // 1000) for path in files],
        default=None,
    )


def _day_files(paths: LogPaths) -> list[Path]:
    found = CameraFiles(paths)
    places = [paths.root / name for name in paths.ours if name != paths.cameras.name]
    places += [own for own, *_ in (*found.delay_logs().values(), *found.stream_logs().values())]
    return [path for path in places if path.is_file()]


def _last_day(path: Path) -> str | None:
    with suppress(OSError):
        for _, block in whole_lines_backwards(path, 1 << 14):
            # Only what follows a newline is the beginning of a line.
            if days := [text for found in _LINE_DAY(b"\n" + block) if is_day(text := str(found, "ascii"))]:
                return max(days)
    return None


def prune(paths: LogPaths, keep_days: int, max_bytes: int | None, today: str) -> tuple[list[str], str]:
    """Keep the newest `keep_days` day folders, then remove the oldest until everything is within `max_bytes`.

    Returns the days removed, and a warning or "". Folders are counted: the clock may be wrong. Not during a move.
    """
    for folder in paths.days_dir.glob(f"*{TEMPORARY}"):  # a removal was cut short
        if is_day(folder.name.removesuffix(TEMPORARY)):
            shutil.rmtree(folder, ignore_errors=True)  # which leaves links alone
    sizes = {day: _bytes(paths.day(day).root.rglob("*")) for day in paths.days()}
    past = [day for day in sizes if day != today]
    total = _bytes([*_day_files(paths), paths.uuids, paths.uuids_old]) + sum(sizes.values())
    removed, warning = list[str](), ""
    for number, day in enumerate(past):
        if number >= len(past) - keep_days and (max_bytes is None or total <= max_bytes):
            break
        try:
            folder = paths.day(day).root
            os.replace(folder, temporary(folder))  # as a whole: a reader never finds half of a day
            shutil.rmtree(temporary(folder))
        except OSError as error:
            warning = "day {} cannot be removed: {} ({})".format(day, *explain(error))
            continue
        removed.append(day)
        total -= sizes[day]
    if max_bytes is not None and total > max_bytes and not warning:
        warning = f"what is left has {total / 1e6:.1f} MB, more than the {max_bytes / 1e6:.1f} MB that may be kept"
    return removed, warning


def _bytes(files: Iterable[Path]) -> int:
    total = 0
    for path in files:
        with suppress(FileNotFoundError):  # removed by others meanwhile
            total += 0 if path.is_dir() and not path.is_symlink() else path.lstat().st_size
    return total
