"""Let an account's cameras see things: annotations and alerts in real time.

An event's timestamp is the instant of sending minus its delay, so that a late timer makes no delay wrong.
"""

import asyncio
import heapq
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, groupby
from math import exp
from typing import Any, Final, NamedTuple

from .account import Account, SimCamera
from .events import CREATE, END, HEARTBEAT, Event, make

HEARTBEAT_S: Final = (3.0, 9.8)  # heartbeats are at most 10 s apart
ALERT_SHARE: Final = 0.2  # how many annotations have an ALRS in the message of their creation
# How many events follow from one start (one heartbeat on average): starts are made so much rarer.
EVENTS_A_START: Final = 3 + ALERT_SHARE
WARM_UP_S: Final = 40.0  # the script begins this much earlier, unseen, so that the rate is right from the start
# One annotation in so many is recorded but never delivered, the 20th first, so that a short demo has one.
SWALLOWED, FIRST_SWALLOWED = 200, 20


class Beat(NamedTuple):
    """One value, due `due_s` after the start and `delay_s` after it happened."""

    due_s: float
    delay_s: float
    camera_id: str
    four_cc: str
    fields: dict[str, Any]
    swallowed: bool


async def play(
    account: Account, deliver: Callable[[list[Event]], Awaitable[object]], record: Callable[[Event], object]
) -> None:
    """Deliver the account's events, each when it is due; only record the swallowed ones."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for due_s, together in groupby(beats(account), lambda beat: beat.due_s):
        await asyncio.sleep(max(0.0, start + due_s - loop.time()))
        now_us = time.time_ns() // 1000
        events = []  # what is due at one instant shares a message
        for beat in together:
            event = make(beat.camera_id, beat.four_cc, now_us - round(beat.delay_s * 1e6), beat.fields)
            if beat.swallowed:
                record(event)
            else:
                events.append(event)
        await deliver(events)


def beats(account: Account) -> Iterator[Beat]:
    """Write the endless script, by `due_s`; but for uuids it is the same for the same account."""
    rng = random.Random(f"eelogger script {account.seed}")
    order, began = count(), count(1)
    heap: list[tuple[float, int, Beat | SimCamera]] = [
        (rng.expovariate(camera.rate / EVENTS_A_START) - WARM_UP_S, next(order), camera)
        for camera in account.cameras
        if camera.rate > 0
    ]
    heapq.heapify(heap)
    while heap:
        due_s, _, item = heapq.heappop(heap)
        if isinstance(item, Beat):
            if due_s >= 0:
                yield item
            continue
        # Only of those that are seen from their creation on.
        swallowed = due_s >= 0 and next(began) % SWALLOWED == FIRST_SWALLOWED
        for beat in _life(rng, item, due_s, swallowed):
            heapq.heappush(heap, (beat.due_s, next(order), beat))
        next_s = due_s + rng.expovariate(item.rate / EVENTS_A_START)
        heapq.heappush(heap, (next_s, next(order), item))


def _life(rng: random.Random, camera: SimCamera, at_s: float, swallowed: bool) -> Iterator[Beat]:
    """Write one annotation: creation, heartbeats, end; sometimes an alert beside it."""
    same = {"uuid": str(uuid.uuid4()), "ns": rng.choice(camera.namespaces)}

    def beat(op: int, seq: int) -> Beat:
        is_long = rng.random() < 0.003
        delay_s = rng.uniform(5.0, 20.0) if is_long else camera.bridge.median_s * exp(0.45 * rng.gauss(0.0, 1.0))
        return Beat(at_s + delay_s, delay_s, camera.id, "ANNT", {**same, "op": op, "seq": seq}, swallowed)

    created = beat(CREATE, 0)
    yield created
    if rng.random() < ALERT_SHARE:
        yield created._replace(four_cc="ALRS", fields={}, swallowed=False)
    seq = 1
    while rng.random() < 0.5:
        at_s += rng.uniform(*HEARTBEAT_S)
        yield beat(HEARTBEAT, seq)
        seq += 1
    at_s += rng.uniform(0.5, HEARTBEAT_S[1])
    yield beat(END, seq)
