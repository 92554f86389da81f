"""Name every file in a log directory; turn foreign text into paths."""

import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import ClassVar, Final

from ..model import DAY_US
from .line_blocks import Skipped

TEMPORARY: Final = ".ee-tmp"  # half-written, worth nothing after a crash; no other suffix is longer
NAME_BYTES: Final = 255 - len(f"_100e1e23_stream.log{TEMPORARY}")
PATH_CHARS: Final = 259  # Windows' MAX_PATH without its final NUL, in UTF-16 units

_RESERVED = str.maketrans('<>:"/\\|?*', "_" * 9)
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE).match
_DELAY_FILE = re.compile(r"(?s)(.+_([0-9A-Fa-f]{8}))\.log(?:\.gz)?")
_STREAM_FILE = re.compile(r"(?s)(.+_([0-9A-Fa-f]{8}))_stream\.log(?:\.gz)?")
_EPOCH: Final = date(1970, 1, 1).toordinal()


def sanitize_filename(filename: str) -> str:
    """Turn any text into the name part of a file name: at most `NAME_BYTES`. Applied again, it changes nothing."""
    spaced = (" " if unicodedata.category(char) == "Zs" else char for char in filename)
    text = "".join(filter(str.isprintable, spaced)).translate(_RESERVED)
    # Composed before the cut: macOS takes both forms of "é" for one name, and a letter could lose its accent.
    text = _cut(unicodedata.normalize("NFC", text).lstrip(" ."))
    if _DEVICE(text):  # for Windows CON.txt is the console too
        text = _cut(f"_{text}")
    return text or "unnamed"


def _cut(text: str) -> str:
    return text.encode()[:NAME_BYTES].decode(errors="ignore").rstrip(" .")


def is_camera_id(text: str) -> bool:
    """Whether the text is a camera's id: 8 hex digits."""
    return re.fullmatch("[0-9A-Fa-f]{8}", text) is not None


def is_day(text: str) -> bool:
    """Whether the text is a calendar day such as `2026-11-21`."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def day_of(us: int) -> str:
    """The UTC day of a moment in microseconds, as `2026-11-21`."""
    return date.fromordinal(_EPOCH + us // DAY_US).isoformat()


def temporary(path: Path) -> Path:
    """Where a file's next content is written before `os.replace`."""
    return path.with_name(path.name + TEMPORARY)


class _File:
    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, paths: "LogPaths", owner: object = None) -> Path:
        return paths.root / self.name


@dataclass(frozen=True)
class LogPaths:
    """The names in a log directory, or in a day's folder (same layout)."""

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

    # The names of files that move with a day, beside its cameras' own.
    ours: ClassVar = tuple(f.name for f in (max_delay, summary, gaps, health, rejected, program_log, cameras))

    def stem(self, camera_id: str, name: str) -> str:
        """`{name, made safe}_{id}`, short enough for every path made of it; raises `ValueError` for no camera's id."""
        if not is_camera_id(camera_id):  # only an id at the end keeps a camera's files apart from all others
            raise ValueError(f"no camera id: {camera_id!r}")
        part = sanitize_filename(name)
        longest = temporary(self.day("2026-11-21").stream(f"_{camera_id}").absolute())
        room = PATH_CHARS - len(str(longest).encode("utf-16-le", "surrogatepass")) // 2
        short = part.encode("utf-16-le")[: 2 * max(room, 1)].decode("utf-16-le", "ignore").rstrip(" .")
        return f"{short or part[0]}_{camera_id}"

    # A stem is real text; names on disk are UTF-8, whatever this process's locale is.
    def delay(self, stem: str) -> Path:
        """The delay log of a camera."""
        return self.root / os.fsdecode(f"{stem}.log".encode("utf-8", "surrogateescape"))

    def stream(self, stem: str) -> Path:
        """The stream log of a camera."""
        return self.stream_dir / os.fsdecode(f"{stem}_stream.log".encode("utf-8", "surrogateescape"))

    def day(self, day: str) -> "LogPaths":
        """The folder of a past day."""
        return LogPaths(self.days_dir / day)

    def days(self, skipped: Skipped | None = None) -> list[str]:
        """The days that have a folder, oldest first; here and below errors are raised, or go to `skipped`."""
        entries = _entries(self.days_dir, skipped)
        return sorted(entry.name for entry in entries if is_day(entry.name) and entry.is_dir(follow_symlinks=False))

    def delay_files(self, skipped: Skipped | None = None) -> list[tuple[str, str, Path]]:
        """Camera id, stem and path of each delay log on disk, packed ones too."""
        return _camera_files(self.root, _DELAY_FILE, skipped)

    def stream_files(self, skipped: Skipped | None = None) -> list[tuple[str, str, Path]]:
        """Camera id, stem and path of each stream log on disk, packed ones too."""
        return _camera_files(self.stream_dir, _STREAM_FILE, skipped)


def _camera_files(folder: Path, pattern: re.Pattern[str], skipped: Skipped | None) -> list[tuple[str, str, Path]]:
    names = [entry.name for entry in _entries(folder, skipped)]
    matches = [(pattern.fullmatch(os.fsencode(name).decode("utf-8", "surrogateescape")), name) for name in names]
    return sorted(((match[2], match[1], folder / name) for match, name in matches if match), key=itemgetter(1, 2))


def _entries(folder: Path, skipped: Skipped | None) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if skipped is None:
            raise
        skipped.files.append(error)
        return []
