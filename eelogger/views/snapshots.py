"""Write summary, maxima and metrics, each as a whole, and `health.log`."""

import asyncio
import io
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

from ..measure.histogram import P95
from ..measure.seconds import seconds3, seconds6
from ..model import Timing
from ..storage.formats import label, time_text, worst_line
from ..storage.paths import LogPaths
from . import metrics, summary
from .figures import Figures, summed_in_steps
from .run_state import RunState
from .sentences import is_shown


@dataclass
class Snapshots:
    """Renders what changed, and hands path and content to `write`."""

    write: Callable[[str, bytes | str], None]
    paths: LogPaths
    now: Callable[[], RunState]
    metrics_file: Path | None
    timing: Timing

    def __post_init__(self) -> None:
        self._ended: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.write_again()

    def write_again(self) -> None:
        """Replace all files at once, changed or not."""
        self._shown: dict[Path, tuple[float, object]] = {}  # when, and of which revision
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            began_s = time.monotonic()
            await self._render_due(began_s)
            # With thousands of cameras a rendering may take a second; at most 5 % of all time goes into them.
            rest_s = max(self.timing.tick_s, 20 * (time.monotonic() - began_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._wake.wait()

    async def _render_due(self, now_s: float, headline: str = "") -> None:
        state, paths, timing = self.now(), self.paths, self.timing
        # Equal as long as nothing happened that the summary would show.
        revision = sum(state.totals.values()), sum(state.rejected.values()), state.state, len(state.coverage.gaps)
        files = [
            (paths.max_delay, worst_lines, state.day.worst_changes, 0.0),
            (paths.summary, summary.render, revision, timing.summary_s),
        ]
        if self.metrics_file is not None:
            files.append((self.metrics_file, metrics.render, now_s, timing.metrics_s))
        for path, render, changes, pause_s in files:
            at_s, shown = self._shown.get(path, (-math.inf, None))
            # Also when no event comes: shares and round trip change with time.
            if now_s - at_s >= (timing.health_s if changes == shown else pause_s):
                self._shown[path] = now_s, changes
                state = replace(self.now(), headline=headline)
                content = await encoded(render(state))
                if state.date == self.now().date:  # else it shows no day rightly
                    self.write(os.fspath(path), content)

    def end_day(self, ended: RunState) -> None:
        """Midnight: render the ended day into its folder, and the new day's files at once."""
        self.write_again()
        self._ended = asyncio.create_task(self._finish_day(ended, self.paths.day(ended.date)), name="end of day")

    async def _finish_day(self, state: RunState, paths: LogPaths) -> None:
        self.write(os.fspath(paths.max_delay), await encoded(worst_lines(state)))
        self.write(os.fspath(paths.summary), await encoded(summary.render(state)))

    async def finish(self, headline: str) -> None:
        """The last snapshots of a run; `headline` says how it stopped."""
        if self._ended is not None:
            await self._ended
        self.write_again()
        await self._render_due(time.monotonic(), headline)


class HealthLog:
    """Makes a line of `health.log` a minute."""

    _events = _rejected = 0  # up to the line before

    def line(self, state: RunState, lag_p99_us: int, lag_max_us: int, rtt_max_us: int | None) -> Iterator[str]:
        """The line of the past minute after empty ones; `commands.status` reads it. What is unknown is left out."""
        cameras, shares, early, last_us = [], list[float](), 0, state.last.arrived_us if state.last else 0
        for _, statistics, part in state.cameras_of_day():
            cameras.append(statistics)
            shares.append(part)
            early += statistics.recent_early(state.until_us)
            last_us = max(last_us, statistics.latest_us())
            yield ""
        recent = yield from summed_in_steps(Figures(each.recent(None, state.until_us)) for each in cameras)
        observed = state.observed_by_all(shares)
        events, rejected = sum(state.totals.values()), sum(state.rejected.values())
        n, offset, kernel = recent.delays.n, state.offset, state.kernel
        pairs = {
            "time": time_text(state.written_us),
            "state": state.state.replace(" ", "-"),
            "cameras": len(state.cameras),
            "clock_offset_s": seconds3(offset.offset_us) if offset else "",
            "clock_bound_s": seconds3(offset.bound_us) if offset else "",
            "ntp": "" if kernel is None else "synchronised" if kernel.synchronised else "unsynchronised",
            "rtt_s": seconds6(state.rtt[0]) if state.rtt else "",
            "rtt_max_s": "" if rtt_max_us is None else seconds6(rtt_max_us),
            "lag_p99_s": seconds6(lag_p99_us),
            "lag_max_s": seconds6(lag_max_us),
            "write_p99_s": seconds6(state.write_p99_us),
            "backlog": state.queued_bytes,
            "events": events - self._events,
            "rejected": rejected - self._rejected,
            # Of the two latest clock hours these three, of the day the others.
            "recent": n,
            "p95_s": seconds3(recent.delays.quantile_us(P95)) if n else "",
            "early": f"{early / (early + n):.4f}" if early + n else "",
            "last_event": time_text(last_us) if last_us else "",
            "observed": f"{int(observed * 10_000 + 1e-6) / 10_000:.4f}",
            "gaps": sum(map(is_shown, state.coverage.gaps)),
            "held": state.held_lines,
        }
        self._events, self._rejected = events, rejected
        yield " ".join(f"{key}={value}" for key, value in pairs.items() if value != "")


def worst_lines(state: RunState) -> Iterator[str]:
    """The lines of `maxeventdelay.log`: one for each camera, worst first."""
    for verdict in sorted(state.day.worst.values(), key=attrgetter("delay_us"), reverse=True):
        yield worst_line(verdict, label(state.camera(verdict.camera_id))).removesuffix("\n")


async def encoded(lines: Iterable[str]) -> bytes:
    """All lines but empty ones as one text; the loop runs after each 0.5 ms, so a line takes well below that."""
    # To encode or join them at once would take too long: a BytesIO grows in place, and gives it away uncopied.
    content, began_s = io.BytesIO(), time.perf_counter()
    for line in lines:
        if line:
            content.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        if time.perf_counter() - began_s > 0.0005:
            await asyncio.sleep(0)
            began_s = time.perf_counter()
    return content.getvalue()
