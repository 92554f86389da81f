"""Moments and durations as text and back, exactly.

Times are integers of microseconds since 1970 UTC, text is ISO 8601 in UTC with six digits. Nothing here knows the
clock (`clock` does) or a file's format (`lines` does). Invariant: `parse_time(time_text(us)) == us`.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

DAY_US: Final = 86_400_000_000

_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{6})(?:Z|\+00:00)").fullmatch
_DECIMAL = re.compile(r"(-?)([0-9]+)\.?([0-9]*)").fullmatch


def time_text(us: int) -> str:
    """`2026-11-22T09:07:20.123456Z`."""
    # From 1970 on the last six digits are those of the fraction.
    fraction = str(us)[-6:] if us >= 1_000_000 else f"{us % 1_000_000:06d}"
    return f"{_second_text(us // 1_000_000)}.{fraction}Z"


def parse_time(text: str) -> int:
    """The way back from `time_text`, also from other ISO 8601 forms (without a zone: UTC); raises `ValueError`."""
    match = _TIME(text)
    if match:
        return _second(match[1]) * 1_000_000 + int(match[2])
    when = datetime.fromisoformat(text)
    try:
        # utctimetuple takes the zone off; without a zone the time is UTC already.
        return timegm(when.utctimetuple()) * 1_000_000 + when.microsecond
    except OverflowError:
        raise ValueError(f"not within the years 1 to 9999 in UTC: {text}") from None


@lru_cache(maxsize=4096)  # arrivals and event times cluster in the seconds around now
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    return timegm(datetime.fromisoformat(text).utctimetuple())


def micros(text: str) -> int:
    """Seconds as a decimal in microseconds, exactly; digits beyond six are cut; raises `ValueError`."""
    match = _DECIMAL(text)
    if match is None:
        raise ValueError(f"not a decimal number: {text[:40]!r}")
    us = int(match[2]) * 1_000_000 + int(match[3][:6].ljust(6, "0"))
    return -us if match[1] else us
