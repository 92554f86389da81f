"""Midnight under load, with the wall clocks of logger and cloud shifted so that it comes within seconds."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from running import running

from eelogger.simulator import compare, read_ledger

CHILD = Path(__file__).with_name("child.py")
DAY_S = 86_400


@dataclass
class FarCloud:
    """A simulator as a process of its own, in the shifted time."""

    base_url: str
    account_id: str
    auth_key: str


@asynccontextmanager
async def far_cloud(ledger: Path, shift_s: float, rate: int = 200) -> AsyncIterator[FarCloud]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHILD), "--cameras", "5", "--rate", str(rate), "--ledger", str(ledger)),
        env=os.environ | {"CHILD_RUNS": "simulator", "CHILD_SHIFT_S": str(shift_s)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = json.loads(await asyncio.wait_for(process.stdout.readline(), 15))
    try:
        yield FarCloud(told["base_url"], told["account_id"], told["auth_key"])
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def shift_to_midnight(in_s: float) -> float:
    """What to add to the wall clock so that the next UTC midnight is `in_s` away."""
    return DAY_S - time.time() % DAY_S - in_s


def day_text(shift_s: float, later_s: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() + shift_s + later_s, UTC).date().isoformat()


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


def days_of_lines(root: Path) -> set[str]:
    """The days of the arrivals in the stream and delay logs of one day's folder."""
    files = [*root.glob("*_????????.log"), *root.glob("stream/*.log")]
    return {
        m[1]
        for file in files
        for line in file.read_text().splitlines()
        if (m := re.match(r"(?:time=)?(\S{10})T", line))
    }


async def test_each_line_is_in_its_day_and_each_day_has_its_figures(tmp_path: Path) -> None:
    logs, ledger = tmp_path / "logs", tmp_path / "ledger.jsonl"
    shift_s = shift_to_midnight(in_s=12)
    yesterday, today = day_text(shift_s), day_text(shift_s, 60)
    async with far_cloud(ledger, shift_s) as cloud:
        async with running(cloud, logs, script=CHILD, env={"CHILD_SHIFT_S": str(shift_s)}) as logger:
            await until(lambda: (logs / "days" / yesterday).exists(), 40)
            await asyncio.sleep(1.5)
            assert await logger.stop() == 0
    verdict = compare(read_ledger(ledger), logs)
    assert verdict.ok, str(verdict)
    assert days_of_lines(logs / "days" / yesterday) == {yesterday}
    assert days_of_lines(logs) == {today}
    assert f"({yesterday} UTC" in (logs / "days" / yesterday / "summary.log").read_text()
    assert (logs / "days" / yesterday / "maxeventdelay.log").read_text().count("new_max=1") == 5


async def test_a_start_after_days_off_moves_the_old_day_first(tmp_path: Path) -> None:
    logs, ledger = tmp_path / "logs", tmp_path / "ledger.jsonl"
    first = day_text(0)
    async with far_cloud(ledger, 0) as cloud, running(cloud, logs) as logger:
        await until(lambda: len(list(logs.glob("*_????????.log"))) == 5)
        assert await logger.stop(signal.SIGKILL) == -signal.SIGKILL
    shift_s = 3 * DAY_S
    later = tmp_path / "later.jsonl"
    async with far_cloud(later, shift_s) as cloud:
        async with running(cloud, logs, script=CHILD, env={"CHILD_SHIFT_S": str(shift_s)}) as logger:
            await until(lambda: (logs / "days" / first).exists() and len(list(logs.glob("*_????????.log"))) == 5)
            await asyncio.sleep(0.5)
            assert await logger.stop() == 0
    assert days_of_lines(logs / "days" / first) == {first}
    assert days_of_lines(logs) == {day_text(shift_s)}
    gap = (logs / "days" / first / "gaps.log").read_text().splitlines()[-1]
    assert "reason=died" in gap
    assert "T00:00:00.000000Z" in gap
    rest = (logs / "gaps.log").read_text().splitlines()[0]
    assert "reason=died" in rest
    assert "after_gap_s=" in "".join(file.read_text() for file in logs.glob("*_????????.log"))


async def test_a_clock_set_back_over_midnight_stays_in_its_later_day(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    async with far_cloud(tmp_path / "a.jsonl", DAY_S) as cloud:
        async with running(cloud, logs, script=CHILD, env={"CHILD_SHIFT_S": str(DAY_S)}) as logger:
            await until(lambda: len(list(logs.glob("*_????????.log"))) == 5)
            assert await logger.stop() == 0
    async with far_cloud(tmp_path / "b.jsonl", 0) as cloud, running(cloud, logs) as logger:
        await until(lambda: (logs / "gaps.log").read_text().count("\n") == 2)
        await asyncio.sleep(0.5)
        assert await logger.stop() == 0
    assert not (logs / "days").exists()
    assert days_of_lines(logs) == {day_text(0), day_text(DAY_S)}
