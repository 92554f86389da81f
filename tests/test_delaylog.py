"""Delay lines read back: the fast way and the plain way agree, copies count once, logs of every version are read."""

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from line_values import CAMERAS, verdicts

from eelogger.measure.camera_statistics import CameraStatistics, is_clean
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Camera, RunningFigures, Verdict
from eelogger.storage import delaylog
from eelogger.storage.camera_files import CameraFiles
from eelogger.storage.delaylog import DelayRow, read_rows, rows
from eelogger.storage.formats import delay_line, label, parse_delay_line, parse_time
from eelogger.storage.line_blocks import Skipped
from eelogger.storage.paths import LogPaths

SECOND = 1_000_000
NOON_US = parse_time("2026-11-22T12:00:00Z")
ID = "100e0001"
OWN = f"Front Door_{ID}.log"
FIGURES = RunningFigures(12, "0.700", "1.900", "2.300", "0.810", "0.210", "2.400", 3, "0.700")
VERDICT = Verdict(MEASURED, ID, "ANNT", 103, "Intrusion", "8d5e", NOON_US, NOON_US - 5, 5, FIGURES, 1, 7)
CAMERA = Camera(ID, "Front Door", "100bb001")
WRITTEN = st.lists(st.tuples(verdicts(), CAMERAS), max_size=12)


def plain(line: str) -> DelayRow:
    """The row as the slow way has it, which a key of another version takes."""
    (row,) = rows(f"{line} x=1\n".encode(), Skipped())
    return row._replace(line=line.encode())


@settings(max_examples=100)
@given(WRITTEN)
def test_a_row_holds_what_its_line_says_and_counts_as_its_verdict_did(written: list[tuple[Verdict, Camera]]) -> None:
    lines = [delay_line(verdict, label(camera)) for verdict, camera in written]
    read = rows("".join(lines).encode(), Skipped())
    assert read == [plain(line[:-1]) for line in lines]
    ours, theirs = CameraStatistics(), CameraStatistics()
    for row, line, (verdict, _) in zip(read, lines, written, strict=True):
        assert row.parsed() == parse_delay_line(line)
        assert (row.is_clean, row.group) == (is_clean(verdict), verdict.group)
        new_max = ours.count(row.kind, row.arrived_us, row.delay_us, row.group)
        if verdict.kind == MEASURED:
            assert new_max is theirs.observe(verdict.arrived_us, verdict.delay_us or 0, verdict.group)
    counted = Counter(verdict.kind for verdict, _ in written)
    expected = [counted[kind] for kind in (MEASURED, EARLY, INITIAL, UNDATED)]
    assert [ours.n, ours.early.n, ours.initial, ours.undated] == expected
    assert [ours.figures(group) for group in ours.groups] == [theirs.figures(group) for group in theirs.groups]


@settings(max_examples=100)
@given(WRITTEN, st.randoms(use_true_random=False))
def test_no_damaged_line_is_taken_for_another(written: list[tuple[Verdict, Camera]], chance: random.Random) -> None:
    """Pairs lost, doubled or exchanged, parts of lines: what the fast way takes, the plain way reads alike."""
    lines = []
    for verdict, camera in written:
        words = delay_line(verdict, label(camera))[:-1].split(" ")
        for _ in range(chance.randrange(3)):
            index = chance.randrange(len(words))
            more = [[], [words[index]] * 2, [chance.choice(words)], ["x=1", "=", '"'], ["op=" + "9" * 5000]]
            words[index : index + 1] = chance.choice(more)
            words = words or ["x"]
        lines.append(" ".join(words)[: chance.choice([None, None, 150])])
    lines = [line for line in lines if line]
    read = rows("".join(f"{line}\n" for line in lines).encode(), skipped := Skipped())
    assert len(read) + skipped.lines == len(lines)
    for row in read:
        assert row == plain(row.line.decode())
        assert row.parsed()[0].arrived_us == row.arrived_us


def test_a_line_that_contradicts_itself_is_nobodys_figure_and_no_error() -> None:
    line = delay_line(VERDICT, label(CAMERA))
    for before, after, is_row in (
        ("2026-11-22T11:59", "2026-13-22T11:59", True),  # the event's time, which no figure needs
        ("2026-11-22T12:00", "2026-02-30T12:00", False), ("delay_s=0.000005", "delay_s=-0.000005", False),
        ("delay_s=0.000005", "delay_s=10000000000.000005", False),  # longer than figures can be
        ("verdict=measured", "verdict=early", False), ("verdict=measured", "verdict=new", False),
        ("ns=103", f"ns={'9' * 5000}", False), ("n=12", "n=1.2", True),
    ):  # fmt: skip
        assert before in line
        found = rows(line.replace(before, after).encode(), skipped := Skipped())
        assert [row.parsed()[0].delay_us for row in found] == [5] * is_row, after
        assert skipped.lines == (not is_row), after
    assert rows(line[:-1].encode(), skipped := Skipped()) == [], "what is cut off may change it"
    assert skipped.lines == 1


@pytest.mark.parametrize("name", ["Front Door", 'a "b" \\', "Tür", ""])
def test_the_usual_line_takes_the_fast_way(name: str) -> None:
    for v in (
        VERDICT._replace(new_max=True),
        VERDICT._replace(after_gap_us=7, lag_us=20_000, type="ALRS", ns=None, op=None, seq=None),
        VERDICT._replace(kind=EARLY, delay_us=-5, event_us=NOON_US + 5, figures=None),
        VERDICT._replace(kind=INITIAL, figures=None),
    ):
        assert delaylog._USUAL(delay_line(v, label(Camera(ID, name))).encode()[:-1])


def log(*numbers: int, day: str = "2026-11-22") -> bytes:
    """A delay log with a line for each number, one a second."""
    lines = [
        delay_line(VERDICT._replace(arrived_us=NOON_US + n * SECOND, identity=f"u{n}", delay_us=n), label(CAMERA))
        for n in numbers
    ]
    return "".join(lines).replace("2026-11-22", day).encode()


def read(paths: LogPaths, day: str | None = "2026-11-22") -> list[str]:
    """The identities in the delay logs of a folder."""
    (files,) = CameraFiles(paths).delay_logs().values()
    return [row.identity for batch in read_rows(files, day, Skipped()) for row in batch]


def test_each_identity_of_several_files_is_read_once_in_order_of_arrival(tmp_path: Path) -> None:
    (tmp_path / "cameras.json").write_text('{"100e0001": {"name": "Front Door"}}')
    (tmp_path / OWN).write_bytes(log(3, 5, 6) + log(7)[:-1])
    (tmp_path / f"Copy of {OWN}").write_bytes(log(0, day="2026-11-21") + log(3, 4) + b"torn")
    (tmp_path / f"{OWN}.gz").write_bytes(gzip.compress(log(8, day="2026-11-21") + log(1, 2, 3)))
    assert read(LogPaths(tmp_path)) == ["u1", "u2", "u3", "u4", "u5", "u6"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_lone_own_log_is_read_whatever_its_day_and_a_lone_copy_is_not(tmp_path: Path, packed: bool) -> None:
    """Lines stay in the later day when the clock is put back over midnight; a copy may be yesterday's."""
    paths = LogPaths(tmp_path)
    lines = log(1, day="2026-11-21") + log(2)
    (tmp_path / (f"{OWN}.gz" if packed else OWN)).write_bytes(gzip.compress(lines) if packed else lines)
    assert read(paths) == ["u1", "u2"]
    (tmp_path / f"Copy of {OWN}").write_bytes(log(3, day="2026-11-21"))
    (tmp_path / "cameras.json").write_text('{"100e0001": {"name": "Front Door"}}')
    assert read(paths) == ["u1", "u2"]
    (tmp_path / "cameras.json").write_text('{"100e0001": {"name": "Another"}}')
    assert read(paths) == ["u2"]
    assert read(paths, "2026-11-21") == ["u1", "u3"]
