"""Who is at work in a log directory, as its lock file and `.state` tell those who only look.

Decides whether a logger runs, hangs, died or was stopped; taking the directory is `lock`'s. Invariant: nothing is
changed, and no lock is touched that a living logger holds or a starting one could want.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ..paths import LogPaths
from .lock import fcntl
from .lockfile import STALE_S, holder, holder_lives, untouched_s
from .state import read_state

RUNNING: Final = "running"
HANGS: Final = "hangs"
DIED: Final = "died"
STOPPED: Final = "stopped"
NEVER: Final = "never"

FRESH_S: Final = 15
"""Touched within three times the 5 s of a lock's holder: somebody lives, also where his pid cannot be seen."""


class Presence(NamedTuple):
    """Who is at work in a log directory: `kind` as above, the pid and since when, and how long without a sign."""

    kind: str
    pid: int | None
    since: str
    untouched_s: float


def presence(paths: LogPaths) -> Presence:
    """Who is at work here, as far as lock file and `.state` tell."""
    state = read_state(paths)
    if not paths.lock.exists() and state is None:
        return Presence(NEVER, None, "", 0.0)
    pid, since = holder(paths.lock)
    quiet_s = untouched_s(paths.lock)
    if not paths.lock.exists() or (state and state.clean and _changed_ns(paths.state) >= _changed_ns(paths.lock)):
        return Presence(STOPPED, pid, since, quiet_s)
    if holder_lives(paths.lock):
        hangs = quiet_s > STALE_S
        kind = RUNNING if not hangs else HANGS if _is_held(paths.lock) else DIED
    else:
        kind = RUNNING if quiet_s <= FRESH_S else DIED
    return Presence(kind, pid, since, quiet_s)


def _is_held(lock: Path) -> bool:
    """Whether a process has the lock; asked only of one without a sign of life, whose pid may be another's by now."""
    if fcntl is None:
        return True
    try:
        fd = os.open(lock, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _changed_ns(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
