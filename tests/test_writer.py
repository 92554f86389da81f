"""The writer as its callers see it: what is on disk when, whatever the disk, others and cancellations do."""

import asyncio
import errno
import logging
import os
import random
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from disks import until

from eelogger.errors import DiskError
from eelogger.model import Camera, Timing
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.days import day_moves, rename_moves
from eelogger.storage.disk import DELAY, OTHER, STREAM
from eelogger.storage.paths import LogPaths
from eelogger.storage.writer import Writer

A, B = "100e1e23", "100e1e24"
DAY, NEXT = "2026-11-21", "2026-11-22"


class Logs:
    """A writer with two cameras, and what it said."""

    caplog: pytest.LogCaptureFixture

    def __init__(self, root: Path, *, buffer_bytes: int = 1 << 20, **timing: float) -> None:
        self.paths = LogPaths(root)
        self.ours = True
        self.stems = {A: f"Cam_{A}", B: f"Cam_{B}"}
        self.writer = Writer(
            self.paths,
            buffer_bytes=buffer_bytes,
            timing=replace(Timing(disk_retry_s=0.05, write_rest_s=0.01), **timing),
            may_write=lambda: self.ours,
        )

    @property
    def said(self) -> list[tuple[int, str]]:
        """Level and text of what was logged about the disk."""
        return [(record.levelno, record.getMessage()) for record in self.caplog.records if "disk" in record.name]

    def stream(self, camera: str = A, day: str = "") -> Path:
        return (self.paths.day(day) if day else self.paths).stream(self.stems[camera])

    def delay(self, camera: str = A, day: str = "") -> Path:
        return (self.paths.day(day) if day else self.paths).delay(self.stems[camera])

    def event(self, number: int, camera: str = A) -> None:
        """An event's three lines; what arrived up to `number` was handed over then."""
        sink, delay = self.writer, str(self.delay(camera))
        sink.write(STREAM, str(self.stream(camera)), f"{DAY}T10:00:00.{number:06d}Z {number}\n")
        sink.write(DELAY, delay, f"time={DAY}T10:00:00.{number:06d}Z {number}\n")
        sink.write_identity(f"uuid {number}\n", delay)
        sink.mark(number)

    async def midnight(self, day: str = DAY) -> None:
        """Let the files of a day move, and wait for it."""
        self.writer.barrier(partial(day_moves, self.paths, day))
        await until(lambda: not self.writer.moving)

    def levels(self) -> list[int]:
        return [level for level, _ in self.said]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Logs.caplog = caplog


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


def numbers(path: Path) -> list[int]:
    return [int(line.split()[1]) for line in path.read_text().splitlines()] if path.is_file() else []


def no_space(*args: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refusing(call: str, name: str) -> tuple[str, Any]:
    """That call of `os` refuses everything with this name in its path."""
    real = getattr(os, call)

    def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
        if name in os.fspath(path):
            raise PermissionError(errno.EPERM, "Operation not permitted", os.fspath(path))
        return real(path, *args, **kwargs)

    return call, refuse


class Gate:
    """Opening files waits until `opened` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = threading.Event()
        self.calls = 0
        self._open = os.open
        monkeypatch.setattr(os, "open", self.open)

    def open(self, *args: Any) -> int:
        self.calls += 1
        self.opened.wait(10)
        return self._open(*args)


class TestLines:
    async def test_all_of_an_event_is_in_its_files(self, logs: Logs) -> None:
        async with logs.writer as writer:
            assert writer.write_p99_us() == 0
            for number in range(50):
                logs.event(number, (A, B)[number % 2])
            writer.write(OTHER, str(logs.paths.gaps), "gap 1\n")
            assert writer.pending_lines == 151
        assert numbers(logs.stream(A)) == numbers(logs.delay(A)) == list(range(0, 50, 2))
        assert numbers(logs.stream(B)) == numbers(logs.delay(B)) == list(range(1, 50, 2))
        assert numbers(logs.paths.uuids) == list(range(50))
        assert numbers(logs.paths.gaps) == [1]
        assert (writer.done_us, logs.said) == (49, [])
        assert writer.write_p99_us() > 0
        assert writer.written_bytes == sum(path.stat().st_size for path in logs.paths.root.rglob("*.log"))

    async def test_a_line_is_seen_soon_without_more_to_come(self, logs: Logs) -> None:
        async with logs.writer as writer:
            for number in range(1, 20):
                handed_over = time.monotonic()
                logs.event(number)
                while writer.done_us != number:
                    await asyncio.sleep(0.001)
                assert numbers(logs.delay())[-1] == number
                assert time.monotonic() - handed_over < 0.25


class TestSnapshots:
    async def test_one_that_cannot_be_written_holds_up_nothing(self, logs: Logs) -> None:
        metrics = logs.paths.root / "metrics"
        metrics.mkdir(parents=True)
        async with logs.writer as writer:
            for number in range(30):
                writer.replace(str(metrics), f"metrics {number}\n")
                logs.event(number)
                await asyncio.sleep(0.01)
            await logs.midnight()
            await writer.idle()
            assert (writer.done_us, writer.trouble) == (29, "")
            assert [level for level, text in logs.said if str(metrics) in text] == [logging.WARNING]
            metrics.rmdir()
            await until(metrics.is_file)
            assert numbers(metrics) == [29]
            metrics.unlink()
            metrics.mkdir()
            writer.replace(str(metrics), "metrics 30\n")
            started = time.monotonic()
        assert time.monotonic() - started < 1
        assert numbers(logs.delay(day=DAY)) == list(range(30))


class TestBarriers:
    async def test_what_comes_after_waits_until_it_is_known_what_moves(self, logs: Logs) -> None:
        tries = []

        def moves(held: object) -> dict[str, str]:
            tries.append(held)
            if len(tries) < 3:
                raise PermissionError(errno.EACCES, "Permission denied", str(logs.paths.root))
            return day_moves(logs.paths, DAY)

        async with logs.writer as writer:
            logs.event(1)
            writer.barrier(moves)
            logs.event(2)
        assert (numbers(logs.delay(day=DAY)), numbers(logs.delay())) == ([1], [2])
        assert logs.levels() == [logging.WARNING, logging.INFO]

    async def test_what_stands_in_the_way_of_the_days_is_named(self, logs: Logs) -> None:
        days = logs.paths.days_dir
        days.parent.mkdir()
        days.write_text("mine")
        async with logs.writer as writer:
            logs.event(1)
            await logs.midnight()
            logs.event(2)
            await until(lambda: logs.levels() == [logging.WARNING])
            assert f"{days} is not a directory" in logs.said[0][1]
            days.unlink()
            await until(lambda: not writer.stuck)
        assert (numbers(logs.delay(day=DAY)), numbers(logs.delay())) == ([1], [2])

    async def test_a_file_that_cannot_be_moved_holds_up_itself_alone(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = logs.stream(A)
        async with logs.writer as writer:
            logs.event(1, A)
            logs.event(1, B)
            await until(lambda: numbers(logs.delay(B)) == [1])
            monkeypatch.setattr(os, *refusing("replace", path.name))
            for number, day in ((2, DAY), (3, NEXT)):
                await logs.midnight(day)
                logs.event(number, A)
                logs.event(number, B)
            await until(lambda: numbers(logs.stream(B)) == [3])
            await asyncio.sleep(0.15)  # it was tried again, more than once
            assert [numbers(one) for one in (path, logs.stream(B, DAY), logs.stream(B, NEXT))] == [[1], [1], [2]]
            assert writer.stuck.keys() == {str(path)}
            monkeypatch.undo()
            await until(lambda: not writer.stuck)
            await writer.idle()
        for place in (logs.stream, logs.delay):
            assert [numbers(place(A, day)) for day in (DAY, NEXT, "")] == [[1], [2], [3]]
        assert [(level, str(path) in text) for level, text in logs.said] == [
            (logging.WARNING, True),
            (logging.INFO, False),
        ]
        assert sorted(numbers(logs.paths.uuids)) == [1, 1, 2, 2, 3, 3]

    async def test_held_lines_go_with_their_day(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        """A disk that is full over midnight, which has room to rename files but not to write them."""
        async with logs.writer as writer:
            logs.event(1)
            await writer.idle()
            monkeypatch.setattr(os, "write", no_space)
            logs.event(2, A)
            logs.event(2, B)  # has no file yet
            await logs.midnight()
            logs.event(3, A)
            await until(lambda: numbers(logs.delay(day=DAY)) == [1])
            monkeypatch.undo()
            await writer.idle()
        for place in (logs.stream, logs.delay):
            assert (numbers(place(A, DAY)), numbers(place(B, DAY)), numbers(place(A))) == ([1, 2], [2], [3])
        assert sorted(numbers(logs.paths.uuids)) == [1, 2, 2, 3]

    async def test_a_file_that_missed_its_rename_goes_with_its_day(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = logs.stems[A], f"New_{A}"
        async with logs.writer as writer:
            logs.event(1)
            await writer.idle()
            monkeypatch.setattr(os, *refusing("replace", old))
            writer.barrier(lambda held: rename_moves(logs.paths, {old: new}))
            await until(lambda: not writer.moving)
            logs.stems[A] = new
            logs.paths.cameras.write_text(cameras_text([Camera(A, "New")]))
            logs.event(2)
            await logs.midnight()
            logs.event(3)
            monkeypatch.undo()
            await until(lambda: not writer.stuck)
        for place in (logs.stream, logs.delay):
            assert (sorted(numbers(place(A, DAY))), numbers(place(A))) == ([1, 2], [3])


@pytest.mark.parametrize("seed", range(6))
async def test_faults_and_others_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The thread is somewhere in a batch whenever others rename, cut or remove a file; the disk fails now and then.

    Renaming loses nothing, the rest only what it took; nothing is torn, there twice, or out of order.
    """
    chance = random.Random(seed)
    logs = Logs(tmp_path / "logs", disk_retry_s=0.001, write_rest_s=0.001)
    write, open_, move = os.write, os.open, os.replace

    def flaky_write(fd: int, data: bytes) -> int:
        time.sleep(0.001 if chance.random() < 0.05 else 0)
        if chance.random() < 0.05:
            no_space()
        # Not where others truncate: between the two parts of a line that would leave its second half.
        is_short = seed % 2 == 0 and chance.random() < 0.3
        return write(fd, data[: 1 + len(data) // 3] if is_short else data)

    monkeypatch.setattr(os, "write", flaky_write)
    monkeypatch.setattr(os, "open", lambda *args: no_space() if chance.random() < 0.05 else open_(*args))
    monkeypatch.setattr(os, "replace", lambda *args: no_space() if chance.random() < 0.05 else move(*args))
    moved: dict[Path, list[Path]] = {}
    taken: set[Path] = set()
    handed_over: dict[str, list[int]] = {A: [], B: []}
    days = [f"2026-11-{day:02d}" for day in range(1, 29)]
    async with logs.writer as writer:
        for number in range(1500):
            camera = chance.choice((A, B))
            logs.event(number, camera)
            handed_over[camera].append(number)
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() / 300)
            path = chance.choice((logs.stream, logs.delay))(chance.choice((A, B)))
            with suppress(FileNotFoundError):
                if chance.random() < 0.02:
                    os.rename(path, tmp_path / f"moved{number}")
                    moved.setdefault(path, []).append(tmp_path / f"moved{number}")
                if seed % 2 and chance.random() < 0.005:
                    os.truncate(path, 0) if chance.random() < 0.5 else path.unlink()
                    taken.add(path)
            if chance.random() < 0.01:
                writer.barrier(partial(day_moves, logs.paths, days.pop(0)))
            if chance.random() < 0.01:
                writer.replace(str(logs.paths.summary), "x")
        monkeypatch.undo()
    for camera in (A, B):
        for path in (logs.stream(camera), logs.delay(camera)):
            found = [numbers(part) for part in (*moved.get(path, []), path, *logs.paths.days_dir.rglob(path.name))]
            assert all(part == sorted(part) for part in found)
            there = sorted(number for part in found for number in part)
            assert there == (sorted(set(there)) if path in taken else handed_over[camera])
    assert sorted(numbers(logs.paths.uuids)) == list(range(1500))
    assert logging.WARNING in logs.levels()


class TestFailures:
    @pytest.mark.parametrize("which", ["stream", "delay"])
    async def test_one_warning_one_recovery_and_nothing_is_missing(self, logs: Logs, which: str) -> None:
        blocked = getattr(logs, which)(A)
        blocked.mkdir(parents=True)  # a directory in the file's place
        async with logs.writer as writer:
            for number in range(10):
                logs.event(number, (A, B)[number % 2])
                await asyncio.sleep(0.01)
            await until(lambda: numbers(logs.delay(B)) == [1, 3, 5, 7, 9])  # others go on
            assert numbers(logs.delay(A)) == [], "what follows from an unwritten line waits"
            await until(lambda: numbers(logs.paths.uuids) == [1, 3, 5, 7, 9])
            assert str(blocked) in writer.trouble
            assert writer.done_us is None, "a mark waits for every line before it"
            await asyncio.sleep(0.1)
            blocked.rmdir()
            await writer.idle()
            assert not writer.failed.done()
            assert writer.trouble == ""
        assert numbers(logs.stream(A)) == numbers(logs.delay(A)) == [0, 2, 4, 6, 8]
        assert sorted(numbers(logs.paths.uuids)) == list(range(10))
        assert logs.levels() == [logging.WARNING, logging.INFO]

    async def test_at_the_bound_every_lost_line_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logs = Logs(tmp_path, buffer_bytes=10_000)
        monkeypatch.setattr(os, "open", no_space)
        writer = await logs.writer.__aenter__()
        for number in range(1000):
            logs.event(number)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        with pytest.raises(DiskError, match="No space left"):
            await writer.failed
        monkeypatch.undo()
        with pytest.raises(DiskError, match="No space left") as caught:
            await writer.close()
        written = sum(len(numbers(path)) for path in (logs.stream(), logs.delay(), logs.paths.uuids))
        assert str(caught.value).startswith(f"{3000 - written} lines are lost")
        assert written > 300
        last = numbers(logs.stream())[-1]
        assert numbers(logs.stream()) == list(range(last + 1)), "complete up to a point"
        assert writer.done_us in (last - 1, last)


class TestEnd:
    async def test_a_directory_that_another_has_taken_gets_no_line(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even of the batch that is in the thread."""
        async with logs.writer:
            logs.stream().parent.mkdir(parents=True)
            gate = Gate(monkeypatch)
            logs.event(1)
            await until(lambda: gate.calls == 1)
            logs.ours = False
            gate.opened.set()
            with pytest.raises(DiskError) as caught:
                await logs.writer.close(1)
        assert str(caught.value).startswith("2 lines are lost")
        assert (logs.delay().exists(), logs.said) == (False, [])

    async def test_a_disk_that_hangs_is_left_and_the_loss_counted(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = Gate(monkeypatch)
        writer = await logs.writer.__aenter__()
        logs.event(1)
        await until(lambda: gate.calls > 0)
        logs.event(2)
        writer.barrier(partial(day_moves, logs.paths, DAY))
        with pytest.raises(DiskError, match="too slow") as caught:
            await writer.close(0.05)
        assert str(caught.value).startswith("6 lines are lost")
        gate.opened.set()
        await asyncio.sleep(0.05)
        assert not logs.delay().exists(), "what was counted as lost must not be written beside another process"

    async def test_a_disk_that_recovers_in_time_loses_nothing(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "open", no_space)
        writer = await logs.writer.__aenter__()
        logs.event(1)
        await until(lambda: logs.said != [])
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0.05)
        monkeypatch.undo()
        await closing
        assert numbers(logs.delay()) == [1]
