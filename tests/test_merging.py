"""A move cut short anywhere, any number of times, is completed and loses or doubles no line."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.writing.merging import move_file, remove_temporaries, settle, temporary


class Cut(BaseException):
    """The end of the process."""


def cut_at(number: int) -> Callable[[], None]:
    """A step that ends the process when it is reached the number-th time."""
    steps = iter(range(number))

    def step() -> None:
        if next(steps, None) is None:
            raise Cut

    return step


def line(second: int, word: str) -> str:
    return f"time=2026-11-22T09:07:{second:02d}.000000Z {word}\n"


SECONDS = st.lists(st.integers(0, 59), max_size=6)


@given(st.lists(SECONDS, min_size=1, max_size=4), st.lists(st.integers(0, 6), max_size=6), st.booleans())
def test_every_line_is_there_once(batches: list[list[int]], cuts: list[int], by_settling: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "day", "x.log")
        target.parent.mkdir()
        written: Counter[str] = Counter()
        pending = iter(cuts)
        for number, seconds in enumerate(batches):
            lines = [line(second, f"{number}.{i}") for i, second in enumerate(sorted(seconds))]
            written.update(lines)
            # New lines may come to the source before the move that was cut short is completed.
            with open(source, "a") as file:
                file.writelines(lines)
            try:
                move_file(source, target, step=cut_at(next(pending, 99)))
            except Cut:
                if by_settling:
                    settle(target.parent)
        move_file(source, target)
        assert not source.exists()
        assert os.listdir(target.parent) == ["x.log"]
        assert Counter(target.read_text().splitlines(keepends=True)) == written


def test_all_steps_of_a_merge_are_announced(tmp_path: Path) -> None:
    steps: list[list[str]] = []
    (tmp_path / "a").write_text(line(2, "a"))
    (tmp_path / "b").write_text(line(1, "b"))
    move_file(tmp_path / "b", tmp_path / "a", step=lambda: steps.append(sorted(os.listdir(tmp_path))))
    assert steps == [
        ["a", "a.ee-add"],
        ["a", "a.ee-add", "a.ee-tmp"],
        ["a", "a.ee-add", "a.ee-all"],
        ["a", "a.ee-all"],
    ]
    assert (tmp_path / "a").read_text() == line(1, "b") + line(2, "a")


@pytest.mark.parametrize(
    ("old", "new", "both"),
    [
        ("2026-11-22T01:00:00.000002+00:00 -- {}\n", "2026-11-22T01:00:00.000001+00:00 -- {}\n", "21"),
        ("kind=gap from=2026-11-22T02:00:00Z to=x\n", "kind=suspend from=2026-11-22T01:00:00Z to=x\n", "21"),
        ("2026-11-22 02:00:00,1 a\n", "2026-11-22 01:00:00,2 b\n", "21"),
        (line(1, "same"), line(1, "time"), "12"),
        (line(3, "a") + "Traceback\n  no time\n", line(2, "b"), "21"),
        (line(3, "torn")[:-1], line(4, "b"), "12"),
        ("no time\n", line(2, "b"), "12"),
        ("", line(2, "b"), "12"),
    ],
)
def test_lines_come_in_time_order(old: str, new: str, both: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_text(old)
    (tmp_path / "source").write_text(new)
    move_file(tmp_path / "source", tmp_path / "target")
    whole = old if not old or old.endswith("\n") else old + "\n"
    assert (tmp_path / "target").read_text() == (whole + new if both == "12" else new + whole)


def test_a_snapshot_follows_the_older_one_as_a_whole(tmp_path: Path) -> None:
    older, newer = line(9, "worst") + line(2, "less"), line(5, "worst") + line(1, "less")
    (tmp_path / "summary.log").write_text(older)
    (tmp_path / "new").write_text(newer)
    move_file(tmp_path / "new", tmp_path / "summary.log", in_time_order=False)
    assert (tmp_path / "summary.log").read_text() == older + newer


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"\xff\r\n\x0b\x1c\x85\n")
    (tmp_path / "source").write_bytes(b"\x00\xfe\n")
    move_file(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"\xff\r\n\x0b\x1c\x85\n\x00\xfe\n"


def test_a_target_that_others_removed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.log.ee-add").write_text("a\n")
    settle(tmp_path)
    assert (tmp_path / "x.log").read_text() == "a\n"
    assert os.listdir(tmp_path) == ["x.log"]


def test_only_our_temporaries_are_removed(tmp_path: Path) -> None:
    temporary(tmp_path / "summary.log").touch()
    (tmp_path / "summary.log.tmp").touch()
    remove_temporaries(tmp_path)
    remove_temporaries(tmp_path / "nowhere")
    assert os.listdir(tmp_path) == ["summary.log.tmp"]
