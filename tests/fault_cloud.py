"""A cloud with every fault a test can script.

Every attribute may be set while it runs and counts from the next request, message or frame on.
"""

import asyncio
import email.utils
import json
import os
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from aiohttp import WSMessage, WSMsgType, web

from eelogger.simulator import Account, Cloud, Connection, Event, SentEvent
from eelogger.simulator.account import ATTACHED, device_row
from eelogger.simulator.server import LIST_PATH

ID, NAME, TYPE, STATUS = 1, 2, 3, 5  # positions in a row of the device list

# `struct linger`: on, 0 seconds. The kernel then sends RST instead of FIN.
LINGER_0 = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
SECOND_FACTOR_CODE = "123456"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Call(NamedTuple):
    """One HTTP request as it came, upgrades included; `at_s` is the running loop's time."""

    at_s: float
    path_qs: str
    headers: dict[str, str]


def refusal(status: int, headers: dict[str, str] | None = None) -> web.Response:
    """Refuse with a status; the body is plain text, since it need not be JSON."""
    return web.Response(status=status, text=f"{status}: refused\n", headers=headers)


class FaultConnection(Connection):
    """An event socket that can be broken."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        super().__init__(request, ws)
        assert request.transport is not None
        self.transport = request.transport
        self.headers = dict(request.headers)
        self.muted = self.is_allowed = False
        self.pings = self.pongs = 0

    async def send(self, data: bytes, opcode: WSMsgType = WSMsgType.TEXT) -> bool:
        return not self.muted and await super().send(data, opcode)

    async def send_error(self, status_code: int, message: str, camera_id: str = "") -> None:
        """Send a request error, or a camera's error, whose outer code stays 200."""
        error = {"status_code": status_code, "message": message}
        outer = {"status_code": 200, "message": "OK", "data": {camera_id: {"error": [error]}}}
        await self.send(json.dumps(outer if camera_id else error | {"data": {}}).encode())

    def mute(self) -> None:
        """Neither read nor send while TCP stays up: a dead peer behind a live proxy."""
        self.muted = True
        self.transport.pause_reading()


class FaultCloud(Cloud):
    """`ssl` serves https and wss; nothing that was sent is forgotten."""

    connections: list[FaultConnection]  # type: ignore[assignment]
    connection_type = FaultConnection
    initial_state = True  # whether a subscription is followed by the latest values

    def __init__(self, account: Account | None = None, **place: Any) -> None:
        super().__init__(account or Account.of())
        vars(self).update(place)  # host, ssl
        self.calls: deque[Call] = deque(maxlen=10_000)
        self.sent = deque()
        self.connects = 0
        self.username, self.password = "ops@example.com", "correct horse"
        # Ways of the second factor and where they lead, as in `{"sms": "*** 779"}`; empty: none is asked for.
        self.second_factor: dict[str, str] = {}
        self.codes_sent: list[str] = []
        self.api_key = ""  # when set, a login must carry the header `Authentication: <key>:`
        self._tokens: set[str] = set()

        self.date_offset_s = 0.0  # how far the `Date` header is ahead of this machine's clock
        self.delay_rest_s = 0.0
        self.rest_status: dict[str, int] = {}  # answers by path, as in `{"/g/aaa/isauth": 503}`
        self.list_status: int | None = None
        self.list_body: str | None = None  # instead of the rows
        self.rest_headers: dict[str, str] = {}  # added to the answers that `list_status` and `rest_status` make
        self.redirect_to: str | None = None  # an origin to which every request, upgrades included, is sent with 302

        self.handshake_status: int | None = None  # answer upgrades with this instead of 101
        self.handshake_headers: dict[str, str] = {}
        self.handshake_delay_s = 0.0
        self.close_after_accept: int | None = None
        # Awaited after 101, before anything is read.
        self.on_connect: Callable[[FaultConnection], Awaitable[None]] | None = None
        self.answer_pings = True

        self.swallow = 0  # how many of the next annotations are recorded but never delivered
        self.record_late_s = 0.0  # how long a recorded annotation cannot be read yet
        self._recorded_s: dict[str, float] = {}
        self.leave_out = 0  # every so manieth recorded annotation is never listed; 0: none is left out

    # Addresses and the account

    @property
    def events_url(self) -> str:
        return f"ws{self.base_url.removeprefix('http')}/api/v2/Device/{self.account_id}/Events"

    def camera_ids(self) -> list[str]:
        return [camera.id for camera in self.account.cameras]

    @property
    def subscriptions(self) -> dict[str, tuple[list[str] | None, int]]:
        return {name: asked for live in self.connections for name, asked in live.subscriptions.items()}

    def called(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path_qs.partition("?")[0] == path]

    def add_camera(self, camera_id: str, name: str | None, bridge_id: str | None = None) -> None:
        self.rows.append(device_row(camera_id, name, "camera", [bridge_id or self.account.bridges[0].id]))

    def remove_camera(self, camera_id: str) -> None:
        """Take a row out; who is subscribed stays so until the camera is dropped."""
        self.rows[:] = [row for row in self.rows if row[ID] != camera_id]

    def rename_camera(self, camera_id: str, name: str | None) -> None:
        for row in self.rows:
            if row[ID] == camera_id:
                row[NAME] = name

    # All sockets at once

    async def camera_error(self, camera_id: str, status_code: int) -> None:
        for live in list(self.connections):
            await live.send_error(status_code, "", camera_id)
            live.drop([camera_id])

    async def request_error(self, status_code: int, message: str = "") -> None:
        for live in list(self.connections):
            await live.send_error(status_code, message)

    async def close(self, code: int = 1000) -> None:
        await asyncio.gather(*(live.ws.close(code=code) for live in self.connections if not live.muted))

    def abort(self) -> None:
        """RST, no Close frame."""
        for live in list(self.connections):
            sock = live.transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            live.transport.abort()

    def mute(self) -> None:
        for live in self.connections:
            live.mute()

    def garbage(self, data: bytes) -> None:
        for live in self.connections:
            live.transport.write(data)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait for a condition, looked at after each message and disconnect."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()

    async def wait_connected(self, connects: int = 1, timeout_s: float = 10.0) -> None:
        await self.wait_until(lambda: self.connects >= connects, timeout_s)

    async def wait_disconnected(self, timeout_s: float = 10.0) -> None:
        await self.wait_until(lambda: not self.connections, timeout_s)

    async def go_down(self) -> None:
        """Refuse TCP and reset what is open, keep-alive connections included."""
        for site in list(self.runner.sites):
            await site.stop()
        self.abort()
        for handler in self.runner.server.connections if self.runner.server else []:
            if handler.transport is not None:
                handler.transport.abort()

    # Seams of the server

    async def __aexit__(self, *error: object) -> None:
        self.abort()
        await super().__aexit__(*error)

    def make_app(self) -> web.Application:
        app = super().make_app()
        app.middlewares.append(self._faults)
        app.on_response_prepare.append(self._date)
        app.router.add_post("/g/aaa/authenticate", self._authenticate)
        app.router.add_post("/g/aaa/two_factor_authenticate", self._send_code)
        app.router.add_post("/g/aaa/authorize", self._authorize)
        return app

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        at_s = asyncio.get_running_loop().time()
        self.calls.append(Call(at_s, request.path_qs, dict(request.headers)))
        upgrade = request.path.startswith("/api/")
        await asyncio.sleep(self.handshake_delay_s if upgrade else self.delay_rest_s)
        if self.redirect_to is not None:
            return web.Response(status=302, headers={"Location": self.redirect_to + request.path_qs})
        status, headers = self.rest_status.get(request.path), self.rest_headers
        if request.path == LIST_PATH:
            status = status or self.list_status
        if upgrade:
            status, headers = self.handshake_status, self.handshake_headers
        if status is not None:
            return refusal(status, headers)
        if request.path == LIST_PATH and self.list_body is not None and self.may_pass(request):
            return web.Response(text=self.list_body, content_type="application/json")
        return await handler(request)

    async def _date(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers["Date"] = email.utils.formatdate(int(time.time() + self.date_offset_s), usegmt=True)

    async def converse(self, connection: Connection) -> None:
        assert isinstance(connection, FaultConnection)
        self.connects += 1
        self._notify()
        # A 101 proves neither key nor subscription: without a key the socket opens and says 401 in a message.
        is_ours = connection.request.match_info["account_id"] == self.account_id
        connection.is_allowed = is_ours and self.may_pass(connection.request)
        if self.on_connect is not None:
            await self.on_connect(connection)
        if self.close_after_accept is not None:
            await connection.ws.close(code=self.close_after_accept)
        if not connection.is_allowed:
            await connection.send_error(401, "Access denied")
        await super().converse(connection)

    async def take(self, connection: Connection, message: WSMessage) -> None:
        assert isinstance(connection, FaultConnection)
        connection.pings += message.type is WSMsgType.PING
        connection.pongs += message.type is WSMsgType.PONG
        if message.type is WSMsgType.TEXT and not connection.is_allowed:
            await connection.send_error(401, "Access denied")
        elif message.type is not WSMsgType.PING or self.answer_pings:
            await super().take(connection, message)

    async def subscribe(self, connection: Connection, wishes: dict[str, dict[str, list[str]]]) -> None:
        assert isinstance(connection, FaultConnection)
        if not self.initial_state:
            self.latest.clear()
        known = {row[ID] for row in self.rows if row[TYPE] == "camera" and row[STATUS] == ATTACHED}
        for camera_id in wishes.keys() - known:
            await connection.send_error(404, "Camera not found", camera_id)
        await super().subscribe(connection, {name: wish for name, wish in wishes.items() if name in known})

    async def deliver(self, events: Sequence[Event]) -> list[SentEvent]:
        while self.swallow > 0 and events and events[0].four_cc == "ANNT":
            self.swallow -= 1
            self.record(events[0])
            events = events[1:]
        return await super().deliver(events)

    def record(self, event: Event) -> None:
        super().record(event)
        self._recorded_s.setdefault(event.identity, time.time())

    def readable(self) -> Iterable[Event]:
        for number, event in enumerate(super().readable(), 1):
            is_late = time.time() < self._recorded_s[event.identity] + self.record_late_s
            if not is_late and not (self.leave_out and number % self.leave_out == 0):
                yield event

    # Login

    async def _authenticate(self, request: web.Request) -> web.StreamResponse:
        fields = await request.json()
        is_known = (fields["username"], fields["password"]) == (self.username, self.password)
        if not is_known or (self.api_key and request.headers.get("Authentication") != f"{self.api_key}:"):
            return refusal(401)
        token = secrets.token_hex(16)
        self._tokens.add(token)
        more = {"two_factor_authentication_code": dict(self.second_factor)} if self.second_factor else {}
        return web.json_response({"token": token} | more)

    async def _send_code(self, request: web.Request) -> web.StreamResponse:
        fields = await request.json()
        if fields["token"] not in self._tokens or fields["two_factor_authentication_type"] not in self.second_factor:
            return refusal(400)
        self.codes_sent.append(fields["two_factor_authentication_type"])
        return web.json_response({})

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        fields = await request.json()
        if fields["token"] not in self._tokens:
            return refusal(401)
        code = fields.get("two_factor_authentication_code")
        if self.second_factor and (code != SECOND_FACTOR_CODE or not self.codes_sent):
            return refusal(406)
        self._tokens.remove(fields["token"])
        answer = web.json_response({"active_account_id": self.account_id, "active_brand_subdomain": "c000"})
        for name in ("auth_key", "videobank_sessionid"):
            answer.set_cookie(name, self.auth_key, path="/", httponly=True)
        return answer
