"""The writer as its callers see it: what is on disk when, whatever the disk, others and cancellations do."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faulty import install, no_space

from eelogger.errors import DiskError
from eelogger.paths import LogPaths
from eelogger.text.logfmt import parse
from eelogger.thread import DaemonThread
from eelogger.writer import Writer
from eelogger.writing import drain, pace, trouble
from eelogger.writing.pending import Pending

A, B = "100e1e23", "100e1e24"


class Logs:
    """A writer with two cameras, and what it said; delay lines carry the number of their line in the log."""

    def __init__(self, root: Path, *, buffer_bytes: int = 1 << 20, uuid_limit: int = 100_000) -> None:
        self.paths = LogPaths(root)
        self.said: list[tuple[str, str]] = []
        self.rebased: list[tuple[str, list[object]]] = []
        self.on_rebase = self.rebase
        self.count = {A: 0, B: 0}
        self.writer = Writer(
            self.paths,
            buffer_bytes=buffer_bytes,
            rebase=lambda camera, tokens: self.on_rebase(camera, tokens),
            notify=lambda severity, text: self.said.append((severity, text)),
            uuid_limit=uuid_limit,
        )
        for camera in (A, B):
            self.writer.register(camera, f"Cam_{camera}", 0)

    def stream(self, camera: str = A) -> Path:
        return self.paths.stream(f"Cam_{camera}")

    def delay(self, camera: str = A) -> Path:
        return self.paths.delay(f"Cam_{camera}")

    def event(self, number: int, camera: str = A) -> None:
        """An event's three lines; what arrived up to `number` was handed over then."""
        self.count[camera] += 1
        self.writer.stream_logs[camera].write(f"stream {number}\n")
        self.writer.log_delay(camera, number, f"delay {number} n={self.count[camera]}\n")
        self.writer.log_processed_event_uuid(f"uuid-{number}", camera)
        self.writer.mark(number)

    def rebase(self, camera: str, tokens: list[Any]) -> list[str]:
        self.rebased.append((camera, tokens))
        there = len(lines(self.delay(camera)))
        self.count[camera] = there + len(tokens)
        return [f"delay {token} n={there + place}\n" for place, token in enumerate(tokens, 1)]

    async def written(self) -> None:
        """Wait until what was handed over is on disk."""
        await self.writer.barrier(lambda: None)

    def severities(self) -> list[str]:
        return [severity for severity, _ in self.said if severity != "debug"]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def numbers(path: Path) -> list[int]:
    return [int(line.split()[1]) for line in lines(path)]


async def until(condition: Any) -> None:
    """Wait for something that is seen on disk only."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


class TestLines:
    async def test_all_of_an_event_is_in_its_files(self, logs: Logs) -> None:
        async with logs.writer as writer:
            for number in range(50):
                logs.event(number, (A, B)[number % 2])
            writer.append(logs.paths.gaps, "kind=gap\n")
        assert numbers(logs.stream(A)) == numbers(logs.delay(A)) == list(range(0, 50, 2))
        assert numbers(logs.stream(B)) == numbers(logs.delay(B)) == list(range(1, 50, 2))
        assert lines(logs.paths.uuids) == [f"uuid-{number}" for number in range(50)]
        assert lines(logs.paths.gaps) == ["kind=gap"]
        assert (writer.done_us, writer.pending_bytes) == (49, 0)
        assert logs.said == []

    async def test_a_line_is_seen_without_more_to_come(self, logs: Logs) -> None:
        async with logs.writer as writer:
            logs.event(1)
            await until(lambda: writer.done_us == 1)
            assert numbers(logs.delay()) == [1]
            logs.event(2)
            await until(lambda: writer.done_us == 2)
            assert numbers(logs.delay()) == [1, 2]

    async def test_what_came_while_a_batch_is_written_is_the_next_batch(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pace, "PAUSE_A_CAMERA_S", 0)
        logs.stream().parent.mkdir(parents=True)
        async with logs.writer as writer:
            logs.event(0)
            gate = hold_open(monkeypatch)
            await until(lambda: gate.calls)
            for number in range(1, 100):
                logs.event(number)
            gate.opened.set()
            await until(lambda: writer.done_us == 99)
            assert gate.calls == 6
        assert numbers(logs.delay()) == list(range(100))

    async def test_one_identity_is_one_line_whatever_is_in_it(self, logs: Logs) -> None:
        nasty = ["a\nb", "\x1b[2J", "a b", "", "\ud800", "é", 'q"=\\', "\u2028", "plain-1"]
        async with logs.writer as writer:
            for identity in nasty:
                writer.log_processed_event_uuid(identity)
        assert [parse(f"uuid={line}")["uuid"] for line in lines(logs.paths.uuids)] == nasty
        assert lines(logs.paths.uuids)[-1] == "plain-1"

    async def test_the_identity_log_becomes_the_old_one_at_its_limit(self, tmp_path: Path) -> None:
        logs = Logs(tmp_path, uuid_limit=10)
        logs.writer.uuid_lines = 4
        logs.paths.uuids.write_text("old\n" * 4)
        async with logs.writer as writer:
            for number in range(8):
                logs.event(number)
            await logs.written()
            assert writer.uuid_lines == 2
        assert len(lines(logs.paths.uuids_old)) == 10
        assert lines(logs.paths.uuids) == ["uuid-6", "uuid-7"]

    async def test_marks_without_lines_are_done_at_once(self, logs: Logs) -> None:
        logs.writer.mark(1)
        async with logs.writer as writer:
            logs.event(5)
            await logs.written()
            assert writer.done_us == 5
            writer.mark(6)
            await until(lambda: writer.done_us == 6)

    async def test_a_mark_waits_for_every_line_before_it(self, logs: Logs) -> None:
        logs.stream(A).mkdir(parents=True)
        async with logs.writer as writer:
            logs.event(1, A)
            logs.event(2, B)
            await until(lambda: numbers(logs.delay(B)) == [2])
            writer.mark(3)
            assert writer.done_us is None
            logs.stream(A).rmdir()
            await until(lambda: writer.done_us == 3)

    async def test_idle_is_when_nothing_waits(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        async with logs.writer as writer:
            await writer.idle()
            gate = hold_open(monkeypatch)
            logs.event(1)
            idle = asyncio.ensure_future(writer.idle())
            await until(lambda: gate.calls)
            logs.event(2)
            assert not idle.done()
            gate.opened.set()
            await idle
            assert numbers(logs.delay()) == [1, 2]
            on_disk = sum(path.stat().st_size for path in (logs.stream(), logs.delay(), logs.paths.uuids))
            assert writer.written_bytes == on_disk

    async def test_it_lives_unless_a_call_hangs(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drain, "HANGS_S", 0.05)
        async with logs.writer as writer:
            assert writer.lives
            gate = hold_open(monkeypatch)
            logs.event(1)
            await until(lambda: not writer.lives)
            gate.opened.set()
            await until(lambda: writer.lives)

    async def test_batches_are_timed(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        async with logs.writer as writer:
            assert (writer.write_p99_us(), writer.take_write_p99_us()) == (0, 0)
            install(monkeypatch, open=slow(os.open, 0.02))
            logs.event(1)
            await logs.written()
            assert writer.take_write_p99_us() >= 20_000
            assert writer.take_write_p99_us() == 0, "no batch since"
            assert writer.write_p99_us() >= 20_000, "who asks for the past minute takes nothing from the others"
            assert writer.write_p99_us() >= 20_000

    async def test_a_busy_loop_waits_for_the_thread_but_not_for_a_disk_that_hangs(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pace, "LEND_CHARS", 64)
        monkeypatch.setattr(pace, "LEND_S", 0.05)
        async with logs.writer:
            gate = hold_open(monkeypatch)
            logs.event(0)
            await until(lambda: gate.calls)
            started = time.monotonic()
            for number in range(1, 2000):
                logs.event(number)
            lent_s = time.monotonic() - started
            assert 4 * 0.05 < lent_s < 400 * 0.05
            gate.opened.set()
        assert numbers(logs.delay()) == list(range(2000))


@pytest.mark.parametrize(
    ("cameras", "characters", "seconds"),
    [
        pytest.param(1, 1_000, 0.0004, id="a few lines are followed at once"),
        pytest.param(20, 100_000, 0.008, id="opening files is what costs"),
        pytest.param(20, 300_000, 0.04, id="thousands of events a second"),
        pytest.param(10_000, 100_000, 0.06, id="a kill takes no more than 0.1 s"),
        pytest.param(500, 2_000_000, 0.15, id="saturation"),
        pytest.param(20, 2_000_000, 0.04, id="saturation of few files"),
    ],
)
def test_the_more_there_is_to_write_the_longer_the_pause(cameras: int, characters: int, seconds: float) -> None:
    assert pace.pause_s(cameras, characters) == pytest.approx(seconds)


class TestSnapshots:
    async def test_the_latest_counts(self, logs: Logs) -> None:
        async with logs.writer as writer:
            for number in range(20):
                writer.replace(logs.paths.summary, f"{number}\n")
            writer.replace(logs.paths.state, "{}")
        assert logs.paths.summary.read_text() == "19\n"
        assert logs.paths.state.read_text() == "{}"

    async def test_one_that_a_reader_holds_is_tried_again_and_is_no_error(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(drain, "BUSY_RETRY_S", 0.05)
        faulty = install(monkeypatch, replace=denied)
        async with logs.writer as writer:
            writer.replace(logs.paths.summary, "1\n")
            await until(lambda: faulty.calls > 1)
            logs.event(1)
            await until(lambda: writer.done_us == 1)
            writer.replace(logs.paths.summary, "2\n")
            faulty.faults.clear()
            await until(lambda: lines(logs.paths.summary) == ["2"])
        assert logs.said == []

    async def test_one_that_is_held_is_given_up_at_a_barrier(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        """It would overwrite what comes after, such as the new day's."""
        faulty = install(monkeypatch, replace=denied)
        async with logs.writer as writer:
            writer.replace(logs.paths.summary, "yesterday\n")
            await logs.written()
            faulty.faults.clear()
            logs.event(1)
        assert not logs.paths.summary.exists()

    async def test_one_that_is_held_to_the_end_is_given_up(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drain, "BUSY_RETRY_S", 0.05)
        faulty = install(monkeypatch, replace=denied)
        async with logs.writer as writer:
            writer.replace(logs.paths.summary, "1\n")
        assert faulty.calls >= 1
        assert logs.said == []


class TestBarriers:
    async def test_everything_before_is_on_disk_and_nothing_after(self, logs: Logs) -> None:
        async with logs.writer as writer:
            logs.event(1)
            seen = writer.barrier(lambda: (numbers(logs.delay()), threading.current_thread().name))
            logs.event(2)
            again = writer.barrier(lambda: numbers(logs.delay()))
            logs.event(3)
            assert await seen == ([1], "writer")
            assert await again == [1, 2]
        assert numbers(logs.delay()) == [1, 2, 3]

    async def test_its_error_is_the_callers(self, logs: Logs) -> None:
        async with logs.writer as writer:
            with pytest.raises(ZeroDivisionError):
                await writer.barrier(lambda: 1 // 0)
            logs.event(1)
        assert numbers(logs.delay()) == [1]

    async def test_with_insistence_it_is_tried_until_the_disk_allows(self, logs: Logs) -> None:
        tries = 0

        def refused_once() -> int:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise PermissionError(errno.EACCES, "Permission denied", "days")
            return tries

        async with logs.writer as writer:
            logs.event(1)
            done = writer.barrier(refused_once, insist=True)
            logs.event(2)
            await until(lambda: logs.said)
            assert numbers(logs.delay()) == [1]
            assert await done == 2
        assert numbers(logs.delay()) == [1, 2]
        assert logs.severities() == ["warning", "info"]
        assert "days" in logs.said[0][1]

    async def test_it_is_called_even_if_nobody_waits(self, logs: Logs) -> None:
        called: list[int] = []
        async with logs.writer as writer:
            writer.barrier(lambda: called.append(1)).cancel()
        assert called == [1]

    async def test_a_camera_is_renamed_between_two_lines(self, logs: Logs) -> None:
        def rename() -> None:
            os.rename(logs.stream(), logs.paths.stream(f"New_{A}"))
            os.rename(logs.delay(), logs.paths.delay(f"New_{A}"))

        async with logs.writer as writer:
            logs.event(1)
            writer.barrier(rename)
            writer.register(A, f"New_{A}")
            logs.event(2)
        assert numbers(logs.paths.stream(f"New_{A}")) == [1, 2]
        assert lines(logs.paths.delay(f"New_{A}")) == ["delay 1 n=1", "delay 2 n=2"]
        assert not logs.delay().exists()
        assert logs.rebased == []

    async def test_a_day_moves_between_two_lines(self, logs: Logs, tmp_path: Path) -> None:
        old = tmp_path / "old.log"
        async with logs.writer as writer:
            logs.event(1)
            writer.barrier(lambda: os.rename(logs.delay(), old))
            writer.register(A, f"Cam_{A}", 0)
            logs.count[A] = 0
            logs.event(2)
        assert lines(old) == ["delay 1 n=1"]
        assert lines(logs.delay()) == ["delay 2 n=1"]
        assert logs.rebased == []


class TestOthers:
    async def test_renaming_loses_nothing_and_statistics_start_anew(self, logs: Logs, tmp_path: Path) -> None:
        async with logs.writer:
            for number in range(300):
                logs.event(number)
                if number % 100 == 50:
                    await logs.written()
                    os.rename(logs.delay(), tmp_path / f"delay{number}")
                    os.rename(logs.stream(), tmp_path / f"stream{number}")
        parts = [lines(tmp_path / f"delay{number}") for number in (50, 150, 250)] + [lines(logs.delay())]
        assert [int(line.split()[1]) for part in parts for line in part] == list(range(300))
        assert [[int(line.split("=")[1]) for line in part] for part in parts] == [
            list(range(1, 1 + len(part))) for part in parts
        ]
        streams = [numbers(tmp_path / f"stream{number}") for number in (50, 150, 250)] + [numbers(logs.stream())]
        assert [number for part in streams for number in part] == list(range(300))

    async def test_lines_handed_over_meanwhile_are_rendered_again_too(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with logs.writer as writer:
            for number in range(12):
                logs.event(number)
            await logs.written()
            logs.delay().unlink()
            gate = hold_open(monkeypatch)
            logs.event(12)
            await until(lambda: gate.calls)
            logs.event(13)
            writer.barrier(lambda: None)
            logs.event(14)
            gate.opened.set()
            await logs.written()
        assert logs.rebased == [(A, [12, 13, 14])]
        assert lines(logs.delay()) == ["delay 12 n=1", "delay 13 n=2", "delay 14 n=3"]
        assert writer.pending_bytes == 0

    async def test_a_log_that_can_not_be_read_again_is_tried_later(self, logs: Logs) -> None:
        rebase, tries = logs.rebase, 0

        def unreadable_once(camera: str, tokens: list[Any]) -> list[str]:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise PermissionError(errno.EACCES, "Permission denied", str(logs.delay()))
            return rebase(camera, tokens)

        logs.on_rebase = unreadable_once
        async with logs.writer:
            logs.event(1)
            await logs.written()
            os.truncate(logs.delay(), 0)
            logs.event(2)
            await logs.written()
        assert lines(logs.delay()) == ["delay 2 n=1"]
        assert logs.severities() == ["warning", "info"]

    async def test_a_log_that_changes_all_the_time_does_not_stop_the_others(self, logs: Logs) -> None:
        rebase = logs.rebase

        def changed_again(camera: str, tokens: list[Any]) -> list[str]:
            texts = rebase(camera, tokens)
            if len(logs.rebased) < 4:
                with logs.delay().open("a") as file:
                    file.write(f"delay {len(logs.rebased) - 100} of others\n")
            return texts

        logs.on_rebase = changed_again
        started = time.monotonic()
        async with logs.writer:
            logs.event(1)
            await logs.written()
            os.truncate(logs.delay(), 0)
            logs.event(2)
            logs.event(3, B)
            await logs.written()
        assert len(logs.rebased) == 4
        assert time.monotonic() - started > 2 * trouble.FIRST_RETRY_S
        assert lines(logs.delay())[3:] == ["delay 2 n=4"]
        assert numbers(logs.delay(B)) == [3]

    async def test_the_whole_directory_may_go(self, logs: Logs, tmp_path: Path) -> None:
        async with logs.writer:
            logs.event(1)
            await logs.written()
            os.rename(tmp_path / "logs", tmp_path / "gone")
            logs.event(2)
        assert lines(logs.delay()) == ["delay 2 n=1"]
        assert numbers(logs.stream()) == [2]


@pytest.mark.parametrize("seed", range(6))
async def test_faults_and_renames_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The thread is somewhere in a batch whenever a file is renamed under it; the disk fails now and then."""
    monkeypatch.setattr(trouble, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(trouble, "LAST_RETRY_S", 0.002)
    monkeypatch.setattr(drain, "FIRST_RETRY_S", 0.001)
    chance = random.Random(seed)
    logs = Logs(tmp_path / "logs")

    def flaky_write(fd: int, data: bytes) -> int:
        if chance.random() < 0.05:
            raise no_space()
        return os.write(fd, data[: chance.choice((len(data), len(data), 1 + len(data) // 3))])

    def flaky_open(*args: Any) -> int:
        if chance.random() < 0.05:
            raise no_space()
        return os.open(*args)

    faulty = install(monkeypatch, write=flaky_write, open=flaky_open)
    moved: dict[Path, list[Path]] = {logs.stream(A): [], logs.delay(A): [], logs.stream(B): [], logs.delay(B): []}
    handed_over: dict[str, list[int]] = {A: [], B: []}
    async with logs.writer:
        for number in range(1500):
            camera = chance.choice((A, B))
            logs.event(number, camera)
            handed_over[camera].append(number)
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() / 300)
            if chance.random() < 0.02:
                path = chance.choice(list(moved))
                with suppress(FileNotFoundError):
                    os.rename(path, tmp_path / f"moved{number}")
                    moved[path].append(tmp_path / f"moved{number}")
            if chance.random() < 0.01:
                await logs.written()
        faulty.faults.clear()
    for camera in (A, B):
        for path in (logs.stream(camera), logs.delay(camera)):
            parts = [*moved[path], path]
            assert [number for part in parts for number in numbers(part)] == handed_over[camera]
        for part in [*moved[logs.delay(camera)], logs.delay(camera)]:
            assert [line.split("=")[1] for line in lines(part)] == [str(n + 1) for n in range(len(lines(part)))]
    assert sorted(lines(logs.paths.uuids)) == sorted(f"uuid-{number}" for number in range(1500))
    assert logs.rebased
    assert "warning" in logs.severities()


def test_a_call_that_has_not_yet_begun_is_waited_for() -> None:
    thread, done = DaemonThread("test"), list[int]()
    for number in range(200):
        thread.submit(done.append, number)
        thread.wait_idle(10)
        assert len(done) == number + 1
    thread.shutdown()


class TestFailures:
    async def test_one_warning_one_recovery_and_nothing_is_missing(self, logs: Logs) -> None:
        logs.stream(A).mkdir(parents=True)
        async with logs.writer as writer:
            for number in range(10):
                logs.event(number, (A, B)[number % 2])
                await asyncio.sleep(0.01)
            await until(lambda: numbers(logs.delay(B)) == [1, 3, 5, 7, 9])  # others go on
            assert not logs.delay(A).exists()
            await until(lambda: len(logs.said) > 2)
            logs.stream(A).rmdir()
            await logs.written()
            assert not writer.failed.done()
        assert numbers(logs.stream(A)) == numbers(logs.delay(A)) == [0, 2, 4, 6, 8]
        assert sorted(lines(logs.paths.uuids)) == [f"uuid-{number}" for number in range(10)]
        assert logs.severities() == ["warning", "info"]
        assert str(logs.stream(A)) in logs.said[0][1]
        assert "Is a directory" in logs.said[0][1]
        assert "lines waited, none was lost" in logs.said[-1][1]

    async def test_a_file_that_fails_is_not_tried_with_every_line_of_others(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = 0

        def open_(path: str, *args: Any) -> int:
            nonlocal tried
            if path == str(logs.stream(A)):
                tried += 1
                raise no_space()
            return os.open(path, *args)

        faulty = install(monkeypatch, open=open_)
        async with logs.writer:
            logs.event(0, A)
            for number in range(1, 200):
                logs.event(number, B)
                await asyncio.sleep(0.001)
            assert 1 <= tried <= 4  # at 0, 0.1 and 0.3 s, in a bit more than 0.2 s
            assert faulty.calls > 10 * tried
            faulty.faults.clear()
        assert numbers(logs.stream(A)) == [0]

    async def test_a_second_series_is_told_again(self, logs: Logs) -> None:
        async with logs.writer:
            for number in range(2):
                logs.paths.gaps.mkdir(parents=True)
                logs.writer.append(logs.paths.gaps, "x\n")
                await until(lambda n=number: len(logs.severities()) == 2 * n + 1)
                logs.paths.gaps.rmdir()
                await logs.written()
                logs.paths.gaps.unlink()
        assert logs.severities() == ["warning", "info"] * 2

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount a disk")
    async def test_a_disk_that_is_really_full(self, small_disk: Path) -> None:
        logs = Logs(small_disk / "logs")
        ballast = small_disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(100))
        ballast.write_bytes(ballast.read_bytes()[:-20_000])
        async with logs.writer as writer:
            for number in range(2000):
                logs.event(number, (A, B)[number % 2])
                if number % 100 == 0:
                    await asyncio.sleep(0.01)
            await until(lambda: logs.said)
            waiting = writer.pending_bytes
            assert waiting > 10_000
            assert all(path.read_bytes()[-1:] in (b"", b"\n") for path in logs.paths.root.rglob("*.log"))
            ballast.unlink()
            await logs.written()
        assert "No space left" in logs.said[0][1]
        assert "EEN_KEEP_DAYS" in logs.said[0][1]
        assert logs.severities() == ["warning", "info"]
        assert numbers(logs.stream(A)) == numbers(logs.delay(A)) == list(range(0, 2000, 2))
        assert sorted(lines(logs.paths.uuids)) == sorted(f"uuid-{number}" for number in range(2000))

    async def test_at_the_bound_every_lost_line_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logs = Logs(tmp_path, buffer_bytes=10_000)
        faulty = install(monkeypatch, open=full)
        writer = await logs.writer.__aenter__()
        for number in range(1000):
            logs.event(number)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        with pytest.raises(DiskError, match="No space left"):
            await writer.failed
        assert writer.pending_bytes <= 10_000
        faulty.faults.clear()
        with pytest.raises(DiskError) as caught:
            await writer.close()
        written = sum(len(lines(path)) for path in (logs.stream(), logs.delay(), logs.paths.uuids))
        assert caught.value.lost_lines == 3000 - written
        assert written > 300
        last = numbers(logs.stream())[-1]
        assert numbers(logs.stream()) == list(range(last + 1))  # complete up to a point
        assert writer.done_us == last - 1 or writer.done_us == last
        assert caught.value.hint

    async def test_a_defect_ends_it(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*args: object) -> int:
            raise ZeroDivisionError

        install(monkeypatch, open=broken)
        writer = await logs.writer.__aenter__()
        logs.event(1)
        with pytest.raises(ZeroDivisionError):
            await writer.failed
        with pytest.raises(DiskError) as caught:
            await writer.close()
        assert caught.value.lost_lines == 3

    def test_once_a_line_was_refused_all_are(self) -> None:
        pending = Pending("uuids.log", 10)
        assert pending.admit(8) is not None
        assert pending.admit(5) is None
        assert pending.admit(1) is None
        assert (pending.size, pending.refused) == (8, 2)

    def test_retries_come_ever_later(self) -> None:
        series = trouble.Trouble(lambda severity, text: None)
        assert [series.failed({"x": no_space()}, 100.0) for _ in range(8)] == [
            100 + delay for delay in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)
        ]
        series.over(1, 0, 200.0)
        assert series.failed({"x": no_space()}, 200.0) == 200.1


class TestEnd:
    async def test_a_slow_disk_loses_nothing(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        faulty = install(monkeypatch, write=slow(os.write, 0.05))
        async with logs.writer:
            for number in range(100):
                logs.event(number, (A, B)[number % 2])
                await asyncio.sleep(0.001)
        assert faulty.calls >= 5
        assert numbers(logs.stream(A)) == numbers(logs.delay(A)) == list(range(0, 100, 2))
        assert len(lines(logs.paths.uuids)) == 100

    async def test_cancelling_who_uses_it_loses_nothing(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        install(monkeypatch, write=slow(os.write, 0.02))
        handed_over = 0
        closing = asyncio.Event()

        async def use() -> None:
            nonlocal handed_over
            async with logs.writer:
                try:
                    while True:
                        logs.event(handed_over)
                        handed_over += 1
                        await asyncio.sleep(0.001)
                finally:
                    closing.set()

        user = asyncio.create_task(use())
        await until(lambda: handed_over > 20)
        user.cancel()
        await closing.wait()
        await asyncio.sleep(0.01)
        user.cancel()  # again, while it is being closed
        with pytest.raises(asyncio.CancelledError):
            await user
        assert numbers(logs.stream()) == numbers(logs.delay()) == list(range(handed_over))

    async def test_cancelling_all_tasks_loses_nothing(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        """As `asyncio.run` does at the end when a second Ctrl-C broke through."""
        install(monkeypatch, write=slow(os.write, 0.02))
        before = asyncio.all_tasks()
        await logs.writer.__aenter__()
        for number in range(20):
            logs.event(number)
            await asyncio.sleep(0.001)
        own = asyncio.all_tasks() - before
        for task in own:
            task.cancel()
        await asyncio.wait(own)
        assert numbers(logs.stream()) == numbers(logs.delay()) == list(range(20))
        await logs.writer.close()

    async def test_cancelling_it_while_idle_ends_it(self, logs: Logs) -> None:
        before = asyncio.all_tasks()
        await logs.writer.__aenter__()
        await logs.written()
        (task,) = asyncio.all_tasks() - before
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.done()
        await logs.writer.close()

    async def test_a_disk_that_hangs_is_left_and_the_loss_counted(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = hold_open(monkeypatch)
        writer = await logs.writer.__aenter__()
        logs.event(1)
        await until(lambda: gate.calls)
        logs.event(2)
        waiter = writer.barrier(lambda: None)
        with pytest.raises(DiskError) as caught:
            await writer.close(0.05)
        assert caught.value.lost_lines == 6
        with pytest.raises(DiskError):
            await waiter
        gate.opened.set()

    async def test_a_disk_that_recovers_in_time_loses_nothing(
        self, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty = install(monkeypatch, open=full)
        writer = await logs.writer.__aenter__()
        logs.event(1)
        await until(lambda: logs.said)
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0.05)
        faulty.faults.clear()
        await closing
        assert numbers(logs.delay()) == [1]

    async def test_at_the_end_it_tries_more_often(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trouble, "FIRST_RETRY_S", 60)
        monkeypatch.setattr(trouble, "LAST_RETRY_S", 60)
        fail = iter([True] * 3)

        def open_(*args: Any) -> int:
            return full() if next(fail, False) else os.open(*args)

        install(monkeypatch, open=open_)
        async with logs.writer:
            logs.event(1)
            await until(lambda: logs.said)
        assert numbers(logs.delay()) == [1]

    async def test_closing_twice_and_lines_afterwards(self, logs: Logs) -> None:
        async with logs.writer as writer:
            logs.event(1)
        await writer.close()
        logs.event(2)
        assert numbers(logs.delay()) == [1]
        assert writer.done_us == 1

    async def test_it_leaves_no_thread_and_no_task(self, logs: Logs) -> None:
        threads, tasks = threading.active_count(), asyncio.all_tasks()
        async with logs.writer:
            logs.event(1)
        assert (threading.active_count(), asyncio.all_tasks()) == (threads, tasks)

    def test_a_hanging_write_does_not_keep_the_process(self, tmp_path: Path) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", HANGING, str(tmp_path)],
            cwd=Path(drain.__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (74, "3 lost\n", "")


HANGING = """
import asyncio, os, sys, time
from pathlib import Path
from eelogger.writing import disk
from eelogger.errors import DiskError
from eelogger.paths import LogPaths
from eelogger.writer import Writer
async def main():
    writer = Writer(LogPaths(Path(sys.argv[1])), buffer_bytes=1000, rebase=None, notify=print)
    await writer.__aenter__()
    writer.register("100e1e23", "Cam_100e1e23", 0)
    class Hanging:
        def __getattr__(self, name):
            return getattr(os, name)
        def write(self, *args):
            time.sleep(1000)
    disk.os = Hanging()
    writer.stream_logs["100e1e23"].write("x\\n")
    writer.log_delay("100e1e23", 1, "x\\n")
    writer.log_processed_event_uuid("x", "100e1e23")
    await asyncio.sleep(0.05)
    try:
        await writer.close(0.1)
    except DiskError as error:
        print(error.lost_lines, "lost")
        return error.exit_code
sys.exit(asyncio.run(main()))
"""


class Gate:
    """Opening files waits until `opened` is set."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.calls = 0

    def open(self, *args: Any) -> int:
        self.calls += 1
        self.opened.wait(10)
        return os.open(*args)


def hold_open(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    install(monkeypatch, open=gate.open)
    return gate


def slow(call: Any, seconds: float) -> Any:
    def slowly(*args: Any) -> Any:
        time.sleep(seconds)
        return call(*args)

    return slowly


def full(*args: object) -> int:
    raise no_space()


def denied(*args: object) -> None:
    raise PermissionError(errno.EACCES, "a reader holds it")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("can not mount a disk here")
    yield place
    subprocess.run(["umount", str(place)], check=True)
