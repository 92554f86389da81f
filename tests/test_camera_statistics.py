"""Running figures equal a recomputation from the list, in any order of groups and hours, whatever the clock does."""

from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from eelogger.measure.camera_statistics import CameraStatistics, Day, is_clean, is_suspect
from eelogger.measure.histogram import P50, P95, P99, Histogram, rank_of
from eelogger.measure.seconds import mean3, seconds3
from eelogger.model import EARLY, INITIAL, MEASURED, Group, Verdict

HOUR_US = 3_600_000_000
MIDNIGHT_US = 20_411 * 24 * HOUR_US
A = "100e0000"

Event = tuple[int, int, Group]
GROUPS: list[Group] = [101, 103, "ALRS"]
delays = st.one_of(st.integers(0, 3_000), st.integers(0, 20_000_000), st.integers(0, 10**12))


def events(hours: int) -> st.SearchStrategy[list[Event]]:
    """Events of so many hours: of clocks that run, jump ahead, come back, and cross hours to and fro."""
    arrivals = st.integers(MIDNIGHT_US, MIDNIGHT_US + hours * HOUR_US - 1)
    return st.lists(st.tuples(arrivals, delays, st.sampled_from(GROUPS)), min_size=1, max_size=60)


def assert_counts(histogram: Histogram, expected: list[int]) -> None:
    """Exact for n, total, min, max; p50, p95 and p99 within 1 %."""
    assert (histogram.n, histogram.total_us) == (len(expected), sum(expected))
    if expected:
        assert (histogram.min_us, histogram.max_us) == (min(expected), max(expected))
        for answer, per_mille in zip(histogram.quantiles_us((P50, P95, P99)), (P50, P95, P99), strict=True):
            assert_close(answer, expected, per_mille)


def assert_close(answer: int | None, expected: list[int], per_mille: int) -> None:
    assert answer is not None
    exact = sorted(expected)[rank_of(per_mille, len(expected)) - 1]
    assert abs(answer - exact) <= max(500, exact / 100 + 0.5)


@given(events(24))
def test_figures_are_those_of_all_events_so_far(events: list[Event]) -> None:
    statistics = CameraStatistics()
    seen: list[int] = []
    by_group: dict[Group, list[int]] = {}
    for arrived_us, delay_us, group in events:
        is_worst = all(delay_us > earlier for earlier in seen)
        seen.append(delay_us)
        by_group.setdefault(group, []).append(delay_us)
        assert statistics.observe(arrived_us, delay_us, group) == is_worst
        figures = statistics.figures(group)
        assert (figures.n, figures.group_n) == (len(seen), len(by_group[group]))
        assert (figures.min_s, figures.max_s) == (seconds3(min(seen)), seconds3(max(seen)))
        assert figures.avg_s == mean3(sum(seen), len(seen))
        assert figures.group_avg_s == mean3(sum(by_group[group]), len(by_group[group]))
        scanned = statistics.day().quantiles_us((P50, P95, P99))
        assert [figures.p50_s, figures.p95_s, figures.p99_s] == [seconds3(us) for us in scanned]
    assert_counts(statistics.day(), seen)
    assert list(statistics.groups) == list(by_group)
    assert statistics.n == len(seen)


@given(events(5))
def test_hourly_figures_follow_a_clock_that_goes_both_ways(events: list[Event]) -> None:
    """Two hours are kept, those in which events came last; an hour that returns while it is kept goes on."""
    statistics = CameraStatistics()
    kept: list[tuple[int, list[Event]]] = []
    of_hour: dict[int, list[Event]] = {}  # the hours of the day, as long as they were kept
    for event in events:
        statistics.observe(*event)
        hour = event[0] // HOUR_US
        came = next((came for kept_hour, came in kept if kept_hour == hour), [])
        came.append(event)
        of_hour[hour % 24] = came
        kept = [(hour, came), *(item for item in kept if item[0] != hour)][:2]
        for group in (None, *GROUPS):
            for now in range(hour - 1, hour + 3):
                expected = [
                    us for kept_hour, came in kept for _, us, g in came
                    if kept_hour in (now - 1, now) and group in (None, g)
                ]  # fmt: skip
                assert_counts(statistics.recent(group, now * HOUR_US), expected)
    for group in (None, *GROUPS, 999):
        of_group = [event for event in events if group in (None, event[2])]
        assert_counts(statistics.day(group), [us for _, us, _ in of_group])
        assert statistics.latest_us(group) == max((arrived_us for arrived_us, _, _ in of_group), default=0)
    assert {hour for hour, p95 in enumerate(statistics.hourly_p95) if p95 is not None} == of_hour.keys()
    for hour, came in of_hour.items():
        assert_close(statistics.hourly_p95[hour], [us for _, us, _ in came], P95)


@pytest.mark.parametrize(("early", "measured", "suspect"), [(0, 0, False), (2, 198, False), (2, 197, True)])
def test_figures_are_suspect_above_1_percent(early: int, measured: int, suspect: bool) -> None:
    statistics = CameraStatistics()
    for kind, delay_us in [(MEASURED, 500_000)] * measured + [(EARLY, -1)] * early:
        statistics.count(kind, MIDNIGHT_US, delay_us, 101)
    assert statistics.suspect is is_suspect(early, measured) is suspect


def test_early_events_are_counted_by_the_hour() -> None:
    statistics = CameraStatistics()
    for hour in (0, 1, 1, 2, 2, 2):
        statistics.count(EARLY, MIDNIGHT_US + hour * HOUR_US, -1, 101)
    recent = [statistics.recent_early(MIDNIGHT_US + hour * HOUR_US + 5) for hour in range(5)]
    assert recent == [1, 3, 5, 3, 0]


# The day of all cameras


def verdict(delay_us: int | None, kind: str = MEASURED, **more: Any) -> Verdict:
    fields: dict[str, Any] = {"identity": "u", "op": 1, "data": {"a": 1}, **more}
    return Verdict(kind, A, "ANNT", 103, "Intrusion", fields.pop("identity"), MIDNIGHT_US, 0, delay_us, **fields)


@pytest.mark.parametrize(
    ("more", "clean"),
    [
        ({}, True), ({"op": None}, True), ({"op": 0}, False), ({"op": 4}, False), ({"after_gap_us": 0}, False),
        ({"lag_us": 0}, False), ({"kind": INITIAL}, False),
    ],
)  # fmt: skip
def test_what_makes_a_worst_value_clean(more: dict[str, Any], clean: bool) -> None:
    assert is_clean(verdict(1_000, **more)) == clean


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([None, 1, 4]), st.sampled_from([None, 9]))))
@example([(0, 1, None), (0, 1, None)])
def test_the_worst_and_the_clean_worst_are_the_first_maxima(events: list[tuple[int, int | None, int | None]]) -> None:
    day, verdicts = Day(), []
    for number, (delay_us, op, lag_us) in enumerate(events):
        new_max = day.cameras[A].observe(MIDNIGHT_US, delay_us, 103)
        verdicts.append(verdict(delay_us, identity=f"u{number}", op=op, lag_us=lag_us, new_max=new_max))
        day.count(verdicts[-1])
    clean = [each for each in verdicts if is_clean(each)]
    worst = [max(verdicts, key=lambda each: each.delay_us or 0)] if verdicts else []
    assert list(day.worst.values()) == worst
    first = [max(clean, key=lambda each: each.delay_us or 0)._replace(data=None)] if clean else []
    assert list(day.clean.values()) == first
    assert day.worst_changes == sum(each.new_max for each in verdicts)
