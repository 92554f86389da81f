"""What the log directory needs beside lines: the hold on it kept, its free space watched, old days removed.

Decides when; how is for `lock`, `space` and `days`. All of it in threads of its own: a file system that hangs must
stop neither the event loop nor the lines. Invariant: the lock is touched only while the loop and the writer live, so
that another process can tell a hung one.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final

from ..logdir.days import prune
from ..logdir.lock import DirectoryLock
from ..logdir.space import SpaceWatch
from ..settings import Settings
from ..thread import DaemonThread
from ..writer import Writer

TICK_S: Final = 1.0
"""How long a directory that was removed and made anew may be without our lock."""
TOUCH_TICKS: Final = 5
SPACE_TICKS: Final = 60
_LAST_LOOK_S: Final = 0.1

_log = logging.getLogger(__name__)


class Upkeep:
    """The directory of one run; `on_retaken` is called after it, or its lock file, was removed and is ours again."""

    def __init__(self, lock: DirectoryLock, settings: Settings, writer: Writer, on_retaken: Callable[[], None]) -> None:
        self._lock = lock
        self._settings = settings
        self._writer = writer
        self._on_retaken = on_retaken
        self._space = SpaceWatch()

    async def run(self) -> None:
        """Until cancelled; raises `AlreadyRunning` when another process was faster to take a directory made anew."""
        thread = DaemonThread("upkeep")
        try:
            for tick in count(1):
                await asyncio.sleep(TICK_S)
                touch = tick % TOUCH_TICKS == 0 and self._writer.lives
                retaken, free = await asyncio.wrap_future(thread.submit(self._look, touch))
                if retaken:
                    self._on_retaken()
                if tick % SPACE_TICKS == 0 and free is not None:
                    self.watch_space(free)
        finally:
            thread.shutdown(wait=False)
            thread.wait_idle(_LAST_LOOK_S)

    def watch_space(self, free: int) -> None:
        """Warn when so many free bytes do not last; to be called once a minute."""
        warning = self._space.look(time.monotonic(), self._writer.written_bytes, free)
        if warning:
            _log.warning("%s", warning)

    def prune(self, today: str) -> None:
        """Remove the days beyond the bounds, soon; a large one takes a while."""
        thread = DaemonThread("prune")
        thread.submit(self._prune, today)
        thread.shutdown(wait=False)

    def _look(self, touch: bool) -> tuple[bool, int | None]:
        """Whether the lock had to be taken anew, and the bytes free."""
        retaken, free = False, None
        with suppress(OSError):  # a disk that refuses this refuses lines too, and that is the writer's to tell
            if not self._lock.still_ours():
                self._lock.retake()
                retaken = True
            if touch:
                self._lock.touch()
            free = shutil.disk_usage(self._settings.log_dir).free
        return retaken, free

    def _prune(self, today: str) -> None:
        settings = self._settings
        try:
            pruned = prune(self._writer.paths, settings.keep_days, settings.log_max_bytes, today)
        except OSError as error:
            _log.warning("old days cannot be removed: %s", error)
            return
        if pruned.days:
            _log.info("removed %d old days, %.1f MB", len(pruned.days), pruned.bytes / 1e6)
        if pruned.warning:
            _log.warning("%s", pruned.warning)
