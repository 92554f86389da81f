"""`watch`: each new line once, whatever happens to the files; short lines in columns; a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger import lines
from eelogger.commands import following, growing
from eelogger.commands.following import Follower
from eelogger.commands.watch import Choice, heading, row, watch
from eelogger.errors import NothingToShow
from eelogger.logdir.days import move_day
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Verdict
from eelogger.paths import LogPaths, rename_camera
from eelogger.text.tables import width
from eelogger.text.times import parse_time

ROOT = Path(__file__).resolve().parent.parent
START_US = parse_time("2026-11-22T09:07:20.123456Z")
FRONT = Camera("100e1e23", "Front Door", "100bb001")
YARD = Camera("100e1e24", "Yard", "100bb001")


def verdict(number: int, camera: Camera = FRONT, kind: str = MEASURED, delay_us: int | None = 1_234_456) -> Verdict:
    """The `number`-th event, a second after the one before."""
    at_us = START_US + number * 1_000_000
    event_us = None if delay_us is None else at_us - delay_us
    return Verdict(kind, camera.id, "ANNT", 103, "Intrusion", f"uuid-{number}", at_us, event_us, delay_us)


def line(number: int, camera: Camera = FRONT) -> bytes:
    return lines.delay_line(verdict(number, camera), lines.label(camera)).encode()


def append(path: Path, *texts: bytes) -> None:
    with open(path, "ab") as file:
        file.write(b"".join(texts))


def numbers(logged: list[following.Logged]) -> list[int]:
    return [int(event.identity.removeprefix("uuid-")) for event, _ in logged]


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path)


@pytest.fixture
def front(paths: LogPaths) -> Path:
    return paths.delay(paths.stem(FRONT.id, FRONT.name))


# Following


class Files:
    """Two cameras' delay logs, what was appended to them, and what nobody can find any more."""

    def __init__(self, root: Path) -> None:
        self.paths = LogPaths(root)
        self.cameras = [FRONT, YARD]
        self.number = 0
        self.day = 1
        self.unread: dict[str, list[int]] = {FRONT.id: [], YARD.id: []}
        self.findable: list[int] = []
        self.torn: dict[str, bytes] = {}

    def path(self, which: int) -> Path:
        camera = self.cameras[which]
        return self.paths.delay(self.paths.stem(camera.id, camera.name))

    def append(self, which: int, torn: bool) -> None:
        camera = self.cameras[which]
        self.number += 1
        text = self.torn.pop(camera.id, b"") + line(self.number, camera)
        keep = 40 if torn else 0
        append(self.path(which), text[: len(text) - keep])
        if torn:
            append(self.path(which), text[len(text) - keep :])
        self.unread[camera.id].append(self.number)

    def rename(self, which: int) -> None:
        camera = self.cameras[which]
        new = Camera(camera.id, f"Name {self.number} {len(camera.name)}", camera.bridge)
        rename_camera(self.paths, camera.id, self.paths.stem(camera.id, new.name))
        self.cameras[which] = new

    def midnight(self) -> None:
        if move_day(self.paths, f"2026-11-{self.day:02d}"):
            self.day += 1
        for unread in self.unread.values():
            self.findable += unread
            unread.clear()

    def truncate(self, which: int) -> None:
        if self.path(which).exists():
            os.truncate(self.path(which), 0)
        self.unread[self.cameras[which].id].clear()

    def rewrite(self, which: int, kept: int) -> None:
        """What an editor does, or `tail -n 3 x > y; mv y x`: another file with the last lines of this one."""
        path = self.path(which)
        if path.exists():
            last = path.read_bytes().splitlines(keepends=True)[-kept:] if kept else []
            path.with_suffix(".new").write_bytes(b"".join(last))
            os.replace(path.with_suffix(".new"), path)
            unread = self.unread[self.cameras[which].id]
            del unread[: max(0, len(unread) - kept)]

    def polled(self) -> list[int]:
        """What a poll has to bring now."""
        expected = sorted([*self.findable, *(number for unread in self.unread.values() for number in unread)])
        self.findable.clear()
        for unread in self.unread.values():
            unread.clear()
        return expected


which = st.integers(0, 1)
steps = st.one_of(
    st.tuples(st.just("append"), which, st.booleans()),
    st.tuples(st.just("append"), which, st.booleans()),
    st.tuples(st.just("append"), which, st.booleans()),
    st.tuples(st.just("rename"), which),
    st.tuples(st.just("midnight")),
    st.tuples(st.just("truncate"), which),
    st.tuples(st.just("rewrite"), which, st.integers(0, 4)),
    st.tuples(st.just("poll")),
)


@given(st.integers(0, 3), st.lists(steps, max_size=25))
def test_each_line_is_shown_once_whatever_happens_to_the_files(before: int, happens: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        for number in range(before):
            files.append(number % 2, torn=False)
        follower = Follower(files.paths)
        follower.start()
        files.polled()
        midnights = 0
        for name, *arguments in happens:
            midnights += name == "midnight"
            if name == "poll" or midnights > following._DAYS_BACK:
                assert numbers(follower.poll()) == files.polled()
                midnights = name == "midnight"
            if name != "poll":
                getattr(files, str(name))(*arguments)
        assert numbers(follower.poll()) == files.polled()
        assert follower.poll() == []
        assert follower.unreadable == 0


def test_half_a_line_waits_for_its_other_half(paths: LogPaths, front: Path) -> None:
    follower = Follower(paths)
    follower.start()
    append(front, line(1), line(2)[:50])
    assert numbers(follower.poll()) == [1]
    assert follower.poll() == []
    append(front, line(2)[50:])
    assert numbers(follower.poll()) == [2]


def test_a_torn_end_found_at_the_start_is_not_shown_as_a_line(paths: LogPaths, front: Path) -> None:
    append(front, line(1), line(2)[:50])
    follower = Follower(paths)
    assert numbers(follower.start(5)) == [1]
    os.truncate(front, len(line(1)))  # as a starting logger does
    append(front, line(3))
    assert numbers(follower.poll()) == [3]
    assert follower.unreadable == 0


def test_files_that_become_one_bring_nothing_twice(paths: LogPaths, front: Path) -> None:
    old = paths.delay(paths.stem(FRONT.id, "Old Name"))
    append(old, line(1), line(3))
    append(front, line(2), line(4))
    follower = Follower(paths)
    follower.start()
    append(front, line(5))
    append(old, line(6))
    assert numbers(follower.poll()) == [5, 6]
    append(front, line(7))
    append(old, line(8))
    rename_camera(paths, FRONT.id, front.name.removesuffix(".log"))
    assert front.read_bytes() == b"".join(map(line, range(1, 9)))
    assert numbers(follower.poll()) == [7, 8]
    append(front, line(9))
    assert numbers(follower.poll()) == [9]


def test_a_clock_that_is_set_back_hides_nothing(paths: LogPaths, front: Path) -> None:
    append(front, line(100))
    follower = Follower(paths)
    follower.start()
    append(front, line(5), line(6))
    assert numbers(follower.poll()) == [5, 6]
    move_day(paths, "2026-11-22")
    append(front, line(200))
    assert numbers(follower.poll()) == [200]


def test_a_long_growth_comes_in_parts(paths: LogPaths, front: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "AT_ONCE", 1000)
    follower = Follower(paths)
    follower.start()
    append(front, *map(line, range(20)))
    found: list[int] = []
    while new := numbers(follower.poll()):
        assert len(new) < 5
        found += new
    assert found == list(range(20))


def test_what_is_no_line_is_counted(paths: LogPaths, front: Path) -> None:
    append(front, b"garbage\n")
    follower = Follower(paths)
    assert follower.start(3) == []
    assert follower.unreadable == 0
    append(front, b"time=never\n", line(1), b"\xff\0\n")
    append(paths.root / "notes.log", line(2))
    assert numbers(follower.poll()) == [1]
    assert follower.unreadable == 2


@pytest.mark.parametrize("last", [0, 1, 2, 3, 10])
def test_it_begins_with_the_last_lines_of_all_cameras(paths: LogPaths, front: Path, last: int) -> None:
    yard = paths.delay(paths.stem(YARD.id, YARD.name))
    append(front, line(1), line(4))
    append(yard, line(2, YARD), line(3, YARD))
    follower = Follower(paths)
    assert numbers(follower.start(last)) == [1, 2, 3, 4][max(0, 4 - last) :]
    assert follower.poll() == []


def test_the_last_wanted_lines_are_searched_as_far_as_need_be(paths: LogPaths, front: Path) -> None:
    append(front, line(0), *(line(number) for number in range(1, 400)))
    follower = Follower(paths, lambda event, camera: event.identity == "uuid-0")
    assert numbers(follower.start(1)) == [0]
    assert follower.poll() == []


def test_a_pipe_is_not_waited_for(paths: LogPaths, front: Path) -> None:
    os.mkfifo(front)
    follower = Follower(paths)
    follower.start()
    assert follower.problems == {str(front): "not an ordinary file"}


def test_a_file_that_cannot_be_opened_is_told(paths: LogPaths, front: Path) -> None:
    front.mkdir()  # opening a folder fails for root, too
    follower = Follower(paths)
    follower.start()
    assert follower.problems == {str(front): "Is a directory"}
    front.rmdir()
    append(front, line(1))
    assert numbers(follower.poll()) == [1]
    assert not follower.problems


def test_no_file_stays_open(paths: LogPaths, front: Path) -> None:
    append(front, line(1))
    follower = Follower(paths)
    follower.start()
    append(front, line(2))
    follower.poll()
    targets = []
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        try:
            targets.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    assert str(front) not in targets


# What is shown


def shown(event: Verdict, columns: int = 80, name: str = "Front Door") -> str:
    return row((event, Camera(FRONT.id, name, FRONT.bridge)), columns)


def test_a_line_as_ping_has_it() -> None:
    titles = heading(80)
    assert titles == "UTC       camera                       event                     delay\n"
    assert shown(verdict(0)) == "09:07:20  Front Door                   Intrusion                1.23 s\n"
    assert shown(verdict(0), name="") == "09:07:20  100e1e23                     Intrusion                1.23 s\n"


@pytest.mark.parametrize(
    ("event", "end"),
    [
        (verdict(0, kind=EARLY, delay_us=-300_000), " −0.30 s  early"),
        (verdict(0, kind=INITIAL, delay_us=93_784_000_000), " 26 h 03 min  initial"),
        (verdict(0, kind=UNDATED, delay_us=None), " -  undated"),
        (verdict(0, delay_us=0), " 0.00 s"),
        (verdict(0, delay_us=119_996_000), " 120.00 s"),
        (verdict(0, delay_us=120_000_000), " 2 min 00 s"),
    ],
)
def test_what_is_no_measured_delay_is_marked(event: Verdict, end: str) -> None:
    assert shown(event).endswith(f"{end}\n")


@given(st.text(max_size=60), st.text(max_size=30), st.integers(30, 200))
def test_columns_keep_whatever_a_camera_is_called(name: str, event: str, columns: int) -> None:
    text = shown(verdict(0)._replace(event=event), columns, name)
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert width(text[:-1]) <= columns - 1
    assert width(text[:-1]) == width(shown(verdict(0), columns)[:-1])


def test_a_narrow_terminal_keeps_time_camera_and_delay() -> None:
    assert heading(44) == "UTC       camera             delay\n"
    assert shown(verdict(0), 44) == "09:07:20  Front Door        1.23 s\n"


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (Choice(), True),
        (Choice(["100E1E23"]), True),
        (Choice(["yard", "front*"]), True),
        (Choice(["front"]), False),
        (Choice(["*"], 1_234_456), True),
        (Choice([], 1_234_457), False),
    ],
)
def test_a_choice_goes_by_camera_and_delay(choice: Choice, wanted: bool) -> None:
    assert choice.wants(verdict(0), FRONT) is wanted


def test_brackets_in_a_pattern_mean_themselves() -> None:
    gate = Camera("100e1e25", "Gate [2]")
    assert Choice(["gate [2]"]).wants(verdict(0), gate)
    assert not Choice(["gate [1-3]"]).wants(verdict(0), gate)
    assert not Choice([], 0).wants(verdict(0, kind=UNDATED, delay_us=None), gate)


# The command


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_without_a_log_directory_there_is_nothing_to_show(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "logs"
    if kind == "file":
        root.write_text("")
    with pytest.raises(NothingToShow, match=r"logs cannot be read") as caught:
        watch(LogPaths(root), Choice(), 0, write=print, tell=print, columns=lambda: 80)
    assert caught.value.exit_code == 66


@pytest.fixture
def child(paths: LogPaths) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-u", "app.py", "watch", "--log-dir", str(paths.root), "--camera", "front*"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EEN_")}
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def read_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode()


def test_the_command_shows_new_events_until_ctrl_c(
    child: subprocess.Popen[bytes], paths: LogPaths, front: Path
) -> None:
    assert read_line(child).startswith("UTC       camera ")
    append(front, line(1))
    append(paths.delay(paths.stem(YARD.id, YARD.name)), line(2, YARD))
    assert read_line(child) == "-- 2026-11-22 (UTC) --\n"
    assert read_line(child).split() == ["09:07:21", "Front", "Door", "Intrusion", "1.23", "s"]
    append(front, b"garbage\n", line(86_400))
    assert read_line(child) == "-- 2026-11-23 (UTC) --\n"
    assert "Front Door" in read_line(child)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0
    assert out == b""
    assert err.decode().splitlines() == [
        f"no logger has been at work in {paths.root}: waiting for events",
        "1 line could not be read and were skipped",
    ]


def test_a_reader_that_has_seen_enough_ends_it(child: subprocess.Popen[bytes], front: Path) -> None:
    read_line(child)
    assert child.stdout is not None
    child.stdout.close()
    deadline = time.monotonic() + 20
    number = 0
    while child.poll() is None and time.monotonic() < deadline:
        append(front, line(number))
        number += 1
        time.sleep(0.05)
    assert child.returncode == 0
    assert child.stderr is not None
    assert b"Traceback" not in child.stderr.read()
