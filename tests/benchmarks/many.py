"""Ten thousand cameras: until all are subscribed, what that takes, and how late arrivals are stamped afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .launch import Contender, Feeder, log_directory
from .targets import Row

RATE: Final = 500


@dataclass(frozen=True, slots=True)
class Size:
    """How many cameras, and how long events flow, in seconds."""

    cameras: int
    seconds: float


FULL: Final = Size(cameras=10_000, seconds=60.0)
QUICK: Final = Size(cameras=200, seconds=1.5)


def many(size: Size) -> Iterator[Row]:
    """Start with the latest values of all cameras, as the cloud sends them, then events at a steady rate."""
    events = int(RATE * size.seconds * 0.95)
    with Feeder(size.cameras, events, previews=False, initial=True) as feeder, log_directory() as folder:
        with Contender("eelogger", feeder.task(folder, seconds=size.seconds)) as contender:
            contender.wait_ready()
            feeder.pour(events, RATE)
            cost = contender.cost()
    name, more = f"{size.cameras:,} cameras", cost.more
    yield Row(f"{name}: connected", more["connected_s"], "s", None)
    yield Row(f"{name}: started and subscribed", more["subscribed_s"], "s", 10.0, f"{more['start_cpu_s']:.1f} s of CPU")
    yield Row(f"{name}: descriptors", more["fds"], "", 100)
    yield Row(f"{name}: peak memory", cost.peak_mb, "MB", 150)
    yield Row(f"{name}, start: own error, p99", more["start_lag_us"] / 1000, "ms")
    note = f"max {more['lag_max_us'] / 1000:.1f} ms over {more['lag_n']} messages"
    yield Row(f"{name}, {RATE} events/s: own error, p99", more["lag_us"] / 1000, "ms", 15.0, note)
    cpu = 100 * more["steady_cpu_s"] / more["steady_wall_s"]
    yield Row(f"{name}, {RATE} events/s: CPU", cpu, "% of a core")
