"""Columns hold whatever the cloud calls a camera, lines fit every terminal, figures are those of all their events."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st
from run_states import NOON_US, SECOND, cameras, day_of, run_state, verdict

from eelogger.measure.camera_statistics import CameraStatistics, Day
from eelogger.measure.clock_offset import Offset
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Gap
from eelogger.storage.formats import parse_time
from eelogger.views.figures import Figures, figures_of, shown, summed, texts
from eelogger.views.run_state import OwnError, RunState
from eelogger.views.status_line import event_heading, event_line, status_line
from eelogger.views.text import cell, share, short, span, table, width, wrapped

ANY = st.text(st.characters(codec=None), max_size=40)


@given(ANY, st.integers(1, 30), st.booleans())
def test_a_cell_takes_exactly_its_columns_and_nothing_in_it_is_unprintable(
    text: str, columns: int, right: bool
) -> None:
    filled = cell(text, columns, right=right)
    assert width(filled) == columns
    assert filled.isprintable()


TEXTS = st.lists(st.tuples(ANY, ANY, st.integers(0, 10**6).map(str)), max_size=5)


@given(TEXTS, st.integers(30, 120))
def test_a_table_cuts_text_to_its_columns_and_figures_never(rows: list[tuple[str, str, str]], within: int) -> None:
    lines = list(table(["name", "id", "n"], rows, left=["name", "id"], within=within))
    assert max(map(width, lines)) <= max(within, 14 + 2 + 14 + 2 + 7)
    assert [line.split(" ")[-1] for line in lines] == ["n", *(n for _, _, n in rows)]


def test_what_does_not_fit_ends_in_dots() -> None:
    row = ["Yard and its gate", "x" * 33, "12"]
    assert list(table(["name", "what", "n"], [row])) == [
        "name                                           what   n",
        f"Yard and its gate  {'x' * 31}…  12",
    ]
    assert list(table(["name", "what", "n"], [row], within=53))[1] == f"Yard and its g…  {'x' * 31}…  12"
    assert list(table(["name", "what", "n"], [row], within=1))[1] == f"Yard and its…   {'x' * 31}…  12"
    assert (cell("前門前門", 6), cell("\u1112\u1161\u0301e\u20dd門", 4)) == ("前門… ", "\u1112\u1161\u0301e\u20dd…")
    assert wrapped("- ", "one two-three " + "4" * 9, 9) == ["- one", "  two-three", "  " + "4" * 9]
    assert [len(wrapped("", f"{'x' * 60} {'y' * n}")) for n in (59, 60)] == [1, 2]
    assert wrapped("- ", "") == ["- "]


@given(st.floats(0, 1, exclude_max=True))
def test_a_share_is_never_rounded_up_to_all(part: float) -> None:
    assert float(share(part)[:-2]) <= 99.9
    assert share(1.0) == "100 %"


@pytest.mark.parametrize(
    ("us", "said", "in_5_columns"),
    [
        (94_999, "0.095 s", "0.095"), (95_000, "0.10 s", "0.095"), (949_999, "0.95 s", "0.950"),
        (950_000, "1.0 s", "0.950"), (9_999_500, "10.0 s", "10.00"), (99_994_999, "100.0 s", "99.99"),
        (99_995_000, "100.0 s", "100.0"), (119_999_999, "120.0 s", "120.0"), (120 * SECOND, "2 min 00 s", "120.0"),
        (999_950_000, "16 min 39 s", "1000"), (7_199_999_999, "119 min 59 s", "7200"),
        (7200 * SECOND, "2 h 00 min", "7200"), (99_999 * SECOND, "27 h 46 min", "99999"),
        (100_000 * SECOND, "27 h 46 min", "27.8h"), (172_799 * SECOND, "47 h 59 min", "48.0h"),
        (172_800 * SECOND, "2 d 0 h", "48.0h"), (359_639 * SECOND, "4 d 3 h", "99.9h"),
        (359_640 * SECOND, "4 d 3 h", "4.2d"), (8_629_199 * SECOND, "99 d 20 h", "99.9d"),
        (8_629_200 * SECOND, "99 d 21 h", "100d"),
    ],
)  # fmt: skip
def test_a_duration_as_one_says_it_and_in_5_columns(us: int, said: str, in_5_columns: str) -> None:
    assert (span(us), span(-us), short(us)) == (said, f"−{said}", in_5_columns)


def test_an_event_is_one_line_as_in_the_readme() -> None:
    at_us = parse_time("2026-11-22T09:07:20Z")
    assert event_heading(80) == "UTC       camera                       event                     delay\n"
    assert event_heading(200) == f"UTC       {'camera':<32}  {'event':<24}  {'delay':>12}\n"
    assert event_heading(40) == "UTC       camera    eve…         delay\n"
    event, late = (verdict("100e0000", delay_us, at_us) for delay_us in (1_230_000, 260 * SECOND))
    early, undated = (
        verdict("100e0000", -300_000, at_us, event="Loitering"),
        event._replace(kind=UNDATED, delay_us=None),
    )
    assert [event_line(each, "Front Door", 80) for each in (event, early, late, undated)] == [
        "09:07:20  Front Door                   Intrusion                1.23 s\n",
        "09:07:20  Front Door                   Loitering               −0.30 s  early\n",
        "09:07:20  Front Door                   Intrusion            4 min 20 s\n",
        "09:07:20  Front Door                   Intrusion                     -  undated\n",
    ]
    assert event_line(event, "", 80)[10:18] == "100e0000"


def full(**fields: Any) -> RunState:
    events = [verdict("100e0000", delay_us, NOON_US + i) for i, delay_us in enumerate([1_900_000, *[412_000] * 10])]
    values: dict[str, Any] = {
        "written_us": NOON_US + 125 * 60 * SECOND, "totals": {"measured": 4100, "early": 20, "duplicate": 7},
        "last": events[-1], "rtt": (23_400, "pong"), "gaps": [Gap("gap", NOON_US, NOON_US + SECOND, "no-pong")],
        "own_error": OwnError(300, 900, 10_000, 50),
    }  # fmt: skip
    known = cameras("Front Door", *["x"] * 11)
    return run_state(day_of(events), known, **(values | fields))


def test_a_wide_terminal_shows_everything_that_is_known() -> None:
    at_once = full(written_us=NOON_US + 10 * SECOND)
    whole = "connected · 10 s · 12 cameras · 4,120 events · last 0.41 s · p95 1.9 s · RTT 23.4 ms · 1 gap · own 0.3 ms"
    fits = len(whole) + 1
    assert (status_line(at_once, fits), status_line(at_once, fits - 1)) == (whole, whole.removesuffix(" · own 0.3 ms"))
    for number, has_p95 in ((40, True), (41, False)):
        many = day_of(verdict(f"100e00{i:02d}", SECOND) for i in range(number))
        assert (" · p95 1.0 s" in status_line(run_state(many, {}), 200)) is has_p95
    trouble = full(offset=Offset(-2_100_000, 1), disk="disk is full")
    assert status_line(trouble, 200).startswith("connected · disk: disk is full · clock off by 2.1 s · 2 h 05 min · ")
    nothing = run_state(Day(), {}, state="connecting", written_us=NOON_US + 1_400_000)
    assert status_line(nothing, 80) == "connecting · 1 s · 0 cameras · 0 events · no gap"
    assert status_line(full(reading=0.42, state="reading"), 80) == "reading the day's files, 42.0 % · 2 h 05 min"


@given(ANY, ANY, st.none() | st.integers(-(10**13), 10**13), st.integers(40, 200))
def test_any_state_and_event_fits_any_terminal(state: str, disk: str, us: int | None, columns: int) -> None:
    last = verdict("100e0000", 0, event=disk)._replace(kind=INITIAL, delay_us=us)
    fields: dict[str, Any] = {"offset": Offset(us or 0, 0), "rtt": (abs(us or 0), "pong"), "disk": disk, "last": last}
    written_us = NOON_US + 7 * abs(us or 0)
    line = status_line(run_state(Day(), {}, state=state, written_us=written_us, **fields), columns)
    for text in (line, event_line(last, state, columns).removesuffix("\n")):
        assert width(text) < columns
        assert text.isprintable()


@pytest.mark.parametrize(("within", "kept"), [(0, "abc"), (13, "abc"), (12, "ac"), (9, "c"), (1, "c")])
def test_a_table_leaves_out_spare_columns_where_cut_text_is_still_too_wide(within: int, kept: str) -> None:
    heading, row = table(["name", *"abc"], [["Gate", *"abc"]], within=within, spare="ba")
    assert heading.split()[1:] == row.split()[1:] == [*kept]


DELAYS = st.lists(st.integers(-(10**7), 10**8), max_size=12)


def figures(delays: Sequence[int]) -> Figures:
    statistics, worst = CameraStatistics(), None
    for i, delay_us in enumerate(delays):
        if statistics.count(EARLY if delay_us < 0 else MEASURED, NOON_US + i, delay_us, 103):
            worst = verdict("100e0000", delay_us, NOON_US + i)
    return figures_of(statistics, worst)


def nearest_rank(values: list[int], per_mille: int) -> int:
    return sorted(values)[-(-per_mille * len(values) // 1000) - 1]


@given(st.lists(DELAYS, max_size=20))
def test_figures_are_those_of_all_events_together(parts: list[list[int]]) -> None:
    found = summed([*map(figures, parts)])
    dated = [delay for part in parts for delay in part]
    measured = [delay for delay in dated if delay >= 0]
    assert (found.events, found.early.n) == (len(measured), len(dated) - len(measured))
    assert found.suspect == ((len(dated) - len(measured)) * 100 > len(dated))
    if measured:
        all_us = found.durations_us
        assert (all_us["min"], all_us["max"], found.delays.total_us) == (min(measured), max(measured), sum(measured))
        assert found.max_event is not None
        assert found.max_event.delay_us == max(measured)
        for per_mille, name in ((500, "p50"), (900, "p90"), (950, "p95"), (990, "p99")):
            assert all_us[name] == pytest.approx(nearest_rank(measured, per_mille), rel=0.0101, abs=500)


def test_numbers_become_text_in_one_place() -> None:
    counted = figures([1_000_500, 1_001_500, -2_000_000])
    counted.clean_max = verdict("100e0000", 1_000_500, identity="a\nb")
    counted.initial, counted.observed = 3, 0.9999
    assert texts(counted) == {
        "events": "2", "min_s": "1.000", "avg_s": "1.001", "p50_s": "1.000", "p90_s": "1.002", "p95_s": "1.002",
        "p99_s": "1.002", "max_s": "1.002", "clean_max_s": "1.000",
        "max_at_utc": "2026-11-22T12:00:00.000001Z", "max_uuid": f"u{NOON_US + 1}",
        "clean_max_at_utc": "2026-11-22T12:00:00.000000Z", "clean_max_uuid": "a\\nb",
        "early": "1", "initial": "3", "undated": "0", "observed_percent": "99.9", "suspect": "1",
        "all_dated_p50_s": "1.000", "all_dated_p95_s": "1.002",
    }  # fmt: skip
    assert shown(Figures(), ["events", "max_s", "max_uuid", "observed_percent"]) == ["0", "-", "-", "unknown"]
    assert set(texts(Figures()).values()) == {"0", ""}
