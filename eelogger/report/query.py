"""What a report is about: its period and its patterns, which follow `settings.matches`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from ..errors import UsageError
from ..model import NAMESPACES, Camera, Group
from ..setting_types import matches
from ..storage.formats import parse_time
from ..views.sentences import group_name
from ..views.text import moment, printable, span

FOREVER_US: Final = 253_402_300_799_000_000  # the last second of year 9999

_AGO: Final = re.compile(r"([0-9]{1,9})([smhdw])").fullmatch
_UNITS_US: Final = {unit: s * 1_000_000 for unit, s in zip("smhdw", (1, 60, 3600, 86_400, 604_800), strict=True)}
_ZONE: Final = re.compile(r"(.+?) ([A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)").fullmatch
_HINT: Final = "for example 24h, 7d, 2026-11-01, 2026-11-01T08:30+01:00 or '2026-11-01 08:30 Europe/Berlin'"
_ZONE_HINT: Final = "for example Europe/Berlin, or +01:00; where all zones are missing: python -m pip install tzdata"


def parse_moment(text: str, now_us: int, option: str) -> int:
    """A moment in µs: now, 24h (ago), a date (its beginning), or date and time with a zone or in UTC; `UsageError`."""
    text = text.strip()
    if text == "now":
        return now_us
    if match := _AGO(text):
        return max(0, now_us - int(match[1]) * _UNITS_US[match[2]])
    try:
        if (match := _ZONE(text)) and match[2] not in ("UTC", "Z"):
            when = datetime.fromisoformat(match[1])
            if when.tzinfo is not None:
                raise ValueError("two zones")
            text = when.replace(tzinfo=ZoneInfo(match[2])).isoformat()
        return max(0, parse_time(text.removesuffix(" UTC").removesuffix(" Z")))
    except (KeyError, OSError):
        zone = text.rpartition(" ")[2]
        raise UsageError(f"{option}: there is no time zone {zone}", _ZONE_HINT, reason="no-such-zone") from None
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r} is not a moment", _HINT, reason="no-moment") from None


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: the period [since, until) and patterns (ids, or names with * and ?); empty means all."""

    log_dir: Path
    since_us: int = 0
    until_us: int = FOREVER_US
    cameras: Sequence[str] = ()
    bridges: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    anonymise: bool = False
    worst: int = 20  # how many single events are listed
    min_delay_us: int = FOREVER_US  # and every one at least so late
    names: Mapping[int, str] = field(default_factory=lambda: NAMESPACES)
    bridge_names: Mapping[str, str] = field(default_factory=dict)

    def wants_camera(self, camera: Camera) -> bool:
        """Whether this camera belongs to the report, with or without events."""
        bridge = camera.bridge, self.bridge_names.get(camera.bridge, "")
        return matches(self.cameras, camera.id, camera.name) and matches(self.bridges, *bridge)

    def wants(self, camera: Camera, group: Group) -> bool:
        """Whether events of this camera and group belong to the report."""
        return self.wants_camera(camera) and matches(self.namespaces, str(group), group_name(group, self.names))

    def source(self) -> str:
        """The log directory, "" in an anonymous report."""
        return "" if self.anonymise else printable(str(self.log_dir))

    def patterns(self) -> str:
        """The patterns in words, "" when there is none."""
        kinds = {"camera": self.cameras, "bridge": self.bridges, "namespace": self.namespaces}
        found = [f"{kind} {' or '.join(patterns)}" for kind, patterns in kinds.items() if patterns]
        return "some patterns" if found and self.anonymise else printable("; ".join(found))

    def period(self, from_us: int, to_us: int) -> str:
        """From when to when, with which patterns, from where."""
        text = f"{moment(from_us)} to {moment(to_us)} ({span(to_us - from_us)})"
        text += f"; only {patterns}" if (patterns := self.patterns()) else ""
        return f"{text}, {source}" if (source := self.source()) else text
