"""The text of `summary.log`, for `watch -n5 cat summary.log` in 120 columns: the worst stands where one looks first.

Decides order and layout; the top is made by `summary_top`, figures come from `stats`, when it is written is for
`snapshots`. Comes in pieces, empty ones too, none of more than a camera's work, so that the event loop can be let in
between. Invariant: a camera's rows are what they would be if they were made now; they are made again only when its
figures, its name or the clock hour changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Final

from ..figures.histogram import P50, P95, P99, Histogram
from ..model import Camera, Verdict
from ..stats import HOUR_US, CameraStats
from ..text import words
from ..text.tables import cell, nearest, short, short_count, sparkline, sparkline_legend
from ..text.times import DAY_US, parse_time
from .bridges import CHUNK, BridgeRows
from .closing import doubt
from .standing import Standing
from .top import top

_NO_FIGURES: Final = "     -" * 6
_LABEL: Final = 21
_BLANK: Final = f"{0:>7}{'-':>9}{_NO_FIGURES}"


@dataclass(slots=True)
class _Rows:
    """What is shown of one camera, as UTF-8 (as text twice as much), and a hash of what it was made from."""

    version: int
    rank: tuple[bool, int, int, str, str]
    camera: Camera
    title: bytes
    body: bytes


class SummaryRenderer:
    """Renders one standing after another and remembers the rows of cameras that did not change."""

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}
        self._bridges = BridgeRows()

    def render(self, standing: Standing) -> Iterator[str]:
        """The summary in pieces of text."""
        # A day that has ended is shown as it was at its end.
        now_us = min(standing.written_us, parse_time(standing.date) + DAY_US - 1)
        chunks: list[list[_Rows]] = []
        cameras = iter([*standing.cameras, *(standing.day.cameras.keys() - standing.cameras.keys())])
        seen: dict[str, _Rows] = {}
        while chunk := list(islice(cameras, CHUNK)):
            for camera_id in chunk:
                seen[camera_id] = self._current(standing, camera_id, now_us)
                yield ""
            chunks.append(sorted((seen[camera_id] for camera_id in chunk), key=_rank))
            yield ""
        self._rows = seen
        yield from top(standing)
        yield from self._bridges.render(standing, now_us)
        yield from _heading(now_us, len(seen))
        for rows in merge(*chunks, key=_rank):
            yield f"{rows.title.decode()}{words.share(standing.observed(rows.camera.id)):>9}\n{rows.body.decode()}"

    def _current(self, standing: Standing, camera_id: str, now_us: int) -> _Rows:
        stats = standing.day.cameras.get(camera_id) or CameraStats()
        camera = standing.cameras.get(camera_id) or Camera(camera_id, "")
        # The statistics' identity counts too: a new object may have as many events as the one it replaced.
        hour = now_us // HOUR_US
        version = hash((id(stats), stats.n, stats.early, stats.initial, stats.undated, stats.latest_us(), hour, camera))
        rows = self._rows.get(camera_id)
        if rows is None or rows.version != version:
            rows = _render(standing, stats, camera, now_us, version)
        return rows


def _rank(rows: _Rows) -> tuple[bool, int, int, str, str]:
    return rows.rank


def _render(standing: Standing, stats: CameraStats, camera: Camera, now_us: int, version: int) -> _Rows:
    recent, day = stats.recent(None, now_us), stats.day()
    p95_us, day_p95_us = (h.quantile_us(P95) if h.n else -1 for h in (recent, day))
    rank = recent.n < words.FEW, -p95_us, -day_p95_us, camera.name, camera.id
    title = _title(stats, camera, standing.day.worst.get(camera.id), standing.clean.get(camera.id))
    body = "".join(_body(standing, stats, recent, day, now_us))
    return _Rows(version, rank, camera, title.encode(), body.encode())


def _title(stats: CameraStats, camera: Camera, worst: Verdict | None, clean: Verdict | None) -> str:
    mark = "?" if stats.censored else ""
    name = cell(mark + (camera.name or "(no name)"), 29)
    hours = sparkline(stats.hourly_p95)
    return f"{name} {cell(camera.id, 8)}  {cell(camera.bridge, 8)}  {hours} {_worst(worst):>15} {_worst(clean):>15}"


def _worst(verdict: Verdict | None) -> str:
    if verdict is None or verdict.delay_us is None:
        return "-"
    return f"{short(verdict.delay_us)} {words.clock_time(verdict.arrived_us, seconds=True)}"


def _body(standing: Standing, stats: CameraStats, recent: Histogram, day: Histogram, now_us: int) -> Iterator[str]:
    if stats.censored:
        yield f"  ? {doubt(stats)}\n"
    groups = stats.groups
    doubtful = stats.censored
    if len(groups) > 1:
        yield _row("all", stats.latest_us(), recent, day, doubtful=doubtful)
    for group in groups:
        name = words.group_name(group, standing.names)
        of_hours, of_day = stats.recent(group, now_us), stats.day(group)
        yield _row(name, stats.latest_us(group), of_hours, of_day, doubtful=doubtful)


def _row(label: str, latest_us: int, recent: Histogram, day: Histogram, *, doubtful: bool) -> str:
    latest = words.clock_time(latest_us, seconds=True)
    of_day = _figures(day, doubtful=doubtful)
    # For two hours the day has no other events: half of the work.
    of_hours = of_day if recent.n == day.n else _figures(recent, doubtful=doubtful)
    return (
        f"  {cell(label, _LABEL - 2)}{short_count(recent.n):>7} {latest}{of_hours} │{short_count(day.n):>7}{of_day}\n"
    )


def _figures(histogram: Histogram, *, doubtful: bool) -> str:
    if not histogram.n:
        return _NO_FIGURES
    average_us = nearest(histogram.total_us, histogram.n)
    p50, p95, p99 = histogram.quantiles_us((P50, P95, P99))
    values: Iterable[int] = (histogram.min_us, average_us, p50, p95, p99, histogram.max_us)
    return "".join(f" {short(us, doubtful=doubtful):>5}" for us in values)


def _heading(now_us: int, cameras: int) -> Iterator[str]:
    since = words.clock_time((now_us // HOUR_US - 1) * HOUR_US)
    figures = "".join(f"{name:>6}" for name in ("min", "avg", "p50", "p95", "p99", "max"))
    yield f"\nCAMERAS ({cameras:,}), worst p95 since {since} first, fewer than {words.FEW} events last. Seconds, UTC.\n"
    yield f"p95 of each hour: {sparkline_legend()}\n"
    hours = "00    06    12    18     "
    yield f"{'name':<29} {'id':<8}  {'bridge':<8}  {hours}{'max at':>15} {'clean max at':>15} observed\n"
    title = f"since {since}: events"
    yield f"{title:>{_LABEL + 7}} {'latest':>8}{figures} │{'day':>7}{figures}\n"
