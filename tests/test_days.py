"""A day is a folder: each line ends in exactly one, wherever the move is killed; old ones go, today's never."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.logdir.days import Pruned, day_of, guess_day, midnight_after_us, move_day, prune
from eelogger.paths import LogPaths

DAY = "2026-11-21"
KEPT = ("processed_event_uuids.log", "processed_event_uuids.log.1", ".state", ".lock", ".said")
FOREIGN = ("notes.txt", "demo/summary.log", "demo/stream/A_100e1e23_stream.log", "stream/notes.txt")
CAMERAS = ("A_100e1e23", "B_100e1e24")

# Moves the day and dies by SIGKILL at the given boundary.
KILLED = """
import os, signal, sys
from pathlib import Path
from eelogger.logdir.days import move_day
from eelogger.paths import LogPaths
left = int(sys.argv[2])
def boundary(name):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
move_day(LogPaths(Path(sys.argv[1])), "2026-11-21", boundary)
"""


class Cut(BaseException):
    """The end of the process."""


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def fill(paths: LogPaths, hour: int, word: str) -> None:
    """Every file of a day, two lines each."""
    files = [paths.root / name for name in paths.ours()]
    files += [f(stem) for stem in CAMERAS for f in (paths.delay, paths.stream)]
    for path in files:
        put(path, "".join(f"time={DAY}T{hour + i:02d}:00:00.000000Z {word} {path.name}\n" for i in (0, 2)))


def lines(*roots: Path) -> Counter[str]:
    """All lines below, but those of the camera list, which is copied."""
    files = [p for root in roots for p in root.rglob("*") if p.is_file() and p.name != "cameras.json"]
    return Counter(line for path in files for line in path.read_text().splitlines())


def tree(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def contents(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in tree(root)}


def dies_at(number: int) -> Callable[[str], None]:
    """A boundary that ends the process when it is reached the number-th time."""
    left = iter(range(number))

    def boundary(name: str) -> None:
        assert name == "day-move"
        if next(left, None) is None:
            raise Cut

    return boundary


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path / "logs")


@pytest.mark.parametrize(
    ("moment", "day", "midnight"),
    [
        ("2026-11-21T00:00:00", "2026-11-21", "2026-11-22T00:00:00"),
        ("2026-11-21T23:59:59", "2026-11-21", "2026-11-22T00:00:00"),
        ("2028-02-29T12:00:00", "2028-02-29", "2028-03-01T00:00:00"),
        ("1969-12-31T23:00:00", "1969-12-31", "1970-01-01T00:00:00"),
    ],
)
def test_day_and_midnight(moment: str, day: str, midnight: str) -> None:
    assert day_of(us(moment)) == day
    assert midnight_after_us(us(moment)) == us(midnight)


@given(st.integers(0, us("2099-12-31T00:00:00")))
def test_midnight_is_the_first_moment_of_another_day(moment: int) -> None:
    midnight = midnight_after_us(moment)
    assert day_of(midnight - 1) == day_of(moment) < day_of(midnight)


def test_a_day_moves_and_all_else_stays(paths: LogPaths) -> None:
    fill(paths, 9, "x")
    for name in (*KEPT, *FOREIGN):
        put(paths.root / name, "stays\n")
    moved = tree(paths.root) - {*KEPT, *FOREIGN}
    assert move_day(paths, DAY) == len(moved) - 1
    assert tree(paths.root) == {*KEPT, *FOREIGN, "cameras.json", *(f"days/{DAY}/{name}" for name in moved)}
    assert paths.cameras.read_text() == paths.day(DAY).cameras.read_text()
    assert move_day(paths, DAY) == 0


def test_nothing_to_move_makes_no_folder(paths: LogPaths) -> None:
    assert move_day(paths, DAY) == 0
    put(paths.cameras, "[]")
    put(paths.uuids, "a\n")
    assert move_day(paths, DAY) == 0
    assert paths.days() == []


def test_a_day_that_is_none_moves_nothing(paths: LogPaths) -> None:
    fill(paths, 9, "x")
    with pytest.raises(ValueError, match="no day"):
        move_day(paths, "../../elsewhere")


def boundaries(paths: LogPaths) -> int:
    """How often a whole move comes to a boundary."""
    names: list[str] = []
    move_day(paths, DAY, names.append)
    return len(names)


@pytest.mark.parametrize("again", [False, True], ids=["new", "there-already"])
def test_a_move_cut_short_anywhere_is_completed(again: bool, tmp_path: Path) -> None:
    def prepare(name: str) -> LogPaths:
        paths = LogPaths(tmp_path / name)
        fill(paths, 9, "late")
        if again:
            fill(paths.day(DAY), 8, "early")
        return paths

    whole = prepare("whole")
    wanted = lines(whole.root)
    count = boundaries(whole)
    assert count >= len(wanted) / 2
    assert lines(whole.day(DAY).root) == wanted
    if again:
        hours = [line[16:18] for line in whole.day(DAY).gaps.read_text().splitlines()]
        assert hours == ["08", "09", "10", "11"]
        assert [line.split()[1] for line in whole.day(DAY).summary.read_text().splitlines()] == ["early"] * 2 + [
            "late"
        ] * 2
    for number in range(count):
        paths = prepare(f"cut-{number}")
        with pytest.raises(Cut):
            move_day(paths, DAY, dies_at(number))
        with suppress(Cut):  # nothing is left to do after the last one
            move_day(paths, DAY, dies_at(0))
        move_day(paths, DAY)
        assert lines(paths.day(DAY).root) == wanted
        assert contents(paths.root) == contents(whole.root)


@pytest.mark.parametrize("number", [0, 2, 7, 12, 21, 30, 41])
def test_a_killed_move_is_completed(number: int, paths: LogPaths) -> None:
    fill(paths, 9, "late")
    fill(paths.day(DAY), 8, "early")
    wanted = lines(paths.root)
    repo = Path(__file__).parent.parent
    child = subprocess.run([sys.executable, "-c", KILLED, str(paths.root), str(number)], cwd=repo, check=False)
    assert child.returncode == -signal.SIGKILL
    paths.remove_temporaries()
    move_day(paths, DAY)
    assert lines(paths.day(DAY).root) == lines(paths.root) == wanted


def test_a_rename_that_was_killed_goes_with_its_day(paths: LogPaths) -> None:
    put(paths.delay(CAMERAS[0]), f"time={DAY}T02:00:00Z a\n")
    put(paths.root / f"{CAMERAS[0]}.log.ee-add", f"time={DAY}T01:00:00Z b\n")
    move_day(paths, DAY)
    assert paths.day(DAY).delay(CAMERAS[0]).read_text() == f"time={DAY}T01:00:00Z b\ntime={DAY}T02:00:00Z a\n"


def test_a_failed_move_says_so_and_can_be_tried_again(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(paths, 9, "x")
    wanted = lines(paths.root)
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(source).name == "gaps.log":
            raise PermissionError(13, "a reader holds it", str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        move_day(paths, DAY)
    monkeypatch.setattr(os, "replace", replace)
    move_day(paths, DAY)
    assert lines(paths.day(DAY).root) == wanted


def test_guess_by_the_latest_line(paths: LogPaths) -> None:
    assert guess_day(paths) is None
    put(paths.cameras, "[]")
    put(paths.uuids, "a\n")
    assert guess_day(paths) is None
    put(paths.program_log, "started\n")
    os.utime(paths.program_log, (us("2026-11-18T12:00:00") / 1e6,) * 2)
    assert guess_day(paths) == "2026-11-18"
    put(paths.delay(CAMERAS[0]), "torn, without a time")
    os.utime(paths.delay(CAMERAS[0]), (us("2026-11-19T12:00:00") / 1e6,) * 2)
    assert guess_day(paths) == "2026-11-19"
    put(paths.delay(CAMERAS[1]), f"time=2026-11-16T23:59:59.999999Z a\ntime={DAY}T23:59:59.999999Z b\ntime=2026-1")
    assert guess_day(paths) == DAY
    put(paths.stream(CAMERAS[0]), "2026-11-22T00:00:00.000000+00:00 -- {}\n2026-99-99T00:00:00 -- {}\n")
    assert guess_day(paths) == "2026-11-22"


@pytest.mark.parametrize("size", [0, 1, 16_000, 16_330, 16_384, 16_400, 300_000])
def test_guess_behind_a_long_last_line(size: int, paths: LogPaths) -> None:
    body = '"\\n2031-01-01T00:00:00 time=2032-01-01T00:00:00"' + "x" * size
    put(paths.stream(CAMERAS[0]), f"2026-11-20T00:00:00.000000+00:00 -- {{}}\n{DAY}T00:00:00.000000+00:00 -- {body}\n")
    assert guess_day(paths) == DAY
    put(paths.stream(CAMERAS[0]), f"{DAY}T00:00:00.000000+00:00 -- {body}")
    assert guess_day(paths) == DAY
    # What looks like the beginning of a line where reading begins is none.
    put(paths.stream(CAMERAS[0]), f"{DAY}T00:00:00.000000+00:00 -- " + "2031-01-01T00:00:00".ljust(16_383, "x") + "\n")
    assert guess_day(paths) == DAY


def archive(paths: LogPaths, *days: str, size: int = 1000) -> None:
    for day in days:
        put(paths.day(day).stream(CAMERAS[0]), "x" * (size - 10))
        put(paths.day(day).gaps, "x" * 10)


NOVEMBER = [f"2026-11-{day:02d}" for day in range(1, 7)]


def test_the_oldest_days_go(paths: LogPaths) -> None:
    assert prune(paths, 3, None, "2026-11-07") == Pruned([], 0)
    archive(paths, *NOVEMBER)
    assert prune(paths, 4, None, "2026-11-07") == Pruned(NOVEMBER[:2], 2000)
    assert paths.days() == NOVEMBER[2:]
    assert prune(paths, 4, None, "2026-11-07") == Pruned([], 0)
    assert prune(paths, 0, None, "2026-11-04") == Pruned(["2026-11-03", "2026-11-05", "2026-11-06"], 3000)
    assert paths.days() == ["2026-11-04"]


def test_days_are_counted_so_that_a_wrong_clock_removes_none(paths: LogPaths) -> None:
    archive(paths, *NOVEMBER)
    assert prune(paths, 30, None, "2099-01-01") == Pruned([], 0)


def test_the_oldest_days_go_until_the_rest_fits(paths: LogPaths) -> None:
    archive(paths, *NOVEMBER)
    put(paths.delay(CAMERAS[0]), "x" * 300)
    put(paths.uuids, "x" * 200)
    put(paths.root / "demo/summary.log", "x" * 9000)
    put(paths.root / "notes.txt", "x" * 9000)
    assert prune(paths, 30, 6500, "2026-11-07") == Pruned([], 0)
    assert prune(paths, 30, 6499, "2026-11-07") == Pruned(NOVEMBER[:1], 1000)
    assert prune(paths, 3, 2600, "2026-11-07") == Pruned(NOVEMBER[1:4], 3000)
    pruned = prune(paths, 30, 400, "2026-11-06")
    assert (pruned.days, pruned.bytes) == (["2026-11-05"], 1000)
    assert "today's files alone" in pruned.warning
    assert paths.days() == ["2026-11-06"]
    assert tree(paths.root) >= {"demo/summary.log", "notes.txt", "processed_event_uuids.log", f"{CAMERAS[0]}.log"}


def test_links_and_other_folders_stay(paths: LogPaths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    put(outside / "precious.txt", "x" * 5000)
    archive(paths, "2026-11-01")
    (paths.days_dir / "2026-10-01").symlink_to(outside)
    (paths.days_dir / "2026-10-02.ee-tmp").symlink_to(outside)
    (paths.day("2026-11-01").root / "link").symlink_to(outside)
    (paths.day("2026-11-01").root / "file").symlink_to(outside / "precious.txt")
    put(paths.days_dir / "2026-11-1/mine.txt", "mine")
    put(paths.days_dir / "backup.ee-tmp/mine.txt", "mine")
    put(paths.days_dir / "2026-10-03", "mine")
    pruned = prune(paths, 0, 0, "2026-11-07")
    assert pruned.days == ["2026-11-01"]
    assert 1000 < pruned.bytes < 1500
    assert (outside / "precious.txt").exists()
    left = {"2026-10-01", "2026-10-02.ee-tmp", "2026-10-03", "2026-11-1", "backup.ee-tmp"}
    assert set(os.listdir(paths.days_dir)) == left


def removes_a_file_and_dies(folder: Path) -> None:
    LogPaths(folder).gaps.unlink()
    raise Cut


def test_a_removal_that_was_killed_is_completed(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(paths, *NOVEMBER[:2])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", removes_a_file_and_dies)
        with pytest.raises(Cut):
            prune(paths, 1, None, "2026-11-07")
    assert paths.days() == [NOVEMBER[1]]
    prune(paths, 30, None, "2026-11-07")
    assert os.listdir(paths.days_dir) == [NOVEMBER[1]]
