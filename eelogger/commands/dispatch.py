"""The commands beside a run: from options to text and an exit code.

Decides what each command is given and what its end means; what it does is the room's of its name, how text reaches a
person the console's. Invariant: no command here takes the log directory's lock.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from ..clock import now_us
from ..errors import LoginRefused
from ..paths import LogPaths
from ..settings import log_dir_of

UNKNOWN = 3
"""What a monitoring plugin answers to a question it does not understand."""


class Console(Protocol):
    """Where text goes and answers come from."""

    def write(self, text: str) -> object:
        """Text that was asked for, newlines included, at once."""

    def tell(self, text: str) -> object:
        """A remark beside it, without its newline."""

    def show(self, draw: Callable[[int], str]) -> object:
        """A line over the one before, drawn for so many columns; "" takes it away."""

    def ask(self, prompt: str) -> str:
        """A person's answer; raises `EOFError` when there is none."""

    def ask_secret(self, prompt: str) -> str:
        """An answer that is not shown."""

    def columns(self, piped: int = ...) -> int:
        """How wide the terminal is that `write` writes to."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Do what `options.command` says; returns the exit code, raises `EeloggerError`."""
    commands: dict[str, Callable[[argparse.Namespace, Console], int]] = {
        "check": _check,
        "login": _login,
        "replay": _replay,
        "report": _report,
        "status": _status,
        "watch": _watch,
    }
    return commands[options.command](options, console)


def _login(options: argparse.Namespace, console: Console) -> int:
    from .login import log_in

    # asyncio's own handler would wait for the answer to the question that is open.
    signal.signal(signal.SIGINT, _break_off)
    try:
        lines = asyncio.run(log_in(options.env_file, options.log_dir, console, console.tell))
    except KeyboardInterrupt:
        # Not 0: a command that would follow with && has no key.
        raise LoginRefused("the login was broken off", "nothing was written; start it again") from None
    _write_lines(console, lines)
    return 0


def _break_off(*_: object) -> None:
    raise KeyboardInterrupt


def _check(options: argparse.Namespace, console: Console) -> int:
    if options.self_test:
        from .selftest import self_test

        console.tell("measuring known delays; this takes some ten seconds")
        sound, lines = asyncio.run(self_test())
        _write_lines(console, lines)
        return 0 if sound else 70
    from .check import check
    from .findings import exit_code, report

    console.tell("checking; this takes some seconds")
    findings = asyncio.run(check(options.env_file, options.log_dir))
    _write_lines(console, report(findings))
    return exit_code(findings)


def _watch(options: argparse.Namespace, console: Console) -> int:
    from .watch import Choice, watch

    min_delay_us = None if options.min_delay is None else round(options.min_delay * 1_000_000)
    choice = Choice(tuple(options.camera or ()), min_delay_us)
    watch(_paths(options), choice, options.lines, write=console.write, tell=console.tell, columns=console.columns)
    return 0


def _status(options: argparse.Namespace, console: Console) -> int:
    from .limits import parse_limits
    from .status import status

    try:
        warn, crit = parse_limits(options.warn or ()), parse_limits(options.crit or ())
    except ValueError as wrong:
        console.write(f"EELOGGER UNKNOWN - {wrong}\n")
        return UNKNOWN
    code, line = status(_paths(options), warn, crit, now_us())
    console.write(f"{line}\n")
    return code


def _report(options: argparse.Namespace, console: Console) -> int:
    from .report import run

    return run(options, console)


def _replay(options: argparse.Namespace, console: Console) -> int:
    from .replay import run

    return run(options, console)


def _paths(options: argparse.Namespace) -> LogPaths:
    return LogPaths(log_dir_of(None, options.env_file, options.log_dir))


def _write_lines(console: Console, lines: Iterable[str]) -> None:
    console.write("".join(f"{line}\n" for line in lines))
