"""What is handed to the disk in one go.

A `Batch` holds lines by file; `pending` fills it, `flush` writes it and removes from it whatever is in the files, so
that what a batch still holds is at every moment exactly what is missing on disk. Invariant: the lines of one file
stay in the order in which they were handed over, through retries and merging.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Then = Callable[[], Callable[[], None]]
"""Is called in the thread; what it returns is called in the loop afterwards."""


class Lines:
    """Texts for the end of one file, each one line or more, newline included.

    `keys` runs beside `texts` where lines belong to something: the token of a delay line, the camera of an identity.
    When a line could neither be completed nor cut back, its first `torn` bytes are in the file, `torn_at` long then.
    """

    __slots__ = ("keys", "path", "texts", "torn", "torn_at")

    def __init__(self, path: str) -> None:
        self.path = path
        self.texts: list[str] = []
        self.keys: list[object] = []
        self.torn = 0
        self.torn_at = 0

    def drop(self, count: int) -> None:
        """Forget the first `count` texts."""
        del self.texts[:count], self.keys[:count]
        self.torn = 0

    def hold(self, keys: Collection[object]) -> int:
        """Put lines with one of these keys last; how many others there are. A line that was begun stays first."""
        if not keys:
            return len(self.texts)
        held = [key in keys and (index > 0 or not self.torn) for index, key in enumerate(self.keys)]
        order = sorted(range(len(held)), key=held.__getitem__)
        self.texts = [self.texts[index] for index in order]
        self.keys = [self.keys[index] for index in order]
        return held.count(False)

    def extend(self, later: Lines) -> None:
        """Take up what was handed over later for the same file."""
        self.texts += later.texts
        self.keys += later.keys


class CameraLines:
    """The pending lines of one camera."""

    __slots__ = ("delay", "stream")

    def __init__(self, stream_path: str, delay_path: str) -> None:
        self.stream = Lines(stream_path)
        self.delay = Lines(delay_path)


class Batch:
    """Everything pending up to a point; `then` is called in the thread once all of it is on disk.

    `size` is the length of its lines in characters (not of snapshots: of each only the latest waits); `sizes` are
    delay log sizes in bytes to expect from here on; `mark` belongs to the last line.
    """

    def __init__(self, uuids_path: str) -> None:
        self.cameras: dict[str, CameraLines] = {}
        self.uuids = Lines(uuids_path)
        self.appends: dict[str, Lines] = {}
        self.snapshots: dict[str, str | bytes] = {}
        self.sizes: dict[str, int] = {}
        self.size = 0
        self.mark: int | None = None
        self.then: Then | None = None

    @property
    def has_lines(self) -> bool:
        """Whether a line is missing on disk."""
        return bool(self.cameras or self.uuids.texts or self.appends)

    def __bool__(self) -> bool:
        return self.has_lines or bool(self.snapshots) or self.then is not None

    def lines(self) -> int:
        """How many lines are missing on disk; walks all of it."""
        logs = [lines for camera in self.cameras.values() for lines in (camera.stream, camera.delay)]
        return sum(len(lines.texts) for lines in [*logs, self.uuids, *self.appends.values()])

    def merge(self, later: Batch) -> None:
        """Take up a later batch; only while nothing stands between the two (`then`)."""
        for camera_id, theirs in later.cameras.items():
            mine = self.cameras.setdefault(camera_id, theirs)
            if mine is not theirs:
                mine.stream.extend(theirs.stream)
                mine.delay.extend(theirs.delay)
        self.uuids.extend(later.uuids)
        for path, appended in later.appends.items():
            own = self.appends.setdefault(path, appended)
            if own is not appended:
                own.extend(appended)
        self.snapshots |= later.snapshots
        self.sizes |= later.sizes
        self.size += later.size
        self.mark = self.mark if later.mark is None else later.mark
        self.then = later.then


@dataclass(slots=True)
class Known:
    """What is believed of files: bytes in delay logs by camera; lines in the identity log, and its limit."""

    uuids_old: str
    uuid_limit: int
    uuid_lines: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
