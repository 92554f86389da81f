"""Sentences and names that summary, closing table and report share, and which gaps they show."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ..measure.coverage import is_missed
from ..measure.histogram import P50, P95, signed_quantile_us
from ..measure.seconds import seconds3
from ..model import FOUR_CCS, NAMESPACES, Camera, Gap, Group
from .figures import Figures, Row
from .number_format import clock_time, count, moment, share, span
from .tables import printable

CONTAINS: Final = (
    "A delay is camera or bridge clock error + site uplink + cloud + our network − our clock error;"
    " these parts cannot be told apart per event."
)
SUSPECT: Final = (
    "More than 1 % of the events of a camera marked ? arrived before their own timestamp: a clock is wrong."
    " Such events are no delays, so the figures of that camera lack their low end and cannot be trusted."
)


def suspect(figures: Figures) -> str:
    """How far the figures of a suspect row are cut off; signed quantiles count early events as negative delays."""
    early, dated = figures.early.n, figures.early.n + figures.events
    p50, p95 = (seconds3(signed_quantile_us(figures.early, figures.delays, each)) for each in (P50, P95))
    before = f"{early:,} of {dated:,} dated events ({share(early / dated)}) came before their own timestamp"
    return f"{before}; over all dated p50 {p50} s, p95 {p95} s"


def headlines(ranked: Iterable[Row], total: Row, whose: str = "", *, dated: bool = False) -> list[str]:
    """The sentences to send: of the worst row and, unless it alone has events, of `total` (its worst is `whose`)."""
    measured = [row for row in ranked if row.figures.events]
    told = [_headline(measured[0], "", dated)] if measured else []
    return told if len(measured) == 1 else [*told, _headline(total, whose, dated)]


def _headline(row: Row, whose: str, dated: bool) -> str:
    """How long nearly all took, the worst, and how much was observed at all."""
    figures, name, part = row.figures, printable(row.name), row.figures.observed
    observed = "what was observed is unknown" if part is None else f"observed {share(part)}"
    if not figures.events:
        return f"{name}: no measured event; {observed}"
    at = ""
    if figures.max_event:
        at_us = figures.max_event.arrived_us
        at = f" at {moment(at_us)[:16] if dated else clock_time(at_us)} UTC"
    who, wrong = f" ({printable(whose)})" if whose else "", " (? a clock is wrong)" if figures.suspect else ""
    within, worst = (span(figures.durations_us[each]) for each in ("p95", "max"))
    return f"{name}: 95 % within {within}, worst {worst}{at}{who}; {observed}{wrong}"


def group_name(group: Group, names: Mapping[int, str] = NAMESPACES) -> str:
    """What a group of events is called: its namespace's name up to the bracket, or its four-CC's description."""
    if isinstance(group, str):
        return FOUR_CCS.get(group, group)
    return names.get(group, "").partition("(")[0].strip() or f"namespace {group}"


def camera_label(camera: Camera, used: Mapping[str, int]) -> str:
    """A camera's name, with the id where the name is empty or not its own (`used` counts names)."""
    return f"{camera.name} ({camera.id})" if camera.name and used[camera.name] > 1 else camera.name or camera.id


def camera_labels(cameras: Iterable[Camera]) -> dict[str, str]:
    """`camera_label` of each camera, by id."""
    known = list(cameras)
    used = Counter(camera.name for camera in known)
    return {camera.id: camera_label(camera, used) for camera in known}


def is_shown(gap: Gap) -> bool:
    """Whether a gap is shown and counted: nothing was observed, and events may have been missed."""
    return gap.kind == "gap" and gap.to_us > gap.from_us and is_missed(gap)


def gaps_text(gaps: Iterable[Gap]) -> str:
    """How many of these gaps are shown, how long they are in all, and the longest."""
    lengths = [gap.to_us - gap.from_us for gap in filter(is_shown, gaps)]
    if not lengths:
        return "no gap"
    return f"{count(len(lengths), 'gap')}, {span(sum(lengths))} in all, longest {span(max(lengths))}"
