"""Hold lines, snapshots and a barrier in batches, and write batches."""

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ..measure.handler import GENERATION
from .days import move
from .line_blocks import whole_lines
from .paths import TEMPORARY, LogPaths

# A named pipe under a log's name is an error at once, not an open that waits for a reader.
_MODE: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
LINES_AT_ONCE: Final = 10_000  # lines joined for one write; bounds the memory it takes to write out a long wait

Moves = Callable[[Collection[str]], Mapping[str, str]]  # where files go, given those of lines that are still held
Lines = dict[str, list[str]]  # texts by file, in order
STREAM, DELAY, OTHER = KINDS = range(3)  # of files, in the order in which they are written


class Sink:
    """Takes whole lines, newline included; paths are in the form that `os` takes."""

    @property
    def is_behind(self) -> bool:
        """Whether what comes should wait where it came from."""
        return False

    def room(self, text: str) -> "Batch | None":
        """The batch that takes this text; None when it is refused."""
        raise NotImplementedError

    def mark(self, us: int) -> None:
        """Note that all lines of arrivals up to `us` are handed over."""
        if batch := self.room(""):
            batch.mark_us = us

    def write(self, kind: int, path: str, text: str) -> None:
        """Take lines of a file of this kind."""
        if batch := self.room(text):
            batch.files[kind].setdefault(path, []).append(text)

    def write_identity(self, text: str, path: str = "") -> None:
        """Take a line of the identity log (quoted); `path` is the delay log whose lines have to be there before."""
        if batch := self.room(text):
            batch.identities.append((path, text))


@dataclass(eq=False)
class Batch(Sink):
    """Lines by kind and file until they are on disk; `size` is their length in characters."""

    files: tuple[Lines, ...] = field(default_factory=lambda: tuple({} for _ in KINDS))
    identities: list[tuple[str, str]] = field(default_factory=list)  # each with the delay log that it waits for, or ""
    snapshots: dict[str, str | bytes] = field(default_factory=dict)
    mark_us: int = 0  # the newest moment up to which all lines are here; 0: none
    size: int = 0
    moves: Moves | None = None  # asked once the lines were tried

    def room(self, text: str) -> "Batch":
        """Itself, whatever its size."""
        self.size += len(text)
        return self

    @property
    def lines(self) -> int:
        """How many are not on disk, a record of several counted once; may be asked while the thread writes."""
        return len(self.identities) + sum(len(texts) for f in self.files for texts in [*f.values()])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.size or self.snapshots or self.moves or self.mark_us)

    def extend(self, later: "Batch") -> None:
        """Take up a later batch: what is still here goes before it."""
        for mine, theirs in zip(self.files, later.files, strict=True):
            for path, texts in theirs.items():
                mine.setdefault(path, []).extend(texts)
        self.identities += later.identities
        self.snapshots |= later.snapshots
        self.size += later.size
        self.moves = later.moves
        self.mark_us = later.mark_us or self.mark_us

    def follow(self, targets: Mapping[str, str]) -> None:
        """Let the lines that are held for files go where these go."""
        for files in self.files:
            for source in files.keys() & targets.keys():
                files.setdefault(targets[source], []).extend(files.pop(source))
        self.identities = [(targets.get(path, path), text) for path, text in self.identities]


class Disk:
    """Writes batches into one directory; what follows from a line that could not be written waits too."""

    def __init__(self, paths: LogPaths, may_write: Callable[[], bool] = lambda: True) -> None:
        self.stuck: dict[str, str] = {}  # files that are still to be moved, and where: their lines wait
        self.errors: dict[str, Exception] = {}  # what is refused now, by path, also snapshots and moves
        self.is_refused = False  # `may_write`, asked before each file, said no: nothing more was written
        self._paths, self._may_write = paths, may_write
        self._identities: int | None = None  # lines of the identity log, once they are counted

    def write(self, batch: Batch, *, retry: bool = True) -> int:
        """Write what the disk takes, then pass the barrier; without `retry` what was refused waits. Returns the µs."""
        started = time.perf_counter_ns()
        self.is_refused = False
        if retry:
            self.errors.clear()
        self._move_all()
        stream, delay, other = batch.files
        self._append_all(batch, stream)
        self._append_all(batch, delay, waiting=set(map(_delay_log_of, stream)))
        self._append_all(batch, other)
        ready = [text for path, text in batch.identities if path not in delay]
        waiting = [one for one in batch.identities if one[0] in delay]
        while ready and self._tried(os.fspath(self._paths.uuids), self._append_identities, batch, ready):
            pass
        batch.identities = [*(("", text) for text in ready), *waiting]
        for path, content in [*batch.snapshots.items()]:
            if self._tried(path, replace, path, content):
                del batch.snapshots[path]
        if batch.moves is not None:
            self._pass(batch, batch.moves)
        return (time.perf_counter_ns() - started) // 1000

    def _tried(self, path: str, call: Callable[..., object], *args: object) -> bool:
        self.is_refused = self.is_refused or not self._may_write()
        if self.is_refused or path in self.errors:
            return False
        try:
            call(*args)
        except Exception as error:
            self.errors[path] = error.with_traceback(None)  # a traceback would keep the written texts in memory
            return False
        return True

    def _append_all(self, batch: Batch, files: Lines, waiting: Collection[str] = ()) -> None:
        for path, texts in [*files.items()]:
            # Stuck moves were tried before: their paths are among the errors.
            while texts and path not in waiting and self._tried(path, _append, batch, path, texts, LINES_AT_ONCE):
                pass
            if not texts:
                del files[path]

    def _append_identities(self, batch: Batch, texts: list[str]) -> None:
        path, before = self._paths.uuids, len(texts)
        if self._identities is None:
            self._identities = sum(block.count(b"\n") for block in whole_lines(path))
        if self._identities >= GENERATION:  # `Dedup` begins a new generation at the same number
            with suppress(OSError):  # while a reader holds it open (Windows), it grows past its limit
                os.replace(path, self._paths.uuids_old)
                self._identities = 0
        _append(batch, os.fspath(path), texts, max(GENERATION - self._identities, 0) or LINES_AT_ONCE)
        self._identities += before - len(texts)

    def _move_all(self) -> None:
        for source, target in [*self.stuck.items()]:
            if self._tried(source, move, source, target):
                del self.stuck[source]

    def _pass(self, batch: Batch, moves: Moves) -> None:
        targets, held = dict[str, str](), [path for files in batch.files for path in files]
        if not self._tried(os.fspath(self._paths.root), lambda: targets.update(moves(held))):
            return  # until the moves are known, everything behind the barrier waits
        batch.follow(targets)
        # What is stuck belongs to an earlier day; but a file that missed its new name at a rename goes with this one.
        stuck = {source: targets.get(target, target) for source, target in self.stuck.items()}
        self.stuck |= targets | stuck
        self._move_all()
        batch.moves = None


def _append(batch: Batch, path: str, texts: list[str], most: int) -> None:
    text = "".join(texts[:most])
    data = text.encode("utf-8", "backslashreplace")
    rest = data[append(path, data) :].decode(errors="replace")
    texts[:most] = rest.splitlines(keepends=True)
    batch.size -= len(text) - len(rest)


def _delay_log_of(stream_path: str) -> str:
    folder, name = os.path.split(stream_path)
    return os.path.join(os.path.dirname(folder), name.removesuffix("_stream.log") + ".log")


def append(path: str, data: bytes) -> int:
    """Append whole lines, all or none: how many bytes are in the file for good; raises `OSError` when none is."""
    try:
        fd = os.open(path, _MODE, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, _MODE, 0o644)
    written = 0
    try:
        while written < len(data):
            written += os.write(fd, data[written:])
    except OSError:
        written = _cut_back(fd, data, written)
        if not written:
            raise
    finally:
        # Each byte was accepted by then; what close can still report belongs to fsync, which is not promised.
        with suppress(OSError):
            os.close(fd)
    return written


def replace(path: str, content: str | bytes) -> None:
    """Put `content` in the place of a file in one step; raises `OSError` and leaves the old one then."""
    beside = path + TEMPORARY
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    try:
        with open(beside, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
        try:
            os.replace(beside, path)
        except PermissionError:  # on Windows a reader may hold it for a moment
            time.sleep(0.05)
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
