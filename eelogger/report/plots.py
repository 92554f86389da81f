"""The plots of the page, as SVG by matplotlib, which is an optional extra and imported only here.

Decides what is drawn and how; colours are variables of the page's style, so one drawing serves light and dark. Text in
a plot is our own. Invariant: an SVG refers to nothing outside itself, and its ids are its own on the page.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

from ..figures.histogram import P50, P95, P99
from ..text.times import DAY_US, time_text
from .panels import COLOURS, clock, delays, drawable_s, log_ticks, own_error, plain_number, round_trip, shade
from .values import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING: Final = "no plots: matplotlib is not installed (python -m pip install 'matplotlib>=3.9' adds them)"

_DPI: Final = 72
_SECOND_US: Final = 1_000_000
_TICK_PX: Final = 75
_TICKS_S: Final = (
    *(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(days * 86_400 for days in (1, 2, 5, 10, 30, 60, 120, 365, 730, 3650)),
)
_BIN: Final = 10 ** (1 / 16)


def available() -> bool:
    """Whether plots can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def over_time(report: Report, width_px: int) -> str:
    """Delay, clock, round trip and own error over one time axis; gaps shaded."""
    drawn = [delays]
    if any(minute.offset_us is not None for minute in report.minutes):
        drawn.append(clock)
    if any(minute.rtt_us is not None for minute in report.minutes):
        drawn.append(round_trip)
    if any(minute.lag_max_us is not None for minute in report.minutes):
        drawn.append(own_error)
    heights = [2.4] + [1.0] * (len(drawn) - 1)
    figure = _figure(width_px, 70 * sum(heights) + 60)
    axes = figure.subplots(len(drawn), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for draw, ax in zip(drawn, axes, strict=True):
        _style(ax)
        draw(ax, report)
        shade(ax, report)
    _time_axis(axes[-1], report, width_px)
    return _svg(figure, f"time{width_px}", "Delay, clock, round trip and own error over time")


def distribution(report: Report, width_px: int) -> str:
    """How many events took how long, on a log axis."""
    figure = _figure(width_px, 240)
    ax = figure.subplots()
    _style(ax)
    bins: dict[int, int] = {}
    for us, count in report.total.delays.counts():
        index = _bin(us)
        bins[index] = bins.get(index, 0) + count
    starts = [_BIN**index / 1e6 for index in sorted(bins)]
    widths = [start * (_BIN - 1) for start in starts]
    ax.bar(starts, [bins[index] for index in sorted(bins)], widths, align="edge", color=COLOURS["band"], linewidth=0)
    ax.set_xscale("log")
    ax.set_xticks(log_ticks(*ax.get_xlim()))
    for number, per_mille in enumerate((P50, P95, P99)):
        at_s = drawable_s(report.total.delays.quantile_us(per_mille))
        ax.axvline(at_s, color=COLOURS["line"], linewidth=1)
        label = f"p{per_mille // 10} {at_s:.3g} s"
        ax.annotate(
            label, (at_s, 1), xycoords=("data", "axes fraction"), xytext=(3, -10 - 12 * number),
            textcoords="offset points", color=COLOURS["fg"], fontsize=10,
        )  # fmt: skip
    ax.set_xlabel("delay in seconds (log)")
    ax.set_ylabel("events")
    ax.xaxis.set_major_formatter(plain_number)
    ax.xaxis.set_minor_formatter(lambda value, position: "")
    return _svg(figure, f"dist{width_px}", "Distribution of delays")


def _bin(us: int) -> int:
    from math import floor, log

    return floor(log(max(us, 1)) / log(_BIN))


def _figure(width_px: int, height_px: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    return figure


def _style(ax: Axes) -> None:
    ax.patch.set_alpha(0)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(COLOURS["muted"])
    ax.tick_params(which="both", colors=COLOURS["muted"], labelsize=10)
    ax.xaxis.label.set_color(COLOURS["muted"])
    ax.yaxis.label.set_color(COLOURS["muted"])
    ax.grid(color=COLOURS["grid"], linewidth=0.6)
    ax.set_axisbelow(True)


def _time_axis(ax: Axes, report: Report, width_px: int) -> None:
    """Ticks at round times, so few that their labels have room; the first one and each midnight carry the date."""
    margin_us = max((report.to_us - report.from_us) // 100, 1_000_000)
    from_us, to_us = report.from_us - margin_us, report.to_us + margin_us
    most = max(3, width_px // _TICK_PX)
    step_us = next((s * _SECOND_US for s in _TICKS_S if (to_us - from_us) // (s * _SECOND_US) < most), to_us - from_us)
    ticks = range(-(-from_us // step_us) * step_us, to_us, step_us)
    ax.set_xlim(from_us / DAY_US, to_us / DAY_US)
    labels = [_tick_label(us, step_us, first=us == ticks[0]) for us in ticks]
    ax.set_xticks([us / DAY_US for us in ticks], labels)
    ax.set_xlabel("time (UTC)")


def _tick_label(us: int, step_us: int, *, first: bool) -> str:
    text = time_text(us)
    clock = text[11 : 19 if step_us < 60 * _SECOND_US else 16]
    if us % DAY_US == 0:
        return text[5:10]
    return f"{clock}\n{text[5:10]}" if first else clock


def _svg(figure: Figure, name: str, label: str) -> str:
    """The drawing as an element for the page, with its own ids and the page's colours and font."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<=[ \n])id="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    text = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", text)
    for variable, stand_in in COLOURS.items():
        text = text.replace(stand_in, f"var(--{variable})")
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{label}">', text, count=1
    )
    return text.replace("xlink:href", "href")
