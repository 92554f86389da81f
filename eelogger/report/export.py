"""Write a report: CSV of figures and of events, JSON, and tables for the terminal."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from .. import __version__
from ..model import Camera
from ..storage.formats import parse_pairs, time_text
from ..views.figures import FEW, Row, texts
from ..views.sentences import CONTAINS, group_name
from ..views.text import printable, table, wrapped
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
_WORST: Final = ("name", "delay_s", "arrived_utc", "event", "op", "seq", "after_gap_s", "lag_s", "uuid")
# Left out of tables on a narrow terminal, the first ones first.
_SPARE: Final = ("undated", "min s", "p90 s", "avg s", "early", "lag s", "after gap s", "seq", "op")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_WHOLE: Final = {"events", "early", "initial", "undated", "ns", "op", "seq"}


def is_number(name: str) -> bool:
    """Whether a column holds numbers."""
    return name in _WHOLE or name.endswith(("_s", "_percent"))


def figures_csv(report: Report) -> Iterator[str]:
    """A header, then a row for each camera and group. Worst p95 first."""
    rows = [_keys(report, row) | texts(row.figures) for row in report.rows["cell"]]
    yield ",".join(rows[0]) + "\n"
    yield from map(csv_row, rows)


def csv_row(values: Mapping[str, str]) -> str:
    """Named values as a line of CSV; text that would begin a formula gets an apostrophe."""
    line = io.StringIO()
    cells = (f"'{text}" if text.startswith(_FORMULA) and not is_number(name) else text for name, text in values.items())
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def event_fields(event: Event) -> dict[str, str]:
    """An event's values by the names of `EVENT`; "" where there is none, foreign text printable."""
    row, camera = event.row, event.cell.camera
    place = _place(camera.id, camera.name, camera.bridge)
    pairs = defaultdict(str, parse_pairs(row.line.decode("utf-8", "replace")))
    values = (
        time_text(row.arrived_us), pairs["event_time"], pairs["delay_s"], row.kind, printable(pairs["event"]),
        "" if row.ns is None else str(row.ns), printable(row.type), *place.values(),
        printable(event.identity), pairs["op"], pairs["seq"], pairs["after_gap_s"], pairs["lag_s"],
    )  # fmt: skip
    return dict(zip(EVENT, values, strict=True))


def _keys(report: Report, row: Row) -> dict[str, str]:
    ns, four_cc = (str(row.group), "") if isinstance(row.group, int) else ("", printable(row.group or ""))
    namespace = "" if row.group is None else printable(group_name(row.group, report.query.names))
    camera = report.cameras.get(row.id, Camera("", ""))  # a bridge's row, or a namespace's, is no camera's
    return _place(camera.id, camera.name, row.bridge) | {"ns": ns, "type": four_cc, "namespace": namespace}


@lru_cache(maxsize=1024)  # there may be millions of events
def _place(camera_id: str, name: str, bridge: str) -> dict[str, str]:
    """Camera and bridge, which no spreadsheet takes for a number as it would 100e0045, and their raw ids."""
    name, camera_id, bridge = map(printable, (name, camera_id, bridge))
    # The labels of `--anonymise` have a hyphen, ids have none.
    camera, through = (
        f"{kind} {i}" if i and "-" not in i else i for kind, i in (("camera", camera_id), ("bridge", bridge))
    )
    camera = f"{name} ({camera_id})" if name not in ("", camera_id) else camera
    return {"camera": camera, "camera_id": camera_id, "name": name, "bridge": through, "bridge_id": bridge}


def head_of_json(query: Query, made_us: int, from_us: int, to_us: int) -> dict[str, Any]:
    """The facts about a period that stand before its figures."""
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


def _numbers(values: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = dict(values)
    for name in filter(is_number, values):
        found[name] = (int if name in _WHOLE else float)(values[name]) if values[name] else None
    return found | ({"suspect": values["suspect"] == "1"} if "suspect" in values else {})


def head(report: Report) -> Iterator[tuple[str, str]]:
    """What stands before all tables: labels and sentences."""
    for sentence in (f"Delays of {report.query.period(report.from_us, report.to_us)}", *report.headlines):
        yield "", sentence
    yield from (("? ", sentence) for sentence in report.suspects)
    yield from ((f"{name:<10} ", sentence) for name, sentence in report.conditions.items())


def tables(report: Report) -> Iterator[tuple[str, str, tuple[str, ...], list[dict[str, str]]]]:
    """The tables for people: title, caption, columns (the first says what a row is), rows of named texts."""
    for kind in ("bridge", "camera", "namespace"):
        rows = []
        for row in report.rows[kind]:
            values = texts(row.figures)
            note = f"with early events p50 {values['all_dated_p50_s']} s, p95 {values['all_dated_p95_s']} s"
            rows.append(values | {kind: printable(row.title), "note": note if row.figures.suspect else ""})
        if kind != "bridge" or len(rows) > 1:  # a single bridge tells nothing that the total does not
            caption = f"worst p95 first, those with fewer than {FEW} events last"
            yield f"By {kind}", caption, (kind, *FIGURES), rows
    if rows := [*map(event_fields, report.worst)]:
        for fields in rows:
            fields["name"] = fields["name"] or fields["camera_id"]
            fields["arrived_utc"] = fields["arrived_utc"][:19].replace("T", " ")
        yield "Worst events", "the longest delay first", _WORST, rows


def heading(name: str) -> str:
    """A column's title for people."""
    return name.replace("_percent", " %").replace("_utc", " UTC").replace("_s", " s").replace("_", " ")


def text(report: Report, columns: int = WIDEST) -> str:
    """The report as text of at most so many columns, where figures allow."""
    within = min(columns, WIDEST)
    lines = [line for label, sentence in head(report) for line in wrapped(label, sentence, within)]
    for title, caption, names, rows in tables(report):
        left = [heading(name) for name in names if not is_number(name) and name != "arrived_utc"]
        cells = ([row[name] or "-" for name in names] for row in rows[:SHOWN])
        of_title = table([*map(heading, names)], cells, left=left, widest=64, within=within, spare=_SPARE)
        lines += ["", f"{title}, {caption}", *of_title]
        if len(rows) > SHOWN:
            lines.append(f"… and {len(rows) - SHOWN:,} more; --json has all")
        for row in filter(lambda row: row.get("note"), rows[:SHOWN]):
            lines += wrapped("", f"{row[names[0]]}: {row['note']}", within)
    lines += ["", *sentences(report.skipped)]
    lines += wrapped("", f"{CONTAINS} All times are UTC, all durations seconds.", within)
    return "\n".join(lines) + "\n"
