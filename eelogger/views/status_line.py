"""The short lines on a terminal: status and events. They leave the last column free, so that nothing wraps."""

from collections.abc import Iterator
from typing import Final

from ..measure.histogram import P95, merged
from ..model import LOGGED_KINDS, MEASURED, Verdict
from .run_state import RunState
from .sentences import is_shown
from .text import cell, clock_time, count, cut, decimal, milliseconds, printable, share, span, width

MANY: Final = 40  # with more cameras the line goes without a p95: merging their hours each second would delay stamps


def status_line(state: RunState, columns: int) -> str:
    """The line in at most `columns` - 1 columns: what stands last goes first."""
    room, pieces = max(1, columns - 1), list(_pieces(state))
    while len(pieces) > 1 and width(" · ".join(pieces)) > room:
        pieces.pop()
    return cut(" · ".join(pieces), room)


def _pieces(state: RunState) -> Iterator[str]:
    is_reading = state.reading is not None
    yield f"reading the day's files, {share(state.reading or 0)}" if is_reading else printable(state.state)
    if state.disk:
        yield f"disk: {cut(printable(state.disk), 40)}"
    if state.offset is not None and state.offset.warns:
        yield f"clock off by {span(abs(state.offset.offset_us))}"
    uptime_us = state.written_us - state.started_us
    yield f"{uptime_us // 1_000_000} s" if uptime_us < 120_000_000 else span(uptime_us)
    if is_reading:
        return
    yield count(len(state.cameras), "camera")
    yield count(sum(state.totals.get(kind, 0) for kind in LOGGED_KINDS), "event")
    if state.last is not None and state.last.delay_us is not None:
        yield f"last {span(state.last.delay_us)}"
    if len(state.day.cameras) <= MANY:
        recent = merged(statistics.recent(None, state.until_us) for statistics in state.day.cameras.values())
        if recent.n:
            yield f"p95 {span(recent.quantile_us(P95))}"
    if state.rtt:
        yield f"RTT {milliseconds(state.rtt[0])}"
    gaps = sum(map(is_shown, state.coverage.gaps))
    yield count(gaps, "gap") if gaps else "no gap"
    if state.own_error.n:
        yield f"own {milliseconds(state.own_error.p99_us)}"


def event_heading(columns: int) -> str:
    """The titles over `event_line`, newline included."""
    return _event("UTC     ", "camera", "event", "delay", "", columns)


def event_line(verdict: Verdict, name: str, columns: int) -> str:
    """One event in at most `columns` - 1 columns, newline included; a verdict other than measured is named."""
    at, us = clock_time(verdict.arrived_us, seconds=True), verdict.delay_us
    delay = "-" if us is None else span(us) if abs(us) >= 120_000_000 else f"{decimal(us, 2)} s".replace("-", "−")
    kind = "" if verdict.kind == MEASURED else f"  {printable(verdict.kind)}"
    return _event(at, name or verdict.camera_id, verdict.event, delay, kind, columns)


def _event(at: str, name: str, event: str, delay: str, kind: str, columns: int) -> str:
    room = max(12, columns - 36)  # beside time, delay, a verdict and the blanks between
    event_columns = min(24, room * 2 // 5)
    cells = [cell(name, min(32, room - event_columns)), cell(event, event_columns), cell(delay, 12, right=True)]
    return cut("  ".join([at, *cells]) + kind, columns - 1).rstrip() + "\n"
