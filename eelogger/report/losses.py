"""Show what an audit found: sentences, tables, JSON, and a row for each missing event."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any, Final

from ..model import Camera
from ..storage.formats import time_text
from ..views.sentences import camera_labels, group_name
from ..views.text import count, moment, printable, table, wrapped
from .export import SHOWN, WIDEST, csv_row, head_of_json
from .query import Query
from .reconcile import KINDS, Counts, Missing, Reconciliation

_MISSING: Final = ("camera", "camera_id", "bridge_id", "namespace", "ns", "event_time_utc", "uuid", "status")
_TITLES: Final = (
    "recorded", "delivered", "missing", "in gaps", "lost %", "95 % bounds", "unrecorded", "unknown h", "worst hour",
)  # fmt: skip
_SPARE: Final = ("unrecorded", "unknown h", "delivered")  # left out on a narrow terminal, the first ones first

Hours = Mapping[int, Counts]
Row = tuple[str, str, Hours]  # id, what it is called, counts by hour


@dataclass(frozen=True)
class Found:
    """What an audit found; `results` by camera id, `notes` what bounds the answer beside what they say."""

    query: Query
    made_us: int
    cameras: Mapping[str, Camera]
    bridges: Mapping[str, str]
    results: dict[str, Reconciliation]
    missing: list[tuple[Camera, Missing]]
    notes: list[str]
    is_partial: bool

    @cached_property
    def total(self) -> Counts:
        """The counts of all cameras."""
        return sum((counts for result in self.results.values() for counts in result.hours.values()), Counts())

    def rows(self, kind: str) -> list[Row]:
        """The rows of all bridges, of all cameras, or the total. Worst first."""
        hours = defaultdict[str, dict[int, Counts]](lambda: defaultdict(Counts))
        for camera_id, result in self.results.items():
            of = {"bridge": self.cameras[camera_id].bridge, "camera": camera_id, "all": ""}[kind]
            for hour_us, counts in result.hours.items():
                hours[of][hour_us].update(counts)
        names = {i: f"{self.bridges.get(i) or 'bridge'} ({i})" if i else "no bridge" for i in hours}
        names |= {"camera": camera_labels(self.cameras.values()), "all": {"": "all"}}.get(kind, {})
        wholes = {i: sum(by_hour.values(), Counts()) for i, by_hour in hours.items()}
        worst_first = sorted(hours, key=lambda i: (-wholes[i]["missing"], -wholes[i]["recorded"], names[i]))
        return [(i, names[i], hours[i]) for i in worst_first]

    def all_notes(self) -> Iterator[str]:
        """What bounds the answer."""
        yield from self.notes
        if n := self.total["edge"]:
            near = f"{count(n, 'event')} in our gaps lie so near the edge of one"
            yield f"{near} that the stream may have lost them: the upper bound says how much that would be."
        if n := sum(result.unreadable for result in self.results.values()):
            yield f"{count(n, 'row')} of the lists could not be read, and do not count."
        if n := sum(result.damaged for result in self.results.values()):
            yield f"{count(n, 'line')} of delay logs could not be read: each may be an event that is called missing."
        if late := [result for result in self.results.values() if result.unlisted]:
            last, n = moment(max(result.begins_us for result in late)), sum(result.unlisted for result in late)
            begin = f"{count(len(late), 'list begins', 'lists begin')} later than the period (retention?), the last at"
            yield f"{begin} {last}: {count(n, 'event')} delivered before that cannot be compared."
        if n := self.total["unknown"]:
            failures = filter(None, (result.failure for result in self.results.values()))
            yield f"{count(n, 'hour')} unknown: {printable(next(failures, ''))}."


def sentence(counts: Counts) -> str:
    """What was lost, to be sent as it is."""
    share, bounds = _percents(numbers(counts))
    lost = "" if share == "-" else f" ({share} %, 95 % bounds {bounds} %)"
    never = f"of {count(counts['recorded'], 'event')} recorded {counts['missing']:,} never arrived while we listened"
    unknown = f"; {count(counts['unknown'], 'hour')} of lists unknown" if counts["unknown"] else ""
    return f"All cameras: {never}{lost}, {counts['gap']:,} fell into our gaps{unknown}."


def text(found: Found, columns: int) -> str:
    """The result in lines of at most so many columns."""
    within, period = min(columns, WIDEST), found.query.period(found.query.since_us, found.query.until_us)
    lines = wrapped("", f"Annotations recorded in the cloud and delivered, {period}", within)
    if found.is_partial:
        lines.append(f"PARTIAL: broken off at {len(found.results)} of {count(len(found.cameras), 'camera')}")
    lines += wrapped("", sentence(found.total), within)
    for what, rest in (("bridge", []), ("camera", found.rows("all"))):
        rows = found.rows(what)
        shown = [*rows[:SHOWN], *rest]
        if len(shown) > 1:  # a single bridge tells nothing that the account does not
            lines += ["", *table([what, *_TITLES], map(_cells, shown), within=within, spare=_SPARE)]
        if len(rows) > SHOWN:
            lines.append(f"… and {count(len(rows) - SHOWN, f'more {what}')}; --json has all")
    lines.append("")
    for note in found.all_notes():
        lines += wrapped("- ", note, within)
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    _, name, hours = row
    of = numbers(sum(hours.values(), Counts()))
    worst_us = max(hours, key=lambda hour_us: (hours[hour_us]["missing"], -hour_us))
    of_worst = f"{moment(worst_us)[5:16]}: {hours[worst_us]['missing']:,}" if of["missing"] else "-"
    first = (f"{of[kind]:,}" for kind in ("recorded", "delivered", "missing", "gap"))
    return [name, *first, *_percents(of), f"{of['unrecorded']:,}", f"{of['unknown']:,}", of_worst]


def _percents(of: dict[str, Any]) -> tuple[str, str]:
    share, bounds = of["share_lost"], of["share_bounds"]
    if share is None:
        return "-", "-"
    part, low, high = ("<0.01" if 0 < p < 0.0001 else f"{p * 100:.2f}" for p in (share, *bounds))
    return part, f"{low}–{high}"


def json_text(found: Found) -> Iterator[str]:
    """Everything as one JSON object; shares are between 0 and 1."""
    query, cameras = found.query, found.cameras
    content = head_of_json(query, found.made_us, query.since_us, query.until_us) | {
        "complete": not found.total["unknown"],
        "sentence": sentence(found.total),
        "notes": [*found.all_notes()],
        "total": _values(found.rows("all")[0][2]),
        "bridges": [{"bridge_id": i, **_values(hours)} for i, _, hours in found.rows("bridge")],
        "cameras": [
            {"camera_id": i, "name": printable(cameras[i].name), "bridge_id": cameras[i].bridge}
            | {"failure": printable(found.results[i].failure), **_values(hours)}
            for i, _, hours in found.rows("camera")
        ],
    }
    yield json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _values(hours: Hours) -> dict[str, Any]:
    rows = [{"from_utc": time_text(hour_us)} | numbers(counts) for hour_us, counts in sorted(hours.items())]
    return numbers(sum(hours.values(), Counts())) | {"hours": rows}


def numbers(counts: Counts) -> dict[str, Any]:
    """The counts by name, and the lost share with its bounds."""
    missing, edge, could = counts["missing"], counts["edge"], counts["recorded"] - counts["gap"]
    # For the upper bound what is near a gap was lost by the stream.
    bounds = _wilson(missing, could)[0], _wilson(missing + edge, could + edge)[1]
    more = {"delivered": could - missing, "share_lost": missing / could if could else None, "share_bounds": bounds}
    return {kind: counts[kind] for kind in KINDS} | more


def _wilson(hits: int, n: int) -> tuple[float, float]:
    # The share lies between these with 95 % (Wilson).
    if not n:
        return 0.0, 1.0
    part, z = hits / n, 1.96
    middle, wide = part + z * z / (2 * n), z * sqrt(part * (1 - part) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * wide) / (1 + z * z / n) for sign in (-1, 1))
    return low if hits else 0.0, high if hits < n else 1.0


def csv_text(found: Found) -> Iterator[str]:
    """A header, then a row for each missing event; foreign text is no formula."""
    yield ",".join(_MISSING) + "\n"
    for camera, (uuid, ns, at_us, _, counts) in found.missing:
        name = group_name("ANNT" if ns is None else ns, found.query.names)
        at, status = "" if at_us is None else time_text(at_us), "observed" if "missing" in counts else "gap"
        values = [f"{camera.name or 'camera'} ({camera.id})", camera.id, camera.bridge, name]
        values += ["" if ns is None else str(ns), at, uuid, status]
        yield csv_row(dict(zip(_MISSING, map(printable, values), strict=True)))
