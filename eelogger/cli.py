"""The terminal: arguments in, text and exit code out. The one room that prints.

stdout carries what was asked for (tables, reports), stderr everything else. An expected failure is one message and
one hint, never a traceback; without a terminal, under cron, the same one is told once a day.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from .commands import dispatch as commands
from .commands.arguments import parser
from .errors import AlreadyRunning, DiskError, EeloggerError, UsageError
from .logdir import said
from .logdir.oplog import OneLine, quiet_libraries
from .net.lag import loop_factory
from .paths import LogPaths
from .screen.console import Console
from .service import Service
from .settings import ENV_FILE, demo, load, log_dir_of, wants_colour
from .upkeep import collector

_log = logging.getLogger(__name__)


def main(argv: Sequence[str], started_s: float | None = None) -> int:
    """Run a command; returns the exit code. `started_s` is when the process began, in seconds since 1970."""
    options = parser().parse_args(argv, argparse.Namespace(**_DEFAULTS))
    console = Console(sys.stdin, sys.stdout, sys.stderr, quiet=options.quiet)
    _log_to(console, options)
    try:
        return _command(options, console, started_s or time.time())
    except EeloggerError as error:
        _tell(error, options, console)
        return error.exit_code
    except KeyboardInterrupt:
        if console.is_terminal():
            console.complain("")  # the prompt that follows stands beside ^C otherwise
        return 0
    except BrokenPipeError:
        # `| head` has seen enough; what is still buffered goes nowhere when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


_DEFAULTS = {"log_dir": None, "env_file": ENV_FILE, "verbose": 0, "quiet": False}


def _command(options: argparse.Namespace, console: Console, started_s: float) -> int:
    if options.command is not None:
        if options.demo or options.seconds is not None:
            raise UsageError("--demo and --seconds are for a run, not for a command", "leave them out")
        return commands.run(options, console)
    run = _run_demo if options.demo else _run_account
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run(options, console, started_s))
    collector.leave()
    return 0


async def _run_account(options: argparse.Namespace, console: Console, started_s: float) -> None:
    read = partial(load, None, options.env_file, log_dir=options.log_dir)
    found = read()
    # Only once the directory is ours: a second start has nothing to say.
    warn = partial(_warn, found.warnings, LogPaths(found.log_dir), console)
    await _serve(Service(read, found, int(started_s * 1_000_000), warn), options, console, started_s)


async def _run_demo(options: argparse.Namespace, console: Console, started_s: float) -> None:
    from .simulator import Cloud, World  # only here: no run on an account needs it

    async with Cloud(World.demo(), traffic=True) as cloud:
        made_up = demo(cloud.base_url, cloud.account_id, cloud.auth_key, options.log_dir)
        console.tell(f"demo cloud: {made_up.log_dir} gets the files; look with: tail -F {made_up.log_dir}/*.log")
        service = Service(lambda: made_up, made_up, int(started_s * 1_000_000))
        await _serve(service, options, console, started_s)


async def _serve(service: Service, options: argparse.Namespace, console: Console, started_s: float) -> None:
    """Run until a signal or the time is up, then print the closing table."""
    loop = asyncio.get_running_loop()
    _on_signals(loop, service, console)
    if options.seconds is not None:
        loop.call_later(max(0.0, started_s + options.seconds - time.time()), service.stop)
    drawing = asyncio.create_task(console.keep_status_line(service.glance, colour=wants_colour()), name="status line")
    shows = not options.quiet
    try:
        await service.run()
    except EeloggerError:
        worked = service.worked_s >= said.WORKED_S
        if worked:
            said.forget(service.paths)
        # Without a terminal a run that never worked says what is wrong, and no more.
        shows = shows and (worked or console.has_terminal())
        raise
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])
        if shows:
            _close(service, console)
    said.forget(service.paths)


def _warn(warnings: Iterable[str], paths: LogPaths, console: Console) -> None:
    """Say what is odd about the settings; under cron once a day, in the program's log each time."""
    for warning in warnings:
        news = console.is_terminal() or said.is_news(paths, said.WARNING + warning, time.time())
        _log.log(logging.WARNING if news else logging.INFO, "%s", warning)


def _close(service: Service, console: Console) -> None:
    """Print the closing table, unless the terminal or pipe is gone."""
    with contextlib.suppress(OSError):
        console.write_all(service.closing())


def _on_signals(loop: asyncio.AbstractEventLoop, service: Service, console: Console) -> None:
    """SIGTERM and Ctrl-C stop; a closed terminal does too, where there was one; SIGUSR1 prints the closing table."""
    actions: dict[str, Callable[[], object]] = {
        "SIGTERM": service.stop,
        "SIGINT": service.stop,
        "SIGHUP": service.stop if console.has_terminal() else lambda: None,
        "SIGUSR1": lambda: _close(service, console),
    }
    for name, action in actions.items():
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_, action=action: loop.call_soon_threadsafe(action))


def _log_to(console: Console, options: argparse.Namespace) -> None:
    quiet_libraries()
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    handler = console.log_handler(OneLine())
    levels = {0: logging.WARNING, 1: logging.INFO}
    handler.setLevel(logging.ERROR if options.quiet else levels.get(options.verbose, logging.DEBUG))
    root.addHandler(handler)


def _tell(error: EeloggerError, options: argparse.Namespace, console: Console) -> None:
    """One message and one hint; under cron only if it is news."""
    if not console.is_terminal() and not _is_news(error, options):
        return
    console.complain(f"eelogger: {error}")
    if error.hint:
        console.complain(f"  hint: {error.hint}")


def _is_news(error: EeloggerError, options: argparse.Namespace) -> bool:
    if options.command is not None or error.exit_code == 2:
        return True
    paths = LogPaths(log_dir_of(None, options.env_file, options.log_dir))
    if isinstance(error, AlreadyRunning):
        # The other process works: nothing to tell. One that hangs is told once an hour.
        return bool(error.stale_s) and said.is_news(paths, "hangs", time.time(), said.HOUR_S)
    # How many lines a full disk cost differs each time; that it is full does not.
    what = type(error).__name__ if isinstance(error, DiskError) else str(error)
    return said.is_news(paths, f"{error.exit_code} {what}", time.time())
