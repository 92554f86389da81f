"""Read the clocks of this machine, and find steps and sleep; where a system lacks a clock, less is known."""

import math
import struct
import sys
import time
from contextlib import suppress
from typing import Final, NamedTuple

from .model import Gap

JUMP_NS: Final = 500_000_000  # less than this between wall and monotonic clock is slewing and drift, not a step
# A tick so late, beside our own work, means that we did not run: the machine slept, or somebody stopped us.
LATE_NS: Final = 5_000_000_000


def now_us() -> int:
    """The wall clock in µs since 1970 UTC, cut, not rounded."""
    return time.time_ns() // 1_000


def resolution_us() -> int:
    """The step of the wall clock in µs, at least 1; about 16,000 on some systems."""
    return math.ceil(time.get_clock_info("time").resolution * 1_000_000)


class Reading(NamedTuple):
    """All clocks at one moment, in ns; `boot_ns` goes on in sleep while `monotonic_ns` does not, None if unknown."""

    wall_ns: int
    monotonic_ns: int
    boot_ns: int | None = None
    busy_ns: int = 0  # processor time of this thread


def read_clocks() -> Reading:
    """The clocks as they stand now."""
    # macOS names it the other way round: there CLOCK_MONOTONIC counts sleep, and time.monotonic() does not read it.
    name = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}.get(sys.platform, "")
    clock_id: int | None = getattr(time, name, None)
    boot_ns = None if clock_id is None else time.clock_gettime_ns(clock_id)
    return Reading(time.time_ns(), time.monotonic_ns(), boot_ns, time.thread_time_ns())


def gaps_between(before: Reading, after: Reading, period_ns: int) -> list[Gap]:
    """What happened between two readings that should be `period_ns` apart: a `suspend`, a `clock-step`, or nothing."""
    ran_ns = passed_ns = after.monotonic_ns - before.monotonic_ns
    if before.boot_ns is not None and after.boot_ns is not None:
        passed_ns = after.boot_ns - before.boot_ns
    jump_ns = after.wall_ns - before.wall_ns - passed_ns
    is_asleep, is_late = passed_ns - ran_ns > JUMP_NS, ran_ns - period_ns - after.busy_ns + before.busy_ns > LATE_NS
    if is_late and after.boot_ns is None and jump_ns > 0:  # most probably that was sleep too
        passed_ns, jump_ns = passed_ns + jump_ns, 0
    from_us, to_us = (after.wall_ns - passed_ns) // 1_000, after.wall_ns // 1_000  # on the new clock
    gaps = []
    if is_asleep or is_late:  # late: the process was stopped, or slept on a system without a clock that counts sleep
        gaps.append(Gap("suspend", from_us, to_us, "sleep" if is_asleep else "late"))
    if abs(jump_ns) > JUMP_NS:
        gaps.append(Gap("clock-step", from_us, to_us, f"stepped by {jump_ns / 1e9:.3f} s"))
    return gaps


class KernelClock(NamedTuple):
    """What the kernel thinks of its wall clock; the error in µs is what the time service last told it."""

    synchronised: bool
    maxerror_us: int


def kernel_state() -> KernelClock | None:
    """The kernel's clock state; None where there is none or it may not be asked. Never raises."""
    with suppress(ImportError, OSError, AttributeError, TypeError, ValueError):
        import ctypes  # some builds of Python come without it

        timex = ctypes.create_string_buffer(1024)  # all 0: `adjtimex` changes nothing
        if sys.platform == "linux" and ctypes.CDLL(None).adjtimex(timex) >= 0:
            # The beginning of `struct timex`: modes, offset, freq, maxerror, esterror, status.
            *_, maxerror_us, _, status = struct.unpack_from("Illlli", timex)
            unsynchronised = 0x40
            return KernelClock(not status & unsynchronised, maxerror_us)
    return None
