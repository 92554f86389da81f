"""What belongs to a report: its period and the patterns of cameras, bridges and namespaces.

Decides how `--since`, `--until`, `--camera`, `--bridge` and `--namespace` are understood. Invariant: a moment without
a zone is UTC, and what cannot be understood is a `UsageError`, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final
from zoneinfo import ZoneInfo

from ..errors import UsageError
from ..model import NAMESPACES, Camera, Group
from ..text.times import parse_time
from ..text.words import group_name

_AGO = re.compile(r"([0-9]{1,9})([smhdw])").fullmatch
_UNITS_US: Final = {unit: s * 1_000_000 for unit, s in zip("smhdw", (1, 60, 3600, 86_400, 604_800), strict=True)}
_ZONE = re.compile(r"(.+?) ([A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)").fullmatch
_HINT: Final = "for example 24h, 7d, 2026-11-01, 2026-11-01T08:30+01:00 or '2026-11-01 08:30 Europe/Berlin'"

FOREVER_US: Final = 253_402_300_800_000_000  # year 10000


def parse_moment(text: str, now_us: int, option: str) -> int:
    """A moment in µs: "24h" (ago), a date (its beginning), or a date and time, with a zone or in UTC; `UsageError`."""
    text = text.strip()
    if match := _AGO(text):
        return max(0, now_us - int(match[1]) * _UNITS_US[match[2]])
    try:
        if (match := _ZONE(text)) and match[2] not in ("UTC", "Z"):
            return _in_zone(match[1], match[2])
        return max(0, parse_time(match[1] if match else text))
    except (ValueError, KeyError, OSError, OverflowError):
        raise UsageError(f"{option} {text!r} is no moment", _HINT) from None


def _in_zone(text: str, zone: str) -> int:
    when = datetime.fromisoformat(text)
    if when.tzinfo is not None:
        raise ValueError("two zones")
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (when.replace(tzinfo=ZoneInfo(zone)) - epoch) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Selection:
    """The period [from_us, to_us) and patterns: ids, or names with `*` in any case; an empty list means all."""

    from_us: int = 0
    to_us: int = FOREVER_US
    cameras: Sequence[str] = ()
    bridges: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    names: Mapping[int, str] = field(default_factory=lambda: NAMESPACES)

    def wants(self, camera: Camera, group: Group) -> bool:
        """Whether events of this camera and group belong to the report."""
        return (
            _matches(self.cameras, camera.id, camera.name)
            and _matches(self.bridges, camera.bridge)
            and _matches(self.namespaces, str(group), group_name(group, self.names))
        )

    def wants_camera(self, camera: Camera) -> bool:
        """Whether this camera belongs to the report, with or without events."""
        return _matches(self.cameras, camera.id, camera.name) and _matches(self.bridges, camera.bridge)

    def said(self) -> str:
        """The patterns in words, "" when there is none."""
        kinds = (("camera", self.cameras), ("bridge", self.bridges), ("namespace", self.namespaces))
        return "; ".join(f"{kind} {' or '.join(patterns)}" for kind, patterns in kinds if patterns)


def _matches(patterns: Sequence[str], *texts: str) -> bool:
    return not patterns or any(fnmatchcase(text.casefold(), p.casefold()) for p in patterns for text in texts)
