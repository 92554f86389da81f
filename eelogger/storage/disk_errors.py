"""Describe what a disk refuses, and log it once."""

import errno
import logging
import os
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import DiskError

_IN_THE_WAY: Final = "something else has that name: move it, or log elsewhere (EEN_LOG_DIR)"
_HINTS: Final = {
    # The last one is a named pipe.
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENXIO), _IN_THE_WAY),
    errno.ENOSPC: "free some space (df -h) or inodes (df -i), or keep fewer days (EEN_KEEP_DAYS)",
    errno.EDQUOT: "raise the quota, or keep fewer days (EEN_KEEP_DAYS)",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM), "check owner, permissions and attributes (chattr) of the log directory"
    ),
    errno.EROFS: "the file system is read-only: check the disk, or log elsewhere (EEN_LOG_DIR)",
}
_NO_HINT: Final = "check the disk of the log directory"

Errors = dict[str, Exception]  # by path

_log = logging.getLogger(__name__)


def explain(error: BaseException) -> tuple[str, str]:
    """What is wrong, of any exception, and a hint."""
    if not isinstance(error, OSError):
        return f"{type(error).__name__}: {error}", "this name or text cannot be written; the rest goes on"
    if error.errno == errno.ENOTDIR and error.filename:
        for folder in filter(os.path.isfile, Path(error.filename).parents):
            return f"{folder} is not a directory", _IN_THE_WAY
    return error.strerror or str(error), _HINTS.get(error.errno or 0, _NO_HINT)


def free_bytes(path: Path) -> int | None:
    """Bytes free for us, None when that cannot be told."""
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


class Trouble:
    """What the disk refuses now; `cause` is the latest reason why lines were held, with a hint."""

    def __init__(self) -> None:
        self.held: Errors = {}  # files whose lines wait
        self.cause = "the disk is too slow", _NO_HINT
        self._since_s = 0.0
        self._snapshots: set[str] = set()

    def heed(self, errors: Errors, snapshots: Collection[str], stuck: Collection[str]) -> None:
        """Note what is refused now, and log it once; `stuck` are files that could not be moved."""
        before, self.held = self.held, {path: error for path, error in errors.items() if path not in snapshots}
        if self.held:
            path, error = next(iter(self.held.items()))
            reason, hint = explain(error)
            more = f" and {len(self.held) - 1} more" if len(self.held) > 1 else ""
            self.cause = f"cannot {'move' if path in stuck else 'write'} {path}{more}: {reason}", hint
            if not before:
                self._since_s = time.monotonic()
                _log.warning("%s; lines are held (%s)", *self.cause)
            return
        if before:
            _log.info("writing works again after %.1f s: nothing waits any more", time.monotonic() - self._since_s)
        for path in errors.keys() - self._snapshots:
            _log.warning("cannot write %s: %s (%s)", path, *explain(errors[path]))
        self._snapshots = set(errors)

    def error(self, text: str) -> DiskError:
        """The error that ends a run."""
        return DiskError(f"{text}: {self.cause[0]}", self.cause[1])
