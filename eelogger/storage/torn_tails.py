"""Cut half-written lines off the ends of files at a start.

The end of a process leaves half a line, a power cut a hole of NUL bytes. Only the last bytes of each file are read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from .camera_files import own_stems
from .line_blocks import read_at, size_of, whole_lines_backwards
from .paths import LogPaths

EXCERPT_BYTES: Final = 4096  # a hole can be as large as the disk's cache


class TornTail(NamedTuple):
    """What was cut off a file: its first bytes, at most 4,096, and how many it was."""

    path: Path
    excerpt: bytes
    size: int


def cut_torn_tails(paths: LogPaths) -> list[TornTail]:
    """Cut each append file of the current day back to its last whole line; copies are left alone."""
    tails = []
    files = [paths.uuids, paths.gaps, paths.health, paths.program_log, paths.rejected]
    for path in (*files, *(place(stem) for stem in own_stems(paths).values() for place in (paths.delay, paths.stream))):
        # The writer will say what is wrong with a file that cannot be read or cut.
        with suppress(OSError):
            size = size_of(path)
            whole = _whole_bytes(path)
            if whole < size:
                tails.append(TornTail(path, read_at(path, whole, EXCERPT_BYTES), size - whole))
                os.truncate(path, whole)
    return tails


def _whole_bytes(path: Path) -> int:
    """How long the file is up to its last whole line without a NUL, of which we write none."""
    for start, block in whole_lines_backwards(path, EXCERPT_BYTES):
        end = block.rfind(b"\n") + 1
        while end:
            begin = block.rfind(b"\n", 0, end - 1) + 1
            if b"\0" not in block[begin:end]:
                return start + end
            end = begin
    return 0
