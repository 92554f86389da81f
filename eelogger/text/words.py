"""What a person is told: durations, shares and moments in words, and the sentences that several places share.

Decides wording and rounding where text is for people; what machines read is for `lines` and `units`. All times are
UTC and say so. Invariant: a share that is not whole is never rounded up to 100 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ..model import FOUR_CCS, NAMESPACES, Camera, Group
from .tables import nearest
from .times import time_text
from .units import seconds3

FEW: Final = 20
"""With fewer events a p95 is little more than the maximum: such cameras are listed after the others."""

CONTAINS: Final = (
    "A delay is camera or bridge clock error + site uplink + cloud + our network − our clock error;"
    " these parts cannot be told apart per event."
)


def span(us: int) -> str:
    """A duration as one says it: "0.35 s", "14.2 s", "4 min 20 s", "3 h 05 min", "12 d 4 h"."""
    if us < 0:
        return "−" + span(-us)
    if us < 120_000_000:
        decimals = 1 if us >= 950_000 else 2 if us >= 95_000 else 3
        whole, fraction = divmod(nearest(us, 10 ** (6 - decimals)), 10**decimals)
        return f"{whole}.{fraction:0{decimals}d} s"
    minutes, seconds = divmod(us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 2:
        return f"{hours * 60 + minutes} min {seconds:02d} s"
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def share(part: float) -> str:
    """A share as per cent with one decimal, cut, never rounded up: 0.9999 is "99.9 %"."""
    if part >= 1:
        return "100 %"
    return f"{min(999, int(part * 1000 + 1e-9)) / 10:.1f} %"


def observed(part: float | None) -> str:
    """How much was observed, or that nobody knows."""
    return "what was observed is unknown" if part is None else f"observed {share(part)}"


def clock_time(us: int, *, seconds: bool = False) -> str:
    """The time of day in UTC, `03:12`; the caller says UTC."""
    return time_text(us)[11 : 19 if seconds else 16]


def moment(us: int) -> str:
    """`2026-11-22 09:07:20 UTC`."""
    return time_text(us)[:19].replace("T", " ") + " UTC"


def count(n: int, one: str, many: str = "") -> str:
    """`1 gap`, `1,204 gaps`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def group_name(group: Group, names: Mapping[int, str] = NAMESPACES) -> str:
    """What a group of events is called: its namespace's name up to the bracket, or its four-CC's description."""
    if isinstance(group, str):
        return FOUR_CCS.get(group, group)
    name = names.get(group, "")
    return name.partition("(")[0].strip() or f"namespace {group}"


def camera_labels(cameras: Iterable[Camera]) -> dict[str, str]:
    """What each camera is called, by id: its name, with the id where the name is empty or not its own."""
    known = list(cameras)
    used = Counter(camera.name for camera in known)
    return {
        camera.id: f"{camera.name} ({camera.id})" if camera.name and used[camera.name] > 1 else camera.name or camera.id
        for camera in known
    }


def headline(who: str, p95_us: int, worst_us: int, worst_at: str, observed_share: float | None) -> str:
    """The sentence a person can send: how long nearly all take, the worst, and how much was seen at all."""
    return f"{who}: 95 % within {span(p95_us)}, worst {span(worst_us)} at {worst_at}; {observed(observed_share)}"


CENSORED: Final = (
    "More than 1 % of the events of a camera marked ? arrived before their own timestamp: a clock is wrong."
    " Such events are no delays, so the figures of that camera lack their low end and cannot be trusted."
)


def censored(early: int, dated: int, p50_us: int, p95_us: int) -> str:
    """How far figures with `?` are cut off; the quantiles are over all dated events, early ones as negative delays."""
    return (
        f"{early:,} of {dated:,} dated events ({share(early / dated)}) came before their own timestamp;"
        f" over all dated p50 {seconds3(p50_us)} s, p95 {seconds3(p95_us)} s"
    )
