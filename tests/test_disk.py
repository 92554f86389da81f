"""The files themselves: appending, cutting back, replacing, the order of a batch, and what stays in it."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
from asyncio import Future
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from faulty import FaultyOs, install, no_space
from hypothesis import given
from hypothesis import strategies as st

from eelogger.writing import disk, flush
from eelogger.writing.batch import Batch, Known
from eelogger.writing.disk import AppendResult, append, replace
from eelogger.writing.flush import Outcome, write_batch
from eelogger.writing.pending import CameraLog, Pending


class Directory:
    """A log directory with what is pending for it; hands over and writes without a loop."""

    def __init__(self, root: Path, uuid_limit: int = 1000) -> None:
        self.root = root
        self.uuids = root / "uuids.log"
        self.pending = Pending(str(self.uuids), 1 << 30)
        self.known = Known(str(root / "uuids.log.1"), uuid_limit)

    def stream(self, camera: str) -> Path:
        return self.root / "stream" / f"{camera}_stream.log"

    def delay(self, camera: str) -> Path:
        return self.root / f"{camera}.log"

    def event(self, camera: str, text: str, delay_text: str = "") -> None:
        """An event's three lines."""
        log = CameraLog(self.pending, camera, str(self.stream(camera)), str(self.delay(camera)))
        log.write(f"stream {text}\n")
        log.write_delay(text, delay_text or f"delay {text}\n")
        batch = self.pending.admit(len(text) + 1)
        assert batch is not None
        batch.uuids.texts.append(f"{text}\n")
        batch.uuids.keys.append(camera)

    def write(self) -> Outcome:
        """One try to write what is pending."""
        batch = self.pending.next() or Batch("")
        size = batch.size
        outcome = write_batch(batch, self.known, {})
        self.pending.wrote(batch, size)
        return outcome


@pytest.fixture
def logs(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


class TestAppend:
    def test_makes_file_and_directories_and_goes_on_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "c.log"
        assert append(str(path), b"one\n") == AppendResult(4)
        assert append(str(path), b"two\n", 4) == AppendResult(4, 4)
        assert path.read_bytes() == b"one\ntwo\n"

    def test_writes_nothing_when_the_file_is_not_as_expected(self, tmp_path: Path) -> None:
        path = tmp_path / "c.log"
        path.write_bytes(b"others\n")
        assert append(str(path), b"two\n", 4) == AppendResult(0, 7)
        assert path.read_bytes() == b"others\n"

    def test_completes_short_writes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        faulty = install(monkeypatch, write=lambda fd, data: os.write(fd, data[:3]))
        assert append(str(tmp_path / "c.log"), b"one\ntwo\n").durable == 8
        assert (tmp_path / "c.log").read_bytes() == b"one\ntwo\n"
        assert faulty.calls == 3

    @pytest.mark.parametrize(("room", "kept"), [(0, 0), (3, 0), (4, 4), (6, 4), (8, 8)])
    def test_cuts_back_to_the_last_whole_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, kept: int
    ) -> None:
        path = tmp_path / "c.log"
        path.write_bytes(b"old\n")
        install(monkeypatch, write=disk_with_room(room))
        result = append(str(path), b"one\ntwo\nthree\n")
        assert (result.durable, result.error and result.error.errno) == (kept, errno.ENOSPC)
        assert path.read_bytes() == b"old\n" + b"one\ntwo\nthree\n"[:kept]

    def test_says_how_much_is_in_when_it_can_not_cut(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        install(monkeypatch, write=disk_with_room(6), ftruncate=failing)
        assert append(str(tmp_path / "c.log"), b"one\ntwo\n").durable == 6
        assert (tmp_path / "c.log").read_bytes() == b"one\ntw"

    def test_leaves_no_hole_when_others_truncate_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "c.log"
        path.write_bytes(b"old\n")
        write = disk_with_room(6)

        def truncated_meanwhile(fd: int, data: bytes) -> object:
            os.truncate(path, 0)
            return write(fd, data)

        install(monkeypatch, write=truncated_meanwhile)
        assert append(str(path), b"one\ntwo\n").durable == 4  # "two" is to be written again, whole
        assert path.read_bytes() == b""

    def test_takes_nothing_written_for_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        install(monkeypatch, write=lambda fd, data: 0)
        result = append(str(tmp_path / "c.log"), b"one\n")
        assert result.durable == 0
        assert result.error is not None

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_a_really_full_device(self, tmp_path: Path) -> None:
        (tmp_path / "c.log").symlink_to("/dev/full")
        result = append(str(tmp_path / "c.log"), b"one\n")
        assert (result.durable, result.error and result.error.errno) == (0, errno.ENOSPC)

    def test_closes_what_it_opens(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        append(str(tmp_path / "c.log"), b"one\n")
        append(str(tmp_path / "c.log"), b"one\n", 99)
        install(monkeypatch, write=failing)
        append(str(tmp_path / "c.log"), b"one\n")
        with pytest.raises(OSError, match="No space"):
            replace(str(tmp_path / "d.log"), "one\n")
        if before:
            assert len(os.listdir("/proc/self/fd")) == before


class TestReplace:
    def test_replaces_in_one_step_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "summary.log"
        assert replace(str(path), "one\n")
        assert replace(str(path), "two é\n")
        assert path.read_text(encoding="utf-8") == "two é\n"
        assert os.listdir(path.parent) == ["summary.log"]

    def test_keeps_the_old_one_when_the_disk_is_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "summary.log"
        path.write_text("old\n")
        install(monkeypatch, write=disk_with_room(2))
        with pytest.raises(OSError, match="No space"):
            replace(str(path), "new one\n")
        assert path.read_text() == "old\n"
        assert os.listdir(tmp_path) == ["summary.log"]

    def test_a_reader_that_holds_the_file_is_no_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "summary.log"
        path.write_text("old\n")
        install(monkeypatch, replace=denied)
        assert not replace(str(path), "new\n")
        assert path.read_text() == "old\n"
        assert os.listdir(tmp_path) == ["summary.log"]


class TestBatch:
    def test_goes_to_disk_in_order(self, logs: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        names: list[str] = []
        monkeypatch.setattr(disk, "boundary", names.append)
        for camera in "ab":
            logs.event(camera, "1")
        forming = logs.pending.forming
        forming.snapshots[str(logs.root / ".state")] = "{}"
        forming.snapshots[str(logs.root / "summary.log")] = "xy"
        logs.write()
        whole = [name for name in names if name != "in write"]
        assert [name for name in whole if name.startswith("before")] == [
            *(2 * ["before stream"] + 2 * ["before delay"] + ["before uuid", "before state", "before snapshot"])
        ]
        assert len(names) - len(whole) == 7  # one in the middle of each write
        assert lines(logs.uuids) == ["1", "1"]

    def test_what_follows_from_an_unwritten_line_waits_and_others_go_on(self, logs: Directory) -> None:
        logs.stream("a").mkdir(parents=True)  # a directory in the file's place
        logs.event("a", "1")
        logs.event("b", "1")
        outcome = logs.write()
        assert [error.errno for error in outcome.errors.values()] == [errno.EISDIR]
        assert not logs.delay("a").exists()
        assert lines(logs.delay("b")) == ["delay 1"]
        assert lines(logs.uuids) == ["1"]
        assert logs.pending.lines() == 3

        logs.event("a", "2")
        logs.stream("a").rmdir()
        assert not logs.write().errors
        assert lines(logs.stream("a")) == ["stream 1", "stream 2"]
        assert lines(logs.delay("a")) == ["delay 1", "delay 2"]
        assert lines(logs.uuids) == ["1", "1", "2"]
        assert logs.pending.size == 0

    def test_an_identity_waits_for_its_delay_line(self, logs: Directory) -> None:
        logs.delay("a").mkdir()
        logs.event("a", "1")
        logs.write()
        assert lines(logs.stream("a")) == ["stream 1"]
        assert not logs.uuids.exists()

    def test_a_line_begun_is_continued_where_it_stopped(self, logs: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        faulty = install(monkeypatch, write=disk_with_room(12), ftruncate=failing)
        logs.event("a", "1")
        logs.event("a", "2")
        logs.write()
        assert logs.stream("a").read_text() == "stream 1\nstr"
        faulty.faults.clear()
        logs.event("a", "3")
        logs.write()
        assert lines(logs.stream("a")) == ["stream 1", "stream 2", "stream 3"]
        assert lines(logs.uuids) == ["1", "2", "3"]

    def test_a_line_begun_in_a_file_that_is_gone_is_written_whole(
        self, logs: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty = install(monkeypatch, write=disk_with_room(12), ftruncate=failing)
        logs.event("a", "1")
        logs.event("a", "2")
        logs.write()
        faulty.faults.clear()
        logs.stream("a").rename(logs.root / "old")
        logs.write()
        assert lines(logs.stream("a")) == ["stream 2"]

    def test_an_identity_begun_comes_first_even_when_its_camera_waits(
        self, logs: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty = install(monkeypatch, write=disk_with_room(len("stream first\ndelay first\nfir")), ftruncate=failing)
        logs.event("a", "first")
        logs.write()
        assert logs.uuids.read_text() == "fir"
        faulty.faults.clear()
        logs.stream("a").rename(logs.root / "old")
        logs.stream("a").mkdir()
        logs.event("a", "second")
        logs.event("b", "third")
        logs.write()
        assert lines(logs.uuids) == ["first", "third"]

    def test_only_missing_delay_lines_are_rendered_again(
        self, logs: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty = install(monkeypatch, write=disk_with_room(18 + 9))
        logs.event("a", "1")
        logs.event("a", "2")
        logs.write()
        assert lines(logs.delay("a")) == ["delay 1"]
        faulty.faults.clear()
        logs.delay("a").unlink()
        assert logs.write().changed == {"a": 0}
        assert logs.pending.tokens("a") == ["2"]

    def test_delay_lines_are_not_written_to_a_log_that_others_changed(self, logs: Directory) -> None:
        logs.event("a", "1")
        logs.write()
        os.truncate(logs.delay("a"), 0)
        logs.event("a", "2")
        logs.event("b", "2")
        outcome = logs.write()
        assert outcome.changed == {"a": 0}
        assert lines(logs.delay("a")) == []
        assert lines(logs.delay("b")) == ["delay 2"]
        assert lines(logs.uuids) == ["1", "2"]  # of b, that of a waits for its delay line
        assert logs.pending.tokens("a") == ["2"]

    def test_a_registered_size_counts_from_the_first_touch(self, logs: Directory) -> None:
        logs.delay("a").write_text("delay of others\n")
        logs.pending.forming.sizes["a"] = 0
        logs.event("a", "1")
        assert logs.write().changed == {"a": 16}

    def test_the_identity_log_is_rotated_at_its_limit_within_a_batch(self, tmp_path: Path) -> None:
        logs = Directory(tmp_path, uuid_limit=10)
        for number in range(25):
            logs.event("a", str(number))
        logs.write()
        assert lines(logs.uuids) == [str(number) for number in range(20, 25)]
        assert lines(tmp_path / "uuids.log.1") == [str(number) for number in range(10, 20)]
        assert logs.known.uuid_lines == 5

    def test_the_identity_log_is_rotated_when_it_is_full(self, tmp_path: Path) -> None:
        logs = Directory(tmp_path, uuid_limit=2)
        logs.event("a", "1")
        logs.write()
        assert lines(logs.uuids) == ["1"]
        logs.event("a", "2")
        logs.write()
        assert not logs.uuids.exists()
        assert lines(tmp_path / "uuids.log.1") == ["1", "2"]

    def test_an_identity_log_that_others_took_away_is_counted_anew(self, tmp_path: Path) -> None:
        logs = Directory(tmp_path, uuid_limit=3)
        logs.event("a", "1")
        logs.event("a", "2")
        logs.write()
        logs.uuids.unlink()
        logs.event("a", "3")
        logs.write()
        assert (logs.known.uuid_lines, lines(logs.uuids)) == (1, ["3"])

    def test_an_identity_log_that_can_not_be_rotated_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logs = Directory(tmp_path, uuid_limit=2)
        faulty = install(monkeypatch, replace=denied)
        for number in range(5):
            logs.event("a", str(number))
        assert not logs.write().errors
        assert lines(logs.uuids) == list("01234")
        faulty.faults.clear()
        logs.event("a", "5")
        logs.write()
        assert lines(logs.uuids) == ["5"]

    def test_long_waits_are_written_in_parts(self, logs: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flush, "LINES_AT_ONCE", 3)
        for number in range(10):
            logs.event("a", str(number))
        assert not logs.write().errors
        for path in (logs.stream("a"), logs.delay("a"), logs.uuids):
            assert [line[-1] for line in lines(path)] == list("0123456789")

    def test_text_that_can_not_be_encoded_is_escaped(self, logs: Directory) -> None:
        logs.event("a", "\ud800é")
        logs.write()
        assert logs.uuids.read_bytes() == "\\ud800é\n".encode()
        assert logs.pending.size == 0

    async def test_nothing_is_called_after_lines_that_could_not_be_written(self, logs: Directory) -> None:
        called: list[bool] = []
        waiter: Future[None] = Future()
        logs.stream("a").mkdir(parents=True)
        logs.event("a", "1")
        logs.pending.part(lambda: called.append(True), waiter, insist=False)
        logs.event("b", "2")
        logs.write()
        assert not called
        assert not logs.stream("b").exists()
        logs.stream("a").rmdir()
        logs.write()
        assert called == [True]
        assert not logs.stream("b").exists()
        logs.write()
        assert lines(logs.stream("b")) == ["stream 2"]


FAULTS = st.one_of(
    st.none(),
    st.tuples(st.just("short"), st.integers(1, 40)),
    st.tuples(st.just("full"), st.integers(0, 60)),
    st.tuples(st.just("torn"), st.integers(0, 60)),
    st.tuples(st.just("open"), st.integers(0, 3)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from("ab")),
        st.tuples(st.just("write"), FAULTS),
        st.tuples(st.sampled_from(["rename", "truncate", "remove"]), st.integers(0, 4)),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_the_disk_and_others_do_files_are_whole_and_in_order(steps: list[tuple[str, object]]) -> None:
    """Renaming loses nothing; truncating and removing lose only what they took; nothing is torn, twice or out of order.

    Delay lines are rendered with the number of their line in the log, as running statistics are.
    """
    with TemporaryDirectory() as folder:
        logs = Directory(Path(folder), uuid_limit=7)
        files = [logs.stream("a"), logs.stream("b"), logs.delay("a"), logs.delay("b"), logs.uuids]
        events = {"a": 0, "b": 0}
        counted = {"a": 0, "b": 0}
        kept: dict[Path, list[list[str]]] = {path: [] for path in files}
        lossless = True
        for step, what in [*steps, ("write", None), ("write", None), ("write", None)]:
            if step == "event":
                camera = str(what)
                events[camera] += 1
                counted[camera] += 1
                number = events[camera]
                logs.event(camera, str(number), f"delay {number} n={counted[camera]}\n")
            elif step == "write":
                with failing_disk(what):
                    outcome = logs.write()
                for camera, size in outcome.changed.items():
                    tokens = logs.pending.tokens(camera)
                    counted[camera] = len(lines(logs.delay(camera)))
                    texts = [f"delay {token} n={counted[camera] + place}\n" for place, token in enumerate(tokens, 1)]
                    counted[camera] += len(tokens)
                    logs.pending.render(camera, texts)
                    logs.known.sizes[camera] = size
            else:
                path = files[int(str(what))]
                if path.exists() and path.read_bytes()[-1:] in (b"", b"\n"):  # a torn end is not for the test to judge
                    if step == "rename":
                        kept[path].append(lines(path))
                        path.unlink()
                    elif step == "truncate":
                        os.truncate(path, 0)
                        lossless = False
                    else:
                        path.unlink()
                        lossless = False
        assert logs.pending.lines() == 0
        assert logs.pending.size == 0
        for camera in "ab":
            check(kept[logs.stream(camera)] + [lines(logs.stream(camera))], events[camera], lossless)
            parts = kept[logs.delay(camera)] + [lines(logs.delay(camera))]
            check(parts, events[camera], lossless)
            for part in parts:
                assert [line.split("n=")[1] for line in part] == [str(n) for n in range(1, len(part) + 1)]


def check(parts: list[list[str]], events: int, lossless: bool) -> None:
    numbers = [int(line.split()[1]) for part in parts for line in part]
    assert numbers == sorted(set(numbers))
    if lossless:
        assert numbers == list(range(1, events + 1))


@contextmanager
def failing_disk(fault: object) -> Iterator[None]:
    kind, number = fault if isinstance(fault, tuple) else ("", 0)
    faults = {
        "short": {"write": lambda fd, data: os.write(fd, data[:number])},
        "full": {"write": disk_with_room(number)},
        "torn": {"write": disk_with_room(number), "ftruncate": failing},
        "open": {"open": failing_open(number)},
    }.get(kind, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "os", FaultyOs(**faults))
        yield


def disk_with_room(room: int):  # type: ignore[no-untyped-def]
    """A write that takes `room` bytes in all, as a file system that fills up does."""
    left = room

    def write(fd: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise no_space()
        count: int = os.write(fd, data[:left])
        left -= count
        return count

    return write


def failing_open(after: int):  # type: ignore[no-untyped-def]
    count = itertools.count()

    def open_(*args: object) -> int:
        if next(count) >= after:
            raise OSError(errno.EACCES, "Permission denied")
        return os.open(*args)  # type: ignore[arg-type]

    return open_


def failing(*args: object) -> None:
    raise no_space()


def denied(*args: object) -> None:
    raise PermissionError(errno.EACCES, "a reader holds it")


BOUNDARIES = [
    *(f"{when} {what}" for what in ("stream", "delay", "uuid", "append", "snapshot") for when in ("before", "after")),
    "in write",
]
CRASH = """
import os, signal, sys
from eelogger.writing import disk
from eelogger.writing.batch import Known
from eelogger.writing.flush import write_batch
from eelogger.writing.pending import CameraLog, Pending
root, name, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
pending = Pending(root + "/uuids.log", 1 << 30)
for number in range(3):
    for camera in "ab":
        log = CameraLog(pending, camera, f"{root}/{camera}_stream.log", f"{root}/{camera}.log")
        log.write(f"stream {number}\\n")
        log.write_delay(None, f"delay {number}\\n")
        pending.forming.uuids.texts.append(f"{camera} {number}\\n")
        pending.forming.uuids.keys.append(camera)
from eelogger.writing.batch import Lines
pending.forming.appends[root + "/gaps.log"] = Lines(root + "/gaps.log")
pending.forming.appends[root + "/gaps.log"].texts.append("gap 0\\n")
pending.forming.snapshots[root + "/summary.log"] = "new\\n"
def kill(at):
    global nth
    if at == name:
        nth -= 1
        if nth == 0:
            os.kill(os.getpid(), signal.SIGKILL)
disk.boundary = kill
write_batch(pending.next(), Known(root + "/uuids.log.1", 100), {})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("name", BOUNDARIES)
def test_a_kill_leaves_the_stream_log_ahead_and_tears_one_line_at_most(tmp_path: Path, name: str) -> None:
    summary = tmp_path / "summary.log"
    summary.write_text("old\n")
    script = [sys.executable, "-c", CRASH, str(tmp_path), name, "1"]
    ended = subprocess.run(script, cwd=Path(disk.__file__).parents[2], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert summary.read_text() == ("new\n" if name == "after snapshot" else "old\n")
    torn = 0
    whole: dict[str, list[str]] = {}
    for path in sorted(tmp_path.glob("*.log")):
        *begin, rest = path.read_text().split("\n")
        torn += bool(rest)
        whole[path.name] = [line.split()[-1] for line in begin]
    assert torn <= (name == "in write")
    assert all(numbers == sorted(numbers) for numbers in (whole.get(f"{c}.log", []) for c in "ab"))
    if whole.get("uuids.log"):
        assert whole["a.log"] == whole["b.log"] == list("012")
    if whole.get("a.log") or whole.get("b.log"):
        assert whole["a_stream.log"] == whole["b_stream.log"] == list("012")
