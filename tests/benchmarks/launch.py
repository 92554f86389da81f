"""Start feeders and contenders, each a process of its own; see how soon lines are visible.

A `Feeder` serves one stream to one contender after another. Invariant: nothing is left running, whatever fails.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Final, Self

from eelogger.storage.formats import parse_time

AT_ONCE: Final = 1e12  # events a second
ROOT: Final = Path(__file__).resolve().parent.parent.parent
_STAMP: Final = slice(len("time="), len("time=2026-11-22T09:07:20.123456Z"))


class Child:
    """A module of this package as a process that speaks JSON lines; `told` is what it is told first."""

    def __init__(self, *command: str, **told: Any) -> None:
        line, pipe = [sys.executable, "-m", *command], subprocess.PIPE
        self._process = subprocess.Popen(line, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self.say(**told)

    def say(self, **value: Any) -> None:
        """One line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Its next line; raises `RuntimeError` when it has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()


class Feeder(Child):
    """The cloud with its stream of at most `events` events; `task` is what a contender has to know of it."""

    def __init__(self, cameras: int, events: int, *, previews: bool = True, initial: bool = False) -> None:
        super().__init__("tests.benchmarks.feeder", cameras=cameras, events=events, previews=previews, initial=initial)
        self.task = self.hear()

    def pour(self, events: int, rate: float = AT_ONCE) -> None:
        """Let events flow once somebody is subscribed; returns when they begin to."""
        self.say(events=events, rate=rate)
        self.hear()


class Contender(Child):
    """A contender that ends after so many messages or seconds; `hear` tells that it is ready, then what it cost."""

    def __init__(
        self, name: str, feeder: Feeder, *, messages: int = 0, seconds: float = 0.0, log_dir: Path | None = None
    ) -> None:
        self.log_dir = log_dir or log_directory()
        how = {"messages": messages, "seconds": seconds, "started_us": time.time_ns() // 1000}
        super().__init__("tests.benchmarks.contenders", name, log_dir=str(self.log_dir), **how, **feeder.task)

    def cost(self, feeder: Feeder, events: int, rate: float = AT_ONCE) -> Any:
        """Feed it when it is ready; what that cost."""
        self.hear()
        feeder.pour(events, rate)
        return self.hear()


def log_directory() -> Path:
    """A log directory for one run; removed at the end of all, not of the run.

    A file system asks before each new file which ones were freed a moment ago: right after a run of 500 cameras was
    removed, the next one paid 13 µs an event for it.
    """
    return Path(mkdtemp(dir=_all_logs()))


@cache
def _all_logs() -> str:
    folder = mkdtemp(prefix="eelogger-bench-")
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder


def follow(log_dir: Path, lines: int, deadline_s: float) -> list[int]:
    """Poll all delay logs as `tail -f` would: how late, in µs, each line was seen after its stamp.

    Until so many lines were seen, or time is up. What it says is late by at most a poll, which is measured too.
    """
    late_us: list[int] = []
    read: dict[str, int] = {}
    end = time.monotonic() + deadline_s
    while len(late_us) < lines and time.monotonic() < end:
        for entry in os.scandir(log_dir):
            known = read.get(entry.name, 0)
            if not entry.name.endswith(".log") or "_100" not in entry.name or os.stat(entry.path).st_size == known:
                continue
            with open(entry.path, "rb") as file:
                file.seek(known)
                new = file.read()
            now_us = time.time_ns() // 1000
            whole = new[: new.rfind(b"\n") + 1]
            read[entry.name] = known + len(whole)
            late_us += [now_us - parse_time(line[_STAMP]) for line in whole.decode().splitlines()]
        time.sleep(0.001)
    return sorted(late_us)
