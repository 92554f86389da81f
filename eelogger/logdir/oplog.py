"""The program's own log: `eelogger.log` through the writer, one line a record, nothing that could forge another.

Who says what at which level is each room's; here is only where it goes. Secrets never reach it, because no room puts
one into a message and the libraries' own DEBUG lines, which would, are not taken.
"""

from __future__ import annotations

import asyncio
import logging
import threading

from ..text.tables import printable
from ..text.times import time_text
from ..writer import Writer

_LIBRARIES = ("aiohttp", "asyncio", "websockets")


def quiet_libraries() -> None:
    """At DEBUG the libraries print headers and cookies: they get no lower than INFO, whatever is asked for."""
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.INFO)


class OneLine(logging.Formatter):
    """`time LEVEL logger: message`, with everything unprintable escaped; tracebacks follow, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without a final newline."""
        message = printable(record.getMessage())
        text = f"{time_text(int(record.created * 1_000_000))} {record.levelname} {record.name}: {message}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            text += "".join(f"\n    {printable(line)}" for line in trace)
        return text


class ProgramLog(logging.Handler):
    """Hands records to the writer; an async context's companion: attach it while the writer is open."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(OneLine())
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record to the writer; libraries log from other threads too."""
        path, text = self._writer.paths.program_log, self.format(record) + "\n"
        if threading.get_ident() == self._thread:
            self._writer.append(path, text)
        else:
            self._loop.call_soon_threadsafe(self._writer.append, path, text)

    def __enter__(self) -> ProgramLog:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc: object) -> None:
        logging.getLogger().removeHandler(self)
