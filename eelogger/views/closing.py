"""The closing table, as `ping` prints one: on a stop and on SIGUSR1, for stdout.

Decides what a person takes home from a run: the worst cameras of the day, one sentence to send, and why to doubt it.
The figures come from `day`, the printing is for `cli`. Invariant: bounded; with any number of cameras the worst
`SHOWN` are printed and the rest are counted. Comes in pieces, empty ones too, so that the event loop can be let in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from ..day import Day
from ..figures.histogram import P50, P95, P99, Histogram, merged
from ..model import Camera
from ..stats import CameraStats
from ..text import words
from ..text.tables import Column, printable, table, wrapped
from ..text.units import mean3, seconds3

SHOWN: Final = 20

_COLUMNS: Final = (
    Column("camera", right=False),
    *(Column(name) for name in ("events", "min_s", "avg_s", "p50_s", "p95_s", "p99_s", "max_s")),
    *(Column(name) for name in ("early", "initial", "undated")),
)
_SIGNED: Final = (Column("all_p50_s"), Column("all_p95_s"))


class _Row(NamedTuple):
    camera: Camera
    label: str
    stats: CameraStats
    day: Histogram
    p95_us: int

    @property
    def rank(self) -> tuple[bool, int, str, str]:
        """Worst p95 first, cameras with few events after all others."""
        return self.day.n < words.FEW, -self.p95_us, self.camera.name, self.camera.id


def closing_table(
    day: Day,
    cameras: Mapping[str, Camera],
    observed: Callable[[str], float],
    *,
    date: str,
    own_error: str = "",
) -> Iterator[str]:
    """The table in pieces of text; `observed("")` is the account's share, `observed(id)` a camera's.

    `date` is the day of the figures; `own_error` a sentence such as "p99 0.3 ms, max 4.1 ms", or "".
    """
    rows = []
    labels = words.camera_labels(cameras.values())
    for camera_id, stats in list(day.cameras.items()):  # it may grow while the loop is let in
        if stats.n or stats.early or stats.initial or stats.undated:
            whole = stats.day()
            p95_us = whole.quantile_us(P95) if whole.n else -1
            camera, label = cameras.get(camera_id) or Camera(camera_id, ""), labels.get(camera_id, camera_id)
            rows.append(_Row(camera, printable(label), stats, whole, p95_us))
        yield ""
    rows.sort(key=lambda row: row.rank)
    yield f"Delays of {date} (UTC), in seconds, worst p95 first:\n" if rows else ""
    yield from _lines(_table(rows[:SHOWN]))
    yield from _lines(_remarks(rows, quiet=len(cameras.keys() - {row.camera.id for row in rows})))
    yield from _lines(_sentences(rows, day, observed))
    yield f"Own error: {own_error}\n" if own_error else ""


def _lines(lines: Iterator[str]) -> Iterator[str]:
    return (f"{line}\n" for line in lines)


def _table(rows: list[_Row]) -> Iterator[str]:
    signed = any(row.stats.censored for row in rows)
    if rows:
        yield from table([*_COLUMNS, *(_SIGNED if signed else ())], [_cells(row, signed=signed) for row in rows])


def _cells(row: _Row, *, signed: bool) -> list[str]:
    stats, day = row.stats, row.day
    mark = "?" if stats.censored else ""
    figures = [f"{text}{mark}" for text in figure_texts(day)] if day.n else ["-"] * 6
    counts = [str(n) for n in (stats.early, stats.initial, stats.undated)]
    all_dated = [seconds3(stats.signed_quantile_us(p)) for p in (P50, P95)] if stats.censored else ["", ""]
    return [row.label, str(day.n), *figures, *counts, *(all_dated if signed else ())]


def figure_texts(day: Histogram) -> list[str]:
    """Min, avg, p50, p95, p99 and max in seconds with three decimals, of a histogram that is not empty."""
    p50, p95, p99 = map(seconds3, day.quantiles_us((P50, P95, P99)))
    return [seconds3(day.min_us), mean3(day.total_us, day.n), p50, p95, p99, seconds3(day.max_us)]


def _remarks(rows: list[_Row], quiet: int) -> Iterator[str]:
    if len(rows) > SHOWN:
        yield f"… and {words.count(len(rows) - SHOWN, 'more camera')}"
    if quiet:
        yield f"{words.count(quiet, 'camera')} without an event"
    censored = [row for row in rows if row.stats.censored]
    if censored:
        yield from wrapped("? ", words.CENSORED)
    for row in censored[:SHOWN]:
        yield f"? {row.label}: {doubt(row.stats)}"
    if len(censored) > SHOWN:
        yield f"? … and {words.count(len(censored) - SHOWN, 'more camera')} likewise"


def doubt(stats: CameraStats) -> str:
    """Why the figures of a censored camera carry `?`."""
    signed = [stats.signed_quantile_us(p) for p in (P50, P95)]
    return words.censored(stats.early, stats.early + stats.n, *signed)


def _sentences(rows: list[_Row], day: Day, observed: Callable[[str], float]) -> Iterator[str]:
    measured = [row for row in rows if row.day.n]
    if not measured:
        yield f"No measured event; observed {words.share(observed(''))}"
        return
    worst = measured[0]
    yield _sentence(worst.label, worst.day, _worst_at(day, worst), worst.stats.censored, observed(worst.camera.id))
    if len(measured) > 1:
        whole = merged(row.day for row in measured)
        top = max(measured, key=lambda row: row.day.max_us)
        at = f"{_worst_at(day, top)} ({top.label})"
        doubtful = any(row.stats.censored for row in measured)
        yield _sentence("All cameras", whole, at, doubtful, observed(""))


def _sentence(who: str, day: Histogram, worst_at: str, doubtful: bool, observed: float) -> str:
    text = words.headline(who, day.quantile_us(P95), day.max_us, worst_at, observed)
    return f"{text} (? a clock is wrong, see above)" if doubtful else text


def _worst_at(day: Day, row: _Row) -> str:
    worst = day.worst.get(row.camera.id)
    return f"{words.clock_time(worst.arrived_us)} UTC" if worst else "an unknown time"
