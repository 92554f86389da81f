"""The short lines on a terminal: the status of a run, and its events.

They never take the last column, so that no terminal wraps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..measure.histogram import P95, merged
from ..model import LOGGED_KINDS, MEASURED, Verdict
from .number_format import clock_time, count, decimal, milliseconds, share, span
from .run_state import RunState
from .tables import cell, cut, printable, width

MANY: Final = 40  # with more cameras the line goes without a p95: merging their hours each second would delay stamps
_GREEN, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[0m"
_NAME: Final = 32
_EVENT: Final = 24
_DELAY: Final = 12
_OTHERS: Final = len("09:07:20") + 3 * 2 + _DELAY + len("  undated")


def status_line(state: RunState, columns: int, *, colour: bool = False) -> str:
    """The line in at most `columns` - 1 columns; colours are beside that."""
    room, pieces = max(1, columns - 1), list(_pieces(state))
    while len(pieces) > 1 and width(" · ".join(text for _, text, _ in pieces)) > room:
        pieces.remove(max(pieces))
    cut_pieces = ((cut(text, room), shade if colour else "") for _, text, shade in pieces)
    return " · ".join(f"{shade}{text}{_PLAIN}" if shade else text for text, shade in cut_pieces)


def _pieces(state: RunState) -> Iterator[tuple[int, str, str]]:
    """Rank, text and colour: the lowest rank stays longest on a narrow terminal."""
    if state.reading is None:
        yield 0, printable(state.state), _GREEN if state.state == "connected" else _YELLOW
    else:
        yield 0, f"reading the day's files, {share(state.reading)}", _YELLOW
    uptime_us = state.written_us - state.started_us
    yield 6, f"{uptime_us // 1_000_000} s" if uptime_us < 120_000_000 else span(uptime_us), ""
    if state.reading is not None:
        return
    yield 5, count(len(state.cameras), "camera"), ""
    yield 2, count(sum(state.totals.get(kind, 0) for kind in LOGGED_KINDS), "event"), ""
    if state.disk:
        yield 1, f"disk: {cut(printable(state.disk), 40)}", _YELLOW
    if state.last is not None and state.last.delay_us is not None:
        yield 1, f"last {span(state.last.delay_us)}", ""
        yield 10, cut(printable(state.name(state.last.camera_id)), 24), ""
    if len(state.day.cameras) <= MANY:
        recent = merged(statistics.recent(None, state.written_us) for statistics in state.day.cameras.values())
        if recent.n:
            yield 3, f"p95 {span(recent.quantile_us(P95))}", ""
    if state.rtt_us is not None:
        yield 8, f"RTT {milliseconds(state.rtt_us)}", ""
    gaps = sum(gap.kind == "gap" for gap in state.gaps)
    yield 7, count(gaps, "gap") if gaps else "no gap", _YELLOW if gaps else ""
    own = state.own_error
    if own.n:
        yield 9, f"own {milliseconds(own.p99_us)}", _YELLOW if own.p99_us > own.threshold_us else ""
    if state.offset is not None and state.offset.warns:
        yield 4, f"clock off by {span(abs(state.offset.offset_us))}", _YELLOW


def event_heading(columns: int) -> str:
    """The titles over `event_line`, newline included."""
    return _event("UTC     ", "camera", "event", "delay", "", columns)


def event_line(verdict: Verdict, name: str, columns: int) -> str:
    """One event in at most `columns` - 1 columns, newline included; a verdict other than measured is named."""
    at, us = clock_time(verdict.arrived_us, seconds=True), verdict.delay_us
    if us is None:
        delay = "-"
    elif abs(us) >= 120_000_000:
        delay = span(us)
    else:
        delay = f"{'−' if us < 0 else ''}{decimal(abs(us), 2)} s"
    kind = "" if verdict.kind == MEASURED else f"  {printable(verdict.kind)}"
    return _event(at, name or verdict.camera_id, verdict.event, delay, kind, columns)


def _event(at: str, name: str, event: str, delay: str, kind: str, columns: int) -> str:
    room = max(12, columns - 1 - _OTHERS)
    event_columns = min(_EVENT, room * 2 // 5)
    cells = [cell(name, min(_NAME, room - event_columns)), cell(event, event_columns), cell(delay, _DELAY, right=True)]
    return cut("  ".join([at, *cells]) + kind, columns - 1).rstrip() + "\n"
