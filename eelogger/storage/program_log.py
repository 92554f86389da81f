"""Write the program's own log, one line a record."""

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Self

from .disk import OTHER
from .formats import time_text
from .writer import Writer


def quiet_libraries() -> None:
    """At DEBUG the libraries print headers and cookies: they get no lower than INFO, whatever is asked for."""
    for name in ("aiohttp", "asyncio", "websockets"):
        logging.getLogger(name).setLevel(logging.INFO)


class OneLine(logging.Formatter):
    """`time LEVEL logger: message`, with everything unprintable escaped; tracebacks follow, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without a final newline; raises nothing, also when its arguments do not fit."""
        try:
            message = record.getMessage()
        except Exception as error:
            message = f"{type(error).__name__} in the arguments of {record.msg!r:.500}"
        lines = [f"{time_text(int(record.created * 1_000_000))} {record.levelname} {record.name}: {message}"]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        return "\n    ".join(
            "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
            for line in lines
        )


class ProgramLog(logging.Handler):
    """Hands records to the writer; a context manager that attaches it, to be made in the running loop."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(OneLine())
        self._writer, self._loop, self._thread = writer, asyncio.get_running_loop(), threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record to the writer, from any thread; a logger must never fail whoever logs."""
        with suppress(Exception):
            line = OTHER, str(self._writer.paths.program_log), self.format(record) + "\n"
            if threading.get_ident() == self._thread:
                self._writer.write(*line)
            else:
                self._loop.call_soon_threadsafe(self._writer.write, *line)

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc: object) -> None:
        logging.getLogger().removeHandler(self)
