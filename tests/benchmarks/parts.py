"""The parts of the benchmark: what is measured, what it may be at most, and the table that shows both."""

from __future__ import annotations

import json
import random
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID

from eelogger.measure import protocol
from eelogger.measure.camera_statistics import CameraStatistics
from eelogger.measure.dedup import GENERATION, Dedup
from eelogger.measure.handler import Handler
from eelogger.model import Camera, Verdict
from eelogger.simulator.events import make
from eelogger.storage import formats
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.paths import LogPaths, day_of, day_start_us
from eelogger.storage.state import State, state_text

from .contenders import Cost
from .feeder import account, messages
from .launch import Contender, Feeder, follow, log_directory

FEW: Final = 20
SOME: Final = 500
STREAM_LINES: Final = 200  # of each stream log, since a start looks at its end only


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
FULL.lines, FULL.day_cameras, FULL.steps = 1_000_000, 100, 5_000
QUICK: Final = Namespace(events=2_000, naive_events=300, rounds=1, seconds=1.5, cameras=1_000)
QUICK.lines, QUICK.day_cameras, QUICK.steps = 10_000, 20, 200
TINY: Final = Namespace(events=300, naive_events=60, rounds=1, seconds=0.5, cameras=50)
TINY.lines, TINY.day_cameras, TINY.steps = 400, 4, 50
LineUp = tuple[str, int, int]  # who, on how many cameras, how many events


def compare(size: Namespace) -> Iterator[Row]:
    """CPU, time and memory an event; all run in every round, so that a busy minute of the machine meets all."""
    n, fewer = size.events, size.naive_events
    floor, naive, naive_some = ("floor", FEW, n), ("naive", FEW, fewer), ("naive", SOME, fewer)
    ours, ours_some, ours_longer = ("eelogger", FEW, n), ("eelogger", SOME, n), ("eelogger", FEW, 4 * n)
    costs: dict[LineUp, list[Cost]] = {one: [] for one in (floor, naive, naive_some, ours, ours_some, ours_longer)}
    with Feeder(FEW, 4 * n) as few, Feeder(SOME, n) as some:
        for _ in range(size.rounds):
            for (name, cameras, events), found in costs.items():
                feeder = few if cameras == FEW else some
                with Contender(name, feeder, messages=2 * events) as contender:
                    found.append(contender.cost(feeder, events))

    def ratio(one: LineUp, to: LineUp) -> float:
        pairs = zip(costs[one], costs[to], strict=True)
        return float(median(mine["cpu_s"] / one[2] / (other["cpu_s"] / to[2]) for mine, other in pairs))

    for (name, cameras, events), found in costs.items():
        cpu_us, wall_us, peak = (median(c[key] for c in found) * 1e6 for key in ("cpu_s", "wall_s", "peak_mb"))
        note = f"{wall_us / events:,.1f} µs of time, {events / wall_us * 1e6:,.0f}/s, {peak / 1e6:.0f} MB"
        yield Row(f"{name}, {cameras} cameras, {events:,} events: CPU", cpu_us / events, "µs/event", None, note)
    yield Row("eelogger : floor", ratio(ours, floor), "×")
    yield Row("eelogger : plain first version", ratio(ours, naive), "×")
    yield Row(f"eelogger : plain first version, {SOME} cameras", ratio(ours_some, naive_some), "×")
    yield Row(f"eelogger, {SOME} : {FEW} cameras", ratio(ours_some, ours), "×", 1.4)
    yield Row("eelogger, four times the events : once", ratio(ours_longer, ours), "×", 1.15)
    peak = max(cost["peak_mb"] for one in (ours, ours_longer) for cost in costs[one])
    yield Row(f"eelogger, {FEW} cameras: peak memory", peak, "MB", 75)


def steady(size: Namespace) -> Iterator[Row]:
    """CPU when idle and at a hundred events a second, and how soon lines can be seen, also at saturation."""
    seconds, rate = size.seconds, 100
    events = int(rate * seconds * 0.95)
    with Feeder(FEW, size.events) as feeder, Contender("eelogger", feeder, messages=2 * size.events) as contender:
        contender.hear()
        feeder.pour(size.events)
        saturated_us = follow(contender.log_dir, size.events, 120)
    with Feeder(FEW, events, previews=False) as feeder:
        with Contender("eelogger", feeder, seconds=seconds) as contender:
            yield Row(f"idle, {FEW} cameras, {seconds:g} s: CPU", _share(contender.cost(feeder, 0)), "% of a core", 0.3)
        # Nobody follows the files meanwhile: who does keeps a core busy, and its caches.
        with Contender("eelogger", feeder, seconds=seconds) as contender:
            ours = _share(contender.cost(feeder, events, rate))
        yield Row(f"{rate} events/s: CPU", ours, "% of a core", 1.5)
        with Contender("floor", feeder, messages=events) as contender:
            floor = _share(contender.cost(feeder, events, rate))
        yield Row(f"{rate} events/s, floor: CPU", floor, "% of a core")
        yield Row(f"{rate} events/s, eelogger : floor", ours / floor, "×")
        with Contender("eelogger", feeder, seconds=seconds) as contender:
            contender.hear()
            feeder.pour(events, rate)
            yield _visible(f"{rate} events/s", follow(contender.log_dir, events, seconds), 100)
    yield _visible("saturation", saturated_us, 250)


def _share(cost: Cost) -> float:
    cost = cost.get("steady", cost)
    return float(100 * cost["cpu_s"] / cost["wall_s"])


def _visible(when: str, late_us: list[int], limit_ms: float) -> Row:
    p50, p99 = (late_us[len(late_us) * share // 100] / 1000 for share in (50, 99))
    note = f"p50 {p50:.1f}, max {late_us[-1] / 1000:.1f} ms, {len(late_us)} lines"
    return Row(f"{when}: line visible after arrival, p99", p99, "ms", limit_ms, note)


def many(size: Namespace) -> Iterator[Row]:
    """Start with the latest values of all cameras, as the cloud sends them, then 500 events a second."""
    cost, name = _many(size.cameras, 2 * size.seconds), f"{size.cameras:,} cameras"
    start, steady = cost["start"], cost["steady"]
    yield Row(f"{name}: connected", start["connected_s"], "s")
    yield Row(f"{name}: started and subscribed", start["subscribed_s"], "s", 10, f"{start['cpu_s']:.1f} s of CPU")
    yield Row(f"{name}: descriptors", steady["fds"], "", 100)
    yield Row(f"{name}: peak memory", cost["peak_mb"], "MB", 150)
    yield _own_error(f"{name}, start", start["lag"])
    yield _own_error(f"{name}, 500 events/s", steady["lag"])
    yield Row(f"{name}, 500 events/s: CPU", _share(cost), "% of a core")
    yield _own_error("200 cameras, 500 events/s", _many(200, size.seconds)["steady"]["lag"], 3)


def _many(cameras: int, seconds: float) -> Cost:
    events = int(500 * seconds * 0.95)
    with Feeder(cameras, events, previews=False, initial=True) as feeder:
        with Contender("eelogger", feeder, seconds=seconds) as contender:
            return Cost(contender.cost(feeder, events, 500))


def _own_error(when: str, lag: tuple[int, int, int], limit_ms: float | None = None) -> Row:
    n, p99_us, max_us = lag
    note = f"max {max_us / 1000:.1f} ms over {n} messages"
    return Row(f"{when}: own error, p99", p99_us / 1000, "ms", limit_ms, note)


def restart(size: Namespace) -> Iterator[Row]:
    """Make the day that a killed run left, and start on it."""
    folder = log_directory()
    make_day(LogPaths(folder), size.lines, size.day_cameras)
    with Feeder(size.day_cameras, 200, previews=False) as feeder:
        with Contender("eelogger", feeder, seconds=1.0, log_dir=folder) as contender:
            cost = contender.cost(feeder, 200, 200)
    start, note = cost["start"], f"{cost['start']['cpu_s']:.1f} s of CPU, {cost['peak_mb']:.0f} MB"
    yield Row(f"restart, {size.lines:,} lines: connected", start["connected_s"], "s", 8, note)


def make_day(paths: LogPaths, count: int, cameras: int) -> None:
    """Write the log directory of a run that ended a moment ago: delay and stream logs, identities, `.state`."""
    rng, handler = random.Random(7), Handler(("ANNT", "ALRS"))
    now_us, each = time.time_ns() // 1000, count // cameras
    day_us = day_start_us(day_of(now_us))
    step_us = max(1, (now_us - day_us) // (each + 1))
    paths.stream_dir.mkdir(parents=True)
    identities: list[tuple[int, str]] = []
    for row in account(cameras).cameras:
        stem, label = paths.stem(row.id, row.name), formats.label(Camera(row.id, row.name, row.bridge.id))
        with open(paths.delay(stem), "w", encoding="utf-8") as delay, open(paths.stream(stem), "w") as stream:
            for number in range(each):
                at_us, delay_us = day_us + number * step_us, int(rng.lognormvariate(0.0, 0.5) * 1e6)
                ns, uuid = rng.choice(row.namespaces), str(UUID(int=rng.getrandbits(128), version=4))
                body = make(row.id, "ANNT", at_us - delay_us, {"ns": ns, "uuid": uuid}).body
                delay.write(formats.delay_line(handler.handle_event(row.id, body | {"type": "ANNT"}, at_us), label))
                identities.append((at_us, uuid))
                if number >= each - STREAM_LINES:
                    stream.write(formats.stream_line(at_us, {"event": {"ANNT": body}}))
    identities.sort()
    known = [f"{identity}\n" for _, identity in identities[-2 * GENERATION :]]
    paths.uuids_old.write_text("".join(known[:GENERATION]))
    paths.uuids.write_text("".join(known[GENERATION:]))
    paths.state.write_text(state_text(State(day_of(now_us), now_us, now_us, False, day_us)))
    listed = [Camera(row.id, row.name, row.bridge.id) for row in account(cameras).cameras]
    paths.cameras.write_text(cameras_text(listed, {}))


def rooms(size: Namespace) -> Iterator[Row]:
    """Each step of an event in its order, without socket, thread or disk; beside it reading and writing JSON alone."""
    texts = list(messages(FEW, size.steps))
    events, previews = texts[::2], texts[1::2]
    now_us = time.time_ns() // 1000
    updates = [update for one in events for update in protocol.read_message(one).updates]
    found = [(update.camera_id, protocol.split_events(*update)[0][0]) for update in updates]
    delays_us = [now_us - (protocol.event_time_us(event["timestamp"]) or 0) for _, event in found]
    dedup, stats, handler = Dedup(), CameraStatistics(), Handler(("ANNT", "ALRS"))
    label = {row.id: formats.label(Camera(row.id, row.name, row.bridge.id)) for row in account(FEW).cameras}
    verdicts: list[Verdict] = []

    def judge(one: tuple[str, dict[str, Any]]) -> None:
        handler.dedup = Dedup()  # each pass would otherwise find nothing but duplicates
        verdicts.append(handler.handle_event(*one, now_us))

    def row(name: str, step: Callable[[Any], object], inputs: Sequence[Any]) -> Row:
        took_s = []
        for _ in range(7):
            began = time.perf_counter()
            for one in inputs:
                step(one)
            took_s.append(time.perf_counter() - began)
        return Row(name, min(took_s) / len(inputs) * 1e6, "µs")

    yield row("floor: json.loads and json.dumps, an event", lambda text: json.dumps(json.loads(text)), events)
    yield row("floor: json.loads and json.dumps, a preview", lambda text: json.dumps(json.loads(text)), previews)
    yield row("protocol.read_message, an event", protocol.read_message, [text.encode() for text in events])
    yield row("protocol.read_message, a preview", protocol.read_message, [text.encode() for text in previews])
    yield row("formats.stream_line", lambda update: formats.stream_line(now_us, update.data), updates)
    yield row("protocol.split_events", lambda update: protocol.split_events(*update), updates)
    yield row("protocol.identity", lambda one: protocol.identity(*one), found)
    yield row("protocol.event_time_us", lambda one: protocol.event_time_us(one[1]["timestamp"]), found)
    yield row("dedup.seen", lambda one: dedup.seen(one[1].get("uuid", ""), one[0], "ANNT"), found)
    yield row("camera_statistics.observe", lambda delay_us: stats.observe(now_us, delay_us, 103), delays_us)
    yield row("camera_statistics.figures", lambda _: stats.figures(103), delays_us)
    yield row("handler.handle_event, all of it", judge, found)
    yield row("formats.delay_line", lambda v: formats.delay_line(v, label[v.camera_id]), verdicts[-len(found) :])


PARTS: Final = {"compare": compare, "steady": steady, "many": many, "restart": restart, "rooms": rooms}
