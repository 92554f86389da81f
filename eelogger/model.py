"""Frozen values that pass between rooms, names of namespaces and four-CCs.

Moments are whole µs since 1970 UTC, durations whole µs (both `*_us`).
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

# `made(Verdict, (kind, …))` costs half of `Verdict(kind, …)`: a NamedTuple's constructor is a Python function around
# it. No field may be left out, so only the path of every event uses it.
made = tuple.__new__

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000

MEASURED: Final = "measured"
EARLY: Final = "early"
INITIAL: Final = "initial"
UNDATED: Final = "undated"
DUPLICATE: Final = "duplicate"
IGNORED: Final = "ignored"
UNIDENTIFIED: Final = "unidentified"

# Verdicts on a first sight: they have a delay line. The others are only counted.
LOGGED_KINDS: Final = frozenset({MEASURED, EARLY, INITIAL, UNDATED})

Group = int | str  # what figures are kept by within a camera: an annotation namespace, or a four-CC where there is none

# Annotation namespaces as the vendor documents them; an unknown one is measured as "namespace N".
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

# What a four-CC event type stands for; an unknown one is shown as itself.
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


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a run waits for what, in seconds; tests hand in shorter times."""

    open_s: float = 15.0  # to open a WebSocket, handshake included
    close_s: float = 0.5  # for the closing handshake: a stop must be over in 2 s, also when the peer is dead
    first_retry_s: float = 1.0
    longest_retry_s: float = 60.0
    steady_s: float = 15.0  # a connection that brought data for so long worked: it is reconnected after `first_retry_s`
    refresh_s: float = 300.0  # between two camera lists; they keep the key alive and sample the clock
    # Between two looks at the connection; twice this without any data is death once a ping was answered.
    liveness_s: float = 5.0
    write_rest_s: float = 0.05  # the writer's rest between two batches
    disk_retry_s: float = 1.0  # before a disk that refused is tried again
    disk_close_s: float = 10.0  # how long a slow disk is waited for at the end of a run
    tick_s: float = 1.0  # between two looks at clocks, midnight, lock and snapshots
    summary_s: float = 5.0
    metrics_s: float = 15.0
    health_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Camera:
    """One attached camera: `id` is its ESN (8 hex digits), `bridge` the ESN it reports through or ""."""

    id: str
    name: str
    bridge: str = ""


class Reject(NamedTuple):
    """A part of a message that could not be read: a reason token, the camera, and an excerpt for `rejected.log`."""

    reason: str
    camera_id: str
    text: str


class CloudNotice(NamedTuple):
    """An error that the server reports inside the stream; `camera_id` is "" when it concerns the request itself."""

    camera_id: str
    status_code: int
    message: str


class RunningFigures(NamedTuple):
    """The day's figures of camera and group, in seconds with three decimals."""

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
    """The judgement of one value under a four-CC."""

    kind: str
    camera_id: str
    type: str
    ns: int | None  # None where there is no usable annotation namespace
    event: str  # the description printed as `event=`
    identity: str
    arrived_us: int
    event_us: int | None  # None when undated
    delay_us: int | None
    figures: RunningFigures | None = None  # only when measured, this event included
    op: int | None = None
    seq: int | None = None
    after_gap_us: int | None = None
    lag_us: int | None = None
    new_max: bool = False
    data: dict[str, Any] | None = None  # the event's object with its `type` added

    @property
    def group(self) -> Group:
        """What its figures are kept by."""
        return self.type if self.ns is None else self.ns


@dataclass(frozen=True, slots=True)
class Gap:
    """A period that taints or blinds."""

    kind: str  # gap, suspend, clock-step, backlog or unknown
    from_us: int
    to_us: int
    reason: str
    camera_id: str = ""  # "" when it concerns all cameras


class DateSample(NamedTuple):
    """What a REST answer tells of the clock: the server's `Date` (whole seconds), when we sent and received."""

    date_us: int
    sent_us: int
    received_us: int


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """A login that was refused: a fingerprint of its credentials, and until when it is not tried again."""

    fingerprint: str
    until_us: int
