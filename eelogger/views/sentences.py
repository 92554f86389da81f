"""Sentences that summary, closing table, status and report share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ..measure.seconds import seconds3
from ..model import FOUR_CCS, NAMESPACES, Camera, Group
from .figures import Figures
from .number_format import clock_time, count, milliseconds, share, span
from .run_state import RunState
from .tables import printable

CONTAINS: Final = (
    "A delay is camera or bridge clock error + site uplink + cloud + our network − our clock error;"
    " these parts cannot be told apart per event."
)
SUSPECT: Final = (
    "More than 1 % of the events of a camera marked ? arrived before their own timestamp: a clock is wrong."
    " Such events are no delays, so the figures of that camera lack their low end and cannot be trusted."
)
_LAST_GAPS: Final = 3


def suspect(figures: Figures) -> str:
    """How far the figures of a suspect row are cut off; signed quantiles count early events as negative delays."""
    dated = figures.early + figures.events
    return (
        f"{figures.early:,} of {dated:,} dated events ({share(figures.early / dated)}) came before their own timestamp;"
        f" over all dated p50 {seconds3(figures.signed_p50_us or 0)} s, p95 {seconds3(figures.signed_p95_us or 0)} s"
    )


def clock(state: RunState) -> str:
    """How far the clock of this machine can be trusted."""
    offset, kernel, text = state.offset, state.kernel, "not compared with the cloud's yet"
    if offset is not None:
        text = f"{offset.sentence()}; cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s"
    if kernel is None:
        return text
    error = f"synchronised, error at most {span(kernel.maxerror_us)}" if kernel.synchronised else "NOT synchronised"
    return f"{text}; kernel: {error}"


def network(state: RunState) -> str:
    """The round trip of the connection."""
    rtt_us = state.rtt_us
    return "round trip unknown" if rtt_us is None else f"round trip {milliseconds(rtt_us)} ({state.rtt_source})"


def own_error(state: RunState) -> str:
    """How much of a delay may be the logger's own doing."""
    own = state.own_error
    if not own.n:
        return "not measured yet"
    p99, most, limit, write = map(milliseconds, (own.p99_us, own.max_us, own.threshold_us, state.write_p99_us))
    return f"p99 {p99}, max {most}; above {limit} a line carries lag_s=; disk write p99 {write}"


def gaps(state: RunState) -> str:
    """How many gaps and how long; the last ones, also those that only taint figures (steps, suspends)."""
    blind_us = [gap.to_us - gap.from_us for gap in state.gaps if gap.kind == "gap"]
    text = "no gap"
    if blind_us:
        text = f"{count(len(blind_us), 'gap')}, {span(sum(blind_us))} in all, longest {span(max(blind_us))}"
    last = []
    for gap in state.gaps[-_LAST_GAPS:]:
        kind, who = (
            "" if gap.kind == "gap" else f"{gap.kind} ",
            f" {state.name(gap.camera_id)}" if gap.camera_id else "",
        )
        lasted = span(gap.to_us - gap.from_us)
        last.append(f"{kind}{clock_time(gap.from_us, seconds=True)} {lasted} {printable(gap.reason + who)}")
    return f"{text}; last: {', '.join(last)}" if last else text


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
