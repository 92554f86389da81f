"""Start contenders, each a process of its own, and pour a stream made beforehand into their sockets."""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Final
from uuid import UUID

from websockets.frames import Frame, Opcode

from eelogger.simulator import Account, Cloud
from eelogger.simulator.events import make, message_text
from eelogger.storage.formats import parse_time

AT_ONCE: Final = 1e12  # events a second
ALERTS: Final = 0.1  # the share of events that have no uuid, so that their identity is put together
MEDIAN_AGE_S: Final = 20.0  # the seconds a slow contender takes must not make every event a new maximum
_ALL_LOGS: Final = TemporaryDirectory(prefix="eelogger-bench-")
_STAMP: Final = slice(len("time="), len("time=2026-11-22T09:07:20.123456Z"))


def account(cameras: int) -> Account:
    """The account of a benchmark: names, bridges and namespaces vary, nothing happens by itself."""
    return Account.of(cameras, rate=0.0, seed=5)


def messages(cameras: int, events: int, *, previews: bool) -> Iterator[str]:
    """Event messages, each a first sight, which costs the most, and followed by a preview message if wanted."""
    rng = random.Random(1)
    rows = account(cameras).cameras
    now_us = time.time_ns() // 1_000
    for _ in range(events):
        camera = rng.choice(rows)
        at_us = now_us - int(rng.lognormvariate(0.0, 0.5) * MEDIAN_AGE_S * 1e6)
        if rng.random() < ALERTS:
            event = make(camera.id, "ALRS", at_us, {"eventid": rng.getrandbits(32) - (1 << 31)})
        else:
            uuid = str(UUID(int=rng.getrandbits(128), version=4))
            event = make(camera.id, "ANNT", at_us, {"ns": rng.choice(camera.namespaces), "uuid": uuid})
        yield message_text([event])
        if previews:
            seen = make(rng.choice(rows).id, "ANNT", now_us - rng.randrange(10**6), {})
            data = {seen.camera_id: {"pre": seen.body["timestamp"]}}
            yield json.dumps({"status_code": 200, "message": "OK", "data": data}, separators=(",", ":"))


class Feeder:
    """A cloud with a stream made beforehand, for one contender after another."""

    def __init__(self, cloud: Cloud, stream: list[bytes], *, previews: bool) -> None:
        self._cloud, self._stream, self._previews = cloud, stream, previews

    @asynccontextmanager
    async def feed(
        self, name: str, events: int, rate: float = AT_ONCE, *, seconds: float = 0.0, log_dir: Path | None = None
    ) -> AsyncIterator[tuple[Path, Callable[[], Awaitable[Any]]]]:
        """Run a contender until all events came, or for some seconds; its log directory, and what hears its cost."""
        cloud, log_dir, pipe = self._cloud, log_dir or log_directory(), asyncio.subprocess.PIPE
        task = {
            "environ": cloud.environ | {"EEN_RESOURCES": "event,pre" if self._previews else "event"},
            "camera_ids": [row.id for row in cloud.account.cameras],
            "messages": events * (1 + self._previews),
            "seconds": seconds,
            "log_dir": str(log_dir),
            "started_us": time.time_ns() // 1000,
        }
        line = (sys.executable, "-m", "tests.benchmarks.contenders", name)
        process = await asyncio.create_subprocess_exec(*line, cwd=Path(__file__).parents[2], stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        process.stdin.write(json.dumps(task).encode() + b"\n")

        async def hear() -> Any:
            assert process.stdout is not None
            line = await process.stdout.readline()
            assert line, f"it ended with {await process.wait()}"
            return json.loads(line)

        try:
            await hear()
            await cloud.wait_subscribed(len(cloud.account.cameras), timeout_s=60)
            pouring = asyncio.create_task(self._pour(events, rate))
            yield log_dir, hear
            await pouring
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def _pour(self, events: int, rate: float) -> None:
        connection, began, sent = self._cloud.connections[-1], time.monotonic(), 0
        transport: Any = connection.request.transport
        while sent < events and connection in self._cloud.connections:
            due = min(events, int((time.monotonic() - began) * rate))
            if due > sent:
                transport.write(b"".join(self._stream[sent:due]))
                sent = due
            await asyncio.sleep(0.002)


@asynccontextmanager
async def serve(cameras: int, events: int, *, previews: bool = True, initial: bool = False) -> AsyncIterator[Feeder]:
    """Serve a stream of at most so many events; `initial` sends the latest values first, as the cloud does."""
    texts = messages(cameras, events, previews=previews)
    frames = (Frame(Opcode.TEXT, text.encode()).serialize(mask=False) for text in texts)
    stream = [b"".join(islice(frames, 2 if previews else 1)) for _ in range(events)]
    async with Cloud(account(cameras)) as cloud:
        if not initial:
            cloud.latest.clear()
        yield Feeder(cloud, stream, previews=previews)


def log_directory() -> Path:
    """A log directory for one run; removed at the end of all, since files that were just freed slow down new ones."""
    return Path(mkdtemp(dir=_ALL_LOGS.name))


def follow(log_dir: Path, lines: int, deadline_s: float) -> list[int]:
    """Poll all delay logs as `tail -f` would: how late, in µs and sorted, each line was seen after its stamp."""
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
