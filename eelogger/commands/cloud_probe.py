"""Ask the cloud what only it can tell: its clock, its event stream, its recorded annotations."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from ..clock import now_us
from ..cloud.annotations import AnnotationLists
from ..cloud.connection import StampedConnection
from ..cloud.rest import Rest
from ..cloud.sign_in import is_authorised
from ..cloud.stream import EventStream
from ..errors import EeloggerError, MessageError, NoCamera
from ..measure.clock_offset import OffsetBounds
from ..measure.protocol import read_message
from ..measure.seconds import seconds3
from ..model import HOUR_US, Camera, CloudNotice, DateSample, Timing
from ..settings import Settings, proxy_for
from ..views.number_format import count

CLOCK_ANSWERS: Final = 8  # over 5 s they come at eight evenly spread fractions of a second: bounds of ± 0.06 s
SPREAD_S: Final = 1.5  # the latest values come spread over messages: so long after the first one more are waited for


class Finding(NamedTuple):
    """What was tested and what came out; `hints` say what to do, `exit_code` how a run would end, 0: it would not."""

    what: str
    result: str
    hints: Sequence[str] = ()
    exit_code: int = 0

    @property
    def verdict(self) -> str:
        """One word: a problem has a hint, and one that ends a run has an exit code."""
        return "FAILED" if self.exit_code else "warning" if self.hints else "ok"


def failed_by(what: str, error: EeloggerError) -> Finding:
    """The finding of an error that ends a run, or that a run would meet again and again (`CloudError`)."""
    return Finding(what, str(error), (error.hint,) if error.hint else (), error.exit_code)


class Heard:
    """A `Sink` that counts updates by camera; `tls` is "" without a handshake."""

    is_behind = False

    def __init__(self, cameras: Mapping[str, Camera], wait_s: float) -> None:
        self.cameras, self.wait_s = cameras, wait_s
        self.tls = ""
        self.pings_us: list[int] = []  # those that were answered
        self.updates: Counter[str] = Counter()
        self.notices: list[CloudNotice] = []
        self.enough = asyncio.Event()

    def opened(self, connection: StampedConnection) -> None:
        """The handshake is done."""
        self.tls = connection.tls
        connection.loop.call_later(self.wait_s, self.enough.set)

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Count a message."""
        try:
            updates, _, notices = read_message(data)
        except MessageError:
            return []
        self.updates.update(update.camera_id for update in updates if "error" not in update.data)
        self.notices += notices
        if self.updates or not all(notice.camera_id for notice in notices):
            asyncio.get_running_loop().call_later(SPREAD_S if self.updates else 0, self.enough.set)
        return notices

    def _ignore(self, *_: object, **__: object) -> None:
        """What a sink is told besides does not matter here."""

    know = subscribed = lost = camera_gone = note_gap = _ignore


async def listen(settings: Settings, heard: Heard) -> Finding:
    """Connect, subscribe and listen: whether it delivers; a handshake alone proves nothing."""
    stream = EventStream(heard, Timing(liveness_s=1.0))
    stream.on_open, stream.on_rtt = heard.opened, heard.pings_us.append
    connection = asyncio.create_task(stream.connect_and_log(settings, heard.cameras), name="event stream")
    connection.add_done_callback(lambda _: heard.enough.set())
    await heard.enough.wait()
    was_ended = connection.done()
    stream.close("checked")
    try:
        reason = await connection
    except EeloggerError as error:
        return failed_by("event stream", error)
    ended = f"the server ended it: {reason}" if was_ended else ""
    refused = {notice.camera_id: f"{notice.status_code} {notice.message!r}" for notice in heard.notices}
    if "" in refused:  # it is no camera's
        ended = f"the server answers {refused.pop('')} to the subscription"
    cameras, hints = count(len(heard.cameras), "camera"), [ended] if ended else []
    said = f"delivers: {count(heard.updates.total(), 'update')} of {len(heard.updates)} of {cameras}"
    if not heard.updates and ended:
        return Finding("event stream", ended, ("is EEN_ACCOUNT_ID this key's account?",), NoCamera.exit_code)
    if refused:
        hints.append(f"{count(len(refused), 'camera')} refused, such as {' '.join(next(iter(refused.items())))}")
    if not heard.updates:
        said = f"subscribed to {cameras}; nothing came within {heard.wait_s:g} s"
        hints.append("a quiet account sends nothing until something happens; else look at EEN_EVENTS")
    return Finding("event stream", said, hints)


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


def network(settings: Settings, samples: Sequence[DateSample], heard: Heard) -> Finding:
    """How far away the cloud is."""
    parts = []
    if samples:
        took_us = round(statistics.median(sample.received_us - sample.sent_us for sample in samples))
        parts.append(f"REST round trip {seconds3(took_us)} s (median of {len(samples)})")
    if heard.tls:
        ping = f"{seconds3(heard.pings_us[-1])} s" if heard.pings_us else "not answered"
        parts += [f"WebSocket ping {ping}", heard.tls]
    if proxy_for(settings.rest_base()):
        parts.append("through a proxy")
    return Finding("network", "; ".join(parts))


async def annotation_list(settings: Settings, camera_ids: Collection[str]) -> Finding:
    """Whether the cloud's own record of annotations can be read, which `audit` needs and a run does not."""
    hour_us = now_us() // HOUR_US * HOUR_US
    try:
        async with Rest(settings) as rest:
            lists = AnnotationLists(rest, settings.namespaces, Timing())
            asked = lists.hours(next(iter(camera_ids)), hour_us - HOUR_US, hour_us, tries=1)
            failure = "".join([hour.failure async for hour in asked])
    except EeloggerError as error:
        failure = str(error)
    said = f"cannot be read, which a run does not need: {failure}" if failure else "recorded annotations can be read"
    return Finding("annotation list", said)
