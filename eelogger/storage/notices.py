"""Remember what cron was told, so that one trouble is one mail a day.

Kept in `.said` beside the logs: a wrong setting or a refused key may leave no run that could keep it. Where the file
cannot be read or written, the program talks more, never less.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from .disk import replace
from .line_blocks import read_object
from .paths import LogPaths

DAY_S: Final = 86_400
HOUR_S: Final = 3_600


def is_news(paths: LogPaths, reason: str, now_s: float, every_s: float = DAY_S) -> bool:
    """Whether `reason` was not told within `every_s`; it counts as told from now on."""
    told = _read(paths)
    if 0 <= now_s - told.get(reason, -DAY_S) < every_s:
        return False
    # What is older than a day tells nothing any more.
    _write(paths, {what: at_s for what, at_s in told.items() if abs(now_s - at_s) < DAY_S} | {reason: now_s})
    return True


def forget(paths: LogPaths, lasting: Collection[str] = ()) -> None:
    """A run works again: the next trouble is news, but for reasons that do not pass by that."""
    told = _read(paths)
    kept = {reason: at_s for reason, at_s in told.items() if reason in lasting}
    if kept != told:
        _write(paths, kept)


def _read(paths: LogPaths) -> dict[str, float]:
    with suppress(OverflowError):
        return {what: float(at) for what, at in read_object(paths.said).items() if isinstance(at, int | float)}
    return {}


def _write(paths: LogPaths, told: dict[str, float]) -> None:
    with suppress(OSError):
        replace(os.fspath(paths.said), json.dumps(told))
