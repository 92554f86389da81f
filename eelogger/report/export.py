"""A report for programs: CSV (figures, events) and JSON.

Decides names, units and order of columns; header names carry units, times are UTC. Invariant: no cell of foreign text
is taken for a formula by a spreadsheet, and every text can be encoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..text.tables import printable
from ..text.times import time_text
from ..text.units import seconds6
from ..version import __version__
from .columns import COUNTS, DOUBT, EVENT, FIGURES, MAXIMA, event_fields, figures, worst_fields
from .statements import conditions, headlines
from .values import Logged, Report, Row

_KEYS: Final = ("camera", "name", "bridge", "ns", "namespace")
_FIGURES: Final = (*FIGURES, *MAXIMA, *COUNTS, "observed_percent", *DOUBT)
_SPECIAL: Final = re.compile(r'[",\r\n]').search
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_FOREIGN: Final = frozenset(
    {"camera", "name", "bridge", "namespace", "event", "type", "uuid", "max_uuid", "clean_max_uuid"}
)


def csv_lines(report: Report) -> Iterator[str]:
    """One row a camera and namespace, worst p95 first, a header before them."""
    names = (*_KEYS, *_FIGURES)
    yield csv_line(names)
    for row in report.cells:
        yield csv_row(names, _keys(row) | figures(row))


def events_csv_header() -> str:
    """The header of `event_csv_line`."""
    return csv_line(EVENT)


def event_csv_line(event: Logged) -> str:
    """One row for one event."""
    return csv_row(EVENT, event_fields(event))


def csv_row(names: Sequence[str], values: Mapping[str, str]) -> str:
    """One row of named values; foreign ones are defused."""
    return csv_line([defused(values[name]) if name in _FOREIGN else values[name] for name in names])


def csv_line(cells: Sequence[str]) -> str:
    """One line, newline included (RFC 4180, but for the lone newline)."""
    # Four times as fast as the csv module, which wants a file; there may be millions of events.
    return ",".join(['"' + cell.replace('"', '""') + '"' if _SPECIAL(cell) else cell for cell in cells]) + "\n"


def defused(text: str) -> str:
    """Foreign text that a spreadsheet takes for text: what would begin a formula gets an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _keys(row: Row) -> dict[str, str]:
    camera = row.camera
    ns = str(row.group) if row.group is not None else ""
    texts = (camera.id if camera else "", camera.name if camera else "", row.bridge, ns, "")
    return dict(zip(_KEYS, map(printable, texts), strict=True)) | {"namespace": printable(_namespace(row))}


def _namespace(row: Row) -> str:
    event = row.worst or row.clean
    return event.verdict.event if event else str(row.group or "")


def json_text(report: Report) -> str:
    """The whole report as one JSON object; seconds are numbers."""
    content = {
        "eelogger": __version__,
        "source": printable(report.source),
        "made_utc": time_text(report.made_us),
        "from_utc": time_text(report.from_us),
        "to_utc": time_text(report.to_us),
        "filters": printable(report.filters),
        "anonymised": report.anonymised,
        "headlines": list(headlines(report)),
        "conditions": dict(conditions(report)),
        "total": _numbers(figures(report.total)),
        "bridges": [{"bridge": printable(row.bridge), **_numbers(figures(row))} for row in report.bridges],
        "cameras": [{**_named(row), **_numbers(figures(row))} for row in report.cameras],
        "namespaces": [
            {"group": row.group, "name": printable(row.label), **_numbers(figures(row))} for row in report.namespaces
        ],
        "cameras_namespaces": [{**_numbers(_keys(row)), **_numbers(figures(row))} for row in report.cells],
        "worst": [_numbers(worst_fields(each)) for each in report.worst],
        "gaps": [
            {
                "kind": gap.kind,
                "from_utc": time_text(gap.from_us),
                "to_utc": time_text(gap.to_us),
                "seconds": float(seconds6(gap.to_us - gap.from_us)),
                "reason": printable(gap.reason),
                "camera": printable(gap.camera_id),
            }
            for gap in report.gaps
        ],
        "skipped": {"files": report.skipped.files, "lines": report.skipped.lines, "errors": report.skipped.errors},
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _named(row: Row) -> dict[str, str]:
    return {name: value for name, value in _keys(row).items() if name in ("camera", "name", "bridge")}


def _numbers(values: Mapping[str, str]) -> dict[str, Any]:
    always = ("name", "bridge", "observed_percent")
    return {name: _number(name, value) for name, value in values.items() if value or name in always}


def _number(name: str, text: str) -> Any:
    if name == "censored":
        return text == "1"
    if name in ("events", *COUNTS, "op", "seq"):
        return int(text)
    if name.endswith(("_s", "_percent")):
        return float(text) if text else None
    return text
