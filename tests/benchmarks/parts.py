"""The parts of the benchmark: what is measured, what it may be at most, and the table that shows both."""

import asyncio
import random
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Final, NamedTuple
from uuid import UUID

from eelogger.measure.handler import GENERATION, Handler
from eelogger.model import NAMESPACES, Camera
from eelogger.simulator.events import make
from eelogger.storage import formats
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.paths import LogPaths, day_of
from eelogger.storage.state import State, state_text

from .contenders import Cost
from .feeder import account, follow, log_directory, serve

FEW: Final = 20
SOME: Final = 500
# Events, rounds, seconds of a state, cameras, lines of a day and the cameras they are of.
FULL: Final = Namespace(events=50_000, rounds=5, seconds=30.0, cameras=10_000, lines=1_000_000, day_cameras=100)
QUICK: Final = Namespace(events=300, rounds=1, seconds=0.5, cameras=50, lines=400, day_cameras=4)


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


async def compare(size: Namespace) -> list[Row]:
    """CPU and memory an event; all run in every round, so that a busy minute of the machine meets all."""
    n, more = size.events, 4 * size.events
    floor, ours, longer, wider = ("floor", FEW, n), ("eelogger", FEW, n), ("eelogger", FEW, more), ("eelogger", SOME, n)
    costs: dict[tuple[str, int, int], list[Cost]] = {one: [] for one in (floor, ours, longer, wider)}
    async with serve(FEW, more) as few, serve(SOME, n) as some:
        for _ in range(size.rounds):
            for (name, cameras, events), found in costs.items():
                feeder = few if cameras == FEW else some
                async with feeder.feed(name, events) as (_, cost):
                    found.append(await cost())

    def ratio(one: tuple[str, int, int], to: tuple[str, int, int]) -> float:
        pairs = zip(costs[one], costs[to], strict=True)
        return float(median(mine["cpu_s"] / one[2] / (other["cpu_s"] / to[2]) for mine, other in pairs))

    rows = []
    for (name, cameras, events), found in costs.items():
        cpu_us, wall_us = (median(cost[key] for cost in found) * 1e6 for key in ("cpu_s", "wall_s"))
        note = f"{events / wall_us * 1e6:,.0f}/s"
        rows.append(Row(f"{name}, {cameras} cameras, {events:,} events: CPU", cpu_us / events, "µs/event", None, note))
    return [
        *rows,
        Row("eelogger : floor", ratio(ours, floor), "×", 2.9),
        Row(f"eelogger, {SOME} : {FEW} cameras", ratio(wider, ours), "×", 1.4),
        Row("eelogger, four times the events", ratio(longer, ours), "×", 1.15),
        Row(f"eelogger, {FEW} cameras: peak memory", max(cost["peak_mb"] for cost in costs[longer]), "MB", 75),
    ]


async def steady(size: Namespace) -> list[Row]:
    """CPU when idle and at a hundred events a second, and how soon lines can be seen, also at saturation."""
    seconds, rate = size.seconds, 100
    events, rows = int(rate * seconds * 0.95), []
    async with serve(FEW, size.events) as feeder, feeder.feed("eelogger", size.events) as (log_dir, _):
        rows.append(_visible("saturation", await asyncio.to_thread(follow, log_dir, size.events, 120), 250))
    async with serve(FEW, events, previews=False) as feeder:
        # Nobody follows the files meanwhile: who does keeps a core busy, and its caches.
        for what, flowing in (("idle", 0), (f"{rate} events/s", events)):
            async with feeder.feed("eelogger", flowing, rate, seconds=seconds) as (_, cost):
                taken = (await cost())["steady"]
            rows.append(Row(f"{what}, {FEW} cameras: CPU", 100 * taken["cpu_s"] / taken["wall_s"], "% of a core"))
        async with feeder.feed("eelogger", events, rate, seconds=seconds) as (log_dir, _):
            late_us = await asyncio.to_thread(follow, log_dir, events, seconds)
    return [*rows, _visible(f"{rate} events/s", late_us, 100)]


def _visible(when: str, late_us: list[int], limit_ms: float) -> Row:
    p50, p99 = (late_us[len(late_us) * share // 100] / 1000 for share in (50, 99))
    note = f"p50 {p50:.1f}, max {late_us[-1] / 1000:.1f} ms, {len(late_us)} lines"
    return Row(f"{when}: line visible after arrival, p99", p99, "ms", limit_ms, note)


async def many(size: Namespace) -> list[Row]:
    """500 events a second over 200 cameras, and over all, which begin with the latest values of each."""
    seconds, costs = 2 * size.seconds, []
    events = int(500 * seconds * 0.95)
    for cameras in (200, size.cameras):
        async with serve(cameras, events, previews=False, initial=cameras == size.cameras) as feeder:
            async with feeder.feed("eelogger", events, 500, seconds=seconds) as (_, cost):
                costs.append(await cost())
    n, p99_us, max_us = costs[0]["steady"]["lag"]
    name, note = f"{size.cameras:,} cameras", f"max {max_us / 1000:.1f} ms over {n} messages"
    return [
        Row("200 cameras, 500 events/s: own error, p99", p99_us / 1000, "ms", 3, note),
        Row(f"{name}: peak memory", costs[1]["peak_mb"], "MB", 150),
        Row(f"{name}: descriptors", costs[1]["steady"]["descriptors"], "", 100),
    ]


async def restart(size: Namespace) -> list[Row]:
    """Make the day that a killed run left, and start on it."""
    folder = log_directory()
    make_day(LogPaths(folder), size.lines, size.day_cameras)
    async with serve(size.day_cameras, 0) as feeder:
        async with feeder.feed("eelogger", 0, seconds=1.0, log_dir=folder) as (_, cost):
            taken = await cost()
    note = f"{taken['peak_mb']:.0f} MB"
    return [Row(f"restart, {size.lines:,} lines: connected", taken["steady"]["connected_s"], "s", 8, note)]


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
    return asyncio.run(PARTS[part](size))
