"""The offset's bounds always hold the truth; steps and sleep are found on every kind of system."""

from __future__ import annotations

import ctypes
import random
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.clock import (
    KernelClock,
    Reading,
    StepWatch,
    gaps_between,
    kernel_state,
    now_us,
    read_clocks,
    resolution_us,
)
from eelogger.figures.offset import MEMORY_US, Offset, OffsetBounds
from eelogger.model import DateSample, Gap

S = 1_000_000
NOW_US = 1_800_000_000 * S


def answer(at_us: int, offset_us: int, there_us: int, back_us: int) -> DateSample:
    """An answer sent off at `at_us` (local) by a cloud whose clock is `offset_us` ahead of ours."""
    date_us = (at_us + there_us + offset_us) // S * S
    return DateSample(date_us, at_us, at_us + there_us + back_us)


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
        now = bounds.offset(at_us)
        assert now is not None
        assert abs(now.offset_us - true_us(at_us)) <= now.bound_us + 1
    later = bounds.offset(at_us + later_us)
    assert later is not None
    assert abs(later.offset_us - true_us(at_us + later_us)) <= later.bound_us + 1


def test_one_answer_bounds_to_half_a_second_and_half_the_round_trip() -> None:
    bounds = OffsetBounds()
    bounds.add(DateSample(NOW_US, NOW_US + 600_000, NOW_US + 800_000))
    offset = bounds.offset(NOW_US + 800_000)
    assert offset is not None
    assert offset.offset_us == NOW_US + 500_000 - (NOW_US + 700_000)
    assert 600_000 <= offset.bound_us <= 600_010


def test_a_dozen_answers_bound_to_about_a_tenth_of_a_second() -> None:
    chance = random.Random(11)
    bounds = OffsetBounds()
    at_us = NOW_US
    for _ in range(12):
        at_us += 300 * S + chance.randrange(S)
        bounds.add(answer(at_us, -3_200_000, chance.randrange(60_000), chance.randrange(60_000)))
    offset = bounds.offset(at_us + 120_000)
    assert offset is not None
    assert offset.bound_us < 200_000
    assert abs(offset.offset_us + 3_200_000) <= offset.bound_us


def test_bounds_widen_with_age_and_end_after_two_hours() -> None:
    bounds = OffsetBounds()
    assert bounds.offset(NOW_US) is None
    bounds.add(DateSample(NOW_US, NOW_US, NOW_US))
    fresh, old = bounds.offset(NOW_US), bounds.offset(NOW_US + 3600 * S)
    assert fresh is not None
    assert old is not None
    assert old.bound_us - fresh.bound_us == 3600 * 50
    assert bounds.offset(NOW_US + 7200 * S) is not None
    assert bounds.offset(NOW_US + 7200 * S + 1) is None


@pytest.mark.parametrize(("moved_us", "says"), [(5 * S, "5."), (-5 * S, "-5.")])
def test_answers_that_contradict_each_other_are_a_step_and_the_newest_counts_on(moved_us: int, says: str) -> None:
    bounds = OffsetBounds()
    for i in range(4):
        bounds.add(answer(NOW_US + i * 300 * S, 0, 10_000, 10_000))
    gap = bounds.add(answer(NOW_US + 1200 * S + moved_us, -moved_us, 10_000, 10_000))
    assert gap is not None
    assert gap.kind == "clock-step"
    assert (gap.from_us, gap.to_us) == (NOW_US + 900 * S + 20_000, NOW_US + 1200 * S + 20_000 + moved_us)
    moved_s = float(gap.reason.split()[-2])
    assert 3.9 < moved_s * (1 if moved_us > 0 else -1) <= 5, gap.reason
    offset = bounds.offset(NOW_US + 1200 * S + moved_us)
    assert offset is not None
    assert abs(offset.offset_us + moved_us) <= offset.bound_us
    assert bounds.add(answer(NOW_US + 1500 * S + moved_us, -moved_us, 10_000, 10_000)) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_that_touch_agree_and_a_microsecond_more_is_a_step(sign: int) -> None:
    bounds = OffsetBounds()
    bounds.add(DateSample(NOW_US, NOW_US, NOW_US))
    assert bounds.add(DateSample(NOW_US + sign * (S + 2), NOW_US, NOW_US)) is None
    assert bounds.offset(NOW_US) is not None
    bounds.restart()
    bounds.add(DateSample(NOW_US, NOW_US, NOW_US))
    assert bounds.add(DateSample(NOW_US + sign * (S + 3), NOW_US, NOW_US)) is not None


def test_of_many_answers_only_the_latest_are_kept() -> None:
    bounds = OffsetBounds()
    for i in range(300):
        bounds.add(answer(NOW_US + i * S, 0, 10_000, 10_000))
    assert len(bounds._samples) == 240


def test_a_step_during_the_request_says_nothing() -> None:
    bounds = OffsetBounds()
    assert bounds.add(DateSample(NOW_US, NOW_US, NOW_US - 1)) is None
    assert bounds.offset(NOW_US) is None


def test_after_a_known_step_samples_start_anew() -> None:
    bounds = OffsetBounds()
    bounds.add(answer(NOW_US, 0, 10_000, 10_000))
    bounds.restart()
    assert bounds.add(answer(NOW_US + 60 * S, 90 * S, 10_000, 10_000)) is None


@pytest.mark.parametrize(
    ("offset", "warns", "words"),
    [
        (Offset(-3_200_000, 500_000), True, "3.2 s ahead (± 0.5 s): every delay is shown about 3.2 s too long"),
        (Offset(3_200_000, 500_000), True, "3.2 s behind (± 0.5 s): every delay is shown about 3.2 s too short"),
        (Offset(-100_000, 500_000), False, "agrees with the cloud's to within 0.6 s"),
        (Offset(2_000_000, 2_500_000), False, "agrees with the cloud's to within 4.5 s"),
        (Offset(1_000_000, 0), False, "agrees with the cloud's to within 1.0 s"),
        (Offset(1_000_001, 0), True, "1.0 s behind (± 0.0 s): every delay is shown about 1.0 s too short"),
    ],
)
def test_the_sentence_says_which_way_delays_are_biased(offset: Offset, warns: bool, words: str) -> None:
    assert offset.warns is warns
    assert offset.sentence().endswith(words)


def reading(wall_s: float, ran_s: float, boot_s: float | None = None) -> Reading:
    wall_ns, ran_ns = NOW_US * 1_000 + round(wall_s * 1e9), round(ran_s * 1e9)
    return Reading(wall_ns, ran_ns, None if boot_s is None else round(boot_s * 1e9))


@pytest.mark.parametrize(
    ("after", "kinds"),
    [
        pytest.param(reading(5.1, 5.1, 5.1), [], id="nothing"),
        pytest.param(reading(5.5, 5.1, 5.1), [], id="slewed"),
        pytest.param(reading(8.3, 5.1, 5.1), ["clock-step"], id="stepped ahead"),
        pytest.param(reading(-60, 5.1, 5.1), ["clock-step"], id="stepped back"),
        pytest.param(reading(3605, 5.1, 3605), ["suspend"], id="slept"),
        pytest.param(reading(3600, 5.1, 3605), ["suspend", "clock-step"], id="slept and set"),
        pytest.param(reading(30, 30, 30), ["suspend"], id="stopped process"),
        pytest.param(reading(5.1, 5.1), [], id="nothing, no boot clock"),
        pytest.param(reading(8.3, 5.1), ["clock-step"], id="stepped, no boot clock"),
        pytest.param(reading(3605, 3605), ["suspend"], id="slept, no boot clock"),
        pytest.param(reading(3606.5, 3605), ["suspend"], id="slept and woke up ahead, no boot clock"),
    ],
)
def test_steps_and_sleep(after: Reading, kinds: list[str]) -> None:
    before = reading(0, 0, None if after.boot_ns is None else 0)
    gaps = gaps_between(before, after, 5_000_000_000)
    assert [gap.kind for gap in gaps] == kinds
    for gap in gaps:
        assert (gap.from_us, gap.to_us) == tuple(sorted((before.wall_ns // 1000, after.wall_ns // 1000)))
        assert gap.reason


def test_a_step_says_by_how_much() -> None:
    (gap,) = gaps_between(reading(0, 0, 0), reading(1.5, 5, 5), 5_000_000_000)
    assert gap == Gap("clock-step", NOW_US, NOW_US + 1_500_000, "stepped by -3.500 s")


def test_the_watch_compares_each_tick_with_the_one_before() -> None:
    readings = iter([reading(0, 0, 0), reading(1, 1, 1), reading(101, 2, 2), reading(102, 3, 3)])
    watch = StepWatch(1.0, lambda: next(readings))
    assert [[gap.kind for gap in watch.tick()] for _ in range(3)] == [[], ["clock-step"], []]


def test_the_real_clocks_run_together() -> None:
    watch = StepWatch(0.0)
    assert watch.tick() == []
    assert abs(now_us() - time.time() * 1e6) < 60 * S
    before, after = read_clocks(), read_clocks()
    assert after.monotonic_ns >= before.monotonic_ns
    assert (after.boot_ns is not None) == (sys.platform in ("linux", "darwin"))


def test_a_system_without_a_boot_clock_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert read_clocks().boot_ns is None
    assert StepWatch(0.0).tick() == []


@pytest.mark.parametrize(("resolution_s", "us"), [(1e-9, 1), (1e-6, 1), (0.015625, 15_625)])
def test_resolution_is_the_systems(monkeypatch: pytest.MonkeyPatch, resolution_s: float, us: int) -> None:
    monkeypatch.setattr(time, "get_clock_info", lambda name: SimpleNamespace(resolution=resolution_s))
    assert resolution_us() == us


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
def test_the_kernel_is_asked_and_not_changed() -> None:
    state = kernel_state()
    assert state is None or (isinstance(state, KernelClock) and state.maxerror_us >= state.esterror_us >= 0)


def test_where_the_kernel_cannot_be_asked_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert kernel_state() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert kernel_state() is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert kernel_state() is None
