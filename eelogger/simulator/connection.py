"""One accepted WebSocket: what it is subscribed to, and the ways to write to it or to break it.

Decides what reaches this socket; which events exist is the cloud's business. Sending never suspends (the transport
buffers without bound), so the stamp taken before a send is the instant of the send and no slow reader delays another.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import WSMsgType, web

from .events import Event, message_text
from .ledger import Entry, Ledger, usable_int, usable_ns
from .subscriptions import Subscription

NO_LIMIT: Final = 1 << 62
LINGER_0: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""`struct linger` of the platform: on, 0 seconds."""


class Connection:
    """A live socket of the cloud; `number` counts handshakes from 1, `opened_us` is when it was accepted."""

    def __init__(
        self,
        number: int,
        request: web.Request,
        transport: asyncio.Transport,
        ws: web.WebSocketResponse,
        ledger: Ledger,
        opened_us: int,
    ) -> None:
        self.number = number
        self.path_qs = request.path_qs
        self.headers = dict(request.headers)
        self.opened_us = opened_us
        self.subscriptions: dict[str, Subscription] = {}
        self.ready: set[str] = set()
        """Cameras whose initial state has been pushed."""
        self.muted = False
        self.pings = 0
        self.pongs = 0
        self._ws = ws
        self._transport = transport
        self._ledger = ledger
        self._sent_kinds: set[tuple[str, str]] = set()

    def subscribe(self, camera_id: str, asked: Subscription) -> None:
        """Add to what `camera_id` is asked for [doc: further messages add]."""
        former = self.subscriptions.get(camera_id)
        self.subscriptions[camera_id] = former.merged(asked) if former else asked

    def drop(self, camera_ids: Iterable[str]) -> None:
        """Forget these cameras; a later subscription of one of them starts with its initial state again."""
        for camera_id in camera_ids:
            self.subscriptions.pop(camera_id, None)
            self.ready.discard(camera_id)
            self._sent_kinds = {kind for kind in self._sent_kinds if kind[0] != camera_id}

    def wants(self, event: Event) -> bool:
        """Whether `event` belongs to something this connection is subscribed to."""
        asked = self.subscriptions.get(event.camera_id)
        return asked is not None and asked.wants(event.four_cc)

    async def send_events(self, events: Sequence[Event], *, initial: bool = False) -> list[Entry]:
        """Send what is wanted of `events` in one message and enter it in the ledger; nothing wanted, nothing sent."""
        wanted = [event for event in events if self.wants(event)]
        if not wanted:
            return []
        text = message_text(wanted)
        send_ns = time.time_ns()
        if not await self.send_text(text):
            return []
        return [self._enter(event, send_ns, initial) for event in wanted]

    def _enter(self, event: Event, send_ns: int, initial: bool) -> Entry:
        kind = (event.camera_id, event.four_cc)
        body = event.body if isinstance(event.body, dict) else {}
        entry = Entry(
            send_ns=send_ns,
            camera_id=event.camera_id,
            four_cc=event.four_cc,
            identity=event.identity,
            event_us=event.event_us,
            ns=usable_ns(body.get("ns")),
            op=usable_int(body.get("op")),
            first=self._ledger.is_first(event.identity),
            initial=initial,
            opening=kind not in self._sent_kinds,
            connection=self.number,
            opened_us=self.opened_us,
            subscribed_us=self.subscriptions[event.camera_id].at_us,
        )
        self._sent_kinds.add(kind)
        self._ledger.add(entry)
        return entry

    async def send_text(self, text: str) -> bool:
        """Send a text message as it is; False when muted or gone. Lone surrogates cannot be sent: use `write`."""
        return await self._send(text.encode(), WSMsgType.TEXT)

    async def send_bytes(self, data: bytes) -> bool:
        """Send a binary message; False when muted or gone."""
        return await self._send(data, WSMsgType.BINARY)

    async def pong(self, data: bytes) -> bool:
        """Answer a ping; False when muted or gone."""
        return await self._send(data, WSMsgType.PONG)

    async def _send(self, data: bytes, opcode: WSMsgType) -> bool:
        if self.muted or self._ws.closed or self._transport.is_closing():
            return False
        try:
            await self._ws.send_frame(data, opcode)
        except ConnectionError:
            return False
        return True

    async def close(self, code: int) -> None:
        """Close with a Close frame of `code`; waits for the answer (bounded); a muted socket stays as it is."""
        if not self.muted:
            await self._ws.close(code=code)

    def write(self, data: bytes) -> None:
        """Raw bytes into the TCP stream (under TLS: into its plain side): half frames, garbage."""
        self._transport.write(data)

    def mute(self) -> None:
        """Neither read nor send from now on while TCP stays up: what a dead peer behind a live proxy looks like."""
        self.muted = True
        self._transport.pause_reading()

    def unmute(self) -> None:
        """Read and send again; what was not sent meanwhile is lost."""
        self.muted = False
        self._transport.resume_reading()

    def abort(self) -> None:
        """Reset the TCP connection (SO_LINGER 0 makes the kernel send RST, not FIN)."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        self._transport.abort()
