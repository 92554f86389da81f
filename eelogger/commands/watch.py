"""`watch`: a running logger's first-seen events on a terminal, one short line each, from its delay logs alone.

Decides which events are shown and how a line looks; that none is missed or repeated is `following`'s. Needs neither
lock nor key. Invariant: columns keep whatever a camera is called, and no line is wider than the terminal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from ..errors import NothingToShow
from ..logdir.days import day_of
from ..logdir.presence import DIED, NEVER, RUNNING, STOPPED, presence
from ..model import MEASURED, Camera, Verdict
from ..paths import LogPaths
from ..text import words
from ..text.tables import cell, cut, nearest, printable
from .following import Follower, Logged

POLL_S: Final = 0.25
LOOKS: Final = 10
"""Looking at thousands of files takes longer: a pause is at least so many times as long."""
_DELAY_COLUMNS: Final = 12
_FIXED: Final = len("09:07:20") + 2 + 2 + _DELAY_COLUMNS
_EVENT_COLUMNS: Final = 24
_NAME_COLUMNS: Final = 32
_NARROW: Final = 24
"""With fewer columns for name and event together the event is left out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events: `cameras` are ids or name patterns with `*` and `?`, in any case; none means all."""

    cameras: Sequence[str] = ()
    min_delay_us: int | None = None

    def wants(self, verdict: Verdict, camera: Camera) -> bool:
        """Whether this event is to be shown; one without a delay has none of any length."""
        if self.min_delay_us is not None and (verdict.delay_us is None or verdict.delay_us < self.min_delay_us):
            return False
        # Only * and ? are wild, as in EEN_CAMERAS.
        patterns = [pattern.casefold().replace("[", "[[]") for pattern in self.cameras]
        texts = (camera.id.casefold(), camera.name.casefold())
        return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def watch(
    paths: LogPaths,
    choice: Choice,
    last: int,
    *,
    write: Callable[[str], object],
    tell: Callable[[str], object],
    columns: Callable[[], int],
) -> None:
    """Show the `last` events, then each new one, until interrupted; raises `NothingToShow` without a log directory.

    `write` takes lines for stdout, `tell` remarks for stderr.
    """
    _look_at_directory(paths)
    follower = Follower(paths, choice.wants)
    lines = follower.start(last)
    for remark in _remarks(paths):
        tell(remark)
    day = ""
    told: set[object] = set()
    pause_s = POLL_S
    write(heading(columns()))
    try:
        while True:
            for logged in lines:
                if (arrived_day := day_of(logged[0].arrived_us)) != day:
                    day = arrived_day
                    write(f"-- {day} (UTC) --\n")
                write(row(logged, columns()))
            for path, problem in follower.problems.items() - told:
                told.add((path, problem))
                tell(f"{printable(path)} cannot be read: {problem}")
            time.sleep(pause_s)
            began = time.monotonic()
            lines = follower.poll()
            pause_s = max(POLL_S, (time.monotonic() - began) * LOOKS)
    finally:
        if follower.unreadable:
            tell(f"{words.count(follower.unreadable, 'line')} could not be read and were skipped")


def _look_at_directory(paths: LogPaths) -> None:
    """Raise `NothingToShow` unless there is something to look at."""
    hint = "start the logger first, or give --log-dir"
    try:
        os.listdir(paths.root)
    except OSError as error:
        where = printable(str(paths.root))
        raise NothingToShow(f"the log directory {where} cannot be read: {error.strerror}", hint) from None


def _remarks(paths: LogPaths) -> Iterator[str]:
    """What explains that nothing comes."""
    kind = presence(paths).kind
    if kind != RUNNING:
        said = {NEVER: "no logger has been at work", STOPPED: "the logger is stopped", DIED: "the logger died"}
        yield f"{said.get(kind, 'the logger hangs')} in {printable(str(paths.root))}: waiting for events"


def heading(columns: int) -> str:
    """The titles of the columns, and that times are UTC."""
    name, event = _widths(columns)
    titles = ["UTC     ", cell("camera", name), *([cell("event", event)] if event else [])]
    return cut("  ".join([*titles, cell("delay", _DELAY_COLUMNS, right=True)]), columns - 1) + "\n"


def row(logged: Logged, columns: int) -> str:
    """One event as one line of at most `columns` - 1 columns."""
    verdict, camera = logged
    name, event = _widths(columns)
    cells = [
        words.clock_time(verdict.arrived_us, seconds=True),
        cell(camera.name or camera.id, name),
        *([cell(verdict.event, event)] if event else []),
        cell(_delay(verdict.delay_us), _DELAY_COLUMNS, right=True),
    ]
    mark = "" if verdict.kind == MEASURED else f"  {printable(verdict.kind)}"
    return cut("  ".join(cells) + mark, columns - 1).rstrip() + "\n"


def _widths(columns: int) -> tuple[int, int]:
    """Columns for the camera's name and for the event, which is left out on a narrow terminal."""
    room = columns - 1 - _FIXED - len("  undated")
    if room - 2 < _NARROW:
        return max(4, min(_NAME_COLUMNS, room)), 0
    event = min(_EVENT_COLUMNS, (room - 2) * 2 // 5)
    return min(_NAME_COLUMNS, room - 2 - event), event


def _delay(us: int | None) -> str:
    if us is None:
        return "-"
    if abs(us) >= 120_000_000:
        return words.span(us)
    whole, hundredths = divmod(nearest(abs(us), 10_000), 100)
    return f"{'−' if us < 0 else ''}{whole}.{hundredths:02d} s"
