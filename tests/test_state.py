"""`.state` and who is at work: what is written is read back, and whatever else stands there is as good as none."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, strategies as st

from eelogger.model import RefusedLogin
from eelogger.storage.lock import DIED, HANGS, NEVER, RUNNING, STOPPED, DirectoryLock, process_state
from eelogger.storage.paths import LogPaths
from eelogger.storage.state import State, read_refused_login, read_state, remember_refused_login, state_text

MOMENTS = st.integers(0, 4_000_000_000_000_000)
STATES = st.builds(State, st.dates().map(str), MOMENTS, MOMENTS, st.booleans(), MOMENTS)
STATE = State("2026-11-22", 1_795_348_800_123_456, 1_795_348_799_000_000, True, 1_795_000_000_000_000)
LOGIN = RefusedLogin("f", 1_795_348_800_000_000)


def stored(text: str) -> State | None:
    """What is read of a file with this text."""
    with TemporaryDirectory() as folder:
        paths = LogPaths(Path(folder))
        paths.state.write_bytes(text.encode("utf-8", "surrogatepass"))
        return read_state(paths)


@given(STATES)
def test_what_is_written_is_read_back(state: State) -> None:
    assert stored(state_text(state)) == state


def test_a_person_can_read_it() -> None:
    assert json.loads(state_text(STATE)) == {
        "day": "2026-11-22", "alive": "2026-11-22T12:00:00.123456Z", "done": "2026-11-22T11:59:59.000000Z",
        "clean": True, "since": "2026-11-18T11:06:40.000000Z", "login": None,
    }  # fmt: skip


def test_damage_is_as_good_as_none() -> None:
    text, alive = state_text(STATE), "2026-11-22T12:00:00.123456Z"
    damaged = [text[:-9], text.replace("2026-11-22", "../../etc", 1), text.replace(f'"{alive}"', "5")]
    damaged += [text.replace(alive, f"{year}T00:00:00+09:00") for year in ("0001-01-01", "9999-12-31")]
    for content in (*damaged, "", "\0" * 300, "5", "{}", "[" * 100_000):
        assert stored(content) is None, content[:300]


@pytest.mark.parametrize("login", ['{"tries": 0}', "5", f'{{"fingerprint": "f", "until_us": {"9" * 400}}}'])
def test_unknown_keys_and_a_damaged_login_are_passed_over(login: str) -> None:
    assert stored(state_text(STATE).replace("{", f'{{"new": [1], "login": {login},', 1)) == STATE


@pytest.mark.parametrize("before", [None, b"garbage\xff", state_text(STATE).encode()])
def test_a_refused_login_is_remembered_beside_the_rest(tmp_path: Path, before: bytes | None) -> None:
    paths = LogPaths(tmp_path / "logs")
    if before is not None:
        paths.root.mkdir()
        paths.state.write_bytes(before)
    state = read_state(paths)
    remember_refused_login(paths, LOGIN)
    assert read_refused_login(paths) == LOGIN
    assert read_state(paths) == state
    remember_refused_login(paths, None)
    assert read_refused_login(paths) is None
    assert read_state(paths) == state
    assert os.listdir(paths.root) == [".state"]
    paths.state.write_text(state_text(STATE, LOGIN))
    assert read_refused_login(paths) == LOGIN
    nowhere = LogPaths(paths.state / "logs")
    remember_refused_login(nowhere, LOGIN)
    assert read_refused_login(nowhere) is None


def test_who_is_at_work(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)

    def kind(quiet_s: float = 0) -> str:
        if quiet_s:
            then = paths.lock.stat().st_mtime - quiet_s
            os.utime(paths.lock, (then, then))
        return process_state(paths).kind

    assert kind() == NEVER
    paths.state.write_text(state_text(STATE))
    assert kind() == STOPPED
    sign = json.dumps({"pid": os.getppid(), "since": "2026-11-22T00:00:00Z"})
    with DirectoryLock(paths):
        paths.lock.write_text(sign)
        assert process_state(paths)[:3] == (RUNNING, os.getppid(), "2026-11-22T00:00:00Z")
        paths.state.unlink()
        assert kind(30) == RUNNING
        assert kind(60) == HANGS
    assert kind() == DIED, "the pid is another process's by now: nobody holds the lock"
    paths.lock.write_text(sign.replace(str(os.getppid()), "4194303"))
    assert kind() == RUNNING, "in another container: its pid cannot be seen from here"
    assert kind(20) == DIED
    paths.state.write_text(state_text(STATE))
    assert kind() == STOPPED
