"""One process for each log directory, by the system's lock and where there is none."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import eelogger
from eelogger.errors import AlreadyRunning
from eelogger.storage import lock
from eelogger.storage.lock import FRESH_S, DirectoryLock, process_state
from eelogger.storage.paths import LogPaths

MODES = ["fcntl", "msvcrt", "none", "unsupported"]
CHILD = """
import sys
from pathlib import Path
from eelogger.errors import AlreadyRunning
from eelogger.storage.lock import DirectoryLock
from eelogger.storage.paths import LogPaths
from test_lock import use
use(sys.argv[1])
try:
    DirectoryLock(LogPaths(Path(sys.argv[2]))).acquire()
    print("held", flush=True)
except AlreadyRunning:
    print("refused", flush=True)
sys.stdin.readline()
"""


def use(mode: str) -> None:
    """Lock as a system does that has this module; that of Windows locks bytes from the file's position on."""
    system = lock.fcntl
    if mode == "msvcrt":

        def locking(fd: int, how: int, count: int) -> None:
            assert os.lseek(fd, 0, os.SEEK_CUR) > os.fstat(fd).st_size, "what is locked cannot be read"
            try:
                system.lockf(fd, how, count, 0, os.SEEK_CUR)
            except BlockingIOError:
                raise PermissionError(errno.EACCES, "Permission denied") from None

        lock.msvcrt = SimpleNamespace(LK_NBLCK=system.LOCK_EX | system.LOCK_NB, locking=locking)
    if mode != "fcntl":
        lock.fcntl = None
    if mode == "unsupported":  # by the file system
        lock.fcntl = SimpleNamespace(LOCK_EX=2, LOCK_NB=4, flock=no_locks)


def no_locks(fd: int, how: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setattr(lock, name, getattr(lock, name))
    use(request.param)
    return str(request.param)


def age(path: Path, seconds: float) -> None:
    """Let the last sign of life be older by so much."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path / "logs")


Start = Callable[[str], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(paths: LogPaths) -> Iterator[Start]:
    """Another process that wants the directory and keeps it until it is killed; and what came of that."""
    children: list[subprocess.Popen[str]] = []

    def start(mode: str) -> tuple[subprocess.Popen[str], str]:
        env = {**os.environ, "PYTHONPATH": f"{Path(eelogger.__file__).parents[1]}:{Path(__file__).parent}"}
        args, pipe = [sys.executable, "-c", CHILD, mode, str(paths.root)], subprocess.PIPE
        child = subprocess.Popen(args, env=env, stdin=pipe, stdout=pipe, text=True)
        children.append(child)
        assert child.stdout
        return child, child.stdout.readline().strip()

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_directory_in_use_is_refused_and_a_killed_holder_leaves_it_free(
    mode: str, paths: LogPaths, start: Start
) -> None:
    child, said = start(mode)
    assert said == "held"
    second = DirectoryLock(paths)
    with pytest.raises(AlreadyRunning, match=f"process {child.pid} has {paths.root} since 20") as refusal:
        second.acquire()
    assert refusal.value.reason == "already-running"
    assert not second.still_ours()
    child.kill()
    child.wait()
    if mode in ("none", "unsupported"):  # only the end of its heartbeat tells
        with pytest.raises(AlreadyRunning):
            second.acquire()
        age(paths.lock, FRESH_S)
    with second:
        assert second.still_ours()
        assert process_state(paths).pid == os.getpid()
        assert mode == "msvcrt" or start(mode)[1] == "refused"  # the test's own lock ends with any close
    assert start(mode)[1] == "held"


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_removed_directory_is_taken_anew_unless_another_was_faster(
    mode: str, paths: LogPaths, start: Start, is_taken: bool
) -> None:
    with DirectoryLock(paths) as mine:
        paths.root.rename(paths.root.with_name("old"))
        assert not mine.still_ours()
        if is_taken:
            assert start(mode)[1] == "held"
            with pytest.raises(AlreadyRunning):
                mine.acquire()
        else:
            mine.acquire()
        assert mine.still_ours() is not is_taken


@pytest.mark.parametrize("content", ["", "[" * 9000, '{"pid": 1e999, "since": ""}', "\x00" * 9, "x" * 500])
def test_any_content_is_replaced_and_an_unreadable_one_still_refuses(content: str, paths: LogPaths) -> None:
    paths.root.mkdir()
    paths.lock.write_text(content)
    with DirectoryLock(paths):
        assert json.loads(paths.lock.read_text())["pid"] == os.getpid()
        paths.lock.write_text(content)
        with pytest.raises(AlreadyRunning, match="another process has"):
            DirectoryLock(paths).acquire()
