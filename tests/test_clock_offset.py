"""The offset's bounds always hold the truth, and contradictions are clock steps."""

import pytest
from hypothesis import given, strategies as st

from eelogger.measure.clock_offset import MEMORY_US, Offset, OffsetBounds
from eelogger.model import DateSample

S = 1_000_000
NOW_US = 1_800_000_000 * S


def answer(at_us: int, offset_us: int, there_us: int, back_us: int) -> DateSample:
    """An answer to a request sent at `at_us` (local) by a cloud whose clock is `offset_us` ahead of ours."""
    date_us = (at_us + there_us + offset_us) // S * S
    return DateSample(date_us, at_us, at_us + there_us + back_us)


def known(bounds: OffsetBounds, now_us: int) -> Offset:
    offset = bounds.offset(now_us)
    assert offset is not None
    return offset


travel = st.integers(0, 3 * S)
answers = st.lists(st.tuples(st.integers(0, 900 * S), travel, travel), min_size=1, max_size=30)


@given(st.integers(-(10**12), 10**12), st.integers(-49, 49), answers, st.integers(0, MEMORY_US))
def test_the_bounds_always_hold_the_true_offset(
    offset_us: int, drift_ppm: int, answers: list[tuple[int, int, int]], later_us: int
) -> None:
    bounds = OffsetBounds()
    at_us = NOW_US

    def true_us(at_us: int) -> int:
        return offset_us + (at_us - NOW_US) * drift_ppm // S

    for pause_us, there_us, back_us in answers:
        at_us += pause_us
        assert bounds.add(answer(at_us, true_us(at_us + there_us), there_us, back_us)) is None
        at_us += there_us + back_us
        now = known(bounds, at_us)
        assert abs(now.offset_us - true_us(at_us)) <= now.bound_us + 1
    later = known(bounds, at_us + later_us)
    assert abs(later.offset_us - true_us(at_us + later_us)) <= later.bound_us + 1


def test_one_answer_bounds_to_half_a_second_and_half_the_round_trip() -> None:
    bounds = OffsetBounds()
    bounds.add(DateSample(NOW_US, NOW_US + 600_000, NOW_US + 800_000))
    # Date + 0.5 s − midpoint, ± RTT/2 + 0.5 s, and a µs of drift; halves count up
    assert bounds.offset(NOW_US + 800_000) == Offset(-200_000, 600_001)


def test_bounds_widen_with_age_and_end_after_two_hours() -> None:
    bounds = OffsetBounds()
    assert bounds.add(DateSample(NOW_US, NOW_US, NOW_US - 1)) is None, "a step during the request says nothing"
    assert bounds.offset(NOW_US) is None
    bounds.add(DateSample(NOW_US, NOW_US, NOW_US))
    assert known(bounds, NOW_US + 3600 * S).bound_us - known(bounds, NOW_US).bound_us == 3600 * 50
    assert known(bounds, NOW_US - 3600 * S).bound_us == known(bounds, NOW_US).bound_us, "a clock put back"
    assert bounds.offset(NOW_US + 7200 * S) is not None
    assert bounds.offset(NOW_US + 7200 * S + 1) is None


@pytest.mark.parametrize("moved_us", [5 * S, -400 * S])
def test_answers_that_contradict_each_other_are_a_step_and_the_newest_counts_on(moved_us: int) -> None:
    bounds = OffsetBounds()
    for i in range(4):
        bounds.add(answer(NOW_US + i * 300 * S, 0, 10_000, 10_000))
    gap = bounds.add(answer(NOW_US + 1200 * S + moved_us, -moved_us, 10_000, 10_000))
    assert gap is not None
    received_us = NOW_US + 1200 * S + 20_000 + moved_us
    assert (gap.kind, gap.to_us) == ("clock-step", received_us)
    assert gap.from_us == min(NOW_US + 900 * S + 20_000, received_us), "never longer than the time that passed"
    moved_s = float(gap.reason.removeprefix("by Date headers stepped by at least ").removesuffix(" s"))
    assert abs(moved_us) - 1.1 * S < abs(moved_s) * S <= abs(moved_us)
    assert (moved_s > 0) is (moved_us > 0)
    offset = known(bounds, NOW_US + 1200 * S + moved_us)
    assert abs(offset.offset_us + moved_us) <= offset.bound_us
    assert bounds.add(answer(NOW_US + 1500 * S + moved_us, -moved_us, 10_000, 10_000)) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_that_touch_agree_and_a_microsecond_more_is_a_step(sign: int) -> None:
    bounds = OffsetBounds()
    bounds.add(DateSample(NOW_US, NOW_US, NOW_US))
    assert bounds.add(DateSample(NOW_US + sign * (S + 2), NOW_US, NOW_US)) is None
    assert known(bounds, NOW_US).bound_us == 0
    bounds = OffsetBounds()
    bounds.add(DateSample(NOW_US, NOW_US, NOW_US))
    gap = bounds.add(DateSample(NOW_US + sign * (S + 2_501), NOW_US, NOW_US + 1))
    assert gap is not None
    assert gap.reason == f"by Date headers stepped by at least {'-0.002' if sign > 0 else '0.002'} s"


@pytest.mark.parametrize(
    ("offset", "warns", "words"),
    [
        (Offset(-3_200_000, 500_000), True, "3.2 s ahead (± 0.5 s): every delay is shown about 3.2 s too long"),
        (Offset(1_000_000, 0), False, "agrees with the cloud's to within 1.0 s"),
        (Offset(1_000_001, 0), True, "1.0 s behind (± 0.0 s): every delay is shown about 1.0 s too short"),
    ],
)
def test_the_sentence_says_which_way_delays_are_biased(offset: Offset, warns: bool, words: str) -> None:
    assert offset.warns is warns
    assert offset.sentence().endswith(words)
