"""`.state`: what is written is read back, and whatever else stands there is as good as none."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.backoff import RefusedLogin
from eelogger.logdir.state import State, read_state, state_text
from eelogger.paths import LogPaths

MOMENTS = st.integers(0, 4_000_000_000_000_000)
LOGINS = st.builds(RefusedLogin, st.text(), st.integers(0, 10**16), st.integers(1, 99))
STATES = st.builds(State, st.dates().map(str), MOMENTS, MOMENTS, st.booleans(), MOMENTS, st.none() | LOGINS)
STATE = State("2026-11-22", 1_795_348_800_123_456, 1_795_348_799_000_000, True, 1_795_000_000_000_000)


def stored(text: str | bytes) -> State | None:
    """What is read when this stands in the file."""
    with TemporaryDirectory() as folder:
        paths = LogPaths(Path(folder))
        paths.state.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return read_state(paths)


@given(STATES)
def test_what_is_written_is_read_back(state: State) -> None:
    assert stored(state_text(state)) == state


def test_a_person_can_read_it() -> None:
    assert json.loads(state_text(STATE)) == {
        "day": "2026-11-22",
        "alive": "2026-11-22T12:00:00.123456Z",
        "done": "2026-11-22T11:59:59.000000Z",
        "clean": True,
        "since": "2026-11-18T11:06:40.000000Z",
    }


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\0" * 300,
        "null",
        "[]",
        "5",
        "{}",
        "[" * 100_000,
        b"\xff\xfe",
        state_text(STATE)[:-9],
        state_text(STATE).replace("2026-11-22", "../../etc", 1),
        state_text(STATE).replace("2026-11-22", "2026-02-30", 1),
        state_text(STATE).replace('"2026-11-22T12:00:00.123456Z"', "5"),
        state_text(STATE).replace("2026-11-22T12:00:00.123456Z", "0001-01-01T00:00:00+09:00"),
        state_text(STATE).replace('"alive"', '"live"'),
    ],
    ids=range(14),
)
def test_damage_is_as_good_as_none(content: str | bytes) -> None:
    assert stored(content) is None


def test_none_is_none(tmp_path: Path) -> None:
    assert read_state(LogPaths(tmp_path)) is None
    assert read_state(LogPaths(tmp_path / "missing")) is None


def test_unknown_keys_and_a_damaged_login_are_let_pass() -> None:
    assert stored(state_text(STATE).replace("{", '{"new": [1], "login": {"tries": 0},', 1)) == STATE
