"""Lock a log directory for one process, and tell who holds it."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from ..errors import AlreadyRunning
from ..settings import PROGRAM
from .formats import time_text
from .line_blocks import open_file, read_object
from .paths import LogPaths
from .state import read_state

fcntl: Any = None
msvcrt: Any = None
with suppress(ImportError):
    import fcntl
with suppress(ImportError):
    import msvcrt

STALE_S: Final = 60  # the holder touches the file every 5 s; mere slowness does not miss twelve in a row
FRESH_S: Final = 15  # touched within three times that: somebody lives, also where the pid cannot be seen

RUNNING, HANGS, DIED, STOPPED, NEVER = "running", "hangs", "died", "stopped", "never"


class DirectoryLock:
    """The hold on a log directory; also a context manager."""

    def __init__(self, paths: LogPaths) -> None:
        self._paths = paths
        self._fd: int | None = None
        self._locked = False

    def acquire(self) -> None:
        """Take the directory, made where it is missing; raises `AlreadyRunning` when another has it, and `OSError`."""
        path = self._paths.lock
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = _lock(fd)
        # Where there are no locks, the holder's signature refuses another start while it was touched lately.
        if locked is False or (locked is None and _holder(path)[0] and _untouched_s(path) <= FRESH_S):
            os.close(fd)
            raise refusal(self._paths)
        held, self._fd, self._locked = self._fd, fd, bool(locked)
        if held is not None:
            os.close(held)
        since = f"{time_text(time.time_ns() // 1000)[:19]}Z"
        content = json.dumps({"pid": os.getpid(), "since": since}).encode()
        with suppress(OSError):  # a full disk: who it is is for people
            os.lseek(fd, 0, os.SEEK_SET)
            os.write(fd, content)
            os.ftruncate(fd, len(content))

    def still_ours(self) -> bool:
        """Whether the file held is the one at the path; False after the directory was removed or replaced."""
        with suppress(OSError):
            return self._fd is not None and os.path.samestat(os.stat(self._paths.lock), os.fstat(self._fd))
        return False

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        # A locked file stays, since another may have opened it; else its heartbeat would refuse the next start.
        if not self._locked and self.still_ours():
            self._paths.lock.unlink()
        if self._fd is not None:
            os.close(self._fd)  # unlocks
            self._fd = None


def refusal(paths: LogPaths) -> AlreadyRunning:
    """The error that ends a start beside another logger."""
    (pid, since), stale_s = _holder(paths.lock), int(_untouched_s(paths.lock))
    message = f"process {pid} has {paths.root} since {since}" if pid else f"another process has {paths.root}"
    hint = f"look at it: tail -F {paths.program_log}, {PROGRAM} status --log-dir {paths.root}"
    if stale_s <= STALE_S:
        return AlreadyRunning(message, hint)
    message += f"; it has shown no sign of life for {stale_s} s and probably hangs"
    return AlreadyRunning(message, hint, reason="hangs")


class ProcessState(NamedTuple):
    """Who works in a log directory, and the seconds since its last sign of life."""

    kind: str
    pid: int | None
    since: str
    untouched_s: float


def process_state(paths: LogPaths) -> ProcessState:
    """Tell from `.lock` and `.state` who is at work here; changes nothing."""
    lock, state = paths.lock, read_state(paths)
    state_s, quiet_s = _untouched_s(paths.state), _untouched_s(lock)
    if not os.path.exists(lock):  # False too in a folder that is closed to us
        kind = NEVER if state is None else STOPPED
    elif state and state.clean and state_s <= quiet_s:
        kind = STOPPED
    # To ask whether it is held means to take it for a moment, which would refuse a start.
    elif quiet_s > FRESH_S and not _is_held(lock):
        kind = DIED
    else:
        kind = RUNNING if quiet_s <= STALE_S else HANGS
    return ProcessState(kind, *_holder(lock), quiet_s)


def _is_held(path: Path) -> bool:
    with suppress(OSError), open_file(path) as file:
        return _lock(file.fileno()) is False
    return True


def _untouched_s(path: Path) -> float:
    with suppress(OSError):
        return max(0.0, time.time() - path.stat().st_mtime)
    return 0.0


def _holder(path: Path) -> tuple[int | None, str]:
    match read_object(path):
        case {"pid": int(pid), "since": str(since)} if 0 < pid < 1 << 31:
            return pid, since[:40]
    return None, ""


def _lock(fd: int) -> bool | None:
    # True: now ours; False: another's; None: no locks here.
    try:
        if fcntl is not None:  # not `lockf`: its lock is gone once this process closes any descriptor of the file
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
