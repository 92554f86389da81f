"""Hold a log directory for one process, with a heartbeat.

The hold is the system's lock on a file. Where there is none (no `fcntl` nor `msvcrt`, or a file system without locks)
it is the holder's signature in that file, as long as the heartbeat goes on; of two that come at once the later one
counts. `OSError` passes.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from ..errors import AlreadyRunning
from ..settings import PROGRAM
from .formats import time_text
from .line_blocks import read_file
from .paths import LogPaths

fcntl: Any = None
msvcrt: Any = None
with suppress(ImportError):
    import fcntl
with suppress(ImportError):
    import msvcrt

STALE_S: Final = 60  # the holder touches the file every 5 s; mere slowness does not miss twelve in a row
FRESH_S: Final = 15  # touched within three times that: somebody lives, also where the pid cannot be seen


class DirectoryLock:
    """The hold on a log directory; also a context manager."""

    def __init__(self, paths: LogPaths) -> None:
        self._paths = paths
        self._path = paths.lock
        self._fd: int | None = None
        self._locked: bool | None = None
        self._signature = os.getpid(), f"{time_text(time.time_ns() // 1000)[:19]}Z"

    def acquire(self) -> None:
        """Take the directory, which is made where it is missing; raises `AlreadyRunning` when another has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = _lock(fd)
        if locked is False or (locked is None and holder(self._path)[0] and untouched_s(self._path) <= FRESH_S):
            os.close(fd)
            raise self._refusal()
        self._fd, self._locked = fd, locked
        with suppress(OSError):  # a full disk: who it is is for people
            self._sign(fd)

    def touch(self) -> None:
        """Show a sign of life."""
        if self._fd is not None:
            os.utime(self._path)
            if holder(self._path) != self._signature:
                self._sign(self._fd)

    def still_ours(self) -> bool:
        """Whether the file held is the one at the path; False after the directory was removed or replaced."""
        if self._fd is None:
            return False
        try:
            is_there = os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except OSError:
            return False
        return is_there and (self._locked or holder(self._path) == self._signature)

    def retake(self) -> None:
        """Take the directory anew after it was removed or replaced; raises `AlreadyRunning` when another was faster."""
        held = self._fd
        self.acquire()
        if held is not None:
            os.close(held)

    def release(self) -> None:
        """Give the directory back; a locked file stays, since another may have opened it before it was removed."""
        if self._fd is not None:
            remove = not self._locked and self.still_ours()
            os.close(self._fd)  # unlocks
            self._fd = None
            if remove:
                self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _sign(self, fd: int) -> None:
        content = json.dumps(dict(zip(("pid", "since"), self._signature, strict=True))).encode()
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, content)
        os.ftruncate(fd, len(content))

    def _refusal(self) -> AlreadyRunning:
        pid, since = holder(self._path)
        who = f"process {pid}" if pid else "another process"
        message = f"{who} has {self._path.parent}" + (f" since {since}" if since else "")
        stale_s = int(untouched_s(self._path))
        if stale_s > STALE_S:
            message += f"; it has shown no sign of life for {stale_s} s and probably hangs"
        hint = f"look at it: tail -F {self._paths.program_log}, {PROGRAM} status"
        return AlreadyRunning(message, hint, stale_s=stale_s if stale_s > STALE_S else None)


def is_held(path: Path) -> bool:
    """Whether a process has the lock; ask only after `FRESH_S` without a touch, since it refuses a start meanwhile."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return True
    try:
        return _lock(fd) is False
    finally:
        os.close(fd)


def untouched_s(path: Path) -> float:
    """Seconds since the file was touched, 0 where there is none."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def holder(path: Path) -> tuple[int | None, str]:
    """The pid that signed the file and since when; None and "" where that cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        match json.loads(read_file(path)):
            case {"pid": int(pid), "since": str(since)} if 0 < pid < 1 << 31:
                return pid, since[:40]
    return None, ""


def _lock(fd: int) -> bool | None:
    """True: now ours; False: another's; None: no locks here.

    `flock`, not `lockf`: a POSIX record lock is gone as soon as this process closes any descriptor of the file, one
    that only read who holds it too.
    """
    try:
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            os.lseek(fd, 1 << 20, os.SEEK_SET)  # nobody may read what is locked there: far behind the signature
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            return None
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
