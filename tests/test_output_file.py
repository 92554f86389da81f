"""A file that was asked for is whole or as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from eelogger.errors import DiskError
from eelogger.views.output_file import STDOUT, OutputFile


def write(path: Path, pieces: Iterable[str]) -> None:
    with OutputFile(path, lambda text: None) as output:
        output.write(pieces)


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    write(path, ["one\n", "ä\ud800\n"])
    path.chmod(0o640)
    with pytest.raises(ZeroDivisionError):
        write(path, (str(1 // n) for n in (1, 0)))
    assert path.read_bytes() == "one\nä\\ud800\n".encode()
    write(path, "two")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("two", 0o640)
    assert os.listdir(tmp_path) == ["figures.csv"]


def test_a_link_stays_a_link_a_pipe_a_pipe_and_a_dash_is_standard_output(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("before")
    link.symlink_to(target)
    write(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "through")
    assert os.read(reader, 100) == b"through"
    assert pipe.is_fifo()
    os.close(reader)
    written: list[str] = []
    with OutputFile(STDOUT, written.append) as output:
        output.write(["a", "b"])
    assert written == ["a", "b"]


@pytest.mark.parametrize("name", ["missing/figures.csv", "."])
def test_what_cannot_be_written_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(DiskError) as caught:
        write(tmp_path / name, "x")
    assert caught.value.hint
