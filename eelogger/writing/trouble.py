"""When the disk refuses: when to try again, and what to say about it, once.

A series of failures begins with the first error and ends with the first batch that is written whole. Invariant: one
warning and one line of recovery for each series; everything in between is debug.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ..errors import DiskError

FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 5.0

_RIGHTS: Final = "check owner and permissions of the log directory"
_IN_THE_WAY: Final = "a file is where a directory is needed: move it, or log elsewhere (EEN_LOG_DIR)"
HINTS: Final = {
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.ENOSPC: "free some space, or keep fewer days (EEN_KEEP_DAYS)",
    errno.EDQUOT: "raise the quota, or keep fewer days (EEN_KEEP_DAYS)",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "the file system is read-only: check the disk, or log elsewhere (EEN_LOG_DIR)",
    errno.EIO: "the disk reports errors: check it, or log elsewhere (EEN_LOG_DIR)",
}
_NO_HINT: Final = "check the disk of the log directory"

Notify = Callable[[str, str], None]
"""Takes a severity (`debug`, `info`, `warning`) and one line of text."""


def hint_for(error: OSError) -> str:
    """What the operator can do about this error, "" where that is not known."""
    return HINTS.get(error.errno or 0, "")


def unusable(root: Path, error: OSError) -> DiskError:
    """The error that ends a start in a directory that cannot be used at all."""
    where = error.filename2 or error.filename or root
    return DiskError(f"cannot use {where}: {error.strerror or error}", hint_for(error) or _NO_HINT)


class Trouble:
    """The series of failures that is going on, if any; times are seconds of a monotonic clock."""

    def __init__(self, notify: Notify) -> None:
        self.errors: Mapping[str, OSError] = {}
        self._notify = notify
        self._since = 0.0
        self._delay_s = 0.0
        self._cause = self.text(), self.hint()

    def __bool__(self) -> bool:
        return bool(self.errors)

    def failed(self, errors: Mapping[str, OSError], now: float) -> float:
        """A try failed: when to try again."""
        first = not self.errors
        if first:
            self._since, self._delay_s = now, FIRST_RETRY_S
        else:
            self._delay_s = min(2 * self._delay_s, LAST_RETRY_S)
        self.errors = errors
        self._notify("warning" if first else "debug", f"{self.text()}; lines are held ({self.hint()})")
        return now + self._delay_s

    def over(self, lines: int, lost: int, now: float) -> None:
        """All `lines` that waited are on disk."""
        if lost:
            self._cause = self.text(), self.hint()
        self.errors = {}
        fate = f"{lost} were lost" if lost else "none was lost"
        self._notify("info", f"writing works again after {now - self._since:.1f} s: {lines} lines waited, {fate}")

    def error(self, text: str, lost: int) -> DiskError:
        """The error that ends the run: `text`, then what is wrong, or was when it cost lines."""
        why, hint = (self.text(), self.hint()) if self.errors else self._cause
        return DiskError(f"{text}: {why}", hint, lost, why)

    def text(self) -> str:
        """What is wrong; the disk is merely slow when nothing else is."""
        for path, error in self.errors.items():
            where = path or error.filename2 or error.filename
            more = f" and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
            return f"cannot write {where}{more}: {error.strerror or error}"
        return "the disk is too slow"

    def hint(self) -> str:
        """What the operator can do."""
        return next(filter(None, map(hint_for, self.errors.values())), _NO_HINT)
