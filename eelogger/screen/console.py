"""The terminal as the program sees it: where text goes, where answers come from, and the status line in between.

Works on the streams it is given; which text, and when, is decided by `cli` and the commands. Invariant: whatever is
written to a terminal is written where the status line was, and that is drawn again below it.
"""

from __future__ import annotations

import contextlib
import getpass
import io
import logging
import os
from collections.abc import Callable, Iterable
from typing import Final, TextIO

from .terminal import AboveLine, Glance, StatusLine, keep, status_line

PIPE_COLUMNS: Final = 100
"""How wide a table is where there is no terminal."""


class Console:
    """Three streams: the keyboard, what was asked for (`out`), and remarks (`err`), which `quiet` leaves out."""

    def __init__(self, keyboard: TextIO, out: TextIO, err: TextIO, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._keyboard = keyboard
        self._out = out
        self._err = err
        self._line = StatusLine(self._draw)
        if isinstance(out, io.TextIOWrapper):
            # A terminal that lacks a letter of a camera's name is no reason to fail.
            out.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> None:
        """Text that was asked for, newlines included, at once."""
        self.write_all([text])

    def write_all(self, pieces: Iterable[str]) -> None:
        """The same in pieces."""
        with self._line.aside():
            self._out.writelines(pieces)
            self._out.flush()

    def tell(self, text: str) -> None:
        """A remark, without its newline."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """What `quiet` does not leave out."""
        with self._line.aside():
            self._err.write(f"{text}\n")
            self._err.flush()

    def ask(self, prompt: str) -> str:
        """A line from the keyboard or a pipe, without its end; raises `EOFError` when there is none."""
        if self._keyboard.isatty():
            self._draw(prompt)
        line = self._keyboard.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def ask_secret(self, prompt: str) -> str:
        """The same, and nobody sees what is typed."""
        return getpass.getpass(prompt) if self._keyboard.isatty() else self.ask(prompt)

    def show(self, draw: Callable[[int], str]) -> None:
        """Draw a line over the one before, for so many columns; only on a terminal, and "" takes it away."""
        if self.is_terminal() and not self.quiet:
            if text := draw(_columns(self._err)):
                self._line.show(text)
            else:
                self._line.clear()

    def columns(self, piped: int = PIPE_COLUMNS) -> int:
        """How wide the terminal is that `write` writes to, or what is to be taken where it is none."""
        return _columns(self._out, piped)

    def is_terminal(self) -> bool:
        """Whether remarks go to a terminal."""
        return self._err.isatty()

    def has_terminal(self) -> bool:
        """Whether any of the streams is a terminal."""
        return any(stream is not None and stream.isatty() for stream in (self._keyboard, self._out, self._err))

    def log_handler(self, formatter: logging.Formatter) -> logging.Handler:
        """A handler that writes records as remarks."""
        inner = logging.StreamHandler(self._err)
        inner.setFormatter(formatter)
        return AboveLine(inner, self._line)

    async def keep_status_line(self, glance: Callable[[], Glance | None], *, colour: bool) -> None:
        """Keep the status line up to date until cancelled; nothing where remarks go to no terminal."""
        if self.is_terminal() and not self.quiet:
            await keep(self._line, glance, lambda seen: status_line(seen, _columns(self._err), colour=colour))

    def _draw(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed
            self._err.write(text)
            self._err.flush()


def _columns(stream: TextIO, piped: int = PIPE_COLUMNS) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or piped
    except (OSError, ValueError):  # no terminal
        return piped
