"""The plain functions that touch log files: append lines, replace a snapshot, rotate; nothing else writes there.

No file is kept open: each is opened, written and closed, so that a rename, removal or truncation by others is seen
at the next call and leaves neither a hole nor a lost line. Which lines and in which order is decided by `flush`, when
to try again by `writer`. Invariant: whatever an error leaves behind, each line in a file is whole and there once,
and the caller knows to the byte what is missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import Final, NamedTuple

from .merging import TEMPORARY

_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_ANEW: Final = os.O_WRONLY | os.O_TRUNC | os.O_CREAT | getattr(os, "O_BINARY", 0)


def _pass(name: str) -> None:
    """Nothing happens at a boundary outside of tests."""


boundary: Callable[[str], None] = _pass
"""Called wherever a crash would leave another state on disk; tests put a function here that kills the process.

Names: `before` and `after` with `stream`, `delay`, `uuid`, `append`, `rotation`, `snapshot`, `state`; `in write`.
"""


class AppendResult(NamedTuple):
    """How many bytes are in the file for good, its size before (when asked for), what went wrong."""

    durable: int
    size_before: int | None = None
    error: OSError | None = None


def append(path: str, data: bytes, expected: int | None = None, *, sized: bool = False) -> AppendResult:
    """Append whole lines, or nothing when the file is not `expected` bytes long; errors are in the result."""
    try:
        fd = _open(path, _APPEND)
    except OSError as failure:
        return AppendResult(0, None, failure)
    size = None
    try:
        if sized or expected is not None:
            size = os.fstat(fd).st_size
            if expected is not None and size != expected:
                return AppendResult(0, size)
        written, error = _write(fd, data)
        return AppendResult(_cut_back(fd, data, written) if error else written, size, error)
    except OSError as failure:
        return AppendResult(0, size, failure)
    finally:
        _close(fd)


def replace(path: str, content: str | bytes) -> bool:
    """Put `content` in the place of a file in one step; False when a reader holds it (Windows); raises `OSError`."""
    name = "state" if os.path.basename(path) == ".state" else "snapshot"
    beside = path + TEMPORARY
    try:
        fd = _open(beside, _ANEW)
        try:
            _, error = _write(fd, content if isinstance(content, bytes) else encoded(content))
        finally:
            _close(fd)
        if error:
            raise error
        boundary(f"before {name}")
        replaced = _rename(beside, path)
        boundary(f"after {name}")
    except OSError:
        _unlink(beside)
        raise
    if not replaced:
        _unlink(beside)
    return replaced


def rotate(path: str, old_path: str) -> bool:
    """Make a full file the old one; False when that can not be now, and the file may go on; raises nothing."""
    boundary("before rotation")
    try:
        os.replace(path, old_path)
    except FileNotFoundError:
        pass  # others took it away: the next line begins a new one all the same
    except OSError:
        return False
    boundary("after rotation")
    return True


def size_of(path: str) -> int | None:
    """Bytes in the file, None when that can not be told."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate, which should not get here, is escaped and not an error."""
    return text.encode("utf-8", "backslashreplace")


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o644)


def _write(fd: int, data: bytes) -> tuple[int, OSError | None]:
    """Write until the count is complete: bytes written, and what stopped it."""
    # A test that listens at boundaries gets one in the middle of each write.
    part = data if boundary is _pass else data[: (len(data) + 1) // 2]
    written = 0
    try:
        while True:
            count = os.write(fd, part)
            written += count
            if written == len(data):
                return written, None
            if count == 0:
                raise OSError(errno.EIO, "nothing was written")
            boundary("in write")
            part = data[written:]
    except OSError as error:
        return written, error


def _cut_back(fd: int, data: bytes, written: int) -> int:
    """Take the beginning of a line out of the file again: how many bytes of `data` stay in it."""
    whole = data.rfind(b"\n", 0, written) + 1
    if whole == written:
        return written
    try:
        end = os.lseek(fd, 0, os.SEEK_CUR)
        if os.fstat(fd).st_size == end:  # else others cut it or wrote behind us, and cutting would harm them
            os.ftruncate(fd, end - (written - whole))
    except OSError:
        return written
    return whole


def _close(fd: int) -> None:
    # Each byte was accepted by then; what close can still report belongs to fsync, which is not promised.
    with contextlib.suppress(OSError):
        os.close(fd)


def _rename(source: str, target: str) -> bool:
    try:
        os.replace(source, target)
    except PermissionError as error:
        if error.errno == errno.EACCES:  # what Windows says; elsewhere the temporary file could not have been made
            return False
        raise
    return True


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
