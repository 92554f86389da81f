"""Where everything in a log directory stands: the one place that turns foreign text into a path.

Decides the name of each file and which of them are a day's; leaves what is in them to `lines`, how one takes another's
place to `merging` and when they move to `days`. Invariant: whatever the cloud calls a camera, its files are inside the
log directory, no other camera's and none of ours. Methods that touch the disk let `OSError` pass.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Final

from .writing import merging
from .writing.merging import LONGEST_SUFFIX, Step, move_file, names, no_step
from .writing.merging import temporary as temporary
from .writing.unreadable import noting

NAME_BYTES: Final = 255 - len("_100e1e23_stream.log") - LONGEST_SUFFIX
PATH_CHARS: Final = 259  # Windows' MAX_PATH without its final NUL, in UTF-16 units

_RESERVED = str.maketrans('<>:"/\\|?*', "_" * 9)
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE).match
_ID = re.compile(r"[0-9A-Fa-f]{8}").fullmatch
_DELAY_FILE = re.compile(r"(.+_([0-9A-Fa-f]{8}))\.log").fullmatch
_STREAM_FILE = re.compile(r"(.+_([0-9A-Fa-f]{8}))_stream\.log").fullmatch
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def sanitize_filename(filename: str) -> str:
    """Any text as the name part of a file name, at most `NAME_BYTES` of UTF-8; its own result stays as it is.

    Composed (NFC) before the cut: macOS takes both forms of "é" for one name, and a letter could lose its accent.
    """
    text = "".join(map(_visible, filename)).translate(_RESERVED)
    text = _cut(unicodedata.normalize("NFC", text).lstrip(" ."))
    if _DEVICE(text):  # for Windows CON.txt is the console too
        text = _cut(f"_{text}")
    return text or "unnamed"


def _visible(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    return char if char.isprintable() else ""


def _cut(text: str) -> str:
    return text.encode()[:NAME_BYTES].decode(errors="ignore").rstrip(" .")


def is_camera_id(text: str) -> bool:
    """Whether the text is a camera's id: 8 hex digits."""
    return _ID(text) is not None


def is_day(text: str) -> bool:
    """Whether the text is a day of the calendar in the form `2026-11-21`."""
    try:
        return _DAY(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


class _File:
    """A file of ours in the log directory, as an attribute of `LogPaths`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, paths: LogPaths, owner: object = None) -> Path:
        return paths.root / self.name


@dataclass(frozen=True)
class LogPaths:
    """The names in a log directory, or in the folder of one of its days, which has the same layout."""

    root: Path

    max_delay = _File("maxeventdelay.log")
    summary = _File("summary.log")
    gaps = _File("gaps.log")
    health = _File("health.log")
    rejected = _File("rejected.log")
    program_log = _File("eelogger.log")
    cameras = _File("cameras.json")
    uuids = _File("processed_event_uuids.log")
    uuids_old = _File("processed_event_uuids.log.1")
    state = _File(".state")
    lock = _File(".lock")
    said = _File(".said")
    days_dir = _File("days")
    stream_dir = _File("stream")

    # What moves at midnight beside the cameras' own files; all else of ours, and what is not ours, stays.
    _moving: ClassVar = (max_delay, summary, gaps, health, rejected, program_log, cameras)
    # Made anew as a whole, in an order of their own.
    snapshots: ClassVar = frozenset((max_delay.name, summary.name))

    def stem(self, camera_id: str, name: str) -> str:
        """`{name, made safe}_{id}`, short enough for every path made of it; raises `ValueError` for no 8 hex digits.

        Such an id at the end is what keeps a camera's files apart from all others, `processed_event_uuids.log` too.
        """
        if not _ID(camera_id):
            raise ValueError(f"no camera id: {camera_id!r}")
        part = sanitize_filename(name)
        longest = self.day("2026-11-21").stream(f"_{camera_id}").absolute()
        room = PATH_CHARS - LONGEST_SUFFIX - len(str(longest).encode("utf-16-le", "surrogatepass")) // 2
        short = part.encode("utf-16-le")[: 2 * max(room, 1)].decode("utf-16-le", "ignore").rstrip(" .")
        return f"{short or part[0]}_{camera_id}"

    def delay(self, stem: str) -> Path:
        """The delay log of a camera."""
        return self.root / f"{stem}.log"

    def stream(self, stem: str) -> Path:
        """The stream log of a camera."""
        return self.stream_dir / f"{stem}_stream.log"

    def day(self, day: str) -> LogPaths:
        """The folder of a past day; raises `ValueError` when it is none: it may come from a damaged file."""
        if not is_day(day):
            raise ValueError(f"no day: {day!r}")
        return LogPaths(self.days_dir / day)

    def days(self, unreadable: list[OSError] | None = None) -> list[str]:
        """The days that have a folder, oldest first; links and other names are none.

        Why a folder cannot be read goes to `unreadable`, where it is given; so it does in `find_stems`.
        """
        with noting(unreadable), os.scandir(self.days_dir) as entries:
            return sorted(e.name for e in entries if is_day(e.name) and e.is_dir(follow_symlinks=False))
        return []

    @staticmethod
    def ours() -> tuple[str, ...]:
        """The files that are a day's beside its cameras' own."""
        return tuple(file.name for file in LogPaths._moving)

    def find_stems(self, unreadable: list[OSError] | None = None) -> dict[str, list[str]]:
        """The stems of the delay and stream logs on disk by camera id; several where a camera was renamed."""
        found: dict[str, set[str]] = {}
        for stem, camera_id, _ in self._camera_files(unreadable):
            found.setdefault(camera_id, set()).add(stem)
        return {camera_id: sorted(stems) for camera_id, stems in found.items()}

    def day_files(self) -> list[Path]:
        """The files of the day that exist, relative to the root: `ours()`, then delay logs, then stream logs."""
        ours = [Path(name) for name in self.ours() if (self.root / name).exists()]
        return ours + [path.relative_to(self.root) for _, _, path in self._camera_files()]

    def _camera_files(self, unreadable: list[OSError] | None = None) -> Iterator[tuple[str, str, Path]]:
        for folder, camera_file in ((self.root, _DELAY_FILE), (self.stream_dir, _STREAM_FILE)):
            with noting(unreadable):
                for name in names(folder):
                    if match := camera_file(name):
                        yield match[1], match[2], folder / name

    def remove_temporaries(self) -> None:
        """At the start, days included: remove what was half-written, complete the merges that were cut short."""
        for paths in (self, *map(self.day, self.days())):
            paths.settle()
            merging.remove_temporaries(paths.root)
            merging.remove_temporaries(paths.stream_dir)

    def settle(self, step: Step = no_step) -> None:
        """Complete the merges that were cut short in this folder."""
        merging.settle(self.root, self.snapshots, step)
        merging.settle(self.stream_dir, step=step)


def rename_camera(paths: LogPaths, camera_id: str, new_stem: str) -> list[str]:
    """Give a camera's files their new name and return the stems they had; content under several becomes one file."""
    paths.settle()
    old = [stem for stem in paths.find_stems().get(camera_id, []) if stem != new_stem]
    for stem in old:
        move_file(paths.stream(stem), paths.stream(new_stem))
        move_file(paths.delay(stem), paths.delay(new_stem))
    return old
