"""Running figures equal a recomputation from the list, in any order of groups and hours."""

from __future__ import annotations

import gc
import random
import tracemalloc
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.figures.histogram import P50, P95, P99, Histogram, rank_of
from eelogger.model import Group
from eelogger.stats import CameraStats
from eelogger.text.units import mean3, seconds3, seconds6

HOUR_US = 3_600_000_000
MIDNIGHT_US = 20_411 * 24 * HOUR_US

Event = tuple[int, int, Group]
groups = st.sampled_from([101, 103, "ALRS"])
arrivals = st.integers(MIDNIGHT_US, MIDNIGHT_US + 24 * HOUR_US - 1)
delays = st.one_of(st.integers(0, 3_000), st.integers(0, 20_000_000), st.integers(0, 10**12))
events = st.lists(st.tuples(arrivals, delays, groups), min_size=1, max_size=60)
any_us = st.integers(-(10**14), 10**14)


def rounded(us: int | Fraction, places: str) -> str:
    exact = Decimal(Fraction(us).numerator) / Decimal(Fraction(us).denominator) / 1_000_000
    text = str(exact.quantize(Decimal(places), ROUND_HALF_EVEN))
    return text.removeprefix("-") if Decimal(text) == 0 else text


def observed(events: list[Event]) -> CameraStats:
    stats = CameraStats()
    for event in events:
        stats.observe(*event)
    return stats


def assert_counts(histogram: Histogram, expected: list[int]) -> None:
    """Exact for n, total, min, max; p50, p95 and p99 within 1 %."""
    assert (histogram.n, histogram.total_us) == (len(expected), sum(expected))
    if expected:
        assert (histogram.min_us, histogram.max_us) == (min(expected), max(expected))
        for answer, per_mille in zip(histogram.quantiles_us(), (P50, P95, P99), strict=True):
            exact = sorted(expected)[rank_of(per_mille, len(expected)) - 1]
            assert abs(answer - exact) <= max(500, exact / 100)


@given(any_us, st.integers(1, 1_000))
@example(2_961_344_088_929_991_321, 229)  # more than a float tells apart
@example(-2_961_344_088_929_991_321, 229)
def test_seconds_are_rounded_once_half_to_even(us: int, n: int) -> None:
    assert seconds3(us) == rounded(us, "0.001")
    assert seconds6(us) == rounded(us, "0.000001")
    assert mean3(us, n) == rounded(Fraction(us, n), "0.001")


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (999_000, "0.999"),
        (0, "0.000"),
        (500, "0.000"),
        (501, "0.001"),
        (1_500, "0.002"),
        (-500, "0.000"),
        (-1_500, "-0.002"),
        (999_500, "1.000"),
    ],
)
def test_ties_go_to_the_even_digit_and_zero_has_no_sign(us: int, text: str) -> None:
    assert seconds3(us) == text


def test_a_mean_is_not_rounded_twice() -> None:
    assert mean3(2_001_001, 2) == "1.001"  # 1000500.5 µs; by way of 1000500 µs it would be 1.000


@given(events)
def test_figures_are_those_of_all_events_so_far(events: list[Event]) -> None:
    stats = CameraStats()
    seen: list[int] = []
    by_group: dict[Group, list[int]] = {}
    for arrived_us, delay_us, group in events:
        is_worst = all(delay_us > earlier for earlier in seen)
        seen.append(delay_us)
        by_group.setdefault(group, []).append(delay_us)
        assert stats.observe(arrived_us, delay_us, group) == is_worst
        figures = stats.figures(group)
        assert (figures.n, figures.group_n) == (len(seen), len(by_group[group]))
        assert (figures.min_s, figures.max_s) == (rounded(min(seen), "0.001"), rounded(max(seen), "0.001"))
        assert figures.avg_s == rounded(Fraction(sum(seen), len(seen)), "0.001")
        assert figures.group_avg_s == rounded(Fraction(sum(by_group[group]), len(by_group[group])), "0.001")
        scanned = stats.day().quantiles_us()
        assert [figures.p50_s, figures.p95_s, figures.p99_s] == [seconds3(us) for us in scanned]
    assert_counts(stats.day(), seen)
    assert list(stats.groups) == list(by_group)


@given(events)
def test_day_and_recent_hours_are_those_recomputed(events: list[Event]) -> None:
    stats = observed(events)
    latest_hour = max(arrived_us // HOUR_US for arrived_us, _, _ in events)
    for group in (None, 101, 103, "ALRS"):
        of_group = [e for e in events if group in (None, e[2])]
        assert_counts(stats.day(group), [delay_us for _, delay_us, _ in of_group])
        assert stats.latest_us(group) == max((arrived_us for arrived_us, _, _ in of_group), default=0)
        for hour in range(latest_hour, latest_hour + 4):
            expected = [us for arrived_us, us, _ in of_group if arrived_us // HOUR_US in (hour - 1, hour)]
            assert_counts(stats.recent(group, hour * HOUR_US + 17), expected)


@given(events)
def test_the_order_of_events_does_not_matter(events: list[Event]) -> None:
    one, two = observed(events), observed(sorted(events, key=lambda e: e[1]))
    for group in (None, 101, 103, "ALRS"):
        assert list(one.day(group).counts()) == list(two.day(group).counts())
        now_us = MIDNIGHT_US + 24 * HOUR_US - 1
        assert list(one.recent(group, now_us).counts()) == list(two.recent(group, now_us).counts())


@given(events)
def test_hourly_p95_has_a_place_for_each_hour_of_the_day(events: list[Event]) -> None:
    stats = observed(sorted(events, key=lambda e: e[0]))
    for hour, answer in enumerate(stats.hourly_p95):
        expected = sorted(us for arrived_us, us, _ in events if arrived_us // HOUR_US % 24 == hour)
        if not expected:
            assert answer is None
        else:
            exact = expected[rank_of(P95, len(expected)) - 1]
            assert answer is not None
            assert abs(answer - exact) <= max(500, exact / 100)


def test_an_event_after_the_clock_was_put_back_counts_in_its_own_hour() -> None:
    stats = observed([(MIDNIGHT_US + 2 * HOUR_US, 1_000_000, 101), (MIDNIGHT_US + HOUR_US, 9_000_000, 101)])
    assert stats.hourly_p95[:4] == [None, 9_000_000, 1_000_000, None]


def test_a_groups_average_is_exact_from_its_first_event_on() -> None:
    stats = observed([(MIDNIGHT_US, 500, 101)])
    assert stats.figures(101).group_avg_s == "0.000"  # half of the last digit, to the even one


def test_a_copy_of_the_day_does_not_grow_with_it() -> None:
    stats = observed([(MIDNIGHT_US, 1_000_000, 101)])
    before = stats.day()
    stats.observe(MIDNIGHT_US, 2_000_000, 101)
    assert (before.n, stats.day().n, stats.n) == (1, 2, 2)


def test_early_events_enter_no_figure() -> None:
    stats = observed([(MIDNIGHT_US, 1_000_000, 101)])
    stats.observe_early(-3)
    assert (stats.n, stats.day().min_us, stats.early, stats.early_share) == (1, 1_000_000, 1, 0.5)


@pytest.mark.parametrize(
    ("early", "measured", "censored"), [(0, 0, False), (1, 99, False), (1, 98, True), (2, 99, True)]
)
def test_figures_are_censored_above_1_percent(early: int, measured: int, censored: bool) -> None:
    stats = observed([(MIDNIGHT_US, 500_000, 101)] * measured)
    for _ in range(early):
        stats.observe_early(-1)
    assert stats.censored is censored


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.integers(1, 1000))
def test_signed_quantiles_are_those_of_all_dated_events(dated: list[int], per_mille: int) -> None:
    stats = CameraStats()
    for us in dated:
        if us < 0:
            stats.observe_early(us)
        else:
            stats.observe(MIDNIGHT_US, us, 101)
    exact = sorted(dated)[rank_of(per_mille, len(dated)) - 1]
    assert abs(stats.signed_quantile_us(per_mille) - exact) <= max(500, abs(exact) / 100)


def test_a_clock_slow_by_the_median_shows_in_the_signed_quantiles_only() -> None:
    chance = random.Random(7)
    stats = CameraStats()
    for _ in range(4_000):
        shown_us = int(chance.lognormvariate(0, 0.5) * 300_000) - 300_000  # true median 0.3 s, clock 0.3 s behind
        if shown_us < 0:
            stats.observe_early(shown_us)
        else:
            stats.observe(MIDNIGHT_US, shown_us, 101)
    assert 0.45 < stats.early_share < 0.55
    assert stats.censored
    assert stats.day().quantile_us(P50) > 80_000  # looks healthy, and is wrong by 0.2 s
    assert abs(stats.signed_quantile_us(P50)) < 15_000


def test_what_is_empty_says_so() -> None:
    stats = CameraStats()
    assert (stats.n, stats.early, stats.early_share, stats.latest_us(), stats.groups) == (0, 0, 0.0, 0, [])
    assert stats.hourly_p95 == [None] * 24
    assert (stats.day().n, stats.day(101).n, stats.recent(None, MIDNIGHT_US).n) == (0, 0, 0)
    with pytest.raises(ValueError, match="no rank"):
        stats.signed_quantile_us(P50)
    with pytest.raises(KeyError):
        stats.figures(101)


def test_a_camera_takes_no_more_memory_than_the_docstring_says() -> None:
    chance = random.Random(3)
    names: list[Group] = [101, 103, "ALRS"]
    day: list[Event] = [
        (
            MIDNIGHT_US + hour * HOUR_US + i,
            int(chance.lognormvariate(-0.3, 0.6) * 1e6),
            chance.choice(names),
        )
        for hour in range(24)
        for i in range(60)
    ]
    cameras = [CameraStats() for _ in range(5)]
    tracemalloc.start()
    for arrived_us, delay_us, group in day:
        for i, stats in enumerate(cameras):
            stats.observe(arrived_us + i, delay_us + i, group)
            stats.figures(group)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] / len(cameras)
    tracemalloc.stop()
    assert size < 5_400
