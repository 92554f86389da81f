"""The command line: which commands and options there are, and the help a newcomer reads.

Only parsing: what a command does is `cli`'s. README and tests hold this against the documentation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..version import __version__
from .limits import limits_help

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_EXIT_CODES = """exit codes:
  0 stopped as asked     2 usage                66 nothing to show
  69 no camera to log    74 disk                75 another process has this log directory
  77 key or certificate refused                 78 settings
  check --self-test: 70 when the figures are wrong; status: 0, 1, 2 or 3 as monitoring plugins
  report, replay: 130 when broken off with Ctrl-C
"""

_EXAMPLES = """examples:
  python app.py --demo --seconds 20     see it work, no account needed
  python app.py login                   log in once; writes the key to .env
  python app.py check                   test settings, key, network, clock and stream
  python app.py                         log until Ctrl-C; tail -F logs/*.log in another terminal
  python app.py watch                   see the events of a running logger, one short line each
  python app.py report --since 24h      the figures of a day; --html FILE for a page with plots
  python app.py replay old --log-dir new
                                        judge stream logs anew, also those of the older script
  python app.py status --warn p95=2     one line and an exit code for a monitoring system

"""


def parser() -> argparse.ArgumentParser:
    """The whole command line; without a command it runs the logger."""
    places = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    places.add_argument("--log-dir", type=Path, metavar="DIR", help="where the files are (default: logs beside app.py)")
    places.add_argument("--env-file", type=Path, metavar="FILE", help="settings file (default: .env beside app.py)")
    places.add_argument("-v", "--verbose", action="count", help="say more on stderr; twice: everything")
    places.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    top = argparse.ArgumentParser(
        prog="app.py",
        description="Logs how late the Eagle Eye cloud delivers camera events: "
        "delay = arrival - the event's own timestamp.",
        epilog=_EXAMPLES + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[places],
    )
    top.add_argument("--version", action="version", version=f"eelogger {__version__}")
    top.add_argument("--demo", action="store_true", help="log an embedded demo cloud instead of an account")
    top.add_argument("--seconds", type=seconds, metavar="N", help="stop after N seconds, counted from the start")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    _add_check(commands, places)
    commands.add_parser("login", parents=[places], help="log in and write branding, account id and key to .env")
    _add_watch(commands, places)
    _add_status(commands, places)
    _add_report(commands, places)
    _add_replay(commands, places)
    return top


def _add_check(commands: _Commands, places: argparse.ArgumentParser) -> None:
    check = commands.add_parser("check", parents=[places], help="test everything a run needs, print what was found")
    check.add_argument("--self-test", action="store_true", help="measure known delays of an embedded cloud")


def _add_watch(commands: _Commands, places: argparse.ArgumentParser) -> None:
    watch = commands.add_parser("watch", parents=[places], help="show a running logger's events, one short line each")
    watch.add_argument(
        "--camera", action="append", metavar="PATTERN", help="only this camera: id, or name with * and ?"
    )
    watch.add_argument("--min-delay", type=seconds, metavar="S", help="only delays of S seconds and more")
    watch.add_argument("--lines", type=count, default=0, metavar="N", help="begin with the last N events of today")


def _add_status(commands: _Commands, places: argparse.ArgumentParser) -> None:
    status = commands.add_parser(
        "status",
        parents=[places],
        help="one line about a running logger, exit code as monitoring plugins",
        description="One line about a running logger. Exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
        epilog=limits_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, level in (("--warn", "WARNING"), ("--crit", "CRITICAL")):
        status.add_argument(option, action="append", metavar="NAME=LIMIT", help=f"{level} beyond; may be repeated")


def _add_report(commands: _Commands, places: argparse.ArgumentParser) -> None:
    report = commands.add_parser(
        "report",
        parents=[places],
        help="the figures of a period: tables, CSV, JSON, a page with plots, evidence",
        description="The figures of a period, from the files alone: a running logger is not disturbed.",
        epilog="WHEN: 24h or 7d ago, 2026-11-01, 2026-11-01T08:30+01:00, '2026-11-01 08:30 Europe/Berlin'; UTC without"
        " a zone. PATTERN: id, or name with * and ?; may be repeated. FILE: - is stdout.",
    )
    report.add_argument("--since", metavar="WHEN", help="beginning of the period (default: all that is kept)")
    report.add_argument("--until", metavar="WHEN", help="its end, not included (default: now)")
    for name in ("camera", "bridge", "namespace"):
        report.add_argument(f"--{name}", action="append", metavar="PATTERN", help=f"only this {name}")
    report.add_argument("--csv", type=Path, metavar="FILE", help="a row for each camera and namespace")
    report.add_argument("--events-csv", type=Path, metavar="FILE", help="a row for each event")
    report.add_argument("--json", type=Path, metavar="FILE", help="everything, for programs")
    report.add_argument("--html", type=Path, metavar="FILE", help="one page that needs no network, with plots")
    report.add_argument("--anonymise", action="store_true", help="labels instead of names, ids and places")
    report.add_argument("--evidence", type=Path, metavar="DIR", help="the worst events with all raw lines, to be sent")
    report.add_argument("--worst", type=count, default=20, metavar="N", help="how many single events (default: 20)")
    report.add_argument("--min-delay", type=seconds, metavar="S", help="and every one of S seconds and more")
    report.add_argument(
        "--no-self-test", dest="self_test", action="store_false", help="evidence without a self-test (ten seconds)"
    )


def _add_replay(commands: _Commands, places: argparse.ArgumentParser) -> None:
    replay = commands.add_parser(
        "replay",
        parents=[places],
        help="judge stream logs anew, into a new log directory",
        description="Judges stream logs anew and writes all files that follow from them into --log-dir DIR, which must"
        " be empty or not exist yet.",
    )
    replay.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help="log directory, folder of a day, or stream log"
    )


def count(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return value
