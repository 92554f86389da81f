"""Find single lines of log files by their time, without reading whole files.

Stream, delay and health logs are in order of arrival; where a clock was set back a line may not be found.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from ..model import HOUR_US
from ..storage.camera_files import stream_logs
from ..storage.formats import parse_time
from ..storage.line_blocks import Skipped, size_of, whole_lines
from ..storage.paths import LogPaths, day_of
from .query import FOREVER_US

_BLOCK_BYTES: Final = 1 << 18
_STEP_BYTES: Final = 1 << 16
_PROBE_BYTES: Final = 1 << 14


class StreamLines:
    """The stream logs in some folders; each folder is listed once, when a line of its day is looked for."""

    def __init__(self, where: Sequence[LogPaths]) -> None:
        self._where = where
        self._files = cache(lambda folder: stream_logs(folder, Skipped()))

    def lines(self, camera_id: str, from_us: int, to_us: int) -> list[bytes]:
        """A camera's lines of [from_us, to_us); those of copies once."""
        # When the clock was put back over a midnight, lines stay in the later day.
        days = {day_of(from_us), day_of(to_us), day_of(to_us + HOUR_US), self._where[-1].root.name}
        files = [self._files(folder).get(camera_id, ()) for folder in self._where if folder.root.name in days]
        return [
            *dict.fromkeys(line for paths in files for path in paths for line in lines_between(path, from_us, to_us))
        ]


def lines_between(path: Path, from_us: int, to_us: int) -> Iterator[bytes]:
    """The lines of a file with a time in [from_us, to_us), without newlines."""
    # Beyond the first line of each step lie only later ones. A packed file can only be read from its beginning.
    steps = range(0, 0 if path.suffix == ".gz" else size_of(path), _STEP_BYTES)
    after = bisect_left(steps, from_us, key=lambda offset: next(_timed(path, offset, _PROBE_BYTES), (FOREVER_US,))[0])
    for at_us, line in _timed(path, steps[after - 1] if after else 0):
        if at_us >= to_us:
            return
        if at_us >= from_us:
            yield line


def _timed(path: Path, offset: int, block_bytes: int = _BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Time and text of each line that has a time; from an offset on the first line may lack its beginning."""
    lines = (line for block in whole_lines(path, offset, block_bytes=block_bytes) for line in block.split(b"\n"))
    if offset:
        next(lines, None)
    for line in lines:
        stamp, separator, _ = line[:48].partition(b" ")
        try:
            at_us = parse_time(stamp.removeprefix(b"time=").decode()) if separator else None
        except ValueError:
            continue
        if at_us is not None:
            yield at_us, line


def plain_or_packed(path: Path) -> Path:
    """The file, or its `.gz` where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.exists() and not path.exists() else path
