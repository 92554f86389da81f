"""Subscribe to events on one WebSocket.

Every message that left the socket reaches the sink, once and in order, whatever ended the connection.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
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
    """Hands on the messages of one connection, in turns of 2 ms."""

    def __init__(self, connection: StampedConnection, sink: Sink, hand_on: Callable[[Received], None]) -> None:
        self._connection, self._sink, self._hand_on = connection, sink, hand_on
        self._over: asyncio.Future[None] = connection.loop.create_future()
        self._due: asyncio.Handle | None = None

    async def run(self) -> None:
        """Hand on until the connection has ended, at a cancellation all at once; raises what `hand_on` raises."""
        self._connection.on_arrival = self._arrived
        self._turn()
        try:
            await asyncio.wait([self._over])
        finally:
            self._connection.on_arrival = lambda: None
            if self._due:
                self._due.cancel()
            if self._over.done():
                self._over.result()
            self.flush()

    def flush(self) -> None:
        """Hand on all that waits."""
        while (received := self._connection.take()) is not None:
            self._hand_on(received)

    def _arrived(self) -> None:
        loop = self._connection.loop
        hurry = self._connection.lost_us is not None or self._connection.queued_bytes > GATHER_BYTES
        if hurry and isinstance(self._due, asyncio.TimerHandle):
            self._due.cancel()
            self._due = None
        if self._due is None:
            self._due = loop.call_soon(self._turn) if hurry else loop.call_later(GATHER_S, self._turn)

    def _turn(self) -> None:
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
    """Connects, subscribes and receives, one connection after another; `connection` is the open one."""

    def __init__(self, sink: Sink, timing: Timing) -> None:
        self.on_open: Callable[[StampedConnection], None] = lambda connection: None
        self.on_notice: Callable[[CloudNotice], None] = lambda notice: None  # an error the server reports
        self.on_rtt: Callable[[int], None] = lambda rtt_us: None
        self.on_lag: Callable[[int], None] = lambda lag_us: None  # of each message
        self.connection: StampedConnection | None = None
        self._sink, self._timing = sink, timing
        self._what: dict[str, list[str]] = {}
        self._threshold_us = threshold_us(resolution_us())
        self._intake: Intake | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def connect_and_log(self, settings: Settings, camera_ids: Iterable[str]) -> str:
        """Log events until the connection ends; returns why, as a gap's reason (`closed-1001`).

        Raises `CloudError` or `Refused` when it cannot connect.
        """
        cameras, events = list(camera_ids), {"event": list(settings.events)}
        self._what = {"resource": list(settings.resources)} | (events if "event" in settings.resources else {})
        connection = self.connection = await _open(settings.websocket_uri(), settings, self._timing)
        connection.queue_bytes = max(QUEUE_BYTES, BURST_BYTES * len(cameras))
        connection.on_rtt = self.on_rtt
        try:
            self.on_open(connection)
            # Taken just before the first message: what the server dates before it is its initial state.
            self._sink.subscribed(now_us())
            self._beside(connection, self._subscribe(connection, cameras), "subscribe")
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
        """Hand on what has arrived, before the sink is told something else."""
        if self._intake is not None:
            self._intake.flush()

    async def change(self, gone: set[str], added: list[str]) -> None:
        """Drop cameras, and subscribe further ones, on the open connection."""
        if self.connection is not None and gone:
            await self._send(self.connection, {"drop": {"cameras": list(gone)}})
        if self.connection is not None and added:
            self._sink.subscribed(now_us(), added)
            await self._subscribe(self.connection, added)

    def close(self, reason: str) -> None:
        """End the connection politely; what arrives until it is closed is still received."""
        if (connection := self.connection) is not None:
            connection.lost_reason = connection.lost_reason or reason
            self._beside(connection, connection.leave(self._timing.close_s), "close")

    def _beside(self, connection: StampedConnection, work: Coroutine[Any, Any, None], name: str) -> None:
        # Should a task of a connection fail, it would live on deaf: it is left.
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                connection.abandon("broken-off")

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        self._tasks.append(task)

    async def _keep_alive(self, connection: StampedConnection) -> None:
        # Silence is death once a ping was answered, and then at two looks in a row.
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
