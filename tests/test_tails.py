"""The invariant of healing: afterwards each append file of the day is empty or ends with a whole line."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.logdir import blocks, tails
from eelogger.logdir.blocks import whole_lines, whole_lines_backwards
from eelogger.logdir.tails import KEPT_BYTES, heal_tails
from eelogger.paths import LogPaths

APPENDED = (
    "Front Door_100e0001.log",
    "stream/Front Door_100e0001_stream.log",
    "processed_event_uuids.log",
    "gaps.log",
    "health.log",
    "eelogger.log",
    "rejected.log",
)


@pytest.mark.parametrize("name", APPENDED)
@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"", b""),
        (b"a\n", b"a\n"),
        (b"a\nb", b"a\n"),
        (b"a", b""),
        (b"a\n\0\0\0", b"a\n"),
        (b"a\nb\0\0\nc\0\n", b"a\n"),
        (b"\0" * 200_000, b""),
        (b"a\n" + b"\0" * 200_000, b"a\n"),
        (b"a\n" + b"b" * 200_000, b"a\n"),
        (b"a\n" + b"b" * 200_000 + b"\n", b"a\n" + b"b" * 200_000 + b"\n"),
        (b"a\n\0" + b"b" * 200_000 + b"\nc", b"a\n"),
    ],
    ids=range(11),
)
def test_a_torn_tail_is_cut_back_to_the_last_whole_line(tmp_path: Path, name: str, content: bytes, left: bytes) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    healed = heal_tails(LogPaths(tmp_path))
    assert path.read_bytes() == left
    cut = content[len(left) :]
    assert healed == ([(path, cut[:KEPT_BYTES], len(cut))] if cut else [])
    assert heal_tails(LogPaths(tmp_path)) == []


def test_what_is_not_appended_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    names = ["maxeventdelay.log", "summary.log", "cameras.json", ".state", "notes.txt"]
    (tmp_path / "days/2026-11-21").mkdir(parents=True)
    for name in [*names, "days/2026-11-21/gaps.log"]:
        (tmp_path / name).write_bytes(b"a\nb")
    (tmp_path / "gaps.log").mkdir()
    assert heal_tails(LogPaths(tmp_path)) == []
    assert all((tmp_path / name).read_bytes() == b"a\nb" for name in names)


def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gaps.log").write_bytes(b"a\nb")

    def fail(path: Path, start: int, length: int) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(blocks, "read_at", fail)
        patch.setattr(tails, "read_at", fail)
        assert heal_tails(LogPaths(tmp_path)) == []
    assert (tmp_path / "gaps.log").read_bytes() == b"a\nb"


def test_a_missing_directory_has_no_tails(tmp_path: Path) -> None:
    assert heal_tails(LogPaths(tmp_path / "nothing")) == []


@given(st.lists(st.binary(max_size=40)), st.booleans(), st.integers(1, 30))
def test_blocks_hold_whole_lines_and_together_the_file(rows: list[bytes], torn: bool, size: int) -> None:
    content = b"".join(row.replace(b"\n", b"") + b"\n" for row in rows) + (b"x" if torn else b"")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        forwards = list(whole_lines(path, 0, size))
        backwards = list(whole_lines_backwards(path, size))[::-1]
    assert b"".join(forwards) == content
    assert b"".join(block for _, block in backwards) == content
    for found in (forwards, [block for _, block in backwards]):
        assert all(block.endswith(b"\n") for block in found[:-1])
        assert all(found)
    at = 0
    for start, block in backwards:
        assert start == at
        at += len(block)
