"""The files that are replaced as a whole: `maxeventdelay.log`, `summary.log`, `.state`, `cameras.json`.

Decides when each is made anew; what stands in them is for `lines`, `summary` and `state`, how they are replaced for
`writer`. Long ones are built in slices, and a camera's line is made again only when it changed. Invariant: after
`finish` the files show the end of the run, and after a midnight those of the ended day show its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Final

from .. import lines
from ..day import Day, DayView
from ..logdir.camerafile import cameras_text
from ..model import Camera, Verdict
from ..paths import LogPaths
from ..writer import Writer
from ..writing.disk import encoded
from .bridges import CHUNK
from .slices import in_slices

TICK_S: Final = 1.0
SUMMARY_TICKS: Final = 5
SUMMARY_SHARE: Final = 20
"""With many cameras the summary is made anew only after so many times as long as making it took."""
WORST_BYTES_A_TICK: Final = 1_000_000
"""With many cameras `maxeventdelay.log` is replaced less often, so that a disk is not kept busy by it."""
STATE_IDLE_TICKS: Final = 10
METRICS_TICKS: Final = 15
"""As often as Prometheus usually asks."""


class Snapshots:
    """Watches for change once a second; `render_summary` and `render_state` give texts of the present."""

    def __init__(
        self,
        writer: Writer,
        labels: Mapping[str, lines.Label],
        *,
        now: Callable[[], DayView],
        revision: Callable[[], object],
        render_summary: Callable[[DayView, str], Iterable[str]],
        render_state: Callable[[bool], str],
        render_metrics: Callable[[], Iterable[str]],
        metrics_file: Path | None,
    ) -> None:
        self._writer = writer
        self._labels = labels
        self._now = now
        self._revision = revision
        self._render_summary = render_summary
        self._render_state = render_state
        self._render_metrics = render_metrics
        self._metrics_file = metrics_file
        self._rows: dict[str, tuple[Verdict, str]] = {}
        self._worst_shown = -1
        self._summary_shown: object = None
        self._worst_tick = 0
        self._summary_tick = SUMMARY_TICKS
        self._state_shown: object = None
        self._ended: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            self.write_state(force=tick % STATE_IDLE_TICKS == 0)
            if tick >= self._worst_tick:
                size = await self._write_worst(self._now().day, self._writer.paths)
                self._worst_tick = tick + 1 + size // WORST_BYTES_A_TICK
            if tick >= self._summary_tick and self._revision() != self._summary_shown:
                self._summary_shown = self._revision()
                began = time.monotonic()
                await self._write_summary(self._now(), self._writer.paths, "")
                took_s = time.monotonic() - began
                self._summary_tick = tick + max(SUMMARY_TICKS, int(took_s * SUMMARY_SHARE / TICK_S))
            if tick % METRICS_TICKS == 0:
                await self._write_metrics()

    def write_state(self, *, force: bool = False, clean: bool = False) -> None:
        """Replace `.state` when something happened since, or when told to."""
        if force or self._revision() != self._state_shown:
            self._state_shown = self._revision()
            self._writer.replace(self._writer.paths.state, self._render_state(clean))

    def write_again(self) -> None:
        """Replace all of them at the next turn, changed or not."""
        self._worst_shown = -1
        self._summary_shown = self._state_shown = None

    def write_cameras(self, cameras: Iterable[Camera]) -> None:
        """Replace `cameras.json`."""
        self._writer.replace(self._writer.paths.cameras, cameras_text(cameras))

    def end_day(self, view: DayView) -> None:
        """The last snapshots of a day whose files have just moved to its folder."""
        self._rows = {}
        self._worst_shown = -1
        self._ended = asyncio.create_task(
            self._finish_day(view, self._writer.paths.day(view.date), ""), name="end of day"
        )

    async def finish(self, headline: str) -> None:
        """The last snapshots of a run; `headline` is the summary's line of how it stopped."""
        if self._ended is not None:
            await self._ended
        self._worst_shown = -1
        await self._finish_day(self._now(), self._writer.paths, headline)
        await self._write_metrics()

    def write_headline(self, headline: str) -> None:
        """Replace the first line of the summary, and leave the figures that stand there."""
        path = self._writer.paths.summary
        try:
            rest = path.read_text(encoding="utf-8", errors="backslashreplace").partition("\n")[2]
        except OSError:
            rest = ""
        self._writer.replace(path, f"{headline}\n{rest}")

    async def _finish_day(self, view: DayView, paths: LogPaths, headline: str) -> None:
        await self._write_worst(view.day, paths)
        await self._write_summary(view, paths, headline)

    async def _write_metrics(self) -> None:
        if self._metrics_file is not None:
            self._writer.replace(self._metrics_file, await _joined(self._render_metrics()))

    async def _write_worst(self, day: Day, paths: LogPaths) -> int:
        """Replace it if it has changed: how many bytes it took."""
        if day.worst_changes == self._worst_shown or not day.worst:
            return 0
        self._worst_shown = day.worst_changes
        content = await _joined(self._worst_rows(day))
        self._writer.replace(paths.max_delay, content)
        return len(content)

    def _worst_rows(self, day: Day) -> Iterator[str]:
        """One line a camera, worst first; sorted in parts, with a chance for the event loop after each."""
        worst = iter(list(day.worst.values()))
        chunks: list[list[Verdict]] = []
        while chunk := list(islice(worst, CHUNK)):
            chunks.append(sorted(chunk, key=_by_delay, reverse=True))
            yield ""
        for verdict in merge(*chunks, key=_by_delay, reverse=True):
            known = self._rows.get(verdict.camera_id)
            if known is None or known[0] is not verdict:
                known = verdict, lines.worst_line(verdict, self._labels[verdict.camera_id])
                self._rows[verdict.camera_id] = known
            yield known[1]

    async def _write_summary(self, view: DayView, paths: LogPaths, headline: str) -> None:
        self._writer.replace(paths.summary, await _joined(self._render_summary(view, headline)))


async def _joined(pieces: Iterable[str]) -> bytes:
    """The pieces as one file; encoded one by one, since all of them at once would hold up the loop."""
    return b"".join(await in_slices(map(encoded, pieces)))


def _by_delay(verdict: Verdict) -> tuple[int, str]:
    return verdict.delay_us or 0, verdict.camera_id
