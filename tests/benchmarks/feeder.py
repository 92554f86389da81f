"""Pour a stream made beforehand into a contender's socket, as the cloud does; it takes no time of the contender's."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final
from uuid import UUID

from websockets.frames import Frame, Opcode

from eelogger.simulator import Account, Cloud
from eelogger.simulator.events import make, message_text

AT_ONCE: Final = 1e12  # events a second
ALERTS: Final = 0.1  # the share of events that have no uuid, so that their identity is put together
MEDIAN_AGE_S: Final = 20.0  # the seconds a slow contender takes must not make every event a new maximum


def account(cameras: int) -> Account:
    """The account of a benchmark: names, bridges and namespaces vary, nothing happens by itself."""
    return Account.of(cameras, rate=0.0, seed=5)


def messages(cameras: int, events: int, *, previews: bool = True, seed: int = 1) -> Iterator[str]:
    """The texts of `events` event messages, each followed by a preview message if those are wanted.

    Each event is a first sight, since that is what costs the most.
    """
    rng = random.Random(seed)
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
    """A cloud with a stream made beforehand, for one contender after another; `task` is what those have to know."""

    def __init__(self, cloud: Cloud, stream: list[bytes], **task: Any) -> None:
        where = {"base_url": cloud.base_url, "account_id": cloud.account_id, "auth_key": cloud.auth_key}
        ids, initial = [row.id for row in cloud.account.cameras], sum(map(len, cloud.latest.values()))
        self.task: dict[str, Any] = {**where, "camera_ids": ids, "initial": initial, **task}
        self._cloud, self._stream, self._pouring = cloud, stream, set[asyncio.Task[None]]()

    async def pour(self, events: int, rate: float = AT_ONCE) -> None:
        """Let events flow, so many a second, once somebody is subscribed; returns when they begin to."""
        await self._cloud.wait_subscribed(len(self.task["camera_ids"]), timeout_s=60)
        self._pouring = {asyncio.create_task(self._pour(events, rate))}

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
async def feed(cameras: int, events: int, *, previews: bool = True, initial: bool = False) -> AsyncIterator[Feeder]:
    """Serve a stream of at most so many events; `initial` sends the latest values first, as the cloud does."""
    texts = messages(cameras, events, previews=previews)
    frames = (Frame(Opcode.TEXT, text.encode()).serialize(mask=False) for text in texts)
    stream = [b"".join(islice(frames, 2 if previews else 1)) for _ in range(events)]
    async with Cloud(account(cameras)) as cloud:
        if not initial:
            cloud.latest.clear()
        yield Feeder(cloud, stream, previews=previews)
