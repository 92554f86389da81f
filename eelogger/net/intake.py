"""What a connection has brought is handed on in turns: after a short wait for more, then for 2 ms at most at a time.

Decides when; what is done with a message is for who takes it, what may wait for `connection`. Being woken costs more
than a message does: at 100 events a second a turn for each of them took twice the processor time. Stamps are taken
before, so waiting changes no figure. Invariant: every message that arrived is handed on once and in order, whatever
ended the connection, unless what it is handed to fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from .connection import Received, StampedConnection

GATHER_S: Final = 0.012
"""How long a message waits for others: its line has to be in its file 20 ms after it arrived."""
GATHER_BYTES: Final = 1 << 15
"""With so much waiting there is work for a turn, and nothing is gained by waiting."""
WORK_S: Final = 0.002
"""So much work at a time, then the loop reads on: arrivals are stamped while others are recorded."""


class Intake:
    """Takes the messages of one connection, also those that wait when it begins, and gives them to `hand_on`."""

    def __init__(self, connection: StampedConnection, hand_on: Callable[[Received], None]) -> None:
        self._connection = connection
        self._hand_on = hand_on
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._error: Exception | None = None
        self._due: asyncio.Handle | None = None
        self._gathers = False

    async def run(self) -> None:
        """Until the connection has ended and all it brought is handed on, which a cancellation brings about at once.

        Raises what `hand_on` raises.
        """
        self._connection.on_arrival = self._arrived
        self._turn()
        try:
            await self._over.wait()
        finally:
            self._connection.on_arrival = lambda: None
            if self._due is not None:
                self._due.cancel()
            if self._error is not None:
                raise self._error
            self.flush()

    def flush(self) -> None:
        """Hand on all that waits: what is done next comes after it. Raises what `hand_on` raises."""
        while (received := self._connection.take()) is not None:
            self._hand_on(received)

    def _arrived(self) -> None:
        """Something waits, or nothing will come any more."""
        connection = self._connection
        if self._due is None:
            self._due, self._gathers = self._loop.call_later(GATHER_S, self._turn), True
        if self._gathers and (connection.ended or connection.queued_bytes > GATHER_BYTES):
            self._due.cancel()
            self._due, self._gathers = self._loop.call_soon(self._turn), False

    def _turn(self) -> None:
        """What waits, the oldest first, as much as can be done in a turn."""
        connection, until = self._connection, time.perf_counter() + WORK_S
        self._due = None
        try:
            while (received := connection.take()) is not None:
                self._hand_on(received)
                if time.perf_counter() > until:
                    break
        except Exception as error:
            self._error = error
            self._over.set()
            return
        if connection.waiting:
            self._due, self._gathers = self._loop.call_soon(self._turn), False
        elif connection.ended:
            self._over.set()
