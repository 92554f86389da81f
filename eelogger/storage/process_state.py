"""Tell from `.lock` and `.state` whether a logger runs here."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from .lock import FRESH_S, STALE_S, holder, is_held, untouched_s
from .paths import LogPaths
from .state import read_state

RUNNING: Final = "running"
HANGS: Final = "hangs"
DIED: Final = "died"
STOPPED: Final = "stopped"
NEVER: Final = "never"


class ProcessState(NamedTuple):
    """Who is at work in a log directory: `kind` as above, the pid and since when, seconds without a sign of life."""

    kind: str
    pid: int | None
    since: str
    untouched_s: float


def process_state(paths: LogPaths) -> ProcessState:
    """Who is at work here, as far as lock file and `.state` tell; changes nothing."""
    lock, state = paths.lock, read_state(paths)
    quiet_s = untouched_s(lock)
    if not os.path.exists(lock):  # False too in a folder that is closed to us
        kind = NEVER if state is None else STOPPED
    elif state and state.clean and _changed_ns(paths.state) >= _changed_ns(lock):
        kind = STOPPED
    elif quiet_s <= FRESH_S:
        kind = RUNNING
    elif not is_held(lock):
        kind = DIED
    else:
        kind = RUNNING if quiet_s <= STALE_S else HANGS
    return ProcessState(kind, *holder(lock), quiet_s)


def _changed_ns(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
