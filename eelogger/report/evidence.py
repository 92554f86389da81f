"""Put together evidence to send: the worst events with their raw lines, as they stand."""

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Final

from .. import __version__
from ..errors import DiskError, UsageError
from ..storage.camera_files import CameraFiles
from ..storage.formats import gap_line, time_text
from ..storage.line_blocks import Skipped, text_lines
from ..storage.paths import day_of
from ..views.sentences import CONTAINS
from ..views.text import moment, printable
from .build import Report
from .export import event_fields, head, json_report, text
from .page import html
from .read import sentences

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


def make_place(directory: Path, *, anonymised: bool) -> None:
    """Make the directory, unless it holds something; raises `UsageError`, `DiskError`."""
    if anonymised:
        raise UsageError("evidence cannot be anonymised: it is made of raw lines", "leave out --anonymise")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_taken = any(directory.iterdir())
    except FileExistsError:
        is_taken = True
    except OSError as error:
        message = f"{printable(str(directory))} cannot be written: {error.strerror}"
        raise DiskError(message, "give a directory in a place that may be written and has room") from None
    if is_taken:
        raise UsageError(f"{printable(str(directory))} is not empty", "give a new directory, or an empty one")


def contents(report: Report, self_test: str) -> dict[str, str]:
    """The evidence by file name; `self_test` is what a self-test said, if there was one."""
    health = [*dict.fromkeys(line for paths in report.folders for line in text_lines(paths.health))]
    said = [*(f"{label}{sentence}" for label, sentence in head(report)), *sentences(report.skipped)]
    versions = [f"eelogger {__version__}", *(f"{name} {metadata.version(name)}" for name in _LIBRARIES)]
    versions += [f"Python {platform.python_version()}", platform.platform()]
    made = f"Made {moment(report.made_us)} with {', '.join(versions)}."
    files = {
        "README.txt": "\n".join(["Evidence of late camera events", "", *said, made, _METHOD]),
        "events.txt": "".join(_events(report, health)),
        "report.json": "".join(json_report(report)),
        "report.html": "".join(html(report)),
        "report.txt": text(report),
        "gaps.log": "".join(map(gap_line, report.gaps)),
        "health.log": "".join(_between(health, report.from_us, report.to_us)),
    }
    files |= {"self-test.txt": self_test} if self_test else {}
    sums = {name: hashlib.sha256(content.encode("utf-8", "backslashreplace")) for name, content in files.items()}
    return files | {"SHA256SUMS": "".join(f"{each.hexdigest()}  {name}\n" for name, each in sums.items())}


def _events(report: Report, health: list[str]) -> Iterator[str]:
    updates = _updates(report)
    for number, event in enumerate(report.worst):
        at_us, fields = event.row.arrived_us, event_fields(event)
        yield f"=== {number + 1}. {fields['delay_s']} s, arrived {fields['arrived_utc']}, {fields['camera']}"
        yield f", {fields['event']}\n--- its line in the delay log\n"
        yield event.row.line.decode("utf-8", "backslashreplace")
        yield "\n--- the update as it came, and others of the same event within a minute\n"
        yield from (f"{line}\n" for line in updates[number])
        yield "--- health of the minutes around it\n"
        yield from _between(health, at_us - 3 * MINUTE_US, at_us + 3 * MINUTE_US)
        from_us, to_us = at_us - 10 * MINUTE_US, at_us + 10 * MINUTE_US
        around = [gap for gap in report.gaps if gap.to_us > from_us and gap.from_us < to_us]
        yield f"--- {'gaps' if around else 'no gap on record'} within ten minutes of it\n"
        yield from (*map(gap_line, around), "\n")


def _updates(report: Report) -> list[dict[str, None]]:
    """The stream lines of each worst event, those of copies once; each file is read once."""
    found: list[dict[str, None]] = [{} for _ in report.worst]
    wanted: dict[tuple[str, str], list[int]] = defaultdict(list)  # by camera and minute
    days = {report.folders[-1].root.name}
    for number, event in enumerate(report.worst):
        at_us = event.row.arrived_us
        for us in (at_us - MINUTE_US, at_us, at_us + MINUTE_US):
            wanted[event.cell.id, time_text(us)[:_TO_MINUTE]].append(number)
        # When the clock was put back over a midnight, lines stay in the later day.
        days |= {day_of(at_us - MINUTE_US), day_of(at_us + 60 * MINUTE_US)}
    where = [folder for folder in report.folders if folder.root.name in days]
    for files in (CameraFiles(folder, Skipped()).stream_logs() for folder in where):
        for camera_id in files.keys() & {camera_id for camera_id, _ in wanted}:
            for line in chain.from_iterable(map(text_lines, files[camera_id])):
                for number in wanted.get((camera_id, line[:_TO_MINUTE]), ()):
                    row = report.worst[number].row
                    if line.startswith(time_text(row.arrived_us)[:-1]) or json.dumps(row.identity) in line:
                        found[number][line] = None
    return found


def _between(health: list[str], from_us: int, to_us: int) -> Iterator[str]:
    first, last = f"time={time_text(from_us)}", f"time={time_text(to_us)}"
    return (f"{line}\n" for line in health if first <= line < last)
