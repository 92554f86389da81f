"""The figures of one day: each camera's statistics and its worst event.

Holds what `handler` observes and what is rebuilt from delay logs, by the same two calls, so that a restart and a
run without one agree. Invariant: the statistics of a camera are those of the measured lines in its delay log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .figures.observation import Observation
from .figures.worst import note_clean
from .model import EARLY, INITIAL, MEASURED, UNDATED, Figures, Group, Verdict
from .stats import CameraStats


class CameraDay(NamedTuple):
    """One camera's statistics, its worst and its worst clean verdict, as read back from its delay log."""

    stats: CameraStats
    worst: Verdict | None
    clean: Verdict | None


@dataclass(frozen=True, slots=True)
class DayView:
    """A day as snapshots show it; `until_us` is when it, or the observing, ended, None while it goes on."""

    date: str
    day: Day
    observation: Observation
    until_us: int | None = None


class Day:
    """Statistics and worst verdict by camera id; a camera without an event today has none."""

    def __init__(self) -> None:
        self.cameras: dict[str, CameraStats] = {}
        self.worst: dict[str, Verdict] = {}
        self.clean: dict[str, Verdict] = {}
        self.worst_changes = 0

    def camera(self, camera_id: str) -> CameraStats:
        """The statistics of a camera, empty ones when it has none yet."""
        stats = self.cameras.get(camera_id)
        if stats is None:
            stats = self.cameras[camera_id] = CameraStats()
        return stats

    def observe(self, camera_id: str, arrived_us: int, delay_us: int, group: Group) -> tuple[bool, Figures]:
        """Take up a measured event: whether it is the camera's worst of the day, and the figures including it."""
        stats = self.cameras.get(camera_id) or self.camera(camera_id)
        new_max = stats.observe(arrived_us, delay_us, group)
        self.worst_changes += new_max
        return new_max, stats.figures(group)

    def count(self, verdict: Verdict) -> None:
        """Take up a first sight that is not measured; others leave no trace here."""
        if verdict.kind == EARLY and verdict.delay_us is not None:
            self.camera(verdict.camera_id).observe_early(verdict.delay_us)
        elif verdict.kind == INITIAL:
            self.camera(verdict.camera_id).initial += 1
        elif verdict.kind == UNDATED:
            self.camera(verdict.camera_id).undated += 1

    def restart(self, camera_id: str, read: CameraDay | None) -> None:
        """Let a camera's statistics be those read from its delay log, or empty."""
        read = read or CameraDay(CameraStats(), None, None)
        self.cameras[camera_id] = read.stats
        self.worst_changes += 1
        for kept, verdict in ((self.worst, read.worst), (self.clean, read.clean)):
            kept.pop(camera_id, None)
            if verdict is not None:
                kept[camera_id] = verdict

    def note_worst(self, verdict: Verdict) -> None:
        """Keep a measured verdict if it is its camera's worst, or worst clean one, of the day."""
        if verdict.new_max:
            self.worst[verdict.camera_id] = verdict
        note_clean(self.clean, verdict)

    def again(self, verdict: Verdict) -> Verdict:
        """Take up a verdict a second time, after the camera's statistics were rebuilt from its delay log."""
        if verdict.kind != MEASURED or verdict.delay_us is None:
            self.count(verdict)
            return verdict
        group = verdict.type if verdict.ns is None else verdict.ns
        new_max, figures = self.observe(verdict.camera_id, verdict.arrived_us, verdict.delay_us, group)
        renewed = verdict._replace(figures=figures, new_max=new_max)
        self.note_worst(renewed)
        return renewed
