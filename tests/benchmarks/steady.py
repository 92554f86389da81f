"""What a running logger costs when little or nothing happens, and how soon its lines can be seen.

CPU is the process's own over the whole time, snapshots, heartbeats and watchdog included.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from .contenders import Cost
from .launch import Contender, Feeder, log_directory
from .targets import Row
from .watching import Follower, percentile

CAMERAS: Final = 20
RATE: Final = 100


@dataclass(frozen=True, slots=True)
class Size:
    """How long each state is watched, in seconds, and how many events are poured at once."""

    seconds: float
    burst: int


FULL: Final = Size(seconds=30.0, burst=50_000)
QUICK: Final = Size(seconds=1.5, burst=2_000)


def steady(size: Size) -> Iterator[Row]:
    """Idle, a hundred events a second, and as many as it can take."""
    cost = _idle(size.seconds)
    yield Row(f"idle, {CAMERAS} cameras, {size.seconds:g} s: CPU", _share(cost), "% of a core", 0.3)
    cost = _flowing(size.seconds)
    yield Row(f"{RATE} events/s: CPU", _share(cost), "% of a core", 1.5, f"{cost.more['messages']} messages")
    floor = _floor(size.seconds)
    yield Row(f"{RATE} events/s, floor: CPU", _share(floor), "% of a core")
    yield Row(f"{RATE} events/s, eelogger : floor", _share(cost) / _share(floor), "×")
    yield from _visible(f"{RATE} events/s", _seen(size.seconds), 20.0)
    yield from _visible("saturation", _saturated(size.burst), 250.0)


def _idle(seconds: float) -> Cost:
    with Feeder(CAMERAS, 1) as feeder, log_directory() as folder:
        with Contender("eelogger", feeder.task(folder, seconds=seconds)) as contender:
            contender.wait_ready()
            return contender.cost()


def _flowing(seconds: float) -> Cost:
    """Nobody follows the files meanwhile: the follower keeps a core busy, and its caches."""
    with _pouring(seconds) as (contender, _, _):
        time.sleep(seconds)
        return contender.cost()


def _seen(seconds: float) -> list[int]:
    with _pouring(seconds) as (contender, follower, events):
        follower.follow(events, seconds)
        contender.cost()
        return follower.late_us


@contextmanager
def _pouring(seconds: float) -> Iterator[tuple[Contender, Follower, int]]:
    events = int(RATE * seconds * 0.95)
    with Feeder(CAMERAS, events, previews=False) as feeder, log_directory() as folder:
        follower = Follower(folder)
        with Contender("eelogger", feeder.task(folder, seconds=seconds)) as contender:
            contender.wait_ready()
            feeder.pour(events, RATE)
            yield contender, follower, events


def _floor(seconds: float) -> Cost:
    """What it costs to be woken for each event, which no logger is spared."""
    events = int(RATE * seconds)
    with Feeder(CAMERAS, events, previews=False) as feeder, log_directory() as folder:
        with Contender("floor", feeder.task(folder, messages=events)) as contender:
            contender.wait_ready()
            feeder.pour(events, RATE)
            return contender.cost()


def _saturated(events: int) -> list[int]:
    with Feeder(CAMERAS, events) as feeder, log_directory() as folder:
        follower = Follower(folder)
        with Contender("eelogger", feeder.task(folder, messages=2 * events)) as contender:
            contender.wait_ready()
            feeder.pour(events)
            follower.follow(events, 120)
            contender.cost()
            return follower.late_us


def _share(cost: Cost) -> float:
    cpu_s, wall_s = cost.more.get("steady_cpu_s", cost.cpu_s), cost.more.get("steady_wall_s", cost.wall_s)
    return 100 * float(cpu_s) / float(wall_s)


def _visible(when: str, late_us: list[int], limit_ms: float) -> Iterator[Row]:
    note = f"p50 {percentile(late_us, 50) / 1000:.1f}, max {max(late_us) / 1000:.1f} ms, {len(late_us)} lines"
    yield Row(f"{when}: line visible after arrival, p99", percentile(late_us, 99) / 1000, "ms", limit_ms, note)
