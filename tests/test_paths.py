"""Names: any text becomes a safe path, no camera's file is another's or one of ours, a rename loses nothing."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.paths import NAME_BYTES, PATH_CHARS, LogPaths, is_day, rename_camera, sanitize_filename, temporary

ID = "100e1e23"
HOSTILE = '<>:"/\\|?*. \x00\n\x1b\u202e\u2066\u2028\u00a0\u200d\u0301\ud800\udfffCOMNULPRN1¹eé𝄞'
NAMES = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)), max_size=400)
IDS = st.text("0123456789abcdef", min_size=8, max_size=8)
PATHS = LogPaths(Path("/srv/logs"))
KEPT = (
    "processed_event_uuids.log",
    "processed_event_uuids.log.1",
    ".state",
    ".lock",
    ".said",
    "days",
    "stream",
    "demo",
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Front Door", "Front Door"),
        ('a<b>c:d"e/f\\g|h?i*j', "a_b_c_d_e_f_g_h_i_j"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("", "unnamed"),
        ("...", "unnamed"),
        (" . ", "unnamed"),
        ("\x00\x07\n\x1b[31m", "[31m"),
        ("\u202eexe.cod", "exe.cod"),
        ("\ud800", "unnamed"),
        ("  Gate. ", "Gate"),
        ("Tor\u00a0Süd", "Tor Süd"),
        ("Cafe\u0301", "Café"),
        ("Cafe\u200d\u0301", "Café"),
        ("con", "_con"),
        ("CON.txt", "_CON.txt"),
        ("nul .a.b", "_nul .a.b"),
        ("COM1", "_COM1"),
        ("LPT³.log", "_LPT³.log"),
        ("Lpt\u20609", "_Lpt9"),
        ("CONSOLE", "CONSOLE"),
        ("COM10", "COM10"),
        ("前門", "前門"),
    ],
)
def test_sanitize_filename(name: str, safe: str) -> None:
    assert sanitize_filename(name) == safe


@given(NAMES)
@example("CON" + " " * 300 + "x")
@example("CON." + "x" * 300)
@example("\u1112\u1161\u11ab" * 200)
@example("x" * (NAME_BYTES - 1) + "é")
def test_any_text_is_a_safe_name(name: str) -> None:
    safe = sanitize_filename(name)
    assert sanitize_filename(safe) == safe
    assert 1 <= len(safe.encode()) <= NAME_BYTES
    assert safe.isprintable()
    assert not set(safe) & set('<>:"/\\|?*')
    assert safe == safe.strip(" .")
    assert unicodedata.is_normalized("NFC", safe)
    device = safe.partition(".")[0].rstrip().upper()
    assert device not in {"CON", "PRN", "AUX", "NUL"}
    assert not (device[:3] in {"COM", "LPT"} and device[3:] in set("123456789¹²³"))


@pytest.mark.parametrize("name", ["x" * 300, "é" * 300, "𝄞" * 300, "前" * 300])
def test_a_long_name_is_cut_at_a_character_and_fits(name: str, tmp_path: Path) -> None:
    safe = sanitize_filename(name)
    assert name.startswith(safe)
    assert NAME_BYTES - 4 < len(safe.encode()) <= NAME_BYTES
    longest = temporary(tmp_path / f"{safe}_{ID}_stream.log")
    assert len(longest.name.encode()) <= 255
    longest.touch()


@given(NAMES, IDS)
@example("processed_event", "deadbeef")
def test_no_camera_file_is_ours(name: str, camera_id: str) -> None:
    stem = PATHS.stem(camera_id, name)
    assert stem.endswith(f"_{camera_id}")
    delay, stream = PATHS.delay(stem), PATHS.stream(stem)
    assert os.path.normpath(delay) == str(delay)
    assert (delay.parent, stream.parent) == (PATHS.root, PATHS.stream_dir)
    assert delay.name.casefold() not in {n.casefold() for n in (*PATHS.ours(), *KEPT)}


@given(NAMES, NAMES, IDS, IDS)
def test_two_cameras_share_no_file(name: str, other: str, camera_id: str, other_id: str) -> None:
    if camera_id == other_id:
        return
    files = [
        f(PATHS.stem(i, n)) for i, n in ((camera_id, name), (other_id, other)) for f in (PATHS.delay, PATHS.stream)
    ]
    assert len({unicodedata.normalize("NFC", str(f)).casefold() for f in files}) == 4


@pytest.mark.parametrize(
    "camera_id", ["uuids", "", "../../etc", "100e1e2", "100e1e234", "100e1e2g", "１００e1e23", "100e1e2\n"]
)
def test_an_id_that_is_none_makes_no_path(camera_id: str) -> None:
    with pytest.raises(ValueError, match="no camera id"):
        PATHS.stem(camera_id, "processed_event")


@given(NAMES, st.integers(0, 300))
@example("𝄞" * 300, 300)
def test_the_longest_path_fits_and_the_id_is_whole(name: str, depth: int) -> None:
    paths = LogPaths(Path("/" + "d" * depth))
    stem = paths.stem(ID, name)
    part = stem.removesuffix(f"_{ID}")
    longest = str(temporary(paths.day("2026-11-21").stream(stem)))
    assert len(part) == 1 or len(longest.encode("utf-16-le")) // 2 <= PATH_CHARS
    assert sanitize_filename(name).startswith(part)


def test_a_relative_root_counts_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert LogPaths(Path("logs")).stem(ID, "x" * 300) == LogPaths(tmp_path / "logs").stem(ID, "x" * 300)


def test_the_names_an_operator_knows() -> None:
    stem = PATHS.stem(ID, "Front Door")
    assert PATHS.delay(stem) == Path("/srv/logs/Front Door_100e1e23.log")
    assert PATHS.stream(stem) == Path("/srv/logs/stream/Front Door_100e1e23_stream.log")
    assert PATHS.day("2026-11-21").summary == Path("/srv/logs/days/2026-11-21/summary.log")
    ours = {
        "maxeventdelay.log",
        "summary.log",
        "gaps.log",
        "health.log",
        "rejected.log",
        "eelogger.log",
        "cameras.json",
    }
    assert set(PATHS.ours()) == ours
    assert not ours & set(KEPT)


@pytest.mark.parametrize(
    "day", ["", "2026-02-30", "20261121", "2026-11-21/..", "../..", "２０２６-11-21", "2026-11-21\n"]
)
def test_what_is_no_day(day: str, tmp_path: Path) -> None:
    assert not is_day(day)
    with pytest.raises(ValueError, match="no day"):
        LogPaths(tmp_path).day(day)


def test_days_are_real_folders_in_order(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    assert paths.days() == []
    for name in ("2026-11-21", "2026-10-02", "2026-13-01", "notes"):
        (paths.days_dir / name).mkdir(parents=True)
    (paths.days_dir / "2026-01-01").symlink_to(tmp_path)
    (paths.days_dir / "2026-01-02").touch()
    assert paths.days() == ["2026-10-02", "2026-11-21"]


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_find_stems(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    assert paths.find_stems() == {}
    for name in ("Old_100e1e23.log", "stream/New_100e1e23_stream.log", "stream/Only_100e1e24_stream.log"):
        put(tmp_path / name, "")
    for name in (
        *paths.ours(),
        *KEPT[:5],
        "stream/x_100e1e25.log",
        "x_100e1e26.log.1",
        "_100e1e27.log",
        "days/x_100e1e28.log",
    ):
        put(tmp_path / name, "")
    assert paths.find_stems() == {ID: ["New_100e1e23", "Old_100e1e23"], "100e1e24": ["Only_100e1e24"]}


def test_a_renamed_camera_keeps_its_lines(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    put(paths.delay("Old_100e1e23"), "time=2026-11-22T01:00:00.000000Z a\n")
    put(paths.stream("Old_100e1e23"), "2026-11-22T01:00:00.000000+00:00 -- {}\n")
    put(paths.delay("Old_100e1e24"), "other\n")
    assert rename_camera(paths, ID, "New_100e1e23") == ["Old_100e1e23"]
    assert rename_camera(paths, ID, "New_100e1e23") == []
    assert paths.find_stems() == {ID: ["New_100e1e23"], "100e1e24": ["Old_100e1e24"]}
    assert paths.delay("New_100e1e23").read_text() == "time=2026-11-22T01:00:00.000000Z a\n"
    assert paths.stream("New_100e1e23").read_text() == "2026-11-22T01:00:00.000000+00:00 -- {}\n"


def test_files_under_several_names_become_one_in_time_order(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    put(paths.delay("A_100e1e23"), "time=2026-11-22T02:00:00.000000Z a\ntime=2026-11-22T04:00:00.000000Z torn")
    put(paths.delay("B_100e1e23"), "time=2026-11-22T01:00:00.000000Z b\n")
    put(paths.delay("New_100e1e23"), "time=2026-11-22T03:00:00.000000Z n\ntime=2026-11-22T05:00:00.000000Z n\n")
    assert rename_camera(paths, ID, "New_100e1e23") == ["A_100e1e23", "B_100e1e23"]
    assert [line.split()[1] for line in paths.delay("New_100e1e23").read_text().splitlines()] == [
        "b",
        "a",
        "n",
        "torn",
        "n",
    ]
    assert os.listdir(tmp_path) == ["New_100e1e23.log"]


def test_another_spelling_of_the_same_file_is_not_merged_with_itself(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    put(paths.delay("front_100e1e23"), "a\nb\n")
    # What a file system that ignores case answers, here by a second link.
    os.link(paths.delay("front_100e1e23"), paths.delay("Front_100e1e23"))
    rename_camera(paths, ID, "Front_100e1e23")
    assert paths.delay("Front_100e1e23").read_text() == "a\nb\n"


def test_the_start_removes_what_was_half_written_and_completes_merges(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    day = paths.day("2026-11-21")
    stem = f"A_{ID}"
    put(temporary(paths.summary), "half")
    put(temporary(day.stream(stem)), "half")
    put(tmp_path / "notes.tmp", "mine")
    put(day.gaps, "a\n")
    put(day.root / "gaps.log.ee-add", "b\n")
    put(paths.stream(stem), "a\n")
    put(paths.stream_dir / f"A_{ID}_stream.log.ee-add", "b\n")
    put(paths.stream_dir / f"A_{ID}_stream.log.ee-all", "a\nb\n")
    paths.remove_temporaries()
    assert (day.gaps.read_text(), paths.stream(stem).read_text()) == ("a\nb\n", "a\nb\n")
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"notes.tmp", "days/2026-11-21/gaps.log", f"stream/A_{ID}_stream.log"}
    LogPaths(tmp_path / "nowhere").remove_temporaries()
