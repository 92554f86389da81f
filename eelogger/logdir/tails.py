"""What the end of a process or a power cut left at the end of a file: half a line, or a hole of NUL bytes.

Decides what is cut; the caller puts the cut bytes into `rejected.log`, and the way back writes anew what the stream
log still tells. Invariant: afterwards each append file of the day is empty or ends with a whole line. Only the last
bytes of each file are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ..paths import LogPaths
from .blocks import read_at, size_of, whole_lines_backwards

KEPT_BYTES: Final = 4096
"""How much of a cut is kept to be shown: a hole can be as large as the disk's cache."""


class Tail(NamedTuple):
    """What was cut off a file: the first bytes of it, and how many it was."""

    path: Path
    bytes: bytes
    size: int


def heal_tails(paths: LogPaths) -> list[Tail]:
    """Cut each append file of the current day back to its last whole line; what was cut off."""
    tails = []
    for path in _append_files(paths):
        # A file that cannot be read or cut is left alone; the writer will say what is wrong with it.
        with suppress(OSError):
            if tail := _heal(path):
                tails.append(tail)
    return tails


def _heal(path: Path) -> Tail | None:
    size = size_of(path)
    whole = _whole_bytes(path, size)
    if whole == size:
        return None
    cut = read_at(path, whole, KEPT_BYTES)
    os.truncate(path, whole)
    return Tail(path, cut, size - whole)


def _append_files(paths: LogPaths) -> Iterator[Path]:
    yield from (paths.uuids, paths.gaps, paths.health, paths.program_log, paths.rejected)
    for stems in paths.find_stems().values():
        for stem in stems:
            yield paths.delay(stem)
            yield paths.stream(stem)


def _whole_bytes(path: Path, size: int) -> int:
    """How long the file is up to its last whole line without a NUL, of which we write none."""
    if not size or _ends_well(read_at(path, max(0, size - KEPT_BYTES), KEPT_BYTES)):
        return size
    for start, block in whole_lines_backwards(path):
        end = block.rfind(b"\n") + 1
        while end:
            begin = block.rfind(b"\n", 0, end - 1) + 1
            if b"\0" not in block[begin:end]:
                return start + end
            end = begin
    return 0


def _ends_well(last: bytes) -> bool:
    """Whether the last line is whole, as far as it is among these last bytes: for nearly every file, one read."""
    return last.endswith(b"\n") and b"\0" not in last[last.rfind(b"\n", 0, -1) + 1 :]
