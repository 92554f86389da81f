"""The metrics of a run as a Prometheus textfile, for node_exporter's textfile collector.

Decides names, units and labels by the Prometheus conventions; when it is written is for `snapshots`. Histograms and
counts of the day start anew at midnight, which Prometheus takes for a restart and `rate()` bridges. Invariant:
foreign text stands only in escaped label values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..figures.histogram import Histogram
from ..model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Group
from ..text.tables import printable
from ..text.words import group_name
from .standing import Standing

LIMITS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
"""Upper bounds of the exported buckets; ours are 2 % wide, so a count may be off by what is within 2 % of a limit."""

_HELP: Final = {
    "eelogger_event_delay_seconds": (
        "histogram",
        "Arrival minus the event's own timestamp, measured events of the UTC day.",
    ),
    "eelogger_preview_delay_seconds": ("histogram", "Delay of preview timestamps since this start."),
    "eelogger_events_total": ("counter", "First-seen events of the UTC day by verdict, others since this start."),
    "eelogger_rejected_total": ("counter", "Parts of messages that could not be read, since this start."),
    "eelogger_last_event_timestamp_seconds": ("gauge", "Arrival of the camera's latest measured event."),
    "eelogger_last_write_timestamp_seconds": ("gauge", "When these metrics were written."),
    "eelogger_connected": ("gauge", "1 while subscribed."),
    "eelogger_gap_seconds_total": ("counter", "Time of the UTC day without a subscription."),
    "eelogger_observed_ratio": ("gauge", "Share of the UTC day that was observed."),
    "eelogger_own_error_p99_seconds": ("gauge", "99 % of events were stamped within this, since this start."),
    "eelogger_own_error_max_seconds": ("gauge", "How late the logger itself was at worst, since this start."),
    "eelogger_round_trip_seconds": ("gauge", "Round trip of the connection."),
    "eelogger_clock_offset_seconds": ("gauge", "Cloud clock minus local clock."),
    "eelogger_clock_offset_bound_seconds": ("gauge", "The true offset is within this of the one given."),
}


def render(standing: Standing, *, connected: bool, rtt_us: int | None) -> Iterator[str]:
    """The textfile in pieces."""
    yield from _delays(standing)
    yield from _previews(standing)
    yield from _events(standing)
    yield from _last_events(standing)
    yield from _instrument(standing, connected=connected, rtt_us=rtt_us)


def _delays(standing: Standing) -> Iterator[str]:
    name = "eelogger_event_delay_seconds"
    yield _head(name)
    for camera_id, stats in list(standing.day.cameras.items()):
        for group in stats.groups:
            yield _histogram(name, _camera(standing, camera_id) | _group(group, standing.names), stats.day(group))


def _previews(standing: Standing) -> Iterator[str]:
    name = "eelogger_preview_delay_seconds"
    if standing.previews:
        yield _head(name)
    for camera_id, histogram in list(standing.previews.items()):
        yield _histogram(name, _camera(standing, camera_id), histogram)


def _events(standing: Standing) -> Iterator[str]:
    totals = dict.fromkeys((MEASURED, EARLY, INITIAL, UNDATED), 0)
    for stats in list(standing.day.cameras.values()):
        for kind, n in ((MEASURED, stats.n), (EARLY, stats.early), (INITIAL, stats.initial), (UNDATED, stats.undated)):
            totals[kind] += n
        yield ""
    yield _head("eelogger_events_total")
    for verdict, n in {**standing.counted, **totals}.items():
        yield _line("eelogger_events_total", {"verdict": verdict}, n)
    if standing.rejected:
        yield _head("eelogger_rejected_total")
    for reason, n in standing.rejected.items():
        yield _line("eelogger_rejected_total", {"reason": reason}, n)


def _last_events(standing: Standing) -> Iterator[str]:
    name = "eelogger_last_event_timestamp_seconds"
    yield _head(name)
    for camera_id, stats in list(standing.day.cameras.items()):
        if stats.n:
            yield _line(name, _camera(standing, camera_id), stats.latest_us() / 1e6)


def _instrument(standing: Standing, *, connected: bool, rtt_us: int | None) -> Iterator[str]:
    own, offset = standing.own_error, standing.offset
    gaps_us = sum(gap.to_us - gap.from_us for gap in standing.gaps if gap.kind == "gap" and not gap.camera_id)
    gauges: list[tuple[str, float | None]] = [
        ("eelogger_connected", int(connected)),
        ("eelogger_gap_seconds_total", gaps_us / 1e6),
        ("eelogger_observed_ratio", standing.observed("")),
        ("eelogger_own_error_p99_seconds", own.p99_us / 1e6 if own else None),
        ("eelogger_own_error_max_seconds", own.max_us / 1e6 if own else None),
        ("eelogger_round_trip_seconds", None if rtt_us is None else rtt_us / 1e6),
        ("eelogger_clock_offset_seconds", offset.offset_us / 1e6 if offset else None),
        ("eelogger_clock_offset_bound_seconds", offset.bound_us / 1e6 if offset else None),
        ("eelogger_last_write_timestamp_seconds", standing.written_us / 1e6),
    ]
    for name, value in gauges:
        if value is not None:
            yield _head(name) + _line(name, {}, value)


def _histogram(name: str, labels: dict[str, str], histogram: Histogram) -> str:
    counts = iter(histogram.counts())
    bound_us, count = next(counts, (0, 0))
    reached = 0
    lines = []
    for limit_s in LIMITS_S:
        while count and bound_us <= limit_s * 1_000_000:
            reached += count
            bound_us, count = next(counts, (0, 0))
        lines.append(_line(f"{name}_bucket", labels | {"le": f"{limit_s:g}"}, reached))
    lines.append(_line(f"{name}_bucket", labels | {"le": "+Inf"}, histogram.n))
    lines.append(_line(f"{name}_sum", labels, histogram.total_us / 1e6))
    lines.append(_line(f"{name}_count", labels, histogram.n))
    return "".join(lines)


def _camera(standing: Standing, camera_id: str) -> dict[str, str]:
    camera = standing.cameras.get(camera_id) or Camera(camera_id, "")
    return {"camera": camera_id, "name": camera.name, "bridge": camera.bridge}


def _group(group: Group, names: Mapping[int, str]) -> dict[str, str]:
    # A namespace has a number; an event without one goes by its four-CC.
    number = str(group) if isinstance(group, int) else ""
    return {"namespace": number, "event": group_name(group, dict(names))}


def _head(name: str) -> str:
    kind, text = _HELP[name]
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value!r}\n" if inside else f"{name} {value!r}\n"


def _escape(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')
