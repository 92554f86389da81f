"""One file that grows, read on from where it was read up to; also when its content was exchanged meanwhile.

Decides where to go on and which part of what is read was not simply appended; what is in the lines is for
`following`. Invariant: only whole lines are handed out, and what was appended is handed out once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

AT_ONCE: Final = 1 << 23  # bytes read at one look
_TAIL_BYTES: Final = 1 << 14
_BEFORE_BYTES: Final = 96
"""Lines of a delay log are longer and hold their own time: no two places look alike."""


@dataclass(slots=True)
class Growing:
    """How far a file was read: up to `offset`, behind the bytes `before`; `stamp` tells whether it changed since.

    What stands before `anew` was not appended but came with a new content.
    """

    offset: int = 0
    before: bytes = b""
    stamp: tuple[int, int] = (-1, -1)
    anew: int = 0

    def from_end(self, file: BinaryIO) -> Iterator[bytes]:
        """Take the end of the last whole line as the place to go on from; longer and longer tails before it.

        Whoever takes them stops when one is long enough; the last one is the whole file.
        """
        size = os.fstat(file.fileno()).st_size
        length = _TAIL_BYTES
        while True:
            start = file.seek(max(0, size - length))
            data = file.read(size - start)
            whole = data[: data.rfind(b"\n") + 1]
            self.offset, self.before = start + len(whole), whole[-_BEFORE_BYTES:]
            yield whole[whole.find(b"\n") + 1 if start else 0 :]
            if not start:
                return
            length *= 8

    def read_on(self, file: BinaryIO) -> tuple[bytes, bool]:
        """The whole lines from the place on, and whether they were appended; else they may have been read before."""
        status = os.fstat(file.fileno())
        file.seek(max(0, self.offset - len(self.before)))
        if not 0 < self.offset <= status.st_size or file.read(len(self.before)) != self.before:
            self.offset, self.before, self.anew = 0, b"", status.st_size
        file.seek(self.offset)
        data = file.read(AT_ONCE)
        whole = data[: data.rfind(b"\n") + 1]
        appended = self.offset >= self.anew
        self.offset += len(whole)
        self.before = (self.before + whole)[-_BEFORE_BYTES:]
        self.stamp = (-1, -1) if len(data) == AT_ONCE else stamp(status)
        return whole, appended


def stamp(status: os.stat_result) -> tuple[int, int]:
    """Changes whenever the file does."""
    return status.st_size, status.st_mtime_ns
