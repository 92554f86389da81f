"""Write evidence that can be sent: the worst events with every raw line that speaks for or against them.

Raw lines are copied as they stand.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from .. import __version__
from ..errors import UsageError
from ..model import Gap
from ..settings import PROGRAM
from ..storage.formats import gap_line
from ..storage.paths import LogPaths
from ..views.number_format import moment
from ..views.sentences import CONTAINS
from .build import Report
from .conditions import gaps_in
from .export import json_report, worst_fields
from .lookup import StreamLines, lines_between, plain_or_packed
from .page import html
from .read import folders, sentences
from .text import head, text

MINUTE_US: Final = 60_000_000
_LIBRARIES: Final = ("websockets", "aiohttp", "aiofiles", "python-dotenv")
_METHOD: Final = f"""
How a delay was measured
  Arrival is the wall clock of this machine at the moment bytes leave the socket, before any queue (RFC 7679: one-way
  delay). The delay is arrival minus the event's own timestamp, in whole microseconds, without any correction.
  lag_s= stands on the line of each event that came while the logger itself was late, after_gap_s= on a camera's first
  one after a time without connection; "clean" maxima leave out both, and events not seen at their creation.
  clock_offset_s is the cloud's clock minus ours, from the Date headers of its answers, clock_bound_s its uncertainty.

What a delay contains
  {CONTAINS}

SHA256SUMS has the checksums of all files. All times are UTC. Without self-test.txt no self-test was run for this
evidence ({PROGRAM} check --self-test).
"""


def write_evidence(report: Report, directory: Path, *, self_test: str = "") -> list[Path]:
    """Write the evidence of a report's worst events; the files written.

    `self_test` is the outcome of the self-test on this machine, as text.
    """
    directory.mkdir(parents=True, exist_ok=True)
    where = folders(LogPaths(report.query.log_dir), report.query, [])
    gaps = gaps_in(where, report.from_us, report.to_us)
    contents: dict[str, Iterable[str]] = {
        "README.txt": _readme(report),
        "events.txt": _events(report, where, gaps),
        "report.json": json_report(report),
        "report.html": html(report),
        "report.txt": text(report),
        "gaps.log": map(gap_line, gaps),
        "health.log": _health(where, report.from_us, report.to_us),
        "self-test.txt": [self_test],
    }
    sums = directory / "SHA256SUMS"
    written = [path for name, pieces in contents.items() if _write(path := directory / name, pieces)]
    _write(sums, (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written))
    return [*written, sums]


def check_place(directory: Path, *, anonymised: bool) -> None:
    """Raise `UsageError` unless evidence may be written there; it may take minutes until there is some."""
    if anonymised:
        raise UsageError("evidence cannot be anonymised: it is made of raw lines", "leave out --anonymise")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is not empty", "give a new directory, or an empty one")


def _write(path: Path, pieces: Iterable[str]) -> bool:
    """Write a file piece by piece; False, and no file, when there is nothing to write."""
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        file.writelines(pieces)
    if is_empty := path.stat().st_size == 0:
        path.unlink()
    return not is_empty


def _readme(report: Report) -> Iterator[str]:
    yield "Evidence of late camera events\n\n"
    yield from (f"{label}{sentence}\n" for label, sentence in head(report))
    yield from (f"{sentence}\n" for sentence in sentences(report.skipped))
    yield f"Made {moment(report.made_us)} with {_versions()}.\n{_METHOD}"


def _versions() -> str:
    libraries = (f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    return ", ".join(
        [f"eelogger {__version__}", *libraries, f"Python {platform.python_version()}", platform.platform()]
    )


def _events(report: Report, where: list[LogPaths], gaps: list[Gap]) -> Iterator[str]:
    streams = StreamLines(where)
    for number, worst in enumerate(report.worst, 1):
        row, fields = worst.event.row, worst_fields(worst)
        at_us, stamp, identity = row.arrived_us, fields["arrived_utc"][:-1].encode(), json.dumps(row.identity).encode()
        yield f"=== {number}. {fields['delay_s']} s, arrived {fields['arrived_utc']}, {fields['camera']}"
        yield f", {fields['event']}\n--- its line in the delay log\n"
        yield from _raw([row.line])
        yield "--- the update as it came, and others of the same event within a minute\n"
        near = streams.lines(worst.event.cell.id, at_us - MINUTE_US, at_us + MINUTE_US)
        yield from _raw(line for line in near if line.startswith(stamp) or identity in line)
        yield "--- health of the minutes around it\n"
        yield from _health(where, at_us - 3 * MINUTE_US, at_us + 3 * MINUTE_US)
        around = [gap for gap in gaps if gap.to_us > at_us - 10 * MINUTE_US and gap.from_us < at_us + 10 * MINUTE_US]
        yield f"--- {'gaps' if around else 'no gap on record'} within ten minutes of it\n"
        yield from (*map(gap_line, around), "\n")


def _health(where: list[LogPaths], from_us: int, to_us: int) -> Iterator[str]:
    for paths in where:
        yield from _raw(lines_between(plain_or_packed(paths.health), from_us, to_us))


def _raw(lines: Iterable[bytes]) -> Iterator[str]:
    return (line.decode("utf-8", "backslashreplace") + "\n" for line in lines)
