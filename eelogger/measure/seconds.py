"""Write microseconds in seconds, rounded once (half to even), and read them back."""

import re
from fractions import Fraction
from typing import Final

# Below 142 years the float of a quotient rounds like the quotient itself, and takes half the time. A tie is a float
# itself; any other quotient is farther from a tie (1/2 divisor) than from its float (2**-53 of it).
_EXACT_US: Final = 1 << 52
_DECIMAL = re.compile(r"(-?)([0-9]+)\.?([0-9]*)").fullmatch


def seconds3(us: int) -> str:
    """Write seconds with three decimals: 1234456 is "1.234"."""
    return mean3(us, 1)


def mean3(total_us: int, n: int) -> str:
    """Write the mean of n durations with three decimals, rounded once."""
    divisor = n * 1_000
    ms = round(total_us / divisor if abs(total_us) < _EXACT_US else Fraction(total_us, divisor))
    if ms >= 1_000:  # the usual case: cutting digits costs a third of dividing and formatting
        digits = str(ms)
        return f"{digits[:-3]}.{digits[-3:]}"
    return f"-{-ms // 1_000}.{-ms % 1_000:03d}" if ms < 0 else f"0.{ms:03d}"


def seconds6(us: int) -> str:
    """Write seconds with six decimals: 1234456 is "1.234456"."""
    if us >= 1_000_000:
        digits = str(us)
        return f"{digits[:-6]}.{digits[-6:]}"
    return f"-{-us // 1_000_000}.{-us % 1_000_000:06d}" if us < 0 else f"0.{us:06d}"


def micros(text: str) -> int:
    """Read decimal seconds as microseconds, digits beyond six cut; raises `ValueError`."""
    match = _DECIMAL(text)
    if match is None:
        raise ValueError(f"not a decimal number: {text[:40]!r}")
    us = int(match[2]) * 1_000_000 + int(match[3][:6].ljust(6, "0"))
    return -us if match[1] else us
