"""Figures, rows and tables that every view and report shows; `texts` turns their µs into seconds."""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Final

from ..measure.camera_statistics import CameraStatistics, is_suspect
from ..measure.histogram import P50, P95, P99, Histogram, merged, signed_quantile_us
from ..measure.seconds import mean3, seconds3
from ..model import EARLY, INITIAL, MEASURED, UNDATED, Group, Verdict
from ..storage.formats import time_text
from .text import printable, share

FEW: Final = 20  # with fewer events a p95 is little more than the maximum: such rows are listed after the others
NO_BRIDGE: Final = "(none)"
P90: Final = 900
DURATIONS: Final = ("min", "avg", "p50", "p90", "p95", "p99", "max")
_AT_ONCE: Final = 16  # adding up so many takes half a millisecond, little more than adding one


@dataclass
class Figures:
    """What is counted of some events, and what follows from it; `early` holds negative delays without their sign."""

    delays: Histogram = field(default_factory=Histogram)
    early: Histogram = field(default_factory=Histogram)
    initial: int = 0
    undated: int = 0
    max_event: Verdict | None = None
    clean_max: Verdict | None = None
    observed: float | None = None

    @property
    def events(self) -> int:
        """How many were measured."""
        return self.delays.n

    @property
    def suspect(self) -> bool:
        """The figures cannot be trusted, see `is_suspect`."""
        return is_suspect(self.early.n, self.events)

    @cached_property
    def durations_us(self) -> dict[str, int]:
        """Each of `DURATIONS`, none without events; it stays as it was when first asked for."""
        delays = self.delays
        if not delays.n:
            return {}
        average_us = round(delays.total_us / delays.n)
        quantiles = delays.quantiles_us((P50, P90, P95, P99))
        return dict(zip(DURATIONS, (delays.min_us, average_us, *quantiles, delays.max_us), strict=True))


def summed(parts: Collection[Figures]) -> Figures:
    """The figures of all parts together."""
    return Figures(
        merged(part.delays for part in parts),
        merged(part.early for part in parts),
        sum(part.initial for part in parts),
        sum(part.undated for part in parts),
        _worst(part.max_event for part in parts),
        _worst(part.clean_max for part in parts),
    )


def summed_in_steps(parts: Iterable[Figures]) -> Generator[str, None, Figures]:
    """The same in short steps that yield empty lines."""
    whole, rest = Figures(), iter(parts)
    while some := list(islice(rest, _AT_ONCE)):
        whole = summed([whole, *some])
        yield ""
    return whole


def _worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """The longest delay; of equal ones the first."""
    return max(filter(None, verdicts), key=lambda verdict: (verdict.delay_us or 0, -verdict.arrived_us), default=None)


def figures_of(day: CameraStatistics, worst: Verdict | None = None, observed: float | None = None) -> Figures:
    """The figures of a camera's day."""
    return Figures(day.day(), day.early, day.initial, day.undated, worst, observed=observed)


def first_sights(day: CameraStatistics) -> Counter[str]:
    """A camera's first sights of the day by verdict."""
    return Counter({MEASURED: day.n, EARLY: day.early.n, INITIAL: day.initial, UNDATED: day.undated})


def texts(figures: Figures) -> dict[str, str]:
    """All figures as texts by name, in the CSV's order. "" means none."""
    delays, early, all_us = figures.delays, figures.early, figures.durations_us
    top, clean = figures.max_event, figures.clean_max
    durations = {f"{name}_s": seconds3(all_us[name]) if all_us else "" for name in DURATIONS}
    durations["avg_s"] = mean3(delays.total_us, delays.n) if delays.n else ""  # rounded once
    return {
        "events": str(delays.n),
        **durations,
        "clean_max_s": seconds3(clean.delay_us or 0) if clean else "",
        "max_at_utc": time_text(top.arrived_us) if top else "",
        "max_uuid": printable(top.identity) if top else "",
        "clean_max_at_utc": time_text(clean.arrived_us) if clean else "",
        "clean_max_uuid": printable(clean.identity) if clean else "",
        "early": str(early.n),
        "initial": str(figures.initial),
        "undated": str(figures.undated),
        "observed_percent": "" if figures.observed is None else share(figures.observed).removesuffix(" %"),
        "suspect": "1" if figures.suspect else "0",
        "all_dated_p50_s": seconds3(signed_quantile_us(early, delays, P50)) if figures.suspect else "",
        "all_dated_p95_s": seconds3(signed_quantile_us(early, delays, P95)) if figures.suspect else "",
    }


def shown(figures: Figures, names: Iterable[str]) -> list[str]:
    """Some of `texts` for people, - where there is none."""
    values = texts(figures)
    values["observed_percent"] = values["observed_percent"] or "unknown"
    return [values[name] or "-" for name in names]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; `name` is what a person calls it."""

    id: str
    name: str
    figures: Figures
    bridge: str = ""
    group: Group | None = None

    @property
    def title(self) -> str:
        """The name as a table shows it: `?` before that of a suspect row, and nowhere else in it."""
        return f"? {self.name}" if self.figures.suspect else self.name


def rank(row: Row) -> tuple[bool, int, str, str]:
    """The one ranking: worst p95 first, fewer than `FEW` events last, then by name."""
    return row.figures.events < FEW, -row.figures.durations_us.get("p95", -1), row.name, row.id


def keep_worst(rows: list[Row], row: Row, most: int) -> None:
    """Insert a row among the worst, in rank order. It is fast also for thousands."""
    if len(rows) < most or rank(row) < rank(rows[-1]):
        insort(rows, row, key=rank)
        del rows[most:]
