"""`watch`: each new line once, whatever happens to the files, and a clean end."""

import gzip
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, strategies as st
from launch import APP, environment
from run_states import verdict

from eelogger.commands.watch import Follower
from eelogger.model import Camera
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.days import day_moves, move, rename_moves
from eelogger.storage.delaylog import DelayRow
from eelogger.storage.formats import delay_line, label, parse_time
from eelogger.storage.paths import LogPaths

START_US = parse_time("2026-11-22T09:07:20.123456Z")
FRONT = Camera("100e1e23", "Front Door", "100bb001")
YARD = Camera("100e1e24", "Yard", "100bb001")


def line(number: int, camera: Camera = FRONT, delay_us: int = 1_234_456) -> bytes:
    """The `number`-th event, a second after the one before."""
    event = verdict(camera.id, delay_us, START_US + number * 1_000_000, identity=f"uuid-{number}")
    return delay_line(event, label(camera)).encode()


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
    """Two cameras' delay logs, and what happens to them."""

    def __init__(self, root: Path) -> None:
        self.paths = LogPaths(root)
        self.cameras = [FRONT, YARD]
        self.count = self.day = 0

    def log(self, which: int) -> Path:
        return self.paths.delay(self.paths.stem(self.cameras[which].id, self.cameras[which].name))

    def append(self, which: int) -> None:
        self.count += 1
        append(self.log(which), line(self.count, self.cameras[which]))

    def rename(self, which: int) -> None:
        old = self.log(which)
        self.cameras[which] = replace(self.cameras[which], name=f"Name {self.count} {old.stem[:9]}")
        for source, target in rename_moves(self.paths, {old.stem: self.log(which).stem}).items():
            move(source, target)
        self.paths.cameras.write_text(cameras_text(self.cameras))

    def midnight(self) -> None:
        self.day += 1
        for source, target in day_moves(self.paths, f"2026-11-{self.day:02d}").items():
            move(source, target)

    def rewrite(self, which: int, kept: int) -> None:
        """What an editor does, or `tail -n 3 x > y; mv y x`: the last lines of this file, or none."""
        path = self.log(which)
        if path.exists():
            last = path.read_bytes().splitlines(keepends=True)[-kept:] if kept else []
            path.with_suffix(".new").write_bytes(b"".join(last))
            os.replace(path.with_suffix(".new"), path)

    def copy(self, which: int, lacks: int) -> None:
        """What a sync tool does: the same content under another name, or what it was a while ago."""
        if self.log(which).exists():
            lines = self.log(which).read_bytes().splitlines(keepends=True)
            copy = f"Copy {self.count} of {self.log(which).name}"
            self.log(which).with_name(copy).write_bytes(b"".join(lines[: len(lines) - lacks]))

    def pack(self, which: int) -> None:
        """What `gzip` does, which writes over no file."""
        path, packed = self.log(which), self.log(which).with_suffix(".log.gz")
        if path.exists() and not packed.exists():
            packed.write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()

    def there(self) -> set[int]:
        """What stands in any of the files."""
        files = [path for pattern in ("*.log", "*.log.gz") for path in self.paths.root.rglob(pattern)]
        texts = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files]
        return {int(number) for text in texts for number in re.findall(rb"uuid=uuid-([0-9]+)", text)}


which = st.integers(0, 1)
steps = st.one_of(
    *[st.tuples(st.just("append"), which)] * 3,
    *(st.tuples(st.just(name), which) for name in ("rename", "pack")),
    *(st.tuples(st.just(name), which, st.integers(0, 4)) for name in ("copy", "rewrite")),
    *(st.tuples(st.just(name)) for name in ("midnight", "poll")),
)


@given(st.integers(0, 3), st.booleans(), st.lists(steps, max_size=25))
def test_each_line_is_shown_once_whatever_happens_to_the_files(
    before: int, has_day: bool, happens: list[tuple[object, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        if has_day:  # to which files go once more, as after a wrong clock
            files.append(0)
            files.midnight()
            files.day, before = 0, 2
        for number in range(before):
            files.append(number % 2)
        follower, shown = Follower(files.paths, [], 0), files.there()
        follower.poll(0)
        midnights = 0
        for name, *arguments in [*happens, ("poll",)]:
            midnights += name == "midnight"
            # Two midnights within a look are more than a watch can follow, and more than there are.
            if name == "poll" or midnights > 1:
                assert numbers(follower.poll()) == sorted(files.there() - shown)
                shown |= files.there()
                midnights = name == "midnight"
            if name != "poll":
                getattr(files, str(name))(*arguments)
        assert follower.poll() == []
        assert follower.unreadable == 0


def test_half_a_line_waits_for_its_other_half(paths: LogPaths, front: Path) -> None:
    append(front, line(1), line(2)[:50])
    follower = Follower(paths, [], 0)
    assert numbers(follower.poll(5)) == [1]
    os.truncate(front, len(line(1)))  # as a starting logger does
    append(front, line(3), line(3).replace(b"uuid-3", b"uuid-9"), line(4)[:50])
    assert numbers(follower.poll()) == [3, 9]
    assert follower.poll() == []
    append(front, line(4)[50:])
    assert numbers(follower.poll()) == [4]
    assert follower.unreadable == 0


def test_a_clock_that_is_set_back_hides_nothing(paths: LogPaths, front: Path) -> None:
    append(front, line(100))
    follower = Follower(paths, [], 0)
    follower.poll(0)
    append(front, line(5), line(6, delay_us=-1))
    assert numbers(follower.poll()) == [5, 6]
    for source, target in day_moves(paths, "2026-11-22").items():
        move(source, target)
    append(front, line(7))
    assert numbers(follower.poll()) == [7]


@pytest.mark.parametrize("last", [0, 1, 3, 10])
def test_it_begins_with_the_last_wanted_lines_of_all_cameras(paths: LogPaths, front: Path, last: int) -> None:
    yesterday = paths.day("2026-11-21").delay(front.stem)
    yesterday.parent.mkdir(parents=True)
    append(yesterday, line(0))
    append(front, line(1), line(4), *(line(number, delay_us=5) for number in range(5, 4000)))
    append(paths.delay(paths.stem(YARD.id, YARD.name)), line(2, YARD), line(3, YARD))
    follower = Follower(paths, [], 1_000_000)
    assert numbers(follower.poll(last)) == [1, 2, 3, 4][max(0, 4 - last) :]
    assert follower.poll() == []


def shown(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def test_the_command_shows_new_events_until_ctrl_c(paths: LogPaths, front: Path) -> None:
    options = "--log-dir", str(paths.root), "--camera", "front d*", "--min-delay", "1.2"
    arguments, pipe = [sys.executable, str(APP), "watch", *options], subprocess.PIPE
    with subprocess.Popen(arguments, env=environment(None, None), stdout=pipe, stderr=pipe, text=True) as watching:
        bound = threading.Timer(30, watching.kill)  # a line that never comes must not be waited for
        bound.start()
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
        bound.cancel()
