"""The terminal as the program sees it: keyboard, output, remarks, status line.

Commands write at once. What an event loop, or a thread beside it, writes goes through a thread for each device, because
a terminal that was stopped with Ctrl-S, or a full pipe, would hold up the stamps. Beyond `PENDING` text is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import io
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from concurrent.futures import Future
from typing import Final, TextIO

from ..storage.daemon_thread import DaemonThread
from .slices import encoded
from .tables import width

PIPE_COLUMNS: Final = 100  # how wide a table is where there is no terminal
REDRAW_S: Final = 1.0
PATIENCE_S: Final = 1.0  # so long a run waits for a terminal or pipe that takes nothing
PENDING: Final = 256 * 1024
_colours = re.compile(r"\x1b\[[0-9;]*m").sub


class Console:
    """Three streams, each None where it is closed; `quiet` leaves remarks out."""

    def __init__(self, keyboard: TextIO | None, out: TextIO | None, err: TextIO | None, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._keyboard, self._out, self._err = keyboard, out, err
        self._outlets: dict[object, _Outlet] = {}
        self._line, self._line_columns = "", 0
        for stream in (out, err):
            if isinstance(stream, io.TextIOWrapper):
                # a terminal that lacks a letter of a camera's name is no reason to fail.
                stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> None:
        """Text that was asked for, newlines included; raises `BrokenPipeError` when nobody reads it any more."""
        self._write_above(self._out, text)

    def write_all(self, pieces: Iterable[str]) -> None:
        """The same in pieces."""
        for piece in pieces:
            self.write(piece)

    async def write_in_slices(self, pieces: Iterable[str]) -> None:
        """The same from an event loop, which runs while the pieces are made."""
        self.write((await encoded(pieces)).decode())

    def info(self, text: str) -> None:
        """A remark, without its newline."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """What `quiet` does not leave out."""
        with contextlib.suppress(OSError):  # a terminal that was closed
            self._write_above(self._err, f"{text}\n")

    def ask(self, prompt: str) -> str:
        """A line from the keyboard or a pipe, without its end; raises `EOFError` when there is none."""
        if _is_terminal(self._keyboard):
            self._write(self._err, prompt)
        line = self._keyboard.readline() if self._keyboard else ""
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def ask_secret(self, prompt: str) -> str:
        """The same, and nobody sees what is typed."""
        return getpass.getpass(prompt) if _is_terminal(self._keyboard) else self.ask(prompt)

    def columns(self, piped: int = PIPE_COLUMNS) -> int:
        """How wide the terminal is that `write` writes to, or `piped` where it is none."""
        return _columns(self._out, piped)

    def is_terminal(self) -> bool:
        """Whether remarks go to a terminal."""
        return _is_terminal(self._err)

    def writes_to_terminal(self) -> bool:
        """Whether what was asked for goes to a terminal."""
        return _is_terminal(self._out)

    def has_terminal(self) -> bool:
        """Whether any of the streams is a terminal."""
        return any(map(_is_terminal, (self._keyboard, self._out, self._err)))

    def log_handler(self, formatter: logging.Formatter) -> logging.Handler:
        """A handler that writes records as remarks."""
        handler = _LogHandler()
        handler.console = self
        handler.setFormatter(formatter)
        return handler

    def show(self, draw: Callable[[int], str]) -> None:
        """Draw a line over the one before, for so many columns; only on a terminal, "" takes it away."""
        if not self.is_terminal() or self.quiet:
            return
        if not self._is_in_foreground():
            self._line = ""  # the shell writes there now
            return
        self._line_columns = _columns(self._err)
        text = draw(self._line_columns)
        outlet = self._err and self._outlets.get(_device(self._err))
        if not (text and outlet and outlet.pending):
            self._draw(text)

    async def keep_status_line(self, draw: Callable[[int], str]) -> None:
        """Draw the line each second until cancelled."""
        try:
            while self.is_terminal() and not self.quiet:
                self.show(draw)
                await asyncio.sleep(REDRAW_S)
        finally:
            self.show(lambda columns: "")

    def close(self) -> None:
        """Wait a bounded time until what was written is out; the last call."""
        futures.wait([outlet.last for outlet in self._outlets.values()], PATIENCE_S)

    def _draw(self, text: str) -> None:
        if text != self._line:
            with contextlib.suppress(OSError):
                self._write(self._err, _drawn(text, self._line, _columns(self._err)))
            self._line = text

    def _write_above(self, stream: TextIO | None, text: str) -> None:
        """Write where the status line is, and draw that again below."""
        line = self._line if _is_terminal(stream) and self._is_in_foreground() else ""
        if line:
            self._draw("")
        self._write(stream, text)
        # In a terminal that became narrower it would be wrapped: it waits until it is drawn anew.
        if line and _columns(self._err) >= self._line_columns:
            self._draw(line)

    def _write(self, stream: TextIO | None, text: str) -> None:
        """Write or hand over a text; raises `OSError` when nobody reads it any more."""
        if stream is None:
            return
        device, may_wait = _device(stream), _may_wait()
        if may_wait and device not in self._outlets:
            stream.write(text)
            stream.flush()
            return
        outlet = self._outlets.get(device) or self._outlets.setdefault(device, _Outlet())
        if may_wait and stream is self._out and outlet.pending >= PENDING:
            futures.wait([outlet.last])  # as in any other program nothing is dropped that was asked for
        outlet.put(stream, text)

    def _is_in_foreground(self) -> bool:
        try:
            return self._err is not None and os.tcgetpgrp(self._err.fileno()) == os.getpgrp()
        except (OSError, AttributeError):  # not our controlling terminal, or a system without process groups
            return True


class _Outlet:
    """A thread that writes to one device: two streams that lead to the same terminal keep their order."""

    def __init__(self) -> None:
        self.pending = self._dropped = 0
        self._lock = threading.Lock()
        self._thread = DaemonThread("console")
        self.last: Future[None] = self._thread.submit(lambda: None)

    def put(self, stream: TextIO, text: str) -> None:
        with self._lock:
            if self.last.done() and self.last.exception():
                raise BrokenPipeError
            if self.pending >= PENDING:
                self._dropped += 1
                return
            if self._dropped:
                text = f"({self._dropped} texts are left out here: they were not taken in time)\n{text}"
            self._dropped = 0
            self.pending += len(text)
            self.last = self._thread.submit(self._write, stream, text)

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            _write_through(stream, text)
        finally:
            with self._lock:
                self.pending -= len(text)


class _LogHandler(logging.Handler):
    console: Console

    def emit(self, record: logging.LogRecord) -> None:
        self.console.error(self.format(record))


def _write_through(stream: TextIO, text: str) -> None:
    """Write past Python's buffers: a thread that holds their lock when the process ends is a fatal error."""
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


def _device(stream: TextIO) -> object:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file
        return id(stream)
    return status.st_dev, status.st_ino


def _may_wait() -> bool:
    """Whether this is the main thread, without an event loop that runs in it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is threading.main_thread()
    return False


def _drawn(text: str, before: str, columns: int) -> str:
    """A line over the one before; the cursor waits at its beginning, however the terminal wraps it by now."""
    taken = width(_colours("", before))
    if os.name != "posix" or os.environ.get("TERM", "dumb") == "dumb":
        return f"\r{text}{' ' * (taken - width(_colours('', text)))}\r"
    # a terminal that became narrower has wrapped it: each row is erased. To erase all below would make tmux keep it.
    rows = "\x1b[K\x1b[B" * (-(-taken // columns))
    return f"\r\x1b7{rows}\x1b8{text}\x1b[K\r" if taken > columns else f"\r{text}\x1b[K\r"


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _columns(stream: TextIO | None, piped: int = PIPE_COLUMNS) -> int:
    try:
        return (stream and os.get_terminal_size(stream.fileno()).columns) or piped
    except (OSError, ValueError):  # no terminal
        return piped
