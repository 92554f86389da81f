"""Subscribe cameras in batches, and hand on each message once, in order, whatever ends the connection."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from .. import __version__
from ..clock import now_us
from ..model import Timing
from ..settings import Settings, proxy_for
from . import Sink
from .connection import Received, StampedConnection
from .failures import failure, log_defect
from .rest import key_headers, tls_context

SUBSCRIBE_AT_ONCE: Final = 500
# Room in the queue for each camera: after a subscription the latest values of all come at once.
BURST_BYTES: Final = 1024
GATHER_S: Final = 0.012  # how long a message waits for others: being woken costs more than a message does
GATHER_BYTES: Final = 1 << 15  # with so much waiting there is work for a turn, and nothing is gained by waiting
WORK_S: Final = 0.002  # so much work at a time, then the loop reads on: arrivals are stamped while others are recorded

_log = logging.getLogger(__name__)
_websocket_log = logging.getLogger("eelogger.websocket")
_websocket_log.setLevel(logging.INFO)  # the library's DEBUG lines hold headers, and cost much to write
_websocket_log.addFilter(lambda record: record.levelno > logging.DEBUG)  # whatever level others set


class EventStream:
    """Subscribes on one connection, keeps it alive, hands its messages on in turns of 2 ms."""

    def __init__(
        self,
        connection: StampedConnection,
        settings: Settings,
        sink: Sink,
        timing: Timing,
        hand_on: Callable[[Received], object],
    ) -> None:
        self.connection = connection
        events = {"event": list(settings.events)} if "event" in settings.resources else {}
        self._what = {"resource": list(settings.resources)} | events
        self._sink, self._timing, self._hand_on = sink, timing, hand_on
        self._over: asyncio.Future[None] = connection.loop.create_future()
        self._due: asyncio.Handle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def log(self, camera_ids: Collection[str]) -> str:
        """Log events until the connection ends, or its task is cancelled; returns the gap's reason (`closed-1001`)."""
        connection = self.connection
        connection.queue_bytes = max(connection.queue_bytes, BURST_BYTES * len(camera_ids))
        try:
            _log.info("connected: peer=%s tls=%s", connection.remote_address, connection.tls)
            connection.on_gap, connection.on_arrival = self._sink.note_gap, self._arrived
            # Taken just before we ask, as what the server dates before it is its initial state; or when the first of
            # what the server sent unasked came, for that belongs to this subscription too.
            self._sink.subscribed(connection.messages[0].arrived_us if connection.messages else now_us())
            self.beside(self._subscribe(camera_ids), "subscribe")
            self.beside(connection.keep_alive(self._timing.liveness_s), "liveness")
            self._turn()
            await asyncio.wait([self._over])
            self._over.result()
        finally:
            connection.on_arrival = lambda: None
            if self._due:
                self._due.cancel()
            try:
                self.flush()
            finally:
                reason, observed_until_us = connection.ending()
                self._sink.lost(observed_until_us, reason)
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await connection.leave(self._timing.close_s)
        return reason

    def flush(self, until_s: float = math.inf) -> None:
        """Hand on what waits, while there is time."""
        while (received := self.connection.take()) is not None:
            self._hand_on(received)
            if time.perf_counter() > until_s:
                return

    async def change(self, gone: Collection[str], added: Collection[str]) -> None:
        """Drop cameras, and subscribe further ones, on the open connection."""
        if gone:
            await self._send({"drop": {"cameras": list(gone)}})
        if added:
            self._sink.subscribed(now_us(), added)
            await self._subscribe(added)

    def close(self, reason: str) -> None:
        """End the connection politely; what arrives until it is closed is still received."""
        self.connection.lost_reason = self.connection.lost_reason or reason
        self.beside(self.connection.leave(self._timing.close_s), "close")

    def beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task until the connection ends. When the task fails, the connection is closed: nobody would listen."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()):
                log_defect(f"unexpected failure of the task {name}", error)
                self.connection.abandon("broken-off")

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        self._tasks.append(task)

    def _arrived(self) -> None:
        loop = self.connection.loop
        hurry = self.connection.lost_us is not None or self.connection.queued_bytes > GATHER_BYTES
        if hurry and isinstance(self._due, asyncio.TimerHandle):
            self._due.cancel()
            self._due = None
        if self._due is None:
            self._due = loop.call_soon(self._turn) if hurry else loop.call_later(GATHER_S, self._turn)

    def _turn(self) -> None:
        connection, self._due = self.connection, None
        if self._sink.is_behind:
            # Reading pauses when the queue is full, which is recorded as a backlog.
            self._due = connection.loop.call_later(GATHER_S, self._turn)
            return
        try:
            self.flush(time.perf_counter() + WORK_S)
        except Exception as error:
            self._over.set_exception(error)
            return
        if connection.messages:
            self._due = connection.loop.call_soon(self._turn)
        elif connection.lost_us is not None:
            self._over.set_result(None)

    async def _subscribe(self, camera_ids: Collection[str]) -> None:
        ids = sorted(camera_ids)
        for start in range(0, len(ids), SUBSCRIBE_AT_ONCE):
            await self._send({"cameras": dict.fromkeys(ids[start : start + SUBSCRIBE_AT_ONCE], self._what)})

    async def _send(self, message: dict[str, Any]) -> None:
        with suppress(ConnectionClosed):  # the receiving side says why
            await self.connection.send(json.dumps(message))


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none: the headers hold the key."""
        return exc


async def open_connection(settings: Settings, timing: Timing) -> StampedConnection:
    """Shake hands at the settings' address; raises `CloudError` or `Refused`."""
    uri = settings.websocket_uri()
    proxy = proxy_for(uri)
    tls = tls_context(settings.ca_file) if uri.startswith("wss:") else None
    of_proxy: dict[str, Any] = {"proxy_ssl": tls} if proxy is not None and proxy.lower().startswith("https:") else {}
    try:
        connection = await _Connect(
            uri,
            create_connection=StampedConnection,
            additional_headers=key_headers(settings),
            user_agent_header=f"eelogger/{__version__}",
            # Events are small and one connection is cheap: deflate would only cost time between arrival and line.
            compression=None,
            proxy=proxy,
            ssl=tls,
            **of_proxy,
            open_timeout=timing.open_s,
            ping_interval=None,
            close_timeout=timing.close_s,
            max_size=64 << 20,
            max_queue=None,
            logger=_websocket_log,
            # All addresses of a host, or of its proxy, race: one that answers nothing would take all the time.
            happy_eyeballs_delay=0.25,
        )
        assert isinstance(connection, StampedConnection)  # noqa: S101  (for mypy: asked for above)
        return connection
    except (OSError, WebSocketException, ImportError, ValueError) as error:  # ValueError: idna and header syntax
        failed = failure(error, urlsplit(uri).hostname or "", proxied=proxy is not None)
    # Raised out here, so that not even its context holds the library's exception, which holds the headers.
    raise failed
