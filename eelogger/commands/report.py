"""`python app.py report`: from options to tables on the terminal, files, and evidence.

Decides what is written where and what is said about it; figures and how they look are for `report`. Nonsense and
places that cannot be written are found before the logs are read, which may take minutes. Invariant: the log directory
is only read.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from .. import report
from ..clock import now_us
from ..errors import DiskError, NothingToShow, SettingsError, UsageError
from ..model import NAMESPACES
from ..report.statements import skipped
from ..screen.outputs import STDOUT, Output
from ..screen.progress import BROKEN_OFF, Terminal, progress
from ..settings import load, log_dir_of
from ..text.tables import printable

_KINDS: Final = ("csv", "events_csv", "json", "html")
_ROWS_AT_ONCE: Final = 500


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show and write what was asked for; raises `UsageError`, `NothingToShow`, `DiskError`."""
    asked = _asked(options, terminal)
    paths: dict[str, Path] = {kind: path for kind in _KINDS if (path := getattr(options, kind)) is not None}
    if len(set(paths.values())) < len(paths):
        raise UsageError("two outputs cannot go to the same place", "give each a file of its own; - is stdout, for one")
    if options.evidence is not None:
        with _writing(options.evidence):
            report.check_place(options.evidence, anonymised=options.anonymise)
    try:
        with ExitStack() as stack:
            outputs = {kind: stack.enter_context(Output(path, terminal.write)) for kind, path in paths.items()}
            made = _build(asked, outputs.get("events_csv"), terminal)
            for line in skipped(made):
                terminal.tell(line)
            _write(made, outputs, terminal)
        written = [printable(str(path)) for path in paths.values() if path != STDOUT]
        if options.evidence is not None:
            written.append(_write_evidence(made, asked.log_dir, options, terminal))
        try:
            if STDOUT not in paths.values():
                terminal.write("".join(report.text(made, terminal.columns(report.WIDEST))))
        finally:  # `| head` may have seen enough
            for place in written:
                terminal.tell(f"written: {place}")
    except KeyboardInterrupt:
        terminal.tell("broken off")
        return BROKEN_OFF
    return 0


def _asked(options: argparse.Namespace, terminal: Terminal) -> report.ReportOptions:
    at_us = now_us()
    since_us, until_us = (
        None if text is None else report.parse_moment(text, at_us, option)
        for option, text in (("--since", options.since), ("--until", options.until))
    )
    if since_us is not None and until_us is not None and since_us >= until_us:
        raise UsageError("--since is not before --until", "--until is the end of the period, a date its beginning")
    try:
        names = load(None, options.env_file, need_credentials=False).namespace_table
    except SettingsError as error:
        terminal.tell(f"{error}\n  so namespaces have their built-in names")
        names = NAMESPACES
    return report.ReportOptions(
        log_dir_of(None, options.env_file, options.log_dir),
        since_us,
        until_us,
        options.camera or (),
        options.bridge or (),
        options.namespace or (),
        options.anonymise,
        options.worst,
        None if options.min_delay is None else round(options.min_delay * 1_000_000),
        names,
    )


def _build(asked: report.ReportOptions, events: Output | None, terminal: Terminal) -> report.Report:
    rows = _Rows(events)
    try:
        with progress("reading", terminal) as advance:
            made = report.build(asked, progress=advance, on_event=rows.take if events else None)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = printable(str(error.filename or asked.log_dir))
        raise NothingToShow(f"{where} cannot be read: {error.strerror or error}", "check its owner and mode") from None
    rows.flush()
    return made


class _Rows:
    """Events on their way into a CSV file; the header comes with the first of them."""

    def __init__(self, output: Output | None) -> None:
        self._output = output
        self._rows = [report.events_csv_header()]

    def take(self, event: report.Logged) -> None:
        self._rows.append(report.event_csv_line(event))
        if len(self._rows) >= _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if self._output is not None:
            self._output.write(["".join(self._rows)])
            self._rows.clear()


def _write(made: report.Report, outputs: dict[str, Output], terminal: Terminal) -> None:
    contents: dict[str, Callable[[], Iterator[str]]] = {
        "csv": lambda: report.csv_lines(made),
        "events_csv": lambda: iter(()),  # written while the logs were read
        "json": lambda: iter([report.json_text(made)]),
        "html": lambda: report.html(made),
    }
    if "html" in outputs and not report.available():
        terminal.tell(report.MISSING)
    for kind, output in outputs.items():
        output.write(contents[kind]())
    for output in outputs.values():
        output.keep()


def _write_evidence(made: report.Report, log_dir: Path, options: argparse.Namespace, terminal: Terminal) -> str:
    said = ""
    if options.self_test:
        from .selftest import self_test  # with the embedded cloud, which no other report needs

        terminal.tell("measuring known delays for the evidence; this takes some ten seconds")
        sound, lines = asyncio.run(self_test())
        said = "".join(f"{line}\n" for line in lines)
        if not sound:
            terminal.tell("the self-test failed, which the evidence says; see python app.py check --self-test")
    with _writing(options.evidence):
        files = report.write_evidence(made, log_dir, options.evidence, self_test=said)
    return f"{printable(str(options.evidence))} ({len(files)} files)"


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        told = f"{printable(str(error.filename or directory))} cannot be written: {error.strerror}"
        raise DiskError(told, "give a directory in a place that may be written and has room") from None
