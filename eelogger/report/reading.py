"""Which files a report reads, and reading them: day folders and delay logs, block by block.

Decides what is skipped: files of other days are not opened, foreign and damaged ones are counted, never fatal. What
the lines mean is for `rows` and `cells`. Invariant: memory does not depend on the size of the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from ..logdir.blocks import size_of, whole_lines
from ..logdir.camerafile import cameras_of, read_cameras
from ..logdir.days import day_of
from ..model import Camera
from ..paths import LogPaths
from ..text.times import DAY_US
from .cells import Cells
from .rows import find_rows, rewritten
from .values import Skipped

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and in all."""

_BLOCK_BYTES: Final = 1 << 20


def folders(paths: LogPaths, from_us: int, to_us: int, unreadable: list[OSError] | None = None) -> list[LogPaths]:
    """The folders that may hold lines of a period, oldest first; the log directory itself is the last.

    A folder may begin with lines of the day before, when the clock was set back over a midnight. Why days cannot be
    read goes to `unreadable`.
    """
    first = day_of(from_us)
    last = day_of(min(to_us + DAY_US, _LAST_US))
    days = paths.days([] if unreadable is None else unreadable)
    return [*(paths.day(day) for day in days if first <= day <= last), paths]


_LAST_US: Final = 253_402_300_799_000_000


class Reading:
    """Reads the delay logs of some folders into cells; `skipped` counts what could not be read.

    `unreadable` tells of folders that could not be listed so far. `cameras` are those that `cameras.json` knows,
    `named` those that files are named after.
    """

    def __init__(
        self,
        where: list[LogPaths],
        progress: Progress = lambda done, total: None,
        unreadable: Iterable[OSError] = (),
    ) -> None:
        self.cameras: dict[str, Camera] = {}
        self.named: dict[str, Camera] = {}
        self.files = 0
        self._skipped_files = self._lines = 0
        self._progress = progress
        self._files: list[tuple[Path, bool]] = []
        errors = list(unreadable)
        for paths in where:
            stems = paths.find_stems(errors)
            self.cameras |= read_cameras(paths)
            self.named |= cameras_of(stems)
            self._files += [(paths.delay(stem), paths is where[-1]) for each in stems.values() for stem in each]
        self._errors = len(errors)
        self._total = sum(size_of(path) for path, _ in self._files)

    @property
    def skipped(self) -> Skipped:
        """What could not be read so far."""
        return Skipped(self._skipped_files, self._lines, self._errors)

    def into(self, cells: Cells) -> None:
        """Read everything."""
        done = 0
        for path, growing in self._files:
            if not path.exists():  # a camera may have a stream log alone
                continue
            if not (path.is_file() and os.access(path, os.R_OK)):
                self._errors += 1
                continue
            good = bad = 0
            for block in whole_lines(path, block_bytes=_BLOCK_BYTES):
                for taken in _take(cells, block, growing=growing):
                    good, bad = good + taken, bad + (not taken)
                done += len(block)
                self._progress(done, self._total)
            if bad and not good:
                self._skipped_files += 1
            else:
                self._lines += bad
                self.files += 1


def _take(cells: Cells, block: bytes, *, growing: bool) -> Iterator[int]:
    """Count a block's lines; yields how many were taken, or 0 for each line that could not be read."""
    rows = find_rows(block)
    if len(rows) == block.count(b"\n") and block.endswith(b"\n"):
        cells.take(rows)
        yield len(rows)
        return
    lines = block.split(b"\n")
    # The logger may be in the middle of the last line of a file it still writes.
    if growing:
        lines[-1] = b""
    for line in filter(None, lines):
        found = find_rows(line + b"\n") or [row for row in [rewritten(line)] if row]
        cells.take(found)
        yield len(found)
