"""Another process that wants a log directory, and the platforms it may find itself on; run by `test_lock`.

Arguments: the mode and the log directory. It tries at the first line on stdin, says `held` or `refused`, and gives
the directory back at the second.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from eelogger.errors import AlreadyRunning
from eelogger.logdir import lock
from eelogger.paths import LogPaths

MODES = ("flock", "windows", "none", "refused")


def windows_locking(fd: int, mode: int, count: int) -> None:
    """`msvcrt.locking` by POSIX record locks: from the position on, refused with EACCES."""
    import fcntl

    start = os.lseek(fd, 0, os.SEEK_CUR)
    assert start > 4096, "Windows would keep others from reading who has the directory"
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, count, start)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def refusing_flock(fd: int, mode: int) -> None:
    """`fcntl.flock` on a network file system without locks."""
    raise OSError(errno.ENOLCK, "No locks available")


def modules(mode: str) -> tuple[Any, Any]:
    """`fcntl` and `msvcrt` as the mode has them."""
    if mode == "windows":
        return None, SimpleNamespace(LK_NBLCK=2, locking=windows_locking)
    if mode == "refused":
        return SimpleNamespace(LOCK_EX=2, LOCK_NB=4, flock=refusing_flock), None
    return (lock.fcntl if mode == "flock" else None), None


def main(mode: str, root: str) -> None:
    lock.fcntl, lock.msvcrt = modules(mode)
    mine = lock.DirectoryLock(LogPaths(Path(root)))
    sys.stdin.readline()
    try:
        mine.acquire()
    except AlreadyRunning:
        print("refused", flush=True)
        return
    print("held", flush=True)
    sys.stdin.readline()
    mine.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
