"""One process for each log directory, so that every line has one writer.

Decides who has the directory; when to look, and what to do once it is another's, is for `service`. The file stays
when the process ends, the lock on it does not. Invariant: the holder has the file that now stands at the path, so a
directory that was removed and made anew has to be taken anew. `OSError` passes.
"""

from __future__ import annotations

import errno
import importlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from ..errors import AlreadyRunning
from ..paths import LogPaths
from ..text.times import time_text
from .lockfile import STALE_S, holder, remove_dead, sign, untouched_s

_TRIES: Final = 50  # each lost to a process that removed or made the file just then
_LOCKED_BYTE: Final = 1 << 20  # Windows keeps others from reading what is locked: far behind the content
_NO_LOCKS_HERE: Final = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


fcntl, msvcrt = _module("fcntl"), _module("msvcrt")


class DirectoryLock:
    """The hold on a log directory; also a context manager."""

    def __init__(self, paths: LogPaths) -> None:
        self._paths = paths
        self._path = paths.lock
        self._fd: int | None = None
        self._locked = False
        self._signed = False
        self._since = f"{time_text(time.time_ns() // 1000)[:19]}Z"

    def acquire(self) -> None:
        """Take the directory, which is made where it is missing; raises `AlreadyRunning` when another has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = self._take()
        self._signed = False
        with suppress(OSError):  # a full disk: who it is is for people, the hold does not depend on it
            self._sign()

    def touch(self) -> None:
        """Show a sign of life, as long as loop and writer give one."""
        if self._fd is not None:
            if not self._signed:
                self._sign()
            os.utime(self._fd if os.utime in os.supports_fd else self._path)

    def stale_s(self) -> float:
        """Seconds since whoever has the directory showed a sign of life; 0 where there is no lock file."""
        return untouched_s(self._path)

    def still_ours(self) -> bool:
        """Whether the file held is the one at the path."""
        return self._fd is not None and _is_at(self._path, self._fd)

    def retake(self) -> None:
        """Take the directory anew if it was removed or replaced; raises `AlreadyRunning` when another was faster."""
        if self.still_ours():
            return
        held = self._fd
        self.acquire()
        if held is not None:
            os.close(held)

    def release(self) -> None:
        """Give the directory back; the file stays, since removing it could remove one that another has just locked."""
        if self._fd is None:
            return
        if not self._locked and self.still_ours():
            # Without locks existence is the hold, and nobody takes it from a living process.
            self._path.unlink()
        os.close(self._fd)  # unlocks
        self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _sign(self) -> None:
        if self._fd is not None:
            sign(self._fd, self._since)
            self._signed = True

    def _take(self) -> int:
        for _ in range(_TRIES):
            fd, made = _open(self._path)
            try:
                locked = _lock(fd)
                ours = made if locked is None else locked and _is_at(self._path, fd)
            except OSError:
                os.close(fd)
                raise
            if ours:
                self._locked = locked is not None
                return fd
            os.close(fd)
            if locked is False or (locked is None and not remove_dead(self._path)):
                break
        raise self._refusal()

    def _refusal(self) -> AlreadyRunning:
        pid, since = holder(self._path)
        message = f"{f'process {pid}' if pid else 'another process'} has {self._path.parent}"
        if since:
            message += f" since {since}"
        stale_s = int(self.stale_s()) if self.stale_s() > STALE_S else None
        if stale_s is not None:
            message += f"; it has shown no sign of life for {stale_s} s and probably hangs"
        hint = f"look at it: tail -F {self._paths.program_log}, python app.py status"
        return AlreadyRunning(message, hint, pid=pid, since=since, stale_s=stale_s)


def _open(path: Path) -> tuple[int, bool]:
    """The file's descriptor, not inherited by children, and whether this call made the file."""
    for _ in range(_TRIES):
        with suppress(FileExistsError):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR), False
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _lock(fd: int) -> bool | None:
    """True: now ours; False: another's; None: no locks here.

    `flock`, not `lockf`: a POSIX record lock is gone as soon as this process closes any descriptor of the file, one
    that only read who holds it too.
    """
    try:
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            return None
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        return None
    return True


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
