"""Read the clocks of this machine, and find steps and sleep.

Nothing here raises because a system lacks a clock: without `CLOCK_BOOTTIME` or `adjtimex` less is known.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from .model import Gap

JUMP_NS: Final = 500_000_000  # less than this between wall and monotonic clock is slewing and drift, not a step
# A tick so late means that the process did not run at all: the machine slept, or somebody stopped it.
LATE_NS: Final = 5_000_000_000


def now_us() -> int:
    """The wall clock in µs since 1970 UTC, cut, not rounded."""
    return time.time_ns() // 1_000


def resolution_us() -> int:
    """The step of the wall clock in µs, at least 1; about 16,000 on some systems."""
    return max(1, math.ceil(time.get_clock_info("time").resolution * 1_000_000))


class Reading(NamedTuple):
    """All clocks at one moment, in ns; `boot_ns` goes on in sleep while `monotonic_ns` does not, None if unknown."""

    wall_ns: int
    monotonic_ns: int
    boot_ns: int | None = None


def read_clocks() -> Reading:
    """The clocks as they stand now."""
    return Reading(time.time_ns(), time.monotonic_ns(), _boot_ns())


def _boot_ns() -> int | None:
    # macOS names it the other way round: there CLOCK_MONOTONIC counts sleep, and time.monotonic() does not read it.
    name = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}.get(sys.platform, "")
    clock_id: int | None = getattr(time, name, None)
    return None if clock_id is None else time.clock_gettime_ns(clock_id)


class StepWatch:
    """Told to look every `period_s`, it finds steps of the wall clock and times in which nothing ran."""

    def __init__(self, period_s: float, read: Callable[[], Reading] = read_clocks) -> None:
        self._period_ns = round(period_s * 1e9)
        self._read = read
        self._before = read()

    def tick(self) -> list[Gap]:
        """What happened to the clocks since the last tick: nothing, mostly."""
        before, self._before = self._before, self._read()
        return gaps_between(before, self._before, self._period_ns)


def gaps_between(before: Reading, after: Reading, period_ns: int) -> list[Gap]:
    """What two readings, taken `period_ns` apart if all went well, say of the time between them.

    A `clock-step` when the wall clock went otherwise than the others; a `suspend` (reason `sleep`) when the clock that
    counts sleep went on alone, or (reason `late`) when the second reading came much too late: on a system without
    that clock this is what sleep looks like, on any it is what a stopped process looks like.
    """
    ran_ns = after.monotonic_ns - before.monotonic_ns
    passed_ns, asleep_ns = ran_ns, 0
    if before.boot_ns is not None and after.boot_ns is not None:
        passed_ns = after.boot_ns - before.boot_ns
        asleep_ns = passed_ns - ran_ns
    jump_ns = after.wall_ns - before.wall_ns - passed_ns
    late = ran_ns - period_ns > LATE_NS
    from_us, to_us = sorted((before.wall_ns // 1_000, after.wall_ns // 1_000))
    gaps = []
    if asleep_ns > JUMP_NS or late:
        gaps.append(Gap("suspend", from_us, to_us, "sleep" if asleep_ns > JUMP_NS else "late"))
    if abs(jump_ns) > JUMP_NS and not (late and after.boot_ns is None and jump_ns > 0):
        gaps.append(Gap("clock-step", from_us, to_us, f"stepped by {jump_ns / 1e9:.3f} s"))
    return gaps


class KernelClock(NamedTuple):
    """What the kernel thinks of its wall clock; the errors are in µs, as the time service last told it."""

    synchronised: bool
    maxerror_us: int
    esterror_us: int


def kernel_state() -> KernelClock | None:
    """The kernel's clock state, read by `adjtimex`; None where there is none or it may not be asked. Never raises."""
    if sys.platform != "linux":
        return None
    try:
        return _adjtimex()
    except (ImportError, OSError, AttributeError, TypeError, ValueError):
        return None


def _adjtimex() -> KernelClock | None:
    import ctypes  # some builds of Python come without it

    class Timex(ctypes.Structure):
        """The beginning of `struct timex`; modes 0 changes nothing."""

        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_char * 512),
        )

    state = Timex()
    unsynchronised = 0x40
    result = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    if result < 0:
        return None
    return KernelClock(not state.status & unsynchronised, state.maxerror, state.esterror)
