"""Serve an account: camera list, recorded annotations and event socket on one port."""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from ssl import SSLContext
from typing import Any, Final, NamedTuple, Self

from aiohttp import WSMessage, WSMsgType, web

from .account import ACCOUNT_ID, Account, beats
from .events import Event, listing, make, message_text

KEPT: Final = 20_000  # so many annotations recorded, and values sent, are remembered
INITIAL_WITHIN_US: Final = 60_000_000
SUBSCRIBING_US: Final = 5_000_000  # how long before its arrival here a subscription may have been written by the client
LIST_PATH: Final = "/g/device/list"
ANNOTATIONS_PATH: Final = "/annt/annt/list"


class SentEvent(NamedTuple):
    """One value sent over one connection: the truth that logs are judged by."""

    event: Event
    sent_us: int
    opening: bool  # the first value of its (camera, four-CC) in this subscription
    # The client's own subscription time lies between these two.
    opened_us: int
    subscribed_us: int

    def verdicts(self, arrived_us: int) -> set[str]:
        """Name the right verdict, or both where the client's clock decides."""
        event_us = self.event.event_us
        if event_us is None:
            return {"undated"}
        if arrived_us < event_us:
            return {"early"}
        if not self.opening:
            return {"measured"}
        latest, earliest = self.subscribed_us, max(self.opened_us, self.subscribed_us - SUBSCRIBING_US)
        right = set()
        if event_us < latest and arrived_us <= latest + INITIAL_WITHIN_US:
            right.add("initial")
        if event_us >= earliest or arrived_us > earliest + INITIAL_WITHIN_US:
            right.add("measured")
        return right


class Connection:
    """One event socket; sending never suspends, so that the time taken before it is the instant of the send."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self.request, self.ws, self.opened_us = request, ws, time.time_ns() // 1000
        # The four-CCs that each camera is asked for (None: all), and when.
        self.subscriptions: dict[str, tuple[list[str] | None, int]] = {}
        self.ready: set[str] = set()  # cameras whose initial state has been pushed
        self._opened: set[tuple[str, str]] = set()  # what was sent, by camera and four-CC

    async def send(self, data: bytes, opcode: WSMsgType = WSMsgType.TEXT) -> bool:
        """Send one frame; False when the socket is gone."""
        with contextlib.suppress(ConnectionError):
            await self.ws.send_frame(data, opcode)
            return True
        return False

    async def send_events(self, events: Iterable[Event]) -> list[SentEvent]:
        """Send what is subscribed to in one message; return what was sent."""
        wanted = []
        for event in events:
            four_ccs, _ = self.subscriptions.get(event.camera_id, ([], 0))
            if four_ccs is None or event.four_cc in four_ccs:
                wanted.append(event)
        data = message_text(wanted).encode()
        sent_us = time.time_ns() // 1000
        if not wanted or not await self.send(data):
            return []
        sent = []
        for event in wanted:
            kind = (event.camera_id, event.four_cc)
            _, subscribed_us = self.subscriptions[event.camera_id]
            sent.append(SentEvent(event, sent_us, kind not in self._opened, self.opened_us, subscribed_us))
            self._opened.add(kind)
        return sent

    def drop(self, camera_ids: Iterable[str]) -> None:
        """Forget cameras; a later subscription begins with the initial state again."""
        for camera_id in camera_ids:
            self.subscriptions.pop(camera_id, None)
            self.ready.discard(camera_id)
        self._opened = {kind for kind in self._opened if kind[0] in self.subscriptions}


class Cloud:
    """An async context manager; its cameras send by themselves when they have a rate."""

    connection_type = Connection
    host = "127.0.0.1"
    ssl: SSLContext | None = None

    def __init__(self, account: Account) -> None:
        self.account, self.rows = account, account.rows()
        self.account_id, self.auth_key = ACCOUNT_ID, "c000~" + "0" * 32
        self.sent: deque[SentEvent] = deque(maxlen=KEPT)
        self.recorded: dict[str, Event] = {}  # annotations by uuid, as they began
        self.connections: list[Connection] = []
        self.latest: dict[str, dict[str, Event]] = {}  # by camera and four-CC: what a subscription begins with
        self._changed = asyncio.Event()

    @property
    def base_url(self) -> str:
        """The origin of REST and event socket; the port is known once entered."""
        return f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The settings of a logger that is to reach it."""
        return {"EEN_BASE_URL": self.base_url, "EEN_ACCOUNT_ID": self.account_id, "EEN_AUTH_KEY": self.auth_key}

    async def __aenter__(self) -> Self:
        now_us = time.time_ns() // 1000
        for camera in self.account.cameras:
            for four_cc, age_s in camera.ages_s:
                event = make(camera.id, four_cc, now_us - int(age_s * 1e6), {"ns": camera.namespaces[0]})
                self.latest.setdefault(camera.id, {})[four_cc] = event
        self.runner = web.AppRunner(self.make_app(), access_log=None, shutdown_timeout=0.2)
        await self.runner.setup()
        await web.TCPSite(self.runner, self.host, ssl_context=self.ssl, port=0).start()
        self.port = self.runner.addresses[0][1]
        self._traffic = asyncio.create_task(self._play(), name="simulator traffic")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._traffic.cancel()
        await asyncio.wait([self._traffic])
        await asyncio.gather(*(live.ws.close(code=1001) for live in self.connections))
        await self.runner.cleanup()

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for due_s, together in groupby(beats(self.account), lambda beat: beat.due_s):
            await asyncio.sleep(max(0.0, start + due_s - loop.time()))
            now_us = time.time_ns() // 1000
            events = []  # what is due at one instant shares a message
            for beat in together:
                # A late timer makes no delay wrong.
                event = make(beat.camera_id, beat.four_cc, now_us - round(beat.delay_s * 1e6), beat.fields)
                if beat.swallowed:
                    self.record(event)
                else:
                    events.append(event)
            await self.deliver(events)

    def make_app(self) -> web.Application:
        """Make what is served."""
        app = web.Application()
        for path in (LIST_PATH, ANNOTATIONS_PATH, "/g/aaa/isauth"):
            app.router.add_get(path, self._answer)
        app.router.add_get("/api/v2/Device/{account_id}/Events", self._accept)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not self.may_pass(request):
            return web.Response(status=401)
        found: object = self.rows if request.path == LIST_PATH else True
        if request.path == ANNOTATIONS_PATH:
            found = listing(self.readable(), request.query)
        return web.Response(status=400) if found is None else web.json_response(found)

    def may_pass(self, request: web.Request) -> bool:
        """Whether the request carries the session key in a cookie."""
        return self.auth_key in (request.cookies.get("auth_key"), request.cookies.get("videobank_sessionid"))

    def record(self, event: Event) -> None:
        """Keep an annotation once, as it began; its heartbeats and end change nothing."""
        if event.four_cc == "ANNT" and event.identity and event.event_us is not None:
            known = self.recorded.get(event.identity, event)
            self.recorded[event.identity] = min(known, event, key=lambda each: each.event_us or 0)
            if len(self.recorded) > KEPT:
                del self.recorded[next(iter(self.recorded))]

    def readable(self) -> Iterable[Event]:
        """The recorded annotations that a client may read."""
        return self.recorded.values()

    async def deliver(self, events: Sequence[Event]) -> list[SentEvent]:
        """Record events and send them in one message to who wants them."""
        for event in events:
            self.record(event)
            self.latest.setdefault(event.camera_id, {})[event.four_cc] = event
        sent = [item for live in list(self.connections) for item in await live.send_events(events)]
        self.sent += sent
        return sent

    async def emit(self, camera_id: str, four_cc: str = "ANNT", *, delay_s: float = 0.0, **fields: Any) -> Event:
        """Send one event that happened `delay_s` ago; `fields` replace keys of its body, None takes a key out."""
        event = make(camera_id, four_cc, time.time_ns() // 1000 - round(delay_s * 1e6), fields)
        await self.deliver([event])
        return event

    async def wait_subscribed(self, cameras: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until a connection has so many cameras and their initial state."""
        async with asyncio.timeout(timeout_s):
            while not any(len(live.ready) >= cameras for live in self.connections):
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=False, compress=False, timeout=2.0, writer_limit=1 << 62)
        connection = self.connection_type(request, ws)
        await ws.prepare(request)
        self.connections.append(connection)
        try:
            await self.converse(connection)
        finally:
            self.connections.remove(connection)
            self._notify()
        return ws

    async def converse(self, connection: Connection) -> None:
        """Answer a connection's messages until it ends."""
        async for message in connection.ws:
            await self.take(connection, message)
            self._notify()

    async def take(self, connection: Connection, message: WSMessage) -> None:
        """Answer one message: a ping, or cameras to drop and to add."""
        if message.type is WSMsgType.PING:
            await connection.send(message.data, WSMsgType.PONG)
        elif message.type is WSMsgType.TEXT:
            request = json.loads(message.data)
            connection.drop(request.get("drop", {}).get("cameras", ()))
            await self.subscribe(connection, request.get("cameras", {}))

    async def subscribe(self, connection: Connection, wishes: dict[str, dict[str, list[str]]]) -> None:
        """Take a client's subscription, by camera, and push the latest values. Each has its own message."""
        now_us = time.time_ns() // 1000
        for camera_id, wish in wishes.items():
            events = wish.get("event") if "event" in wish["resource"] else []
            connection.subscriptions[camera_id] = events, now_us
        for camera_id in wishes:
            for event in list(self.latest.get(camera_id, {}).values()):
                self.sent += await connection.send_events([event])
            await asyncio.sleep(0)  # sending does not suspend: thousands of cameras would hold the loop for seconds
        connection.ready.update(wishes)
