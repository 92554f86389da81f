"""Draw the plots of the page with matplotlib, an optional extra; lines break where nothing was observed."""

import io
import math
from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final

from ..measure.histogram import P50, P95, Histogram, merged
from ..model import DAY_US, Gap
from ..views.sentences import is_shown

# On a light page; a dark one inverts the whole image.
_MUTED, _GRID, _LINE, _BAND, _GAP = "#5a6773", "#d0d7dd", "#0b5cad", "#9cc3ea", "#d8ccb0"
_STYLE: Final[Any] = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _MUTED),
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": _GRID, "grid.linewidth": 0.6, "lines.linewidth": 1.2, "lines.markersize": 1.5,
    "legend.frameon": False, "legend.fontsize": 9, "legend.borderaxespad": 0, "svg.fonttype": "none",
}  # fmt: skip


class Timeline:
    """Delays by slots of equal length. It doubles when a plot cannot show so many slots."""

    LIMIT: Final = 400

    def __init__(self) -> None:
        self.slot_us = 5_000_000
        self.slots = defaultdict[int, Histogram](Histogram)

    def count(self, arrived_us: int, bucket: int, delay_us: int) -> None:
        """Count a delay whose `bucket_of` is known."""
        self.slots[arrived_us // self.slot_us].count(bucket, delay_us)
        while len(self.slots) > self.LIMIT:
            self.slot_us *= 2
            halves, self.slots = self.slots, defaultdict(Histogram)
            for number, half in halves.items():
                self.slots[number // 2] = merged([half, self.slots[number // 2]])


def missing() -> str:
    """What a reader is told where plots cannot be drawn, else ""."""
    text = "no plots: matplotlib is not installed (python -m pip install 'matplotlib>=3.9' adds them)"
    return "" if find_spec("matplotlib") else text


def image(timeline: Timeline, gaps: Sequence[Gap], from_us: int, to_us: int, width_px: int) -> str:
    """Delay over time above its distribution: an SVG image as `data:` URI."""
    import matplotlib as mpl
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    out = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_px / 72, 500 / 72), layout="constrained")  # an inch of SVG has 72 px
        above, below = figure.subplots(2)
        days, p50, p95 = zip(*broken(timeline, gaps), strict=True)
        above.fill_between(days, p50, p95, facecolor=_BAND, edgecolor=_BAND, linewidth=1, label="up to p95")
        above.plot(days, p50, color=_LINE, label="median", marker="o")
        # Above the axes: inside it would cover something in most reports.
        above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
        blind = [gap for gap in gaps if is_shown(gap) and not gap.camera_id]
        for gap in sorted(blind, key=lambda gap: gap.from_us - gap.to_us)[:200]:
            above.axvspan(gap.from_us / DAY_US, gap.to_us / DAY_US, color=_GAP, linewidth=0.6)
        locator = AutoDateLocator(minticks=2, maxticks=max(4, width_px // 75))  # type: ignore[no-untyped-call]
        above.xaxis.set_major_locator(locator)
        above.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        above.set(xlabel="time (UTC)", ylabel="delay in seconds (log)", yscale="log")
        margin_us = max((to_us - from_us) // 100, 1_000_000)
        above.set_xlim((from_us - margin_us) / DAY_US, (to_us + margin_us) / DAY_US)
        counted = merged(timeline.slots.values()).counts()
        values, counts = zip(*((_log_s(us), n) for us, n in counted), strict=True)
        first, last = (math.floor(16 * math.log10(end)) for end in (values[0], values[-1]))
        below.hist(values, bins=[10 ** (i / 16) for i in range(first, last + 2)], weights=counts, color=_BAND)
        below.set(xlabel="delay in seconds (log)", ylabel="events", xscale="log")
        for axis in (above.yaxis, below.xaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        figure.savefig(out, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + b64encode(out.getvalue()).decode()


def broken(timeline: Timeline, gaps: Sequence[Gap]) -> list[tuple[float, float, float]]:
    """Day, median and p95 of each slot. A gap of the account longer than a slot makes a hole."""
    slot_us, points = timeline.slot_us, list[tuple[float, float, float]]()
    for number, slot in timeline.slots.items():
        p50, p95 = map(_log_s, slot.quantiles_us((P50, P95)))
        points.append(((number + 0.5) * slot_us / DAY_US, p50, p95))
    for gap in gaps:
        if is_shown(gap) and not gap.camera_id and gap.to_us - gap.from_us >= slot_us:
            points.append(((gap.from_us + gap.to_us) / 2 / DAY_US, math.nan, math.nan))
    return sorted(points)


def _log_s(us: int) -> float:
    """A duration in seconds for a log axis, which has no zero; below 1 ms there is one bucket anyway."""
    return max(us, 500) / 1e6
