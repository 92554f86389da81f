"""Write evidence that can be sent: the worst events with every raw line that speaks for or against them.

Raw lines are copied as they stand.
"""

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Final

from .. import __version__
from ..errors import UsageError
from ..model import HOUR_US, Gap
from ..storage.camera_files import CameraFiles
from ..storage.formats import gap_line, time_text
from ..storage.line_blocks import Skipped, text_lines
from ..storage.paths import LogPaths, day_of
from ..views.number_format import moment
from ..views.sentences import CONTAINS
from .build import Report
from .conditions import gaps_in
from .export import event_fields, head, json_report, text
from .page import html
from .read import folders, sentences

MINUTE_US: Final = 60_000_000
_TO_MINUTE: Final = len("2026-11-28T20:31")
_LIBRARIES: Final = ("websockets", "aiohttp", "aiofiles", "python-dotenv")
_METHOD: Final = f"""
How a delay was measured
  Arrival is the wall clock of this machine at the moment bytes leave the socket, before any queue (RFC 7679: one-way
  delay). The delay is arrival minus the event's own timestamp, in whole microseconds, without any correction.
  lag_s= stands on the line of each event that came while the logger itself was late, after_gap_s= on a camera's first
  one after a time without connection; "clean" maxima leave out both, and events not seen at their creation.
  clock_offset_s in health.log is the cloud's clock minus ours, from the Date headers of its answers.
{CONTAINS}

SHA256SUMS has the checksums of all files. All times are UTC. Without self-test.txt no self-test was run for it.
"""


def check_place(directory: Path, *, anonymised: bool) -> None:
    """Raise `UsageError` unless evidence may be written there; it may take minutes until there is some."""
    if anonymised:
        raise UsageError("evidence cannot be anonymised: it is made of raw lines", "leave out --anonymise")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is not empty", "give a new directory, or an empty one")


def write_evidence(report: Report, directory: Path, *, self_test: str = "") -> list[Path]:
    """Write the evidence of a report's worst events; the files written. `self_test` is its outcome on this machine."""
    directory.mkdir(parents=True, exist_ok=True)
    where = folders(report.query, Skipped())
    gaps = gaps_in(where, report.from_us, report.to_us)
    health = [*dict.fromkeys(line for paths in where for line in text_lines(paths.health))]
    contents: dict[str, Iterable[str]] = {
        "README.txt": _readme(report),
        "events.txt": _events(report, where, gaps, health),
        "report.json": json_report(report),
        "report.html": html(report),
        "report.txt": text(report),
        "gaps.log": map(gap_line, gaps),
        "health.log": _between(health, report.from_us, report.to_us),
    }
    contents |= {"self-test.txt": [self_test]} if self_test else {}
    paths = [directory / name for name in contents]
    for path in paths:
        with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
            file.writelines(contents[path.name])
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)
    (directory / "SHA256SUMS").write_text("".join(sums))
    return [*paths, directory / "SHA256SUMS"]


def _readme(report: Report) -> Iterator[str]:
    yield "Evidence of late camera events\n\n"
    yield from (f"{label}{sentence}\n" for label, sentence in head(report))
    yield from (f"{sentence}\n" for sentence in sentences(report.skipped))
    versions = [f"eelogger {__version__}", *(f"{name} {metadata.version(name)}" for name in _LIBRARIES)]
    versions += [f"Python {platform.python_version()}", platform.platform()]
    yield f"Made {moment(report.made_us)} with {', '.join(versions)}.\n{_METHOD}"


def _events(report: Report, where: list[LogPaths], gaps: list[Gap], health: list[str]) -> Iterator[str]:
    updates = _updates(report, where)
    for number, event in enumerate(report.worst):
        at_us, fields = event.row.arrived_us, event_fields(event)
        yield f"=== {number + 1}. {fields['delay_s']} s, arrived {fields['arrived_utc']}, {fields['camera']}"
        yield f", {fields['event']}\n--- its line in the delay log\n"
        yield event.row.line.decode("utf-8", "backslashreplace")
        yield "\n--- the update as it came, and others of the same event within a minute\n"
        yield from (f"{line}\n" for line in updates[number])
        yield "--- health of the minutes around it\n"
        yield from _between(health, at_us - 3 * MINUTE_US, at_us + 3 * MINUTE_US)
        around = [gap for gap in gaps if gap.to_us > at_us - 10 * MINUTE_US and gap.from_us < at_us + 10 * MINUTE_US]
        yield f"--- {'gaps' if around else 'no gap on record'} within ten minutes of it\n"
        yield from (*map(gap_line, around), "\n")


def _updates(report: Report, where: list[LogPaths]) -> list[dict[str, None]]:
    """The stream lines of each worst event, those of copies once; each file is read once."""
    found: list[dict[str, None]] = [{} for _ in report.worst]
    wanted: dict[tuple[str, str], list[tuple[str, str, dict[str, None]]]] = defaultdict(list)
    days = {where[-1].root.name}
    for event, lines in zip(report.worst, found, strict=True):
        at_us, identity = event.row.arrived_us, json.dumps(event.row.identity)
        for us in (at_us - MINUTE_US, at_us, at_us + MINUTE_US):
            wanted[event.cell.id, time_text(us)[:_TO_MINUTE]].append((time_text(at_us)[:-1], identity, lines))
        # When the clock was put back over a midnight, lines stay in the later day.
        days |= {day_of(at_us - MINUTE_US), day_of(at_us + HOUR_US)}
    camera_ids = {camera_id for camera_id, _ in wanted}
    for files in (CameraFiles(folder, Skipped()).stream_logs() for folder in where if folder.root.name in days):
        for camera_id in camera_ids & files.keys():
            for line in chain.from_iterable(map(text_lines, files[camera_id])):
                for stamp, identity, lines in wanted.get((camera_id, line[:_TO_MINUTE]), ()):
                    if line.startswith(stamp) or identity in line:
                        lines[line] = None
    return found


def _between(health: list[str], from_us: int, to_us: int) -> Iterator[str]:
    first, last = f"time={time_text(from_us)}", f"time={time_text(to_us)}"
    return (f"{line}\n" for line in health if first <= line < last)
