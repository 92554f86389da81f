"""Columns hold whatever the cloud calls a camera, and figures stay readable at every size."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.text import words
from eelogger.text.tables import (
    STEPS,
    Column,
    cell,
    cut,
    printable,
    short,
    short_count,
    sparkline,
    table,
    width,
    wrapped,
)

ANY = st.text(st.characters(codec=None), max_size=40)


@given(ANY, st.integers(1, 30), st.booleans())
def test_a_cell_takes_exactly_its_columns_and_nothing_in_it_is_unprintable(
    text: str, columns: int, right: bool
) -> None:
    shown = cell(text, columns, right=right)
    assert width(shown) == columns
    assert shown.isprintable()
    assert len(shown) <= columns * 6  # marks take no column, and cannot flood it either


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Front Door", "Front Door"),
        ("a\x1b[31mb\nc", "a\\x1b[31mb\\nc"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("正门", "正门"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
    ],
)
def test_foreign_text_is_made_harmless_and_no_more(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_wide_characters_take_two_columns_and_are_cut_whole() -> None:
    assert width("正门摄像机") == 10
    assert cut("正门摄像机", 10) == "正门摄像机"
    assert cut("正门摄像机", 8) == "正门摄…"
    assert width(unicodedata.normalize("NFD", "Büro")) == 4


def test_a_table_aligns_its_columns_and_bounds_the_wide_ones() -> None:
    lines = list(table([Column("name", right=False, widest=8), Column("n")], [("正门", "7"), ("x" * 99, "1234")]))
    assert lines == ["name         n", "正门         7", "xxxxxxx…  1234"]


@given(st.lists(st.text("ab ", min_size=1, max_size=12), max_size=30))
def test_wrapping_keeps_every_word(parts: list[str]) -> None:
    text = " ".join(parts)
    lines = list(wrapped("label ", text, 40))
    assert " ".join(line[6:] for line in lines).split() == text.split()
    assert all(len(line) <= 40 for line in lines)


def test_a_sparkline_has_one_scale_for_all_and_is_blank_where_nothing_is_known() -> None:
    seconds = [0.0, 0.25, 0.26, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.1, 1e6]
    assert sparkline([round(s * 1e6) for s in seconds]) == "▁▁▂▂▃▄▅▆▇██"
    assert sparkline([None, 100_000, None]) == " ▁ "
    assert STEPS == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize(
    ("us", "text", "doubtful"),
    [
        (0, "0.000", "0.00?"),
        (1_904_400, "1.904", "1.90?"),
        (9_999_499, "9.999", "9.99?"),
        (9_999_500, "10.00", "10.0?"),
        (142_340_000, "142.3", "142?"),
        (999_960_000, "1000", "1000?"),
        (99_994_999, "99.99", "99.9?"),
        (99_995_000, "100.0", "100?"),
        (999_949_999, "999.9", "999?"),
        (999_950_000, "1000", "1000?"),
        (12_345_678_000, "12346", "3.4h?"),
        (99_999_000_000, "99999", "27.8h?"),
        (100_000_000_000, "27.8h", "27.8h?"),
        (86_400_000_000 * 12, "12.0d", "12.0d?"),
        (-500_000, "-0.500", "-0.50?"),
    ],
)
def test_short_seconds(us: int, text: str, doubtful: str) -> None:
    assert short(us) == text
    assert short(us, doubtful=True) == doubtful


@given(st.integers(0, 30 * 86_400_000_000))
def test_short_seconds_fit_their_column_and_are_right_within_their_last_digit(us: int) -> None:
    text = short(us)
    assert len(text) <= 5
    shown = float(text.rstrip("hd")) * {"h": 3600, "d": 86400}.get(text[-1], 1)
    # Days have one decimal from 4.2 d on, all others at least three digits.
    assert abs(shown - us / 1e6) <= max(0.0005, us / 1e6 * (0.0125 if text.endswith("d") else 0.005)) + 1e-9


@given(st.integers(0, 10**12))
def test_counts_fit_their_column(n: int) -> None:
    assert len(short_count(n)) <= 7


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (350_000, "0.35 s"),
        (1_900_000, "1.9 s"),
        (4_200, "0.004 s"),
        (14_200_000, "14.2 s"),
        (260_000_000, "4 min 20 s"),
        (3 * 3_600_000_000 + 300_000_000, "3 h 05 min"),
        (100 * 3_600_000_000, "4 d 4 h"),
        (-350_000, "−0.35 s"),
    ],
)
def test_a_duration_in_words(us: int, text: str) -> None:
    assert words.span(us) == text


@given(st.floats(0, 1, exclude_max=True))
def test_a_share_is_never_rounded_up_to_all(part: float) -> None:
    assert words.share(part) != "100 %"
    assert float(words.share(part)[:-2]) <= 99.9
    assert words.share(1.0) == "100 %"


def test_groups_have_the_names_a_person_knows() -> None:
    assert words.group_name(101) == "Line Events"
    assert words.group_name("ALRS") == "ROI alert start"
    assert words.group_name(300) == "namespace 300"
    assert words.group_name(300, {300: "GPS (position)"}) == "GPS"
