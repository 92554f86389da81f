"""The status line fits every terminal, and what matters least gives way first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from run_states import NOON_US, SECOND, cameras, day_of, run_state, verdict

from eelogger.measure.camera_statistics import Day
from eelogger.measure.clock_offset import Offset
from eelogger.model import Gap
from eelogger.views.run_state import OwnError, RunState
from eelogger.views.status_line import MANY, status_line
from eelogger.views.tables import width

GAP = Gap("gap", NOON_US, NOON_US + SECOND, "no-pong")
DELAYS = [1_900_000, *[412_000] * 10]


def full(**fields: Any) -> RunState:
    events = [verdict("100e0000", delay_us, NOON_US + i) for i, delay_us in enumerate(DELAYS)]
    values = {
        "written_us": NOON_US + 125 * 60 * SECOND, "totals": {"measured": 4100, "early": 20, "duplicate": 7},
        "last": events[-1], "rtt_us": 23_400, "gaps": [GAP], "own_error": OwnError(300, 900, 10_000, 50),
    }  # fmt: skip
    known = cameras("Front Door", *["x"] * 11)
    return run_state(day_of(events), known, **(values | fields))


def test_a_wide_terminal_shows_everything_that_is_known() -> None:
    at_once = full(written_us=NOON_US + 10 * SECOND)
    assert status_line(at_once, 200) == (
        "connected · 10 s · 12 cameras · 4,120 events · last 0.41 s · p95 1.9 s · RTT 23.4 ms · 1 gap · own 0.3 ms"
    )
    trouble = full(offset=Offset(-2_100_000, 1), disk="disk is full")
    assert status_line(trouble, 200).startswith("connected · disk: disk is full · clock off by 2.1 s · 2 h 05 min · ")
    nothing = run_state(Day(), {}, state="connecting", written_us=NOON_US + 1_400_000)
    assert status_line(nothing, 80) == "connecting · 1 s · 0 cameras · 0 events · no gap"
    assert status_line(full(reading=0.42, state="reading"), 80) == "reading the day's files, 42.0 % · 2 h 05 min"
    many = run_state(day_of(verdict(f"{i:08x}", SECOND) for i in range(MANY + 1)), {})
    assert "p95" not in status_line(many, 200), "adding up the hours of many cameras would delay stamps"


def test_what_stands_last_gives_way_first() -> None:
    assert [status_line(full(), columns) for columns in (80, 70, 24, 8)] == [
        "connected · 2 h 05 min · 12 cameras · 4,120 events · last 0.41 s · RTT 23.4 ms",
        "connected · 2 h 05 min · 12 cameras · 4,120 events · last 0.41 s",
        "connected · 2 h 05 min",
        "connec…",
    ]


@given(st.text(max_size=30), st.text(max_size=40), st.integers(-(10**13), 10**13), st.integers(1, 200))
def test_any_state_fits_any_terminal(state: str, disk: str, us: int, columns: int) -> None:
    fields: dict[str, Any] = {"offset": Offset(us, 0), "rtt_us": abs(us), "disk": disk}
    last, written_us = verdict("100e0000", us), NOON_US + 7 * abs(us)
    text = status_line(run_state(Day(), {}, state=state, written_us=written_us, last=last, **fields), columns)
    assert width(text) <= max(1, columns - 1)
    assert text.isprintable()
