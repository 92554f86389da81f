"""A start on a day with many lines: when arrivals are stamped, when the statistics are there, how late stamps are.

The files are those of a run that was killed: a delay log and a stream log a camera, the identities, `.state`.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from eelogger import lines
from eelogger.logdir.days import day_of
from eelogger.logdir.state import State, state_text
from eelogger.model import MEASURED, NAMESPACES, Camera, Verdict
from eelogger.paths import LogPaths
from eelogger.stats import CameraStats

from .launch import Contender, Feeder, log_directory
from .targets import Row
from .traffic import world

RATE: Final = 200
UUIDS: Final = 100_000
STREAM_LINES: Final = 200
"""Lines of each stream log that are made: a start looks at its end only."""


@dataclass(frozen=True, slots=True)
class Size:
    """Delay lines in all, cameras, and seconds of running after the start."""

    lines: int
    cameras: int
    seconds: float


FULL: Final = Size(lines=1_000_000, cameras=100, seconds=5.0)
QUICK: Final = Size(lines=10_000, cameras=20, seconds=1.0)


def restart(size: Size) -> Iterator[Row]:
    """Make the day, start on it while events flow."""
    with Feeder(size.cameras, int(RATE * 60), previews=False) as feeder, log_directory() as folder:
        make_day(LogPaths(folder), size.lines, size.cameras)
        with Contender("eelogger", feeder.task(folder, seconds=size.seconds)) as contender:
            feeder.pour(RATE * 60, RATE)
            contender.wait_ready()
            cost = contender.cost()
    name, more = f"restart, {size.lines:,} lines", cost.more
    yield Row(f"{name}: stamping", more["connected_s"], "s", 1.0)
    yield Row(
        f"{name}: statistics there",
        more["ready_s"],
        "s",
        6.0,
        f"{more['start_cpu_s']:.1f} s of CPU, {cost.peak_mb:.0f} MB",
    )
    note = f"max {more['start_lag_max_us'] / 1000:.1f} ms over {more['start_lag_n']} messages"
    yield Row(f"{name}: own error meanwhile, p99", more["start_lag_us"] / 1000, "ms", 5.0, note)


def make_day(paths: LogPaths, count: int, cameras: int) -> None:
    """The log directory of a run that ended a moment ago."""
    rng = random.Random(7)
    now_us = time.time_ns() // 1000
    day_us = now_us // 86_400_000_000 * 86_400_000_000
    step_us = max(1, (now_us - day_us) // (count // cameras + 1))
    paths.stream_dir.mkdir(parents=True)
    identities: list[tuple[int, str]] = []
    for row in world(cameras).cameras:
        camera = Camera(row.id, row.name, row.bridge.id)
        stem = paths.stem(camera.id, camera.name)
        made = _verdicts(rng, camera, row.namespaces, day_us, step_us, count // cameras)
        label = lines.label(camera)
        with open(paths.delay(stem), "w", encoding="utf-8") as delay, open(paths.stream(stem), "w") as stream:
            for number, verdict in enumerate(made):
                delay.write(lines.delay_line(verdict, label))
                identities.append((verdict.arrived_us, verdict.identity))
                if number >= count // cameras - STREAM_LINES:
                    event = {"uuid": verdict.identity, "ns": verdict.ns, "timestamp": "20261122000000.000"}
                    stream.write(lines.stream_line(verdict.arrived_us, {"event": {"ANNT": event}}))
    identities.sort()
    known = [f"{identity}\n" for _, identity in identities[-2 * UUIDS :]]
    paths.uuids_old.write_text("".join(known[:UUIDS]))
    paths.uuids.write_text("".join(known[UUIDS:]))
    paths.state.write_text(state_text(State(day_of(now_us), now_us, now_us, False, day_us)))
    rows = {row.id: {"name": row.name, "bridge": row.bridge.id} for row in world(cameras).cameras}
    paths.cameras.write_text(json.dumps(rows))


def _verdicts(
    rng: random.Random, camera: Camera, namespaces: tuple[int, ...], from_us: int, step_us: int, count: int
) -> Iterator[Verdict]:
    stats = CameraStats()
    for number in range(count):
        arrived_us = from_us + number * step_us
        delay_us = int(rng.lognormvariate(0.0, 0.5) * 1e6)
        ns = rng.choice(namespaces)
        worst = stats.observe(arrived_us, delay_us, ns)
        yield Verdict(
            kind=MEASURED,
            camera_id=camera.id,
            type="ANNT",
            ns=ns,
            event=NAMESPACES[ns].partition("(")[0].strip(),
            identity=str(UUID(int=rng.getrandbits(128), version=4)),
            arrived_us=arrived_us,
            event_us=arrived_us - delay_us,
            delay_us=delay_us,
            figures=stats.figures(ns),
            op=1,
            seq=0,
            new_max=worst,
        )
