"""Keep the lock fresh, watch free space, remove old days."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from threading import Thread
from typing import Final

from ..model import Timing
from .daemon_thread import DaemonThread
from .days import prune
from .disk_errors import explain, free_bytes
from .lock import DirectoryLock
from .writer import Writer

TOUCH_TICKS: Final = 5
SPACE_TICKS: Final = 60
# The rate is that of the last hour: a start, which writes much at once, or a burst warns nobody for nothing.
WINDOW: Final = 60
SHORTEST: Final = 10  # a rate seen for fewer minutes says little about days
ENOUGH: Final = 2 * 1440  # a weekend in minutes: who is warned on Friday can still act on Monday
AGAIN: Final = 1440

_log = logging.getLogger(__name__)


class SpaceWatch:
    """Tells how long the free space lasts, once a day."""

    def __init__(self) -> None:
        self._written: deque[int] = deque(maxlen=WINDOW + 1)
        self._quiet = 0

    def look(self, written: int, free: int) -> str:
        """A warning, or "": `written` bytes since the start, `free` bytes left; to be called once a minute."""
        self._written.append(written)
        self._quiet -= 1
        minutes = len(self._written) - 1
        lately = written - self._written[0]
        if minutes < SHORTEST or self._quiet > 0 or free * minutes >= ENOUGH * lately:
            return ""
        self._quiet = AGAIN
        return (
            f"{free / 1e6:.1f} MB of free space last for {free * minutes / lately / 60:.1f} hours at the present"
            f" {lately / minutes * 1440 / 1e6:.1f} MB a day: free some, or keep fewer days (EEN_KEEP_DAYS)"
        )


@dataclass
class Upkeep:
    """The directory of one run; `on_retaken` is called after it, or its lock file, was removed and is ours again."""

    lock: DirectoryLock
    writer: Writer
    timing: Timing
    on_retaken: Callable[[], None]
    keep_days: int
    max_bytes: int | None
    prune_for: str = ""  # the day for which days beyond the bounds are to be removed, soon
    space: SpaceWatch = field(default_factory=SpaceWatch)

    async def run(self) -> None:
        """Until cancelled; raises `AlreadyRunning` when another process has taken the directory."""
        thread = DaemonThread("upkeep")  # a file system may hang
        try:
            for tick in count(1):
                await asyncio.sleep(self.timing.tick_s)
                if await asyncio.wrap_future(thread.submit(self._look, tick)):
                    _log.warning("%s was removed or replaced, and is made anew", self.writer.paths.root)
                    self.on_retaken()
                if self.prune_for and not self.writer.moving:  # else a folder could go in the middle of its move
                    Thread(target=self._prune, args=(self.prune_for,), name="prune", daemon=True).start()
                    self.prune_for = ""
        finally:
            thread.shutdown()
            thread.wait_idle(0.1)  # a look that is under way must not take the lock again after its release

    def _look(self, tick: int) -> bool:
        free = free_bytes(self.writer.paths.root) if tick % SPACE_TICKS == 0 else None
        if free is not None and (warning := self.space.look(self.writer.written_bytes, free)):
            _log.warning("%s", warning)
        with suppress(OSError):  # a disk that refuses this refuses lines too: the writer reports it
            if not self.lock.still_ours():
                self.lock.acquire()
                return True
            if tick % TOUCH_TICKS == 0:
                os.utime(self.writer.paths.lock)  # a sign of life
        return False

    def _prune(self, today: str) -> None:
        try:
            removed, warning = prune(self.writer.paths, self.keep_days, self.max_bytes, today)
        except OSError as error:
            removed, warning = [], "old days cannot be removed: {}: {} ({})".format(error.filename, *explain(error))
        if removed:
            _log.info("removed old days: %s", ", ".join(removed))
        if warning:
            _log.warning("%s", warning)
