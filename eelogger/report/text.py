"""Show a report on the terminal: the worst rows of each table, and how many were left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..measure.seconds import micros, seconds3
from ..views.figures import Row, shown, texts
from ..views.number_format import count
from ..views.sentences import CONTAINS
from ..views.tables import Column, table, wrapped
from .build import Report, Worst
from .export import FIGURES, RANKED, event_fields, heading
from .read import sentences

WIDEST: Final = 120
SHOWN: Final = 50
_WORST: Final = ("delay_s", "arrived_utc", "name", "event", "op", "after_gap_s", "lag_s", "uuid")
_LEFT: Final = ("name", "event", "uuid")


def text(report: Report, columns: int = WIDEST) -> Iterator[str]:
    """The report in lines, newlines included, no wider than figures need or so many columns."""
    for line in _lines(report, min(columns, WIDEST)):
        yield f"{line}\n"


def head(report: Report) -> Iterator[tuple[str, str]]:
    """What stands before all tables: labels and sentences."""
    yield from (("", sentence) for sentence in (f"Delays of {report.period}", *report.headlines))
    yield from (("? ", sentence) for sentence in report.suspects)
    yield from ((f"{name:<10} ", sentence) for name, sentence in report.conditions.items())


def _lines(report: Report, within: int) -> Iterator[str]:
    for label, sentence in head(report):
        yield from wrapped(label, sentence, within)
    for what, rows in report.tables.items():
        yield from ("", f"By {what}, {RANKED}")
        titles = [Column(what, right=False), *(Column(heading(name)) for name in FIGURES)]
        yield from table(titles, [[row.title, *shown(row.figures, FIGURES)] for row in rows[:SHOWN]], within=within)
        yield from _more(rows, what)
    yield from ("", "Maxima; clean: not after a gap, not while the logger was late, not first seen after its creation")
    left = [Column("of", right=False), Column("which", right=False)]
    titles = [*left, Column("delay s"), Column("arrived (UTC)"), Column("uuid", right=False, widest=64)]
    maxima = [line for rows in report.tables.values() for row in rows[:SHOWN] for line in _maxima(row)]
    yield from table(titles, maxima, within=within)
    for what, rows in report.tables.items():
        yield from _more(rows, what)
    if report.worst:
        yield from ("", "Worst events")
        titles = [Column(heading(name), name not in _LEFT, 64) for name in _WORST]
        yield from table(titles, map(_event, report.worst[:SHOWN]), within=within)
        yield from _more(report.worst, "event")
    yield from ("", *sentences(report.skipped))
    yield from wrapped("", f"{CONTAINS} All times are UTC, all durations seconds.", within)


def _maxima(row: Row) -> Iterator[list[str]]:
    """When and which event the maxima were; the clean one only where it is another. Then what early events change."""
    values, is_clean = texts(row.figures), row.figures.max_event == row.figures.clean_max
    for which, name in (("max, clean" if is_clean else "max", "max"), ("clean max", "clean_max")):
        if (at := values[f"{name}_at_utc"]) and not (is_clean and name == "clean_max"):
            yield [row.title, which, values[f"{name}_s"], _moment(at), values[f"{name}_uuid"]]
    for name in ("p50", "p95") if row.figures.suspect else ():
        yield [row.title, f"{name} with early", values[f"all_dated_{name}_s"], "-", "-"]


def _event(worst: Worst) -> list[str]:
    """One event; figures as in the other tables, the exact ones are in CSV and JSON."""
    fields = event_fields(worst.event)
    for name in ("delay_s", "after_gap_s", "lag_s"):
        fields[name] = fields[name] and seconds3(micros(fields[name]))
    fields["arrived_utc"], fields["name"] = _moment(fields["arrived_utc"]), fields["name"] or fields["camera_id"]
    return [fields[name] or "-" for name in _WORST]


def _moment(utc: str) -> str:
    return utc[:19].replace("T", " ")


def _more(rows: Sequence[Row | Worst], what: str) -> Iterator[str]:
    if len(rows) > SHOWN:
        yield f"… and {count(len(rows) - SHOWN, f'more {what}')}; --json has all"
