"""What happens in a world and when: an endless series of beats in the order of their delivery, fixed by the seed.

Pure. A beat is one value the cloud will send: an annotation's creation, heartbeat or end, or an alert beside it. It
happens, takes its delay, and is delivered; a slow creation may therefore come after its own heartbeat. uuids and times
of day are not part of it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Final

from .events import ANNT, CREATE, END, HEARTBEAT
from .world import SimCamera, World

HEARTBEAT_S: Final = (3.0, 9.8)
"""Heartbeats are at most 10 s apart [doc]."""
MEAN_HEARTBEATS: Final = 1.0
ALERT_SHARE: Final = 0.2
"""How many annotations have an ALRS at their creation, in the same message."""
MOTION_SHARE: Final = 0.3
"""How many begin and end with motion (EMES, EMEE), which is on top of the world's rate."""
BURST_SHARE: Final = 0.01
BURST_SIZE: Final = 10
BURST_S: Final = 1.0
BEATS_A_START: Final = (2 + MEAN_HEARTBEATS + ALERT_SHARE) * (1 + BURST_SHARE * BURST_SIZE)
"""Expected ANNT and ALRS for each start of an annotation, by which starts are made so rare that the rate comes out."""
WARM_UP_S: Final = 40.0
"""The script begins this much earlier, unseen: at 0 annotations are under way and the rate is already right."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One value, delivered `due_s` after the start and `delay_s` after it happened; `life` numbers annotations."""

    due_s: float
    delay_s: float
    camera_id: str
    four_cc: str
    life: int
    ns: int = 0
    op: int = 0
    seq: int = 0


def beats(world: World) -> Iterator[Beat]:
    """All beats for ever, by `due_s`; none when the world has no rate. The warm-up is over when this returns."""
    endless = _beats(world)
    first = next(endless, None)
    return iter(()) if first is None else chain((first,), endless)


def _beats(world: World) -> Iterator[Beat]:
    rng = random.Random(f"eelogger script {world.seed}")
    order, lives = count(), count(1)
    heap: list[tuple[float, int, Beat | SimCamera]] = []
    for camera in world.cameras:
        if camera.rate > 0:
            heapq.heappush(heap, (_next_start(rng, camera, -WARM_UP_S), next(order), camera))
    while heap:
        due_s, _, item = heapq.heappop(heap)
        if isinstance(item, Beat):
            if due_s >= 0:
                yield item
            continue
        for beat in _starts(rng, item, due_s, lives):
            heapq.heappush(heap, (beat.due_s, next(order), beat))
        heapq.heappush(heap, (_next_start(rng, item, due_s), next(order), item))


def _next_start(rng: random.Random, camera: SimCamera, after_s: float) -> float:
    return after_s + rng.expovariate(camera.rate / BEATS_A_START)


def _starts(rng: random.Random, camera: SimCamera, at_s: float, lives: Iterator[int]) -> Iterator[Beat]:
    """An annotation, or now and then a burst of them."""
    yield from _life(rng, camera, at_s, next(lives))
    if rng.random() < BURST_SHARE:
        for _ in range(BURST_SIZE):
            yield from _life(rng, camera, at_s + rng.uniform(0.0, BURST_S), next(lives))


def _life(rng: random.Random, camera: SimCamera, at_s: float, life: int) -> Iterator[Beat]:
    """Creation, heartbeats, end; sometimes an alert and motion beside it."""
    ns = rng.choice(camera.namespaces)
    created = _beat(rng, camera, at_s, ANNT, life, ns=ns, op=CREATE)
    yield created
    if rng.random() < ALERT_SHARE:
        yield replace(created, four_cc="ALRS", ns=0, op=0)
    moved = rng.random() < MOTION_SHARE
    if moved:
        yield _beat(rng, camera, at_s, "EMES", life)
    seq = 1
    while rng.random() < MEAN_HEARTBEATS / (1 + MEAN_HEARTBEATS):
        at_s += rng.uniform(*HEARTBEAT_S)
        yield _beat(rng, camera, at_s, ANNT, life, ns=ns, op=HEARTBEAT, seq=seq)
        seq += 1
    at_s += rng.uniform(0.5, HEARTBEAT_S[1])
    yield _beat(rng, camera, at_s, ANNT, life, ns=ns, op=END, seq=seq)
    if moved:
        yield _beat(rng, camera, at_s, "EMEE", life)


def _beat(
    rng: random.Random,
    camera: SimCamera,
    at_s: float,
    four_cc: str,
    life: int,
    *,
    ns: int = 0,
    op: int = 0,
    seq: int = 0,
) -> Beat:
    delay_s = camera.bridge.delays.draw(rng)
    return Beat(at_s + delay_s, delay_s, camera.id, four_cc, life, ns, op, seq)
