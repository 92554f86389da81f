"""The panels of the plots: what is drawn of delays, clock, network and own error.

Each takes axes and a report and draws on them; figures, colours on the page and the way to SVG are for `plots`. Text in
a panel is our own. Invariant: a line breaks where nothing was observed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..figures.histogram import P50, P95
from ..figures.observation import UNKNOWN, is_missed
from ..text.times import DAY_US
from .values import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

"""The unit of time axes."""
_MOST_SHADES: Final = 200
_FEW: Final = 60
_MINUTE_US: Final = 60_000_000
_Point = TypeVar("_Point")
# Stand-ins in the drawing for the variables of the style sheet.
COLOURS: Final = {
    "fg": "#010203", "muted": "#020304", "grid": "#030405", "line": "#040506", "band": "#050607", "gap": "#060708",
    "warn": "#070809", "second": "#08090a",
}  # fmt: skip


def delays(ax: Axes, report: Report) -> None:
    """Median and the band up to p95."""
    points = []
    for slot in report.slots:
        middle_us = (max(slot.from_us, report.from_us) + min(slot.to_us, report.to_us)) // 2
        p50, p95 = (drawable_s(us) for us in slot.delays.quantiles_us((P50, P95)))
        points.append((slot.to_us, (middle_us / DAY_US, p50, p95)))
    dots = _dots(len(points))
    width_us = max((slot.to_us - slot.from_us for slot in report.slots), default=0)
    for number, run in enumerate(runs(points, report, width_us)):
        x, p50s, p95s = zip(*run, strict=True)
        labels = ("p50 to p95", "median") if not number else (None, None)
        ax.fill_between(x, p50s, p95s, color=COLOURS["band"], linewidth=0, label=labels[0])
        ax.plot(x, p95s, color=COLOURS["band"], linewidth=1, **dots)
        ax.plot(x, p50s, color=COLOURS["line"], linewidth=1.3, label=labels[1], **dots)
    ax.set_yscale("log")
    ax.set_yticks(log_ticks(*ax.get_ylim()))
    ax.yaxis.set_major_formatter(plain_number)
    ax.yaxis.set_minor_formatter(lambda value, position: "")
    ax.set_ylabel("delay s (log)")
    legend(ax)


def runs(points: Iterable[tuple[int, _Point]], report: Report, width_us: int) -> list[list[_Point]]:
    """Points, each with the moment up to which it speaks, in runs between which there was a gap of such a width."""
    blind = [gap for gap in report.gaps if gap.kind == "gap" and not gap.camera_id]
    ends = sorted(gap.to_us for gap in blind if gap.to_us - gap.from_us >= width_us)
    found: dict[int, list[_Point]] = {}
    for until_us, point in points:
        found.setdefault(bisect_right(ends, until_us), []).append(point)
    return list(found.values())


def _dots(points: int) -> dict[str, Any]:
    """Few points are marked: a single one would not be seen."""
    return {"marker": "o", "markersize": 2.5} if points < _FEW else {}


def log_ticks(lowest: float, highest: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them where they alone would be one or two."""
    digits = (1, 2, 5) if highest < 300 * lowest else (1,)
    return [tick for power in range(-5, 8) for digit in digits if lowest <= (tick := digit * 10.0**power) <= highest]


def drawable_s(us: int) -> float:
    """A duration in seconds for a log axis, which has no zero; below 1 ms there is one bucket anyway."""
    return max(us, 500) / 1e6


def clock(ax: Axes, report: Report) -> None:
    points = [
        (minute.time_us, (minute.time_us / DAY_US, minute.offset_us / 1e6, minute.bound_us / 1e6))
        for minute in report.minutes
        if minute.offset_us is not None and minute.bound_us is not None
    ]
    for number, run in enumerate(runs(points, report, _MINUTE_US)):
        x, offsets, _ = zip(*run, strict=True)
        labels = ("bound", "cloud − local") if not number else (None, None)
        low, high = ([offset + sign * bound for _, offset, bound in run] for sign in (-1, 1))
        ax.fill_between(x, low, high, color=COLOURS["band"], linewidth=0, label=labels[0])
        ax.vlines(x, low, high, color=COLOURS["band"], linewidth=1)  # one point has a bound, but no area
        ax.plot(x, offsets, color=COLOURS["line"], linewidth=1.2, label=labels[1], **_dots(len(points)))
    ax.set_ylabel("clock s")
    legend(ax)


def round_trip(ax: Axes, report: Report) -> None:
    _two_lines(ax, report, [(m.time_us, m.rtt_us, m.rtt_max_us) for m in report.minutes], 1e6, ("round trip", "max"))
    ax.set_ylabel("RTT s")


def own_error(ax: Axes, report: Report) -> None:
    _two_lines(ax, report, [(m.time_us, m.lag_p99_us, m.lag_max_us) for m in report.minutes], 1e3, ("p99", "max"))
    ax.set_ylabel("own error ms")


def _two_lines(
    ax: Axes,
    report: Report,
    points: list[tuple[int, int | None, int | None]],
    unit: float,
    labels: tuple[str, str],
) -> None:
    for index, colour in ((1, "second"), (0, "line")):
        values = [(p[0], (p[0] / DAY_US, value / unit)) for p in points if (value := p[index + 1]) is not None]
        for number, run in enumerate(runs(values, report, _MINUTE_US)):
            label = labels[index] if not number else None
            x, y = zip(*run, strict=True)
            ax.plot(x, y, color=COLOURS[colour], linewidth=1.2, label=label, **_dots(len(values)))
    ax.set_ylim(bottom=0)
    legend(ax)


def shade(ax: Axes, report: Report) -> None:
    """Grey where nothing was observed, a line where the clock was set."""
    spans = [g for g in report.gaps if not g.camera_id and g.kind != UNKNOWN and is_missed(g)]
    for gap in sorted(spans, key=lambda gap: gap.from_us - gap.to_us)[:_MOST_SHADES]:
        start, end = max(gap.from_us, report.from_us) / DAY_US, min(gap.to_us, report.to_us) / DAY_US
        if gap.kind == "clock-step":
            ax.axvline(start, color=COLOURS["warn"], linewidth=1)
        elif end > start:
            ax.axvspan(start, end, color=COLOURS["gap"], linewidth=0.6)


def legend(ax: Axes) -> None:
    # Above the axes: inside it would cover something in most reports.
    where: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
    ax.legend(**where, fontsize=9, ncols=2, frameon=False, labelcolor=COLOURS["muted"])


def plain_number(value: float, position: object) -> str:
    """A tick label without exponent."""
    return f"{value:g}"
