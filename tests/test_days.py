"""A day is a folder: each line ends in exactly one, wherever the move is killed; old ones go, today's never."""

import errno
import gzip
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from eelogger.model import Camera
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.days import complete_moves, day_moves, guess_day, move, prune, rename_moves
from eelogger.storage.paths import LogPaths

DAY = "2026-11-21"
KEPT = ("processed_event_uuids.log", "processed_event_uuids.log.1", ".state", ".lock", ".said")
FOREIGN = ("notes.txt", "demo/summary.log", "demo/stream/A_100e1e23_stream.log", "stream/notes.txt")
COPIES = ("Copy of A_100e1e23.log", "stream/Copy of A_100e1e23_stream.log")
CAMERAS = ("A_100e1e23", "B_100e1e24")


class Cut(BaseException):
    """The end of the process."""


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_day(paths: LogPaths, hour: int, word: str) -> None:
    """Every file of a day, two lines each."""
    files = [paths.root / name for name in paths.ours if name != "cameras.json"]
    files += [f(stem) for stem in CAMERAS for f in (paths.delay, paths.stream)]
    for path in files:
        put(path, "".join(f"time={DAY}T{hour + i:02d}:00:00.000000Z {word} {path.name}\n" for i in (0, 2)))
    put(paths.cameras, cameras_text([Camera(stem[-8:], stem[0]) for stem in CAMERAS]))


def tree(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def move_day(paths: LogPaths, day: str = DAY) -> int:
    moves = day_moves(paths, day)
    for source, target in moves.items():
        move(source, target)
    return len(moves)


@pytest.fixture
def paths(log_dir: Path) -> LogPaths:
    return LogPaths(log_dir)


@contextmanager
def other_file_system(paths: LogPaths) -> Iterator[None]:
    """`days` is on one of its own: nothing is renamed across."""
    replace = os.replace

    def within(source: Any, target: Any) -> None:
        if Path(source).is_relative_to(paths.days_dir) != Path(target).is_relative_to(paths.days_dir):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", within)
        yield


@contextmanager
def dies_at(number: int) -> Iterator[list[str]]:
    """The process ends at the number-th change of the disk; a copy is cut in its middle."""
    steps: list[str] = []

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if len(steps) == number:
                if call is shutil.copyfile:
                    Path(args[1]).write_bytes(Path(args[0]).read_bytes()[:50])
                raise Cut
            steps.append(call.__name__)
            return call(*args, **kwargs)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((os, "replace"), (os, "unlink"), (shutil, "copyfile")):
            patch.setattr(module, name, dying(getattr(module, name)))
        yield steps


class TestMove:
    def test_a_day_moves_and_all_else_stays(self, paths: LogPaths) -> None:
        put_day(paths, 9, "x")
        moved = tree(paths.root) - {"cameras.json"}
        for name in (*KEPT, *FOREIGN, *COPIES):
            put(paths.root / name, "stays\n")
        assert move_day(paths) == len(moved)
        stays = {*KEPT, *FOREIGN, *COPIES, "cameras.json"}
        assert tree(paths.root) == {*stays, *(f"days/{DAY}/{name}" for name in moved)}
        assert move_day(paths) == 0

    def test_a_packed_log_goes_with_its_day_and_its_camera(self, paths: LogPaths) -> None:
        packed, both = (path.with_name(f"{path.name}.gz") for path in map(paths.delay, CAMERAS))
        put(paths.delay(CAMERAS[1]), f"time={DAY}T10:00:00Z plain\n")
        for number in (1, 2):  # the second time the day is there already
            for path in (packed, both):
                path.write_bytes(gzip.compress(f"time={DAY}T0{number}:00:00Z\n".encode()))
            move_day(paths)
            assert [packed.exists(), both.exists()] == [False, False], "also beside the plain log, which began anew"
        target = paths.day(DAY).root / packed.name
        packed.write_bytes(target.read_bytes()[:-9])
        with pytest.raises(OSError, match="ended before"):
            move_day(paths)
        for source, goal in rename_moves(paths, {CAMERAS[0]: "New_100e1e23"}).items():
            move(source, goal)
        assert "New_100e1e23.log.gz" in tree(paths.root)
        assert gzip.decompress(target.read_bytes()).decode() == f"time={DAY}T01:00:00Z\ntime={DAY}T02:00:00Z\n"


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(0, 8), max_size=6),
    st.booleans(),
)
@example([[3, 9], [5, 1]], [9, 1, 9, 9], False)  # a clock was set back, and the source was not yet removed
def test_every_line_is_there_once_and_in_time_order(batches: list[list[int]], cuts: list[int], other: bool) -> None:
    """Several files become one, each move cut short at any step and then done by a start or the same call again."""
    with TemporaryDirectory() as folder:
        paths = LogPaths(Path(folder))
        source, target = paths.gaps, paths.day(DAY).gaps
        wanted = []
        with other_file_system(paths) if other else nullcontext():
            for batch, hours in enumerate(batches):
                put(source, "".join(f"kind=gap from={DAY}T0{h}:00:00Z {batch}\n    and more {batch}\n" for h in hours))
                wanted += source.read_text().splitlines()
                if cuts:
                    with dies_at(cuts.pop()), suppress(Cut):
                        move(str(source), str(target))
                if cuts:
                    with dies_at(cuts.pop()), suppress(Cut):
                        complete_moves(paths, DAY)
                move(str(source), str(target))
        found = target.read_text().splitlines()
        assert Counter(found) == Counter(wanted)
        if all(batch == sorted(batch) for batch in batches):  # else a clock was set back: those stay together
            assert found[::2] == sorted(found[::2], key=lambda line: line[:30])
        assert all(after.split()[-1] == line.split()[-1] for line, after in zip(found[::2], found[1::2], strict=True))
        assert tree(paths.root) == {f"days/{DAY}/gaps.log"}


class TestStart:
    def test_what_could_not_be_moved_at_its_midnight_is_moved_or_told(self, paths: LogPaths) -> None:
        put_day(paths, 9, "x")
        late, today = map(paths.delay, CAMERAS)
        put(today, "time=2026-11-22T00:00:01Z today\n" + f"time={DAY}T23:50:00Z the clock was put back\n" * 1000)
        for path in (late, today, paths.gaps):
            os.utime(path, (us(f"{DAY}T12:00:00") / 1e6,) * 2)
        replace = os.replace

        def refuse(source: str, target: str) -> None:
            if source == str(late):
                raise PermissionError(errno.EPERM, "Operation not permitted", source)
            replace(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", refuse)
            assert complete_moves(paths, "2026-11-22") == {str(late): str(paths.day(DAY).root / late.name)}
        assert complete_moves(paths, "2026-11-22") == {}
        assert tree(paths.days_dir) == {f"{DAY}/{late.name}", f"{DAY}/gaps.log"}

    def test_only_our_temporaries_are_removed(self, paths: LogPaths) -> None:
        ours = ("summary.log.ee-tmp", "stream/x.ee-tmp", f"days/{DAY}/gaps.log.ee-tmp")
        for name in ours:
            put(paths.root / name, "half")
            put(paths.root / f"{name}.mine", "mine")
        complete_moves(paths, "2026-11-22")
        assert tree(paths.root) == {f"{name}.mine" for name in ours}

    def test_guess_by_the_latest_line(self, paths: LogPaths) -> None:
        put(paths.cameras, "[]")
        put(paths.program_log, "torn, without a time")
        assert guess_day(paths) is None
        put(paths.delay(CAMERAS[1]), f"time=2026-11-16T23:59:59.999999Z a\ntime={DAY}T23:59:59.999999Z b\ntime=2026-1")
        assert guess_day(paths) == DAY
        put(paths.stream(CAMERAS[0]), "2026-11-22T00:00:00.000000+00:00 -- {}\n2026-99-99T00:00:00 -- {}\n")
        assert guess_day(paths) == "2026-11-22"

    def test_whatever_stands_in_the_place_of_a_log_is_passed_over(self, paths: LogPaths) -> None:
        paths.gaps.mkdir(parents=True)
        paths.stream(CAMERAS[0]).mkdir(parents=True)
        put(paths.delay(CAMERAS[0]), "\0\udcff"[:1])
        assert guess_day(paths) is None
        assert complete_moves(paths, "2026-11-22") == {}
        move_day(paths)
        assert paths.gaps.is_dir()


def archive(paths: LogPaths, *days: str, size: int = 1000) -> None:
    for day in days:
        put(paths.day(day).stream(CAMERAS[0]), "x" * (size - 10))
        put(paths.day(day).gaps, "x" * 10)


NOVEMBER = [f"2026-11-{day:02d}" for day in range(1, 7)]


class TestPrune:
    def test_the_oldest_days_go(self, paths: LogPaths) -> None:
        assert prune(paths, 3, None, "2026-11-07") == ([], "")
        archive(paths, *NOVEMBER)
        assert prune(paths, 4, None, "2026-11-07") == (NOVEMBER[:2], "")
        assert paths.days() == NOVEMBER[2:]
        assert prune(paths, 4, None, "2099-01-01") == ([], ""), "counted, not compared with a clock"
        assert prune(paths, 0, None, "2026-11-04")[0] == ["2026-11-03", "2026-11-05", "2026-11-06"]
        assert os.listdir(paths.days_dir) == ["2026-11-04"]

    def test_the_oldest_days_go_until_the_rest_fits(self, paths: LogPaths) -> None:
        archive(paths, *NOVEMBER)
        put(paths.delay(CAMERAS[0]), "x" * 300)
        put(paths.uuids, "x" * 200)
        put(paths.root / "demo/summary.log", "x" * 9000)
        put(paths.root / "notes.txt", "x" * 9000)
        assert prune(paths, 30, 6500, "2026-11-07") == ([], "")
        assert prune(paths, 30, 6499, "2026-11-07") == (NOVEMBER[:1], "")
        assert prune(paths, 3, 2600, "2026-11-07") == (NOVEMBER[1:4], "")
        removed, warning = prune(paths, 30, 400, "2026-11-06")
        assert (removed, bool(warning)) == (["2026-11-05"], True)
        assert paths.days() == ["2026-11-06"]
        assert tree(paths.root) >= {"demo/summary.log", "notes.txt", "processed_event_uuids.log", f"{CAMERAS[0]}.log"}

    def test_links_and_other_folders_stay(self, paths: LogPaths, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        put(outside / "precious.txt", "x" * 5000)
        archive(paths, *NOVEMBER[:2])
        for link in ("2026-10-01", "2026-10-02.ee-tmp", f"{NOVEMBER[0]}/link"):
            (paths.days_dir / link).symlink_to(outside)
        for mine in ("2026-11-1/mine.txt", "backup.ee-tmp/mine.txt", "2026-10-03"):
            put(paths.days_dir / mine, "mine")
        assert prune(paths, 30, 3000, "2026-11-07")[0] == [], "what links lead to is not counted"
        assert prune(paths, 0, 0, "2026-11-07")[0] == NOVEMBER[:2]
        assert (outside / "precious.txt").exists()
        left = {"2026-10-01", "2026-10-02.ee-tmp", "2026-10-03", "2026-11-1", "backup.ee-tmp"}
        assert set(os.listdir(paths.days_dir)) == left

    def test_a_removal_that_fails_in_its_middle_is_completed_and_keeps_no_other(
        self, paths: LogPaths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rmtree = shutil.rmtree

        def removes_a_file_and_fails(folder: Path, ignore_errors: bool = False) -> None:
            if NOVEMBER[0] not in str(folder):
                rmtree(folder)
            elif not ignore_errors:
                LogPaths(folder).gaps.unlink()
                raise PermissionError

        archive(paths, *NOVEMBER)
        monkeypatch.setattr(shutil, "rmtree", removes_a_file_and_fails)
        removed, warning = prune(paths, 4, None, "2026-11-07")
        assert (removed, NOVEMBER[0] in warning) == ([NOVEMBER[1]], True)
        monkeypatch.undo()
        prune(paths, 4, None, "2026-11-07")
        assert sorted(os.listdir(paths.days_dir)) == NOVEMBER[2:]
