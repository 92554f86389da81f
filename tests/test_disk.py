"""One batch to disk: whatever the disk and others do, files are whole, in order, and nothing is twice."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eelogger.storage.disk import DELAY, OTHER, STREAM, Batch, Disk, append, replace
from eelogger.storage.paths import LogPaths


class Directory:
    """Two cameras' files, and the batch that waits for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.batch = Batch()
        paths = LogPaths(root)
        self.uuids, self.uuids_old = paths.uuids, paths.uuids_old
        self.disk = Disk(paths)

    def stream(self, camera: str) -> Path:
        return self.root / "stream" / f"{camera}_stream.log"

    def delay(self, camera: str) -> Path:
        return self.root / f"{camera}.log"

    def event(self, camera: str, number: object) -> None:
        self.batch.write(STREAM, str(self.stream(camera)), f"stream {number}\n")
        self.batch.write(DELAY, str(self.delay(camera)), f"delay {number}\n")
        self.batch.write_identity(f"{camera} {number}\n", str(self.delay(camera)))

    def write(self) -> dict[str, Exception]:
        self.disk.write(self.batch)
        return self.disk.errors


@pytest.fixture
def logs(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def no_space(*args: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def denied(*args: object) -> Any:
    raise PermissionError(errno.EACCES, "a reader holds it")


def disk_with_room(room: int) -> Callable[[int, bytes], int]:
    """A write that takes `room` bytes in all, as a file system that fills up does."""
    write = os.write

    def limited(fd: int, data: bytes) -> int:
        nonlocal room
        count = write(fd, data[:room]) if room else no_space()
        room -= count
        return count

    return limited


def append_theirs(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"theirs\n")


class TestAppend:
    @pytest.mark.parametrize("room", [0, 1, 4, 6])
    def test_all_or_nothing(self, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "c.log"
        path.write_bytes(b"zero\n")
        monkeypatch.setattr(os, "write", disk_with_room(room))
        with pytest.raises(OSError, match="No space"):
            append(str(path), b"one\ntwo\n")
        assert path.read_bytes() == b"zero\n"

    @pytest.mark.parametrize(
        ("others", "content"),
        [
            pytest.param(lambda path: os.truncate(path, 0), b"one\ntwo\n", id="truncated"),
            pytest.param(append_theirs, b"zero\none\ntwtheirs\ntwo\n", id="appended"),
        ],
    )
    def test_what_others_changed_meanwhile_is_not_cut(
        self, others: Any, content: bytes, logs: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, room = logs.root / "gaps.log", disk_with_room(6)
        path.write_bytes(b"zero\n")

        def write(fd: int, data: bytes) -> int:
            try:
                return room(fd, data)
            except OSError:
                monkeypatch.undo()
                others(path)
                raise

        monkeypatch.setattr(os, "write", write)
        for line in ("one\n", "two\n"):
            logs.batch.write(OTHER, str(path), line)
        logs.write()
        logs.write()
        assert path.read_bytes() == content
        assert logs.batch.is_empty

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_in_the_place_of_a_log_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "c.log")
        with pytest.raises(OSError, match="No such device"):
            append(str(tmp_path / "c.log"), b"one\n")


class TestReplace:
    @pytest.mark.parametrize("is_full", [False, True])
    def test_keeps_the_old_one_when_the_disk_refuses(
        self, is_full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "summary.log").write_text("old\n")
        if is_full:
            (tmp_path / "summary.log.ee-tmp").symlink_to("/dev/full")
        else:
            monkeypatch.setattr(os, "replace", denied)
        with pytest.raises(OSError, match=r"No space|a reader"):
            replace(str(tmp_path / "summary.log"), "new\n")
        assert lines(tmp_path / "summary.log") == ["old"]
        assert os.listdir(tmp_path) == ["summary.log"]


class TestFlush:
    def test_order(self, logs: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[str] = []
        open_ = os.open
        monkeypatch.setattr(os, "open", lambda path, *args: opened.append(os.path.basename(path)) or open_(path, *args))  # type: ignore[func-returns-value]
        logs.batch.snapshots[str(logs.root / ".state")] = "{}"
        logs.batch.write(OTHER, str(logs.root / "gaps.log"), "gap\n")
        (logs.root / "stream").mkdir()
        for number, camera in enumerate("abba"):
            logs.event(camera, number)
        assert not logs.write()
        streams, delays = ["a_stream.log", "b_stream.log"], ["a.log", "b.log"]
        assert list(dict.fromkeys(opened)) == [*streams, *delays, "gaps.log", "processed_event_uuids.log"]
        assert lines(logs.uuids) == ["a 0", "b 1", "b 2", "a 3"]
        assert logs.batch.is_empty

    def test_what_cannot_be_cut_back_is_continued(self, logs: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "write", disk_with_room(12))
        monkeypatch.setattr(os, "ftruncate", denied)
        for number in (1, 2, 3):
            logs.event("a", number)
        logs.write()
        assert logs.stream("a").read_text() == "stream 1\nstr"
        assert logs.batch.lines == 8, "one line less, since only it is whole"
        monkeypatch.undo()
        logs.event("a", 4)
        logs.write()
        assert lines(logs.stream("a")) == ["stream 1", "stream 2", "stream 3", "stream 4"]
        assert lines(logs.uuids) == ["a 1", "a 2", "a 3", "a 4"]
        assert logs.batch.is_empty

    def test_text_that_cannot_be_encoded_is_escaped(self, logs: Directory) -> None:
        logs.event("a", "\ud800é")
        logs.write()
        assert logs.uuids.read_bytes() == "a \\ud800é\n".encode()
        assert logs.batch.is_empty


class TestIdentityLog:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("eelogger.storage.disk.GENERATION", 10)
        monkeypatch.setattr("eelogger.storage.disk.LINES_AT_ONCE", 3)

    @staticmethod
    def write(logs: Directory, *numbers: int) -> list[list[int]]:
        """Write these identities; what is in the old log then, and in the new one."""
        for number in numbers:
            logs.event("a", number)
        assert not logs.write()
        return [[int(line[2:]) for line in lines(path)] for path in (logs.uuids_old, logs.uuids)]

    def test_it_becomes_the_old_one_at_its_limit_with_what_stood_there_at_the_start(self, logs: Directory) -> None:
        logs.uuids.write_text("a -1\n" * 3)
        assert self.write(logs, *range(25)) == [[*range(7, 17)], [*range(17, 25)]]
        assert self.write(logs, 25, 26, 27) == [[*range(17, 27)], [27]]

    def test_while_it_cannot_it_goes_on(self, logs: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", denied)
            assert self.write(logs, *range(13)) == [[], [*range(13)]]
        assert self.write(logs, 13) == [[*range(13)], [13]]
