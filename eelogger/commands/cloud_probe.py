"""Ask the cloud what only it can tell: its clock, its event stream, its recorded annotations."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ..clock import now_us
from ..cloud.connection import StampedConnection
from ..cloud.rest import Rest
from ..cloud.sign_in import is_authorised
from ..cloud.stream import EventStream
from ..errors import EeloggerError, MessageError, NoCamera
from ..measure.clock_offset import OffsetBounds
from ..measure.protocol import read_message
from ..measure.seconds import seconds3
from ..model import Camera, CloudNotice, DateSample, Timing
from ..settings import Settings, proxy_for
from ..views.number_format import count
from ..views.tables import printable

CLOCK_ANSWERS: Final = 8  # over 5 s they come at eight evenly spread fractions of a second: bounds of ± 0.06 s
SPREAD_S: Final = 1.5  # the latest values come spread over messages: so long after the first one more are waited for


class Finding(NamedTuple):
    """What was tested and what came out; `hints` say what to do, `exit_code` how a run would end, 0: it would not."""

    what: str
    result: str
    hints: tuple[str, ...] = ()
    exit_code: int = 0

    @property
    def verdict(self) -> str:
        """One word: a problem has a hint, and one that ends a run has an exit code."""
        return "FAILED" if self.exit_code else "warning" if self.hints else "ok"


def failed_by(what: str, error: EeloggerError) -> Finding:
    """The finding of an error that ends a run, or that a run would meet again and again (`CloudError`)."""
    return Finding(what, str(error), (error.hint,) if error.hint else (), error.exit_code)


class Heard:
    """What the event stream said: a `Sink` that counts.

    `updates` go by camera; `ping_us` is None when no ping was answered, `tls` is "" without a handshake.
    """

    is_behind = False

    def __init__(self, cameras: Mapping[str, Camera], wait_s: float) -> None:
        self.cameras = cameras
        self.tls = ""
        self.ping_us: int | None = None
        self.updates: Counter[str] = Counter()
        self.notices: list[CloudNotice] = []
        self.enough = asyncio.Event()
        self._wait_s, self._loop = wait_s, asyncio.get_running_loop()

    def opened(self, connection: StampedConnection) -> None:
        """The handshake is done."""
        self.tls = connection.tls
        self._loop.call_later(self._wait_s, self.enough.set)

    def answered(self, rtt_us: int) -> None:
        """The server answered a ping."""
        self.ping_us = rtt_us

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Count a message."""
        try:
            updates, _, notices = read_message(data)
        except MessageError:
            return []
        self.updates.update(camera_id for camera_id, data in updates if "error" not in data)
        self.notices += notices
        if self.updates or not all(notice.camera_id for notice in notices):
            self._loop.call_later(SPREAD_S if self.updates else 0, self.enough.set)
        return notices

    def _ignore(self, *_: object, **__: object) -> None:
        """What a sink is told besides does not matter here."""

    know = subscribed = lost = camera_gone = note_gap = _ignore


async def listen(settings: Settings, cameras: Mapping[str, Camera], wait_s: float) -> tuple[Heard, Finding]:
    """Connect, subscribe to these cameras and listen: whether it delivers; a handshake alone proves nothing."""
    heard = Heard(cameras, wait_s)
    stream = EventStream(heard, Timing(liveness_s=1.0))
    stream.on_open, stream.on_rtt = heard.opened, heard.answered
    connection = asyncio.create_task(stream.connect_and_log(settings, cameras), name="event stream")
    connection.add_done_callback(lambda _: heard.enough.set())
    await heard.enough.wait()
    was_ended = connection.done()
    stream.close("checked")
    try:
        reason = await connection
    except EeloggerError as error:
        return heard, failed_by("event stream", error)
    return heard, _delivery(heard, reason if was_ended else "", wait_s)


def _delivery(heard: Heard, ended: str, wait_s: float) -> Finding:
    """Whether the subscription delivers; `ended` is why the server ended the connection."""
    told = next((notice for notice in heard.notices if not notice.camera_id), None)
    if not heard.updates and (told or ended):
        said = (
            f"the server answers {_words(told)} to the subscription"
            if told
            else f"the server ends it at once ({ended})"
        )
        return Finding("event stream", said, ("is EEN_ACCOUNT_ID this key's account?",), NoCamera.exit_code)
    cameras, hints = count(len(heard.cameras), "camera"), []
    said = f"delivers: {count(heard.updates.total(), 'update')} of {len(heard.updates)} of {cameras}"
    if refused := {notice.camera_id: notice for notice in heard.notices if notice.camera_id}:
        camera_id, notice = next(iter(refused.items()))
        hints.append(f"{count(len(refused), 'camera')} refused, such as {camera_id}: {_words(notice)}")
    if not heard.updates:
        said = f"subscribed to {cameras}; nothing came within {wait_s:g} s"
        hints.append("a quiet account sends nothing until something happens; else look at EEN_EVENTS")
    if ended:
        hints.append(f"but then the server ended it: {ended}")
    return Finding("event stream", said, tuple(hints))


async def clock(settings: Settings, samples: list[DateSample], wait_s: float) -> Finding:
    """How far the local clock is off, by these answers and by those that can be had in this time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(3 * wait_s), Rest(settings, on_date=samples.append) as rest:
            for _ in range(CLOCK_ANSWERS):
                await asyncio.sleep(wait_s / CLOCK_ANSWERS)
                with suppress(EeloggerError):  # its `Date` counts, whatever it says
                    await is_authorised(rest)
    bounds = OffsetBounds()
    for sample in samples:
        bounds.add(sample)
    offset = bounds.offset(now_us())
    if offset is None:
        return Finding("clock", "not compared: the cloud's answers say no time", ("see the clock service above",))
    hints = (f"{offset.sentence()}; set the clock right",) if offset.warns else ()
    said = f"cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s, by {len(samples)} answers"
    return Finding("clock", said, hints)


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
        took_us = round(statistics.median(sample.received_us - sample.sent_us for sample in samples))
        parts.append(f"REST round trip {seconds3(took_us)} s (median of {len(samples)})")
    if heard is not None and heard.tls:
        ping = "not answered" if heard.ping_us is None else f"{seconds3(heard.ping_us)} s"
        parts += [f"WebSocket ping {ping}", heard.tls]
    if proxy_for(settings.rest_base()):
        parts.append("through a proxy")
    return Finding("network", "; ".join(parts))


def _words(notice: CloudNotice) -> str:
    return f"{notice.status_code} {printable(repr(notice.message))}"
