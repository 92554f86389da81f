"""Log directories with known content, as a run would have written them, for the tests of the report."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from run_states import NOON_US, SECOND, verdict

from eelogger.measure.seconds import seconds6
from eelogger.model import Camera, Gap, Verdict
from eelogger.report.build import Report
from eelogger.report.export import event_fields
from eelogger.report.query import Query
from eelogger.report.read import Event, OnEvent
from eelogger.storage.formats import delay_line, gap_line, label, stream_line, time_text
from eelogger.storage.paths import LogPaths, day_of
from eelogger.storage.state import State, state_text

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
END_US = NOON_US + HOUR

KNOWN = {
    "100e0000": Camera("100e0000", "Front Door", "100bb001"),
    "100e0001": Camera("100e0001", "Back Gate", "100bb001"),
    "100e0002": Camera("100e0002", "Lobby", "100bb002"),
}
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"
SITE = {
    "100e0000": Camera("100e0000", '=cmd|"/C calc"!A0', "100bb001"),
    "100e0001": Camera("100e0001", f"Secret Vault\x1b[2J\u202e{HOSTILE}", "100bb001"),
    "100e0002": Camera("100e0002", "正门, 摄像机", "10074e12"),
}


def some(count: int = 60) -> list[Verdict]:
    """Events over three days, on all cameras, in two groups, with delays of 0.1 s, 0.2 s, …"""
    ids = list(KNOWN)
    return [
        verdict(ids[i % 3], (i + 1) * SECOND // 10, NOON_US - (count - i) * HOUR, 103 if i % 2 else None)
        for i in range(count)
    ]


def write_logs(
    root: Path,
    verdicts: Iterable[Verdict],
    cameras: dict[str, Camera] = KNOWN,
    *,
    gaps: Iterable[Gap] = (),
    health_us: Iterable[int] = (),
    since_us: int = NOON_US - 3 * DAY,
    alive_us: int = END_US,
) -> Path:
    """A log directory of all these, earlier days in their folders, today being that of `alive_us`."""
    today = day_of(alive_us)
    files: dict[Path, list[str]] = {}

    def append(at_us: int, name: str, text: str) -> None:
        day = day_of(at_us)
        files.setdefault((root if day == today else root / "days" / day) / name, []).append(text)

    for each in sorted(verdicts, key=lambda v: v.arrived_us):
        camera, at_us = cameras[each.camera_id], each.arrived_us
        stem = LogPaths(root).stem(camera.id, camera.name)
        append(at_us, f"{stem}.log", delay_line(each, label(camera)))
        data = {"event": {each.type: {"uuid": each.identity, "ns": each.ns, "name": "</script><b>&"}}}
        append(at_us, f"stream/{stem}_stream.log", stream_line(at_us, data))
    for gap in gaps:
        append(gap.from_us, "gaps.log", gap_line(gap))
    for number, at_us in enumerate(health_us):
        append(at_us, "health.log", health_line(at_us, number))
    for path, texts in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(texts), encoding="utf-8")
    root.mkdir(exist_ok=True)
    rows = {camera.id: {"name": camera.name, "bridge": camera.bridge} for camera in cameras.values()}
    (root / "cameras.json").write_text(json.dumps(rows))
    (root / ".state").write_text(state_text(State(today, alive_us, alive_us, True, since_us)))
    return root


def write_site(root: Path) -> Path:
    """An hour of a site with hostile names: 60 events of 0.1 s, 0.2 s, …, five early ones, two gaps, health."""
    ids = list(SITE)
    events = [
        verdict(
            ids[i % 3], (i + 1) * SECOND // 10, NOON_US - (60 - i) * MINUTE, 103 if i % 2 else None, event=HOSTILE,
            identity=f"ALRS:{ids[i % 3]}:{i}:2026" if i % 2 == 0 else f"{ids[i % 3].upper()}-{i}",
        )
        for i in range(60)
    ]  # fmt: skip
    events += [verdict("100e0002", -300_000, NOON_US + i) for i in range(5)]
    gaps = [
        Gap("gap", NOON_US - 40 * MINUTE, NOON_US - 39 * MINUTE, "closed-1006"),
        Gap("gap", NOON_US - 20 * SECOND, NOON_US - 10 * SECOND, "404", "100e0001"),
    ]
    times = {"since_us": NOON_US - 60 * MINUTE, "alive_us": NOON_US + MINUTE}
    return write_logs(root, events, SITE, gaps=gaps, health_us=range(NOON_US - HOUR, NOON_US, MINUTE), **times)


def health_line(at_us: int, number: int) -> str:
    """A minute of health: the figures grow with its number."""
    return (
        f"time={time_text(at_us)} state=connected clock_offset_s={seconds6(12_000 - number % 100 * 100)}"
        f" clock_bound_s=0.098 rtt_s={seconds6(41_000 + number % 7 * 500)} rtt_max_s=0.062 lag_p99_s=0.0003"
        " lag_max_s=0.001200 events=7\n"
    )


def report(root: Path, now_us: int = END_US, *, on_event: OnEvent | None = None, **query: Any) -> Report:
    """The report of a directory for a query of these fields."""
    return Report(Query(root, **query), now_us, lambda done, total: None, on_event)


def all_events(root: Path, **query: Any) -> list[dict[str, str]]:
    """Each event of a report, as `--events-csv` gets it."""
    seen: list[Event] = []
    report(root, on_event=seen.append, **query)
    return [event_fields(event) for event in seen]
