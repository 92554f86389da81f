"""Files of lines read in blocks, from the front or from the end, so that reading can be done in small steps.

Decides where a block is cut; leaves what is in a line to who reads it. No file stays open between two blocks: others
may rename or remove it meanwhile, and a merge of 10,000 files needs no descriptor for each. Invariant: a block holds
whole lines, and all blocks together are the file; only its last line may lack the newline. What is no ordinary file
is not read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

BLOCK_BYTES: Final = 32 * 1024
"""About a hundred delay lines: half a millisecond of work."""


def whole_lines(path: Path, start: int = 0, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The lines of a file from an offset on, in blocks; they end where it is missing or cannot be read."""
    parts: list[bytes] = []
    while chunk := _read_if_possible(path, start, block_bytes):
        start += len(chunk)
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, chunk[:end]))
            parts.clear()
        if end < len(chunk):
            parts.append(chunk[end:])
    if parts:
        yield b"".join(parts)


def whole_lines_backwards(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """The lines of a file in blocks from its end to its beginning, each with its offset; `OSError` passes."""
    at = size_of(path)
    parts: list[bytes] = []
    while at > 0:
        length = min(block_bytes, at)
        at -= length
        chunk = read_at(path, at, length)
        # What precedes the first newline belongs to a line that begins in an earlier block.
        begin = chunk.find(b"\n") + 1 if at else 0
        if at and not begin:
            parts.append(chunk)
            continue
        if block := b"".join((chunk[begin:], *reversed(parts))):
            yield at + begin, block
        parts = [chunk[:begin]]


def read_at(path: Path, start: int, length: int) -> bytes:
    """At most `length` bytes of a file from an offset on; `OSError` passes."""
    with open_file(path) as file:
        file.seek(start)
        return file.read(length)


def open_file(path: Path | str) -> FileIO:
    """An ordinary file to read; `OSError` passes, also for a pipe or a device, which might block for ever."""
    return open(path, "rb", buffering=0, opener=_ordinary)


def read_file(path: Path) -> bytes:
    """All of an ordinary file; `OSError` passes."""
    with open_file(path) as file:
        return file.read()


def size_of(path: Path) -> int:
    """Bytes in the file; 0 where it is missing."""
    with suppress(OSError):
        return os.stat(path).st_size
    return 0


def _ordinary(path: str, flags: int) -> int:
    # Without it, to open a pipe that nobody writes takes for ever.
    fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of folders `open` complains itself
        os.close(fd)
        raise OSError(errno.EINVAL, "not an ordinary file", path)
    return fd


def _read_if_possible(path: Path, start: int, length: int) -> bytes:
    with suppress(OSError):
        return read_at(path, start, length)
    return b""
