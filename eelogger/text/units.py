"""Microseconds as text in seconds: the only place where a duration is rounded, and each is rounded once.

Exact, half to even; a value that rounds to zero has no sign.
"""

from __future__ import annotations

from typing import Final

_EXACT_US: Final = 1 << 52
"""Below 142 years the nearest float of a quotient rounds as the quotient does: a tie is a float itself, and any other
quotient is farther from one (by 1/2 divisor) than from its float (by 2**-53 of itself). It takes half the time."""


def seconds3(us: int) -> str:
    """Seconds with three decimals: 1234456 is "1.234"."""
    return mean3(us, 1)


def mean3(total_us: int, n: int) -> str:
    """The mean of n durations, in seconds with three decimals; rounded once, from the exact quotient."""
    divisor = n * 1_000
    if 0 <= total_us < _EXACT_US:
        ms = round(total_us / divisor)
    else:
        ms, rest = divmod(total_us, divisor)
        if rest + rest > divisor or (rest + rest == divisor and ms & 1):
            ms += 1
    if ms >= 1_000:  # the usual case: to cut digits costs a third of dividing and formatting
        digits = str(ms)
        return f"{digits[:-3]}.{digits[-3:]}"
    return f"-{-ms // 1_000}.{-ms % 1_000:03d}" if ms < 0 else f"0.{ms:03d}"


def seconds6(us: int) -> str:
    """Seconds with six decimals: 1234456 is "1.234456"."""
    if us >= 1_000_000:
        digits = str(us)
        return f"{digits[:-6]}.{digits[-6:]}"
    return f"-{-us // 1_000_000}.{-us % 1_000_000:06d}" if us < 0 else f"0.{us:06d}"
