"""Write a report: CSV of figures and of events, JSON, and tables for the terminal.

Column names carry units, times are UTC. No foreign text is taken for a formula by a spreadsheet, and no `camera` or
`bridge` for a number, as an id such as 100e0045 would be.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from .. import __version__
from ..measure.seconds import micros, seconds3
from ..storage.formats import parse_pairs, time_text
from ..views.figures import FEW, Row, shown, texts
from ..views.number_format import count
from ..views.sentences import CONTAINS, group_name, suspect
from ..views.tables import printable, table, wrapped
from .build import Report
from .query import Query
from .read import Event, sentences

WIDEST: Final = 120
SHOWN: Final = 50  # rows of each table on the terminal
BOM: Final = "\ufeff"  # begins a CSV file, so that spreadsheets read its umlauts; `encoding="utf-8-sig"` passes over it
EVENT: Final = (
    "arrived_utc", "event_time_utc", "delay_s", "verdict", "event", "ns", "type", "camera", "camera_id", "name",
    "bridge", "bridge_id", "uuid", "op", "seq", "after_gap_s", "lag_s",
)  # fmt: skip
# What tables for people show.
FIGURES: Final = (
    "events", "min_s", "avg_s", "p50_s", "p90_s", "p95_s", "p99_s", "max_s", "clean_max_s", "early", "undated",
    "observed_percent",
)  # fmt: skip
RANKED: Final = f"worst p95 first, those with fewer than {FEW} events last"
_KEYS: Final = ("camera", "camera_id", "name", "bridge", "bridge_id", "ns", "type", "namespace")
_FOREIGN: Final = {*_KEYS, "event", "uuid", "max_uuid", "clean_max_uuid"} - {"ns"}
_WORST: Final = ("delay_s", "arrived_utc", "name", "event", "op", "after_gap_s", "lag_s", "uuid")
_LEFT: Final = ("name", "event", "uuid")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_WHOLE: Final = {"events", "early", "initial", "undated", "ns", "op", "seq"}


def figures_csv(report: Report) -> Iterator[str]:
    """A header, then one row for each camera and group, worst p95 first."""
    rows = [_keys(report, row) | texts(row.figures) for row in report.rows["cell"]]
    yield csv_line(rows[0])
    yield csv_row(*rows)


def csv_line(names: Iterable[str]) -> str:
    """The names of columns as a line of CSV."""
    return csv_row({name: name for name in names})


def csv_row(*rows: Mapping[str, str]) -> str:
    """Rows of named values as lines of CSV; foreign text that would begin a formula gets an apostrophe."""
    lines = io.StringIO()
    cells = ([defused(value) if name in _FOREIGN else value for name, value in row.items()] for row in rows)
    csv.writer(lines, lineterminator="\n").writerows(cells)
    return lines.getvalue()


def defused(text: str) -> str:
    """Foreign text that a spreadsheet takes for text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def heading(name: str) -> str:
    """A figure's name as a column's title for people."""
    return name.replace("_percent", " %").replace("_s", " s").replace("_", " ")


def event_fields(event: Event) -> dict[str, str]:
    """An event's values by the names of `EVENT`; "" where there is none, foreign text printable."""
    row, camera = event.row, event.cell.camera
    pairs = defaultdict(str, parse_pairs(row.line.decode("utf-8", "replace")))
    values = (
        time_text(row.arrived_us), pairs["event_time"], pairs["delay_s"], row.kind, printable(pairs["event"]),
        "" if row.ns is None else str(row.ns), printable(row.type), *_place(camera.id, camera.name, camera.bridge),
        printable(event.identity), pairs["op"], pairs["seq"], pairs["after_gap_s"], pairs["lag_s"],
    )  # fmt: skip
    return dict(zip(EVENT, values, strict=True))


def head_of_json(query: Query, made_us: int, from_us: int, to_us: int) -> dict[str, Any]:
    """What is said of a period before its figures."""
    times = {"made_utc": time_text(made_us), "from_utc": time_text(from_us), "to_utc": time_text(to_us)}
    return {"eelogger": __version__, "source": query.source(), **times, "patterns": query.patterns()}


def json_report(report: Report) -> Iterator[str]:
    """The whole report as one JSON object; numbers are numbers, seconds too."""
    tables = {"bridge": "bridges", "camera": "cameras", "namespace": "namespaces", "cell": "cameras_namespaces"}
    content = head_of_json(report.query, report.made_us, report.from_us, report.to_us) | {
        "anonymised": report.query.anonymise,
        "headlines": report.headlines,
        "conditions": report.conditions,
        "total": _numbers(texts(report.total.figures)),
    }
    for kind, name in tables.items():
        content[name] = [_numbers(_keys(report, row) | texts(row.figures)) for row in report.rows[kind]]
    content["worst"] = [_numbers(event_fields(event)) for event in report.worst]
    content["gaps"] = [
        {"kind": gap.kind, "from_utc": time_text(gap.from_us), "to_utc": time_text(gap.to_us)}
        | {"reason": printable(gap.reason), "camera_id": printable(gap.camera_id)}
        | {"seconds": (gap.to_us - gap.from_us) / 1e6}
        for gap in report.gaps
    ]
    yield json.dumps(content | {"skipped": report.skipped}, indent=1, ensure_ascii=False) + "\n"


def _keys(report: Report, row: Row) -> dict[str, str]:
    ns, four_cc = (str(row.group), "") if isinstance(row.group, int) else ("", printable(row.group or ""))
    namespace = "" if row.group is None else printable(group_name(row.group, report.query.names))
    name = report.cameras[row.id].name if row.id in report.cameras else ""
    values = *_place(row.id, name, row.bridge), ns, four_cc, namespace
    return dict(zip(_KEYS, values, strict=True))


@lru_cache(maxsize=1024)  # there may be millions of events
def _place(camera_id: str, name: str, bridge: str) -> tuple[str, str, str, str, str]:
    """Camera and bridge for spreadsheets, and their raw ids."""
    name, camera_id, bridge = map(printable, (name, camera_id, bridge))
    # The labels of `--anonymise` have a hyphen, ids have none.
    camera, through = (
        f"{kind} {i}" if i and "-" not in i else i for kind, i in (("camera", camera_id), ("bridge", bridge))
    )
    return f"{name} ({camera_id})" if name not in ("", camera_id) else camera, camera_id, name, through, bridge


def _numbers(values: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = dict(values)
    for name, text in values.items():
        if name in _WHOLE or name.endswith(("_s", "_percent")):
            found[name] = (int if name in _WHOLE else float)(text) if text else None
    return found | ({"suspect": values["suspect"] == "1"} if "suspect" in values else {})


def text(report: Report, columns: int = WIDEST) -> Iterator[str]:
    """The report in lines, newlines included, no wider than figures need or so many columns."""
    return (f"{line}\n" for line in _lines(report, min(columns, WIDEST)))


def head(report: Report) -> Iterator[tuple[str, str]]:
    """What stands before all tables: labels and sentences."""
    yield from (
        ("", sentence)
        for sentence in (f"Delays of {report.query.period(report.from_us, report.to_us)}", *report.headlines)
    )
    yield from (("? ", sentence) for sentence in report.suspects)
    yield from ((f"{name:<10} ", sentence) for name, sentence in report.conditions.items())


def _lines(report: Report, within: int) -> Iterator[str]:
    for label, sentence in head(report):
        yield from wrapped(label, sentence, within)
    for what, rows in report.tables.items():
        yield from ("", f"By {what}, {RANKED}")
        figures = ([row.title, *shown(row.figures, FIGURES)] for row in rows[:SHOWN])
        yield from table([what, *map(heading, FIGURES)], figures, within=within)
        yield from _more(rows, what)
        for row in filter(lambda row: row.figures.suspect, rows[:SHOWN]):
            yield from wrapped("? ", f"{printable(row.name)}: {suspect(row.figures)}", within)
    if report.worst:
        yield from ("", "Worst events")
        cells = map(_event, report.worst[:SHOWN])
        yield from table([*map(heading, _WORST)], cells, left=_LEFT, widest=64, within=within)
        yield from _more(report.worst, "event")
    yield from ("", *sentences(report.skipped))
    yield from wrapped("", f"{CONTAINS} All times are UTC, all durations seconds.", within)


def _event(event: Event) -> list[str]:
    # Figures as in the other tables; the exact ones are in CSV and JSON.
    fields = event_fields(event)
    for name in ("delay_s", "after_gap_s", "lag_s"):
        fields[name] = fields[name] and seconds3(micros(fields[name]))
    fields["arrived_utc"] = fields["arrived_utc"][:19].replace("T", " ")
    fields["name"] = fields["name"] or fields["camera_id"]
    return [fields[name] or "-" for name in _WORST]


def _more(rows: Sequence[Row | Event], what: str) -> Iterator[str]:
    if len(rows) > SHOWN:
        yield f"… and {count(len(rows) - SHOWN, f'more {what}')}; --json has all"
