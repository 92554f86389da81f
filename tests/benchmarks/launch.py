"""Start contenders, each a process of its own; see how soon lines are visible."""

import asyncio
import atexit
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Final

from eelogger.storage.formats import parse_time

from .feeder import AT_ONCE, Feeder

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_STAMP: Final = slice(len("time="), len("time=2026-11-22T09:07:20.123456Z"))


class Contender:
    """A contender under way: `hear` tells that it is ready, then what it cost."""

    def __init__(self, process: asyncio.subprocess.Process, log_dir: Path) -> None:
        self._process, self.log_dir = process, log_dir

    async def hear(self) -> Any:
        """Its next line."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"it ended with {await self._process.wait()}"
        return json.loads(line)

    async def cost(self, feeder: Feeder, events: int, rate: float = AT_ONCE) -> Any:
        """Feed it when it is ready; what that cost."""
        await self.hear()
        await feeder.pour(events, rate)
        return await self.hear()


@asynccontextmanager
async def contend(
    name: str, feeder: Feeder, *, messages: int = 0, seconds: float = 0.0, log_dir: Path | None = None
) -> AsyncIterator[Contender]:
    """Run a contender that ends after so many messages or seconds, or with the block."""
    log_dir, pipe = log_dir or log_directory(), asyncio.subprocess.PIPE
    told = {"log_dir": str(log_dir), "messages": messages, "seconds": seconds, "started_us": time.time_ns() // 1000}
    line = (sys.executable, "-m", "tests.benchmarks.contenders", name)
    process = await asyncio.create_subprocess_exec(*line, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    process.stdin.write(json.dumps(told | feeder.task).encode() + b"\n")
    try:
        yield Contender(process, log_dir)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


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
