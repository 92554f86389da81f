"""The parts of the benchmark: what is measured, what it may be at most, and the table that shows both."""

import asyncio
import random
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable, Iterator
from statistics import median
from typing import Final, NamedTuple
from uuid import UUID

from eelogger.measure.dedup import GENERATION
from eelogger.measure.handler import Handler
from eelogger.model import NAMESPACES, Camera
from eelogger.simulator.events import make
from eelogger.storage import formats
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.paths import LogPaths, day_of
from eelogger.storage.state import State, state_text

from .contenders import Cost
from .feeder import account, feed
from .launch import contend, follow, log_directory

FEW: Final = 20
SOME: Final = 500


class Row(NamedTuple):
    """One figure of the table; `limit` is the most it may be, None where nothing is promised."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether the limit is exceeded."""
        return self.limit is not None and self.value > self.limit


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The rows in columns, what is missed marked."""
    yield f"{'':<58}{'measured':>12}  {'at most':>9}"
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:,g}"
        mark = "  MISSED" if row.missed else ""
        yield f"{row.name:<58}{row.value:>12,.2f}  {limit:>9} {row.unit:<10}{row.note}{mark}".rstrip()


# Events (of the plain version fewer), rounds, seconds of a state, cameras, lines of a day and the cameras they are of.
FULL: Final = Namespace(events=50_000, naive_events=3_000, rounds=5, seconds=30.0, cameras=10_000)
FULL.lines, FULL.day_cameras = 1_000_000, 100
QUICK: Final = Namespace(events=300, naive_events=60, rounds=1, seconds=0.5, cameras=50, lines=400, day_cameras=4)
LineUp = tuple[str, int, int]  # who, on how many cameras, how many events


async def compare(size: Namespace) -> AsyncIterator[Row]:
    """CPU, time and memory an event; all run in every round, so that a busy minute of the machine meets all."""
    n, fewer = size.events, size.naive_events
    floor, naive = ("floor", FEW, n), ("naive", FEW, fewer)
    ours, ours_some = ("eelogger", FEW, n), ("eelogger", SOME, n)
    costs: dict[LineUp, list[Cost]] = {one: [] for one in (floor, naive, ours, ours_some)}
    async with feed(FEW, n) as few, feed(SOME, n) as some:
        for _ in range(size.rounds):
            for (name, cameras, events), found in costs.items():
                feeder = few if cameras == FEW else some
                async with contend(name, feeder, messages=2 * events) as contender:
                    found.append(await contender.cost(feeder, events))

    def ratio(one: LineUp, to: LineUp) -> float:
        pairs = zip(costs[one], costs[to], strict=True)
        return float(median(mine["cpu_s"] / one[2] / (other["cpu_s"] / to[2]) for mine, other in pairs))

    for (name, cameras, events), found in costs.items():
        cpu_us, wall_us, peak = (median(c[key] for c in found) * 1e6 for key in ("cpu_s", "wall_s", "peak_mb"))
        note = f"{wall_us / events:,.1f} µs of time, {events / wall_us * 1e6:,.0f}/s, {peak / 1e6:.0f} MB"
        yield Row(f"{name}, {cameras} cameras, {events:,} events: CPU", cpu_us / events, "µs/event", None, note)
    yield Row("eelogger : floor", ratio(ours, floor), "×")
    yield Row("eelogger : plain first version", ratio(ours, naive), "×")
    yield Row(f"eelogger, {SOME} : {FEW} cameras", ratio(ours_some, ours), "×", 1.4)
    yield Row(f"eelogger, {FEW} cameras: peak memory", max(cost["peak_mb"] for cost in costs[ours]), "MB", 75)


async def steady(size: Namespace) -> AsyncIterator[Row]:
    """CPU when idle and at a hundred events a second, and how soon lines can be seen, also at saturation."""
    seconds, rate = size.seconds, 100
    events = int(rate * seconds * 0.95)
    async with feed(FEW, size.events) as feeder, contend("eelogger", feeder, messages=2 * size.events) as contender:
        await contender.hear()
        await feeder.pour(size.events)
        saturated_us = await asyncio.to_thread(follow, contender.log_dir, size.events, 120)
    async with feed(FEW, events, previews=False) as feeder:
        async with contend("eelogger", feeder, seconds=seconds) as contender:
            yield Row(f"idle, {FEW} cameras: CPU", _share(await contender.cost(feeder, 0)), "% of a core", 0.3)
        # Nobody follows the files meanwhile: who does keeps a core busy, and its caches.
        async with contend("eelogger", feeder, seconds=seconds) as contender:
            yield Row(f"{rate} events/s: CPU", _share(await contender.cost(feeder, events, rate)), "% of a core", 1.5)
        async with contend("eelogger", feeder, seconds=seconds) as contender:
            await contender.hear()
            await feeder.pour(events, rate)
            yield _visible(f"{rate} events/s", await asyncio.to_thread(follow, contender.log_dir, events, seconds), 100)
    yield _visible("saturation", saturated_us, 250)


def _share(cost: Cost) -> float:
    cost = cost.get("steady", cost)
    return float(100 * cost["cpu_s"] / cost["wall_s"])


def _visible(when: str, late_us: list[int], limit_ms: float) -> Row:
    p50, p99 = (late_us[len(late_us) * share // 100] / 1000 for share in (50, 99))
    note = f"p50 {p50:.1f}, max {late_us[-1] / 1000:.1f} ms, {len(late_us)} lines"
    return Row(f"{when}: line visible after arrival, p99", p99, "ms", limit_ms, note)


async def many(size: Namespace) -> AsyncIterator[Row]:
    """Start with the latest values of all cameras, as the cloud sends them, then 500 events a second."""
    name, seconds = f"{size.cameras:,} cameras", 2 * size.seconds
    events = int(500 * seconds * 0.95)
    async with feed(size.cameras, events, previews=False, initial=True) as feeder:
        async with contend("eelogger", feeder, seconds=seconds) as contender:
            cost = await contender.cost(feeder, events, 500)
    start, (n, p99_us, max_us) = cost["start"], cost["steady"]["lag"]
    yield Row(f"{name}: started and subscribed", start["subscribed_s"], "s", 10, f"{start['cpu_s']:.1f} s of CPU")
    yield Row(f"{name}: peak memory", cost["peak_mb"], "MB", 150)
    note = f"max {max_us / 1000:.1f} ms over {n} messages"
    yield Row(f"{name}, 500 events/s: own error, p99", p99_us / 1000, "ms", None, note)
    yield Row(f"{name}, 500 events/s: CPU", _share(cost), "% of a core")


async def restart(size: Namespace) -> AsyncIterator[Row]:
    """Make the day that a killed run left, and start on it."""
    folder = log_directory()
    make_day(LogPaths(folder), size.lines, size.day_cameras)
    async with feed(size.day_cameras, 200, previews=False) as feeder:
        async with contend("eelogger", feeder, seconds=1.0, log_dir=folder) as contender:
            cost = await contender.cost(feeder, 200, 200)
    start, note = cost["start"], f"{cost['start']['cpu_s']:.1f} s of CPU, {cost['peak_mb']:.0f} MB"
    yield Row(f"restart, {size.lines:,} lines: connected", start["connected_s"], "s", 8, note)


def make_day(paths: LogPaths, count: int, cameras: int) -> None:
    """Write the log directory of a run that ended a moment ago: delay logs, identities, `.state`."""
    rng, handler = random.Random(7), Handler(("ANNT", "ALRS"), None, NAMESPACES)
    now_us, each = time.time_ns() // 1000, count // cameras
    day_us = formats.parse_time(day_of(now_us))
    step_us = max(1, (now_us - day_us) // (each + 1))
    paths.root.mkdir(parents=True, exist_ok=True)
    identities: list[tuple[int, str]] = []
    listed = [Camera(row.id, row.name, row.bridge.id) for row in account(cameras).cameras]
    for camera in listed:
        with open(paths.delay(paths.stem(camera.id, camera.name)), "w", encoding="utf-8") as delay:
            for at_us in range(day_us, day_us + each * step_us, step_us):
                delay_us = int(rng.lognormvariate(0.0, 0.5) * 1e6)
                ns, uuid = rng.choice((101, 103)), str(UUID(int=rng.getrandbits(128), version=4))
                body = make(camera.id, "ANNT", at_us - delay_us, {"ns": ns, "uuid": uuid}).body
                verdict = handler.handle_event(camera.id, body | {"type": "ANNT"}, at_us)
                delay.write(formats.delay_line(verdict, formats.label(camera)))
                identities.append((at_us, uuid))
    known = [f"{identity}\n" for _, identity in sorted(identities)[-2 * GENERATION :]]
    paths.uuids_old.write_text("".join(known[:GENERATION]))
    paths.uuids.write_text("".join(known[GENERATION:]))
    paths.state.write_text(state_text(State(day_of(now_us), now_us, now_us, False, day_us)))
    paths.cameras.write_text(cameras_text(listed))


PARTS: Final = {"compare": compare, "steady": steady, "many": many, "restart": restart}


def measure(part: str, size: Namespace) -> list[Row]:
    """The rows of a part."""

    async def rows() -> list[Row]:
        return [row async for row in PARTS[part](size)]

    return asyncio.run(rows())
