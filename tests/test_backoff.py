"""Pauses that a broken server cannot turn into an attack, and a refused login that no cron job repeats."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.backoff import SHORTEST_S, Backoff, RefusedLogin

MINUTE_US = 60_000_000
NOW_US = 1_800_000_000_000_000
chances = st.floats(0, 1, exclude_max=True)


def attempts(rolls: list[float], ups: list[float]) -> list[float]:
    """When each attempt starts, with connections that are open for `ups` seconds."""
    backoff = Backoff(iter(rolls).__next__)
    starts = [0.0]
    for up_for_s in ups:
        starts.append(starts[-1] + up_for_s + backoff.next_delay(up_for_s))
    return starts


@given(st.lists(chances, min_size=14, max_size=14), st.lists(st.floats(0, 2.5), min_size=14, max_size=14))
def test_a_server_that_accepts_and_closes_sees_8_attempts_and_then_one_a_minute(
    rolls: list[float], ups: list[float]
) -> None:
    starts = attempts(rolls, ups)
    assert len([at for at in starts if at < 60]) <= 8
    assert all(after - before > 59.999 for before, after in pairwise(at for at in starts if at >= 60))


@given(st.lists(chances, min_size=14, max_size=14), st.lists(st.floats(0, 59.9), min_size=14, max_size=14))
def test_connections_that_never_last_a_minute_end_up_at_one_a_minute(rolls: list[float], ups: list[float]) -> None:
    starts = attempts(rolls, ups)
    assert all(after - before > 59.999 for before, after in pairwise(starts[6:]))


@given(st.lists(chances, min_size=9, max_size=9))
def test_pauses_grow_from_1_s_to_60_s(rolls: list[float]) -> None:
    backoff = Backoff(iter(rolls).__next__)
    pauses = [backoff.next_delay() for _ in rolls]
    assert SHORTEST_S <= pauses[0] <= 1.5
    assert pauses == sorted(pauses)
    assert pauses[6:] == [60.0] * 3


def test_chance_spreads_loggers_that_lost_the_same_server() -> None:
    assert Backoff(lambda: 0.0).next_delay() != Backoff(lambda: 0.9).next_delay()


@pytest.mark.parametrize(("up_for_s", "pause_s"), [(59.9, 4.0), (60.0, 1.0), (86_400.0, 1.0)])
def test_only_a_connection_that_stayed_up_for_a_minute_starts_over(up_for_s: float, pause_s: float) -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.next_delay(), backoff.next_delay()] == [1.0, 2.0]
    assert backoff.next_delay(up_for_s) == pause_s


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"),
    [(None, 1.0), (30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (600.0, 600.0), (86_400.0, 600.0), (float("nan"), 1.0)],
)
def test_retry_after_is_believed_up_to_ten_minutes(retry_after_s: float | None, pause_s: float) -> None:
    assert Backoff(lambda: 0.0).next_delay(0.0, retry_after_s) == pause_s


def test_a_refused_login_waits_15_minutes_doubling_to_a_day() -> None:
    refused = None
    waits = []
    for _ in range(40):
        refused = RefusedLogin.after(refused, "ab", NOW_US)
        waits.append((refused.until_us - NOW_US) // MINUTE_US)
    assert waits[:8] == [15, 30, 60, 120, 240, 480, 960, 1440]
    assert set(waits[8:]) == {1440}


def test_other_credentials_are_not_blocked_and_start_anew() -> None:
    refused = RefusedLogin.after(RefusedLogin.after(None, "ab", NOW_US), "ab", NOW_US)
    assert refused.blocks("ab", NOW_US)
    assert not refused.blocks("cd", NOW_US)
    assert RefusedLogin.after(refused, "cd", NOW_US).tries == 1


def test_a_block_ends_and_a_clock_put_back_does_not_prolong_it() -> None:
    refused = RefusedLogin.after(None, "ab", NOW_US)
    assert refused.blocks("ab", refused.until_us - 1)
    assert not refused.blocks("ab", refused.until_us)
    assert not refused.blocks("ab", NOW_US - 365 * 24 * 60 * MINUTE_US)


@given(st.builds(RefusedLogin, st.text(), st.integers(), st.integers(1)))
def test_what_the_state_file_holds_is_the_value_it_came_from(refused: RefusedLogin) -> None:
    assert RefusedLogin.from_json(json.loads(json.dumps(refused.to_json()))) == refused


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"fingerprint": "a", "until_us": 1}, {"fingerprint": "a", "until_us": "x", "tries": 1}, "",
     {"fingerprint": "a", "until_us": 1, "tries": 0}],
)  # fmt: skip
def test_a_damaged_state_remembers_no_refusal(value: object) -> None:
    assert RefusedLogin.from_json(value) is None
