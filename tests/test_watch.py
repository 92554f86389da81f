"""`watch`: each new line once, whatever happens to the files, and a clean end."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launch import APP, command, environment

from eelogger.commands.watch import Follower
from eelogger.model import MEASURED, Camera, Verdict
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.days import Move, day_moves, move, rename_moves
from eelogger.storage.delaylog import DelayRow
from eelogger.storage.formats import delay_line, label, parse_time
from eelogger.storage.paths import LogPaths

START_US = parse_time("2026-11-22T09:07:20.123456Z")
FRONT = Camera("100e1e23", "Front Door", "100bb001")
YARD = Camera("100e1e24", "Yard", "100bb001")


def line(number: int, camera: Camera = FRONT) -> bytes:
    """The `number`-th event, a second after the one before."""
    at_us = START_US + number * 1_000_000
    delay_us = 1_234_456
    verdict = Verdict(
        MEASURED, camera.id, "ANNT", 103, "Intrusion", f"uuid-{number}", at_us, at_us - delay_us, delay_us
    )
    return delay_line(verdict, label(camera)).encode()


def append(path: Path, *texts: bytes) -> None:
    with open(path, "ab") as file:
        file.write(b"".join(texts))


def numbers(found: Sequence[DelayRow]) -> list[int]:
    return [int(row.identity.removeprefix("uuid-")) for row in found]


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path)


@pytest.fixture
def front(paths: LogPaths) -> Path:
    return paths.delay(paths.stem(FRONT.id, FRONT.name))


class Files:
    """Two cameras' delay logs, what was appended to them, and what nobody can find any more."""

    def __init__(self, root: Path) -> None:
        self.paths = LogPaths(root)
        self.cameras = [FRONT, YARD]
        self.number = 0
        self.day = 1
        self.unread: dict[str, list[int]] = {FRONT.id: [], YARD.id: []}
        self.findable: list[int] = []
        self.list_cameras()

    def list_cameras(self) -> None:
        self.paths.cameras.write_text(cameras_text(self.cameras))

    def stem(self, which: int) -> str:
        return self.paths.stem(self.cameras[which].id, self.cameras[which].name)

    def append(self, which: int) -> None:
        self.number += 1
        append(self.paths.delay(self.stem(which)), line(self.number, self.cameras[which]))
        self.unread[self.cameras[which].id].append(self.number)

    def rename(self, which: int) -> None:
        old, camera = self.stem(which), self.cameras[which]
        self.cameras[which] = Camera(camera.id, f"Name {self.number} {len(camera.name)}", camera.bridge)
        for one in rename_moves(self.paths, {old: self.stem(which)}):
            move(one)
        self.list_cameras()

    def midnight(self) -> None:
        for one in day_moves(self.paths, f"2026-11-{self.day:02d}"):
            move(one)
        self.day += 1
        for unread in self.unread.values():
            self.findable += unread
            unread.clear()

    def truncate(self, which: int) -> None:
        path = self.paths.delay(self.stem(which))
        if path.exists():
            os.truncate(path, 0)
        self.unread[self.cameras[which].id].clear()

    def rewrite(self, which: int, kept: int) -> None:
        """What an editor does, or `tail -n 3 x > y; mv y x`: another file with the last lines of this one."""
        path = self.paths.delay(self.stem(which))
        if path.exists():
            last = path.read_bytes().splitlines(keepends=True)[-kept:] if kept else []
            path.with_suffix(".new").write_bytes(b"".join(last))
            os.replace(path.with_suffix(".new"), path)
            unread = self.unread[self.cameras[which].id]
            del unread[: max(0, len(unread) - kept)]

    def copy(self, which: int) -> None:
        """What a sync tool does: an older content under another name."""
        path = self.paths.delay(self.stem(which))
        if path.exists() and not self.unread[self.cameras[which].id]:
            self.paths.delay(f"Copy {self.number} of {self.stem(which)}").write_bytes(path.read_bytes())

    def pack(self, which: int) -> None:
        """What `gzip` does; packed twice, the later lines follow the earlier ones."""
        path, unread = self.paths.delay(self.stem(which)), self.unread[self.cameras[which].id]
        if path.exists():
            with gzip.open(f"{path}.gz", "ab") as file:
                file.write(path.read_bytes())
            path.unlink()
            self.findable += unread
            unread.clear()

    def polled(self) -> list[int]:
        """What a poll has to bring now."""
        expected = sorted([*self.findable, *(number for unread in self.unread.values() for number in unread)])
        self.findable.clear()
        for unread in self.unread.values():
            unread.clear()
        return expected


which = st.integers(0, 1)
steps = st.one_of(
    *[st.tuples(st.just("append"), which)] * 3,
    *(st.tuples(st.just(name), which) for name in ("rename", "truncate", "copy", "pack")),
    st.tuples(st.just("rewrite"), which, st.integers(0, 4)),
    *(st.tuples(st.just(name)) for name in ("midnight", "poll")),
)


@given(st.integers(0, 3), st.lists(steps, max_size=25))
def test_each_line_is_shown_once_whatever_happens_to_the_files(before: int, happens: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        for number in range(before):
            files.append(number % 2)
        follower = Follower(files.paths)
        follower.poll(0)
        files.polled()
        midnights = 0
        for name, *arguments in happens:
            midnights += name == "midnight"
            # Two midnights within a look are more than a watch can follow, and more than there are.
            if name == "poll" or midnights > 1:
                assert numbers(follower.poll()) == files.polled()
                midnights = name == "midnight"
            if name != "poll":
                getattr(files, str(name))(*arguments)
        assert numbers(follower.poll()) == files.polled()
        assert follower.poll() == []
        assert follower.unreadable == 0


def test_half_a_line_waits_for_its_other_half(paths: LogPaths, front: Path) -> None:
    append(front, line(1), line(2)[:50])
    follower = Follower(paths)
    assert numbers(follower.poll(5)) == [1]
    os.truncate(front, len(line(1)))  # as a starting logger does
    append(front, line(3), line(4)[:50])
    assert numbers(follower.poll()) == [3]
    assert follower.poll() == []
    append(front, line(4)[50:])
    assert numbers(follower.poll()) == [4]
    assert follower.unreadable == 0


def test_what_is_being_packed_is_neither_lost_nor_doubled(paths: LogPaths, front: Path) -> None:
    append(front, line(1))
    follower = Follower(paths)
    follower.poll(0)
    append(front, line(2))
    packed, beside = gzip.compress(front.read_bytes() + line(3)), front.with_name(f"{front.name}.gz")
    for part in (packed[:5], packed[5:40]):
        append(beside, part)
        assert numbers(follower.poll()) == ([2] if len(part) == 5 else [])
    append(beside, packed[40:])
    front.unlink()
    assert numbers(follower.poll()) == [3]
    beside.rename(front.with_name("x.gz"))
    append(front, line(2), line(3), line(4))
    assert numbers(follower.poll()) == [4], "and unpacked again"
    assert not follower.problems


def test_a_clock_that_is_set_back_hides_nothing(paths: LogPaths, front: Path) -> None:
    append(front, line(100))
    follower = Follower(paths)
    follower.poll(0)
    append(front, line(5), line(6))
    assert numbers(follower.poll()) == [5, 6]
    for one in day_moves(paths, "2026-11-22"):
        move(one)
    append(front, line(7))
    assert numbers(follower.poll()) == [7]


def test_days_on_another_file_system_bring_nothing_twice(paths: LogPaths, front: Path) -> None:
    """There a day's file is copied: another inode with the same lines."""
    append(front, line(1))
    follower = Follower(paths)
    follower.poll(0)
    append(front, line(2))
    folder = paths.day("2026-11-22")
    folder.root.mkdir(parents=True)
    (folder.root / front.name).write_bytes(front.read_bytes())
    front.unlink()
    append(front, line(3))
    assert numbers(follower.poll()) == [2, 3]
    front.with_suffix(".new").write_bytes(line(3) + line(4))
    os.replace(front.with_suffix(".new"), front)
    assert numbers(follower.poll()) == [4], "and an editor's new file of today neither"


def test_an_old_day_that_somebody_touches_is_not_shown(paths: LogPaths, front: Path) -> None:
    folder = paths.day("2026-11-20")
    folder.root.mkdir(parents=True)
    append(folder.root / front.name, line(1))
    follower = Follower(paths)
    assert follower.poll(5) == []
    move(Move(os.fspath(folder.root / front.name), os.fspath(folder.root / f"x_{front.name}")))
    append(folder.root / f"x_{YARD.id}.log", line(2, YARD))
    assert follower.poll() == []


def test_what_is_no_line_is_counted(paths: LogPaths, front: Path) -> None:
    append(front, b"garbage\n")
    follower = Follower(paths)
    assert follower.poll(3) == []
    assert follower.unreadable == 0
    append(front, b"time=never\n", line(1), b"\xff\0\n")
    append(paths.root / "notes.log", line(2))
    assert numbers(follower.poll()) == [1]
    assert follower.unreadable == 2


@pytest.mark.parametrize("last", [0, 1, 3, 10])
def test_it_begins_with_the_last_lines_of_all_cameras(paths: LogPaths, front: Path, last: int) -> None:
    append(front, line(1), line(4))
    append(paths.delay(paths.stem(YARD.id, YARD.name)), line(2, YARD), line(3, YARD))
    follower = Follower(paths)
    assert numbers(follower.poll(last)) == [1, 2, 3, 4][max(0, 4 - last) :]
    assert follower.poll() == []


def test_the_last_wanted_lines_are_searched_as_far_as_need_be(paths: LogPaths, front: Path) -> None:
    append(front, *(line(number) for number in range(4000)))
    assert numbers(Follower(paths, lambda row: row.identity == "uuid-0").poll(1)) == [0]


def test_what_is_no_ordinary_file_is_told_and_not_waited_for(paths: LogPaths, front: Path) -> None:
    os.mkfifo(front)
    follower = Follower(paths)
    follower.poll(0)
    assert follower.poll() == []
    assert set(follower.problems) == {str(front)}
    front.unlink()
    append(front, line(1))
    assert numbers(follower.poll()) == [1]
    assert not follower.problems


def test_without_a_log_directory_there_is_nothing_to_show(tmp_path: Path) -> None:
    code, out, err = command("watch", "--log-dir", tmp_path / "logs")
    assert (code, out, "\n  hint: " in err) == (66, "", True)


@pytest.fixture
def watching(paths: LogPaths, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """`watch` as a process, with the arguments of the test."""
    arguments = [sys.executable, APP, "watch", "--log-dir", paths.root, *getattr(request, "param", ())]
    with subprocess.Popen(
        arguments, env=environment(None, None), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        bound = threading.Timer(30, process.kill)  # a line that never comes must not be waited for
        bound.start()
        yield process
        bound.cancel()
        process.kill()


def shown(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@pytest.mark.parametrize("watching", [("--camera", "front d*", "--min-delay", "1.2")], indirect=True)
def test_the_command_shows_new_events_until_ctrl_c(
    watching: subprocess.Popen[str], paths: LogPaths, front: Path
) -> None:
    assert shown(watching.stdout).startswith("UTC       camera ")
    assert shown(watching.stderr).startswith("the logger has not run yet in ")
    append(front, line(1))
    append(paths.delay(paths.stem(YARD.id, YARD.name)), line(2, YARD))
    assert shown(watching.stdout) == "-- 2026-11-22 (UTC) --\n"
    assert shown(watching.stdout).split() == ["09:07:21", "Front", "Door", "Intrusion", "1.23", "s"]
    paths.lock.write_text("")  # a logger is at work, and dies
    append(front, b"garbage\n", line(86_400))
    assert shown(watching.stdout) == "-- 2026-11-23 (UTC) --\n"
    assert "Front Door" in shown(watching.stdout)
    os.utime(paths.lock, (time.time() - 20,) * 2)
    assert shown(watching.stderr).startswith("the logger died in ")
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=20)
    assert (watching.returncode, out, err) == (130, "", "skipped 1 line that could not be read\n")


def test_a_reader_that_has_seen_enough_ends_it(watching: subprocess.Popen[str], front: Path) -> None:
    shown(watching.stdout)
    assert watching.stdout is not None
    watching.stdout.close()
    end_s = time.monotonic() + 20
    for number in range(10_000):
        if watching.poll() is not None or time.monotonic() > end_s:
            break
        append(front, line(number))
        time.sleep(0.05)
    assert watching.returncode == 0
    assert "Traceback" not in watching.communicate()[1]
