"""The terminal as the program sees it: keyboard, output, remarks, status line; nothing holds up an event loop."""

import asyncio
import contextlib
import getpass
import io
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Final, TextIO

from ..storage.daemon_thread import DaemonThread
from .tables import cut, width

PIPE_COLUMNS: Final = 120  # how wide a table is where there is no terminal
REDRAW_S: Final = 1.0
PATIENCE_S: Final = 1.0  # so long a run waits for a terminal or pipe that takes nothing
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
        for stream in (out, err):
            if isinstance(stream, io.TextIOWrapper):  # one that lacks a letter of a camera's name is no reason to fail
                stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> None:
        """Text that was asked for, newlines included; raises `BrokenPipeError` when nobody reads it any more."""
        self._write_above(self.out, text)

    def info(self, text: str) -> None:
        """A remark, without its newline."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """What `quiet` does not leave out."""
        with contextlib.suppress(OSError):  # a terminal that was closed
            self._write_above(self.err, f"{text}\n")

    def ask(self, prompt: str) -> str:
        """A line from the keyboard or a pipe, without its end; raises `EOFError` when there is none."""
        if self._keyboard in self.terminals:
            self._write(self.err, prompt)
        line = self._keyboard.readline() if self._keyboard else ""
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def ask_secret(self, prompt: str) -> str:
        """The same, and nobody sees what is typed."""
        return getpass.getpass(prompt) if self._keyboard in self.terminals else self.ask(prompt)

    def columns(self, stream: TextIO | None = None) -> int:
        """How wide a stream's terminal is (`out`'s unless told), or `PIPE_COLUMNS` where it is none."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return os.get_terminal_size((stream or self.out).fileno()).columns or PIPE_COLUMNS  # type: ignore[union-attr]
        return PIPE_COLUMNS

    def show(self, draw: Callable[[int], str]) -> None:
        """Draw a line over the one before, for so many columns; only on a terminal, "" takes it away."""
        if self.quiet or self.err not in self.terminals:
            return
        if not self._is_in_foreground():
            self._line = ""  # the shell writes there now
            return
        text, outlet = draw(self.columns(self.err)), self.err and self._outlets.get(_device(self.err))
        if not (text and outlet and outlet.busy_s()):
            self._draw(text)

    async def keep_status_line(self, draw: Callable[[int], str]) -> None:
        """Draw the line each second until cancelled."""
        try:
            while True:
                self.show(draw)
                await asyncio.sleep(REDRAW_S)
        finally:
            self.show(lambda columns: "")

    def close(self) -> OSError | None:
        """Wait a bounded time until what was written is out; returns what `out` refused."""
        futures.wait([call for outlet in self._outlets.values() for call in outlet.calls], PATIENCE_S)
        outlet = self._outlets.get(_device(self.out)) if self.out else None
        return outlet.refused if outlet else None

    def _draw(self, text: str) -> None:
        if text != self._line:
            taken, columns = width(self._line), self.columns(self.err)
            erase, blank = "", " " * (taken - width(text))
            if taken > columns and os.name == "posix":  # a terminal that became narrower has wrapped it into rows
                rows = "\x1b[K\x1b[B" * (-(-taken // columns))
                erase, blank = f"\r\x1b7{rows}\x1b8", ""
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
        """Write or hand over a text; raises `OSError` when nobody reads it any more."""
        if stream is None:
            return
        device, may_wait = _device(stream), _may_wait()
        if may_wait and device not in self._outlets:
            stream.write(text)
            stream.flush()
            return
        outlet = self._outlets.get(device) or self._outlets.setdefault(device, _Outlet())
        if may_wait and stream is self.out:  # as in any other program nothing is dropped that was asked for
            futures.wait([*outlet.calls])
        outlet.put(stream, text)

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
    """A thread that writes to one device: two streams that lead to the same terminal keep their order."""

    def __init__(self) -> None:
        super().__init__("console")
        self._lock, self._dropped = threading.Lock(), 0
        self.refused: OSError | None = None
        self.calls: deque[futures.Future[None]] = deque()

    def put(self, stream: TextIO, text: str) -> None:
        with self._lock:
            while self.calls and self.calls[0].done():
                if self.calls.popleft().exception():
                    raise BrokenPipeError
            if len(self.calls) >= PENDING:
                self._dropped += 1
                return
            if self._dropped:
                text = f"({self._dropped} texts are left out here: they were not taken in time)\n{text}"
            self._dropped = 0
            self.calls.append(self.submit(self._write, stream, text))

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            _write_through(stream, text)
        except OSError as error:
            self.refused = error
            raise


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
    with contextlib.suppress(OSError, ValueError):  # no file
        status = os.fstat(stream.fileno())
        return status.st_dev, status.st_ino
    return id(stream)


def _may_wait() -> bool:
    """Whether this is the main thread, without an event loop that runs in it."""
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return False
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def progress(doing: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """A line about long work, told the bytes done and in all as often as one likes; at the end it is gone."""
    drawn_s = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal drawn_s
        if time.monotonic() >= drawn_s + REDRAW_S:
            drawn_s = time.monotonic()
            console.show(lambda columns: cut(f"{doing} {done / max(1, total):4.0%}", columns - 1))

    try:
        yield advance
    finally:
        console.show(lambda columns: "")
