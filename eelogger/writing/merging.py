"""One file takes another's place; where both hold lines they become one file.

Decides the names of what is on the way and the order of steps; which file goes where is decided by `paths` and
`days`. Invariant: wherever a move is cut short, `settle` or the same call completes it, and no line is lost or
there twice. Nothing here is for two threads at once; `OSError` passes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

TEMPORARY: Final = ".ee-tmp"  # half-written, worth nothing after a crash
_PART: Final = ".ee-add"  # moved beside its target, waits to be merged into it
_WHOLE: Final = ".ee-all"  # target and part in one, takes the target's place
LONGEST_SUFFIX: Final = max(len(TEMPORARY), len(_PART), len(_WHOLE))

_LINE_TIME = re.compile(rb"(?:kind=\S+ )?(?:time=|from=)?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+)").match

Step = Callable[[], object]
"""Called between two changes of the disk, so that a test can end the process there."""


def no_step() -> None:
    """The step of the running program."""


def names(folder: Path) -> list[str]:
    """The names in a folder, sorted; none when there is no such folder."""
    with suppress(FileNotFoundError):
        return sorted(os.listdir(folder))
    return []


def temporary(path: Path) -> Path:
    """Where the next content of a file is written before `os.replace` puts it in place."""
    return path.with_name(path.name + TEMPORARY)


def remove_temporaries(folder: Path) -> None:
    """Remove what was half-written when the process ended."""
    for name in names(folder):
        if name.endswith(TEMPORARY):
            (folder / name).unlink(missing_ok=True)


def move_file(source: Path, target: Path, *, in_time_order: bool = True, step: Step = no_step) -> None:
    """Move a log file; a target that exists gets its lines, in time order or else after its own.

    A missing source is no error: it was moved before.
    """
    _settle(target, in_time_order, step)
    # They are one file where the file system ignores case or composition and only that differs.
    merging = target.exists() and source.exists() and not source.samefile(target)
    with suppress(FileNotFoundError):
        os.replace(source, target.with_name(target.name + _PART) if merging else target)
    step()
    _settle(target, in_time_order, step)


def settle(folder: Path, unordered: frozenset[str] = frozenset(), step: Step = no_step) -> None:
    """Complete the merges in a folder that were cut short; `unordered` names files not kept in time order."""
    targets = {name[: -len(_PART)] for name in names(folder) if name.endswith((_PART, _WHOLE))}
    for name in sorted(targets):
        _settle(folder / name, name not in unordered, step)


def _settle(target: Path, in_time_order: bool, step: Step) -> None:
    part, whole = target.with_name(target.name + _PART), target.with_name(target.name + _WHOLE)
    if not whole.exists():
        if not part.exists():
            return
        if not target.exists():  # removed by others
            os.replace(part, target)
            return
        _merge(target, part, in_time_order)
        step()
        # From here on the part counts as merged: this rename is what keeps a line from being merged twice.
        os.replace(temporary(target), whole)
        step()
    part.unlink(missing_ok=True)
    step()
    os.replace(whole, target)


def _merge(older: Path, newer: Path, in_time_order: bool) -> None:
    with open(older, "rb") as a, open(newer, "rb") as b, open(temporary(older), "wb") as both:
        lines = merge(_timed(a, in_time_order), _timed(b, in_time_order), key=itemgetter(0))
        both.writelines(line for _, line in lines)


def _timed(file: BinaryIO, in_time_order: bool) -> Iterator[tuple[bytes, bytes]]:
    """Each line after its time; one without (of a traceback, say) stays with the line before it."""
    time = b""
    for line in file:
        if in_time_order and (match := _LINE_TIME(line)):
            time = match[1]
        yield time, line if line.endswith(b"\n") else line + b"\n"
