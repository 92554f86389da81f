"""Killed at random moments and at every step of the disk, under load: nothing lost but the last instant, nothing twice.

Each row kills a logger (the exit code proves it), starts another in the same directory, and lets the oracle judge.
Excused is what arrived in the last 250 ms before the kill, and what the test needs to notice it.
"""

import asyncio
import random
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from launch import CHILD, launch
from oracle import compare, read_logs

from eelogger.clock import now_us
from eelogger.simulator import Account

EXCUSED_US = 250_000
NOTICED_US = 200_000


async def run_on(cloud: FaultCloud, log_dir: Path, seconds: float = 0.7) -> None:
    """A run that is stopped in peace."""
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(len(cloud.account.cameras))
        await asyncio.sleep(seconds)
        assert await logger.stop() == 0, logger.stderr
        assert logger.stderr == ""


CRASHES = ["append:40", "append:40:after", "append:41", "append:90:after", "replace:2", "replace:2:after", "replace:5"]


@pytest.mark.parametrize("crash", CRASHES)
async def test_every_step_of_the_disk_is_survived(log_dir: Path, crash: str) -> None:
    async with FaultCloud(Account.of(cameras=5, rate=200, seed=7)) as cloud:
        async with launch(cloud, log_dir, script=CHILD, env={"CHILD_CRASH": crash}) as logger:
            assert await logger.ended() == -signal.SIGKILL, logger.stderr
            noticed_us = now_us()
        await cloud.wait_disconnected()
        excused = (noticed_us - EXCUSED_US - NOTICED_US, now_us())
        await run_on(cloud, log_dir)
        found = compare(cloud.sent, log_dir, excused=[excused])
    assert found.ok, str(found)


async def killed_often(log_dir: Path, kills: int, seed: int) -> None:
    """Kill loggers at random moments, those of the start included."""
    chance = random.Random(seed)
    excused = []
    async with FaultCloud(Account.of(cameras=5, rate=300, seed=seed)) as cloud:
        for number in range(kills):
            async with launch(cloud, log_dir) as logger:
                if number % 4:
                    await cloud.wait_subscribed(5)
                await asyncio.sleep(chance.uniform(0, 0.6))
                killed_us = now_us()
                await logger.kill()
            await cloud.wait_disconnected()
            excused.append((killed_us - EXCUSED_US, now_us()))
            tear(log_dir, chance)
        await run_on(cloud, log_dir)
        found = compare(cloud.sent, log_dir, excused=excused)
    assert found.ok, str(found)
    assert found.logged > 20 * kills


def tear(log_dir: Path, chance: random.Random) -> None:
    """Leave the beginning of one more line at some files' ends, as a crash of the machine would."""
    for path in [*log_dir.glob("*.log"), *log_dir.glob("stream/*.log")]:
        content = path.read_bytes()
        if content and path.name not in ("summary.log", "maxeventdelay.log") and chance.random() < 0.3:
            line = content.splitlines(keepends=True)[-1]
            path.write_bytes(content + line[: chance.randrange(1, len(line))])


async def test_kills_at_random_moments(log_dir: Path) -> None:
    await killed_often(log_dir, kills=5, seed=11)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_two_hundred_kills_at_random_moments(log_dir: Path) -> None:
    await killed_often(log_dir, kills=200, seed=12)


async def test_gaps_of_runs_that_die_young_do_not_overlap(log_dir: Path) -> None:
    """On a quiet account, where nothing but `.state` says how long a run observed."""
    async with FaultCloud(Account.of(cameras=2)) as cloud:
        cloud.initial_state = False
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            async with launch(cloud, log_dir) as logger:
                await cloud.wait_subscribed(2)
                await asyncio.sleep(2.5)
                await logger.stop(number)
            await cloud.wait_disconnected()
            await asyncio.sleep(0.5)
    gaps = read_logs(log_dir).gaps
    assert [gap["reason"] for gap in gaps] == ["started", "stopped", "died", "died"]
    assert all(before["to"] < after["from"] for before, after in pairwise(gaps)), "it was observing in between"
