"""The state of a run as one value; its clock and network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..clock import KernelClock
from ..measure.camera_statistics import CameraStatistics, Day
from ..measure.clock_offset import Offset, OffsetBounds
from ..measure.coverage import Coverage
from ..measure.histogram import Histogram
from ..model import Camera, CloudNotice, DateSample, Gap, Verdict
from ..storage.formats import parse_time

NO_EVENTS: Final = CameraStatistics()  # of a camera without an event
RTT_US: Final = 120_000_000  # a round trip that is older says nothing of the network as it is


class OwnError(NamedTuple):
    """How late the event loop was for `n` events, in µs; above the threshold a line carries `lag_s=`."""

    p99_us: int
    max_us: int
    threshold_us: int
    n: int


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands; it refers to the day's statistics and does not copy them."""

    state: str
    since_us: int
    written_us: int
    started_us: int
    until_us: int  # the last moment that is shown
    date: str
    day: Day
    cameras: Mapping[str, Camera]  # attached now
    known: Mapping[str, Camera]  # also those that left
    coverage: Coverage
    totals: Mapping[str, int]  # verdicts since the start
    rejected: Mapping[str, int]
    offset: Offset | None
    kernel: KernelClock | None
    rtt: tuple[int, str] | None  # in µs, and whether of a "pong" or by "REST"
    own_error: OwnError
    write_p99_us: int
    left: Mapping[str, CloudNotice]
    previews: Mapping[str, Histogram]
    names: Mapping[int, str]
    last: Verdict | None
    reading: float | None  # share of the day's files read so far; None once all are
    disk: str
    held_lines: int
    queued_bytes: int
    headline: str = ""  # how the run stopped

    def camera(self, camera_id: str) -> Camera:
        """A camera by its id, also one that left."""
        return self.known.get(camera_id) or Camera(camera_id, "")

    def cameras_of_day(self) -> Iterator[tuple[Camera, CameraStatistics, float]]:
        """Each camera, attached or with figures of the day: its statistics, and the share that was observed."""
        observed = self.coverage.shares(parse_time(self.date), self.until_us)
        for camera_id in [*self.cameras, *(each for each in self.day.cameras if each not in self.cameras)]:
            yield self.camera(camera_id), self.day.cameras.get(camera_id, NO_EVENTS), observed(camera_id)

    def observed_by_all(self, shares: Sequence[float]) -> float:
        """The mean of all cameras' shares; the connection's where there is no camera."""
        whole = self.coverage.observed_share(parse_time(self.date), self.until_us)
        return sum(shares) / len(shares) if shares else whole


class Vitals:
    """Clock offset and round trip as they are known now."""

    def __init__(self) -> None:
        self.bounds = OffsetBounds()
        self._has_warned = False
        self._rtt, self._rtt_at_us = (0, ""), -2 * RTT_US
        self._rtt_max_us: int | None = None

    def date_sample(self, sample: DateSample) -> Gap | None:
        """Take a REST answer: it bounds the clock and times the network. Returns the clock step it reveals."""
        latest = self.rtt(sample.received_us)
        if latest is None or latest[1] == "REST":
            self.rtt_sample(sample.received_us - sample.sent_us, "REST", sample.received_us)
        return self.bounds.add(sample)

    def rtt_sample(self, rtt_us: int, source: str, now_us: int) -> None:
        """A round trip, of a ping ("pong") or of a REST call."""
        self._rtt, self._rtt_at_us = (max(0, rtt_us), source), now_us
        self._rtt_max_us = max(self._rtt_max_us or 0, rtt_us)

    def rtt(self, now_us: int) -> tuple[int, str] | None:
        """The latest round trip and its source; None when it is older than two minutes."""
        # a clock that was put back makes a sample look new, but only until the next one.
        return self._rtt if abs(now_us - self._rtt_at_us) <= RTT_US else None

    def take_rtt_max_us(self) -> int | None:
        """The longest round trip since the last call."""
        longest, self._rtt_max_us = self._rtt_max_us, None
        return longest

    def clock_warning(self, now_us: int) -> str | None:
        """The warning when the clock became wrong, or right again. None while nothing changed."""
        offset = self.bounds.offset(now_us)
        if offset is None or offset.warns == self._has_warned:
            return None
        self._has_warned = offset.warns
        return offset.sentence()
