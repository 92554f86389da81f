"""Pour a stream made beforehand into a contender's socket, as a cloud in a process of its own.

It speaks JSON lines: is told what to make, says where it serves it, then takes `{"events": n}` and writes the stream's
first n events to whoever is subscribed, `"rate"` a second. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from uuid import UUID

from websockets.frames import Frame, Opcode

from eelogger.simulator import Account, Cloud
from eelogger.simulator.events import PRE, make, message_text

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
            yield message_text([make(rng.choice(rows).id, PRE, now_us - rng.randrange(10**6), {})])


async def serve(cameras: int, events: int, previews: bool, initial: bool) -> None:
    """Until stdin ends; `initial` sends the latest values first, as the cloud does."""
    texts = messages(cameras, events, previews=previews)
    frames = (Frame(Opcode.TEXT, text.encode()).serialize(mask=False) for text in texts)
    stream = [b"".join(islice(frames, 2 if previews else 1)) for _ in range(events)]
    async with Cloud(account(cameras)) as cloud:
        if not initial:
            cloud.latest.clear()
        where = {"base_url": cloud.base_url, "account_id": cloud.account_id, "auth_key": cloud.auth_key}
        what = {
            "camera_ids": [row.id for row in cloud.account.cameras],
            "initial": sum(map(len, cloud.latest.values())),
        }
        print(json.dumps(where | what | {"previews": previews}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await cloud.wait_subscribed(cameras, timeout_s=60)
            print(json.dumps({"subscribed": True}), flush=True)
            await _pour(cloud, stream, **json.loads(line))


async def _pour(cloud: Cloud, stream: list[bytes], events: int, rate: float) -> None:
    connection, began, sent = cloud.connections[-1], time.monotonic(), 0
    transport: Any = connection.request.transport
    while sent < events and connection in cloud.connections:
        due = min(events, int((time.monotonic() - began) * rate))
        if due > sent:
            transport.write(b"".join(stream[sent:due]))
            sent = due
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    asyncio.run(serve(**json.loads(sys.stdin.readline())))
