"""The main job end to end: `app.py` as a process, a cloud over real sockets, the oracle as the only judge."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from launch import APP, CHILD, Logger, command, launch
from oracle import Findings, compare, read_logs

from eelogger.simulator import Account

DAY_S = 86_400


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
    async with FaultCloud(Account.of(cameras=4, rate=500, seed=4), traffic=True) as cloud:
        async with launch(cloud, log_dir, env={"CHILD_SLOW_S": "0.02"}, script=CHILD) as logger:
            await cloud.wait_subscribed(4)
            await asyncio.sleep(1)
            assert await stopped(logger, number) < 2
        assert judged(cloud, log_dir).logged > 100


async def test_a_restart_goes_on_where_the_last_run_stopped(log_dir: Path) -> None:
    async with FaultCloud(Account.of(cameras=4, rate=50, seed=5), traffic=True) as cloud:
        for _ in range(2):
            async with launch(cloud, log_dir) as logger:
                await cloud.wait_subscribed(4)
                await asyncio.sleep(1)
                await stopped(logger)
                await cloud.wait_disconnected()
        judged(cloud, log_dir)
    assert [gap["reason"] for gap in read_logs(log_dir).gaps] == ["started", "stopped"]


async def test_a_run_that_never_got_a_connection_observed_nothing(cloud: FaultCloud, log_dir: Path) -> None:
    await cloud.go_down()
    async with launch(cloud, log_dir) as logger:
        await logger.wait_for("eelogger.log", "trying again")
        assert await logger.stop() == 0
    assert "observed 0" in logger.stdout
    assert json.loads((log_dir / ".state").read_text())["clean"] is True


async def test_the_first_measured_event_after_a_gap_says_so(cloud: FaultCloud, log_dir: Path) -> None:
    camera = cloud.camera_ids()[0]
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        await cloud.close(1001)
        await cloud.wait_connected(2)
        await cloud.wait_subscribed(3)
        for _ in range(2):
            await asyncio.sleep(0.01)  # a timestamp is cut to the millisecond
            await cloud.emit(camera)
        await logger.stop()
    judged(cloud, log_dir)
    logs = read_logs(log_dir)
    (lines,) = [lines for lines in logs.delay_files if lines]
    assert ["after_gap_s" in line.pairs for line in lines] == [True, False]
    gap = logs.gaps[-1]
    assert (gap["kind"], gap["reason"]) == ("gap", "closed-1001")
    assert lines[0].pairs["after_gap_s"] == gap["seconds"]


async def test_seconds_end_a_run_with_the_closing_table(log_dir: Path) -> None:
    async with FaultCloud(Account.of(cameras=2, rate=20, seed=6), traffic=True) as cloud:
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


def days_in(folder: Path) -> set[str]:
    """The days of the arrivals in the stream and delay logs of one folder."""
    files = [*folder.glob("*_????????.log"), *folder.glob("stream/*.log")]
    lines = [line for path in files for line in path.read_text("utf-8").splitlines()]
    return {line.removeprefix("time=")[:10] for line in lines}


async def test_at_midnight_every_line_is_in_its_day(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clocks, the cloud's and the logger's, come to midnight within seconds."""
    shift_s, real_ns = DAY_S - time.time() % DAY_S - 5, time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + round(shift_s * 1e9))
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    yesterday = time.strftime("%Y-%m-%d", time.gmtime(time.time()))
    ended = log_dir / "days" / yesterday
    async with FaultCloud(Account.of(cameras=5, rate=200, seed=9), traffic=True) as cloud:
        async with launch(cloud, log_dir, env={"CHILD_SHIFT_S": str(shift_s)}, script=CHILD) as logger:
            await cloud.wait_subscribed(5)
            await asyncio.sleep(DAY_S - time.time() % DAY_S + 2)
            today = time.strftime("%Y-%m-%d", time.gmtime(time.time()))
            for folder, day in ((log_dir, today), (ended, yesterday)):
                assert day in (folder / "summary.log").read_text("utf-8")
                assert day in (folder / "maxeventdelay.log").read_text("utf-8")
            await stopped(logger)
        judged(cloud, log_dir)
    assert today != yesterday
    assert (days_in(log_dir), days_in(ended)) == ({today}, {yesterday})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("name", "code"), [("status", 3), ("report", 74)])
def test_an_output_that_takes_nothing_is_said_and_no_traceback(log_dir: Path, name: str, code: int) -> None:
    assert command("--demo", "--seconds", "2", "--log-dir", log_dir).code == 0
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, APP, name, "--log-dir", log_dir],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "output" in ended.stderr
