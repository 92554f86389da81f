"""A report for the terminal.

Decides how much of it is printed: the worst `SHOWN` rows of each table; all of them are in CSV and JSON. Printing is
for `cli`. Invariant: nothing unprintable leaves here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..text import words
from ..text.tables import Column, table, wrapped
from .columns import FIGURES, shown, worst_fields
from .statements import conditions, doubts, headlines, period, skipped
from .values import Logged, Report, Row

SHOWN: Final = 50

_COLUMNS: Final = (*FIGURES, "early", "undated", "observed_percent")
_TITLES: Final = (*FIGURES, "early", "undated", "observed %")
_WORST: Final = (
    "delay_s", "arrived_utc", "name", "event", "op", "seq", "after_gap_s", "lag_s", "clock_offset_s", "clock_bound_s",
    "rtt_s", "uuid",
)  # fmt: skip


def text(report: Report) -> Iterator[str]:
    """The report in lines, newlines included."""
    for line in _lines(report):
        yield f"{line}\n"


def _lines(report: Report) -> Iterator[str]:
    yield from wrapped("", f"Delays of {period(report)}" + (f", {report.source}" if report.source else ""))
    yield from (line for sentence in headlines(report) for line in wrapped("", sentence))
    yield from (line for sentence in doubts(report) for line in wrapped("? ", sentence))
    for name, sentence in conditions(report):
        yield from wrapped(f"{name:<10} ", sentence)
    if len(report.bridges) > 1:
        yield from _table("bridge", report.bridges)
    yield from _table("camera", report.cameras)
    yield from _table("namespace", report.namespaces)
    yield from _maxima([*(report.bridges if len(report.bridges) > 1 else ()), *report.cameras, *report.namespaces])
    yield from _worst(report)
    yield ""
    yield from skipped(report)
    yield from wrapped("", f"{words.CONTAINS} All times are UTC, all durations seconds.")


def _table(what: str, rows: list[Row]) -> Iterator[str]:
    yield ""
    yield f"By {what}, worst p95 first, those with fewer than {words.FEW} events last"
    columns = [Column(what, right=False), *map(Column, _TITLES)]
    yield from table(columns, [[row.label, *shown(row, _COLUMNS)] for row in rows[:SHOWN]])
    if len(rows) > SHOWN:
        yield f"… and {words.count(len(rows) - SHOWN, f'more {what}')}"


def _maxima(rows: list[Row]) -> Iterator[str]:
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
        at = [Column(name, right=False, widest=64) for name in ("arrived_utc", "uuid")]
        yield from table([*left, Column("delay_s"), *at], lines)


def _maximum(row: Row, which: str, event: Logged) -> list[str]:
    at_us = event.verdict.arrived_us
    delay = next(value for value in shown(row, ["clean_max_s" if which == "clean max" else "max_s"]))
    return [row.label, which, delay, words.moment(at_us).removesuffix(" UTC"), event.verdict.identity]


def _worst(report: Report) -> Iterator[str]:
    if not report.worst:
        return
    yield ""
    yield "Worst events, with clock (cloud − local ± bound) and round trip of their minute"
    right = {"delay_s", "op", "seq", "after_gap_s", "lag_s", "clock_offset_s", "clock_bound_s", "rtt_s"}
    columns = [Column(name, right=name in right, widest=64 if name == "uuid" else 26) for name in _WORST]
    rows = [[fields[name] or "-" for name in _WORST] for fields in map(worst_fields, report.worst[:SHOWN])]
    yield from table(columns, [[row[0], row[1][:19].replace("T", " "), *row[2:]] for row in rows])
