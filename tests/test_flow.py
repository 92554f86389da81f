"""The main job end to end: `app.py` as a process, a cloud over real sockets, the oracle as the only judge."""

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from launch import CHILD, Logger, launch
from oracle import Findings, compare

from eelogger.simulator import Account


def judged(cloud: FaultCloud, log_dir: Path) -> Findings:
    """What the oracle says; nothing may be wrong."""
    found = compare(cloud.sent, log_dir)
    assert found.ok, str(found)
    return found


async def stopped(logger: Logger, number: int = signal.SIGTERM) -> float:
    """Stop a run; how long that took."""
    began = time.monotonic()
    assert await logger.stop(number) == 0, logger.stderr
    assert logger.stderr == ""
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_under_load_loses_nothing_and_takes_less_than_2_s(log_dir: Path, number: int) -> None:
    async with FaultCloud(Account.of(cameras=4, rate=500, seed=4)) as cloud:
        async with launch(cloud, log_dir, env={"CHILD_SLOW_S": "0.02"}, script=CHILD) as logger:
            await cloud.wait_subscribed(4)
            await asyncio.sleep(1)
            assert await stopped(logger, number) < 2
        assert judged(cloud, log_dir).logged > 100


async def test_a_run_that_never_got_a_connection_observed_nothing(cloud: FaultCloud, log_dir: Path) -> None:
    await cloud.go_down()
    async with launch(cloud, log_dir) as logger:
        await logger.wait_for("eelogger.log", "trying again")
        assert await logger.stop() == 0
    assert "observed 0" in logger.stdout
    assert json.loads((log_dir / ".state").read_text())["clean"] is True


async def test_seconds_end_a_run_with_the_closing_table(log_dir: Path) -> None:
    async with FaultCloud(Account.of(cameras=2, rate=20, seed=6)) as cloud:
        began = time.monotonic()
        async with launch(cloud, log_dir, "--seconds", "4") as logger:
            assert await logger.ended(10) == 0
        assert 3 < time.monotonic() - began < 6.5
        judged(cloud, log_dir)
    assert "95 % within" in logger.stdout
    assert logger.stderr == ""
    assert (log_dir / "summary.log").read_text().startswith("STOPPED ")


async def test_a_second_start_ends_with_75_at_once_and_harms_nothing(cloud: FaultCloud, log_dir: Path) -> None:
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        began = time.monotonic()
        async with launch(cloud, log_dir, "-q") as second:
            assert await second.ended() == 75
        assert time.monotonic() - began < 2
        assert (second.stdout, second.stderr) == ("", "")
        await cloud.emit(cloud.camera_ids()[0])
        await stopped(logger)
    judged(cloud, log_dir)
