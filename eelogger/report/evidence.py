"""Evidence that can be sent: the worst events with every raw line that speaks for or against them.

Decides what a reader needs who asks "prove that it is not your network or your clock": the event as it came, the log's
own line, health and gaps around it, versions, and how the figure was made. Invariant: raw lines are copied as they
stand, and nothing outside the directory is written.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..lines import parse_gap_line
from ..logdir.blocks import whole_lines
from ..model import Gap
from ..paths import LogPaths
from ..text import words
from ..text.tables import printable
from ..text.times import time_text
from ..version import __version__
from .columns import EVENT, MINUTE, worst_fields
from .excerpts import Excerpts, lines_between
from .export import csv_line, csv_lines, csv_row, json_text
from .page import html
from .reading import folders
from .statements import conditions, doubts, headlines, period, skipped
from .terminal import text
from .values import Report, Worst

_MINUTE_US: Final = 60_000_000
STREAM_US: Final = _MINUTE_US
HEALTH_US: Final = 3 * _MINUTE_US
GAPS_US: Final = 10 * _MINUTE_US
_LIBRARIES: Final = ("websockets", "aiohttp", "aiofiles", "python-dotenv")

METHOD: Final = """How a delay was measured
  Arrival is the wall clock of this machine at the moment bytes leave the socket, before any queue (RFC 7679: one-way
  delay). The delay is arrival minus the event's own timestamp, in whole microseconds, without any correction.
  lag_s= stands on the line of each event that came while the logger itself was late, after_gap_s= on a camera's first
  one after a time without connection; "clean" maxima leave out both, and events not seen at their creation.
  clock_offset_s is the cloud's clock minus ours, from the Date headers of its answers, clock_bound_s its uncertainty.
"""


def write_evidence(report: Report, log_dir: Path, directory: Path, *, self_test: str = "") -> list[Path]:
    """Write the evidence of a report's worst events; the files written. `UsageError` unless the directory is empty.

    `self_test` is the outcome of the instrument's self-test on this machine, as text.
    """
    check_place(directory, anonymised=report.anonymised)
    directory.mkdir(parents=True, exist_ok=True)
    where = folders(LogPaths(log_dir), report.from_us, report.to_us)
    gaps = list(_gaps(where, report.from_us, report.to_us))
    files: dict[str, Iterator[str]] = {
        "events.txt": _events(report, where, gaps),
        "events.csv": _events_csv(report),
        "figures.csv": csv_lines(report),
        "report.json": iter([json_text(report)]),
        "report.html": html(report),
        "report.txt": text(report),
        "gaps.log": (f"{raw}\n" for _, raw in gaps),
        "health.log": _health(where, report.from_us, report.to_us),
        "self-test.txt": iter([self_test.rstrip("\n") + "\n"] if self_test else []),
    }
    written = [path for name, pieces in files.items() if (path := _write(directory / name, pieces))]
    readme = _write(directory / "README.txt", _readme(report, [path.name for path in written]))
    sums = _write(directory / "SHA256SUMS", (_sum(path) for path in (readme, *written) if path))
    return [path for path in (readme, *written, sums) if path]


def check_place(directory: Path, *, anonymised: bool) -> None:
    """Raise `UsageError` unless evidence may be written there; it may be long until there is some."""
    if anonymised:
        raise UsageError("evidence cannot be anonymised: it is made of raw lines", "leave out --anonymise")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is not empty", "give a new directory, or an empty one")


def _write(path: Path, pieces: Iterator[str]) -> Path | None:
    """Write a file piece by piece; None, and no file, when there is nothing to write."""
    first = next(pieces, None)
    if first is None:
        return None
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        file.write(first)
        file.writelines(pieces)
    return path


def _sum(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def _readme(report: Report, names: list[str]) -> Iterator[str]:
    yield "Evidence of late camera events\n\n"
    yield f"Period     {period(report)}\n"
    yield from (f"{'':<11}{sentence}\n" for sentence in headlines(report))
    yield from (f"?          {sentence}\n" for sentence in doubts(report))
    yield from (f"{name:<11}{sentence}\n" for name, sentence in conditions(report))
    yield f"Made       {words.moment(report.made_us)}\n"
    yield f"With       {', '.join(_versions())}\n"
    yield from (f"Note       {sentence}\n" for sentence in skipped(report))
    yield f"\n{METHOD}\nWhat a delay contains\n  {words.CONTAINS}\n"
    yield f"\nFiles: {', '.join(names)}; SHA256SUMS has their checksums. All times are UTC.\n"
    if "self-test.txt" not in names:
        yield "The instrument's self-test was not run for this evidence (python app.py check --self-test).\n"


def _versions() -> Iterator[str]:
    yield f"eelogger {__version__}"
    for name in _LIBRARIES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} not installed"
    yield f"Python {platform.python_version()}"
    yield f"{sys.platform} {platform.release()} {platform.machine()}"


def _events_csv(report: Report) -> Iterator[str]:
    names = (*EVENT, *MINUTE)
    yield csv_line(names)
    yield from (csv_row(names, worst_fields(worst)) for worst in report.worst)


def _events(report: Report, where: list[LogPaths], gaps: list[tuple[Gap, str]]) -> Iterator[str]:
    excerpts = Excerpts(where)
    for number, worst in enumerate(report.worst, 1):
        yield f"{'' if number == 1 else chr(10)}=== {number}. {_title(worst)}\n"
        verdict, camera = worst.logged
        at_us, identity = verdict.arrived_us, verdict.identity.encode("utf-8", "surrogatepass")
        yield "--- its line in the delay log\n"
        own = excerpts.delay_lines(camera.id, at_us, at_us + 1)
        yield from _raw(line for line in own if identity in line)
        yield "--- the update as it came, and others of the same event within a minute\n"
        stamp = time_text(at_us)[:-1].encode()
        near = excerpts.stream_lines(camera.id, at_us - STREAM_US, at_us + STREAM_US)
        yield from _raw(line for line in near if line.startswith(stamp) or identity in line)
        yield "--- health of the minutes around it\n"
        yield from _health(where, at_us - HEALTH_US, at_us + HEALTH_US)
        around = [raw for gap, raw in gaps if gap.to_us > at_us - GAPS_US and gap.from_us < at_us + GAPS_US]
        yield "--- gaps within ten minutes of it\n" if around else "--- no gap on record within ten minutes of it\n"
        yield from (f"{raw}\n" for raw in around)


def _title(worst: Worst) -> str:
    fields = worst_fields(worst)
    return f"{fields['delay_s']} s, arrived {fields['arrived_utc']}, {fields['name']}, {fields['event']}"


def _health(where: list[LogPaths], from_us: int, to_us: int) -> Iterator[str]:
    for paths in where:
        yield from _raw(lines_between(paths.health, from_us, to_us))


def _gaps(where: list[LogPaths], from_us: int, to_us: int) -> Iterator[tuple[Gap, str]]:
    for paths in where:
        for block in whole_lines(paths.gaps):
            for line in block.decode("utf-8", "replace").split("\n"):
                gap = parse_gap_line(line)
                if gap is not None and gap.to_us >= from_us and gap.from_us < to_us:
                    yield gap, printable(line)


def _raw(lines: Iterator[bytes]) -> Iterator[str]:
    return (line.decode("utf-8", "backslashreplace") + "\n" for line in lines)
