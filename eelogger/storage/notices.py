"""Remember what cron was told, so that one trouble is one mail a day.

Kept in `.said` beside the logs, because the reasons (settings, a refused key) may leave no run that could keep it;
where the logs cannot be written, in a file of ours in the system's temporary directory. What can be neither read nor
written makes the program talk more, never less.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Collection
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from .disk import replace
from .line_blocks import read_file
from .paths import LogPaths

DAY_S: Final = 86_400
HOUR_S: Final = 3_600

_CAREFULLY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def is_news(paths: LogPaths, reason: str, now_s: float, every_s: float = DAY_S) -> bool:
    """Whether `reason` has not been told of this directory within `every_s`; it counts as told from now on."""
    told = _read(paths)
    if 0 <= now_s - told.get(reason, -DAY_S) < every_s:
        return False
    # What is older than a day tells nothing any more.
    _write(paths, {what: at_s for what, at_s in told.items() if abs(now_s - at_s) < DAY_S} | {reason: now_s})
    return True


def forget(paths: LogPaths, lasting: Collection[str] = ()) -> None:
    """A run works again: the next trouble is news, but for reasons that do not pass by that."""
    told = _read(paths)
    kept = {reason: at_s for reason, at_s in told.items() if reason in lasting}
    if kept != told:
        _write(paths, kept)


def _read(paths: LogPaths) -> dict[str, float]:
    told: dict[str, float] = {}
    for path in (paths.said, _elsewhere(paths)):
        with suppress(OSError, ValueError, RecursionError, OverflowError):
            # Elsewhere anybody may write: a file of another's could silence us.
            found = json.loads(read_file(path)) if path == paths.said or _is_ours(os.lstat(path)) else {}
            if isinstance(found, dict):
                told |= {what: float(at_s) for what, at_s in found.items() if isinstance(at_s, int | float)}
    return told


def _write(paths: LogPaths, told: dict[str, float]) -> None:
    text, elsewhere = json.dumps(told), _elsewhere(paths)
    with suppress(OSError):
        try:
            replace(os.fspath(paths.said), text)
            elsewhere.unlink(missing_ok=True)
        except OSError:
            fd = os.open(elsewhere, os.O_WRONLY | os.O_CREAT | _CAREFULLY, 0o600)
            with open(fd, "w", encoding="utf-8") as file:
                if _is_ours(os.fstat(fd)):
                    file.truncate()
                    file.write(text)


def _elsewhere(paths: LogPaths) -> Path:
    name = blake2b(os.fsencode(paths.root.absolute()), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"eelogger-{name}.said"


def _is_ours(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())
