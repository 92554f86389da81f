"""What a cron job has been told already, so that the same trouble is one mail a day and not one a minute.

Kept in `.said` beside the logs, because the reasons (settings, a refused key, another process) may leave no run that
could keep it; where the logs cannot be written, which is a reason too, in a file of ours in the system's temporary
directory. What can be neither read nor written makes the program talk more, never less.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ..paths import LogPaths, temporary

DAY_S: Final = 86_400
HOUR_S: Final = 3_600

WARNING: Final = "warning: "
"""How reasons begin that are no trouble of a run and stay told when a run works."""

WORKED_S: Final = 3_600
"""A run that was connected for so long worked: the trouble that ends it is news, and still one mail an hour at most."""

_MAX_BYTES: Final = 1 << 16
_CAREFULLY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def is_news(paths: LogPaths, reason: str, now_s: float, every_s: float = DAY_S) -> bool:
    """Whether `reason` has not been told within `every_s` seconds; it counts as told from now on."""
    told = _read(paths)
    last = told.get(reason)
    if last is not None and 0 <= now_s - last < every_s:
        return False
    # What is older than a day tells nothing any more.
    _write(paths, {what: at for what, at in told.items() if abs(now_s - at) < DAY_S} | {reason: now_s})
    return True


def forget(paths: LogPaths) -> None:
    """A run works again: the next trouble is news."""
    told = _read(paths)
    kept = {what: at for what, at in told.items() if what.startswith(WARNING)}
    if kept != told:
        _write(paths, kept)


def _read(paths: LogPaths) -> dict[str, float]:
    told: dict[str, float] = {}
    for path in (paths.said, _elsewhere(paths)):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            fd = os.open(path, os.O_RDONLY | _CAREFULLY)
            with open(fd, "rb") as file:
                # Elsewhere anybody may write: a file of another's could silence us.
                found = json.loads(file.read(_MAX_BYTES)) if path == paths.said or _is_ours(fd) else {}
            if isinstance(found, dict):
                told |= {what: float(at) for what, at in found.items() if isinstance(at, (int, float))}
    return told


def _write(paths: LogPaths, told: dict[str, float]) -> None:
    text, elsewhere = json.dumps(told), _elsewhere(paths)
    with contextlib.suppress(OSError):
        try:
            paths.root.mkdir(parents=True, exist_ok=True)
            temporary(paths.said).write_text(text, encoding="utf-8")
            os.replace(temporary(paths.said), paths.said)
            elsewhere.unlink(missing_ok=True)
        except OSError:
            fd = os.open(elsewhere, os.O_WRONLY | os.O_CREAT | _CAREFULLY, 0o600)
            with open(fd, "wb") as file:
                if _is_ours(fd):
                    file.truncate()
                    file.write(text.encode())


def _elsewhere(paths: LogPaths) -> Path:
    name = blake2b(os.fsencode(paths.root.absolute()), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"eelogger-{name}.said"


def _is_ours(fd: int) -> bool:
    found = os.fstat(fd)
    return stat.S_ISREG(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())
