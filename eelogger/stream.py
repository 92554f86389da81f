"""The event stream: one WebSocket at a time, subscribed to cameras, each message handed on with its stamp.

Decides how a connection is subscribed, kept alive and left; leaves opening it to `opening`, when messages are taken to
`intake`, what they mean to its `Sink` and whether to connect again to `session`. Invariant: every message that left
the socket reaches the sink, in order, whatever ended the connection.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from websockets.exceptions import ConnectionClosed

from .clock import now_us
from .model import CloudNotice
from .net.connection import Received, StampedConnection
from .net.ending import last_sign_of_life_us, why_ended
from .net.heartbeat import Heartbeat
from .net.intake import Intake
from .net.opening import CLOSE_TIMEOUT_S, Connect
from .net.tcp import make_impatient

SUBSCRIBE_AT_ONCE: Final = 500
HOLD_OFF_S: Final = 0.3
"""So long the sink's history is waited for before subscribing: what is held while it is read, a kill would take."""


class Sink(Protocol):
    """What a stream hands its messages to."""

    def name_namespaces(self, ns_values: Mapping[int, str]) -> None:
        """The names of annotation namespaces."""

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """A subscription begins: of all cameras, or of some on the open connection."""

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Take one message; returns the errors the server reports in it."""

    def lost(self, at_us: int, reason: str) -> None:
        """The connection ended and observed until `at_us`."""


class EventStream:
    """Connects, subscribes and receives; the same object serves one connection after another.

    Until `ready` is set the sink is reading its history: usually that is over before the subscription, else messages
    are stamped and held, bounded like any queue.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        events: Sequence[str] = ("ANNT", "ALRS"),
        resources: Sequence[str] = ("event",),
        lag_threshold_us: int = 10_000,
    ) -> None:
        self.on_open: Callable[[StampedConnection], None] = lambda connection: None
        self.on_notice: Callable[[CloudNotice], None] = lambda notice: None
        self.on_rtt: Callable[[int, str], None] = lambda rtt_us, source: None
        self.on_lag: Callable[[int], None] = lambda lag_us: None
        self.ready = asyncio.Event()
        self.cameras: list[str] = []
        self.headers: dict[str, str] = {}
        self.ssl: ssl.SSLContext | None = None
        self.proxy: str | None = None
        self.connection: StampedConnection | None = None
        self._intake: Intake | None = None
        self._closing: list[asyncio.Task[None]] = []
        self._sink = sink
        self._what = {"resource": list(resources)} | ({"event": list(events)} if "event" in resources else {})
        self._lag_threshold_us = lag_threshold_us

    async def connect_and_log(self, uri: str, ns_values: Mapping[int, str]) -> str:
        """Log events from `uri` until the connection ends; returns why, as a gap's reason (`closed-1001`).

        `ns_values` maps annotation namespaces to names. Raises what the library raises when it cannot connect:
        `OSError`, `InvalidHandshake`, `InvalidURI`, `TimeoutError`.
        """
        self._sink.name_namespaces(ns_values)
        async with Connect(uri, self.headers, self.ssl, self.proxy) as connection:
            make_impatient(connection.transport.get_extra_info("socket"))
            connection.make_room(len(self.cameras))
            self.connection = connection
            tasks: list[asyncio.Task[None]] = []
            try:
                self.on_open(connection)
                await self._hold_off()
                # Taken just before the first message: what the server dates before it is its initial state.
                subscribed_us = now_us()
                tasks.append(self._beside(connection, self._subscribe(connection, self.cameras), "subscribe"))
                tasks.append(self._beside(connection, Heartbeat(connection, self.on_rtt).run(), "heartbeat"))
                await self.ready.wait()
                self._sink.subscribed(subscribed_us)
                self._intake = Intake(connection, self._hand_on)
                await self._intake.run()
            finally:
                self._intake = None
                reason = why_ended(connection)
                self._sink.lost(last_sign_of_life_us(connection, now_us()), reason)
                self.connection = None
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, *self._closing, return_exceptions=True)
                self._closing.clear()
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, ConnectionClosed):
                raise error
        return reason

    async def _hold_off(self) -> None:
        """Let the sink get ready, but be stamping within a second of the start however much it has to read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_OFF_S):
                await self.ready.wait()

    def catch_up(self) -> None:
        """Hand on what has arrived: what the sink is told next comes after it."""
        if self._intake is not None:
            self._intake.flush()

    async def add(self, camera_ids: Iterable[str]) -> None:
        """Subscribe further cameras on the open connection; their first values are theirs alone."""
        ids = list(camera_ids)
        if self.connection is not None and ids:
            self.catch_up()
            self._sink.subscribed(now_us(), ids)
            await self._subscribe(self.connection, ids)

    async def drop(self, camera_ids: Iterable[str]) -> None:
        """End the subscription of these cameras on the open connection."""
        if self.connection is not None:
            await self._send(self.connection, {"drop": {"cameras": list(camera_ids)}})

    def close(self, reason: str = "stopped") -> None:
        """End the connection politely; what arrives until it is closed is still received."""
        if self.connection is not None:
            self.connection.lost_reason = self.connection.lost_reason or reason
            self._closing.append(asyncio.create_task(_close(self.connection), name="close"))

    def _beside(self, connection: StampedConnection, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task of this connection; should it fail, the connection would live on deaf: it is left."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                connection.abandon("broken-off")

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        return task

    async def _subscribe(self, connection: StampedConnection, camera_ids: list[str]) -> None:
        for start in range(0, len(camera_ids), SUBSCRIBE_AT_ONCE):
            ids = camera_ids[start : start + SUBSCRIBE_AT_ONCE]
            await self._send(connection, {"cameras": dict.fromkeys(ids, self._what)})

    async def _send(self, connection: StampedConnection, message: dict[str, Any]) -> None:
        try:
            await connection.send(json.dumps(message))
        except ConnectionClosed:
            return  # the receiving side says why

    def _hand_on(self, received: Received) -> None:
        """One message to the sink, tainted when it may have waited too long before it was stamped."""
        data, arrived_us, lag_us = received
        self.on_lag(lag_us)
        tainted = lag_us if lag_us > self._lag_threshold_us else None
        for notice in self._sink.record(data, arrived_us, tainted):
            self.on_notice(notice)


async def _close(connection: StampedConnection) -> None:
    """Close within the time for it: the library waits for ever when it cannot even send."""
    try:
        async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
            await connection.close()
    except TimeoutError as late:
        connection.set_connection_exc(late)
        connection.transport.abort()
