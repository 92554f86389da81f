"""Days with known figures, for the tests of what people look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from eelogger.day import Day
from eelogger.model import EARLY, MEASURED, Camera, Verdict
from eelogger.text.times import parse_time
from eelogger.views.standing import Standing

DATE = "2026-11-22"
NOON_US = parse_time("2026-11-22T12:00:00Z")
SECOND = 1_000_000


def verdict(camera_id: str, delay_us: int, arrived_us: int = NOON_US, ns: int | None = 103, **more: Any) -> Verdict:
    """A measured event, or an early one when its delay is negative."""
    kind = MEASURED if delay_us >= 0 else EARLY
    fields: dict[str, Any] = {"event": "Intrusion", "identity": f"u{arrived_us}", "op": 1, **more}
    return Verdict(
        kind, camera_id, "ALRS" if ns is None else "ANNT", ns, fields.pop("event"), fields.pop("identity"), arrived_us,
        arrived_us - delay_us, delay_us, **fields,
    )  # fmt: skip


def day_of(verdicts: Iterable[Verdict]) -> Day:
    """The day in which these events arrived."""
    day = Day()
    for each in verdicts:
        day.again(each)
    return day


def cameras(*names: str) -> dict[str, Camera]:
    """Cameras 100e0000, 100e0001, … with these names, on one bridge."""
    return {f"100e{i:04x}": Camera(f"100e{i:04x}", name, "100bb001") for i, name in enumerate(names)}


def standing(day: Day, known: dict[str, Camera], **fields: Any) -> Standing:
    """A run that has been connected since noon, ten minutes ago."""
    all_observed: Callable[[str], float] = lambda camera_id: 1.0  # noqa: E731
    now_us = NOON_US + 600 * SECOND
    defaults: dict[str, Any] = {"observed": all_observed, "date": DATE, "state": "connected"}
    return Standing(
        **{**defaults, "written_us": now_us, "started_us": NOON_US, "since_us": NOON_US, **fields},
        day=day,
        cameras=known,
    )
