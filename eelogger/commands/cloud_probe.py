"""Ask the cloud what only it can tell: its clock, its event stream, its recorded annotations."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from ..clock import now_us
from ..cloud.connection import StampedConnection
from ..cloud.rest import Rest
from ..cloud.sign_in import is_authorised
from ..cloud.stream import EventStream
from ..errors import EeloggerError, MessageError, NoCamera
from ..measure.clock_offset import OffsetBounds
from ..measure.protocol import event_time_us, read_message, split_events
from ..measure.seconds import seconds3
from ..model import Camera, CloudNotice, DateSample, Timing
from ..settings import Settings, proxy_for
from ..views.number_format import count
from ..views.tables import printable
from .findings import Finding, failed_by

PRECISE_US: Final = 25_000
# The latest values come spread over messages: so long after the first one the rest is listened to.
SPREAD_S: Final = 1.5


class Heard:
    """What the event stream said: a `Sink` that counts.

    `updates` go by camera; `early` of the `dated` events came before their own timestamp; `ping_us` is None when no
    ping was answered; `ended` is why the server ended the connection.
    """

    is_behind = False

    def __init__(self, cameras: Mapping[str, Camera]) -> None:
        self.cameras = cameras
        self.tls = ""
        self.ping_us: int | None = None
        self.updates: Counter[str] = Counter()
        self.dated = self.early = 0
        self.notices: list[CloudNotice] = []
        self.ended = ""
        self.error: EeloggerError | None = None
        self.is_open, self._told = asyncio.Event(), asyncio.Event()

    def opened(self, connection: StampedConnection) -> None:
        """The handshake is done."""
        self.tls = connection.tls
        self.is_open.set()

    def round_trip(self, rtt_us: int) -> None:
        """The server answered a ping."""
        self.ping_us = rtt_us

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Count a message."""
        try:
            updates, _, notices = read_message(data)
        except MessageError:
            return []
        for update in updates:
            if "error" not in update.data:
                self.updates[update.camera_id] += 1
                happened = [event_time_us(event.get("timestamp")) for event in split_events(*update)[0]]
                self.dated += sum(us is not None for us in happened)
                self.early += sum(us is not None and us > arrived_us for us in happened)
        self.notices += notices
        if self.updates or not all(notice.camera_id for notice in notices):
            self._told.set()
        return notices

    async def enough(self, wait_s: float) -> None:
        """Wait until data came and a little longer, or `wait_s` without any."""
        await self.is_open.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._told.wait()
        await asyncio.sleep(min(SPREAD_S, wait_s) if self.updates else 0)

    def _ignore(self, *_: object, **__: object) -> None:
        """What a sink is told besides does not matter here."""

    know = subscribed = lost = camera_lost = camera_gone = note_gap = _ignore


async def listen(settings: Settings, cameras: Mapping[str, Camera], wait_s: float) -> Heard:
    """Connect, subscribe to these cameras and listen; what went wrong is in the answer."""
    heard = Heard(cameras)
    stream = EventStream(heard, Timing(liveness_s=1.0))
    stream.on_open, stream.on_rtt = heard.opened, heard.round_trip
    connection = asyncio.create_task(stream.connect_and_log(settings, cameras), name="event stream")
    enough = asyncio.create_task(heard.enough(wait_s), name="enough heard")
    try:
        await asyncio.wait([connection, enough], return_when=asyncio.FIRST_COMPLETED)
        over = connection.done()
        stream.close("checked")
        reason = await connection
        heard.ended = reason if over else ""
    except EeloggerError as error:
        heard.error = error
    finally:
        enough.cancel()
        await asyncio.wait([enough])
    return heard


async def clock(settings: Settings, samples: list[DateSample], wait_s: float) -> Finding:
    """How far the local clock is off, by these answers and by those that can be had in this time."""
    bounds = OffsetBounds()
    contradictions = [bounds.add(sample) for sample in samples]

    def take(sample: DateSample) -> None:
        samples.append(sample)
        contradictions.append(bounds.add(sample))

    until_us = now_us() + round(wait_s * 1e6)
    async with Rest(settings, on_date=take) as rest:
        while (offset := bounds.offset(now_us())) and offset.bound_us > max(PRECISE_US, _round_trip_us(samples)):
            # An answer tells most when the cloud's second is about to turn: it halves the bounds.
            met_us = now_us() + _round_trip_us(samples) // 2 + offset.offset_us
            pause_us = -met_us % 1_000_000
            if now_us() + pause_us > until_us:
                break
            await asyncio.sleep(pause_us / 1e6)
            with suppress(EeloggerError):  # its `Date` counts, whatever it says
                await is_authorised(rest)
    if offset is None:
        return Finding("clock", "not compared: the cloud's answers say no time", ("see the clock service above",))
    hints = [f"{offset.sentence()}; set the clock right"] if offset.warns else []
    if any(contradictions):
        hints = ["the answers contradict each other: a clock, here or there, was set"]
    said = f"cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s, by {len(samples)} answers"
    return Finding("clock", said, tuple(hints))


def _round_trip_us(samples: Sequence[DateSample]) -> int:
    return round(statistics.median(sample.received_us - sample.sent_us for sample in samples))


async def annotation_list(settings: Settings, camera_id: str) -> Finding:
    """Whether the cloud's own record of annotations can be read, which `audit` needs and a run does not."""
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    said = "the cloud's recorded annotations can be read"
    try:
        async with Rest(settings) as rest:
            await rest.get(f"/annt/annt/list?id={camera_id}&start_timestamp={hour_ago:%Y%m%d%H%M%S}.000&count=1")
    except EeloggerError as error:
        said = f"cannot be read, which a run does not need: {error}"
    return Finding("annotation list", said)


def network(settings: Settings, samples: Sequence[DateSample], heard: Heard | None = None) -> Finding:
    """How far away the cloud is; `heard` is None when the event stream was not tried."""
    parts = []
    if samples:
        parts.append(f"REST round trip {seconds3(_round_trip_us(samples))} s (median of {len(samples)})")
    if heard is not None and heard.is_open.is_set():
        ping = "not answered" if heard.ping_us is None else f"{seconds3(heard.ping_us)} s"
        parts += [f"WebSocket ping {ping}", heard.tls]
    if proxy_for(settings.rest_base()):
        parts.append("through a proxy")
    return Finding("network", "; ".join(parts))


def stream(heard: Heard, wait_s: float) -> Finding:
    """Whether the subscription delivers; a handshake alone proves nothing."""
    if heard.error is not None:
        return failed_by("event stream", heard.error)
    told = next((notice for notice in heard.notices if not notice.camera_id), None)
    if not heard.updates and (told or heard.ended):
        said = f"the server ends it at once ({heard.ended})"
        if told:
            said = f"the server answers {_words(told)} to the subscription"
        return Finding("event stream", said, ("is EEN_ACCOUNT_ID this key's account?",), NoCamera.exit_code)
    hints: list[str] = []
    if refused := {notice.camera_id: notice for notice in heard.notices if notice.camera_id}:
        camera_id, notice = next(iter(refused.items()))
        hints.append(f"{count(len(refused), 'camera')} refused, such as {camera_id}: {_words(notice)}")
    cameras = count(len(heard.cameras), "camera")
    said = f"delivers: {count(heard.updates.total(), 'update')} of {len(heard.updates)} of {cameras}"
    if not heard.updates:
        said = f"subscribed to {cameras}; nothing came within {wait_s:g} s"
        hints.append("a quiet account sends nothing until something happens; else look at EEN_EVENTS")
    if heard.early:
        came = f"{heard.early} of {count(heard.dated, 'dated event')} came before their own timestamp"
        hints.append(f"{came}: a camera's clock, or this machine's, is wrong")
    if heard.ended:
        hints.append(f"but then the server ended it: {heard.ended}")
    return Finding("event stream", said, tuple(hints))


def _words(notice: CloudNotice) -> str:
    return f"{notice.status_code} {printable(repr(notice.message))}"
