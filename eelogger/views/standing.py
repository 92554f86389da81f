"""What the summary is made of: one value that `service` fills, and nothing that would have to be asked for.

Holds references to the day's statistics, not copies: whoever renders them in slices sees each camera as it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..clock import KernelClock
from ..day import Day
from ..figures.histogram import Histogram
from ..figures.observation import Observation
from ..figures.offset import Offset
from ..model import NAMESPACES, Camera, CloudNotice, Gap, Verdict


@dataclass(frozen=True, slots=True)
class OwnError:
    """How late we were ourselves: event loop lag and disk writes in µs, and above what a line carries `lag_s=`."""

    p99_us: int
    max_us: int
    threshold_us: int
    write_p99_us: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands at `written_us`; `since_us` is when `state` began, `date` the UTC day of the figures.

    `observed("")` is the account's share of the day, `observed(id)` a camera's, 0 … 1; `counted` are the verdicts
    without lines since `started_us` (duplicate, ignored, unidentified) and "pre"; `rejected` counts by reason;
    `clean` the clean worst of each camera (`worst.note_clean`); `left` the server's word on cameras it dropped.
    """

    state: str
    written_us: int
    started_us: int
    since_us: int
    date: str
    day: Day
    cameras: Mapping[str, Camera]
    observed: Callable[[str], float]
    counted: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    offset: Offset | None = None
    kernel: KernelClock | None = None
    network: str = ""
    own_error: OwnError | None = None
    clean: Mapping[str, Verdict] = field(default_factory=dict)
    left: Mapping[str, CloudNotice] = field(default_factory=dict)
    previews: Mapping[str, Histogram] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    names: Mapping[int, str] = field(default_factory=lambda: NAMESPACES)


def observed_shares(
    observation: Observation, from_us: int, to_us: int, apart: Collection[str] = ()
) -> Callable[[str], float]:
    """`Standing.observed`, quick for many cameras: only those `apart` (or with gaps of their own) are worked out."""
    own = {gap.camera_id for gap in observation.gaps} | set(apart)
    whole = observation.observed_share(from_us, to_us)
    return lambda camera_id: observation.observed_share(from_us, to_us, camera_id) if camera_id in own else whole
