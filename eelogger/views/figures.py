"""Figures, rows and tables that every view and report shows; `texts` turns their µs into seconds."""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ..measure.camera_statistics import CameraStatistics, is_suspect
from ..measure.histogram import P50, P95, P99, Histogram, merged, signed_quantile_us
from ..measure.seconds import mean3, seconds3
from ..model import EARLY, INITIAL, MEASURED, UNDATED, Group, Verdict
from ..storage.formats import time_text
from .number_format import clock_time, moment, share, span
from .tables import printable

FEW: Final = 20  # with fewer events a p95 is little more than the maximum: such rows are listed after the others
NO_BRIDGE: Final = "(none)"
P90: Final = 900
_AT_ONCE: Final = 16  # adding up so many takes half a millisecond, little more than adding one


@dataclass(slots=True)
class Tally:
    """What figures are made of: `early` holds the negative delays without their sign."""

    delays: Histogram = field(default_factory=Histogram)
    early: Histogram = field(default_factory=Histogram)
    initial: int = 0
    undated: int = 0
    max_event: Verdict | None = None
    clean_max: Verdict | None = None


def summed(tallies: Collection[Tally]) -> Tally:
    """Several tallies as one."""
    return Tally(
        merged(each.delays for each in tallies),
        merged(each.early for each in tallies),
        sum(each.initial for each in tallies),
        sum(each.undated for each in tallies),
        _worst(each.max_event for each in tallies),
        _worst(each.clean_max for each in tallies),
    )


def summed_in_steps(tallies: Iterable[Tally]) -> Generator[str, None, Tally]:
    """The same in short steps that yield empty lines."""
    whole, rest = Tally(), iter(tallies)
    while some := list(islice(rest, _AT_ONCE)):
        whole = summed([whole, *some])
        yield ""
    return whole


def first_sights(of: CameraStatistics) -> Counter[str]:
    """A camera's first sights of the day by verdict."""
    return Counter({MEASURED: of.n, EARLY: of.early, INITIAL: of.initial, UNDATED: of.undated})


def tally_of(statistics: CameraStatistics, worst: Verdict | None = None) -> Tally:
    """A camera's day as a tally."""
    return Tally(statistics.day(), statistics.early_delays, statistics.initial, statistics.undated, worst)


def _worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """The longest delay; of equal ones the first."""
    return max(filter(None, verdicts), key=lambda verdict: (verdict.delay_us or 0, -verdict.arrived_us), default=None)


class Figures:
    """The figures of a tally: durations in µs are 0 while `events` is 0, signed ones None unless `suspect`."""

    def __init__(self, tally: Tally, observed: float | None = None) -> None:
        delays, early = tally.delays, tally.early
        self.events, self.total_us, self.min_us, self.max_us = delays.n, delays.total_us, delays.min_us, delays.max_us
        self.avg_us = round(delays.total_us / (delays.n or 1))
        quantiles = delays.quantiles_us((P50, P90, P95, P99)) if delays.n else (0, 0, 0, 0)
        self.p50_us, self.p90_us, self.p95_us, self.p99_us = quantiles
        self.early, self.initial, self.undated = early.n, tally.initial, tally.undated
        self.suspect = is_suspect(early.n, delays.n)
        self.signed_p50_us = signed_quantile_us(early, delays, P50) if self.suspect else None
        self.signed_p95_us = signed_quantile_us(early, delays, P95) if self.suspect else None
        self.max_event, self.clean_max, self.observed = tally.max_event, tally.clean_max, observed


def texts(figures: Figures) -> dict[str, str]:
    """Every figure as text by its name, in the order of the CSV; "" where there is none."""
    n, top, clean = figures.events, figures.max_event, figures.clean_max
    names = ("min", "avg", "p50", "p90", "p95", "p99", "max")
    durations = {f"{name}_s": seconds3(getattr(figures, f"{name}_us")) if n else "" for name in names}
    durations["avg_s"] = mean3(figures.total_us, n) if n else ""  # rounded once
    return {
        "events": str(n),
        **durations,
        "clean_max_s": seconds3(clean.delay_us or 0) if clean else "",
        "max_at_utc": time_text(top.arrived_us) if top else "",
        "max_uuid": printable(top.identity) if top else "",
        "clean_max_at_utc": time_text(clean.arrived_us) if clean else "",
        "clean_max_uuid": printable(clean.identity) if clean else "",
        "early": str(figures.early),
        "initial": str(figures.initial),
        "undated": str(figures.undated),
        "observed_percent": "" if figures.observed is None else share(figures.observed).removesuffix(" %"),
        "suspect": "1" if figures.suspect else "0",
        "all_dated_p50_s": "" if figures.signed_p50_us is None else seconds3(figures.signed_p50_us),
        "all_dated_p95_s": "" if figures.signed_p95_us is None else seconds3(figures.signed_p95_us),
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
    p95_us = row.figures.p95_us if row.figures.events else -1
    return row.figures.events < FEW, -p95_us, row.name, row.id


def keep_worst(rows: list[Row], row: Row, most: int) -> None:
    """Take a row among the worst, ranked, in little time also when thousands come."""
    if len(rows) < most or rank(row) < rank(rows[-1]):
        insort(rows, row, key=rank)
        del rows[most:]


def headlines(ranked: Iterable[Row], total: Row, whose: str = "", *, dated: bool = False) -> list[str]:
    """The sentences to send: of the worst row and, unless it alone has events, of `total` (its worst is `whose`)."""
    measured = [row for row in ranked if row.figures.events]
    told = [_headline(measured[0], "", dated)] if measured else []
    return told if len(measured) == 1 else [*told, _headline(total, whose, dated)]


def _headline(row: Row, whose: str, dated: bool) -> str:
    """How long nearly all took, the worst, and how much was observed at all."""
    figures, name, part = row.figures, printable(row.name), row.figures.observed
    observed = "what was observed is unknown" if part is None else f"observed {share(part)}"
    if not figures.events:
        return f"{name}: no measured event; {observed}"
    at = ""
    if figures.max_event:
        at_us = figures.max_event.arrived_us
        at = f" at {moment(at_us)[:16] if dated else clock_time(at_us)} UTC"
    who, wrong = f" ({printable(whose)})" if whose else "", " (? a clock is wrong)" if figures.suspect else ""
    return f"{name}: 95 % within {span(figures.p95_us)}, worst {span(figures.max_us)}{at}{who}; {observed}{wrong}"
