"""Listening to the event stream for a few seconds, to learn whether it delivers: a run's own way, without a file.

Decides when enough has been heard; what that means is for `cloud_check`. Invariant: the connection is closed and every
task awaited before `listen` returns, and whatever went wrong is in what it returns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from websockets.exceptions import ConnectionClosed

from ..errors import EeloggerError, MessageError
from ..model import CameraUpdate, CloudNotice
from ..net.connection import StampedConnection
from ..net.rest import key_headers
from ..net.tls import tls_context
from ..reconnect.policy import Trouble, judge
from ..settings import Settings, proxy_for
from ..stream import EventStream
from ..wire import event_time_us, read_message, split_events

PONG_S: Final = 2.0
SPREAD_S: Final = 1.0
"""The latest values come spread over messages: so long after the first one the rest is listened to."""


class Heard:
    """What the stream said: a `stream.Sink` that counts. Durations in seconds or µs, None is what did not happen.

    `early` of the `dated` events came before their own timestamp.
    """

    def __init__(self) -> None:
        self.handshake_s: float | None = None
        self.tls = ""
        self.ping_us: int | None = None
        self.first_s: float | None = None
        self.updates = 0
        self.cameras: set[str] = set()
        self.dated = self.early = 0
        self.unreadable = 0
        self.notices: list[CloudNotice] = []
        self.ended = ""
        self.error: Trouble | EeloggerError | None = None
        self._began = time.monotonic()
        self._subscribed_us = 0
        self._open = asyncio.Event()
        self._told = asyncio.Event()
        self._pinging: asyncio.Task[None] | None = None

    def name_namespaces(self, ns_values: Mapping[int, str]) -> None:
        """Names do not matter here."""

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """The subscription is on its way."""
        self._subscribed_us = at_us

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Count a message."""
        try:
            message = read_message(data)
        except MessageError:
            self.unreadable += 1
            return []
        known = [update.camera_id for update in message.updates if "error" not in update.data]
        if known and self.first_s is None:
            self.first_s = (arrived_us - self._subscribed_us) / 1e6
        self.updates += len(known)
        self.cameras.update(known)
        for update in message.updates:
            self._date(update, arrived_us)
        self.notices += message.notices
        if known or any(not notice.camera_id for notice in message.notices):
            self._told.set()
        return message.notices

    def _date(self, update: CameraUpdate, arrived_us: int) -> None:
        for event in split_events(*update)[0]:
            happened_us = event_time_us(event.get("timestamp"))
            if happened_us is not None:
                self.dated += 1
                self.early += happened_us > arrived_us

    def lost(self, at_us: int, reason: str) -> None:
        """The connection ended."""

    def opened(self, connection: StampedConnection) -> None:
        """The handshake is done."""
        self.handshake_s = time.monotonic() - self._began
        tls = connection.transport.get_extra_info("ssl_object")
        self.tls = str(tls.version()) if tls is not None else ""
        self._pinging = asyncio.create_task(self._ping(connection), name="ping")
        self._open.set()

    async def enough(self, wait_s: float) -> None:
        """Until there is nothing more to wait for: `wait_s` without data, or a little longer than it took to come."""
        await self._open.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._told.wait()
        if self.first_s is not None:
            await asyncio.sleep(SPREAD_S)
        if self._pinging is not None:
            await self._pinging

    async def _ping(self, connection: StampedConnection) -> None:
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(PONG_S):
                self.ping_us = round(await (await connection.ping()) * 1_000_000)


async def listen(settings: Settings, camera_ids: Sequence[str], wait_s: float) -> Heard:
    """Connect, subscribe to these cameras and listen; raises nothing a run would try again."""
    heard = Heard()
    uri = settings.websocket_uri()
    stream = EventStream(heard, events=settings.events, resources=settings.resources)
    stream.cameras = list(camera_ids)
    stream.headers = key_headers(settings)
    stream.ssl = tls_context(settings)
    stream.proxy = proxy_for(uri)
    stream.on_open = heard.opened
    stream.ready.set()
    connection = asyncio.create_task(stream.connect_and_log(uri, settings.namespace_table), name="event stream")
    enough = asyncio.create_task(heard.enough(wait_s), name="enough heard")
    try:
        await asyncio.wait([connection, enough], return_when=asyncio.FIRST_COMPLETED)
        over = connection.done()
        stream.close("checked")
        reason = await connection
        heard.ended = reason if over else ""
    except Exception as error:
        heard.error = judge(error)
    finally:
        enough.cancel()
        await asyncio.wait([enough])
    return heard
