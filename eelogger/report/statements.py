"""What a report says in sentences: headline, doubts, clock, network, own error, gaps, what was skipped.

Shared by terminal and page, so that both say the same. Invariant: no sentence without the figure it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..figures.histogram import P50, P95
from ..figures.observation import UNKNOWN, is_missed
from ..text import words
from ..text.tables import printable
from ..text.times import time_text
from ..text.units import seconds3
from .values import Report, Row

SHOWN = 10


def period(report: Report) -> str:
    """From when to when, and with which patterns."""
    span = words.span(report.to_us - report.from_us)
    text = f"{words.moment(report.from_us)} to {words.moment(report.to_us)} ({span})"
    return f"{text}; only {printable(report.filters)}" if report.filters else text


def headlines(report: Report) -> Iterator[str]:
    """The sentence a person can send, of the worst camera and of all."""
    rows = [row for row in report.cameras if row.n]
    if len(rows) != 1:
        yield _headline(report, report.total, "All cameras")
    if rows:
        yield _headline(report, rows[0], rows[0].label if len(rows) == 1 else f"Worst camera, {rows[0].label}")


def _headline(report: Report, row: Row, who: str) -> str:
    if not row.n or row.worst is None:
        return f"{printable(who)}: no measured event; {words.observed(row.observed)}"
    at_us = row.worst.verdict.arrived_us
    one_day = time_text(report.from_us)[:10] == time_text(report.to_us)[:10]
    at = f"{words.clock_time(at_us)} UTC" if one_day else f"{words.moment(at_us)[:16]} UTC"
    whose = "" if row.camera else f" ({printable(row.worst.camera.name or row.worst.camera.id)})"
    text = words.headline(printable(who), row.delays.quantile_us(P95), row.delays.max_us, f"{at}{whose}", row.observed)
    text += "" if row.camera else _but_for(report)
    return f"{text} (? a clock is wrong, see below)" if row.censored else text


def _but_for(report: Report) -> str:
    """What the share of all cameras leaves out: gaps of single ones."""
    ids = {row.camera.id for row in report.cameras if row.camera}
    own = [g for g in report.gaps if g.kind == "gap" and g.camera_id in ids and g.to_us > g.from_us and is_missed(g)]
    if not own or report.total.observed is None:
        return ""
    return f" (but for {words.count(len(own), 'gap of a single camera', 'gaps of single cameras')})"


def doubts(report: Report) -> Iterator[str]:
    """Why figures carry `?`; nothing when none does."""
    censored = [row for row in report.cameras if row.censored]
    if censored or report.total.censored:
        yield words.CENSORED
    for row in censored[:SHOWN]:
        signed = [row.signed_quantile_us(p) for p in (P50, P95)]
        yield f"{printable(row.label)}: {words.censored(row.early.n, row.dated, *signed)}"
    if len(censored) > SHOWN:
        yield f"… and {words.count(len(censored) - SHOWN, 'more camera')}"


def conditions(report: Report) -> Iterator[tuple[str, str]]:
    """How far the figures can be trusted: label and sentence."""
    total = report.total
    yield (
        "events",
        f"measured {total.n:,}, early {total.early.n:,}, initial {total.initial:,}, undated {total.undated:,}",
    )
    worst = report.own_error
    if worst is None:
        yield "health", "no health.log of this period: nothing is known of clock, network and own error"
    else:
        yield "clock", _clock(worst.offset_us, worst.bound_us)
        if worst.rtt_us is not None:
            most = max(worst.rtt_us, worst.rtt_max_us or 0)
            yield "network", f"round trip to the cloud at most {seconds3(most)} s"
        if worst.lag_max_us is not None:
            p99 = f"p99 of the worst minute {_ms(worst.lag_p99_us)}, " if worst.lag_p99_us is not None else ""
            yield (
                "own error",
                f"{p99}maximum {_ms(worst.lag_max_us)}; no delay contains more of our own, unless the system stopped "
                "this process unseen",
            )
    yield "observed", _observed(report)


def _clock(offset_us: int | None, bound_us: int | None) -> str:
    if offset_us is None or bound_us is None:
        return "never compared with the cloud's"
    within = f"cloud − local {seconds3(offset_us)} s ± {seconds3(bound_us)} s where it was furthest off"
    if abs(offset_us) <= max(bound_us, 1_000_000):
        return f"{within}; no error of more than {seconds3(abs(offset_us) + bound_us)} s comes from it"
    return f"{within}; delays of that time are shown too {'short' if offset_us > 0 else 'long'} by as much"


def _observed(report: Report) -> str:
    if report.total.observed is not None:
        return f"{words.share(report.total.observed)} of the period; {gaps(report)}{_but_for(report)}"
    unknown = [gap for gap in report.gaps if gap.kind == UNKNOWN]
    first, last = words.moment(min(gap.from_us for gap in unknown)), words.moment(max(gap.to_us for gap in unknown))
    return f"unknown: from {first} to {last} nothing on record says when it was observed"


def _ms(us: int | None) -> str:
    return "" if us is None else f"{us / 1000:.1f} ms"


def gaps(report: Report) -> str:
    """The gaps of the account in a few words."""
    found = [g for g in report.gaps if g.kind == "gap" and not g.camera_id and is_missed(g)]
    if not found:
        return "no gap"
    longest = max(found, key=lambda gap: gap.to_us - gap.from_us)
    whole_us = sum(gap.to_us - gap.from_us for gap in found)
    most = f"{words.span(longest.to_us - longest.from_us)} from {words.moment(longest.from_us)}"
    return (
        f"{words.count(len(found), 'gap')}, {words.span(whole_us)} in all, the longest {most}"
        f" ({printable(longest.reason)})"
    )


def skipped(report: Report) -> Iterator[str]:
    """What could not be read; nothing when all could."""
    what = report.skipped
    if what.files:
        yield f"skipped {words.count(what.files, 'file')} without a single line of a delay log"
    if what.errors:
        yield f"skipped {words.count(what.errors, 'file or folder', 'files or folders')} that cannot be read"
    if what.lines:
        yield f"skipped {words.count(what.lines, 'damaged line')}"
