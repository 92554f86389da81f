"""The metrics of a run as a textfile for Prometheus' node_exporter; those of the day start anew at midnight."""

from collections.abc import Iterator
from typing import Final

from ..measure.histogram import Histogram
from ..model import Camera
from .figures import first_sights
from .run_state import NO_EVENTS, RunState
from .sentences import group_name, is_shown
from .text import printable

# Upper bounds of the exported buckets; ours are 2 % wide, so a count may be off by what is within 2 % of a limit.
LIMITS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


def render(state: RunState) -> Iterator[str]:
    """The lines of the textfile."""
    first_seen, latest, shares = first_sights(NO_EVENTS), list[str](), list[float]()
    yield _head("event_delay_seconds", "histogram", "Arrival minus the event's own timestamp, since midnight UTC.")
    for camera, statistics, part in state.cameras_of_day():
        shares.append(part)
        first_seen.update(first_sights(statistics))
        yield ""
        labels = _labels(camera)
        if statistics.n:
            latest.append(_line("last_event_timestamp_seconds", labels, statistics.latest_us() / 1e6))
        for group in list(statistics.groups):
            # a namespace has a number; an event without one goes by its four-CC.
            number, event = str(group) if isinstance(group, int) else "", group_name(group, state.names)
            of_group = labels | {"namespace": number, "event": event}
            yield from _histogram("event_delay_seconds", of_group, statistics.day(group))
    yield _head("preview_delay_seconds", "histogram", "Delay of preview timestamps, since start.")
    for camera_id, delays in list(state.previews.items()):
        yield from _histogram("preview_delay_seconds", _labels(state.camera(camera_id)), delays)
    yield _head("last_event_timestamp_seconds", "gauge", "Arrival of the camera's latest measured event.")
    yield from latest
    yield _head("events_total", "counter", "Measured, early, initial, undated since midnight UTC, others since start.")
    yield from (_line("events_total", {"verdict": kind}, n) for kind, n in {**state.totals, **first_seen}.items())
    yield _head("rejected_total", "counter", "Parts of messages that could not be read, since start.")
    yield from (_line("rejected_total", {"reason": reason}, n) for reason, n in list(state.rejected.items()))
    for name, text, value in _gauges(state, state.observed_by_all(shares)):
        if value is not None:
            yield _head(name, "counter" if name.endswith("_total") else "gauge", text)
            yield _line(name, {}, value)


def _gauges(state: RunState, observed: float) -> Iterator[tuple[str, str, float | None]]:
    """Name, meaning and value; None is what is unknown."""
    own, offset, rtt, gaps = state.own_error, state.offset, state.rtt, filter(is_shown, state.coverage.gaps)
    gaps_us = sum(gap.to_us - gap.from_us for gap in gaps if not gap.camera_id)
    yield "connected", "1 while subscribed.", int(state.state == "connected")
    yield "gap_seconds_total", "Time of the UTC day without a subscription.", gaps_us / 1e6
    yield "observed_ratio", "Share of the UTC day that was observed, the mean over all cameras.", observed
    yield "own_error_p99_seconds", "99 % of events were stamped within this, since this start.", own.p99_us / 1e6
    yield "own_error_max_seconds", "How late the logger itself was at worst, since this start.", own.max_us / 1e6
    yield "round_trip_seconds", "Round trip of the connection.", rtt and rtt[0] / 1e6
    yield "clock_offset_seconds", "Cloud clock minus local clock.", offset and offset.offset_us / 1e6
    bound_s = offset and offset.bound_us / 1e6
    yield "clock_offset_bound_seconds", "The true offset is within this of the one given.", bound_s
    yield "last_write_timestamp_seconds", "When these metrics were written.", state.written_us / 1e6


def _labels(camera: Camera) -> dict[str, str]:
    return {"camera": camera.id, "name": camera.name, "bridge": camera.bridge}


def _histogram(name: str, labels: dict[str, str], delays: Histogram) -> Iterator[str]:
    """The buckets up to each limit, sum and count."""
    counts = list(delays.counts())
    reached = {f"{limit:g}": sum(n for us, n in counts if us <= limit * 1_000_000) for limit in LIMITS_S}
    for limit, n in {**reached, "+Inf": delays.n}.items():
        yield _line(f"{name}_bucket", labels | {"le": limit}, n)
    yield _line(f"{name}_sum", labels, delays.total_us / 1e6)
    yield _line(f"{name}_count", labels, delays.n)


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP eelogger_{name} {text}\n# TYPE eelogger_{name} {kind}"


def _line(name: str, labels: dict[str, str], value: float) -> str:
    escaped = {key: printable(text).replace("\\", "\\\\").replace('"', '\\"') for key, text in labels.items()}
    inside = ",".join(f'{key}="{text}"' for key, text in escaped.items())
    return f"eelogger_{name}{f'{{{inside}}}' if inside else ''} {value!r}"
