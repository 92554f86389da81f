"""Updates and gaps by arrival, camera, line; a line of several files once; only what is asked for is read."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings, strategies as st

from eelogger.measure.coverage import ADDED
from eelogger.model import Gap
from eelogger.storage.camera_files import CameraFiles
from eelogger.storage.formats import parse_time
from eelogger.storage.line_blocks import Skipped
from eelogger.storage.paths import LogPaths
from eelogger.storage.streamlog import Update, read_gaps, updates

SECOND = 1_000_000
NOON_US = parse_time("2026-11-22T12:00:00Z")
ID = "100e0001"


def line(second: int, number: int = 0, day: str = "2026-11-22") -> str:
    """A line of a stream log."""
    return f'{day}T12:{second // 60:02}:{second % 60:02}.000000+00:00 -- {{"line": {number}}}\n'


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=20))
def test_updates_come_by_arrival_then_camera_then_line(rows: list[tuple[int, str]]) -> None:
    skipped = Skipped()
    with TemporaryDirectory() as folder:
        files = {camera_id: [Path(folder) / camera_id] for camera_id in "cba"}
        for (path,) in files.values():
            path.touch()
        for number, (second, camera_id) in enumerate(sorted(rows)):
            with files[camera_id][0].open("a") as file:
                file.write(line(second, number) + "no line\n\n")
        gaps = [Gap("gap", 0, NOON_US + second * SECOND, "") for second in (0, 3)]
        items = list(updates(files, gaps, None, skipped))
        size = sum(path.stat().st_size for (path,) in files.values())
    read = [item for item in items if isinstance(item, Update)]
    assert [item.data["line"] for item in read] == list(range(len(rows)))
    assert [item.camera_id for item in read] == [camera_id for _, camera_id in sorted(rows)]
    assert [items.index(gap) for gap in gaps] == [0, 1 + sum(second < 3 for second, _ in rows)]
    assert skipped == Skipped(size, len(rows))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 100), max_size=60), st.integers(0, 101), st.integers(1, 60))
def test_the_search_from_the_end_finds_the_lines_after_the_last_older_one(
    seconds: list[int], since: int, length: int
) -> None:
    lines = [line(s).replace("\n", " " * (s * length) + "\n") for s in seconds]
    older = [index for index, s in enumerate(seconds) if s < since]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "stream.log"
        path.write_text("".join(lines))
        read = list(updates({ID: [path]}, [], None, skipped := Skipped(), NOON_US + since * SECOND))
    newer = lines[older[-1] + 1 :] if older else lines
    assert (len(read), skipped.read_bytes) == (len(newer), sum(map(len, newer)))


def test_a_line_that_stands_in_several_files_is_read_once(tmp_path: Path) -> None:
    """The same update may have come twice in one read; the clock may have been put back."""
    paths = LogPaths(tmp_path)
    paths.stream_dir.mkdir()
    paths.cameras.write_text('{"100e0001": {"name": "Front"}}')
    lines = [line(1, 1), line(5, 2), line(5, 2), line(5, 3), line(2, 4), line(6, 5)]
    paths.stream(f"Front_{ID}").write_text("".join(lines[:2] + lines[3:]) + "torn")
    (paths.stream_dir / f"Copy of Front_{ID}_stream.log").write_text(line(9, day="2026-11-21") + "".join(lines[:5]))
    with gzip.open(paths.stream_dir / f"Front_{ID}_stream.log.gz", "wt") as file:
        file.write("".join(lines[:1]) + line(0, 0))
    own_first = CameraFiles(paths).stream_logs()[ID]
    for files in (own_first, own_first[::-1]):
        found = updates({ID: files}, [], "2026-11-22", Skipped())
        read = [item.data["line"] for item in found if isinstance(item, Update)]
        assert sorted(read) in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 2, 3, 4, 5])


def test_without_a_record_of_subscriptions_each_camera_gets_one(tmp_path: Path) -> None:
    for name, content in {"a": line(40) + line(50), "b": line(45), "c": ""}.items():
        (tmp_path / name).write_text(content)
    items = list(updates({name: [tmp_path / name] for name in "abc"}, None, None, Skipped()))
    assert [item.camera_id for item in items] == list("ababa")
    assert [isinstance(item, Gap) for item in items] == [True, True, False, False, False]
    at_us = NOON_US + 10 * SECOND
    assert items[0] == Gap("gap", at_us, at_us, ADDED, "a")


def test_gaps_are_those_lines_that_are_gaps(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    assert read_gaps(paths) == []
    first, second, third = (
        b"kind=gap from=2026-11-22T12:00:0%d.000000Z to=2026-11-22T12:00:0%d.000000Z reason=dns\n" % (n, n + 1)
        for n in range(3)
    )
    paths.gaps.with_name("gaps.log.gz").write_bytes(gzip.compress(first + second))
    paths.gaps.write_bytes(second + b"\xff\nkind=gap from=never to=2026-11-22T12:00:01Z\n" + third + b"kind=gap from=2")
    starts = NOON_US, NOON_US + SECOND, NOON_US + 2 * SECOND
    assert read_gaps(paths) == [Gap("gap", from_us, from_us + SECOND, "dns") for from_us in starts]
