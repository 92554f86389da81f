"""The clocks: what two readings say of the time between them, and what is known where a clock is missing."""

import ctypes
import struct
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from eelogger import clock
from eelogger.clock import KernelClock, Reading, gaps_between, kernel_state, now_us

S = 1_000_000_000
START = Reading(1_700_000_000 * S, 50 * S, 60 * S, 7 * S)


def after(ran_s: float, *, asleep_s: float = 0, jump_s: float = 0, busy_s: float = 0, boot: bool = True) -> Reading:
    """The reading that follows START."""
    passed = round((ran_s + asleep_s) * S)
    end = START.boot_ns or 0
    wall = START.wall_ns + passed + round(jump_s * S)
    return Reading(wall, START.monotonic_ns + round(ran_s * S), end + passed if boot else None, round((7 + busy_s) * S))


@pytest.mark.parametrize(
    ("reading", "passed_s", "found"),
    [
        (after(1), 1, []), (after(1, jump_s=0.5), 1, []),
        (after(1, jump_s=0.500_000_001), 1, [("clock-step", "stepped by 0.500 s")]),
        (after(1, jump_s=-3), 1, [("clock-step", "stepped by -3.000 s")]), (after(1, asleep_s=0.5), 1.5, []),
        (after(1, asleep_s=60), 61, [("suspend", "sleep")]),
        (after(1, asleep_s=60, jump_s=2), 61, [("suspend", "sleep"), ("clock-step", "stepped by 2.000 s")]),
        (after(6), 6, []), (after(6.000_000_001), 6, [("suspend", "late")]),
        (after(9, busy_s=3), 9, []),  # one message may take long
        # Without a clock that counts sleep, sleep is a jump ahead after a late tick, and cannot be told from a step.
        (after(9, asleep_s=60, boot=False), 69, [("suspend", "late")]),
        (after(1, asleep_s=60, boot=False), 1, [("clock-step", "stepped by 60.000 s")]),
        (after(9, jump_s=-3, boot=False), 9, [("suspend", "late"), ("clock-step", "stepped by -3.000 s")]),
    ],
)  # fmt: skip
def test_what_two_readings_say_of_the_time_that_passed(
    reading: Reading, passed_s: float, found: list[tuple[str, str]]
) -> None:
    gaps = gaps_between(START, reading, S)
    assert [(gap.kind, gap.reason) for gap in gaps] == found
    assert {(gap.to_us, gap.to_us - gap.from_us) for gap in gaps} <= {(reading.wall_ns // 1000, passed_s * 1_000_000)}


def test_the_wall_clock_is_cut_not_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_999)
    assert now_us() == 1
    for resolution_s, us in ((1e-9, 1), (0.015625, 15_625)):
        monkeypatch.setattr(time, "get_clock_info", lambda name, s=resolution_s: SimpleNamespace(resolution=s))
        assert clock.resolution_us() == us


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_without_the_systems_clocks_less_is_known(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    def refuse(name: object) -> None:
        raise OSError

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock_id: clock_id)
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 77, raising=False)
    assert clock.read_clocks().boot_ns == {"linux": 77, "darwin": time.CLOCK_MONOTONIC}.get(platform)
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert kernel_state() is None
    assert (clock.read_clocks().boot_ns is None) is (platform != "darwin")


@pytest.mark.parametrize(
    ("answer", "status", "platform", "found"),
    [
        (0, 0x2001, "linux", KernelClock(True, 1234)), (5, 0x2041, "linux", KernelClock(False, 1234)),
        (-1, 0, "linux", None), (0, 0, "darwin", None),
    ],
)  # fmt: skip
def test_what_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch, answer: int, status: int, platform: str, found: KernelClock | None
) -> None:
    def adjtimex(timex: Any) -> int:
        assert not any(timex.raw), "no mode: it is only asked"
        struct.pack_into("Illlli", timex, 0, 0, 7, 8, 1234, 9, status)
        return answer

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(adjtimex=adjtimex))
    assert kernel_state() == found
