"""`report`: from options to tables on the terminal, files, and evidence.

Nonsense and places that cannot be written are found before the logs are read, which may take minutes.
"""

import argparse
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ..clock import now_us
from ..errors import DiskError, SettingsError, UsageError
from ..model import NAMESPACES
from ..report import export
from ..report.build import Report, build
from ..report.evidence import check_place, write_evidence
from ..report.page import html
from ..report.plots import MISSING, available
from ..report.query import FOREVER_US, Query, parse_moment
from ..report.read import Event, sentences
from ..settings import PROGRAM, load, log_dir_of
from ..storage.camera_files import read_bridges
from ..storage.paths import LogPaths
from ..views.console import Console, progress
from ..views.output_file import STDOUT, OutputFile
from ..views.tables import printable
from . import count, seconds

_FILES: Final = {
    "csv": "a row for each camera and namespace",
    "events_csv": "a row for each event",
    "json": "everything, for programs",
    "html": "one page that needs no network, with plots",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.description = "The figures of a period, from the files alone: a running logger is not disturbed."
    parser.epilog = (
        "WHEN: 24h or 7d ago, 2026-11-01, 2026-11-01T08:30+01:00, '2026-11-01 08:30 Europe/Berlin'; UTC without a zone."
        " PATTERN: id, or name with * and ?; may be repeated. FILE: - is stdout."
    )
    parser.add_argument("--since", metavar="WHEN", help="beginning of the period (default: all that is kept)")
    parser.add_argument("--until", metavar="WHEN", help="its end, not included (default: now)")
    for name in ("camera", "bridge", "namespace"):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="PATTERN", help=f"only this {name}")
    for name, what in _FILES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=what)
    parser.add_argument("--anonymise", action="store_true", help="labels instead of names, ids and places")
    parser.add_argument("--evidence", type=Path, metavar="DIR", help="the worst events with all raw lines, to be sent")
    parser.add_argument("--worst", type=count, default=20, metavar="N", help="how many single events (default: 20)")
    parser.add_argument("--min-delay", type=seconds, metavar="S", help="and every one of S seconds and more")
    parser.add_argument("--no-self-test", action="store_true", help="evidence without a self-test (ten seconds)")


def run(options: argparse.Namespace, console: Console) -> int:
    """Show and write what was asked for; raises `UsageError`, `NothingToShow`, `DiskError`."""
    query = _query(options, console)
    paths: dict[str, Path] = {name: path for name in _FILES if (path := getattr(options, name)) is not None}
    if len(set(paths.values())) < len(paths):
        raise UsageError("two outputs cannot go to the same place", "give each a file of its own; - is stdout, for one")
    if options.evidence:
        with _disk_errors(options.evidence):
            check_place(options.evidence, anonymised=options.anonymise)
    with ExitStack() as stack:
        files = {name: stack.enter_context(OutputFile(path, console.write)) for name, path in paths.items()}
        for name in files.keys() & {"csv", "events_csv"}:
            files[name].write(export.BOM * (paths[name] != STDOUT))
        report = _build(query, files.get("events_csv"), console)
        for name, pieces in (("csv", export.figures_csv), ("json", export.json_report), ("html", html)):
            if name in files:
                files[name].write(pieces(report))
    if "html" in files and not available():
        console.info(MISSING)
    written = [printable(str(path)) for path in paths.values() if path != STDOUT]
    if options.evidence:
        written.append(_write_evidence(report, options, console))
    try:
        if STDOUT not in paths.values():
            console.write("".join(export.text(report, console.columns())))
    finally:  # `| head` may have seen enough
        for place in written:
            console.info(f"written: {place}")
    return 0


def _query(options: argparse.Namespace, console: Console) -> Query:
    at_us, names = now_us(), NAMESPACES
    since_us = parse_moment(options.since, at_us, "--since") if options.since is not None else 0
    until_us = parse_moment(options.until, at_us, "--until") if options.until is not None else FOREVER_US
    if since_us >= until_us:
        raise UsageError("--since is not before --until", "--until is the end of the period, a date its beginning")
    try:
        names = load(options.env_file, need_credentials=False).namespace_table
    except SettingsError as error:
        console.info(f"{error}\n  so namespaces have their built-in names")
    log_dir = log_dir_of(options.env_file, options.log_dir)
    patterns = options.camera, options.bridge, options.namespace
    late_us = FOREVER_US if options.min_delay is None else round(options.min_delay * 1_000_000)
    bridges = read_bridges(LogPaths(log_dir))
    return Query(log_dir, since_us, until_us, *patterns, options.anonymise, options.worst, late_us, names, bridges)


def _build(query: Query, events_csv: OutputFile | None, console: Console) -> Report:
    def write_event(event: Event) -> None:
        if events_csv:
            events_csv.write([export.csv_row(export.event_fields(event))])

    if events_csv:
        events_csv.write([export.csv_line(export.EVENT)])
    with progress("reading", console) as advance:
        report = build(query, now_us(), advance, write_event if events_csv else None)
    for sentence in sentences(report.skipped):
        console.info(sentence)
    return report


def _write_evidence(report: Report, options: argparse.Namespace, console: Console) -> str:
    outcome = io.StringIO()
    if not options.no_self_test:
        from . import selftest  # with the simulator, which no other report needs

        console.info("measuring known delays for the evidence; this takes some ten seconds")
        if selftest.run(options, Console(None, outcome, None)):
            console.info(f"the self-test failed, which the evidence says; see {PROGRAM} check --self-test")
    with _disk_errors(options.evidence):
        files = write_evidence(report, options.evidence, self_test=outcome.getvalue())
    return f"{printable(str(options.evidence))} ({len(files)} files)"


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{printable(str(error.filename or directory))} cannot be written: {error.strerror}"
        raise DiskError(message, "give a directory in a place that may be written and has room") from None
