"""The stream that all contenders are fed: frames as they stand on the wire, made before anybody is timed.

Each event is a first sight, since that is what costs the most, and is followed by a preview message of some camera.
Events are dated well before they are sent: the seconds a slow contender takes must not make every event a new maximum.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from websockets.frames import Frame, Opcode

from eelogger.simulator import World
from eelogger.simulator.events import PRE, make, message_text

ALERTS: Final = 0.1
"""The share of events that are no annotations: they have no uuid, so their identity is put together."""
MEDIAN_AGE_S: Final = 20.0


def world(cameras: int) -> World:
    """The account of a benchmark: names, bridges and namespaces vary, nothing happens by itself."""
    return World.of(cameras, rate=0.0, seed=5)


def latest(cameras: int) -> int:
    """How many values the cloud has of all cameras that a subscription to ANNT and ALRS is told first."""
    kinds = [four_cc for camera in world(cameras).cameras for four_cc, _ in camera.ages_s]
    return kinds.count("ANNT") + kinds.count("ALRS")


def messages(cameras: int, events: int, *, previews: bool = True, seed: int = 1) -> Iterator[str]:
    """The texts of `events` event messages, each followed by a preview message if those are wanted."""
    rng = random.Random(seed)
    rows = world(cameras).cameras
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


def frame(text: str) -> bytes:
    """A message as a server sends it."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
