"""The vocabulary of a report: what was asked for, one logged event, one row of figures, and the whole.

Values only; what fills them is for `reading`, `cells`, `vitals` and `build`, how they look for `text`, `export` and
`page`. Times are integers of microseconds, shares 0 … 1. Invariant: every figure shown anywhere comes from here, so
the page, the tables, the CSV and the JSON agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from ..figures.histogram import P50, P95, P99, Histogram, rank_of
from ..model import NAMESPACES, Camera, Gap, Group, Verdict

P90: Final = 900
QUANTILES: Final = (P50, P90, P95, P99)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report is to be about: [since, until), and patterns (ids, or names with `*`); empty means all.

    `worst` is how many single events are listed, `min_delay_us` makes evidence hold every event at least so late.
    """

    log_dir: Path
    since_us: int | None = None
    until_us: int | None = None
    cameras: Sequence[str] = ()
    bridges: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    anonymise: bool = False
    worst: int = 20
    min_delay_us: int | None = None
    names: Mapping[int, str] = field(default_factory=lambda: NAMESPACES)


class Logged(NamedTuple):
    """One line of a delay log."""

    verdict: Verdict
    camera: Camera


class Minute(NamedTuple):
    """One line of `health.log`, durations in µs; None is what was not known."""

    time_us: int
    offset_us: int | None
    bound_us: int | None
    rtt_us: int | None
    rtt_max_us: int | None
    lag_p99_us: int | None
    lag_max_us: int | None


class Worst(NamedTuple):
    """A single bad event, the health line of its minute, and its JSON ("" when that cannot be found)."""

    logged: Logged
    minute: Minute | None
    body: str


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of a bridge, a camera, a namespace, or of one camera's namespace.

    `label` is for people; `camera` and `group` are set where the row has one. `delays` are the measured ones, `early`
    the negative delays of early events, without their sign. `observed` is None where nobody knows.
    """

    label: str
    delays: Histogram
    early: Histogram
    initial: int
    undated: int
    observed: float | None
    worst: Logged | None
    clean: Logged | None
    camera: Camera | None = None
    group: Group | None = None
    bridge: str = ""

    @property
    def n(self) -> int:
        """Measured events."""
        return self.delays.n

    @property
    def dated(self) -> int:
        """Measured and early events."""
        return self.delays.n + self.early.n

    @property
    def censored(self) -> bool:
        """More than 1 % came before their own timestamp: a clock is wrong, the figures lack their low end."""
        return self.early.n * 100 > self.dated

    def signed_quantile_us(self, per_mille: int) -> int:
        """A quantile over all dated events, early ones as negative delays; ValueError when there is none."""
        rank = rank_of(per_mille, self.dated)
        if rank <= self.early.n:
            return -self.early.value_at(self.early.n - rank + 1)
        return self.delays.value_at(rank - self.early.n)


class Slot(NamedTuple):
    """A stretch of the time axis and its delays."""

    from_us: int
    to_us: int
    delays: Histogram


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be read: files without one readable line, lines in others, files and folders with an error."""

    files: int = 0
    lines: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown; rows are worst p95 first, those with few events last."""

    source: str
    made_us: int
    from_us: int
    to_us: int
    last_observed_us: int
    total: Row
    bridges: list[Row]
    cameras: list[Row]
    namespaces: list[Row]
    cells: list[Row]
    worst: list[Worst]
    slots: list[Slot]
    gaps: list[Gap]
    minutes: list[Minute]
    own_error: Minute | None
    skipped: Skipped
    filters: str = ""
    anonymised: bool = False
