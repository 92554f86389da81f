"""Show what an audit found: sentences, tables, JSON, and a row for each missing event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from .. import __version__
from ..model import Camera
from ..storage.formats import time_text
from ..views.number_format import count, moment, span
from ..views.sentences import camera_labels, group_name
from ..views.tables import Column, printable, table, wrapped
from .export import csv_line, csv_row
from .query import Query
from .reconcile import Counts, Missing, Reconciliation, summed, worst_hour

WIDEST: Final = 120
SHOWN: Final = 50
NOTED: Final = 5  # cameras of which the same is said one by one
HEADER: Final = csv_line(["camera", "camera_id", "bridge_id", "namespace", "ns", "event_time_utc", "uuid", "status"])
_TITLES: Final = (
    "recorded", "delivered", "missing", "in gaps", "lost %", "95 % bounds", "unrecorded", "unknown h", "worst hour",
)  # fmt: skip

Hours = Mapping[int, Counts]


@dataclass(frozen=True)
class Found:
    """What an audit found; `results` by camera id, `notes` what bounds the answer beside what they say."""

    query: Query
    made_us: int
    cameras: Mapping[str, Camera]
    bridges: Mapping[str, str]
    results: Mapping[str, Reconciliation]
    notes: list[str]
    is_partial: bool

    @cached_property
    def total(self) -> Counts:
        """The counts of all cameras."""
        return summed(self.hours(lambda camera_id: True).values())

    def hours(self, belongs: Callable[[str], bool]) -> Hours:
        """The counts of some cameras by hour."""
        hours: dict[int, Counts] = {}
        for camera_id, result in self.results.items():
            for hour_us, counts in result.hours.items() if belongs(camera_id) else ():
                hours.setdefault(hour_us, Counts()).add(counts)
        return hours

    def tables(self) -> dict[str, dict[str, tuple[str, Hours]]]:
        """What each row is called and its hours, by id: of bridges, of cameras; the worst first."""
        labels = camera_labels(self.cameras.values())
        of = {camera_id: self.cameras[camera_id].bridge for camera_id in self.results}
        bridges = {i: f"{self.bridges.get(i) or 'bridge'} ({i})" if i else "no bridge" for i in of.values()}
        return {
            "bridge": _ranked({i: (name, self.hours(lambda c, i=i: of[c] == i)) for i, name in bridges.items()}),  # type: ignore[misc]
            "camera": _ranked({i: (labels[i], result.hours) for i, result in self.results.items()}),
        }

    def all_notes(self) -> Iterator[str]:
        """What bounds the answer."""
        yield from self.notes
        if self.total.edge:
            near = f"{count(self.total.edge, 'event')} in our gaps lie so near the edge of one"
            yield f"{near} that the stream may have lost them: the upper bound says how much that would be."
        for each, what in (
            ("repeated", "in the lists had a uuid that was there before, and count once"),
            ("unreadable", "of the lists could not be read, and do not count"),
            ("damaged", "of the delay logs could not be read: each may stand for an event that is called missing"),
        ):
            if n := sum(getattr(result, each) for result in self.results.values()):
                yield f"{count(n, 'row')} {what}."
        labels = camera_labels(self.cameras.values())
        for kind in (_begins, _unknown):
            found = [f"{printable(labels[i])}: {text}." for i, result in self.results.items() if (text := kind(result))]
            yield from found[:NOTED]
            if len(found) > NOTED:
                yield f"… and {count(len(found) - NOTED, 'more camera')} of this kind; --json has all."


def _ranked(rows: dict[str, tuple[str, Hours]]) -> dict[str, tuple[str, Hours]]:
    sums = {key: summed(hours.values()) for key, (_, hours) in rows.items()}
    return {key: rows[key] for key in sorted(rows, key=lambda i: (-sums[i].missing, -sums[i].recorded, rows[i][0]))}


def _begins(result: Reconciliation) -> str:
    before = f"{count(result.unlisted, 'event')} delivered before that cannot be compared"
    begins = "" if result.begins_us is None else f"its list begins at {moment(result.begins_us)}, later than the period"
    return f"{begins} (retention?): {before}" if result.unlisted and begins else ""


def _unknown(result: Reconciliation) -> str:
    hours = summed(result.hours.values()).unknown
    return f"{count(hours, 'hour')} unknown: {printable(result.failure)}" if hours else ""


def sentence(name: str, counts: Counts) -> str:
    """What was lost, to be sent as it is."""
    lost = "" if counts.share is None else f" ({_percent(counts.share)} %, 95 % bounds {_bounds(counts)} %)"
    text = f"{name}: of {count(counts.recorded, 'event')} recorded {counts.missing:,} never arrived while we listened"
    unknown = f"; {count(counts.unknown, 'hour')} of lists unknown" if counts.unknown else ""
    return f"{text}{lost}, {counts.gap:,} fell into our gaps{unknown}."


def text(found: Found, columns: int) -> Iterator[str]:
    """The result in lines, newlines included."""
    for line in _lines(found, min(columns, WIDEST)):
        yield f"{line}\n"


def _lines(found: Found, within: int) -> Iterator[str]:
    query, tables = found.query, found.tables()
    period = f"{moment(query.from_us)} to {moment(query.to_us)} ({span(query.to_us - query.from_us)})"
    only = f"; only {printable(query.patterns())}" if query.patterns() else ""
    where = printable(str(query.log_dir))
    yield from wrapped("", f"Annotations recorded in the cloud and delivered to {where}, {period}{only}", within)
    if found.is_partial:
        yield f"PARTIAL: broken off at {len(found.results)} of {count(len(found.cameras), 'camera')}"
    yield from wrapped("", sentence("All cameras", found.total), within)
    for name, hours in [*tables["camera"].values()][: len(tables["camera"]) > 1]:
        if worst_hour(hours) is not None:
            yield from wrapped("", sentence(printable(name), summed(hours.values())), within)
    for what, rows in tables.items():
        if len(rows) > 1 or what == "camera":
            yield ""
            cells = [_cells(*row) for row in [*rows.values()][:SHOWN]]
            cells += [_cells("all", found.hours(lambda camera_id: True))] if what == "camera" else []
            yield from table([Column(what, right=False), *map(Column, _TITLES)], cells, within=within)
            if len(rows) > SHOWN:
                yield f"… and {count(len(rows) - SHOWN, f'more {what}')}; --json has all"
    yield ""
    for note in found.all_notes():
        yield from wrapped("- ", note, within)


def _cells(name: str, hours: Hours) -> list[str]:
    c, worst = summed(hours.values()), worst_hour(hours)
    lost = ["-", "-"] if c.share is None else [_percent(c.share), _bounds(c)]
    of_worst = "-" if worst is None else f"{moment(worst)[5:16]}: {hours[worst].missing:,}"
    first, last = (c.recorded, c.delivered, c.missing, c.gap), (c.unrecorded, c.unknown)
    return [name, *(f"{n:,}" for n in first), *lost, *(f"{n:,}" for n in last), of_worst]


def _percent(part: float) -> str:
    return "<0.01" if 0 < part < 0.0001 else f"{part * 100:.2f}"


def _bounds(counts: Counts) -> str:
    return "–".join(map(_percent, counts.bounds))


def json_text(found: Found) -> Iterator[str]:
    """Everything as one JSON object; shares are between 0 and 1."""
    query, tables = found.query, found.tables()
    cameras = [
        {"camera_id": i, "name": printable(found.cameras[i].name), "bridge_id": found.cameras[i].bridge}
        | {"failure": printable(found.results[i].failure), **_values(hours)}
        for i, (_, hours) in tables["camera"].items()
    ]
    content = {
        "eelogger": __version__,
        "source": printable(str(query.log_dir)),
        "made_utc": time_text(found.made_us),
        "from_utc": time_text(query.from_us),
        "to_utc": time_text(query.to_us),
        "patterns": printable(query.patterns()),
        "complete": not found.total.unknown,
        "sentence": sentence("All cameras", found.total),
        "notes": [*found.all_notes()],
        "total": _values(found.hours(lambda camera_id: True)),
        "bridges": [{"bridge_id": i, **_values(hours)} for i, (_, hours) in tables["bridge"].items()],
        "cameras": cameras,
    }
    yield json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _values(hours: Hours) -> dict[str, Any]:
    rows = [{"from_utc": time_text(hour_us)} | _counts(counts) for hour_us, counts in sorted(hours.items())]
    return _counts(summed(hours.values())) | {"hours": rows}


def _counts(counts: Counts) -> dict[str, Any]:
    shares = {"share_lost": counts.share, "share_bounds": counts.bounds}
    return asdict(counts) | {"delivered": counts.delivered} | shares


def missing_row(camera: Camera, missing: Missing, names: Mapping[int, str]) -> str:
    """One missing event as a line of CSV; foreign text is no formula."""
    values = {
        "camera": printable(f"{camera.name or 'camera'} ({camera.id})"),
        "camera_id": camera.id,
        "bridge_id": camera.bridge,
        "namespace": printable(group_name("ANNT" if missing.ns is None else missing.ns, names)),
        "ns": "" if missing.ns is None else str(missing.ns),
        "event_time_utc": "" if missing.at_us is None else time_text(missing.at_us),
        "uuid": printable(missing.uuid),
        "status": "observed" if missing.counts_as.missing else "gap",
    }
    return csv_row(values)
