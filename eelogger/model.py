"""The vocabulary: frozen values that pass between rooms, and the tables of namespaces and four-CCs.

Every time is an integer of microseconds since 1970 UTC (`*_us`), every duration an integer of microseconds too;
seconds appear only in text. Values on the path of every event are `NamedTuple`s, because a frozen dataclass costs
five times as much to make, and are made by `made`; all others are frozen dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

# `made(Verdict, (kind, …))`: a NamedTuple's own constructor is a Python function around this, at twice the price.
# No field may be left out, which is why only the path of every event uses it.
made = tuple.__new__

MEASURED: Final = "measured"
EARLY: Final = "early"
INITIAL: Final = "initial"
UNDATED: Final = "undated"
DUPLICATE: Final = "duplicate"
IGNORED: Final = "ignored"
UNIDENTIFIED: Final = "unidentified"

Group = int | str
"""What figures are kept by within a camera: an annotation namespace, or a four-CC where there is none."""

LOGGED_KINDS: Final = frozenset({MEASURED, EARLY, INITIAL, UNDATED})
"""Verdicts on a first sight, which have a line in the delay log; all others are only counted."""

NAMESPACES: Final[dict[int, str]] = {
    101: "Line Events (counting and line crossing)",
    102: "Object Tracking",
    103: "Intrusion",
    104: "Loitering",
    105: "Tamper",
    106: "Object Left/Removed",
    107: "Fall/Duress",
    108: "Crowd",
    109: "Wrong Direction",
    110: "QR Code",
    111: "IO Output Record",
    112: "IO Input Record",
}
"""Annotation namespaces as the vendor documents them; an unknown one is measured as "namespace N"."""

FOUR_CCS: Final[dict[str, str]] = {
    "ANNT": "annotation",
    "ALRS": "ROI alert start",
    "ALRE": "ROI alert end",
    "ALMS": "motion alert start",
    "ALME": "motion alert end",
    "EMES": "motion start",
    "EMEE": "motion end",
    "ENES": "application event start",
    "ENEE": "application event end",
    "ROMS": "region motion start",
    "ROME": "region motion end",
    "RCON": "camera online",
    "RCOF": "camera offline",
}
"""What a four-CC event type stands for; an unknown one is shown as itself."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One attached camera: `id` is its ESN (8 hex digits), `bridge` the ESN it reports through or ""."""

    id: str
    name: str
    bridge: str = ""


class CameraUpdate(NamedTuple):
    """What one message says of one camera; `data` is the camera's JSON object as it came."""

    camera_id: str
    data: dict[str, Any]


class Reject(NamedTuple):
    """A part of a message that could not be read: a short reason token, where, and the text for `rejected.log`."""

    reason: str
    camera_id: str
    text: str


class CloudNotice(NamedTuple):
    """An error the server reports inside the stream; `camera_id` is "" when it concerns the request itself."""

    camera_id: str
    status_code: int
    message: str


class Message(NamedTuple):
    """One WebSocket message, read: updates to log, parts that could not be read, errors the server reports."""

    updates: list[CameraUpdate]
    rejects: list[Reject]
    notices: list[CloudNotice]


class Figures(NamedTuple):
    """The running statistics of a camera's day, a measured event included, and those of its group.

    `n … max_us` are the camera's, `group_n` and `group_avg_us` the group's (its namespace or four-CC).
    Texts are seconds with three decimals, made once by `stats`.
    """

    n: int
    p50_s: str
    p95_s: str
    p99_s: str
    avg_s: str
    min_s: str
    max_s: str
    group_n: int
    group_avg_s: str


class Verdict(NamedTuple):
    """The judgement of one value under a four-CC; `lines` makes its text, `stats` its figures.

    `delay_us` = `arrived_us` − `event_us`, None when undated; `figures` only when measured; `ns` None where there
    is no usable annotation namespace; `event` the description printed as `event=`; `op` and `seq` as sent, when
    they are integers; `data` the event's object with its `type` added.
    """

    kind: str
    camera_id: str
    type: str
    ns: int | None
    event: str
    identity: str
    arrived_us: int
    event_us: int | None
    delay_us: int | None
    figures: Figures | None = None
    op: int | None = None
    seq: int | None = None
    after_gap_us: int | None = None
    lag_us: int | None = None
    new_max: bool = False
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A period that taints or blinds: `kind` gap, suspend, clock-step, backlog or unknown;
    `camera_id` when one camera's.
    """

    kind: str
    from_us: int
    to_us: int
    reason: str
    camera_id: str = ""


@dataclass(frozen=True, slots=True)
class DateSample:
    """What a REST answer tells of the clock: the server's `Date` (whole seconds), when we sent and received."""

    date_us: int
    sent_us: int
    received_us: int
