"""Names: any text becomes a safe path, and no camera's file is another's or one of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.model import DAY_US
from eelogger.storage import paths as names
from eelogger.storage.formats import parse_time
from eelogger.storage.paths import LogPaths, day_of, is_day, sanitize_filename, temporary

ID = "100e1e23"
HOSTILE = '<>:"/\\|?*. \x00\n\x1b\u202e\u2066\u2028\u00a0\u200d\u0301\ud800\udfffCOMNULPRN1¹eé𝄞'
NAMES = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)), max_size=400)
IDS = st.text("0123456789abcdef", min_size=8, max_size=8)
PATHS = LogPaths(Path("/srv/logs"))
OURS = ("maxeventdelay.log", "summary.log", "gaps.log", "health.log", "rejected.log", "eelogger.log", "cameras.json")
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
        (" . ", "unnamed"),
        ("\x00\x07\n\x1b[31m", "[31m"),
        ("\u202eexe.cod", "exe.cod"),
        ("  Gate. ", "Gate"),
        ("Tor\u00a0Süd", "Tor Süd"),
        ("Cafe\u200d\u0301", "Café"),
        ("nul .a.b", "_nul .a.b"),
        ("LPT³.log", "_LPT³.log"),
        ("Lpt\u20609", "_Lpt9"),
        ("CONSOLE", "CONSOLE"),
        ("COM10", "COM10"),
    ],
)
def test_sanitize_filename(name: str, safe: str) -> None:
    assert sanitize_filename(name) == safe


@given(NAMES)
@example("CON" + " " * 300 + "x")
@example("CON." + "x" * 300)
@example("\u1112\u1161\u11ab" * 200)
@example("x" * (names.NAME_BYTES - 1) + "é")
def test_any_text_is_a_safe_name(name: str) -> None:
    safe = sanitize_filename(name)
    assert sanitize_filename(safe) == safe
    assert 1 <= len(safe.encode()) <= names.NAME_BYTES
    assert safe.isprintable()
    assert not set(safe) & set('<>:"/\\|?*')
    assert safe == safe.strip(" .")
    assert unicodedata.is_normalized("NFC", safe)
    device = safe.partition(".")[0].rstrip().upper()
    assert device not in {"CON", "PRN", "AUX", "NUL"}
    assert not (device[:3] in {"COM", "LPT"} and device[3:] in set("123456789¹²³"))


@given(NAMES, IDS)
@example("processed_event", "deadbeef")
def test_no_camera_file_is_ours(name: str, camera_id: str) -> None:
    stem = PATHS.stem(camera_id, name)
    assert stem.endswith(f"_{camera_id}")
    delay, stream = PATHS.delay(stem), PATHS.stream(stem)
    assert os.path.normpath(delay) == str(delay)
    assert (delay.parent, stream.parent) == (PATHS.root, PATHS.stream_dir)
    assert delay.name.casefold() not in {name.casefold() for name in (*OURS, *KEPT)}


@pytest.mark.parametrize("camera_id", ["uuids", "", "100e1e2", "100e1e234", "100e1e2g", "１００e1e23", "100e1e2\n"])
def test_an_id_that_is_none_makes_no_path(camera_id: str) -> None:
    with pytest.raises(ValueError, match="no camera id"):
        PATHS.stem(camera_id, "processed_event")


@given(NAMES, st.integers(0, 300))
@example("𝄞" * 300, 300)
@example("x" * 300, 150)
def test_the_longest_path_fits_and_the_id_is_whole(name: str, depth: int) -> None:
    paths = LogPaths(Path("/" + "d" * depth))
    stem = paths.stem(ID, name)
    part = stem.removesuffix(f"_{ID}")
    longest = str(temporary(paths.day("2026-11-21").stream(stem)))
    assert len(part) == 1 or len(longest.encode("utf-16-le")) // 2 <= names.PATH_CHARS
    assert sanitize_filename(name).startswith(part)


def test_a_relative_root_counts_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert LogPaths(Path("logs")).stem(ID, "x" * 300) == LogPaths(tmp_path / "logs").stem(ID, "x" * 300)


@pytest.mark.parametrize("day", ["", "2026-02-30", "20261121", "2026-W01-1", "../..", "２０２６-11-21", "2026-11-21\n"])
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


def test_find_stems(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    paths.stream_dir.mkdir()
    logs = ("Old_100e1e23.log.gz", "stream/New_100e1e23_stream.log", "stream/Only_100e1e24_stream.log")
    for name in (*logs, *OURS, *KEPT[:5], "stream/x_100e1e25.log", "x_100e1e26.log.1", "_100e1e27.log"):
        (tmp_path / name).touch()
    assert paths.find_stems() == {ID: ["New_100e1e23", "Old_100e1e23"], "100e1e24": ["Only_100e1e24"]}


WRITE_AND_FIND = r"""
import os
import sys
from pathlib import Path
from eelogger.storage.paths import LogPaths
paths = LogPaths(Path(sys.argv[1]))
paths.stream_dir.mkdir()
stem = paths.stem("100e1e23", "\u65e5\u672c\u8a9e")
for path in (paths.delay(stem), paths.stream(stem)):
    path.write_text("x")
assert paths.find_stems() == {"100e1e23": [stem]}, paths.find_stems()
assert [path for *_, path in paths.delay_files()] == [paths.delay(stem)]
assert os.fsencode(paths.delay("B\udcffd_100e1e24").name) == b"B\xffd_100e1e24.log"
"""


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1", "C.UTF-8"])
def test_file_names_are_utf_8_whatever_the_locale(tmp_path: Path, locale: str) -> None:
    off = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": os.getcwd()}
    env = {"PATH": os.environ["PATH"], **off, "LC_ALL": locale}
    subprocess.run([sys.executable, "-c", WRITE_AND_FIND, tmp_path], env=env, check=True)
    names = sorted(os.listdir(os.fsencode(tmp_path)) + os.listdir(os.fsencode(tmp_path / "stream")))
    assert names == [b"stream", "日本語_100e1e23.log".encode(), "日本語_100e1e23_stream.log".encode()]


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_day_begins_and_ends_at_midnight(us: int) -> None:
    day = day_of(us)
    assert is_day(day)
    assert parse_time(day) <= us < parse_time(day) + DAY_US
