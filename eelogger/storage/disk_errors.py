"""Word what a disk refuses, and say it once."""

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
    errno.ENOSPC: "free some space, or keep fewer days (EEN_KEEP_DAYS)",
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


def explain(error: BaseException, path: str | os.PathLike[str] = "") -> tuple[str, str]:
    """What is wrong, of any exception, and a hint; a full disk is told from one whose inodes are used up."""
    if not isinstance(error, OSError):
        return f"{type(error).__name__}: {error}", "this name or text cannot be written; the rest goes on"
    folder = Path(path or error.filename or ".").parent
    if error.errno == errno.ENOSPC and free_inodes(folder) == 0 and free_bytes(folder):
        return "no inodes are left", "remove files, since space is not what is missing: see df -i"
    return error.strerror or str(error), _HINTS.get(error.errno or 0, _NO_HINT)


def unusable(root: Path, error: OSError) -> DiskError:
    """The error that ends a start in a directory that cannot be used at all."""
    where = error.filename2 or error.filename or root
    message, hint = explain(error, where)
    return DiskError(f"cannot use {where}: {message}", hint)


def free_bytes(path: Path) -> int | None:
    """Bytes free for us, None when that cannot be told."""
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


def free_inodes(path: Path) -> int | None:
    """Inodes free for us, None when that cannot be told or has no meaning there."""
    with suppress(OSError, AttributeError):  # Windows has no statvfs
        found = os.statvfs(path)
        return found.f_favail if found.f_files else None
    return None


class Trouble:
    """What the disk refuses now, by path; `cause` is what is wrong, or was when it cost lines."""

    def __init__(self) -> None:
        self.errors: Errors = {}
        self.snapshots: dict[str, int] = {}  # how often each that cannot be written was tried
        self.cause = "the disk is too slow", _NO_HINT
        self._since = 0.0

    def heed(
        self, errors: Errors, snapshots: Errors, stuck: Collection[str], skipped: Collection[str], fate: str
    ) -> None:
        """Take over what a batch met, and say it once; `fate` is what became of the lines that waited."""
        before = self.errors
        self.errors = {path: error for path, error in before.items() if path in skipped} | errors
        if new := {path: e for path, e in errors.items() if path not in before and (path in stuck or not before)}:
            _log.warning("%s; lines are held (%s)", *_describe(new, stuck))
        if not before:
            self._since = time.monotonic()
        if self.errors:
            self.cause = _describe(self.errors, stuck)
        elif before:
            _log.info("writing works again after %.1f s: %s", time.monotonic() - self._since, fate)
        tries = {path: self.snapshots.get(path, 0) + 1 for path in snapshots}
        self.snapshots = {path: n for path, n in self.snapshots.items() if path in skipped} | tries
        for path, error in snapshots.items():
            if tries[path] == 2:  # on Windows a reader that holds it for a moment is no trouble
                _log.warning("cannot write %s: %s (%s)", path, *explain(error, path))

    @property
    def paths(self) -> set[str]:
        """What is not to be tried before its time."""
        return {*self.errors, *self.snapshots}

    def error(self, text: str) -> DiskError:
        """The error that ends a run."""
        return DiskError(f"{text}: {self.cause[0]}", self.cause[1])


def _describe(errors: Errors, stuck: Collection[str]) -> tuple[str, str]:
    path, error = next(iter(errors.items()))
    cause, hint = explain(error, path)
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"cannot {'move' if path in stuck else 'write'} {path}{more}: {cause}", hint
