"""The heartbeat of a connection: finds out when the peer has died, and how long the way to it is.

Decides how often it is asked and when its silence is death; what follows is for `session`. Invariant: a peer that
sends is never taken for dead, nor is one that has never answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from websockets.exceptions import ConnectionClosed

from .connection import StampedConnection
from .tcp import tcp_rtt_us

HEARTBEAT_S: Final = 5.0


class Heartbeat:
    """Keeps one connection honest: pings once the server is known to answer them, unsolicited pongs until then.

    [?] The vendor documents no ping; some servers never answer one. Silence of data is not death: a quiet account
    is normal. A pong missing for `HEARTBEAT_S` from a server that has answered before, and nothing else from it
    either, is death; before that TCP decides, for which each heartbeat is data that must be acknowledged.
    """

    def __init__(self, connection: StampedConnection, on_rtt: Callable[[int, str], None]) -> None:
        self._connection = connection
        self._on_rtt = on_rtt

    async def run(self) -> None:
        """Until the connection ends."""
        try:
            await self._run()
        except ConnectionClosed:
            return

    async def _run(self) -> None:
        first = asyncio.ensure_future(await self._connection.ping())
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if first.done():
                break
            await self._connection.pong()
            rtt_us = tcp_rtt_us(self._connection.transport.get_extra_info("socket"))
            if rtt_us is not None:
                self._on_rtt(rtt_us, "TCP")
        self._on_rtt(round(await first * 1_000_000), "pong")
        while True:
            if not await self._is_answered():
                self._connection.abandon("no-pong")
                return
            await asyncio.sleep(HEARTBEAT_S)

    async def _is_answered(self) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_S):  # a peer that reads nothing lets us not even send
                answered = asyncio.ensure_future(await self._connection.ping())
        except TimeoutError:
            return False
        # The future itself is asked, and not a timeout: after a stall of ours the pong may have come all the same.
        while not answered.done():
            read_us = self._connection.last_read_us
            await asyncio.wait([answered], timeout=HEARTBEAT_S)
            # A pong comes after all that the server has still to send: who sends is not silent.
            silent = self._connection.last_read_us == read_us and not self._connection.reading_paused
            if silent and not answered.done():
                return False
        self._on_rtt(round(await answered * 1_000_000), "pong")
        return True
