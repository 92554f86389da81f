"""Ask the cloud what only it can tell: its clock, its event stream, its recorded annotations."""

import asyncio
import statistics
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from ..clock import now_us
from ..cloud.annotations import AnnotationLists
from ..cloud.connection import Received
from ..cloud.rest import Rest
from ..cloud.stream import EventStream, open_connection
from ..errors import EeloggerError, NoCamera
from ..measure.clock_offset import OffsetBounds
from ..measure.coverage import Coverage
from ..measure.handler import Handler
from ..measure.seconds import seconds3
from ..model import HOUR_US, Camera, DateSample, Timing
from ..recorder import Recorder
from ..settings import Settings, proxy_for
from ..storage.disk import Batch
from ..storage.paths import LogPaths, day_of
from ..views.text import count

CLOCK_ANSWERS: Final = 8  # over 5 s they come at eight evenly spread fractions of a second: bounds of ± 0.06 s
LOOK_S: Final = 0.05
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
    """The finding of an error that ends a run, or that it would retry (`CloudError`)."""
    return Finding(what, str(error), (error.hint,) if error.hint else (), error.exit_code)


async def listen(settings: Settings, cameras: Mapping[str, Camera], wait_s: float, way: list[str]) -> Finding:
    """Connect, subscribe and record as a run does, but write nothing; `way` gets what is learned of the connection."""
    handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
    recorder = Recorder(handler, Batch(), Coverage(0), LogPaths(settings.log_dir), day=day_of(now_us()))
    recorder.know(cameras)
    refusals: dict[str, str] = {}  # what the server reports, by camera; "" is the subscription
    pings_us: list[int] = []

    def hand_on(received: Received) -> None:
        for notice in recorder.record(*received):
            refusals[notice.camera_id] = f"{notice.status_code} {notice.message!r}"

    timing = Timing(liveness_s=1.0)
    try:
        connection = await open_connection(settings, timing)
    except EeloggerError as error:
        return failed_by("event stream", error)
    connection.on_rtt = pings_us.append
    stream = EventStream(connection, settings, recorder, timing, hand_on)
    listening = asyncio.create_task(stream.log(cameras), name="event stream")
    left_s = wait_s
    while left_s > 0 and "" not in refusals and not listening.done():
        await asyncio.sleep(LOOK_S)
        left_s = min(left_s - LOOK_S, SPREAD_S if handler.totals else left_s)
    was_ended = listening.done()
    stream.close("checked")
    reason = await listening
    ping = f"{seconds3(pings_us[-1])} s" if pings_us else "not answered"
    way += [connection.tls, f"WebSocket ping {ping}"]
    ended = f"the server ended it: {reason}" if was_ended else ""
    if refusal := refusals.pop("", ""):
        ended = f"the server answers {refusal} to the subscription"
    if ended and not handler.totals:
        return Finding("event stream", ended, ["is EEN_ACCOUNT_ID this key's account?"], NoCamera.exit_code)
    hints = [ended] if ended else []
    said = f"delivers: {count(handler.totals.total(), 'event')} of {count(len(cameras), 'camera')}"
    if not handler.totals:  # a handshake alone proves nothing
        said = f"subscribed to {count(len(cameras), 'camera')}; nothing came within {wait_s:g} s"
        hints.append("a quiet account sends nothing until something happens; else look at EEN_EVENTS")
    for camera_id, refusal in [*refusals.items()][:1]:
        hints.append(f"{count(len(refusals), 'camera')} refused, such as {camera_id}: {refusal}")
    return Finding("event stream", said, hints)


async def clock(settings: Settings, samples: list[DateSample], wait_s: float) -> Finding:
    """How far the local clock is off. More answers are collected for `wait_s`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(3 * wait_s), Rest(settings, on_date=samples.append) as rest:
            for _ in range(CLOCK_ANSWERS):
                await asyncio.sleep(wait_s / CLOCK_ANSWERS)
                with suppress(EeloggerError):  # its `Date` counts, whatever it says
                    await rest.confirm_key()
    offset = OffsetBounds(samples).offset(now_us())
    if offset is None:
        return Finding("clock", "not compared: the cloud's answers say no time", ("see the clock service above",))
    hints = (f"{offset.sentence()}; set the clock right",) if offset.warns else ()
    said = f"cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s, by {len(samples)} answers"
    return Finding("clock", said, hints)


def network(settings: Settings, samples: Sequence[DateSample], way: Sequence[str]) -> Finding:
    """How far away the cloud is; `way` is what `listen` learned."""
    parts = ["through a proxy"] if proxy_for(settings.rest_base()) else []
    if samples:
        took_us = round(statistics.median(sample.received_us - sample.sent_us for sample in samples))
        parts.append(f"REST round trip {seconds3(took_us)} s (median of {len(samples)})")
    return Finding("network", "; ".join([*parts, *way]))


async def annotation_list(settings: Settings, camera_ids: Collection[str]) -> Finding:
    """Whether the cloud's recorded annotations can be read. Only `audit` needs them."""
    hour_us = now_us() // HOUR_US * HOUR_US
    try:
        async with Rest(settings) as rest:
            lists = AnnotationLists(rest, settings.namespaces)
            asked = lists.hours(next(iter(camera_ids)), hour_us - HOUR_US, hour_us, tries=1)
            failure = "".join([hour.failure async for hour in asked])
    except EeloggerError as error:
        failure = str(error)
    said = f"cannot be read, which a run does not need: {failure}" if failure else "recorded annotations can be read"
    return Finding("annotation list", said)
