"""A report for the terminal.

Decides how much of it is printed: the worst `SHOWN` rows of each table; all of them are in CSV and JSON. Printing is
for `cli`. Invariant: nothing unprintable leaves here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..text import words
from ..text.tables import Column, table, wrapped
from ..text.units import seconds3
from .columns import FIGURES, shown, worst_fields
from .statements import conditions, doubts, headlines, period, skipped
from .values import Logged, Report, Row, Worst

SHOWN: Final = 50

_COLUMNS: Final = (*FIGURES, "early", "undated", "observed_percent")
_TITLES: Final = (*FIGURES, "early", "undated", "observed %")
_WORST: Final = {
    "delay_s": "delay_s", "arrived_utc": "arrived_utc", "name": "name", "event": "event", "op": "op", "seq": "seq",
    "after_gap_s": "after_gap_s", "lag_s": "lag_s", "clock_offset_s": "clock_s", "clock_bound_s": "± s",
    "rtt_s": "rtt_s", "uuid": "uuid",
}  # fmt: skip
_FOREIGN: Final = ("name", "event", "uuid")
WIDEST: Final = 120
"""Also where there is no terminal."""


def text(report: Report, columns: int = WIDEST) -> Iterator[str]:
    """The report in lines, newlines included, no wider than figures need or so many columns."""
    for line in _lines(report, min(columns, WIDEST)):
        yield f"{line}\n"


def _lines(report: Report, wide: int) -> Iterator[str]:
    yield from wrapped("", f"Delays of {period(report)}" + (f", {report.source}" if report.source else ""), wide)
    yield from (line for sentence in headlines(report) for line in wrapped("", sentence, wide))
    yield from (line for sentence in doubts(report) for line in wrapped("? ", sentence, wide))
    for name, sentence in conditions(report):
        yield from wrapped(f"{name:<10} ", sentence, wide)
    if len(report.bridges) > 1:
        yield from _table("bridge", report.bridges, wide)
    yield from _table("camera", report.cameras, wide)
    yield from _table("namespace", report.namespaces, wide)
    rows = [*(report.bridges if len(report.bridges) > 1 else ()), *report.cameras, *report.namespaces]
    yield from _maxima(rows, wide)
    yield from _worst(report, wide)
    yield ""
    yield from skipped(report)
    yield from wrapped("", f"{words.CONTAINS} All times are UTC, all durations seconds.", wide)


def _table(what: str, rows: list[Row], wide: int) -> Iterator[str]:
    yield ""
    yield f"By {what}, worst p95 first, those with fewer than {words.FEW} events last"
    columns = [Column(what, right=False), *map(Column, _TITLES)]
    yield from table(columns, [[row.label, *shown(row, _COLUMNS)] for row in rows[:SHOWN]], within=wide)
    if len(rows) > SHOWN:
        yield f"… and {words.count(len(rows) - SHOWN, f'more {what}')}"


def _maxima(rows: list[Row], wide: int) -> Iterator[str]:
    """When and which event the maxima were; the clean one only where it is another."""
    lines = []
    for row in rows[: 2 * SHOWN]:
        if row.worst is not None:
            lines.append(_maximum(row, "max, clean" if row.worst == row.clean else "max", row.worst))
        if row.clean is not None and row.clean != row.worst:
            lines.append(_maximum(row, "clean max", row.clean))
    if lines:
        yield ""
        yield "Maxima; clean: not after a gap, not while the logger was late, not first seen after its creation"
        left = [Column(name, right=False) for name in ("of", "which")]
        at = Column("arrived_utc"), Column("uuid", right=False, widest=64)
        yield from table([*left, Column("delay_s"), *at], lines, within=wide)


def _maximum(row: Row, which: str, event: Logged) -> list[str]:
    at_us = event.verdict.arrived_us
    delay = next(value for value in shown(row, ["clean_max_s" if which == "clean max" else "max_s"]))
    return [row.label, which, delay, words.moment(at_us).removesuffix(" UTC"), event.verdict.identity]


def _worst(report: Report, wide: int) -> Iterator[str]:
    if not report.worst:
        return
    yield ""
    yield "Worst events, with clock (cloud − local ± bound) and round trip of their minute"
    columns = [Column(title, name not in _FOREIGN, 64 if name == "uuid" else 26) for name, title in _WORST.items()]
    yield from table(columns, [list(_cells(worst)) for worst in report.worst[:SHOWN]], within=wide)


def _cells(worst: Worst) -> Iterator[str]:
    """One event; figures as in the other tables, the exact ones are in CSV and JSON."""
    verdict, fields = worst.logged.verdict, worst_fields(worst)
    for name, us in (("delay_s", verdict.delay_us), ("after_gap_s", verdict.after_gap_us), ("lag_s", verdict.lag_us)):
        fields[name] = "" if us is None else seconds3(us)
    fields["arrived_utc"] = fields["arrived_utc"][:19].replace("T", " ")
    return (fields[name] or "-" for name in _WORST)
