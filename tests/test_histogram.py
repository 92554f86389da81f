"""Percentiles within 1 % whatever was counted, and moving positions that never differ from a scan."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.figures.histogram import (
    ANSWERS_US,
    FIRST_US,
    LAST_US,
    P50,
    P95,
    P99,
    PERCENTILES,
    Histogram,
    bucket_of,
    merged,
    rank_of,
)
from eelogger.figures.quantiles import RunningQuantiles

YEARS_US = 80 * 365 * 24 * 3600 * 1_000_000
# Every order of magnitude as likely as any other, which is how delays come.
durations = st.integers(0, 12).flatmap(lambda digits: st.integers(0, 10**digits)).map(lambda us: min(us, LAST_US - 1))
per_milles = st.integers(1, 1000)


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
    assert first == LAST_US
    assert [bucket_of(us) for us in (999, 1_000)] == [0, 1]


@given(st.lists(durations, min_size=1), per_milles)
def test_a_quantile_is_within_1_percent_of_the_exact_order_statistic(values: list[int], per_mille: int) -> None:
    histogram = counted(values)
    values.sort()
    assert_close(histogram.quantile_us(per_mille), values[rank_of(per_mille, len(values)) - 1])
    assert (histogram.n, histogram.total_us) == (len(values), sum(values))
    assert (histogram.min_us, histogram.max_us) == (values[0], values[-1])
    assert (histogram.value_at(1), histogram.quantile_us(1000)) == (values[0], values[-1])
    assert histogram.quantiles_us([per_mille, P50]) == [histogram.quantile_us(per_mille), histogram.quantile_us(P50)]


@pytest.mark.parametrize(
    ("per_mille", "n", "rank"),
    [
        (P50, 1, 1),
        (P50, 2, 1),
        (P50, 3, 2),
        (P50, 10_000, 5_000),
        (P95, 20, 19),
        (P95, 21, 20),
        (P95, 10_000, 9_500),
        (P99, 100, 99),
        (P99, 101, 100),
        (P99, 10_000, 9_900),
        (999, 7, 7),
    ],
)
def test_rank_is_the_nearest_one_without_a_float_on_the_way(per_mille: int, n: int, rank: int) -> None:
    assert rank_of(per_mille, n) == rank


def test_beyond_30_days_the_answer_is_at_least_30_days() -> None:
    histogram = counted([1_000_000, LAST_US, LAST_US + 5, YEARS_US, YEARS_US])
    assert histogram.quantile_us(P50) == LAST_US == 30 * 24 * 3600 * 1_000_000
    assert histogram.quantile_us(P99) == YEARS_US
    assert list(histogram.counts())[-1] == (YEARS_US, 4)
    assert counted([YEARS_US] * 3).quantile_us(P50) == YEARS_US


def test_neighbours_are_counted_apart_in_whatever_order() -> None:
    for bucket in range(1, len(ANSWERS_US) - 1):
        both = ANSWERS_US[bucket - 1 : bucket + 1]
        for values in (both, both[::-1]):
            assert [(bucket_of(us), count) for us, count in counted(values).counts()] == [(bucket - 1, 1), (bucket, 1)]


@given(durations)
def test_a_bucket_is_told_by_the_largest_duration_in_it(us: int) -> None:
    ((largest, count),) = counted([us, us]).counts()
    assert count == 2
    assert us <= largest
    assert bucket_of(us) == bucket_of(largest) == bucket_of(largest + 1) - 1


@given(st.lists(st.lists(durations, max_size=20), min_size=3, max_size=3))
def test_merging_is_counting_in_whatever_order(lists: list[list[int]]) -> None:
    one, two, three = (counted(values) for values in lists)
    whole = content(counted([us for values in lists for us in values]))
    assert content(merged([one, two, three])) == whole
    assert content(merged([merged([three, two]), one])) == whole
    two.merge(three)
    one.merge(two)
    assert content(one) == whole
    assert content(two) == content(counted(lists[1] + lists[2]))


@given(st.lists(durations, max_size=20), st.lists(durations, max_size=20))
def test_a_packed_histogram_comes_back_and_counts_on(values: list[int], more: list[int]) -> None:
    histogram = Histogram.unpacked(counted(values).packed())
    for us in more:
        histogram.add(us)
    assert content(histogram) == content(counted(values + more))


def test_counts_widen_when_a_bucket_is_full() -> None:
    one = counted([5_000] * 255)
    two = counted([5_000] * 70_000)
    two.merge(one)
    for _ in range(3):
        two.merge(two)
    two.add(5_000)
    assert [count for _, count in two.counts()] == [8 * 70_255 + 1]
    assert content(Histogram.unpacked(two.packed())) == content(two)


@pytest.mark.parametrize("most", [127, 128, 32_767, 32_768])
def test_merging_widens_when_a_bucket_is_full(most: int) -> None:
    one = Histogram()
    one.add(5_000, most)
    whole = merged([one, one])
    assert [count for _, count in whole.counts()] == [2 * most]


def test_several_equal_ones_count_as_each() -> None:
    histogram = Histogram()
    histogram.add(7_000_000, 3)
    histogram.add(5_000, 300)
    assert content(histogram) == content(counted([7_000_000] * 3 + [5_000] * 300))


def test_an_empty_histogram_has_no_quantile() -> None:
    empty = merged([Histogram()])
    assert content(empty) == (0, 0, 0, 0, [])
    with pytest.raises(ValueError, match="no rank"):
        empty.quantile_us(P50)
    with pytest.raises(ValueError, match="no rank"):
        counted([7]).value_at(2)
    with pytest.raises(ValueError, match="nothing"):
        RunningQuantiles().values_us()


@given(st.lists(st.one_of(durations, st.sampled_from([0, 999, 1_000, 1_020, LAST_US, YEARS_US])), max_size=150))
def test_moving_positions_equal_a_scan_at_every_moment(values: list[int]) -> None:
    running = RunningQuantiles()
    for us in values:
        running.add(us)
        assert list(running.values_us()) == running.histogram.quantiles_us(PERCENTILES)


@given(st.lists(durations, min_size=1, max_size=150), st.data())
def test_moving_positions_may_be_asked_at_any_time(values: list[int], data: st.DataObject) -> None:
    running = RunningQuantiles()
    for us in values:
        running.add(us)
        if data.draw(st.booleans()):
            running.values_us()
    assert list(running.values_us()) == running.histogram.quantiles_us()


def test_moving_positions_are_right_at_every_number_of_events() -> None:
    upwards = list(range(1_000_000, 50_000_000, 111_111))
    for values in (upwards, upwards[::-1], random.Random(5).sample(upwards, len(upwards))):
        running = RunningQuantiles()
        for us in values:
            running.add(us)
            assert list(running.values_us()) == running.histogram.quantiles_us()


def test_moving_positions_follow_from_one_end_to_the_other() -> None:
    running = RunningQuantiles()
    for us in [1_000] * 300 + [LAST_US] * 900 + list(range(1_000, 4_000_000, 3_001)) + [3] * 2_000:
        running.add(us)
        assert list(running.values_us()) == running.histogram.quantiles_us()
