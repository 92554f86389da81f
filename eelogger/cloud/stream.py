"""Subscribe to events on one WebSocket and hand each message on.

Every message that left the socket reaches the sink, once and in order, whatever ended the connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from .. import __version__
from ..clock import now_us, resolution_us
from ..model import CloudNotice, Timing
from ..settings import Settings, proxy_for
from . import Sink
from .connection import QUEUE_BYTES, Received, StampedConnection
from .failures import failure
from .loop_delay import threshold_us
from .rest import key_headers, tls_context

MAX_MESSAGE_BYTES: Final = 64 << 20
SUBSCRIBE_AT_ONCE: Final = 500
# Room in the queue for each camera: after a subscription the latest values of all come at once.
BURST_BYTES: Final = 1024
GATHER_S: Final = 0.012  # how long a message waits for others: being woken costs more than a message does
GATHER_BYTES: Final = 1 << 15  # with so much waiting there is work for a turn, and nothing is gained by waiting
WORK_S: Final = 0.002  # so much work at a time, then the loop reads on: arrivals are stamped while others are recorded


class Intake:
    """Hands on the messages of one connection in turns: after a short wait for more, then 2 ms of work at a time."""

    def __init__(self, connection: StampedConnection, sink: Sink, hand_on: Callable[[Received], None]) -> None:
        self._connection, self._sink, self._hand_on = connection, sink, hand_on
        self._over: asyncio.Future[None] = connection.loop.create_future()
        self._due: asyncio.Handle | None = None

    async def run(self) -> None:
        """Hand on until the connection has ended, or at a cancellation at once all; raises what `hand_on` raises."""
        self._connection.on_arrival = self._arrived
        self._turn()
        try:
            await asyncio.wait([self._over])
        finally:
            self._connection.on_arrival = lambda: None
            if self._due is not None:
                self._due.cancel()
            if self._over.done():
                self._over.result()
            self.flush()

    def flush(self) -> None:
        """Hand on all that waits: what is done next comes after it."""
        while (received := self._connection.take()) is not None:
            self._hand_on(received)

    def _arrived(self) -> None:
        """Something waits, or nothing will come any more."""
        loop = self._connection.loop
        hurry = self._connection.lost_us is not None or self._connection.queued_bytes > GATHER_BYTES
        if hurry and isinstance(self._due, asyncio.TimerHandle):
            self._due.cancel()
            self._due = None
        if self._due is None:
            self._due = loop.call_soon(self._turn) if hurry else loop.call_later(GATHER_S, self._turn)

    def _turn(self) -> None:
        """Hand on what waits, the oldest first, as much as can be done in a turn."""
        connection, until = self._connection, time.perf_counter() + WORK_S
        self._due = None
        if self._sink.is_behind:
            # Reading pauses when the queue is full, which is said as a backlog.
            self._due = connection.loop.call_later(GATHER_S, self._turn)
            return
        try:
            while (received := connection.take()) is not None:
                self._hand_on(received)
                if time.perf_counter() > until:
                    break
        except Exception as error:
            self._over.set_exception(error)
            return
        if connection.messages:
            self._due = connection.loop.call_soon(self._turn)
        elif connection.lost_us is not None:
            self._over.set_result(None)


class EventStream:
    """Connects, subscribes and receives; the same object serves one connection after another.

    `connection` is the open one. `on_open` is called when a handshake is done, `on_notice` with each error the server
    reports, `on_rtt` with a round trip in µs and its source ("pong" or "TCP"), `on_lag` with each message's lag.
    """

    def __init__(self, sink: Sink, *, events: Sequence[str], resources: Sequence[str], timing: Timing) -> None:
        self.on_open: Callable[[StampedConnection], None] = lambda connection: None
        self.on_notice: Callable[[CloudNotice], None] = lambda notice: None
        self.on_rtt: Callable[[int, str], None] = lambda rtt_us, source: None
        self.on_lag: Callable[[int], None] = lambda lag_us: None
        self.connection: StampedConnection | None = None
        self._sink = sink
        self._what = {"resource": list(resources)} | ({"event": list(events)} if "event" in resources else {})
        self._timing = timing
        self._threshold_us = threshold_us(resolution_us())
        self._intake: Intake | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def prepare(self, settings: Settings, camera_ids: Iterable[str]) -> None:
        """Use these settings' key and TLS, and these cameras, for the next connection."""
        self._settings, self._cameras = settings, list(camera_ids)

    async def connect_and_log(self, uri: str, ns_values: Mapping[int, str]) -> str:
        """Log events from `uri` until the connection ends; returns why, as a gap's reason (`closed-1001`).

        `ns_values` maps annotation namespaces to names. Raises `CloudError` or `Refused` when it cannot connect.
        """
        self._sink.name_namespaces(ns_values)
        connection = self.connection = await _open(uri, self._settings, self._timing)
        connection.queue_bytes = max(QUEUE_BYTES, BURST_BYTES * len(self._cameras))
        connection.on_rtt = self.on_rtt
        try:
            self.on_open(connection)
            # Taken just before the first message: what the server dates before it is its initial state.
            self._sink.subscribed(now_us())
            self._beside(connection, self._subscribe(connection, self._cameras), "subscribe")
            self._beside(connection, self._keep_alive(connection), "liveness")
            self._intake = Intake(connection, self._sink, self._hand_on)
            await self._intake.run()
        finally:
            self._intake = None
            reason, observed_until_us = connection.ending()
            self._sink.lost(observed_until_us, reason)
            self.connection = None
            tasks, self._tasks = self._tasks, []
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            try:
                await connection.leave(self._timing.close_s)
            finally:
                connection.transport.abort()
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return reason

    def catch_up(self) -> None:
        """Hand on what has arrived: what the sink is told next comes after it."""
        if self._intake is not None:
            self._intake.flush()

    async def add(self, camera_ids: list[str]) -> None:
        """Subscribe further cameras on the open connection; their first values are theirs alone."""
        if self.connection is not None and camera_ids:
            self._sink.subscribed(now_us(), camera_ids)
            await self._subscribe(self.connection, camera_ids)

    async def drop(self, camera_ids: Iterable[str]) -> None:
        """End the subscription of these cameras on the open connection."""
        if self.connection is not None:
            await self._send(self.connection, {"drop": {"cameras": list(camera_ids)}})

    def close(self, reason: str) -> None:
        """End the connection politely; what arrives until it is closed is still received."""
        if (connection := self.connection) is not None:
            connection.lost_reason = connection.lost_reason or reason
            self._beside(connection, connection.leave(self._timing.close_s), "close")

    def _beside(self, connection: StampedConnection, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start a task of this connection; should it fail, the connection would live on deaf: it is left."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                connection.abandon("broken-off")

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        self._tasks.append(task)

    async def _keep_alive(self, connection: StampedConnection) -> None:
        """Leave a peer that answered pings and then says nothing at two looks in a row; silence alone is not death."""
        silent = 0  # looks, not seconds: after a standstill of ours its pong has been read before the next one
        while True:
            heard_us = connection.last_read_us
            connection.beat()
            await asyncio.sleep(self._timing.liveness_s)
            is_silent = connection.last_read_us == heard_us and not connection.paused_ns
            silent = silent + 1 if is_silent and connection.answers_pings else 0
            if silent == 2:
                connection.abandon("no-pong")
                return

    async def _subscribe(self, connection: StampedConnection, camera_ids: list[str]) -> None:
        for start in range(0, len(camera_ids), SUBSCRIBE_AT_ONCE):
            ids = camera_ids[start : start + SUBSCRIBE_AT_ONCE]
            await self._send(connection, {"cameras": dict.fromkeys(ids, self._what)})

    async def _send(self, connection: StampedConnection, message: dict[str, Any]) -> None:
        with suppress(ConnectionClosed):  # the receiving side says why
            await connection.send(json.dumps(message))

    def _hand_on(self, received: Received) -> None:
        """Give one message to the sink, tainted when it may have waited too long before it was stamped."""
        data, arrived_us, lag_us = received
        self.on_lag(lag_us)
        for notice in self._sink.record(data, arrived_us, lag_us if lag_us > self._threshold_us else None):
            self.on_notice(notice)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none: the headers hold the key."""
        return exc


class _NoDebug(logging.LoggerAdapter[logging.Logger]):
    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  (the library's name)
        """Never tell DEBUG lines: the library's hold headers."""
        return level > logging.DEBUG and super().isEnabledFor(level)


async def _open(uri: str, settings: Settings, timing: Timing) -> StampedConnection:
    """Connect and shake hands; raises `CloudError` or `Refused`."""
    proxy = proxy_for(uri)
    context = tls_context(settings) if uri.startswith("wss:") else None
    try:
        connection = await _Connect(
            uri,
            create_connection=StampedConnection,
            additional_headers=key_headers(settings),
            user_agent_header=f"eelogger/{__version__}",
            # Events are small and one connection is cheap: deflate would only cost time between arrival and line.
            compression=None,
            proxy=proxy,
            ssl=context,
            open_timeout=timing.open_s,
            ping_interval=None,
            close_timeout=timing.close_s,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=None,
            logger=_NoDebug(logging.getLogger("eelogger.websocket")),
            # All addresses of a host, or of its proxy, race: one that answers nothing would take all the time.
            happy_eyeballs_delay=0.25,
        )
        assert isinstance(connection, StampedConnection)  # noqa: S101  (for mypy: asked for above)
        return connection
    except (OSError, WebSocketException, ImportError, ValueError) as error:  # ValueError: idna and header syntax
        failed = failure(error, urlsplit(uri).hostname or "", proxied=proxy is not None)
    # Raised out here, so that not even its context holds the library's exception, which holds the headers.
    raise failed
