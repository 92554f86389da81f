"""Killed at every durable boundary, and at random moments, under load: nothing lost, nothing twice.

Each row kills a logger (the exit code proves that the kill happened there), starts another in the same directory, and
lets the ledger judge. Excused is only what the design excuses: the last 100 ms before the kill, widened by what the
test itself needs to notice it.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from running import running

from eelogger.simulator import Cloud, World, compare

CHILD = Path(__file__).with_name("child.py")
EXCUSED_US = 100_000
NOTICED_US = 200_000

POINTS = [
    f"{when} {what}:{count}"
    for what, count in (("stream", 40), ("delay", 40), ("uuid", 15), ("snapshot", 2), ("state", 2))
    for when in ("before", "after")
] + ["in write:60", "in write:61", "before append:1", "after append:1"]


async def killed(cloud: Cloud, log_dir: Path, crash: str) -> tuple[int, int]:
    """Let a logger run into its crash point; the period in which its events may be missing."""
    async with running(cloud, log_dir, script=CHILD, env={"CHILD_CRASH": crash}) as logger:
        code = await logger.ended(30)
        noticed_us = time.time_ns() // 1000
        assert code == -signal.SIGKILL, (crash, code, logger.stderr)
    await cloud.wait_disconnected()
    return noticed_us - EXCUSED_US - NOTICED_US, time.time_ns() // 1000


@pytest.mark.parametrize("crash", POINTS)
async def test_every_crash_point_is_survived(tmp_path: Path, crash: str) -> None:
    logs = tmp_path / "logs"
    async with Cloud(World.of(cameras=5, rate=200, seed=7), traffic=True) as cloud:
        excused = await killed(cloud, logs, crash)
        async with running(cloud, logs) as logger:
            await cloud.wait_subscribed(5)
            await asyncio.sleep(0.7)
            assert await logger.stop() == 0
        verdict = compare(cloud.ledger.entries, logs, excused=[excused])
    assert verdict.ok, str(verdict)


async def test_a_stop_while_the_past_is_read_is_quick_and_what_came_is_judged_later(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    async with Cloud(World.of(cameras=5, rate=200, seed=8), traffic=True) as cloud:
        excused = await killed(cloud, logs, "before delay:40")
        past = much_to_read(logs)
        state = json.loads((logs / ".state").read_text())
        async with running(cloud, logs) as logger:
            await cloud.wait_subscribed(5)
            await asyncio.sleep(0.5)
            kept = sum(file.stat().st_size for file in (logs / "stream").iterdir())
            began = time.monotonic()
            assert await logger.stop() == 0
            assert time.monotonic() - began < 2
        await cloud.wait_disconnected()
        assert sum(file.stat().st_size for file in (logs / "stream").iterdir()) > kept, "something came meanwhile"
        assert json.loads((logs / ".state").read_text())["done"] == state["done"], "it was not read to its end"
        past.unlink()
        async with running(cloud, logs) as logger:
            await cloud.wait_subscribed(5)
            await asyncio.sleep(0.7)
            assert await logger.stop() == 0
        verdict = compare(cloud.ledger.entries, logs, excused=[excused])
    assert verdict.ok, str(verdict)
    gaps = [line.split() for line in (logs / "gaps.log").read_text().splitlines()]
    assert [gap[4] for gap in gaps] == ["reason=started", "reason=died", "reason=stopped"]
    assert gaps[2][1][5:] > gaps[1][2][3:], "what was kept had been observed"


def much_to_read(logs: Path) -> Path:
    """The stream log of a camera that left the account: a million previews, all after the last run."""
    arrival = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime())
    path = logs / "stream" / "Gone_100e9999_stream.log"
    path.write_text(f'{arrival} -- {{"pre": "20261122090720.000"}}\n' * 1_000_000)
    return path


async def test_gaps_of_runs_that_die_young_do_not_overlap(tmp_path: Path) -> None:
    """On a quiet account, after an outage longer than lines may wait for the disk (here shorter, to be quick)."""
    logs = tmp_path / "logs"
    env = {"CHILD_SET": "instrument.HELD_US=1500000"}
    async with Cloud(World.of(cameras=2, rate=0.0)) as cloud:
        cloud.initial_state = False
        for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            async with running(cloud, logs, script=CHILD, env=env) as logger:
                await cloud.wait_subscribed(2)
                await asyncio.sleep(2.5)
                await logger.stop(how)
            await cloud.wait_disconnected()
            await asyncio.sleep(0.5)
    gaps = [dict(pair.split("=", 1) for pair in line.split()) for line in (logs / "gaps.log").read_text().splitlines()]
    assert [gap["reason"] for gap in gaps] == ["started", "stopped", "died", "died"]
    assert all(before["to"] < after["from"] for before, after in pairwise(gaps)), "it was observing in between"


async def random_kills(tmp_path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    logs = tmp_path / "logs"
    excused = []
    async with Cloud(World.of(cameras=5, rate=300, seed=seed), traffic=True) as cloud:
        for _ in range(kills):
            async with running(cloud, logs) as logger:
                await cloud.wait_subscribed(5)
                await asyncio.sleep(chance.uniform(0, 0.6))
                killed_us = time.time_ns() // 1000
                assert await logger.stop(signal.SIGKILL) == -signal.SIGKILL
            await cloud.wait_disconnected()
            excused.append((killed_us - EXCUSED_US, time.time_ns() // 1000))
        async with running(cloud, logs) as logger:
            await cloud.wait_subscribed(5)
            assert await logger.stop() == 0
        verdict = compare(cloud.ledger.entries, logs, excused=excused)
    assert verdict.ok, str(verdict)


async def test_kills_at_random_moments(tmp_path: Path) -> None:
    await random_kills(tmp_path, kills=5, seed=11)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    await random_kills(tmp_path, kills=200, seed=12)
