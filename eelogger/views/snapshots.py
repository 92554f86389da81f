"""Write summary, maxima, metrics and state, each as a whole, and the line of `health.log`."""

import asyncio
import io
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Final

from ..measure.histogram import P95
from ..measure.seconds import seconds3, seconds6
from ..model import Timing
from ..storage.formats import label, time_text, worst_line
from ..storage.paths import LogPaths
from . import metrics, summary
from .figures import Tally
from .run_state import RunState

REST: Final = 20  # a rendering may take a second with thousands of cameras: so many times as long it rests then
SLICE_S: Final = 0.0005
STATE_IDLE_TICKS: Final = 10


@dataclass
class Snapshots:
    """Renders what changed, and hands path and content to `write`."""

    write: Callable[[str, bytes | str], None]
    paths: LogPaths
    now: Callable[[], RunState]
    revision: Callable[[], object]  # equal as long as nothing happened that a snapshot would show
    state_text: Callable[[bool], str]  # the content of `.state`, of a clean end or not
    metrics_file: Path | None
    timing: Timing

    def __post_init__(self) -> None:
        self._days = 0  # how many ended
        self._ended: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.write_again()

    def write_again(self) -> None:
        """Replace all files at once, changed or not."""
        self._wake.set()
        self._shown: dict[Path | None, tuple[float, object]] = {}  # when, and of which revision
        self._state_shown: object = None
        self._rest_until_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        for tick in count():
            self._wake.clear()
            self.write_state(force=tick % STATE_IDLE_TICKS == 0)
            days, began_s = self._days, time.monotonic()
            if began_s >= self._rest_until_s:
                await self._render_due(began_s)
                ended_s = time.monotonic()
                if days == self._days:
                    self._rest_until_s = ended_s + REST * (ended_s - began_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timing.tick_s):
                    await self._wake.wait()

    async def _render_due(self, now_s: float) -> None:
        timing, paths = self.timing, self.paths
        files: list[tuple[Path | None, object, Callable[[RunState], Iterator[str]], float, float]] = [
            (paths.max_delay, self.now().day.worst_changes, _worst_lines, 0.0, math.inf),
            # Also where nothing comes: shares and round trip change with time.
            (paths.summary, self.revision(), summary.render, timing.summary_s, timing.health_s),
            (self.metrics_file, now_s, metrics.render, timing.metrics_s, timing.metrics_s),
        ]
        for path, revision, render, changed_s, idle_s in files:
            days, (at_s, shown) = self._days, self._shown.get(path, (-math.inf, None))
            if path is not None and now_s - at_s >= (idle_s if revision == shown else changed_s):
                self._shown[path] = now_s, revision
                content = await encoded(render(self.now()))
                if self._days == days:  # else it shows no day rightly
                    self.write(os.fspath(path), content)

    def write_state(self, *, force: bool = False, clean: bool = False) -> None:
        """Replace `.state` when something happened since, or when told to."""
        if force or self.revision() != self._state_shown:
            self._state_shown = self.revision()
            self.write(os.fspath(self.paths.state), self.state_text(clean))

    def end_day(self, ended: RunState) -> None:
        """Midnight: render the ended day into its folder, and the new day's files at once."""
        self._days += 1
        self.write_again()
        self._ended = asyncio.create_task(self._finish_day(ended, self.paths.day(ended.date)), name="end of day")

    async def _finish_day(self, state: RunState, paths: LogPaths) -> None:
        for path, pieces in ((paths.max_delay, _worst_lines(state)), (paths.summary, summary.render(state))):
            self.write(os.fspath(path), await encoded(pieces))

    async def finish(self, headline: str) -> None:
        """The last snapshots of a run; `headline` says how it stopped."""
        if self._ended is not None:
            await self._ended
        await self._finish_day(replace(self.now(), headline=headline), self.paths)
        if self.metrics_file is not None:
            self.write(os.fspath(self.metrics_file), await encoded(metrics.render(self.now())))


class HealthLog:
    """Makes a line of `health.log` a minute; remembers the counts of the minute before."""

    def __init__(self) -> None:
        self._events = self._rejected = 0

    async def line(self, state: RunState, *, lag_p99_us: int, lag_max_us: int, rtt_max_us: int | None) -> str:
        """The line of the past minute, newline included; what is not known is left out."""
        events, rejected = sum(state.totals.values()), sum(state.rejected.values())
        offset, kernel = state.offset, state.kernel
        pairs = {
            "time": time_text(state.written_us),
            "state": state.state.replace(" ", "-"),
            "cameras": len(state.cameras),
            "clock_offset_s": seconds3(offset.offset_us) if offset else "",
            "clock_bound_s": seconds3(offset.bound_us) if offset else "",
            "ntp": "" if kernel is None else "synchronised" if kernel.synchronised else "unsynchronised",
            "rtt_s": "" if state.rtt_us is None else seconds6(state.rtt_us),
            "rtt_max_s": "" if rtt_max_us is None else seconds6(rtt_max_us),
            "lag_p99_s": seconds6(lag_p99_us),
            "lag_max_s": seconds6(lag_max_us),
            "write_p99_s": seconds6(state.write_p99_us),
            "backlog": state.queued_bytes,
            "events": events - self._events,
            "rejected": rejected - self._rejected,
        }
        self._events, self._rejected = events, rejected
        line = " ".join(f"{key}={value}" for key, value in pairs.items() if value != "")
        return line + (await encoded(_of_day(state))).decode()


def _of_day(state: RunState) -> Iterator[str]:
    """For `commands.status`: of the two latest clock hours `recent`, `p95_s` and `early`, of the day the others."""
    cameras, recent, early = list(state.day.cameras.values()), Tally(), 0
    last_us = state.last.arrived_us if state.last else 0
    yield from recent.add(Tally(statistics.recent(None, state.now_us)) for statistics in cameras)
    for statistics in cameras:
        early += statistics.recent_early(state.now_us)
        last_us = max(last_us, statistics.latest_us())
        yield ""
    n = recent.delays.n
    yield f" recent={n}" + (f" p95_s={seconds3(recent.delays.quantile_us(P95))}" if n else "")
    yield f" early={early / (early + n):.4f}" if early + n else ""
    yield f" last_event={time_text(last_us)}" if last_us else ""
    observed = yield from state.observed_by_all()
    yield f" observed={int(observed * 10_000 + 1e-6) / 10_000:.4f}"
    yield f" gaps={sum(gap.kind == 'gap' for gap in state.gaps)} held={state.held_lines}\n"


async def encoded(pieces: Iterable[str]) -> bytes:
    """All pieces, empty ones too, as one text; the loop runs after each 0.5 ms, so a piece takes well below that."""
    # To encode or join them at once would take too long: a BytesIO grows in place, and gives it away uncopied.
    content, began_s = io.BytesIO(), time.perf_counter()
    for piece in pieces:
        content.write(piece.encode("utf-8", "backslashreplace"))
        if time.perf_counter() - began_s > SLICE_S:
            await asyncio.sleep(0)
            began_s = time.perf_counter()
    return content.getvalue()


def _worst_lines(state: RunState) -> Iterator[str]:
    """A line for each camera, worst first."""
    for verdict in sorted(state.day.worst.values(), key=attrgetter("delay_us"), reverse=True):
        yield worst_line(verdict, label(state.camera(verdict.camera_id)))
