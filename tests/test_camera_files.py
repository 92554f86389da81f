"""Which files are a camera's own; each append file of the day ends with a whole line after a start."""

import os
from pathlib import Path

import pytest

from eelogger.storage.camera_files import CameraFiles, cut_torn_tails
from eelogger.storage.line_blocks import Skipped
from eelogger.storage.paths import LogPaths

ID = "100e0001"
LISTED = '{"100e0001": {"name": "%s"}}'


def test_the_own_stem_is_the_listed_one_else_the_shortest(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    for name in (f"Copy of Front_{ID}.log", f"Front_{ID}.log", f"Front (1)_{ID}.log", "Only_100e0002.log.gz"):
        (tmp_path / name).touch()
    assert CameraFiles(paths).stems == {ID: f"Front_{ID}", "100e0002": "Only_100e0002"}
    for name in ("Front", "Gate"):
        paths.cameras.write_text(LISTED % name)
        assert CameraFiles(paths).stems == {ID: f"{name}_{ID}", "100e0002": "Only_100e0002"}


def test_without_a_list_the_last_line_names_the_own_file(tmp_path: Path) -> None:
    for name in (f"Old_{ID}.log", f"Front Door_{ID}.log"):
        (tmp_path / name).write_text(f'time=x camera={ID} name="Front Door" bridge=""\r\n')
    assert CameraFiles(LogPaths(tmp_path)).stems == {ID: f"Front Door_{ID}"}


def test_a_folder_or_a_pipe_is_no_file_of_a_camera(tmp_path: Path) -> None:
    (tmp_path / f"x_{ID}.log").mkdir()
    os.mkfifo(tmp_path / f"y_{ID}.log")
    found = CameraFiles(LogPaths(tmp_path), skipped := Skipped())
    assert (found.stems, found.delay_logs(), len(skipped.files)) == ({}, {}, 2)
    (tmp_path / f"Front_{ID}.log").touch()
    assert CameraFiles(LogPaths(tmp_path)).stems == {ID: f"Front_{ID}"}


APPENDED = [f"Front_{ID}.log", f"stream/Front_{ID}_stream.log", "processed_event_uuids.log"]
APPENDED += ["gaps.log", "health.log", "eelogger.log", "rejected.log"]


@pytest.mark.parametrize("name", APPENDED)
@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"", b""), (b"a\nb", b"a\n"), (b"a", b""), (b"a\nb\0\0\nc\0\n", b"a\n"), (b"\0" * 200_000, b""),
        (b"a\n" + b"b" * 200_000 + b"\n", b"a\n" + b"b" * 200_000 + b"\n"),
        (b"a\n\0" + b"b" * 200_000 + b"\nc", b"a\n"),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_torn_tail_is_cut_back_to_the_last_whole_line(tmp_path: Path, name: str, content: bytes, left: bytes) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    tails = cut_torn_tails(LogPaths(tmp_path))
    assert path.read_bytes() == left
    cut = content[len(left) :]
    assert tails == ([(path, cut[:4096], len(cut))] if cut else [])
    assert cut_torn_tails(LogPaths(tmp_path)) == []


def test_what_is_not_appended_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    """A copy is cut only where no list says which file is the camera's own."""
    copies = [tmp_path / f"stream/x_{ID}_stream.log", tmp_path / f"Copy of Front_{ID}.log"]
    names = ["maxeventdelay.log", "summary.log", ".state", "notes.txt", "days/2026-11-21/gaps.log", f"x_{ID}.log.gz"]
    others = [tmp_path / name for name in names]
    for path in (*others, *copies, own := tmp_path / f"Front_{ID}.log"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a\nb")
    (tmp_path / "gaps.log").mkdir()
    os.mkfifo(tmp_path / "health.log")
    (tmp_path / "cameras.json").write_text(LISTED % "Front")
    assert [path for path, *_ in cut_torn_tails(LogPaths(tmp_path))] == [own]
    assert {path.read_bytes() for path in (*others, *copies)} == {b"a\nb"}
    (tmp_path / "cameras.json").write_text("damaged")
    assert {path for path, *_ in cut_torn_tails(LogPaths(tmp_path))} == {*copies}
    assert {path.read_bytes() for path in others} == {b"a\nb"}
