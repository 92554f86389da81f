"""The world's own traffic: walks the script in real time and hands events to be delivered.

One task for events, one for preview timestamps. An event's timestamp is the instant of sending minus the scripted
delay, so scheduling here can never make a measured delay wrong.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count, groupby
from typing import Any, Final

from .events import ANNT, END, PRE, Event, make
from .script import Beat
from .world import World

Deliver = Callable[[Sequence[Event]], Awaitable[Any]]

BEHIND_S: Final = 5.0
"""Further behind than this (a suspended laptop) the script goes on from now instead of catching up in a flood."""
CATCH_UP_S: Final = 0.1
"""How much of the preview timestamps missed while nobody wanted them is made up for."""


async def play(beats: Iterable[Beat], deliver: Deliver) -> None:
    """Deliver the events of `beats` when they are due; beats due at one instant share a message."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    uuids: dict[int, str] = {}
    for due_s, together in groupby(beats, lambda beat: beat.due_s):
        wait_s = start + due_s - loop.time()
        if wait_s < -BEHIND_S:
            start -= wait_s
        await asyncio.sleep(max(0.0, wait_s))
        now_us = time.time_ns() // 1000
        await deliver([_event(beat, now_us, uuids) for beat in together])


def _event(beat: Beat, now_us: int, uuids: dict[int, str]) -> Event:
    at_us = now_us - round(beat.delay_s * 1e6)
    if beat.four_cc != ANNT:
        return make(beat.camera_id, beat.four_cc, at_us, {})
    name = uuids.setdefault(beat.life, str(uuid.uuid4()))
    if beat.op == END:
        del uuids[beat.life]
    return make(beat.camera_id, ANNT, at_us, {"uuid": name, "ns": beat.ns, "op": beat.op, "seq": beat.seq})


async def previews(world: World, wait_wanted: Callable[[], Awaitable[None]], deliver: Deliver) -> None:
    """A preview timestamp of each camera in turn, `pre_per_s` a second each, while somebody wants them."""
    if not world.cameras or world.pre_per_s <= 0:
        return
    loop = asyncio.get_running_loop()
    rng = random.Random(f"eelogger previews {world.seed}")
    pause_s = 1.0 / (world.pre_per_s * len(world.cameras))
    due = loop.time()
    for number in count():
        await wait_wanted()
        due = max(due + pause_s, loop.time() - CATCH_UP_S)
        await asyncio.sleep(max(0.0, due - loop.time()))
        camera = world.cameras[number % len(world.cameras)]
        at_us = time.time_ns() // 1000 - round(camera.bridge.delays.draw(rng) * 1e6)
        await deliver([make(camera.id, PRE, at_us, {})])
