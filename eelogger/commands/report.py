"""Turn the options of `report` into tables, files and evidence; nonsense is found before the logs are read."""

import argparse
import io
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ..clock import now_us
from ..errors import SettingsError, UsageError
from ..model import NAMESPACES
from ..report import evidence, export, page, plots
from ..report.build import Report
from ..report.query import FOREVER_US, Query, parse_moment
from ..report.read import Event, sentences
from ..settings import PROGRAM, load, log_dir_of
from ..storage.camera_files import read_cameras
from ..storage.paths import LogPaths
from ..views.console import STDOUT, Console, output_file, progress
from ..views.text import printable
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
        "WHEN: now, 24h or 7d ago, 2026-11-01, 2026-11-01T08:30+01:00, '2026-11-01 08:30 Europe/Berlin'; UTC without a"
        " zone. PATTERN: id, or name with * and ?; may be repeated. FILE: - is stdout."
    )
    parser.add_argument("--since", metavar="WHEN", help="beginning of the period (default: all that is kept)")
    parser.add_argument("--until", metavar="WHEN", help="its end, not included (default: now)")
    for name in ("camera", "bridge", "namespace"):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="PATTERN", help=f"only this {name}")
    for name, what in _FILES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=what)
    parser.add_argument("--anonymise", action="store_true", help="show labels instead of names, ids and places")
    parser.add_argument("--evidence", type=Path, metavar="DIR", help="write the worst events with their raw lines")
    parser.add_argument("--worst", type=count, default=20, metavar="N", help="list so many single events (default: 20)")
    parser.add_argument("--min-delay", type=seconds, metavar="S", help="list also every event of S seconds or more")
    parser.add_argument("--no-self-test", action="store_true", help="evidence without a self-test (ten seconds)")


def run(options: argparse.Namespace, console: Console) -> int:
    """Show and write what was asked for; raises `UsageError`, `NothingToShow`, `DiskError`."""
    query = _query(options, console)
    paths: dict[str, Path] = {name: path for name in _FILES if (path := getattr(options, name)) is not None}
    if len(set(paths.values())) < len(paths):
        raise UsageError("two outputs cannot go to the same place", "give each a file of its own; - is stdout, for one")
    if options.evidence:
        evidence.make_place(options.evidence, anonymised=options.anonymise)
    with ExitStack() as stack:
        put = {name: stack.enter_context(output_file(path, console.write)) for name, path in paths.items()}
        for name in put.keys() & {"csv", "events_csv"}:
            put[name](export.BOM * (paths[name] != STDOUT))

        def write_event(event: Event) -> None:
            put["events_csv"]([export.csv_row(export.event_fields(event))])

        if "events_csv" in put:
            put["events_csv"]([",".join(export.EVENT) + "\n"])
        with progress("reading", console) as advance:
            report = Report(query, now_us(), advance, write_event if "events_csv" in put else None)
        for sentence in sentences(report.skipped):
            console.info(sentence)
        for name, pieces in (("csv", export.figures_csv), ("json", export.json_report), ("html", page.html)):
            if name in put:
                put[name](pieces(report))
    if "html" in put and (why := plots.missing()):
        console.info(why)
    if options.evidence:
        self_test = "" if options.no_self_test else _self_test(options, console)
        for name, content in evidence.contents(report, self_test).items():
            with output_file(options.evidence / name, console.write) as put_content:
                put_content([content])
    for path in (*paths.values(), options.evidence):
        if path not in (None, STDOUT):
            console.info(f"written: {printable(path)}")
    if STDOUT not in paths.values():
        console.write(export.text(report, console.columns()))
    return 0


def _self_test(options: argparse.Namespace, console: Console) -> str:
    from . import selftest  # with the simulator, which no other report needs

    outcome = io.StringIO()
    console.info("measuring known delays for the evidence; this takes some ten seconds")
    if selftest.run(options, Console(None, outcome, None)):
        console.info(f"the self-test failed, which the evidence says; see {PROGRAM} check --self-test")
    return outcome.getvalue()


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
    _, bridges = read_cameras(LogPaths(log_dir))
    return Query(log_dir, since_us, until_us, *patterns, options.anonymise, options.worst, late_us, names, bridges)
