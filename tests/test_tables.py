"""Columns hold whatever the cloud calls a camera, figures stay readable at every size, lines fit every terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_states import NOON_US, SECOND, cameras, day_of, run_state, verdict

from eelogger.measure.camera_statistics import Day
from eelogger.measure.clock_offset import Offset
from eelogger.model import HOUR_US, INITIAL, UNDATED, Camera, Gap
from eelogger.storage.formats import parse_time
from eelogger.views import sentences
from eelogger.views.number_format import share, short, short_count, span, sparkline
from eelogger.views.run_state import OwnError, RunState
from eelogger.views.status_line import MANY, event_heading, event_line, status_line
from eelogger.views.tables import Column, cell, cut, printable, table, width

ANY = st.text(st.characters(codec=None), max_size=40)


@given(ANY, st.integers(1, 30), st.booleans())
def test_a_cell_takes_exactly_its_columns_and_nothing_in_it_is_unprintable(
    text: str, columns: int, right: bool
) -> None:
    shown = cell(text, columns, right=right)
    assert width(shown) == columns
    assert shown.isprintable()


def test_foreign_text_is_made_harmless_and_no_more() -> None:
    harmless = {
        "Front Door": "Front Door", "a\x1b[31mb\nc": "a\\x1b[31mb\\nc", "\u202eevil": "\\u202eevil",
        "\ud800": "\\ud800", "正门": "正门",
    }  # fmt: skip
    assert {text: printable(text) for text in harmless} == harmless


def test_wide_characters_take_two_columns_and_are_cut_whole() -> None:
    assert [cut("正门摄像机", columns) for columns in (10, 8)] == ["正门摄像机", "正门摄…"]
    assert width("Bu\u0308ro") == 4


def test_a_table_aligns_its_columns_and_text_gives_way() -> None:
    columns = [Column("name", right=False, widest=14), Column("n")]
    rows = [("正门", "7"), ("x" * 99, "1234")]
    assert list(table(columns, rows)) == ["name               n", "正门               7", "xxxxxxxxxxxxx…  1234"]
    assert list(table(columns, rows, within=16))[-1] == "xxxxxxxxx…  1234"


def test_numbers_as_a_person_reads_them() -> None:
    seconds = [0.0, 0.25, 0.26, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.1, 1e6]
    assert sparkline([round(s * 1e6) for s in seconds]) == "▁▁▂▂▃▄▅▆▇██", "one scale for all"
    assert sparkline([None, 100_000, None]) == " ▁ "
    in_columns = {
        0: "0.000", 1_904_400: "1.904", 9_999_499: "9.999", 9_999_500: "10.00", 142_340_000: "142.3",
        99_995_000: "100.0", 999_949_999: "999.9", 999_950_000: "1000", 99_999_000_000: "99999",
        100_000_000_000: "27.8h", 86_400_000_000 * 12: "12.0d",
    }  # fmt: skip
    assert {us: short(us) for us in in_columns} == in_columns
    in_words = {
        350_000: "0.35 s", 1_900_000: "1.9 s", 4_200: "0.004 s", 14_200_000: "14.2 s", -350_000: "−0.35 s",
        260_000_000: "4 min 20 s", 3 * HOUR_US + 300_000_000: "3 h 05 min", 100 * HOUR_US: "4 d 4 h",
    }  # fmt: skip
    assert {us: span(us) for us in in_words} == in_words
    assert [short_count(n) for n in (999_999, 1_000_000, 24_640_000)] == ["999999", "1.0M", "24.6M"]


@given(st.integers(0, 30 * 86_400_000_000))
def test_short_seconds_fit_their_column_and_are_right_within_their_last_digit(us: int) -> None:
    text = short(us)
    assert len(text) <= 5
    shown = float(text.rstrip("hd")) * {"h": 3600, "d": 86400}.get(text[-1], 1)
    assert shown == pytest.approx(us / 1e6, rel=0.0125, abs=0.0005)  # days have one decimal from 4.2 d on


@given(st.floats(0, 1, exclude_max=True))
def test_a_share_is_never_rounded_up_to_all(part: float) -> None:
    assert float(share(part)[:-2]) <= 99.9
    assert share(1.0) == "100 %"


def test_groups_and_cameras_have_the_names_a_person_knows() -> None:
    assert sentences.group_name(101) == "Line Events"
    assert sentences.group_name("ALRS") == "ROI alert start"
    assert sentences.group_name(300) == "namespace 300"
    assert sentences.group_name(300, {300: "GPS (position)"}) == "GPS"
    known = [Camera("1", "Cash Desk"), Camera("2", "Cash Desk"), Camera("3", ""), Camera("4", "")]
    assert list(sentences.camera_labels(known).values()) == ["Cash Desk (1)", "Cash Desk (2)", "3", "4"]


def test_an_event_is_one_line_as_in_the_readme() -> None:
    at_us = parse_time("2026-11-22T09:07:20Z")
    assert event_heading(80) == "UTC       camera                       event                     delay\n"
    event, undated = verdict("100e0000", 1_230_000, at_us), verdict("100e0000", 0, at_us)
    early = verdict("100e0000", -300_000, at_us, event="Loitering")
    late, undated = verdict("100e0000", 260 * SECOND, at_us), undated._replace(kind=UNDATED, delay_us=None)
    assert [event_line(each, "Front Door", 80) for each in (event, early, late, undated)] == [
        "09:07:20  Front Door                   Intrusion                1.23 s\n",
        "09:07:20  Front Door                   Loitering               −0.30 s  early\n",
        "09:07:20  Front Door                   Intrusion            4 min 20 s\n",
        "09:07:20  Front Door                   Intrusion                     -  undated\n",
    ]
    assert event_line(event, "", 80)[10:18] == "100e0000"


@given(ANY, ANY, st.none() | st.integers(-(10**13), 10**13), st.integers(40, 200))
def test_an_event_line_fits_the_terminal(name: str, event: str, us: int | None, columns: int) -> None:
    line = event_line(verdict("100e0000", 0, event=event)._replace(kind=INITIAL, delay_us=us), name, columns)
    assert width(line[:-1]) < columns
    assert line.endswith("\n")
    assert line[:-1].isprintable()


# The status line


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
