"""Blocks hold whole lines and together the file, packed or not; what is no ordinary file is passed over."""

import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, strategies as st

from eelogger.storage.line_blocks import (
    Skipped,
    lines_backwards,
    open_file,
    read_object,
    size_of,
    whole_lines,
    whole_lines_backwards,
)


@given(st.lists(st.binary(max_size=40)), st.booleans(), st.integers(1, 30), st.booleans())
def test_blocks_hold_whole_lines_and_together_the_file(rows: list[bytes], torn: bool, size: int, packed: bool) -> None:
    content = b"".join(row.replace(b"\n", b"") + b"\n" for row in rows) + (b"x" if torn else b"")
    skipped = Skipped()
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("file.gz" if packed else "file")
        path.write_bytes(gzip.compress(content) if packed else content)
        forwards = list(whole_lines(path, 0, skipped, block_bytes=size))
        backwards = list(whole_lines_backwards(path, size))[::-1]
        _, last = next(lines_backwards(path, size), (0, b""))
    assert b"".join(forwards) == b"".join(block for _, block in backwards) == content
    assert skipped == Skipped(len(content))
    for found in (forwards, [block for _, block in backwards]):
        assert all(block.endswith(b"\n") for block in found[:-1])
        assert all(found)
    at = 0
    for start, block in backwards:
        assert start == at
        at += len(block)
    if content.rstrip(b"\n") == content[:-1]:
        assert last.removesuffix(b"\n") == content[:-1].rpartition(b"\n")[2]


def test_a_file_renamed_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    """As at midnight."""
    path = tmp_path / "a"
    path.write_bytes(b"a\n" * 500_000)
    blocks = whole_lines(path)
    first = next(blocks)
    path.rename(tmp_path / "b")
    path.write_bytes(b"new\n" * 500_000)
    assert first + b"".join(blocks) == b"a\n" * 500_000


def test_half_a_line_is_the_last_one(tmp_path: Path) -> None:
    """Its other half, which a logger may write at that moment, is no line."""
    path = tmp_path / "a"
    path.write_bytes(b"a\nb")
    blocks = whole_lines(path)
    assert next(blocks) == b"a\nb"
    path.write_bytes(b"a\nbc\nd\n")
    assert [*blocks] == []


def test_an_append_that_is_under_way_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a\nb")
    monkeypatch.setattr(time, "sleep", lambda wait_s: path.write_bytes(b"a\nbc\n") if wait_s else None)
    assert [*whole_lines(path)] == [b"a\nbc\n"]


def test_a_file_truncated_meanwhile_ends_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a\n" * 500_000)
    blocks = whole_lines_backwards(path)
    next(blocks)
    os.truncate(path, 0)
    assert [*blocks] == []


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "loop", "cut.gz", "damaged.gz", "no.gz"])
def test_what_cannot_be_read_is_passed_over_and_noted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    make: dict[str, Callable[[], object]] = {
        "missing": int, "folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "loop": lambda: path.symlink_to(path),
        "device": lambda: path.symlink_to("/dev/null"),
        "cut.gz": lambda: path.write_bytes(gzip.compress(os.urandom(100_000))[:-50_000]),
        "damaged.gz": lambda: path.write_bytes(gzip.compress(b"a\n" * 1000)[:10] + b"\xff" * 40),
        "no.gz": lambda: path.write_bytes(b"a\n"),
    }  # fmt: skip
    make[kind]()
    skipped = Skipped()
    assert b"".join(whole_lines(path, skipped=skipped)) == b""
    assert read_object(path) == {}
    assert [Path(error.filename) for error in skipped.files] == [path] * (kind != "missing")
    if kind not in ("cut.gz", "damaged.gz"):
        with pytest.raises(OSError, match=r".+"), open_file(path) as file:
            file.read()
    if kind == "missing":
        assert size_of(path) == 0
