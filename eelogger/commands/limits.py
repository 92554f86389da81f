"""Limits of what `status` judges: what can be limited, how a limit is written, what is limited unless told otherwise.

Pure. What is true is for `readings`, whether it is beyond a limit for `status`. Invariant: a limit is in the unit of
its measure, and a text that cannot be understood is a `ValueError`, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ..text import words
from ..text.tables import printable

_SECONDS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_LIMIT = re.compile(r"\s*([a-z0-9]+)\s*=\s*(?:(off)|([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([a-z]*|%))\s*").fullmatch

Limits = Mapping[str, float | None]
"""Limits by measure, in its unit; None switches a default off."""


class Measure(NamedTuple):
    """What can be limited: its unit (s, % or none), the limits it has unless told otherwise; `low` ones go down."""

    name: str
    unit: str
    meaning: str
    warn: float | None = None
    crit: float | None = None
    low: bool = False

    def shown(self, value: float) -> str:
        """A value of this measure for people."""
        if self.unit == "s":
            return words.span(max(0, round(value * 1_000_000)))
        return f"{value:g}{' %' if self.unit else ''}"


MEASURES: Final = (
    Measure("p95", "s", "95 % of the delays of the two latest clock hours are shorter"),
    Measure("silent", "s", "since the last first-seen event"),
    Measure("blind", "s", "how long nothing has been observed; 0 while connected", 60, 300),
    Measure("observed", "%", "share of today (UTC) that was observed", low=True),
    Measure("gaps", "", "gaps in today's observation"),
    Measure("early", "%", "events dated after their arrival: a clock is wrong", 1),
    Measure("clock", "s", "how far the local clock is off, as far as that is certain", 1),
    Measure("lag", "s", "the logger's own error, p99 of the last minute", 0.1),
    Measure("rtt", "s", "round trip to the cloud"),
)


def limits_help() -> str:
    """What can be limited and is unless told otherwise, for `--help`."""
    rows = ["what can be limited (and what is unless told otherwise):"]
    for measure in MEASURES:
        named = (("warn", measure.warn), ("crit", measure.crit))
        limits = [f"{name} {measure.shown(limit)}" for name, limit in named if limit is not None]
        rows.append(f"  {measure.name:<9} {measure.meaning}" + (f" ({', '.join(limits)})" if limits else ""))
    rows.append(
        "Times are in seconds, or with ms, s, m, h or d: --warn p95=2,silent=10m --crit blind=1h; NAME=off: none."
    )
    return "\n".join([*rows, "A logger that is stopped, dead or hanging is CRITICAL whatever the limits."])


def parse_limits(texts: Iterable[str]) -> dict[str, float | None]:
    """`p95=2,silent=10m` and `blind=off` as limits; raises `ValueError` with what is wrong."""
    limits: dict[str, float | None] = {}
    units = {measure.name: measure.unit for measure in MEASURES}
    for part in (part for text in texts for part in text.split(",")):
        match = _LIMIT(part.lower())
        if not match or match[1] not in units:
            raise ValueError(f"{printable(repr(part))}: give NAME=LIMIT, NAME one of {', '.join(units)}")
        factor = 1.0 if match[2] else _factor(units[match[1]], match[4])
        if factor is None:
            raise ValueError(f"{printable(repr(part))}: {match[4]} is no unit of {match[1]}")
        limits[match[1]] = None if match[2] else float(match[3]) * factor
    return limits


def _factor(unit: str, given: str) -> float | None:
    if unit == "s":
        return _SECONDS.get(given)
    return 1.0 if given in ("", unit) else None
