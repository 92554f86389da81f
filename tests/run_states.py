"""Run states with known figures, for the tests of what people look at."""

from collections.abc import Iterable
from typing import Any

from eelogger.measure.camera_statistics import Day
from eelogger.measure.coverage import Coverage
from eelogger.model import EARLY, MEASURED, NAMESPACES, Camera, Gap, Verdict
from eelogger.storage.formats import parse_time
from eelogger.views.run_state import OwnError, RunState

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


def add(day: Day, verdicts: Iterable[Verdict]) -> None:
    """Let these events arrive in a day."""
    for each in verdicts:
        if each.kind == MEASURED and each.delay_us is not None:
            new_max = day.cameras[each.camera_id].observe(each.arrived_us, each.delay_us, each.group)
            each = each._replace(figures=day.cameras[each.camera_id].figures(each.group), new_max=new_max)
        day.count(each)


def day_of(verdicts: Iterable[Verdict]) -> Day:
    """The day in which these events arrived."""
    day = Day()
    add(day, verdicts)
    return day


def cameras(*names: str, bridge: str = "100bb001") -> dict[str, Camera]:
    """Cameras 100e0000, 100e0001, … with these names, on one bridge."""
    return {f"100e{i:04x}": Camera(f"100e{i:04x}", name, bridge) for i, name in enumerate(names)}


def run_state(day: Day, known: dict[str, Camera], *, gaps: Iterable[Gap] = (), **fields: Any) -> RunState:
    """A run that has been connected since noon, ten minutes ago; `known` cameras are attached."""
    written_us = fields.get("written_us", NOON_US + 600 * SECOND)
    defaults: dict[str, Any] = {
        "state": "connected", "since_us": NOON_US, "written_us": written_us, "started_us": NOON_US,
        "until_us": written_us, "date": DATE, "day": day, "cameras": known, "known": known,
        "coverage": Coverage(NOON_US, list(gaps)), "totals": {}, "rejected": {}, "offset": None, "kernel": None,
        "rtt": None, "own_error": OwnError(0, 0, 0, 0), "write_p99_us": 0, "left": {}, "previews": {},
        "names": NAMESPACES, "last": None, "reading": None, "disk": "", "held_lines": 0, "queued_bytes": 0,
    }  # fmt: skip
    return RunState(**defaults | fields)
