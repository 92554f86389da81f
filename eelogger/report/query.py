"""What a report is about: its period, its patterns, and labels for what is not to be named.

Patterns follow `settings.matches`. A moment without a zone is UTC.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..model import NAMESPACES, Camera, Gap, Group
from ..setting_types import matches
from ..storage.formats import parse_time
from ..views.sentences import group_name
from ..views.tables import printable

FOREVER_US: Final = 253_402_300_799_000_000  # the last second of year 9999

_AGO: Final = re.compile(r"([0-9]{1,9})([smhdw])").fullmatch
_UNITS_US: Final = {unit: s * 1_000_000 for unit, s in zip("smhdw", (1, 60, 3600, 86_400, 604_800), strict=True)}
_ZONE: Final = re.compile(r"(.+?) ([A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)").fullmatch
_HINT: Final = "for example 24h, 7d, 2026-11-01, 2026-11-01T08:30+01:00 or '2026-11-01 08:30 Europe/Berlin'"
_NO_DATABASE: Final = (
    "python -m pip install tzdata, or write the moment in UTC or with an offset: 2026-11-01T08:30+01:00"
)


def parse_moment(text: str, now_us: int, option: str) -> int:
    """A moment in µs: now, 24h (ago), a date (its beginning), or date and time with a zone or in UTC; `UsageError`."""
    text = text.strip()
    if text == "now":
        return now_us
    if match := _AGO(text):
        return max(0, now_us - int(match[1]) * _UNITS_US[match[2]])
    match = _ZONE(text)
    try:
        if match and match[2] not in ("UTC", "Z"):
            when = datetime.fromisoformat(match[1])
            if when.tzinfo is not None:
                raise ValueError("two zones")
            text = when.replace(tzinfo=zoneinfo.ZoneInfo(match[2])).isoformat()
        return max(0, parse_time(text.removesuffix(" UTC").removesuffix(" Z")))
    except (ValueError, KeyError, OSError, OverflowError) as error:
        if isinstance(error, zoneinfo.ZoneInfoNotFoundError) and not zoneinfo.available_timezones():
            message = f"{option} {text!r}: this machine has no time zone database"
            raise UsageError(message, _NO_DATABASE, reason="no-time-zones") from None
        raise UsageError(f"{option} {text!r} is no moment", _HINT, reason="no-moment") from None


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: the period [since, until) and patterns (ids, or names with * and ?); empty means all.

    `worst` is how many single events are listed, `min_delay_us` asks for every event at least so late as well.
    """

    log_dir: Path
    since_us: int | None = None
    until_us: int | None = None
    cameras: Sequence[str] = ()
    bridges: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    anonymise: bool = False
    worst: int = 20
    min_delay_us: int | None = None
    names: Mapping[int, str] = field(default_factory=lambda: NAMESPACES)
    bridge_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_us(self) -> int:
        """The beginning, 0 where none was asked for."""
        return self.since_us or 0

    @property
    def to_us(self) -> int:
        """The end, the end of time where none was asked for."""
        return FOREVER_US if self.until_us is None else self.until_us

    def wants_camera(self, camera: Camera) -> bool:
        """Whether this camera belongs to the report, with or without events."""
        return matches(self.cameras, camera.id, camera.name) and matches(
            self.bridges, camera.bridge, self.bridge_names.get(camera.bridge, "")
        )

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


class Labels:
    """Labels of cameras and bridges, numbered in the order of their ids.

    A camera has the same label everywhere as long as the log directory knows the same cameras.
    """

    def __init__(self, cameras: Iterable[Camera]) -> None:
        self._labels: dict[str, dict[str, str]] = {"camera": {"": ""}, "bridge": {"": ""}}
        known = [*cameras]
        for kind, ids in (("camera", {c.id for c in known}), ("bridge", {c.bridge for c in known})):
            for each in sorted(ids):
                self._label(kind, each)

    def camera(self, camera: Camera) -> Camera:
        """The camera with labels for all it is called."""
        label = self._label("camera", camera.id)
        return Camera(label, label, self._label("bridge", camera.bridge))

    def gap(self, gap: Gap) -> Gap:
        """The gap with a label for its camera."""
        return replace(gap, camera_id=self._label("camera", gap.camera_id))

    def _label(self, kind: str, of: str) -> str:
        labels = self._labels[kind]
        return labels.setdefault(of, f"{kind}-{len(labels)}")
