"""Sentences and names that summary, closing table and report share. It decides which gaps they show."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ..measure.coverage import is_missed
from ..model import FOUR_CCS, NAMESPACES, Camera, Gap, Group
from .figures import Figures, Row, texts
from .text import clock_time, count, moment, printable, share, span

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
    early, dated, values = figures.early.n, figures.early.n + figures.events, texts(figures)
    before = f"{early:,} of {dated:,} dated events ({share(early / dated)}) came before their own timestamp"
    return f"{before}; over all dated p50 {values['all_dated_p50_s']} s, p95 {values['all_dated_p95_s']} s"


def headlines(ranked: Iterable[Row], total: Row, whose: str = "", *, dated: bool = False) -> list[str]:
    """The sentences to send: of the worst row and, unless it alone has events, of `total` (its worst is `whose`)."""
    measured, told = [row for row in ranked if row.figures.events], []
    for row in measured if len(measured) == 1 else [*measured[:1], total]:
        figures, part, delays = row.figures, row.figures.observed, "no measured event"
        if figures.events:
            within, worst = (span(figures.durations_us[each]) for each in ("p95", "max"))
            delays = f"95 % within {within}, worst {worst}"
        if top := figures.max_event:
            delays += f" at {moment(top.arrived_us)[:16] if dated else clock_time(top.arrived_us)} UTC"
            delays += f" ({printable(whose)})" if row is total and whose else ""
        observed = "what was observed is unknown" if part is None else f"observed {share(part)}"
        wrong = " (? a clock is wrong)" if figures.suspect else ""
        told.append(f"{printable(row.name)}: {delays}; {observed}{wrong}")
    return told


def group_name(group: Group, names: Mapping[int, str] = NAMESPACES) -> str:
    """What a group of events is called: its namespace's name up to the bracket, or its four-CC's description."""
    if isinstance(group, str):
        return FOUR_CCS.get(group, group)
    return names.get(group, "").partition("(")[0].strip() or f"namespace {group}"


def camera_label(camera: Camera, used: Mapping[str, int]) -> str:
    """A camera's name; with the id if others share it. Without a name, the id. `used` counts names."""
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
    """Count the shown gaps, with total time and the longest."""
    lengths = [gap.to_us - gap.from_us for gap in filter(is_shown, gaps)]
    number, whole, most = count(len(lengths), "gap"), span(sum(lengths)), span(max(lengths, default=0))
    return f"{number}, {whole} in all, longest {most}" if lengths else "no gap"
