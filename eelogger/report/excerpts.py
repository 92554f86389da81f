"""Single lines out of log files, found by their time without reading the whole file.

Stream, delay and health logs are in order of arrival, so a binary search finds a moment; only where a clock was set
back it may not, and then nothing is found. Invariant: lines are given as they stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ..logdir.blocks import read_at, size_of, whole_lines
from ..paths import LogPaths
from ..text.times import parse_time, time_text

_NEAR_BYTES: Final = 1 << 16
_PROBE_BYTES: Final = 1 << 14
_STAMP_BYTES: Final = 40
"""A time at the beginning of a line and the space after it."""


class Excerpts:
    """The cameras' files in some folders, whose directories are read once."""

    def __init__(self, where: Iterable[LogPaths]) -> None:
        self._delay: dict[str, list[Path]] = {}
        self._stream: dict[str, list[Path]] = {}
        for paths in where:
            for camera_id, stems in paths.find_stems(unreadable=[]).items():
                self._delay.setdefault(camera_id, []).extend(map(paths.delay, stems))
                self._stream.setdefault(camera_id, []).extend(map(paths.stream, stems))

    def body(self, camera_id: str, arrived_us: int) -> str:
        """The JSON of a camera's update that arrived at a moment; "" when it cannot be found."""
        stamp = f"{time_text(arrived_us)[:-1]}+00:00 -- ".encode()
        for line in self.stream_lines(camera_id, arrived_us, arrived_us + 1):
            if line.startswith(stamp):
                return line[len(stamp) :].decode("utf-8", "replace")
        return ""

    def stream_lines(self, camera_id: str, from_us: int, to_us: int) -> Iterator[bytes]:
        """A camera's stream lines of [from_us, to_us)."""
        for path in self._stream.get(camera_id, []):
            yield from lines_between(path, from_us, to_us)

    def delay_lines(self, camera_id: str, from_us: int, to_us: int) -> Iterator[bytes]:
        """The lines of a camera's delay log of [from_us, to_us)."""
        for path in self._delay.get(camera_id, []):
            yield from lines_between(path, from_us, to_us)


def lines_between(path: Path, from_us: int, to_us: int) -> Iterator[bytes]:
    """The lines of a file with a time in [from_us, to_us), without newlines."""
    for block in whole_lines(path, _offset_before(path, from_us)):
        for line in block.split(b"\n"):
            at_us = _time(line)
            if at_us is None or at_us < from_us:
                continue
            if at_us >= to_us:
                return
            yield line


def _offset_before(path: Path, us: int) -> int:
    """The beginning of some line that stands before all lines from `us` on, and not far before them."""
    low, high = 0, size_of(path)
    while high - low > _NEAR_BYTES:
        middle = (low + high) // 2
        found = _next_line(path, middle)
        if found is None or found[1] >= us or found[0] >= high:
            high = middle
        else:
            low = found[0]
    return low


def _next_line(path: Path, offset: int) -> tuple[int, int] | None:
    """Offset and time of the first line with a time that begins after an offset."""
    while chunk := read_at(path, offset, _PROBE_BYTES):
        begin = 0
        while begin := chunk.find(b"\n", begin) + 1:
            at_us = _time(chunk[begin : begin + _STAMP_BYTES])
            if at_us is not None:
                return offset + begin, at_us
        # A line may be longer than a chunk; its successor's time must not be cut in two.
        offset += max(1, len(chunk) - _STAMP_BYTES) if len(chunk) == _PROBE_BYTES else len(chunk)
    return None


def _time(line: bytes) -> int | None:
    stamp, separator, _ = line.partition(b" ")
    try:
        return parse_time(stamp.removeprefix(b"time=").decode()) if separator else None
    except ValueError:
        return None
