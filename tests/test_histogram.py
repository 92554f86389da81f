"""Percentiles within 1 % whatever was counted, and running ones that never differ from a scan."""

import math
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, strategies as st

from eelogger.measure.histogram import (
    ANSWERS_US,
    FIRST_US,
    LAST_US,
    P50,
    P95,
    P99,
    Histogram,
    RunningQuantiles,
    bucket_of,
    merged,
    rank_of,
    signed_quantile_us,
)
from eelogger.measure.seconds import mean3, micros, seconds3, seconds6

YEARS_US = 80 * 365 * 24 * 3600 * 1_000_000
# Every order of magnitude as likely as any other, which is how delays come.
durations = st.integers(0, 12).flatmap(lambda digits: st.integers(0, 10**digits)).map(lambda us: min(us, LAST_US - 1))
any_durations = durations | st.sampled_from([0, 999, 1_000, 1_020, LAST_US, YEARS_US])
per_milles = st.integers(1, 1000)
PERCENTILES = (P50, P95, P99)


def counted(values: list[int]) -> Histogram:
    histogram = Histogram()
    for us in values:
        histogram.add(us)
    return histogram


def content(histogram: Histogram) -> tuple[object, ...]:
    exact = (histogram.n, histogram.total_us, histogram.min_us, histogram.max_us)
    return (*exact, list(histogram.counts()))


def assert_close(answer_us: int, exact_us: int) -> None:
    """The promise: 1 % of the exact value, rounded to a whole µs; half a millisecond below one."""
    assert abs(answer_us - exact_us) <= max(exact_us / 100 + 0.5, 500 if exact_us < FIRST_US else 0)


def test_both_ends_of_every_bucket_are_within_the_promise() -> None:
    first = 0
    for bucket, answer in enumerate(ANSWERS_US[:-1]):
        last = first
        step = LAST_US
        while step:
            if bucket_of(last + step) <= bucket:
                last += step
            else:
                step //= 2
        assert bucket_of(first) == bucket_of(last) == bucket
        assert_close(answer, first)
        assert_close(answer, last)
        first = last + 1
    assert first == LAST_US == 30 * 86_400 * 1_000_000
    assert [bucket_of(us) for us in (999, 1_000, 1_019, 1_020)] == [0, 1, 1, 2], "2 % each"


@given(st.lists(durations, min_size=1), per_milles)
def test_a_quantile_is_within_1_percent_of_the_exact_order_statistic(values: list[int], per_mille: int) -> None:
    histogram = counted(values)
    values.sort()
    assert_close(histogram.quantile_us(per_mille), values[rank_of(per_mille, len(values)) - 1])
    assert (histogram.n, histogram.total_us) == (len(values), sum(values))
    assert (histogram.min_us, histogram.max_us) == (values[0], values[-1])
    assert histogram.quantile_us(1000) == values[-1]
    assert histogram.quantiles_us([per_mille, P50]) == [histogram.quantile_us(per_mille), histogram.quantile_us(P50)]


@given(per_milles, st.integers(1, 10**12))
def test_rank_is_the_nearest_one_without_a_float_on_the_way(per_mille: int, n: int) -> None:
    assert rank_of(per_mille, n) == math.ceil(Fraction(per_mille * n, 1000))


def test_beyond_30_days_the_answer_is_at_least_30_days() -> None:
    histogram = counted([1_000_000, LAST_US, LAST_US + 5, YEARS_US, YEARS_US])
    assert histogram.quantile_us(P50) == LAST_US
    assert histogram.quantile_us(P99) == YEARS_US
    assert list(histogram.counts())[-1] == (YEARS_US, 4)
    assert counted([YEARS_US] * 3).quantile_us(P50) == YEARS_US


@given(durations)
def test_a_bucket_is_told_by_the_largest_duration_in_it(us: int) -> None:
    ((largest, count),) = counted([us, us]).counts()
    assert count == 2
    assert us <= largest
    assert bucket_of(us) == bucket_of(largest) == bucket_of(largest + 1) - 1


@given(st.lists(st.lists(any_durations, max_size=20), min_size=3, max_size=3))
def test_merging_is_counting_in_whatever_order(lists: list[list[int]]) -> None:
    one, two, three = (counted(values) for values in lists)
    whole = content(counted([us for values in lists for us in values]))
    assert content(merged([one, two, three])) == whole
    assert content(merged([merged([three, two]), one])) == whole
    merged([one]).add(5)
    assert content(one) == content(counted(lists[0])), "a copy"


@pytest.mark.parametrize("most", [255, 65_535])
def test_counts_widen_when_a_bucket_is_full(most: int) -> None:
    one = counted([5_000] * most)
    one.add(5_000)
    assert content(one)[:2] == (most + 1, 5_000 * (most + 1))
    assert [count for _, count in one.counts()] == [most + 1]
    assert content(merged([one, counted([7])])) == content(merged([counted([7]), one]))


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), per_milles)
def test_signed_quantiles_are_those_of_all_dated_events(dated: list[int], per_mille: int) -> None:
    early, delays = counted([-us for us in dated if us < 0]), counted([us for us in dated if us >= 0])
    exact = sorted(dated)[rank_of(per_mille, len(dated)) - 1]
    assert abs(signed_quantile_us(early, delays, per_mille) - exact) <= max(500, abs(exact) / 100 + 0.5)


@given(st.lists(st.tuples(any_durations, st.booleans()), max_size=150))
@example([(10 * n * n, n > 99) for n in range(1, 160)])
def test_running_quantiles_equal_a_scan_whenever_they_are_asked(values: list[tuple[int, bool]]) -> None:
    running = RunningQuantiles()
    for us, is_asked in [*values, (5, True)]:
        running.count(bucket_of(us), us)
        if is_asked:
            assert list(running.values_us()) == running.histogram.quantiles_us(PERCENTILES)


# Numbers as text


def rounded(us: int | Fraction, places: str) -> str:
    exact = Decimal(Fraction(us).numerator) / Decimal(Fraction(us).denominator) / 1_000_000
    text = str(exact.quantize(Decimal(places), ROUND_HALF_EVEN))
    return text.removeprefix("-") if Decimal(text) == 0 else text


@given(st.integers(-(10**14), 10**14), st.integers(1, 1_000))
@example(2_961_344_088_929_991_321, 229)  # more than a float tells apart
@example(-2_961_344_088_929_991_321, 229)
@example((1 << 52) * 1_000 + 500, 1_000)
@example(2_001_001, 2)  # by way of whole microseconds it would be 1.000
@example(500, 1)
@example(-500, 1)
@example(999_000, 1)
@example(999_999, 1)
@example(1_000_000, 1)
def test_seconds_are_rounded_once_half_to_even(us: int, n: int) -> None:
    assert seconds3(us) == rounded(us, "0.001")
    assert seconds6(us) == rounded(us, "0.000001")
    assert mean3(us, n) == rounded(Fraction(us, n), "0.001")
    assert micros(seconds6(us)) == us


def test_decimal_seconds_are_read_exactly_and_nothing_else_is() -> None:
    assert [micros(text) for text in ("1.5", "-0.000001", "7", "0.1234569")] == [1_500_000, -1, 7_000_000, 123_456]
    for text in ("", ".5", "+1", "1e3", "nan", " 1", "1.2.3", "--1", "1\n", "１"):
        with pytest.raises(ValueError, match="not a decimal number"):
            micros(text)
