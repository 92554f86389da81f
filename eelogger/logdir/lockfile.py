"""The lock file's content, and what it tells where the file system knows no locks.

Decides whether the process that made the file lives, by its pid, and takes a dead one's file away; locks are for
`lock`. Invariant: a living process's file is never removed, however many look at it at once. `OSError` passes.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

from .blocks import read_file

STALE_S: Final = 60  # the holder touches the file every 5 s; mere slowness does not miss twelve in a row


def sign(fd: int, since: str) -> None:
    """Write who has the file: our pid, and since when."""
    content = json.dumps({"pid": os.getpid(), "since": since}).encode()
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, content)
    os.ftruncate(fd, len(content))


def untouched_s(path: Path) -> float:
    """Seconds since the file was touched, 0 where there is none."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


def holder(path: Path) -> tuple[int | None, str]:
    """The pid that signed the file and since when; None and "" where that cannot be read."""
    try:
        content = json.loads(read_file(path))
        return int(content["pid"]), str(content["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, ""


def holder_lives(path: Path) -> bool:
    """Whether the process that signed is there; our own pid is an earlier one's, in a container started again."""
    pid, _ = holder(path)
    if pid is None:  # perhaps it has only just made the file
        return untouched_s(path) <= STALE_S
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def remove_dead(path: Path) -> bool:
    """Take a dead holder's file away; False when the holder lives or another process is about it."""
    if holder_lives(path):
        return False
    guard = path.with_name(f"{path.name}.take")
    if untouched_s(guard) > STALE_S:  # killed while it was about it
        guard.unlink(missing_ok=True)
    try:
        os.close(os.open(guard, os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    # Only now can nobody put a living process's file in the place of the one that was judged.
    if not holder_lives(path):
        path.unlink(missing_ok=True)
    guard.unlink()
    return True
