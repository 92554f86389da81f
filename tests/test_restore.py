"""The invariant of a start: memory and files afterwards are those of a run that never ended."""

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from played import BACK, FRONT, NOON_US, SECOND, Message, Played, Reconnect, Step, annt, one, play, scripts, texts

from eelogger.storage import state as states
from eelogger.storage.camera_files import CameraFiles, cut_torn_tails, read_cameras
from eelogger.storage.disk import DELAY, STREAM
from eelogger.storage.formats import parse_delay_line
from eelogger.storage.lock import process_state
from eelogger.storage.paths import LogPaths
from eelogger.storage.state import read_state

FIRST = Reconnect(NOON_US, NOON_US)
FRONT_LOG = f"Front Door_{FRONT}.log"
FRONT_STREAM = f"stream/Front Door_{FRONT}_stream.log"


def identities_of(run: Played) -> list[str]:
    """The lines for the identity log, as they were handed over."""
    return [text.rstrip("\n") for _, text in run.batch.identities]


def knowledge(run: Played) -> dict[str, Any]:
    """What a run knows of its day, in a form that can be compared."""
    day = run.handler.day
    return {
        f"{what} of {camera_id}": value
        for camera_id, statistics in sorted(day.cameras.items())
        for what, value in {
            "figures": [statistics.figures(group) for group in sorted(statistics.groups, key=str)],
            "recent": [statistics.recent(group, statistics.latest_us()).n for group in statistics.groups],
            "hours": statistics.hourly_p95,
            "early, initial, undated": (statistics.early.n, statistics.initial, statistics.undated),
            "worst": day.worst[camera_id]._replace(figures=None) if camera_id in day.worst else None,
            "clean": day.clean[camera_id]._replace(figures=None) if camera_id in day.clean else None,
        }.items()
    }


@settings(max_examples=50)
@given(scripts(), st.data())
def test_whatever_a_kill_left_out_is_there_after_the_next_start(script: list[Step], data: st.DataObject) -> None:
    """Stream logs are whole; from some moment on delay lines and identities are missing, each from its own.

    The start that follows finds nothing missing, and knows what the run knew.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder) / "killed"
        full = play(Path(folder) / "full", script)
        whole = texts(full.paths.root, "*_100e*.log")
        done_us = data.draw(st.sampled_from([step.at_us for step in script]))
        shutil.copytree(full.paths.root, root)
        for path in root.glob("*_100e*.log"):
            _lose_lines(path, done_us, data)
        _lose_identities(LogPaths(root), done_us, data)
        LogPaths(root).max_delay.unlink(missing_ok=True)
        cut_torn_tails(LogPaths(root))
        after = Played(root)
        after.restore(done_us)
        after.write()
        assert texts(root, "*_100e*.log") == whole
        identities = [sorted(_lines(paths.uuids)) for paths in (full.paths, after.paths)]
        assert identities[0] == identities[1]
        again = Played(root)
        found = again.restore(NOON_US)
    assert knowledge(after) == knowledge(again) == knowledge(full)
    assert again.recorder.coverage.gaps == full.recorder.coverage.gaps
    assert not again.batch.size
    assert all(identity in again.handler.dedup for identity in identities[0])
    assert (found.skipped.lines, found.skipped.files) == (0, [])
    assert found.share in (0.0, 1.0), "there was nothing, or all was read"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _lose_lines(path: Path, done_us: int, data: st.DataObject) -> None:
    """Lose a part of the lines that are newer than `done_us`, the last line that stays perhaps only half."""
    lines = path.read_bytes().splitlines(keepends=True)
    old = [line for line in lines if parse_delay_line(line.decode())[0].arrived_us < done_us]  # type: ignore[index]
    kept = data.draw(st.integers(len(old), len(lines)))
    torn = lines[kept][: data.draw(st.integers(0, 40))] if kept < len(lines) else b""
    path.write_bytes(b"".join(lines[:kept]) + torn)


def _lose_identities(paths: LogPaths, done_us: int, data: st.DataObject) -> None:
    """Identities are written after their delay lines: lose some of those, and all whose line is lost."""
    verdicts = [
        parse_delay_line(line)[0]  # type: ignore[index]
        for path in paths.root.glob("*_100e*.log")
        for line in path.read_text().split("\n")[:-1]
    ]
    arrived = {verdict.identity: verdict.arrived_us for verdict in verdicts}
    rows = [row for row in _lines(paths.uuids) if row in arrived]
    old = max((number for number, row in enumerate(rows, 1) if arrived[row] < done_us), default=0)
    paths.uuids.write_text("".join(f"{row}\n" for row in rows[: data.draw(st.integers(old, len(rows)))]))


@pytest.mark.parametrize(
    ("old", "current", "missing", "forgotten"),
    [('u3\n"an old one"\n', "u4\nu5\n", "678", "12"), (None, "u3\n", "45678", "12"), (None, None, "45678", "123")],
)
def test_identities_known_are_those_of_the_logs_and_of_newer_delay_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str | None, current: str | None, missing: str, forgotten: str
) -> None:
    """A line that is older than the identity logs' last one and not in them was forgotten, and stays forgotten."""
    monkeypatch.setattr("eelogger.restore._MOST_IDENTITIES", 5)
    ids = {n: FRONT if n in (1, 6, 8) else BACK for n in range(1, 9)}
    paths = play(tmp_path, [FIRST, *(one(NOON_US + n * SECOND, f"u{n}", i) for n, i in ids.items())]).paths
    paths.uuids.unlink()
    for path, text in ((paths.uuids_old, old), (paths.uuids, current)):
        if text is not None:
            path.write_text(text)
    after = Played(tmp_path)
    after.restore()
    dedup = after.handler.dedup
    assert [n for n in "12345678" if f"u{n}" not in dedup] == list(forgotten)
    assert ("an old one" in dedup) is bool(old)
    assert identities_of(after) == [f"u{n}" for n in missing]


def test_identities_of_one_batch_are_written_file_by_file(tmp_path: Path) -> None:
    """So a kill may leave out one that is older than the last that is there."""
    messages = one(NOON_US + 1, "a", FRONT, 1), one(NOON_US + 2, "b", BACK, 2), one(NOON_US + 3, "c", FRONT)
    play(tmp_path, [FIRST, *messages]).paths.uuids.write_text("a\nc\n")
    after = Played(tmp_path)
    after.restore(NOON_US)
    assert identities_of(after) == ["b"]
    assert not after.batch.files[DELAY]


def test_what_precedes_a_known_identity_in_a_file_is_logged(tmp_path: Path) -> None:
    """Also when the line of the last one is gone."""
    messages = [one(NOON_US + n * SECOND, f"u{n}", delay_us=n) for n in range(2000)]
    play(tmp_path, [FIRST, *messages]).paths.uuids.write_text("u5\nu1990\ngone\n")
    after = Played(tmp_path)
    after.restore()
    assert identities_of(after) == [f"u{n}" for n in range(1991, 2000)]


def test_what_is_judged_again_is_counted_once_and_rejected_once(tmp_path: Path) -> None:
    event = {"ANNT": [annt(NOON_US, "a"), annt(NOON_US, "a"), 5], "EMES": {"eventid": 1}}
    before = play(tmp_path, [FIRST, Message(NOON_US + SECOND, {FRONT: {"pre": "x", "event": event}})])
    lines = texts(tmp_path, "*.log")
    (tmp_path / FRONT_LOG).unlink()
    before.paths.uuids.unlink()
    after = Played(tmp_path)
    assert after.restore(NOON_US).judged == 1
    assert after.batch.mark_us == NOON_US + SECOND
    assert not after.batch.files[STREAM]
    assert not after.recorder.rejects.counts
    assert after.recorder.lines is after.batch
    after.write()
    assert texts(tmp_path, "*.log") == lines


def test_values_with_lines_are_still_the_first_of_their_subscription(tmp_path: Path) -> None:
    """The second value of a four-CC is no initial state, also when only the first one has its line."""
    late = Message(NOON_US + 50 * SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US - SECOND, "second")}}})
    whole = restored_from_first(tmp_path, [one(NOON_US + SECOND, "first", delay_us=9), late], late.at_us)
    assert b"verdict=initial" not in whole


def test_a_done_that_lies_ahead_is_not_believed(tmp_path: Path) -> None:
    """A clock that was ahead wrote it: lines that came after it was set right would never be judged."""
    messages = [one(NOON_US + SECOND, "first"), one(NOON_US + 2 * SECOND, "b")]
    restored_from_first(tmp_path, messages, NOON_US + 10**16)


def restored_from_first(root: Path, messages: Sequence[Step], done_us: int) -> bytes:
    """The delay log after a start that found only its first line: it is whole again."""
    paths, log = play(root, [FIRST, *messages]).paths, root / FRONT_LOG
    whole = log.read_bytes()
    log.write_bytes(whole.splitlines(keepends=True)[0])
    paths.uuids.write_text("first\n")
    after = Played(root)
    after.restore(done_us)
    after.write()
    assert log.read_bytes() == whole
    return whole


def test_gaps_before_a_restart_count_for_the_next_measured_event(tmp_path: Path) -> None:
    """Also for a camera without files; but for one that was added on the day only those since."""
    gaps = [Reconnect(NOON_US + n * SECOND - 3 * SECOND, NOON_US + n * SECOND) for n in (10, 20)]
    lost = Reconnect(NOON_US + 30 * SECOND, NOON_US + 32 * SECOND, FRONT)
    messages = [one(NOON_US + 91 * SECOND, f"z{camera_id}", camera_id) for camera_id in (FRONT, BACK)]
    cases: tuple[tuple[str, list[str], int], ...] = ("known", [], 6), ("added", [BACK], 3)
    for name, added, missed_s in cases:
        root = tmp_path / name
        before = Played(root)
        before.play([FIRST, one(NOON_US + 5, "a"), gaps[0]])
        before.recorder.subscribed(NOON_US + 15 * SECOND, added)
        before.play([gaps[1], lost])
        before.write()
        after = Played(root)
        after.restore(NOON_US + 80 * SECOND)
        after.play(messages)
        after.write()
        last = {
            i: log.splitlines()[-1]
            for log in texts(root, "*_100e*.log").values()
            for i in (FRONT, BACK)
            if i in str(log)
        }
        assert b" after_gap_s=8.000000" in last[FRONT], name
        assert b" after_gap_s=%d.000000" % missed_s in last[BACK], name


@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_counts_once_and_is_not_touched(tmp_path: Path, packed: bool) -> None:
    """People and sync tools copy logs; the copy knows lines up to some moment, and those of yesterday."""
    before = play(tmp_path, [FIRST, *(one(NOON_US + n * SECOND, f"u{n}", delay_us=n) for n in range(1, 9))])
    copies = {}
    for own in (tmp_path / FRONT_LOG, tmp_path / FRONT_STREAM):
        lines = own.read_bytes().splitlines(keepends=True)
        content = lines[0].replace(b"2026-11-22T", b"2026-11-21T").replace(b"u1", b"u0") + b"".join(lines[:5])
        copy = own.with_name(f"{own.name}.gz" if packed else f"Copy of {own.name}")
        copies[copy] = gzip.compress(content) if packed else content
        copy.write_bytes(copies[copy])
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*Front*") if path.is_file()}
    own = tmp_path / FRONT_LOG
    own.write_bytes(b"".join(own.read_bytes().splitlines(keepends=True)[:6]))
    before.paths.uuids.write_text("".join(f"u{n}\n" for n in range(1, 7)))
    after = Played(tmp_path)
    cut_torn_tails(after.paths)
    after.restore(NOON_US)
    after.write()
    assert knowledge(after) == knowledge(before)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*Front*") if path.is_file()} == whole
    assert copies.items() < whole.items()


GARBAGE = st.sampled_from([b"", b"\0", b"{}", b"[", b"[" * 9000, b'{"day": 1e999}', b'{"pid": 1e999, "since": ""}'])
NUMBERS = st.sampled_from([b"9" * 400, b"1e999", b"NaN", b"-1", b'"x"', b"null", b"9" * 5000])
SAID = NUMBERS.map(lambda number: b'{"hangs": %s, "pid": %s, "since": "x", "day": "2026-11-22"}' % (number, number))


@settings(max_examples=60)
@given(scripts(), st.data())
def test_any_content_of_any_file_is_passed_over(script: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        paths = play(root, script).paths
        for path in (paths.state, paths.lock, paths.said, paths.uuids_old, paths.summary):
            path.touch()
        for path in sorted(root.rglob("*")):
            if path.is_file():
                _damage(path, data)
        paths.days_dir.write_bytes(b"no folder")
        after = Played(root)
        read_state(paths), process_state(paths), CameraFiles(paths).known(), read_cameras(paths)[0]
        states.is_news(paths, "hangs", 10.0**9)
        cut_torn_tails(paths)
        after.restore(data.draw(st.sampled_from([None, NOON_US])))


def _damage(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    match data.draw(st.sampled_from(["kept", "random", "json", "changed", "folder", "cut"])):
        case "random":
            path.write_bytes(data.draw(st.binary(max_size=60)))
        case "json":
            path.write_bytes(data.draw(GARBAGE | SAID))
        case "changed" if content:
            at = data.draw(st.integers(0, len(content) - 1))
            path.write_bytes(content[:at] + data.draw(st.binary(max_size=4) | NUMBERS) + content[at + 1 :])
        case "cut":
            path.write_bytes(content[data.draw(st.integers(0, len(content))) :])
        case "folder":
            path.unlink()
            path.mkdir()


def test_logs_of_0_1_0_are_restored(tmp_path: Path) -> None:
    fixture = Path(__file__).parent / "fixtures/logs-0.1.0"
    shutil.copytree(fixture, tmp_path / "logs")
    paths = LogPaths(tmp_path / "logs")
    state = read_state(paths)
    assert state is not None
    assert (state.day, state.clean) == ("2026-11-21", True)
    after = Played(paths.root, CameraFiles(paths).known(), state.day)
    found = after.restore(state.done_us)
    assert (found.rows, found.skipped.lines, found.skipped.files) == (12, 0, [])
    assert not after.batch.size
    counts = {i: (s.n, s.early.n, s.undated) for i, s in after.handler.day.cameras.items()}
    assert counts == {"10075d33": (4, 0, 0), "100a6e59": (5, 0, 0), "100dac23": (1, 1, 1)}
    before = paths.max_delay.read_bytes()
    after.write()
    assert sorted(paths.max_delay.read_bytes().splitlines()) == sorted(before.splitlines())
    assert "not one word, but é" in after.handler.dedup
