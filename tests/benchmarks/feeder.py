"""The other side as a process of its own: a small cloud that pours a stream made beforehand into the socket.

Speaks JSON lines: says where it serves, then takes `{"events": n}` and writes the stream's next n events to whoever is
subscribed, all at once or `"rate"` a second; each run begins at the stream's beginning. Ends with its stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from itertools import islice
from typing import Any, Final

from eelogger.simulator import Cloud

from .traffic import frame, messages, world

TICK_S: Final = 0.002
"""How often a paced stream is looked after; what is due is written at once."""


async def serve(options: argparse.Namespace) -> None:
    """Until stdin ends."""
    stream = _stream(options)
    async with Cloud(world(options.cameras)) as cloud:
        cloud.initial_state = options.initial
        _say({"base_url": cloud.base_url, "account_id": cloud.account_id, "auth_key": cloud.auth_key})
        while line := await asyncio.to_thread(sys.stdin.readline):
            await _pour(cloud, stream, options.cameras, json.loads(line))


def _stream(options: argparse.Namespace) -> list[bytes]:
    """One piece an event: its frame, and the preview's that follows it."""
    frames = map(frame, messages(options.cameras, options.events, previews=options.previews))
    size = 2 if options.previews else 1
    return [b"".join(islice(frames, size)) for _ in range(options.events)]


async def _pour(cloud: Cloud, stream: list[bytes], cameras: int, asked: dict[str, Any]) -> None:
    await cloud.wait_subscribed(cameras, timeout_s=60)
    connection = cloud.connections[-1]
    _say({"subscribed": True})
    rate = asked.get("rate")
    if rate is None:
        connection.write(b"".join(stream[: asked["events"]]))
        return
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while sent < asked["events"] and connection in cloud.connections:
        due = min(asked["events"], int((loop.time() - began) * rate))
        if due > sent:
            connection.write(b"".join(stream[sent:due]))
            sent = due
        await asyncio.sleep(TICK_S)


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--previews", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--initial", action="store_true", help="send the latest values first, as the cloud does")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(serve(options()))
