"""Each append file of the day is empty afterwards or ends with a whole line; copies are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eelogger.storage import torn_tails
from eelogger.storage.paths import LogPaths
from eelogger.storage.torn_tails import EXCERPT_BYTES, cut_torn_tails

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
        (b"a\nb\0\0\nc\0\n", b"a\n"),
        (b"\0" * 200_000, b""),
        (b"a\n" + b"b" * 200_000, b"a\n"),
        (b"a\n" + b"b" * 200_000 + b"\n", b"a\n" + b"b" * 200_000 + b"\n"),
        (b"a\n\0" + b"b" * 200_000 + b"\nc", b"a\n"),
    ],
    ids=range(9),
)
def test_a_torn_tail_is_cut_back_to_the_last_whole_line(tmp_path: Path, name: str, content: bytes, left: bytes) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    tails = cut_torn_tails(LogPaths(tmp_path))
    assert path.read_bytes() == left
    cut = content[len(left) :]
    assert tails == ([(path, cut[:EXCERPT_BYTES], len(cut))] if cut else [])
    assert cut_torn_tails(LogPaths(tmp_path)) == []


def test_what_is_not_appended_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    names = ["maxeventdelay.log", "summary.log", ".state", "notes.txt", "days/2026-11-21/gaps.log"]
    names += ["Copy of Front Door_100e0001.log", "stream/Copy of Front Door_100e0001_stream.log", "x_100e0001.log.gz"]
    (tmp_path / "days/2026-11-21").mkdir(parents=True)
    (tmp_path / "stream").mkdir()
    (tmp_path / "cameras.json").write_text('{"100e0001": {"name": "Front Door"}}')
    for name in names:
        (tmp_path / name).write_bytes(b"a\nb")
    (tmp_path / "gaps.log").mkdir()
    os.mkfifo(tmp_path / "health.log")
    assert cut_torn_tails(LogPaths(tmp_path)) == []
    assert all((tmp_path / name).read_bytes() == b"a\nb" for name in names)


def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, start: int, length: int) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "gaps.log").write_bytes(b"a\nb")
    monkeypatch.setattr(torn_tails, "read_at", fail)
    assert cut_torn_tails(LogPaths(tmp_path)) == []
    assert (tmp_path / "gaps.log").read_bytes() == b"a\nb"
