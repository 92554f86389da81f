"""Log directories with known content, as a run would have written them, for the tests of the report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from eelogger.day import Day
from eelogger.lines import delay_line, gap_line, label, stream_line
from eelogger.logdir.days import day_of
from eelogger.logdir.state import State, state_text
from eelogger.model import Camera, Gap, Verdict
from eelogger.paths import LogPaths
from eelogger.text.times import time_text
from eelogger.text.units import seconds6


def write_logs(
    root: Path,
    cameras: dict[str, Camera],
    verdicts: Iterable[Verdict],
    *,
    gaps: Iterable[Gap] = (),
    health_us: Iterable[int] = (),
    since_us: int,
    alive_us: int,
) -> Path:
    """A log directory of all these, earlier days in their folders, today being that of `alive_us`."""
    today = day_of(alive_us)
    files: dict[Path, list[str]] = {}
    days: dict[str, Day] = {}

    def append(day: str, name: str, text: str) -> None:
        folder = root if day == today else root / "days" / day
        files.setdefault(folder / name, []).append(text)

    for verdict in sorted(verdicts, key=lambda v: v.arrived_us):
        date, camera = day_of(verdict.arrived_us), cameras[verdict.camera_id]
        stem = LogPaths(root).stem(camera.id, camera.name)
        day = days.setdefault(date, Day())
        append(date, f"{stem}.log", delay_line(day.again(verdict), label(camera)))
        data = {"event": {verdict.type: {"uuid": verdict.identity, "ns": verdict.ns, "name": "</script><b>&"}}}
        append(date, f"stream/{stem}_stream.log", stream_line(verdict.arrived_us, data))
    for gap in gaps:
        append(day_of(gap.from_us), "gaps.log", gap_line(gap))
    for number, at_us in enumerate(health_us):
        append(day_of(at_us), "health.log", health_line(at_us, number))
    for path, texts in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(texts), encoding="utf-8")
    root.mkdir(exist_ok=True)
    rows = {camera.id: {"name": camera.name, "bridge": camera.bridge} for camera in cameras.values()}
    (root / "cameras.json").write_text(json.dumps(rows))
    state = State(today, alive_us, alive_us, True, since_us)
    (root / ".state").write_text(state_text(state))
    return root


def health_line(at_us: int, number: int) -> str:
    """A minute of health: the figures grow with its number."""
    lag_us = 300 + number % 50 * 37
    return (
        f"time={time_text(at_us)} state=connected cameras=3 clock_offset_s={seconds6(12_000 - number % 100 * 100)}"
        f" clock_bound_s=0.098 ntp=synchronised rtt_s={seconds6(41_000 + number % 7 * 500)}"
        f" rtt_max_s={seconds6(62_000 + number % 90 * 900)}"
        f" lag_p99_s={seconds6(lag_us)} lag_max_s={seconds6(lag_us * 4)}"
        " write_p99_s=0.002000 backlog=0 events=7 rejected=0\n"
    )
