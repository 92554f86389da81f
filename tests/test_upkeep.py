"""The directory during a run: lock, free space, old days."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
from disks import until

from eelogger.model import Timing
from eelogger.storage.lock import DirectoryLock
from eelogger.storage.paths import LogPaths
from eelogger.storage.upkeep import SpaceWatch, Upkeep
from eelogger.storage.writer import Writer

TIMING = Timing(tick_s=0.01, disk_retry_s=0.02, write_rest_s=0.001)


@asynccontextmanager
async def running(log_dir: Path, *, is_read: bool = True) -> AsyncIterator[Upkeep]:
    """A directory that is kept; its writer begins once the day is read."""
    paths = LogPaths(log_dir)
    writer = Writer(paths, buffer_bytes=1 << 20, timing=TIMING, may_write=lambda: True)
    with DirectoryLock(paths) as lock:
        async with writer if is_read else nullcontext():
            upkeep = Upkeep(lock, writer, TIMING, lambda: None, keep_days=1, max_bytes=None)
            task = asyncio.create_task(upkeep.run())
            yield upkeep
            task.cancel()


@pytest.mark.parametrize("is_read", [False, True])
async def test_the_lock_shows_life_also_while_the_day_is_read(log_dir: Path, is_read: bool) -> None:
    async with running(log_dir, is_read=is_read):
        os.utime(log_dir / ".lock", (0, 0))
        await until(lambda: (log_dir / ".lock").stat().st_mtime > 1)


async def test_old_days_go_but_not_while_one_is_being_moved(log_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The folder of the day that ended must not go in the middle of its move."""
    caplog.set_level(logging.INFO)
    async with running(log_dir) as upkeep:
        paths = upkeep.writer.paths
        for day in ("2026-11-20", "2026-11-21"):
            paths.day(day).root.mkdir(parents=True)
        waits = [True]

        def moves(held: object) -> dict[str, str]:
            while waits:
                time.sleep(0.01)
            return {}

        upkeep.writer.barrier(moves)
        upkeep.prune_for = "2026-11-22"
        await asyncio.sleep(0.1)
        assert len(paths.days()) == 2
        waits.clear()
        await until(lambda: paths.days() == ["2026-11-21"])
        await until(lambda: "2026-11-20" in caplog.text)


def test_free_space_for_less_than_two_days_is_told_once_a_day() -> None:
    watch = SpaceWatch()
    told = [watch.look(minute * 1_000_000, 10_000_000) for minute in range(2 * 1440)]
    assert [minute for minute, text in enumerate(told) if text] == [10, 1450]
    assert "10.0 MB of free space last for 0.2 hours at the present 1440.0 MB a day" in told[10]


def test_what_was_written_more_than_an_hour_ago_does_not_count() -> None:
    watch = SpaceWatch()
    told = [minute for minute in range(1500) if watch.look(10**9 * min(minute, 1), 10**9)]
    assert told == [10]
