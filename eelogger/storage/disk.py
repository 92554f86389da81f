"""Write one batch to the log files: appends all or nothing, snapshots, moves."""

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from ..measure.dedup import GENERATION
from .batch import Batch, Lines, Moves
from .days import Move, move
from .line_blocks import size_of, whole_lines
from .paths import TEMPORARY, LogPaths

# A named pipe under a log's name is an error at once, not an open that waits for a reader.
_MODE: Final = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
LINES_AT_ONCE: Final = 10_000  # lines joined for one write; bounds the memory it takes to write out a long wait


class IdentityLog:
    """The identity log; with as many lines as one generation of `measure.dedup` it becomes the old one."""

    def __init__(self, paths: LogPaths) -> None:
        self.path = os.fspath(paths.uuids)
        self._paths = paths
        self._lines = 0
        self._size = -1  # in bytes, when it was written last

    def room(self) -> int:
        """How many lines it takes at once."""
        path, size = self._paths.uuids, size_of(self._paths.uuids)
        if self._size < 0 or size < self._size:  # the first use; or others removed or truncated it
            self._lines = sum(block.count(b"\n") for block in whole_lines(path))
        if self._lines >= GENERATION:
            with suppress(OSError):  # while a reader holds it, it goes on past its limit
                os.replace(path, self._paths.uuids_old)
                self._lines = 0
        return GENERATION - self._lines if self._lines < GENERATION else LINES_AT_ONCE

    def took(self, lines: int) -> None:
        """Count lines that were appended."""
        self._lines += lines
        self._size = size_of(self._paths.uuids)


@dataclass
class Flush:
    """One batch on its way to disk: what is written leaves the batch as it happens.

    What follows from a line that could not be written waits too; other files go on. `stuck` are moves that failed, by
    source: lines for such a file wait. Once `may_write` says no, nothing more is written: `refused`. `errors` are by
    path, those of snapshots apart.
    """

    batch: Batch
    identities: IdentityLog
    skip: Collection[str] = ()
    may_write: Callable[[], bool] = lambda: True
    stuck: dict[str, Move] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    snapshots: dict[str, Exception] = field(default_factory=dict)
    refused: bool = False
    took_us: int = 0

    def run(self) -> Self:
        """Retry what is stuck; write stream and delay logs, other files, identities, snapshots; then the barrier."""
        started, batch = time.perf_counter_ns(), self.batch
        for one in [*self.stuck.values()]:
            if self._allowed(one.source):
                self._move(one)
        self._append_all(batch.stream)
        self._append_all(batch.delay, waiting=set(map(_delay_log_of, batch.stream)))
        self._append_all(batch.other)
        self._append_identities()
        for path, content in [*batch.snapshots.items()]:
            if self._allowed(path) and _tried(self.snapshots, path, replace, path, content):
                del batch.snapshots[path]
        if batch.moves is not None:
            self._pass(batch.moves)
        self.took_us = (time.perf_counter_ns() - started) // 1000
        return self

    def _allowed(self, path: str = "") -> bool:
        if self.refused or path in self.skip:
            return False
        self.refused = not self.may_write()
        return not self.refused

    def _append_all(self, files: Lines, waiting: Collection[str] = ()) -> None:
        for path in [*files]:
            if path in waiting or path in self.stuck or not self._allowed(path):
                continue
            while files[path] and _tried(self.errors, path, self._append, path, files[path], LINES_AT_ONCE):
                pass
            if not files[path]:
                del files[path]

    def _append_identities(self) -> None:
        batch, log = self.batch, self.identities
        batch.ready += [text for path, text in batch.identities if path not in batch.delay]
        batch.identities = [one for one in batch.identities if one[0] in batch.delay]
        is_good = bool(batch.ready) and self._allowed(log.path)
        while is_good and (before := len(batch.ready)):
            is_good = _tried(self.errors, log.path, self._append, log.path, batch.ready, log.room())
            log.took(before - len(batch.ready))

    def _append(self, path: str, texts: list[str], most: int) -> None:
        text = "".join(texts[:most])
        data = text.encode("utf-8", "backslashreplace")
        kept, error = append(path, data)
        if kept or error is None:
            rest = data[kept:].decode(errors="replace")
            texts[:most] = rest.splitlines(keepends=True)
            self.batch.size -= len(text) - len(rest)
        if error is not None:
            raise error

    def _move(self, one: Move) -> None:
        if _tried(self.errors, one.source, move, one):
            self.stuck.pop(one.source, None)
        else:
            self.stuck[one.source] = one

    def _pass(self, moves: Moves) -> None:
        batch, found = self.batch, list[Move]()
        held = [path for files in batch.files for path in files]
        root = os.path.dirname(self.identities.path)
        if not _tried(self.errors, root, lambda: found.extend(moves(held))):
            return  # until it can be told what is to be moved, all that comes after waits
        targets = {one.source: one.target for one in found if not one.keep}
        batch.follow(targets)
        # A file that missed its new name at a rename goes with its day all the same.
        self.stuck |= {k: m._replace(target=targets.get(m.target, m.target)) for k, m in self.stuck.items()}
        for one in found:
            # What is stuck there is of an earlier day.
            if one.source not in self.stuck and self._allowed():
                self._move(one)
        if self._allowed():
            batch.moves = None


def _tried(errors: dict[str, Exception], path: str, call: Callable[..., object], *args: object) -> bool:
    try:
        call(*args)
    except Exception as error:
        errors[path] = error.with_traceback(None)  # it would keep what was to be written alive
        return False
    return True


def _delay_log_of(stream_path: str) -> str:
    folder, name = os.path.split(stream_path)
    return os.path.join(os.path.dirname(folder), name.removesuffix("_stream.log") + ".log")


def append(path: str, data: bytes, how: int = os.O_APPEND) -> tuple[int, OSError | None]:
    """Append whole lines, all or none: how many bytes are in the file for good, and what went wrong.

    Only some are when others changed the file meanwhile, or it cannot be cut. Raises `OSError` when it does not open.
    """
    try:
        fd = os.open(path, _MODE | how, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, _MODE | how, 0o644)
    written = 0
    try:
        while written < len(data):
            written += os.write(fd, data[written:])
    except OSError as error:
        return _cut_back(fd, data, written), error
    finally:
        # Each byte was accepted by then; what close can still report belongs to fsync, which is not promised.
        with suppress(OSError):
            os.close(fd)
    return written, None


def replace(path: str, content: str | bytes) -> None:
    """Put `content` in the place of a file in one step; raises `OSError` and leaves the old one then."""
    beside = path + TEMPORARY
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    try:
        _, error = append(beside, data, os.O_TRUNC)
        if error is not None:
            raise error
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _cut_back(fd: int, data: bytes, written: int) -> int:
    try:
        end = os.lseek(fd, 0, os.SEEK_CUR)
        size = os.fstat(fd).st_size
        if size == end:
            os.ftruncate(fd, end - written)
    except OSError:
        return written  # the rest of the line follows at the next try
    # Others cut the file: it is not there any more. Others wrote behind it: the whole lines are there for good.
    return 0 if size <= end else data.rfind(b"\n", 0, written) + 1
