"""The summary's part on bridges: one slow bridge points to a site, all of them to the cloud or to us.

Decides what of a bridge is shown; at most `SHOWN`, worst p95 first. Invariant: a bridge's figures are those of all
its cameras' measured events; they are worked out again only when one of those changed or the hour did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ..figures.histogram import P50, P95, Histogram
from ..stats import HOUR_US, CameraStats
from ..text import words
from ..text.tables import cell, short, short_count
from .standing import Standing

SHOWN: Final = 20
CHUNK: Final = 256
"""So many cameras are looked at between two chances for the event loop: well below a millisecond."""
AT_ONCE: Final = 16
"""So many cameras' figures are added up at once: half a millisecond."""
NO_BRIDGE: Final = "(none)"

_Cameras = list[tuple[str, CameraStats | None]]


@dataclass(slots=True)
class _Row:
    version: int
    rank: tuple[bool, int, int, str]
    text: str


class BridgeRows:
    """Renders the bridges of one standing after another and remembers what did not change."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def render(self, standing: Standing, now_us: int) -> Iterator[str]:
        """The bridges in pieces of text, nothing when there is just one."""
        bridges: dict[str, _Cameras] = {}
        for number, camera in enumerate(list(standing.cameras.values())):
            stats = standing.day.cameras.get(camera.id)
            bridges.setdefault(camera.bridge or NO_BRIDGE, []).append((camera.id, stats))
            if number % CHUNK == 0:
                yield ""
        if len(bridges) < 2:
            self._rows = {}
            return
        rows: list[tuple[_Row, str]] = []
        for bridge, cameras in list(bridges.items()):
            yield from self._refresh(bridge, cameras, now_us)
            observed = sum(standing.observed(camera_id) for camera_id, _ in cameras) / len(cameras)
            rows.append((self._rows[bridge], f"{words.share(observed):>9}\n"))
            yield ""
        self._rows = {bridge: self._rows[bridge] for bridge in bridges}
        rows.sort(key=lambda row: row[0].rank)
        yield from _heading(len(rows), now_us)
        yield from (row.text + observed for row, observed in rows[:SHOWN])
        if len(rows) > SHOWN:
            yield f"… and {words.count(len(rows) - SHOWN, 'more bridge')}\n"

    def _refresh(self, bridge: str, cameras: _Cameras, now_us: int) -> Iterator[str]:
        counts = tuple((id(stats), stats.n, stats.early) for _, stats in cameras if stats)
        version = hash((now_us // HOUR_US, len(cameras), counts))
        known = self._rows.get(bridge)
        if known and known.version == version:
            return
        recent, day = Histogram(), Histogram()
        with_events = (stats for _, stats in cameras if stats and stats.n)
        while some := list(islice(with_events, AT_ONCE)):
            recent.merge(*(stats.recent(None, now_us) for stats in some))
            day.merge(*(stats.day() for stats in some))
            yield ""
        doubtful = any(stats.censored for _, stats in cameras if stats)
        p95_us, day_p95_us = (h.quantile_us(P95) if h.n else -1 for h in (recent, day))
        text = (
            f"{cell(bridge, 10)}{len(cameras):>9,}{_figures(recent, doubtful=doubtful)} │"
            f"{_figures(day, doubtful=doubtful)}"
        )
        self._rows[bridge] = _Row(version, (recent.n < words.FEW, -p95_us, -day_p95_us, bridge), text)


def _figures(histogram: Histogram, *, doubtful: bool) -> str:
    if not histogram.n:
        return f"{0:>8}" + "      -" * 3
    values = histogram.min_us, *histogram.quantiles_us((P50, P95))
    return f"{short_count(histogram.n):>8}" + "".join(f"  {short(us, doubtful=doubtful):>5}" for us in values)


def _heading(bridges: int, now_us: int) -> Iterator[str]:
    since = words.clock_time((now_us // HOUR_US - 1) * HOUR_US)
    figures = "".join(f"{name:>7}" for name in ("min", "p50", "p95"))
    yield f"\nBRIDGES ({bridges:,}), worst p95 since {since} first. One slow: its site; all: the cloud, or we.\n"
    yield f"{'bridge':<10}{'cameras':>9}{'events':>8}{figures} │{'day':>8}{figures} observed\n"
