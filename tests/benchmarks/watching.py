"""How soon a line can be seen: files are polled as `tail -f` would, and each line's stamp compared with the clock.

Runs in the parent, on a core of its own if there is one. What it says is late by at most a poll, which is measured too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from eelogger.text.times import parse_time

POLL_S: Final = 0.001
_STAMP: Final = slice(len("time="), len("time=2026-11-22T09:07:20.123456Z"))


class Follower:
    """Follows all delay logs of a directory; `late_us` has how long each line took to be seen."""

    def __init__(self, log_dir: Path) -> None:
        self.late_us: list[int] = []
        self._log_dir = log_dir
        self._read: dict[str, int] = {}

    def follow(self, lines: int, deadline_s: float, alive: Callable[[], bool] = lambda: True) -> None:
        """Until so many lines were seen, or time is up."""
        end = time.monotonic() + deadline_s
        while len(self.late_us) < lines and time.monotonic() < end and alive():
            self.look()
            time.sleep(POLL_S)

    def look(self) -> None:
        """See what is new."""
        for entry in os.scandir(self._log_dir):
            if entry.name.endswith(".log") and "_100" in entry.name:
                self._look_at(entry)

    def _look_at(self, entry: os.DirEntry[str]) -> None:
        known = self._read.get(entry.name, 0)
        if os.stat(entry.path).st_size == known:
            return
        with open(entry.path, "rb") as file:
            file.seek(known)
            new = file.read()
        now_us = time.time_ns() // 1000
        whole = new[: new.rfind(b"\n") + 1].decode()
        self._read[entry.name] = known + len(whole.encode())
        self.late_us += [now_us - parse_time(line[_STAMP]) for line in whole.splitlines()]


def percentile(values: list[int], per_cent: int) -> int:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-per_cent * len(ordered) // 100) - 1)]
