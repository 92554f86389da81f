"""Turn the arguments into a run or a command, its text and its exit code.

stdout carries what was asked for, stderr everything else. An expected failure is a message and a hint, no traceback.
"""

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

from . import __version__
from .commands import seconds
from .errors import AlreadyRunning, DiskError, EeloggerError, SettingsError, UsageError
from .model import Verdict
from .settings import ENV_FILE, PROGRAM, ROOT, Settings, demo_settings, load, log_dir_of
from .storage import state
from .storage.paths import LogPaths
from .storage.program_log import OneLine, quiet_libraries
from .views.console import Console, LogHandler
from .views.snapshots import encoded
from .views.status_line import event_heading, event_line, status_line
from .views.summary import closing_table

# Each is the module of its name; the texts are for `--help`, which need not import them.
COMMANDS: Final = {
    "check": "test everything a run needs, print what was found",
    "login": "log in and write branding, account id and key to .env",
    "watch": "show a running logger's events, one short line each",
    "status": "one line about a running logger, exit code as monitoring plugins",
    "report": "the figures of a period: tables, CSV, JSON, a page with plots, evidence",
    "audit": "what the cloud recorded and never delivered, by camera and hour",
    "replay": "judge stream logs anew, into a new log directory",
}

UNKNOWN: Final = 3  # what `status` exits with on any error: a monitoring system reads 2, usage, as CRITICAL
# A run that was connected for so long worked: what ends it is news, and still one mail an hour at most.
WORKED_S: Final = 3_600

_EPILOG: Final = """exit codes:
  0 stopped as asked     2 usage                66 nothing to show
  69 no camera to log    74 disk                75 another process has this log directory
  77 key or certificate refused                 78 settings
  check --self-test: 70 when the figures are wrong; status: 0, 1, 2 or 3 as monitoring plugins
  any command: 130 when broken off with Ctrl-C
"""


def command() -> int:
    """Run as the installed command `eelogger`."""
    return main(sys.argv[1:], time.time())


def main(argv: Sequence[str], started_s: float) -> int:
    """Run a command; returns the exit code. `started_s` is when the process began, in seconds since 1970."""
    # A file opened later must not get the number of a closed stream: whatever prints there would write into it.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # stderr
        pass
    os.close(fd)
    console = Console(sys.stdin, sys.stdout, sys.stderr)
    options = argparse.Namespace(log_dir=None, env_file=ENV_FILE, verbose=0, quiet=False, command="")
    options.run = partial(_log_events, started_s=started_s)
    try:
        parser(argv).parse_args(argv, options)
        console.quiet = options.quiet
        quiet_libraries()
        handler = LogHandler()
        handler.console = console
        handler.setFormatter(OneLine())
        handler.setLevel(logging.ERROR if console.quiet else logging.WARNING - 10 * min(options.verbose, 2))
        logging.basicConfig(level=logging.DEBUG, handlers=[handler])
        if options.command and (options.demo or options.events or options.seconds is not None):
            raise UsageError("--demo, --events and --seconds are for a run, not for a command", "leave them out")
        try:
            (options.log_dir or Path()).absolute()
        except OSError:
            raise UsageError("the current directory was removed", "give an absolute --log-dir") from None
        return int(options.run(options, console))
    except SystemExit as end:  # argparse has said what is wrong, or shown its help
        name = next(filter(COMMANDS.__contains__, argv), "")
        return 0 if not end.code else UNKNOWN if name == "status" else UsageError.exit_code
    except EeloggerError as error:
        if _is_told(error, options, console):
            console.error(f"eelogger: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""))
        return UNKNOWN if options.command == "status" else error.exit_code
    except KeyboardInterrupt:
        if console.err in console.terminals:
            console.error("")  # the prompt that follows stands beside ^C otherwise
        return 130 if options.command else 0  # with 0 a command that follows with && would begin
    except BrokenPipeError:
        # `| head` has seen enough; what is still buffered goes nowhere when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        console.error(f"eelogger: standard output cannot be written: {error.strerror}")
        return UNKNOWN if options.command == "status" else DiskError.exit_code
    finally:
        console.close()


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The command line; of the commands only those that stand in `argv` are imported and have arguments."""
    root = str(ROOT).replace("%", "%%")
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--log-dir", type=Path, metavar="DIR", help=f"where the files are (default: logs in {root})")
    shared.add_argument("--env-file", type=Path, metavar="FILE", help=f"settings file (default: .env in {root})")
    shared.add_argument("-v", "--verbose", action="count", help="say more on stderr; twice: everything")
    shared.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Logs how late the Eagle Eye cloud delivers camera events: delay = arrival - the event's own "
        f"timestamp. Without an account: {PROGRAM} --demo --seconds 20",
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


def _log_events(options: argparse.Namespace, console: Console, *, started_s: float) -> int:
    from .cloud.loop_delay import loop_factory

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        if options.demo:
            runner.run(_log_demo(options, console, started_s))
        else:
            read = partial(load, None, options.env_file, log_dir=options.log_dir)
            runner.run(_serve(read(), read, options, console, started_s))
    return 0


async def _log_demo(options: argparse.Namespace, console: Console, started_s: float) -> None:
    from .simulator import Account, Cloud

    # With this seed each camera and a long delay are seen within 20 s.
    async with Cloud(Account.of(cameras=12, rate=8.0, seed=320, swallowed=200)) as cloud:
        settings = demo_settings(cloud.base_url, cloud.account_id, cloud.auth_key, options.log_dir)
        console.info(f"demo cloud: {settings.log_dir} gets the files; look with: tail -F {settings.log_dir}/*.log")
        # The demo's key is the same for all and opens nothing but a demo on this machine.
        reach = f"EEN_BASE_URL={cloud.base_url} EEN_ACCOUNT_ID={cloud.account_id} EEN_AUTH_KEY={cloud.auth_key}"
        audit = f"{PROGRAM} audit --until now --log-dir {shlex.quote(str(settings.log_dir))} --env-file {os.devnull}"
        console.info(f"to find the events it never delivers, while it runs: {reach} {audit}")
        await _serve(settings, lambda: settings, options, console, started_s)


async def _serve(
    settings: Settings, read: Callable[[], Settings], options: argparse.Namespace, console: Console, started_s: float
) -> None:
    """Run until a signal or the time is up, then print the closing table."""
    from .run import Run

    run = Run(settings, load=read, started_us=int(started_s * 1_000_000))
    paths = run.parts.paths

    def warn() -> None:  # without -q the program's own log shows it
        for warning in settings.warnings if console.quiet else ():
            if console.terminals or state.is_news(paths, warning, time.time()):
                console.error(f"eelogger: {warning}")

    def draw(columns: int) -> str:
        state = run.state()
        return status_line(state, columns) if state else ""

    async def print_table() -> None:
        if state := run.state():
            with suppress(OSError):  # the terminal or pipe is gone
                console.write((await encoded(closing_table(state))).decode())

    run.on_begun = warn  # a second start has nothing to say
    if options.events or (options.demo and console.out in console.terminals and not options.quiet):
        run.on_event = _event_printer(console)
    _on_signals(run.stop, print_table, has_terminal=bool(console.terminals))
    if options.seconds is not None:
        asyncio.get_running_loop().call_later(max(0.0, started_s + options.seconds - time.time()), run.stop)
    drawing = asyncio.create_task(console.keep_status_line(draw), name="status line")
    has_worked, shows = False, not options.quiet
    try:
        await run.run()
        has_worked = True
    except EeloggerError:
        has_worked = run.parts.session.longest_s >= WORKED_S
        # Without a terminal a run that never worked says what is wrong, and no more.
        shows = shows and (has_worked or bool(console.terminals))
        raise
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])
        if shows:
            await print_table()
        if has_worked:
            state.forget(paths, settings.warnings)


def _event_printer(console: Console) -> Callable[[Verdict, str], None]:
    headings = [event_heading]

    def print_event(verdict: Verdict, name: str) -> None:
        columns = console.columns()
        heading = headings.pop()(columns) if headings else ""
        with suppress(OSError):  # nobody reads it any more
            console.write(heading + event_line(verdict, name, columns))

    return print_event


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
    """Whether this trouble is said: always, but under cron once a day, by directory and by reason."""
    is_cron = console.quiet and not console.terminals
    if not is_cron or options.command or options.demo or isinstance(error, UsageError):
        return True
    paths = LogPaths(log_dir_of(None, options.env_file, options.log_dir))
    if isinstance(error, AlreadyRunning):
        # The other process works: nothing to tell. One that hangs is told once an hour.
        return bool(error.stale_s) and state.is_news(paths, "hangs", time.time(), state.HOUR_S)
    names = [problem.name for problem in error.problems] if isinstance(error, SettingsError) else []
    return state.is_news(paths, " ".join([str(error.exit_code), error.reason, *names]), time.time())
