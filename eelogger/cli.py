"""Turn arguments into a run or a command, its text and its exit code."""

import argparse
import asyncio
import errno
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

from . import STARTED_S, __version__
from .commands import seconds
from .errors import AlreadyRunning, DiskError, EeloggerError, SettingsError, UsageError
from .settings import ENV_FILE, PROGRAM, ROOT, Settings, demo_settings, load, log_dir_of
from .storage import state
from .storage.paths import LogPaths
from .storage.program_log import OneLine, quiet_libraries
from .views.console import Console, LogHandler
from .views.snapshots import encoded
from .views.status_line import event_heading, event_line, status_line
from .views.summary import closing_table

# Each name is a module in `commands`; with these texts `--help` need not import it.
COMMANDS: Final = {
    "check": "test everything that a run needs",
    "login": "log in and write branding, account id and key to .env",
    "watch": "show a running logger's events, one short line each",
    "status": "print one line about a running logger, with the exit codes of monitoring plugins",
    "report": "show the figures of a period: tables, CSV, JSON, a page with plots, evidence",
    "audit": "show what the cloud recorded and never delivered, by camera and hour",
    "replay": "judge stream logs anew, into a new log directory",
}

# Errors of the current directory and of standard output: neither has a file's name.
_NAMELESS: Final = (None, errno.ENOENT, errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
UNKNOWN: Final = 3  # what `status` exits with on any error: a monitoring system reads 2, usage, as CRITICAL

_EPILOG: Final = """exit codes:
  0 stopped as asked               69 no camera to log; a command cannot reach the cloud
  1 audit: an event never arrived  74 the disk cannot be written
  2 usage                          75 another logger already uses this directory
  66 nothing to show or compare    77 key, login or certificate refused
  70 check --self-test: wrong      78 settings
  status: 0, 1, 2 or 3 as monitoring plugins; any command: 130 after Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    command = next(filter(COMMANDS.__contains__, argv), "")  # known before parsing, which may fail or be interrupted
    # A file opened later must not get the number of a closed stream: whatever prints there would write into it.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # stderr
        pass
    os.close(fd)
    console = Console(sys.stdin, sys.stdout, sys.stderr)
    options = argparse.Namespace(log_dir=None, env_file=ENV_FILE, verbose=0, quiet=False, command="", run=_log_events)
    try:
        parser(argv).parse_args(argv, options)
        console.quiet = options.quiet
        quiet_libraries()
        handler = LogHandler(logging.ERROR if console.quiet else logging.WARNING - 10 * min(options.verbose, 2))
        handler.console = console
        handler.setFormatter(OneLine())
        logging.basicConfig(level=logging.DEBUG, handlers=[handler])
        if options.command and (options.demo or options.events or options.seconds is not None):
            raise UsageError("--demo, --events and --seconds are for a run, not for a command", "leave them out")
        return int(options.run(options, console))
    except SystemExit as end:  # argparse has said what is wrong, or shown its help
        options.command = command
        code = UsageError.exit_code if end.code else 0
    except EeloggerError as error:
        code = error.exit_code
        if _is_told(error, options, console):
            console.error(f"eelogger: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""))
    except KeyboardInterrupt:
        if console.err in console.terminals:
            console.error("")  # the prompt that follows stands beside ^C otherwise
        return 130 if command else 0  # with 0 a command that follows with && would begin
    except OSError as error:
        if error.filename is not None or error.errno not in _NAMELESS:
            raise
        code = _explain(error, console)
    finally:
        if refused := console.close():
            _explain(refused, console)
            console.close()
    return UNKNOWN if code and options.command == "status" else code


def _explain(error: OSError, console: Console) -> int:
    """Say what is wrong with the current directory or standard output; returns the exit code."""
    if error.errno == errno.ENOENT:
        console.error("eelogger: the current directory was removed\n  hint: give an absolute --log-dir")
        return UsageError.exit_code
    # What is still buffered goes nowhere when the interpreter flushes it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno in (None, errno.EPIPE):  # a reader such as `head` that has seen enough
        return 0
    console.error(f"eelogger: standard output cannot be written: {error.strerror}")
    return DiskError.exit_code


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The command line; of the commands only those that stand in `argv` are imported and have arguments."""
    root = str(ROOT).replace("%", "%%")
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--log-dir", type=Path, metavar="DIR", help=f"where the files are (default: logs in {root})")
    shared.add_argument("--env-file", type=Path, metavar="FILE", help=f"settings file (default: .env in {root})")
    shared.add_argument("-v", "--verbose", action="count", help="say more on stderr; -vv says everything")
    shared.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Logs how late the Eagle Eye cloud delivers camera events: delay = arrival - the event's own "
        f"timestamp.\nTry it without an account: {PROGRAM} --demo --seconds 20",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    top.add_argument("--version", action="version", version=f"eelogger {__version__}")
    top.add_argument("--demo", action="store_true", help="log an embedded demo cloud instead of an account")
    top.add_argument("--seconds", type=seconds, metavar="N", help="stop after N seconds, counted from the start")
    top.add_argument("--events", action="store_true", help="print each first-seen event, as watch does")
    commands = top.add_subparsers(metavar="COMMAND")
    for name, text in COMMANDS.items():
        added = commands.add_parser(name, parents=[shared], help=text, description=text[0].upper() + text[1:] + ".")
        if name in argv:
            module = import_module(f".commands.{name}", __package__)
            module.add_arguments(added)
            added.set_defaults(command=name, run=module.run)
    return top


def _log_events(options: argparse.Namespace, console: Console) -> int:
    from .cloud import loop_delay

    read = partial(load, options.env_file, options.log_dir)
    loop_delay.run(_log_demo(options, console) if options.demo else _serve(read, options, console))
    return 0


async def _log_demo(options: argparse.Namespace, console: Console) -> None:
    from .simulator import Account, Cloud

    # With this seed each camera and a long delay are seen within 20 s.
    async with Cloud(Account.of(cameras=12, rate=8.0, seed=320)) as cloud:
        settings = demo_settings(cloud.environ, options.log_dir)
        place = shlex.quote(str(settings.log_dir))
        console.info(f"demo cloud: {settings.log_dir} gets the files; look with: tail -F {place}/*_????????.log")
        # The demo's key is the same for all and opens nothing but a demo on this machine.
        reach = " ".join(f"{name}={value}" for name, value in cloud.environ.items())
        audit = f"{PROGRAM} audit --until now --log-dir {place} --env-file {os.devnull}"
        console.info(f"to find the events it never delivers, while it runs: {reach} {audit}")
        await _serve(lambda: settings, options, console)


async def _serve(read: Callable[[], Settings], options: argparse.Namespace, console: Console) -> None:
    """Run until a signal or the end of `--seconds`; print the closing table."""
    from .run import Run

    settings = read()
    run = Run(settings, load=read, started_us=int(STARTED_S * 1_000_000))
    paths = run.parts.paths
    shows_events = options.events or (options.demo and console.out in console.terminals and not options.quiet)

    def write(text: str) -> None:
        with suppress(OSError):  # nobody reads it any more
            console.write(text)

    def begin() -> None:  # a second start has nothing to say
        for warning in settings.warnings if console.quiet else ():  # without -q the program's own log shows it
            if console.terminals or state.is_news(paths, warning, time.time()):
                console.error(f"eelogger: {warning}")
        if shows_events:
            write(event_heading(console.columns()))

    def draw(columns: int) -> str:
        return status_line(shown, columns) if (shown := run.state()) else ""

    async def print_table() -> None:
        if shown := run.state():
            columns = console.columns() if console.out in console.terminals else 0
            write((await encoded(closing_table(shown, columns))).decode())

    run.on_begun = begin
    if shows_events:
        run.on_event = lambda verdict, name: write(event_line(verdict, name, console.columns()))
    _on_signals(run.stop, print_table, has_terminal=bool(console.terminals))
    if options.seconds is not None:
        asyncio.get_running_loop().call_later(STARTED_S + options.seconds - time.time(), run.stop)
    drawing = asyncio.create_task(console.keep_status_line(draw), name="status line")
    has_worked = False
    try:
        await run.run()
        has_worked = True
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])
        # What ends a run of an hour is news, and still one mail an hour at most.
        has_worked = has_worked or time.time() - STARTED_S >= state.HOUR_S
        if not options.quiet and (has_worked or console.terminals):
            await print_table()
        if has_worked:
            state.forget(paths, settings.warnings)


def _on_signals(stop: Callable[[], None], print_table: Callable[[], Awaitable[None]], *, has_terminal: bool) -> None:
    """SIGTERM and Ctrl-C stop; a closed terminal does too, where there was one; SIGUSR1 prints the closing table."""
    loop, tables = asyncio.get_running_loop(), set[asyncio.Future[None]]()
    actions: dict[str, Callable[[], object]] = {
        "SIGTERM": stop,
        "SIGINT": stop,
        "SIGHUP": stop if has_terminal else lambda: None,
        "SIGUSR1": lambda: tables.add(asyncio.ensure_future(print_table())),
    }
    for name, action in actions.items():
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):  # nohup
            continue
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_, action=action: loop.call_soon_threadsafe(action))


def _is_told(error: EeloggerError, options: argparse.Namespace, console: Console) -> bool:
    """Whether this error is printed. Under cron each directory and reason has one a day."""
    if not console.quiet or console.terminals or options.command or options.demo:
        return True
    if error.reason == AlreadyRunning.reason:
        return False  # the other process works: nothing to tell
    paths = LogPaths(log_dir_of(options.env_file, options.log_dir))
    names = [problem.name for problem in error.problems] if isinstance(error, SettingsError) else []
    every_s = state.HOUR_S if isinstance(error, AlreadyRunning) else state.DAY_S
    return state.is_news(paths, " ".join([str(error.exit_code), error.reason, *names]), time.time(), every_s)
