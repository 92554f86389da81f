"""One process for each log directory: with flock, as Windows locks, and where there are no locks at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from lock_holder import MODES, modules

from eelogger.errors import AlreadyRunning
from eelogger.logdir import lock, lockfile
from eelogger.logdir.lock import DirectoryLock
from eelogger.paths import LogPaths

HERE = Path(__file__).parent


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    fcntl, msvcrt = modules(request.param)
    monkeypatch.setattr(lock, "fcntl", fcntl)
    monkeypatch.setattr(lock, "msvcrt", msvcrt)
    return str(request.param)


class Children:
    """Other processes that want the directory; what is left of them is killed at the end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.all: list[subprocess.Popen[str]] = []

    def start(self, mode: str) -> subprocess.Popen[str]:
        """A process that waits for a line before it tries."""
        child = subprocess.Popen(
            [sys.executable, str(HERE / "lock_holder.py"), mode, str(self.root)],
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.all.append(child)
        return child

    def holder(self, mode: str = "flock") -> subprocess.Popen[str]:
        """A process that has the directory."""
        child = self.start(mode)
        say(child)
        assert answer(child) == "held"
        return child


def say(child: subprocess.Popen[str]) -> None:
    assert child.stdin
    child.stdin.write("\n")
    child.stdin.flush()


def answer(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    return child.stdout.readline().strip()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    family = Children(tmp_path / "logs")
    yield family
    for child in family.all:
        child.kill()
        child.communicate()


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path / "logs")


def test_a_directory_in_use_is_refused_and_a_killed_holder_leaves_it_free(
    mode: str, paths: LogPaths, children: Children
) -> None:
    child = children.holder(mode)
    second = DirectoryLock(paths)
    with pytest.raises(AlreadyRunning) as refusal:
        second.acquire()
    error = refusal.value
    assert (error.pid, error.stale_s, error.exit_code) == (child.pid, None, 75)
    assert f"process {child.pid} has {paths.root} since {error.since}" in str(error)
    assert f"tail -F {paths.program_log}" in error.hint
    assert not second.still_ours()
    child.kill()
    child.wait()
    with second:
        assert second.still_ours()
        say(third := children.start(mode))
        assert answer(third) == "refused"
        assert json.loads(paths.lock.read_text())["pid"] == os.getpid()


def test_a_released_directory_is_free_at_once(mode: str, paths: LogPaths, children: Children) -> None:
    child = children.holder(mode)
    say(child)
    child.wait()
    mine = DirectoryLock(paths)
    mine.acquire()
    mine.release()
    mine.release()
    assert paths.lock.exists() == (mode in {"flock", "windows"})
    children.holder(mode)


def test_of_many_at_once_one_has_it(mode: str, paths: LogPaths, children: Children) -> None:
    paths.root.mkdir()
    paths.lock.write_text('{"pid": 4194303, "since": "2026-11-21T00:00:00Z"}')  # a dead process's
    rivals = [children.start(mode) for _ in range(4)]
    for child in rivals:
        say(child)
    assert sorted(map(answer, rivals)) == ["held", "refused", "refused", "refused"]


def test_a_holder_that_hangs_is_named(paths: LogPaths, children: Children) -> None:
    child = children.holder()
    then = paths.lock.stat().st_mtime - 75
    os.utime(paths.lock, (then, then))
    mine = DirectoryLock(paths)
    assert 75 <= mine.stale_s() < 130
    with pytest.raises(AlreadyRunning, match=f"process {child.pid} .* no sign of life for [0-9]+ s") as refusal:
        mine.acquire()
    assert refusal.value.stale_s is not None
    assert refusal.value.stale_s >= 75


def test_a_file_in_the_place_of_the_directory_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    assert DirectoryLock(LogPaths(tmp_path / "logs")).stale_s() == 0


def test_touch_is_a_sign_of_life(paths: LogPaths) -> None:
    mine = DirectoryLock(paths)
    mine.touch()
    assert mine.stale_s() == 0
    with mine:
        os.utime(paths.lock, (1, 1))
        assert mine.stale_s() > 1e9
        mine.touch()
        assert mine.stale_s() < 60


def test_a_removed_directory_is_taken_anew(mode: str, paths: LogPaths, children: Children) -> None:
    with DirectoryLock(paths) as mine:
        mine.retake()
        shutil.rmtree(paths.root)
        assert not mine.still_ours()
        mine.retake()
        assert mine.still_ours()
        say(child := children.start(mode))
        assert answer(child) == "refused"


def test_a_directory_that_came_back_with_another_process_is_refused(
    mode: str, paths: LogPaths, children: Children
) -> None:
    with DirectoryLock(paths) as mine:
        paths.root.rename(paths.root.with_name("old"))
        child = children.holder(mode)
        assert not mine.still_ours()
        with pytest.raises(AlreadyRunning) as refusal:
            mine.retake()
        assert refusal.value.pid == child.pid
        assert not mine.still_ours()
    say(child)
    child.wait()
    DirectoryLock(paths).acquire()


def test_looking_who_holds_it_does_not_let_go(paths: LogPaths, children: Children) -> None:
    with DirectoryLock(paths):
        paths.lock.read_text()  # what would free a POSIX record lock
        say(child := children.start("flock"))
        assert answer(child) == "refused"


def test_a_file_replaced_just_before_it_is_locked_is_not_the_one(
    paths: LogPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(fd: int, mode: int) -> None:
        monkeypatch.undo()
        paths.lock.rename(paths.root / "removed")
        lock.fcntl.flock(fd, mode)

    monkeypatch.setattr(lock, "fcntl", SimpleNamespace(LOCK_EX=2, LOCK_NB=4, flock=late))
    with DirectoryLock(paths) as mine:
        assert mine.still_ours()
        with pytest.raises(AlreadyRunning):
            DirectoryLock(paths).acquire()


def test_nothing_is_left_of_what_stood_in_the_file(paths: LogPaths) -> None:
    paths.root.mkdir()
    paths.lock.write_text("x" * 500)
    with DirectoryLock(paths):
        assert json.loads(paths.lock.read_text())["pid"] == os.getpid()


def test_a_failed_try_leaves_no_descriptor_open(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, mode: int) -> None:
        fds.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    fds: list[int] = []
    monkeypatch.setattr(lock, "fcntl", SimpleNamespace(LOCK_EX=2, LOCK_NB=4, flock=broken))
    with pytest.raises(OSError, match="Input/output"):
        DirectoryLock(paths).acquire()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fds[0])


def test_a_child_of_the_holder_does_not_keep_it(paths: LogPaths, children: Children) -> None:
    mine = DirectoryLock(paths)
    mine.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as bystander:
        mine.release()
        children.holder()
        bystander.kill()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": null, "since": 1}', '{"pid": "x"}', "\x00" * 9])
def test_an_unreadable_lock_file_still_refuses(content: str, paths: LogPaths) -> None:
    with DirectoryLock(paths):
        paths.lock.write_text(content)
        with pytest.raises(AlreadyRunning, match="another process has") as refusal:
            DirectoryLock(paths).acquire()
        assert (refusal.value.pid, refusal.value.since) == (None, "")


@pytest.mark.parametrize("pid", [os.getpid(), 4_194_303, 10**30], ids=["ours", "unused", "impossible"])
def test_without_locks_a_dead_process_is_told_by_its_pid(
    pid: int, paths: LogPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    paths.root.mkdir()
    paths.lock.write_text(json.dumps({"pid": pid, "since": "2026-11-21T00:00:00Z"}))
    with DirectoryLock(paths) as mine:
        assert mine.still_ours()
    assert os.listdir(paths.root) == []


def test_without_locks_a_faster_process_keeps_what_it_took(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(path: Path) -> bool:
        monkeypatch.undo()
        path.write_text(json.dumps({"pid": os.getppid(), "since": "now"}))
        return False

    monkeypatch.setattr(lockfile, "holder_lives", overtaken)
    paths.root.mkdir()
    lockfile.remove_dead(paths.lock)
    assert os.listdir(paths.root) == [".lock"]


def test_without_locks_an_empty_file_is_a_process_that_only_starts(
    paths: LogPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    paths.root.mkdir()
    guard = paths.lock.with_name(".lock.take")
    for path in (paths.lock, guard):
        path.touch()
    with pytest.raises(AlreadyRunning):
        DirectoryLock(paths).acquire()
    os.utime(paths.lock, (1, 1))
    with pytest.raises(AlreadyRunning):  # somebody is about to take it
        DirectoryLock(paths).acquire()
    os.utime(guard, (1, 1))
    DirectoryLock(paths).acquire()


def test_a_full_disk_does_not_keep_it_from_being_held(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with DirectoryLock(paths) as mine:
        assert mine.still_ours()
        with pytest.raises(AlreadyRunning):
            DirectoryLock(paths).acquire()
