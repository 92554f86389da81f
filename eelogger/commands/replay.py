"""`python app.py replay`: a log directory made anew from stream logs, and what is said about it.

Decides what is told of what was skipped; judging and writing are for `replay`. What counts is what a run would count:
`EEN_EVENTS`, `EEN_NAMESPACES` and `EEN_NAMESPACE_NAMES` hold here too. Invariant: the sources are only read.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import DiskError, NothingToShow, UsageError
from ..model import EARLY, INITIAL, MEASURED, UNDATED
from ..past.sources import parts_of
from ..replay import Replayed, replay
from ..screen.progress import BROKEN_OFF, Terminal, progress
from ..settings import load
from ..text import words
from ..text.tables import printable

_LOGGED: Final = (MEASURED, EARLY, INITIAL, UNDATED)


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Replay the sources into `--log-dir`; raises `UsageError`, `NothingToShow`, `DiskError`, `SettingsError`."""
    sources, target = options.sources, options.log_dir
    if target is None:
        raise UsageError("say where to write", "give --log-dir DIR, a directory that is empty or does not exist yet")
    where = printable(str(target))
    settings = load(None, options.env_file, need_credentials=False)
    try:
        for remark in _passed_over(sources):
            terminal.tell(remark)
        with progress("replaying", terminal) as advance:
            done = asyncio.run(
                replay(
                    sources,
                    target,
                    advance,
                    events=frozenset(settings.events),
                    namespaces=settings.namespaces,
                    ns_values=settings.namespace_table,
                )
            )
    except KeyboardInterrupt:
        terminal.tell(f"broken off: {where} is not complete, remove it")
        return BROKEN_OFF
    except DiskError as error:
        raise DiskError(printable(error.why), _hint(target, where)) from None
    except OSError as error:
        what = printable(str(error.filename or where))
        raise NothingToShow(f"{what} cannot be read: {error.strerror or error}", "check its owner and mode") from None
    terminal.write("".join(f"{line}\n" for line in _told(done, where)))
    return 0


def _hint(target: Path, where: str) -> str:
    """What to do when the target cannot be written; it may not even have been made."""
    begun = ""
    with suppress(OSError):
        begun = f"{where} is not complete, remove it; " if any(target.iterdir()) else ""
    return f"{begun}give --log-dir a place that may be written and has room; the sources are as they were"


def _passed_over(sources: Sequence[Path]) -> Iterator[str]:
    """What of the sources is not replayed, in words; raises `NothingToShow` when that is all."""
    there = [source for source in sources if source.exists()]
    yield from (f"skipped: there is no {printable(str(source))}" for source in sources if source not in there)
    unreadable: list[OSError] = []
    try:
        files = {path for part in parts_of(sources, unreadable) for _, path in part.files}
    finally:
        for error in unreadable:
            yield f"skipped: {printable(str(error.filename))} cannot be read: {error.strerror}"
    told = {str(error.filename) for error in unreadable}
    for source in there:
        if str(source) not in told and not any(path == source or source in path.parents for path in files):
            yield f"skipped: {printable(str(source))} is no stream log, nor a directory that holds one"
    for path in sorted(files):
        if path.exists() and not path.is_file():
            yield f"skipped: {printable(str(path))} is not an ordinary file"
        elif path.exists() and not os.access(path, os.R_OK):
            yield f"skipped: {printable(str(path))} cannot be read"


def _told(done: Replayed, where: str) -> Iterator[str]:
    days = done.days[0] if len(done.days) == 1 else f"{done.days[0]} to {done.days[-1]} ({len(done.days)} days)"
    yield (
        f"{where}: {words.count(done.updates, 'update')} of {words.count(done.cameras, 'camera')}"
        f" from {words.count(len(done.days), 'day')}, {days} (UTC)"
    )
    counts = dict.fromkeys(_LOGGED, 0) | dict(done.verdicts)
    yield ", ".join(f"{kind} {count:,}" for kind, count in counts.items())
    if done.unreadable:
        yield f"skipped {words.count(done.unreadable, 'line')} that could not be read"
