"""The event socket's side of the cloud: accepts, reads requests, pushes the initial state, delivers, breaks.

Owns the live connections and the latest value of each (camera, four-CC). A 101 proves neither key nor subscription
[doc]: without a key the socket opens, says 401 in a message and delivers nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType, web

from .connection import NO_LIMIT, Connection
from .devices import ID, is_attached_camera
from .events import Event, camera_error_text, error_text
from .ledger import Entry, Ledger
from .rest import may_pass
from .state import CloudState
from .subscriptions import BadRequest, Request, Subscription, parse_request
from .world import World

CLOSE_WAIT_S: Final = 2.0
"""How long a closing socket waits for the client's Close frame."""
MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024


class EventSide(CloudState):
    """Everything of the cloud that happens on accepted sockets."""

    def __init__(self, world: World, ledger: Ledger, *, compress: bool) -> None:
        super().__init__(world)
        self.ledger = ledger
        self.connections: list[Connection] = []
        """Live sockets, oldest first."""
        self.connects = 0
        """Handshakes that ended with 101 so far; `calls` has the refused ones too."""
        self.latest: dict[str, dict[str, Event]] = {}
        """Latest value by camera and four-CC: what a new subscription is told first."""
        self._compress = compress
        self._changed = asyncio.Event()

    @property
    def subscriptions(self) -> dict[str, Subscription]:
        """What live connections are subscribed to, by camera (of several, the youngest connection's)."""
        return {name: asked for live in self.connections for name, asked in live.subscriptions.items()}

    async def deliver(self, events: Sequence[Event]) -> list[Entry]:
        """Send `events` in one message to each connection that wants some; they become the latest values."""
        for item in events:
            self.latest.setdefault(item.camera_id, {})[item.four_cc] = item
        return [entry for live in list(self.connections) for entry in await live.send_events(events)]

    async def send(self, obj: Any) -> int:
        """`obj` as JSON to every socket, outside of subscriptions and ledger; how many took it."""
        return await self.send_text(json.dumps(obj))

    async def send_text(self, text: str) -> int:
        """A text message as it is to every socket, outside of the ledger; how many took it."""
        return sum([await live.send_text(text) for live in list(self.connections)])

    async def send_bytes(self, data: bytes) -> int:
        """A binary message to every socket, outside of the ledger; how many took it."""
        return sum([await live.send_bytes(data) for live in list(self.connections)])

    async def close(self, code: int = 1000) -> None:
        """Close every socket with a Close frame of `code` and wait (bounded) until they are closed."""
        await asyncio.gather(*(live.close(code) for live in list(self.connections)))

    def abort(self) -> None:
        """Reset every socket: the client sees RST, no Close frame."""
        for live in list(self.connections):
            live.abort()

    def mute(self) -> None:
        """Stop reading and sending on the sockets that are open now, TCP stays up; a new one is not muted."""
        for live in self.connections:
            live.mute()

    def unmute(self) -> None:
        """End of `mute`."""
        for live in self.connections:
            live.unmute()

    def garbage(self, data: bytes) -> None:
        """Raw bytes into the TCP streams of all sockets: what is not WebSocket at all, or half a frame."""
        for live in self.connections:
            live.write(data)

    async def wait_connected(self, connects: int = 1, timeout_s: float = 10.0) -> None:
        """Until there have been that many handshakes; TimeoutError after `timeout_s`."""
        await self.wait_until(lambda: self.connects >= connects, timeout_s)

    async def wait_subscribed(self, cameras: int = 1, timeout_s: float = 10.0) -> None:
        """Until one live connection is subscribed to that many cameras and has been sent their initial state."""
        await self.wait_until(lambda: any(len(live.ready) >= cameras for live in self.connections), timeout_s)

    async def wait_disconnected(self, timeout_s: float = 10.0) -> None:
        """Until no socket is open."""
        await self.wait_until(lambda: not self.connections, timeout_s)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Until `condition` holds; it is looked at after each handshake, request, ping, pong and disconnect."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """The handler of the socket's path."""
        ws = web.WebSocketResponse(
            autoping=False,
            compress=self._compress,
            max_msg_size=MAX_REQUEST_BYTES,
            timeout=CLOSE_WAIT_S,
            writer_limit=NO_LIMIT,
        )
        opened_us = time.time_ns() // 1000
        await ws.prepare(request)
        if request.transport is None:
            return ws
        connection = Connection(self.connects + 1, request, request.transport, ws, self.ledger, opened_us)
        self.connects += 1
        self.connections.append(connection)
        self._notify()
        try:
            await self._converse(connection, ws, may_pass(self, request) and self._is_ours(request))
        finally:
            self.connections.remove(connection)
            self._notify()
        return ws

    def _is_ours(self, request: web.Request) -> bool:
        return request.match_info["account_id"] == self.account_id

    async def _converse(self, connection: Connection, ws: web.WebSocketResponse, allowed: bool) -> None:
        if self.on_connect is not None:
            await self.on_connect(connection)
        if self.close_after_accept is not None:
            await connection.close(self.close_after_accept)
        if not allowed:
            await connection.send_text(error_text(401, "Access denied"))
        while (message := await ws.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            if message.type is WSMsgType.ERROR:
                return
            await self._take(connection, message, allowed)
            self._notify()

    async def _take(self, connection: Connection, message: WSMessage, allowed: bool) -> None:
        if message.type is WSMsgType.PING:
            connection.pings += 1
            if self.answer_pings:
                await connection.pong(message.data)
        elif message.type is WSMsgType.PONG:
            connection.pongs += 1
        elif not allowed:
            await connection.send_text(error_text(401, "Access denied"))
        else:
            await self._answer(connection, message.data if message.type is WSMsgType.TEXT else "")

    async def _answer(self, connection: Connection, text: str) -> None:
        try:
            request = parse_request(text, time.time_ns() // 1000)
        except BadRequest as error:
            await connection.send_text(error_text(400, f"Bad request: {error}"))
            return
        connection.drop(request.drop)
        await self._subscribe(connection, request)

    async def _subscribe(self, connection: Connection, request: Request) -> None:
        known = {row[ID] for row in self.device_rows if is_attached_camera(row)}
        for camera_id in request.cameras.keys() - known:
            await connection.send_text(camera_error_text(camera_id, 404, "Camera not found"))
        asked = {name: wish for name, wish in request.cameras.items() if name in known}
        for camera_id, wish in asked.items():
            connection.subscribe(camera_id, wish)
        if self.initial_state:
            await self._push_latest(connection, list(asked))
        connection.ready.update(asked)

    async def _push_latest(self, connection: Connection, camera_ids: list[str]) -> None:
        """The latest value of each (camera, four-CC), one a message; the values of a camera are spread out."""
        values = {name: list(self.latest.get(name, {}).items()) for name in camera_ids}
        for turn in range(max(map(len, values.values()), default=0)):
            for camera_id in camera_ids:
                if turn < len(values[camera_id]) and camera_id in connection.subscriptions:
                    await connection.send_events([self.latest[camera_id][values[camera_id][turn][0]]], initial=True)
            # Sending does not suspend: without this, thousands of cameras would hold the loop for seconds.
            await asyncio.sleep(0)
