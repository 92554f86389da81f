"""Names: any text becomes a safe path, and no camera's file is another's or one of ours."""

import os
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from eelogger.storage.paths import LogPaths, day_of, is_day, sanitize_filename, temporary

ID = "100e1e23"
HOSTILE = '<>:"/\\|?*. \x00\n\x1b\u202e\u2066\u2028\u00a0\u200d\u0301\ud800\udfffCOMNULPRN1¹eé𝄞'
NAMES = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)), max_size=400)
IDS = st.text("0123456789abcdef", min_size=8, max_size=8)
PATHS = LogPaths(Path("/srv/logs"))
OURS = [
    "maxeventdelay.log", "summary.log", "gaps.log", "health.log", "rejected.log", "eelogger.log", "cameras.json",
    "processed_event_uuids.log", "processed_event_uuids.log.1", ".state", ".lock", ".said", "days", "stream", "demo",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Front Door", "Front Door"), ('a<b>c:d"e/f\\g|h?i*j', "a_b_c_d_e_f_g_h_i_j"),
        ("../../etc/passwd", "_.._etc_passwd"), ("", "unnamed"), (" . ", "unnamed"), ("\x00\x07\n\x1b[31m", "[31m"),
        ("\u202eexe.cod", "exe.cod"), ("  Gate. ", "Gate"), ("Tor\u00a0Süd", "Tor Süd"), ("Cafe\u200d\u0301", "Café"),
        ("nul .a.b", "_nul .a.b"), ("LPT³.log", "_LPT³.log"), ("Lpt\u20609", "_Lpt9"), ("CONSOLE", "CONSOLE"),
        ("COM10", "COM10"),
    ],
)  # fmt: skip
def test_sanitize_filename(name: str, safe: str) -> None:
    assert sanitize_filename(name) == safe


@given(NAMES)
@example("CON" + " " * 300 + "x")
@example("CON." + "x" * 300)
@example("\u1112\u1161\u11ab" * 200)
@example("x" * 227 + "é")
def test_any_text_is_a_safe_name(name: str) -> None:
    safe = sanitize_filename(name)
    assert sanitize_filename(safe) == safe
    assert 1 <= len(safe.encode()) <= 228
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
    assert delay.name.casefold() not in OURS


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
    assert len(part) == 1 or len(longest.encode("utf-16-le")) // 2 <= 259
    assert sanitize_filename(name).startswith(part)


def test_no_name_is_cut_more_than_it_must_be() -> None:
    paths = LogPaths(Path("/" + "d" * 150))
    assert len(str(temporary(paths.day("2026-11-21").stream(paths.stem(ID, "x" * 300))))) == 259
    assert len(temporary(PATHS.stream(PATHS.stem(ID, "é" * 300))).name.encode()) == 255


@given(st.integers(0, 4 * 10**15))
@example(20_411 * 86_400 * 10**6 - 1)
@example(20_411 * 86_400 * 10**6)
def test_the_day_is_that_of_utc(us: int) -> None:
    assert day_of(us) == (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).date().isoformat()


@pytest.mark.parametrize("day", ["", "2026-02-30", "20261121", "2026-W01-1", "../..", "２０２６-11-21", "2026-11-21\n"])
def test_what_is_no_day(day: str) -> None:
    assert not is_day(day)
