"""What others and the disk do to the log files of a running logger: nothing lost, nothing twice, nothing torn.

Each test lays hands on real files of a real process under load and proves that it did (the old file is there, the
disk has no room left, the log says so); the ledger of the cloud judges what is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from disks import fill, immutable, needs_mounts, read_only, small_disk, until
from running import ROOT, Logger, line_in, running
from test_flow import keys
from test_midnight import day_text, days_of_lines, far_cloud, shift_to_midnight

from eelogger.logdir.space import SpaceWatch
from eelogger.simulator import Cloud, Comparison, Entry, World, compare, read_ledger
from eelogger.writing.disk import replace

CHILD = Path(__file__).with_name("child.py")
HASTY = {"CHILD_SET": "writing.trouble.LAST_RETRY_S=0.2"}
"""So that a test need not wait up to 5 s for the next try."""
HELD = "lines are held"
RECOVERED = "writing works again after"


def now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def under_load(
    log_dir: Path, rate: int = 300, script: Path = ROOT / "app.py", env: dict[str, str] | None = None
) -> AsyncIterator[tuple[Cloud, Logger]]:
    """A logger with four cameras that send all the time."""
    async with Cloud(World.of(cameras=4, rate=rate, seed=21), traffic=True) as cloud:
        async with running(cloud, log_dir, script=script, env=env) as logger:
            await cloud.wait_subscribed(4)
            await until(lambda: len(delay_logs(log_dir)) == 4)
            yield cloud, logger


def delay_logs(log_dir: Path) -> list[Path]:
    return sorted(log_dir.glob("*_????????.log"))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def archive(log_dir: Path, number: int) -> Path:
    """A folder that the judge reads as a past day: what was moved there counts as kept."""
    folder = log_dir / "days" / f"2000-01-{number + 1:02}"
    (folder / "stream").mkdir(parents=True, exist_ok=True)
    return folder


def said(log_dir: Path, text: str) -> list[str]:
    """The lines of the program's log with a text."""
    return [line for line in lines(log_dir / "eelogger.log") if text in line]


def whole(log_dir: Path) -> bool:
    """No file has a hole or a torn end."""
    contents = [path.read_bytes() for path in log_dir.rglob("*.log*") if path.is_file()]
    return all(b"\0" not in content and content[-1:] in (b"", b"\n") for content in contents)


def judged(cloud: Cloud, log_dir: Path, until_us: int | None = None) -> Comparison:
    """What the ledger says; nothing that was sent before `until_us` need be there."""
    entries: list[Entry] = cloud.ledger.entries
    return compare(entries, log_dir, excused=[] if until_us is None else [(0, until_us)])


class TestOthers:
    async def test_renaming_any_file_at_any_moment_loses_nothing(self, tmp_path: Path) -> None:
        logs, chance = tmp_path / "logs", random.Random(1)
        kept: list[Path] = []
        async with under_load(logs) as (cloud, logger):
            for number in range(30):
                await asyncio.sleep(chance.uniform(0, 0.06))
                files = [*delay_logs(logs), *(logs / "stream").glob("*.log"), logs / "processed_event_uuids.log"]
                path = chance.choice([path for path in files if path.exists()])
                target = archive(logs, number) / path.relative_to(logs)
                path.rename(target)
                kept.append(target)
            assert await logger.stop() == 0
        assert len({path.name for path in kept if path.stat().st_size}) > 5
        identities = [line for path in [logs, *(logs / "days").iterdir()] for line in uuids_in(path)]
        assert len(identities) == len(set(identities))
        shutil.copy(logs / "processed_event_uuids.log", tmp_path)
        (logs / "processed_event_uuids.log").write_text("".join(f"{line}\n" for line in identities))
        assert (verdict := judged(cloud, logs)).ok, str(verdict)
        assert verdict.logged > 100

    async def test_renaming_the_whole_directory_loses_nothing(self, tmp_path: Path) -> None:
        logs, old = tmp_path / "logs", tmp_path / "old"
        async with under_load(logs) as (cloud, logger):
            await asyncio.sleep(0.5)
            before = (logs / "cameras.json").read_text()
            logs.rename(old)
            await until(lambda: len(delay_logs(logs)) == 4 and (logs / ".lock").exists())
            await until(lambda: (logs / "cameras.json").exists())
            async with running(cloud, logs) as second:
                assert await second.ended() == 75
            assert (logs / "cameras.json").read_text() == before
            await asyncio.sleep(0.5)
            assert await logger.stop() == 0
        assert logger.stderr.count("\n") == len(said(logs, "was removed or replaced")) == 1
        assert (old / ".lock").exists()
        assert json.loads((logs / ".state").read_text())["clean"] is True
        identities = [*uuids_in(old), *uuids_in(logs)]
        shutil.move(old, logs / "days" / "2000-01-01")
        (logs / "processed_event_uuids.log").write_text("".join(f"{line}\n" for line in identities))
        assert (verdict := judged(cloud, logs)).ok, str(verdict)

    async def test_copying_and_truncating_leaves_no_hole_and_no_line_twice(self, tmp_path: Path) -> None:
        logs, chance = tmp_path / "logs", random.Random(2)
        async with under_load(logs) as (cloud, logger):
            for number in range(30):
                await asyncio.sleep(chance.uniform(0, 0.06))
                path = chance.choice([*delay_logs(logs), *logs.glob("*_uuids.log"), *logs.glob("stream/*.log")])
                shutil.copyfile(path, archive(logs, number) / path.relative_to(logs))
                os.truncate(path, 0)
            last_us = now_us()
            await asyncio.sleep(0.5)
            assert await logger.stop() == 0
        assert whole(logs)
        for path in delay_logs(logs):
            figures = [keys(line) for line in lines(path) if "verdict=measured" in line]
            assert figures[-1]["n"] == str(len(figures))
        found = judged(cloud, logs, last_us).findings
        # A line between copy and cut is lost to whoever cut; a batch that met the cut carries its figures of before.
        assert found.keys() <= {"missing_identity", "wrong_figures", "missing_delay", "wrong_delay"}, found

    async def test_removed_files_and_directories_come_again(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        async with under_load(logs) as (cloud, logger):
            for path in [*delay_logs(logs)[:2], logs / "processed_event_uuids.log", logs / "summary.log"]:
                path.unlink(missing_ok=True)
            shutil.rmtree(logs / "stream", ignore_errors=True)
            await asyncio.sleep(0.3)
            logs.rename(tmp_path / "going")
            shutil.rmtree(tmp_path / "going")
            removed_us = now_us()
            await until(lambda: len(delay_logs(logs)) == 4 and (logs / ".lock").exists())
            await asyncio.sleep(0.5)
            assert await logger.stop() == 0
        assert whole(logs)
        assert {"maxeventdelay.log", "summary.log", ".state", ".lock", "cameras.json"} <= set(os.listdir(logs))
        found = judged(cloud, logs, removed_us).findings
        # An annotation whose first sight went with the directory gets no second line.
        first_seen = {entry.identity: entry.send_us for entry in reversed(cloud.ledger.entries)}
        missing = [text.split()[2] for text in found.pop("missing_delay", [])]
        assert all(first_seen[identity] <= removed_us for identity in missing)
        assert not found, found

    async def test_statistics_are_those_of_the_lines_in_the_file(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        async with Cloud(World.of(cameras=1)) as cloud, running(cloud, logs) as logger:
            cloud.initial_state = False
            camera = cloud.world.cameras[0].id
            await cloud.wait_subscribed(1)
            await cloud.emit(camera, delay_s=60)  # the initial one

            async def one_more(delay_s: float) -> dict[str, str]:
                event = await cloud.emit(camera, delay_s=delay_s)
                await line_in(logs / "processed_event_uuids.log", event.identity)
                return keys(lines(next(iter(delay_logs(logs))))[-1])

            figures = [await one_more(0.5) for _ in range(3)]
            assert [line["n"] for line in figures] == ["1", "2", "3"]
            path = delay_logs(logs)[0]
            whole_log = path.read_text()

            path.rename(tmp_path / "old.log")
            assert (await one_more(0.25))["n"] == "1"
            os.truncate(path, 0)
            again = await one_more(0.125)
            assert (again["n"], again["min_s"], again["new_max"]) == ("1", again["max_s"], "1")
            path.unlink()
            assert (await one_more(0.25))["n"] == "1"
            path.write_text(whole_log)  # the old file again: four lines more, three of them measured
            back = await one_more(0.25)
            assert (back["n"], back["ns_n"]) == ("4", "4")
            assert await logger.stop() == 0

    async def test_another_process_that_took_the_directory_keeps_it(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        async with under_load(logs) as (cloud, logger):
            logger.process.send_signal(signal.SIGSTOP)
            logs.rename(tmp_path / "old")
            async with running(cloud, logs) as second:
                await until(lambda: len(delay_logs(logs)) == 4)
                logger.process.send_signal(signal.SIGCONT)
                assert await logger.ended() == 75
                await asyncio.sleep(0.5)
                assert json.loads((logs / ".state").read_text())["clean"] is False
                assert not (logs / "summary.log").exists() or "STOPPED" not in (logs / "summary.log").read_text()
                assert await second.stop() == 0
        assert f"taken by another: process {second.process.pid} has {logs}" in logger.stderr
        assert second.stderr == ""
        assert whole(logs)


def uuids_in(log_dir: Path) -> list[str]:
    return lines(log_dir / "processed_event_uuids.log")


def size_of(log_dir: Path) -> int:
    return sum(path.stat().st_size for path in log_dir.rglob("*.log"))


async def stands_still(log_dir: Path) -> None:
    """Wait until nothing is written any more."""
    async with asyncio.timeout(15):
        before = -1
        while before != (before := size_of(log_dir)):
            await asyncio.sleep(0.3)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    ballast = fill(disk)
    yield
    ballast.unlink()


@contextmanager
def forbidden(path: Path) -> Iterator[None]:
    path.chmod(0)
    yield
    path.chmod(0o755)


@contextmanager
def files_limited(logger: Logger, size: int) -> Iterator[None]:
    """No file of the process may grow beyond a size (EFBIG)."""
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(logger.process.pid, resource.RLIMIT_FSIZE, (size, unlimited))
    yield
    if logger.process.returncode is None:
        resource.prlimit(logger.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


class TestDisk:
    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            pytest.param("full", "No space left on device", marks=needs_mounts),
            pytest.param("read-only", "Read-only file system", marks=needs_mounts),
            pytest.param("forbidden", "Permission denied", marks=pytest.mark.slow),
            pytest.param("limited", "File too large"),
        ],
    )
    async def test_what_came_while_nothing_can_be_written_is_not_lost(
        self, tmp_path: Path, trouble: str, words: str
    ) -> None:
        logs = tmp_path / "logs"
        async with AsyncExitStack() as stack:
            if trouble == "full":
                stack.enter_context(small_disk(logs, 4096))
            cloud, logger = await stack.enter_async_context(
                under_load(logs, script=CHILD, env=HASTY | {"CHILD_BOUND": "1"})
            )
            faults = {
                "full": lambda: full(logs),
                "read-only": lambda: read_only(logs),
                "forbidden": lambda: forbidden(logs),
                "limited": lambda: files_limited(logger, 1),
            }
            with faults[trouble]():
                await asyncio.sleep(0.3)
                size, sent = size_of(logs), cloud.ledger.count
                await asyncio.sleep(0.5)
                # A full disk still has room at the end of each file's last block.
                assert size_of(logs) - size <= (4096 * 9 if trouble == "full" else 0)
                assert cloud.ledger.count > sent + 100
            await until(lambda: len(said(logs, RECOVERED)) == 1)
            assert await logger.stop() == 0
            assert cloud.connects == 1
            warning, recovery = said(logs, HELD), said(logs, RECOVERED)
            assert (verdict := judged(cloud, logs)).ok, str(verdict)
        assert len(warning) == len(logger.stderr.splitlines()) == 1
        assert words in warning[0]
        assert words in logger.stderr
        assert [float(found[1]) >= 0.5 for line in recovery if (found := re.search(r"after ([0-9.]+) s", line))] == [
            True
        ]
        assert recovery[0].endswith("none was lost")
        assert HELD not in "".join(recovery)

    async def test_a_file_in_trouble_holds_up_no_other(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        async with under_load(logs, script=CHILD, env=HASTY) as (cloud, logger):
            ids = [camera.id for camera in cloud.world.cameras]
            stream, delay, uuids = (next(logs.glob(f"stream/*_{ids[0]}_*")), delay_logs_of(logs, ids[1]), logs / UUIDS)
            await until((logs / "maxeventdelay.log").exists)
            stream.rename(tmp_path / "stream")
            stream.symlink_to("/proc/self/mem")  # nothing can be written at its beginning: EIO
            delay.rename(tmp_path / "delay")
            delay.mkdir()
            (logs / "gaps.log").rename(tmp_path / "gaps")
            (logs / "gaps.log").symlink_to("/dev/full")
            with immutable(logs / "maxeventdelay.log"):
                await cloud.close(1001)
                await cloud.wait_connected(2)
                await cloud.wait_subscribed(4)
                before = {path: path.stat().st_size for path in [*delay_logs(logs), uuids]}
                await asyncio.sleep(0.5)
                grown = {path.name for path, size in before.items() if path.is_file() and path.stat().st_size > size}
                assert grown == {UUIDS, delay_logs_of(logs, ids[2]).name, delay_logs_of(logs, ids[3]).name}
                assert not said(logs, RECOVERED)
            stream.unlink()
            (tmp_path / "stream").rename(stream)
            delay.rmdir()
            (tmp_path / "delay").rename(delay)
            (logs / "gaps.log").unlink()
            (tmp_path / "gaps").rename(logs / "gaps.log")
            await until(lambda: len(said(logs, RECOVERED)) == 1)
            assert await logger.stop() == 0
        assert len(said(logs, HELD)) == 1
        assert [keys(line)["reason"] for line in lines(logs / "gaps.log")] == ["started", "closed-1001"]
        assert (verdict := judged(cloud, logs)).ok, str(verdict)

    async def test_a_file_in_trouble_at_the_start_holds_up_no_other(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        (logs / "eelogger.log").mkdir(parents=True)
        async with under_load(logs, script=CHILD, env=HASTY) as (cloud, logger):
            size = size_of(logs)
            await until(lambda: size_of(logs) > size + 50_000)
            (logs / "eelogger.log").rmdir()
            await until(lambda: len(said(logs, RECOVERED)) == 1)
            assert await logger.stop() == 0
        assert "Is a directory" in logger.stderr
        assert (verdict := judged(cloud, logs)).ok, str(verdict)

    def test_a_snapshot_that_nobody_may_replace_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "summary.log").write_text("old\n")
        with immutable(tmp_path / "summary.log"), pytest.raises(PermissionError):
            replace(str(tmp_path / "summary.log"), "new\n")
        assert os.listdir(tmp_path) == ["summary.log"]

    async def test_at_the_bound_it_ends_and_says_how_many_lines_are_lost(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        async with under_load(logs, 1500, CHILD, HASTY | {"EEN_DISK_BUFFER_BYTES": "1M"}) as (cloud, logger):
            with files_limited(logger, 1):
                await cloud.wait_disconnected()
                ended_us = now_us()
            assert await logger.ended() == 74
            assert whole(logs)
            lost = re.search(r"eelogger: ([0-9]+) lines are lost: cannot write .*: File too large", logger.stderr)
            assert lost, logger.stderr
            missing = judged(cloud, logs).missing_stream
            assert len(missing) <= int(lost[1]) < 5 * len(missing) + 20
            async with running(cloud, logs) as again:
                await cloud.wait_subscribed(4)
                assert await again.stop() == 0
        verdict = compare(cloud.ledger.entries, logs, excused=[(ended_us - 500_000, ended_us)])
        assert verdict.ok, str(verdict)
        assert said(logs, HELD)

    @pytest.mark.parametrize("trouble", ["file", "stream", "forbidden"])
    async def test_a_directory_that_cannot_be_used_ends_the_start_with_a_hint(
        self, tmp_path: Path, trouble: str
    ) -> None:
        logs = tmp_path / "logs"
        if trouble == "file":
            logs.touch()
        else:
            logs.mkdir()
            (logs / "stream").touch()
            logs.chmod(0 if trouble == "forbidden" else 0o755)
        async with Cloud(World.of(cameras=1)) as cloud:
            async with running(cloud, logs, script=CHILD, env={"CHILD_BOUND": "1"}) as logger:
                assert await logger.ended(10) == 74
        logs.chmod(0o755)
        assert f"cannot use {logs}" in logger.stderr
        assert ("hint: a file is where" if trouble != "forbidden" else "hint: check owner") in logger.stderr
        assert "Traceback" not in logger.stderr

    @needs_mounts
    async def test_a_start_on_a_full_disk_waits_for_room(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        with small_disk(logs, 4096):
            with full(logs):
                async with AsyncExitStack() as stack:
                    cloud = await stack.enter_async_context(Cloud(World.of(cameras=4, rate=200, seed=3), traffic=True))
                    env = {"CHILD_SET": f"{HASTY['CHILD_SET']} upkeep.chores.TOUCH_TICKS=1"}
                    logger = await stack.enter_async_context(running(cloud, logs, script=CHILD, env=env))
                    await cloud.wait_subscribed(4)
                    await asyncio.sleep(0.5)
                    assert size_of(logs) == 0
                    stack_of_run = stack.pop_all()
            async with stack_of_run:
                await until(lambda: len(said(logs, RECOVERED)) == 1)
                # Who has the directory could not be written down at first.
                await until(lambda: str(logger.process.pid) in (logs / ".lock").read_text())
                assert await logger.stop() == 0
            assert (verdict := judged(cloud, logs)).ok, str(verdict)

    async def test_a_midnight_that_cannot_be_is_made_up_for(self, tmp_path: Path) -> None:
        # On a busy machine the start may take longer than there is time till midnight.
        leads_s = iter((4, 15, 45))
        while not await blocked_midnight(tmp_path / "logs", tmp_path / "ledger.jsonl", next(leads_s)):
            shutil.rmtree(tmp_path / "logs")
            (tmp_path / "ledger.jsonl").unlink()


async def blocked_midnight(logs: Path, ledger: Path, in_s: float) -> bool:
    """A midnight at which the day cannot be moved at first; whether it came as early as was planned."""
    shift_s = shift_to_midnight(in_s)
    yesterday, today = day_text(shift_s), day_text(shift_s, 60)
    async with far_cloud(ledger, shift_s) as cloud:
        async with running(cloud, logs, script=CHILD, env=HASTY | {"CHILD_SHIFT_S": str(shift_s)}) as logger:
            await until(lambda: len(delay_logs(logs)) == 5)
            if day_text(shift_s) != yesterday:
                return False
            (logs / "days").touch()
            await until(lambda: day_text(shift_s) == today, in_s + 10)
            await stands_still(logs)
            (logs / "days").unlink()
            await until(lambda: len(said(logs, RECOVERED)) == 1)
            assert await logger.stop() == 0
    assert days_of_lines(logs / "days" / yesterday) == {yesterday}
    assert days_of_lines(logs) == {today}
    assert len(logger.stderr.splitlines()) == 1
    assert f"cannot write {logs / 'days'}" in logger.stderr
    assert (verdict := compare(read_ledger(ledger), logs)).ok, str(verdict)
    return True


class TestStop:
    # A batch is one write to us; where each of its files takes as long, that is a slower disk. Other tests run beside
    # this one, so it gets twice the two seconds.
    @pytest.mark.parametrize(
        ("slow", "within_s"), [("batch:0.2", 4), pytest.param("file:0.2", 10, marks=pytest.mark.slow)]
    )
    async def test_a_slow_disk_loses_nothing_and_is_waited_for(
        self, tmp_path: Path, slow: str, within_s: float
    ) -> None:
        logs = tmp_path / "logs"
        async with under_load(logs, script=CHILD, env={"CHILD_SLOW_S": slow}) as (cloud, logger):
            await asyncio.sleep(0.5)
            began = time.monotonic()
            assert await logger.stop() == 0
            took_s = time.monotonic() - began
        assert (verdict := judged(cloud, logs)).ok, str(verdict)
        assert took_s < within_s

    @pytest.mark.slow
    async def test_a_disk_that_stays_full_is_waited_for_ten_seconds(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        async with under_load(logs) as (_, logger):
            with files_limited(logger, 1):
                await asyncio.sleep(1)
                began = time.monotonic()
                assert await logger.stop() == 74
                took_s = time.monotonic() - began
        assert 9 < took_s < 12
        assert re.search(r"[0-9]+ lines are lost", logger.stderr)
        assert whole(logs)

    @pytest.mark.parametrize("hasty", [True, pytest.param(False, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
    async def test_a_disk_that_hangs_shows_in_the_lock_and_a_full_one_does_not(
        self, tmp_path: Path, hasty: bool
    ) -> None:
        logs = tmp_path / "logs"
        stale_s = 1 if hasty else 60
        hangs = "writing.drain.HANGS_S=0.3 " if hasty else ""
        env = {
            "CHILD_SET": f"{hangs}logdir.lock.STALE_S={stale_s} upkeep.chores.TICK_S=0.1 upkeep.chores.TOUCH_TICKS=1"
        }
        async with under_load(logs, script=CHILD, env=env) as (cloud, logger):
            with files_limited(logger, 1):
                await asyncio.sleep(stale_s + 0.6)
                assert unattended_s(logs) < stale_s
            path = delay_logs(logs)[0]
            path.rename(tmp_path / "old")
            os.mkfifo(path)  # to open one that nobody reads takes for ever
            await until(lambda: unattended_s(logs) > stale_s, 200)
            async with running(cloud, logs, script=CHILD, env=env) as second:
                assert await second.ended() == 75
            assert re.search(rf"process {logger.process.pid} .* probably hangs", second.stderr)
            assert cloud.connects == 1
            await logger.stop(signal.SIGKILL)


class TestSpace:
    @needs_mounts
    async def test_too_little_free_space_is_told_once(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        env = {"CHILD_SET": "logdir.space.SHORTEST_S=0.5 upkeep.chores.TICK_S=0.2 upkeep.chores.SPACE_TICKS=1"}
        with small_disk(logs, 16384):
            async with under_load(logs, script=CHILD, env=env) as (_, logger):
                await asyncio.sleep(1.5)
                assert await logger.stop() == 0
            told = said(logs, "MB of free space last for ")
        assert len(told) == len(logger.stderr.splitlines()) == 1
        free_mb, hours, rate_mb = map(float, re.findall(r"([0-9.]+) (?:MB|hours)", told[0]))
        assert 10 < free_mb < 17
        assert hours == pytest.approx(24 * free_mb / rate_mb, abs=0.1)

    def test_it_is_told_again_after_a_day(self) -> None:
        watch, two_days = SpaceWatch(), 2 * 1440

        def told(minutes: range, free: int) -> list[int]:
            """The minutes of warnings while 1,000 bytes are written in each."""
            return [minute for minute in minutes if watch.look(60.0 * minute, 1000 * minute, free)]

        assert told(range(1440), 1000 * two_days) == []
        assert told(range(1440, 4321), 1000 * two_days - 1) == [1440, 2880, 4320]

    def test_what_was_written_more_than_an_hour_ago_does_not_count(self) -> None:
        watch = SpaceWatch()
        written = [10**9 * min(minute, 9) for minute in range(120)]  # ten minutes of a start, then nothing
        assert [minute for minute in range(120) if watch.look(60.0 * minute, written[minute], 10**12)] == [10]
        assert not watch.look(86_400.0 * 2, written[-1], 0)

    def test_it_says_how_much_is_left_for_how_long_and_at_what_rate(self) -> None:
        watch = SpaceWatch()
        assert not watch.look(10_000.0, 7 * 10**6, 36 * 10**9)
        assert not watch.look(10_300.0, 307 * 10**6, 36 * 10**9)
        said = watch.look(10_600.0, 607 * 10**6, 36 * 10**9)
        assert said.startswith("36000.0 MB of free space last for 10.0 hours at the present 86400.0 MB a day: ")

    def test_the_first_ten_minutes_say_nothing(self) -> None:
        watch = SpaceWatch()
        assert [bool(watch.look(60.0 * minute, 1000 * minute, 0)) for minute in range(12)] == [False] * 10 + [
            True,
            False,
        ]


def unattended_s(log_dir: Path) -> float:
    return time.time() - (log_dir / ".lock").stat().st_mtime


UUIDS = "processed_event_uuids.log"


def delay_logs_of(log_dir: Path, camera_id: str) -> Path:
    return next(path for path in delay_logs(log_dir) if camera_id in path.name)


def microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)
