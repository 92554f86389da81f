"""Starts the feeder and the contenders, each a process of its own, and hands messages between them.

A `Feeder` serves one stream to one contender after another. Invariant: nothing is left running, whatever fails.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import TracebackType
from typing import IO, Any, Final, Self

from .contenders import Cost, Task
from .traffic import latest, world

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_PACKAGE: Final = "tests.benchmarks"


class Child:
    """A module of this package as a process that speaks JSON lines."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{_PACKAGE}.{module}", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, value: object) -> None:
        """One line to it."""
        self._pipe(self.process.stdin).write(json.dumps(value) + "\n")
        self._pipe(self.process.stdin).flush()

    def hear(self) -> Any:
        """Its next line; raises `RuntimeError` when it has ended instead."""
        line = self._pipe(self.process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        return json.loads(line)

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self._pipe(self.process.stdin).close()
        self._pipe(self.process.stdout).close()


class Feeder(Child):
    """The cloud with its stream of at most `events` events."""

    def __init__(self, cameras: int, events: int, *, previews: bool = True, initial: bool = False) -> None:
        options = [] if previews else ["--no-previews"]
        options += ["--initial"] if initial else []
        super().__init__("feeder", "--cameras", str(cameras), "--events", str(events), *options)
        self.cameras = cameras
        self.events = events
        self.previews = previews
        self.initial = initial
        self._where = self.hear()

    def task(self, log_dir: Path, *, messages: int = 0, seconds: float = 0.0) -> Task:
        """What to tell a contender that is to be fed from here."""
        ids = [camera.id for camera in world(self.cameras).cameras]
        return Task(
            **self._where,
            log_dir=str(log_dir),
            camera_ids=ids,
            messages=messages,
            seconds=seconds,
            previews=self.previews,
            initial=latest(self.cameras) if self.initial else 0,
            started_us=time.time_ns() // 1000,
        )

    def pour(self, events: int, rate: float | None = None) -> None:
        """Let events flow once somebody is subscribed; returns when they begin to."""
        self.say({"events": events} | ({} if rate is None else {"rate": rate}))
        self.hear()


class Contender(Child):
    """One run of a contender."""

    def __init__(self, name: str, task: Task) -> None:
        super().__init__("contenders", name)
        self.say(asdict(task))

    def wait_ready(self) -> None:
        """Until it has connected and could be fed."""
        self.hear()

    def cost(self) -> Cost:
        """What the run took, once it is over."""
        return Cost(**self.hear())


@contextmanager
def log_directory() -> Iterator[Path]:
    """A log directory for one run; removed at the end of all, not of the run.

    A file system asks before each new file which ones were freed a moment ago: right after a run of 500 cameras was
    removed, the next one paid 13 µs an event for it.
    """
    yield Path(mkdtemp(dir=_all_logs()))


@cache
def _all_logs() -> str:
    folder = mkdtemp(prefix="eelogger-bench-")
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder


def race(name: str, feeder: Feeder, events: int) -> Cost:
    """One contender takes `events` events, poured all at once."""
    messages = events * (2 if feeder.previews else 1)
    with log_directory() as folder, Contender(name, feeder.task(folder, messages=messages)) as contender:
        contender.wait_ready()
        feeder.pour(events)
        return contender.cost()
