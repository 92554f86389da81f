"""Draw the plots of the page with matplotlib, an optional extra.

Each is an SVG image with colours for light and dark pages. Lines break where nothing was observed.
"""

import io
import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from ..measure.histogram import P50, P95, Histogram, merged
from ..model import DAY_US, Gap
from ..views.sentences import is_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING: Final = "no plots: matplotlib is not installed (python -m pip install 'matplotlib>=3.9' adds them)"

_DPI: Final = 72
_HEIGHT_PX: Final = 250
_MOST_SHADES: Final = 200
# Each on a light page and on a dark one.
_COLOURS: Final = {
    "muted": ("#5a6773", "#9aa7b3"), "grid": ("#dfe4e8", "#2c3640"), "line": ("#0b5cad", "#7db8f5"),
    "band": ("#9cc3ea", "#2f5c8a"), "gap": ("#e3dccb", "#3d382b"),
}  # fmt: skip
_C: Final = {name: light for name, (light, _) in _COLOURS.items()}
_STYLE: Final[Any] = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _C["muted"]),
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": _C["grid"], "grid.linewidth": 0.6, "lines.linewidth": 1.2, "lines.markersize": 1.5,
    "legend.frameon": False, "legend.fontsize": 9, "legend.borderaxespad": 0, "svg.fonttype": "none",
}  # fmt: skip

Point = tuple[float, float, float]  # day, median, p95


class Timeline:
    """Delays by slots of equal length, which doubles when there are more than a plot can show apart."""

    LIMIT: Final = 400

    def __init__(self) -> None:
        self.slot_us = 5_000_000
        self.slots: dict[int, Histogram] = {}

    def count(self, arrived_us: int, bucket: int, delay_us: int) -> None:
        """Count a delay whose `bucket_of` is known."""
        slot = self.slots.get(arrived_us // self.slot_us)
        if slot is None:
            slot = self.slots[arrived_us // self.slot_us] = Histogram()
        slot.count(bucket, delay_us)
        while len(self.slots) > self.LIMIT:
            self.slot_us *= 2
            halves, self.slots = self.slots, {}
            for number, half in halves.items():
                self.slots.setdefault(number // 2, Histogram()).merge(half)


def available() -> bool:
    """Whether plots can be drawn."""
    return find_spec("matplotlib") is not None


def image(draw: Callable[[int], "Figure"], width_px: int) -> str:
    """A drawing as a `data:` URI; it has a style of its own, for an image cannot use the page's."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context(_STYLE):
        draw(width_px).savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    for name, (colour, _) in _COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    light, dark = (";".join(f"--{name}:{pair[i]}" for name, pair in _COLOURS.items()) for i in (0, 1))
    style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return "data:image/svg+xml;base64," + b64encode(text.replace("<defs>", f"{style}<defs>", 1).encode()).decode()


def over_time(timeline: Timeline, gaps: Sequence[Gap], from_us: int, to_us: int, width_px: int) -> "Figure":
    """Median and p95 over time, grey where nothing was observed."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure, ax = _figure(width_px)
    ax.set_yscale("log")
    days, p50, p95 = zip(*broken(timeline, gaps), strict=True)
    ax.fill_between(days, p50, p95, facecolor=_C["band"], edgecolor=_C["band"], linewidth=1, label="up to p95")
    ax.plot(days, p50, color=_C["line"], label="median", marker="o")
    # Above the axes: inside it would cover something in most reports.
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    blind = [gap for gap in gaps if is_shown(gap) and not gap.camera_id]
    for gap in sorted(blind, key=lambda gap: gap.from_us - gap.to_us)[:_MOST_SHADES]:
        start, end = max(gap.from_us, from_us) / DAY_US, min(gap.to_us, to_us) / DAY_US
        ax.axvspan(start, max(start, end), color=_C["gap"], linewidth=0.6)
    _plain_numbers(ax.yaxis)
    locator = AutoDateLocator(minticks=2, maxticks=max(4, width_px // 75))  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    margin_us = max((to_us - from_us) // 100, 1_000_000)
    ax.set_xlim((from_us - margin_us) / DAY_US, (to_us + margin_us) / DAY_US)
    ax.set(xlabel="time (UTC)", ylabel="delay in seconds (log)")
    return figure


def distribution(timeline: Timeline, width_px: int) -> "Figure":
    """How many events took how long, on a log axis."""
    figure, ax = _figure(width_px)
    delays = merged(timeline.slots.values())
    ax.set_xscale("log")
    values, counts = zip(*((_log_s(us), n) for us, n in delays.counts()), strict=True)
    first, last = (math.floor(16 * math.log10(end)) for end in (values[0], values[-1]))
    ax.hist(values, bins=[10 ** (i / 16) for i in range(first, last + 2)], weights=counts, color=_C["band"])
    _plain_numbers(ax.xaxis)
    ax.set(xlabel="delay in seconds (log)", ylabel="events")
    return figure


def broken(timeline: Timeline, gaps: Sequence[Gap]) -> list[Point]:
    """Points of the delay over time, with a hole in each gap of the account that is longer than a slot."""
    slot_us, points = timeline.slot_us, list[Point]()
    for number, slot in timeline.slots.items():
        p50, p95 = map(_log_s, slot.quantiles_us((P50, P95)))
        points.append(((number + 0.5) * slot_us / DAY_US, p50, p95))
    for gap in gaps:
        if is_shown(gap) and not gap.camera_id and gap.to_us - gap.from_us >= slot_us:
            points.append(((gap.from_us + gap.to_us) / 2 / DAY_US, math.nan, math.nan))
    return sorted(points)


def _plain_numbers(axis: Any) -> None:
    """Label a log axis with plain numbers, 1, 2 and 5 of each decade where there is room."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _log_s(us: int) -> float:
    """A duration in seconds for a log axis, which has no zero; below 1 ms there is one bucket anyway."""
    return max(us, 500) / 1e6


def _figure(width_px: int) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_px / _DPI, _HEIGHT_PX / _DPI), dpi=_DPI, layout="constrained")
    return figure, figure.subplots()
