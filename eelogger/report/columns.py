"""The figures of a row as text, in one place for terminal, CSV, JSON and page.

Decides names, units and decimals. Invariant: what two of them show of the same row is the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..figures.histogram import P50, P95
from ..text import words
from ..text.tables import printable
from ..text.times import time_text
from ..text.units import mean3, seconds3, seconds6
from .values import QUANTILES, Logged, Row, Worst

FIGURES: Final = ("events", "min_s", "avg_s", "p50_s", "p90_s", "p95_s", "p99_s", "max_s", "clean_max_s")
"""Durations in seconds, and the number of measured events they are of."""
COUNTS: Final = ("early", "initial", "undated")
MAXIMA: Final = ("max_at_utc", "max_uuid", "clean_max_at_utc", "clean_max_uuid")
DOUBT: Final = ("censored", "all_dated_p50_s", "all_dated_p95_s")
EVENT: Final = (
    "arrived_utc", "event_time_utc", "delay_s", "verdict", "event", "ns", "type", "camera", "name", "bridge", "uuid",
    "op", "seq", "after_gap_s", "lag_s",
)  # fmt: skip
MINUTE: Final = ("clock_offset_s", "clock_bound_s", "rtt_s")


def figures(row: Row) -> dict[str, str]:
    """Every figure of a row by its name; empty where there is none."""
    values = ["0"] + [""] * 8
    if row.n:
        quantiles = [seconds3(us) for us in row.delays.quantiles_us(QUANTILES)]
        least, average, most = row.delays.min_us, mean3(row.delays.total_us, row.n), row.delays.max_us
        values = [str(row.n), seconds3(least), average, *quantiles, seconds3(most), _delay(row.clean)]
    counts = map(str, (row.early.n, row.initial, row.undated))
    doubt = ["1", *(seconds3(row.signed_quantile_us(p)) for p in (P50, P95))] if row.censored else ["0", "", ""]
    return {
        **dict(zip(FIGURES, values, strict=True)),
        **dict(zip(MAXIMA, [*_maximum(row.worst), *_maximum(row.clean)], strict=True)),
        **dict(zip(COUNTS, counts, strict=True)),
        "observed_percent": "" if row.observed is None else words.share(row.observed).removesuffix(" %"),
        **dict(zip(DOUBT, doubt, strict=True)),
    }


def shown(row: Row, names: Sequence[str]) -> list[str]:
    """Some figures for people: `?` behind the durations of a censored row, - where there is none."""
    values = figures(row)
    values["observed_percent"] = values["observed_percent"] or "unknown"
    mark = "?" if row.censored else ""
    return [f"{values[name]}{mark if name.endswith('_s') else ''}" if values[name] else "-" for name in names]


def event_fields(event: Logged) -> dict[str, str]:
    """An event's fields by their name, `EVENT`; empty where there is none, foreign text printable."""
    v, camera = event
    texts = (
        time_text(v.arrived_us),
        "" if v.event_us is None else time_text(v.event_us),
        "" if v.delay_us is None else seconds6(v.delay_us),
        v.kind,
        printable(v.event),
        _text(v.ns),
        printable(v.type),
        printable(camera.id),
        printable(camera.name),
        printable(camera.bridge),
        printable(v.identity),
        _text(v.op),
        _text(v.seq),
        "" if v.after_gap_us is None else seconds6(v.after_gap_us),
        "" if v.lag_us is None else seconds6(v.lag_us),
    )
    return dict(zip(EVENT, texts, strict=True))


def worst_fields(worst: Worst) -> dict[str, str]:
    """A bad event's fields; a nameless camera is called by its id; clock and round trip are those of the minute."""
    minute = worst.minute
    durations = (minute.offset_us, minute.bound_us, minute.rtt_us) if minute else (None, None, None)
    texts = ("" if us is None else seconds3(us) for us in durations)
    fields = event_fields(worst.logged)
    return fields | {"name": fields["name"] or fields["camera"]} | dict(zip(MINUTE, texts, strict=True))


def _delay(event: Logged | None) -> str:
    return "" if event is None or event.verdict.delay_us is None else seconds3(event.verdict.delay_us)


def _maximum(event: Logged | None) -> tuple[str, str]:
    return ("", "") if event is None else (time_text(event.verdict.arrived_us), printable(event.verdict.identity))


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
