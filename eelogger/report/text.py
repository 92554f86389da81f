"""Show a report on the terminal: the worst rows of each table, and how many were left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..measure.seconds import micros, seconds3
from ..views.figures import Row, shown
from ..views.number_format import count
from ..views.sentences import CONTAINS, suspect
from ..views.tables import Column, printable, table, wrapped
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
        for row in filter(lambda row: row.figures.suspect, rows[:SHOWN]):
            yield from wrapped("? ", f"{printable(row.name)}: {suspect(row.figures)}", within)
    if report.worst:
        yield from ("", "Worst events")
        titles = [Column(heading(name), name not in _LEFT, 64) for name in _WORST]
        yield from table(titles, map(_event, report.worst[:SHOWN]), within=within)
        yield from _more(report.worst, "event")
    yield from ("", *sentences(report.skipped))
    yield from wrapped("", f"{CONTAINS} All times are UTC, all durations seconds.", within)


def _event(worst: Worst) -> list[str]:
    """One event; figures as in the other tables, the exact ones are in CSV and JSON."""
    fields = event_fields(worst.event)
    for name in ("delay_s", "after_gap_s", "lag_s"):
        fields[name] = fields[name] and seconds3(micros(fields[name]))
    fields["arrived_utc"] = fields["arrived_utc"][:19].replace("T", " ")
    fields["name"] = fields["name"] or fields["camera_id"]
    return [fields[name] or "-" for name in _WORST]


def _more(rows: Sequence[Row | Worst], what: str) -> Iterator[str]:
    if len(rows) > SHOWN:
        yield f"… and {count(len(rows) - SHOWN, f'more {what}')}; --json has all"
