"""Sentences that summary, closing table, status and report share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ..measure.seconds import seconds3
from ..model import FOUR_CCS, NAMESPACES, Camera, Gap, Group
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
    offset, kernel = state.offset, state.kernel
    text = "not compared with the cloud's yet"
    if offset is not None:
        text = f"{offset.sentence()}; cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s"
    if kernel is None:
        return f"{text}; the kernel does not tell whether it is synchronised"
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
    """How many gaps, how long, the last ones; then what only tainted figures (steps, suspends)."""
    blind = [gap for gap in state.gaps if gap.kind == "gap"]
    others = [gap for gap in state.gaps if gap.kind != "gap"]
    text = "no gap"
    if blind:
        longest, whole = (span(f(gap.to_us - gap.from_us for gap in blind)) for f in (max, sum))
        last = ", ".join(_gap(gap, state) for gap in blind[-_LAST_GAPS:])
        text = f"{count(len(blind), 'gap')}, {whole} in all, longest {longest}; last: {last}"
    return f"{text}; also {', '.join(_gap(gap, state) for gap in others[-_LAST_GAPS:])}" if others else text


def _gap(gap: Gap, state: RunState) -> str:
    kind = "" if gap.kind == "gap" else f"{gap.kind} "
    at, lasted = clock_time(gap.from_us, seconds=True), span(gap.to_us - gap.from_us)
    return f"{kind}{at} {lasted} {printable(f'{gap.reason} {state.name(gap.camera_id)}').rstrip()}"


def group_name(group: Group, names: Mapping[int, str] = NAMESPACES) -> str:
    """What a group of events is called: its namespace's name up to the bracket, or its four-CC's description."""
    if isinstance(group, str):
        return FOUR_CCS.get(group, group)
    return names.get(group, "").partition("(")[0].strip() or f"namespace {group}"


def camera_label(camera: Camera, used: Mapping[str, int]) -> str:
    """What a camera is called: its name, with the id where the name is empty or not its own (`used` counts names)."""
    if camera.name and used[camera.name] > 1:
        return f"{camera.name} ({camera.id})"
    return camera.name or camera.id


def camera_labels(cameras: Iterable[Camera]) -> dict[str, str]:
    """`camera_label` of each camera, by id."""
    known = list(cameras)
    used = Counter(camera.name for camera in known)
    return {camera.id: camera_label(camera, used) for camera in known}
