"""Write evidence that can be sent: the worst events with every raw line that speaks for or against them.

Raw lines are copied as they stand.
"""

from __future__ import annotations

import hashlib
import json
import platform
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from .. import __version__
from ..errors import UsageError
from ..model import HOUR_US, Gap
from ..storage.camera_files import stream_logs
from ..storage.formats import gap_line, parse_time
from ..storage.line_blocks import size_of, whole_lines
from ..storage.paths import LogPaths, day_of
from ..views.number_format import moment
from ..views.sentences import CONTAINS
from .build import Report
from .conditions import gaps_in, plain_or_packed
from .export import json_report, worst_fields
from .page import html
from .query import FOREVER_US
from .read import folders, sentences
from .text import head, text

MINUTE_US: Final = 60_000_000
_STEP_BYTES: Final = 1 << 16  # how near a line is found before reading begins
_PROBE_BYTES: Final = 1 << 14
_BLOCK_BYTES: Final = 1 << 18
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
evidence (python app.py check --self-test).
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
    versions = [f"eelogger {__version__}", *(f"{name} {metadata.version(name)}" for name in _LIBRARIES)]
    versions += [f"Python {platform.python_version()}", platform.platform()]
    yield f"Made {moment(report.made_us)} with {', '.join(versions)}.\n{_METHOD}"


def _events(report: Report, where: list[LogPaths], gaps: list[Gap]) -> Iterator[str]:
    files = {folder: stream_logs(folder) for folder in where}
    for number, worst in enumerate(report.worst, 1):
        event, row, fields = worst.event, worst.event.row, worst_fields(worst)
        at_us, stamp, identity = row.arrived_us, fields["arrived_utc"][:-1].encode(), json.dumps(row.identity).encode()
        yield f"=== {number}. {fields['delay_s']} s, arrived {fields['arrived_utc']}, {fields['camera']}"
        yield f", {fields['event']}\n--- its line in the delay log\n"
        yield from _raw([row.line])
        yield "--- the update as it came, and others of the same event within a minute\n"
        from_us, to_us = at_us - MINUTE_US, at_us + MINUTE_US
        # When the clock was put back over a midnight, lines stay in the later day.
        days = {day_of(from_us), day_of(to_us + HOUR_US), where[-1].root.name}
        paths = (path for folder in where if folder.root.name in days for path in files[folder].get(event.cell.id, ()))
        near = dict.fromkeys(line for path in paths for line in lines_between(path, from_us, to_us))
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


def lines_between(path: Path, from_us: int, to_us: int) -> Iterator[bytes]:
    """The lines of a file with a time in [from_us, to_us), without newlines; found without reading all of it.

    Files are in order of arrival; where a clock was set back a line may not be found.
    """
    # Beyond the first line of each step lie only later ones. A packed file can only be read from its beginning.
    steps = range(0, 0 if path.suffix == ".gz" else size_of(path), _STEP_BYTES)
    after = bisect_left(steps, from_us, key=lambda offset: next(_timed(path, offset, _PROBE_BYTES), (FOREVER_US,))[0])
    for at_us, line in _timed(path, steps[after - 1] if after else 0):
        if at_us >= to_us:
            return
        if at_us >= from_us:
            yield line


def _timed(path: Path, offset: int, block_bytes: int = _BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Time and text of each line that has a time; from an offset on the first line may lack its beginning."""
    lines = (line for block in whole_lines(path, offset, block_bytes=block_bytes) for line in block.split(b"\n"))
    if offset:
        next(lines, None)
    for line in lines:
        stamp, separator, _ = line[:48].partition(b" ")
        try:
            at_us = parse_time(stamp.removeprefix(b"time=").decode()) if separator else None
        except ValueError:
            continue
        if at_us is not None:
            yield at_us, line
