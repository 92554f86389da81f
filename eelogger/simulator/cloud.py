"""The cloud: one loopback port that serves REST and the event socket, scripted or with a world's own traffic.

Owns the listener and the lifetime of everything: leaving the context leaves no task, socket or file behind. It answers
as the vendor documents it where that is known, and as badly as clients have seen it where it is not.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from .events import ANNT, PRE, STATUS, Event, event, make
from .ledger import Ledger
from .rest import Rest
from .script import Beat, beats
from .sockets import EventSide
from .state import TEST_KEY
from .traffic import play, previews
from .world import World

GOING_AWAY: Final = 1001
SHUTDOWN_S: Final = 0.2
"""What a delayed answer still gets at the end; sockets have been closed by then."""
STATUS_BITS: Final = 1441847
"""A camera that is on, registered and streaming [?]."""


class Cloud(EventSide):
    """An async context manager; everything `CloudState` holds may be set while it runs.

    `traffic`: let the world send by itself. `ledger_path`: write the ledger there; without `keep_ledger`, only there.
    `answer_pings=False` makes a server that never sends a pong; `compress` allows permessage-deflate.
    """

    def __init__(
        self,
        world: World,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: ssl_module.SSLContext | None = None,
        auth_key: str = TEST_KEY,
        answer_pings: bool = True,
        date_offset_s: float = 0.0,
        compress: bool = False,
        traffic: bool = False,
        ledger_path: Path | None = None,
        keep_ledger: bool = True,
    ) -> None:
        super().__init__(world, Ledger(ledger_path, keep=keep_ledger), compress=compress)
        self.auth_key = auth_key
        self.answer_pings = answer_pings
        self.date_offset_s = date_offset_s
        self.port = port
        self._host, self._ssl, self._with_traffic = host, ssl, traffic
        self._rest = Rest(self)
        app = web.Application(middlewares=[self._rest.middleware()])
        app.add_routes(self._rest.routes())
        app.router.add_get("/api/v2/Device/{account_id}/Events", self.accept)
        app.on_response_prepare.append(self._rest.date_header)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        self._site: web.TCPSite | None = None
        self._traffic: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """Origin of REST and WebSocket, `http://127.0.0.1:PORT`; the port is known once entered."""
        return f"{'https' if self._ssl else 'http'}://{self._host}:{self.port}"

    @property
    def events_url(self) -> str:
        """Address of the event socket [doc]."""
        return f"ws{self.base_url.removeprefix('http')}/api/v2/Device/{self.account_id}/Events"

    async def emit(
        self,
        camera_id: str,
        four_cc: str = ANNT,
        *,
        delay_s: float = 0.0,
        omit: Iterable[str] = (),
        **fields: Any,
    ) -> Event:
        """Send one event now that happened `delay_s` ago; `fields` replace keys of its body, `omit` leaves some out.

        Nothing is sent, nor entered in the ledger, where nobody is subscribed; it is the latest value all the same.
        """
        made = make(camera_id, four_cc, time.time_ns() // 1000 - round(delay_s * 1e6), fields, omit)
        await self.deliver([made])
        return made

    async def run(self, script: Iterable[Beat] | None = None) -> None:
        """Send the world's traffic (or what `script` says) for ever, at its rates; `traffic=True` does it by itself."""

        def wanted() -> bool:
            return any(PRE in asked.resources for live in self.connections for asked in live.subscriptions.values())

        async with asyncio.TaskGroup() as group:
            group.create_task(play(script or beats(self.world), self.deliver), name="simulator events")
            group.create_task(
                previews(self.world, lambda: self.wait_until(wanted), self.deliver), name="simulator previews"
            )

    def expire_tokens(self) -> None:
        """Let every login under way run out of time."""
        self._rest.expire_tokens()

    async def go_down(self) -> None:
        """Refuse TCP from now on and reset what is open, keep-alive connections included."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        self.abort()
        for handler in self._runner.server.connections if self._runner.server else []:
            if handler.transport is not None:
                handler.transport.abort()

    async def come_up(self) -> None:
        """Listen (again), on the port of the first time."""
        self._site = web.TCPSite(self._runner, self._host, self.port, ssl_context=self._ssl)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    def _age_latest(self) -> None:
        """Give the cameras the latest values they had before the cloud was started."""
        now_us = time.time_ns() // 1000
        for camera in self.world.cameras:
            values = {
                four_cc: make(camera.id, four_cc, now_us - int(age_s * 1e6), {"ns": camera.namespaces[0]})
                for four_cc, age_s in camera.ages_s
            }
            self.latest[camera.id] = values | {STATUS: event(camera.id, STATUS, STATUS_BITS)}

    async def __aenter__(self) -> Self:
        # Before listening: a warm-up at a thousand events a second takes a while.
        script = beats(self.world) if self._with_traffic else None
        await self._runner.setup()
        await self.come_up()
        self._age_latest()
        if script is not None:
            self._traffic = asyncio.create_task(self.run(script), name="simulator traffic")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._traffic is not None:
            self._traffic.cancel()
            await asyncio.wait([self._traffic])
        await self.close(GOING_AWAY)
        self.abort()
        await self._runner.cleanup()
        self.ledger.close()
        if self._traffic is not None and not self._traffic.cancelled():
            self._traffic.result()
