"""Where the program writes: the terminal, which holds up no event loop, and files asked for by name."""

import asyncio
import contextlib
import getpass
import io
import logging
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from ..errors import DiskError
from ..storage.daemon_thread import DaemonThread
from ..storage.paths import TEMPORARY
from .text import cut, printable, width

STDOUT: Final = Path("-")
PIPE_COLUMNS: Final = 120  # how wide a table is where there is no terminal
PENDING: Final = 1000  # so many texts wait for a device, others are dropped


class Console:
    """Three streams, each None where it is closed; `quiet` leaves remarks out, `terminals` are those on a terminal."""

    def __init__(self, keyboard: TextIO | None, out: TextIO | None, err: TextIO | None) -> None:
        self.quiet = False
        self.out, self.err = out, err
        self.terminals = [stream for stream in (keyboard, out, err) if stream and stream.isatty()]
        self._keyboard = keyboard
        self._outlets: dict[object, _Outlet] = {}
        self._line = ""
        self._waits = True
        for stream in (out, err):
            if isinstance(stream, io.TextIOWrapper):  # one that lacks a letter of a camera's name is no reason to fail
                stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> None:
        """Text that was asked for, newlines included; `OSError` when nobody takes it, but not in a run."""
        self._write_above(self.out, text)

    def info(self, text: str) -> None:
        """A remark, without its newline."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """What `quiet` does not leave out."""
        with contextlib.suppress(OSError):  # a terminal that was closed
            self._write_above(self.err, f"{text}\n")

    def ask(self, prompt: str, *, is_secret: bool = False) -> str:
        """A line from the keyboard or a pipe, without its end; raises `EOFError` when there is none."""
        if is_secret and self._keyboard in self.terminals:
            return getpass.getpass(prompt)
        if self._keyboard in self.terminals:
            self._write(self.err, prompt)
        line = self._keyboard.readline() if self._keyboard else ""
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def columns(self, stream: TextIO | None = None) -> int:
        """The width of a stream's terminal, or `PIPE_COLUMNS`. The default stream is `out`."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return os.get_terminal_size((stream or self.out).fileno()).columns or PIPE_COLUMNS  # type: ignore[union-attr]
        return PIPE_COLUMNS

    def show(self, text: str) -> None:
        """Draw a line over the one before, only on a terminal; "" takes it away."""
        if self.quiet or self.err is None or self.err not in self.terminals:
            return
        if not self._is_in_foreground():
            self._line = ""  # the shell writes there now
        elif not text or self._waits or not self._outlet(self.err).busy_s():
            self._draw(cut(text, self.columns(self.err) - 1))

    async def keep_status_line(self, draw: Callable[[int], str]) -> None:
        """Draw the line each second, for so many columns, until cancelled. From now on nothing waits for a stream."""
        self._waits = False  # what a terminal or pipe does not take would hold up the stamps of a run
        try:
            while not self.quiet and self.err in self.terminals:
                self.show(draw(self.columns(self.err)))
                await asyncio.sleep(1.0)
        finally:
            self.show("")

    def close(self) -> OSError | None:
        """Wait at most a second until all output is written. Returns the error of `out`."""
        futures.wait([call for outlet in self._outlets.values() for call in outlet.calls], timeout=1.0)
        return self._outlet(self.out).refused if self.out and self._outlets else None

    def _draw(self, text: str) -> None:
        if text != self._line:
            taken = width(self._line)
            erase, blank = "", " " * (taken - width(text))
            if taken > self.columns(self.err):  # a terminal that became narrower has wrapped it into rows
                erase, blank = "\r\x1b[J", ""
            with contextlib.suppress(OSError):
                self._write(self.err, f"{erase}\r{text}{blank}\r")
            self._line = text

    def _write_above(self, stream: TextIO | None, text: str) -> None:
        """Write where the status line is, and draw that again below."""
        line = self._line
        if stream in self.terminals and self._is_in_foreground():
            self._draw("")
        self._write(stream, text)
        if width(line) < self.columns(self.err):  # else it would be wrapped: it waits until it is drawn anew
            self._draw(line)

    def _write(self, stream: TextIO | None, text: str) -> None:
        if stream is not None and self._waits:
            stream.write(text)
            stream.flush()
        elif stream is not None:
            self._outlet(stream).put(stream, text)

    def _outlet(self, stream: TextIO) -> "_Outlet":
        device = "terminal" if stream in self.terminals else stream
        return self._outlets.get(device) or self._outlets.setdefault(device, _Outlet())

    def _is_in_foreground(self) -> bool:
        # else it is not our controlling terminal, or a system without process groups.
        with contextlib.suppress(OSError, AttributeError):
            return self.err is not None and os.tcgetpgrp(self.err.fileno()) == os.getpgrp()
        return True


class LogHandler(logging.Handler):
    """Write log records as remarks."""

    console: Console

    def emit(self, record: logging.LogRecord) -> None:
        self.console.error(self.format(record))


class _Outlet(DaemonThread):  # a terminal that was stopped with Ctrl-S, or a full pipe, would hold up the stamps
    """A thread that writes to one stream. Two that lead to one terminal share it, to keep their order."""

    def __init__(self) -> None:
        super().__init__("console")
        self._lock, self._dropped = threading.Lock(), 0
        self.refused: OSError | None = None
        self.calls: deque[futures.Future[None]] = deque()

    def put(self, stream: TextIO, text: str) -> None:
        with self._lock:
            while self.calls and self.calls[0].done():
                self.calls.popleft()
            if len(self.calls) >= PENDING:
                self._dropped += 1
                return
            if self._dropped:
                text = f"({self._dropped} texts are left out here: they were not taken in time)\n{text}"
            self._dropped = 0
            self.calls.append(self.submit(self._write, stream, text))

    def _write(self, stream: TextIO, text: str) -> None:
        """Write past Python's buffers: a thread that holds their lock when the process ends is a fatal error."""
        try:
            if os.name != "posix" or not isinstance(stream, io.TextIOWrapper):
                stream.write(text)
                stream.flush()
                return
            data = memoryview(text.encode(stream.encoding, "backslashreplace"))
            while data:
                try:
                    data = data[os.write(stream.fileno(), data) :]
                except BlockingIOError:  # another process that shares the terminal made it so
                    time.sleep(0.02)
        except OSError as error:
            self.refused = error


@contextlib.contextmanager
def progress(doing: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of long work in one line. It is told what is done and what there is in all."""
    try:
        yield lambda done, total: console.show(f"{doing} {done / max(1, total):4.0%}")
    finally:
        console.show("")


@contextlib.contextmanager
def output_file(path: Path, write_out: Callable[[str], object]) -> Iterator[Callable[[Iterable[str]], None]]:
    """Replace an ordinary file by all that is put, or leave it; `-` leads to `write_out`. Raises `DiskError`."""
    if path == STDOUT:
        yield partial(_put, path, write_out)
        return
    target, beside, mode = path, path, "w"
    with _disk_errors(path):
        if path.is_file() or not path.exists():  # nothing but an ordinary file is ever replaced
            target = Path(os.path.realpath(path))  # through a link, which stays one
            beside, mode = target.with_name(f"{target.name}.{os.getpid()}{TEMPORARY}"), "x"
        file = open(beside, mode, encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
        if mode == "x" and target.exists():
            shutil.copymode(target, beside)
    try:
        yield partial(_put, path, file.write)
        with _disk_errors(path):
            file.close()
            if beside != target:
                os.replace(beside, target)
    finally:
        with contextlib.suppress(OSError):
            file.close()
        if beside != target:
            beside.unlink(missing_ok=True)


def _put(path: Path, write: Callable[[str], object], pieces: Iterable[str]) -> None:
    with _disk_errors(path):
        for piece in pieces:
            write(piece)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"{printable(str(path))} cannot be written: {error.strerror or error}"
        raise DiskError(message, "give a file in a directory that exists, may be written and has room") from None
