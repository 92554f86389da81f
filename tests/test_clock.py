"""The clocks: what two readings say of the time between them, and what is known where a clock is missing."""

from __future__ import annotations

import ctypes
import sys
import time

import pytest

from eelogger import clock
from eelogger.clock import Reading, StepWatch, gaps_between, kernel_state, now_us

S = 1_000_000_000
START = Reading(1_700_000_000 * S, 50 * S, 60 * S)


def after(ran_s: float, *, asleep_s: float = 0, jump_s: float = 0, boot: bool = True) -> Reading:
    """The reading that follows START."""
    passed = round((ran_s + asleep_s) * S)
    end = START.boot_ns or 0
    wall = START.wall_ns + passed + round(jump_s * S)
    return Reading(wall, START.monotonic_ns + round(ran_s * S), end + passed if boot else None)


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        (after(1), []),
        (after(1, jump_s=0.5), []),
        (after(1, jump_s=0.6), [("clock-step", "stepped by 0.600 s")]),
        (after(1, jump_s=-3), [("clock-step", "stepped by -3.000 s")]),
        (after(1, asleep_s=0.5), []),
        (after(1, asleep_s=60), [("suspend", "sleep")]),
        (after(1, asleep_s=60, jump_s=2), [("suspend", "sleep"), ("clock-step", "stepped by 2.000 s")]),
        (after(6), []),
        (after(6.1), [("suspend", "late")]),
        # Without a clock that counts sleep, sleep is a jump ahead after a late tick, and cannot be told from a step.
        (after(9, asleep_s=60, boot=False), [("suspend", "late")]),
        (after(1, asleep_s=60, boot=False), [("clock-step", "stepped by 60.000 s")]),
        (after(9, jump_s=-3, boot=False), [("suspend", "late"), ("clock-step", "stepped by -3.000 s")]),
    ],
)
def test_what_two_readings_say(reading: Reading, found: list[tuple[str, str]]) -> None:
    gaps = gaps_between(START, reading, S)
    assert [(gap.kind, gap.reason) for gap in gaps] == found
    ends = sorted((START.wall_ns // 1000, reading.wall_ns // 1000))
    assert all([gap.from_us, gap.to_us] == ends for gap in gaps)


def test_a_watch_compares_with_the_tick_before() -> None:
    readings = iter([START, after(1), after(2, jump_s=5), after(3, jump_s=5)])
    watch = StepWatch(1.0, lambda: next(readings))
    assert [len(watch.tick()) for _ in range(3)] == [0, 1, 0]


def test_the_wall_clock_is_cut_not_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_999)
    assert now_us() == 1
    assert clock.resolution_us() >= 1


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_without_the_systems_clocks_less_is_known(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    def refuse(name: object) -> None:
        raise OSError

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert kernel_state() is None
    assert (clock.read_clocks().boot_ns is None) is (platform != "darwin")
