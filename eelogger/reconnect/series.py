"""Failures in a row, told once: the first is a warning, repeats are debug, the end is one line with how long it took.

Decides at which level a failure is said; what failed and how it is worded is for the room that knows. Times are those
of the running event loop, in seconds. Invariant: however often a thing fails, and however often it seems to work again
in between, a series has one warning and one line of recovery.
"""

from __future__ import annotations

import asyncio
import logging


class Series:
    """The series that is going on, if any, of one kind of failure; `log` is the logger of the room that knows it."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._since: float | None = None
        self._recovered = False

    def failed(self, message: str, *, worked: bool = True) -> bool:
        """It failed; whether a series begins. `worked`: it had worked before, for long enough to call it that."""
        begins = self._since is None or (self._recovered and worked)
        if begins:
            self._since, self._recovered = _now(), False
        self._log.log(logging.WARNING if begins else logging.DEBUG, "%s", message)
        return begins

    def over(self, message: str) -> None:
        """It works; `message` is said with how long that took, once."""
        if self._since is not None and not self._recovered:
            self._log.warning("%s after %.1f s", message, _now() - self._since)
            self._recovered = True


def log_defect(log: logging.Logger, message: str, error: BaseException) -> None:
    """Log an exception nobody expected, with its traceback but without its text: a library's may hold headers."""
    log.error("%s", message, exc_info=(RuntimeError, RuntimeError(error.__class__.__name__), error.__traceback__))


def _now() -> float:
    return asyncio.get_running_loop().time()
