"""The main job end to end: `app.py` as a process, a cloud over real sockets, the ledger as the only judge."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from running import line_in, running

from eelogger.simulator import Cloud, World, compare


def keys(line: str) -> dict[str, str]:
    """The bare `key=value` pairs of a line."""
    return dict(pair.split("=", 1) for pair in line.split() if "=" in pair)


async def test_everything_sent_is_logged_once_with_its_delay(tmp_path: Path) -> None:
    world = World.of(cameras=8, rate=100, seed=3)
    async with Cloud(world, traffic=True) as cloud, running(cloud, tmp_path / "logs") as logger:
        await cloud.wait_subscribed(8)
        await asyncio.sleep(2)
        assert await logger.stop() == 0
        verdict = compare(cloud.ledger.entries, tmp_path / "logs")
    assert verdict.ok, str(verdict)
    assert verdict.logged > 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_under_load_loses_nothing(tmp_path: Path, number: int) -> None:
    async with Cloud(World.of(cameras=4, rate=500, seed=4), traffic=True) as cloud:
        async with running(cloud, tmp_path / "logs") as logger:
            await cloud.wait_subscribed(4)
            await asyncio.sleep(1)
            assert await logger.stop(number, timeout_s=5) == 0
        verdict = compare(cloud.ledger.entries, tmp_path / "logs")
    assert verdict.ok, str(verdict)
    assert "Traceback" not in logger.stderr


async def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path: Path) -> None:
    async with Cloud(World.of(cameras=4, rate=50, seed=5), traffic=True) as cloud:
        for _ in range(2):
            async with running(cloud, tmp_path / "logs") as logger:
                await cloud.wait_subscribed(4)
                await asyncio.sleep(1)
                assert await logger.stop() == 0
                await cloud.wait_disconnected()
        verdict = compare(cloud.ledger.entries, tmp_path / "logs")
    assert verdict.ok, str(verdict)
    gaps = (tmp_path / "logs" / "gaps.log").read_text().splitlines()
    assert [keys(line)["reason"] for line in gaps] == ["started", "stopped"]


async def test_a_run_that_never_got_a_connection_observed_nothing(tmp_path: Path) -> None:
    cloud = Cloud(World.of(cameras=1))
    async with cloud:
        pass  # gone again: nobody listens there any more
    async with running(cloud, tmp_path / "logs") as logger:
        await line_in(tmp_path / "logs" / "eelogger.log", "trying again")
        assert await logger.stop() == 0
    assert "No measured event; observed 0.0 %" in logger.stdout


async def test_the_first_measured_event_after_a_gap_says_so(tmp_path: Path) -> None:
    async with Cloud(World.of(cameras=1)) as cloud, running(cloud, tmp_path / "logs") as logger:
        camera = cloud.world.cameras[0].id
        await cloud.wait_subscribed(1)
        await cloud.close(1001)
        await cloud.wait_connected(2)
        await cloud.wait_subscribed(1)
        for _ in range(2):
            await cloud.emit(camera, delay_s=0.2)
        assert await logger.stop() == 0
    delay_log = next((tmp_path / "logs").glob(f"*_{camera}.log"))
    measured = [keys(line) for line in delay_log.read_text().splitlines() if "verdict=measured" in line]
    assert ["after_gap_s" in line for line in measured] == [True, False]
    gap = keys((tmp_path / "logs" / "gaps.log").read_text().splitlines()[-1])
    assert (gap["kind"], gap["reason"]) == ("gap", "closed-1001")
    assert measured[0]["after_gap_s"] == gap["seconds"]


async def test_a_line_is_visible_while_the_logger_runs(tmp_path: Path) -> None:
    async with Cloud(World.of(cameras=1)) as cloud, running(cloud, tmp_path / "logs") as logger:
        await cloud.wait_subscribed(1)
        event = await cloud.emit(cloud.world.cameras[0].id, delay_s=0.5)
        await line_in(tmp_path / "logs" / "processed_event_uuids.log", event.identity)
        assert await logger.stop() == 0


async def test_seconds_end_a_run_with_the_closing_table(tmp_path: Path) -> None:
    world = World.of(cameras=2, rate=20, seed=6)
    async with Cloud(world, traffic=True) as cloud, running(cloud, tmp_path / "logs", "--seconds", "4") as logger:
        assert await logger.ended(10) == 0
    assert "p95_s" in logger.stdout
    assert "95 % within" in logger.stdout
    assert logger.stderr == ""
    state = json.loads((tmp_path / "logs" / ".state").read_text())
    assert state["clean"] is True
    assert (tmp_path / "logs" / "summary.log").read_text().startswith("STOPPED ")
