"""One WebSocket connection that stamps what arrives and holds it until it is taken.

Arrival is taken in `data_received`, before any queue, so that our own slowness is never billed to the cloud; each
message gets the stamp of the read that completed it. The queue is bounded in bytes: at the bound reading is paused,
and until what waits in the socket meanwhile has been read is `backlog`, told with a lag. When it is taken is for
`intake`, whether the peer lives for `heartbeat`, what to do at its end for `session`. Relies on two methods of the
library that its subclasses override too: `data_received` and `process_event`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from platform import python_version
from typing import Any, Final, NamedTuple

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame
from websockets.version import version as websockets_version

from ..model import made
from ..text.units import seconds6
from ..version import __version__
from .lag import FULL_READ, TAINTED_US, idle_share, lag_us
from .tcp import tcp_rtt_us

QUEUE_BYTES: Final = 1 << 19
"""Messages held before reading pauses: over a thousand events, whose lines are on disk within 0.2 s."""
BURST_BYTES: Final = 1024
"""Room for each camera, if that is more: after a subscription the latest values of all cameras come at once."""
READ_BYTES: Final = 1 << 16
"""asyncio reads into 256 KiB, which the allocator fetches from the system and gives back for each message: at 100
events/s a fifth of all work."""
LOOK_S: Final = 0.02
CAUGHT_UP: Final = 0.5
"""Once behind, we are so until for `LOOK_S` the loop slept this share of the time. A short read does not tell: while
the socket's buffer was full the peer held back what is ours to answer for, and that comes in pieces of any size."""


class Received(NamedTuple):
    """One message: its bytes, arrival in microseconds, and how long it may have waited before (0: not at all)."""

    data: bytes
    arrived_us: int
    lag_us: int


class StampedConnection(ClientConnection):
    """A client connection whose messages carry the moment their bytes left the socket.

    `on_arrival` is called after each read while messages wait, and when nothing will come any more (`ended`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue_bytes = QUEUE_BYTES
        self.last_read_us = time.time_ns() // 1000
        self.lost_reason = ""
        self.asleep_us: int | None = None
        self.ended = False
        self.on_arrival: Callable[[], None] = lambda: None
        self.on_backlog: Callable[[int, int], None] = lambda from_us, to_us: None
        self._lag_us = 0
        self._messages: deque[Received] = deque()
        self._partial = bytearray()
        self._queued = 0
        self._paused_ns = 0
        self._behind_ns = 0
        self._backlog_us = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read in smaller pieces than asyncio does, also what comes decrypted."""
        super().connection_made(transport)
        readers: list[Any] = [transport, getattr(transport, "_ssl_protocol", None)]
        for reader in readers:
            if hasattr(reader, "max_size"):
                reader.max_size = READ_BYTES

    def data_received(self, data: bytes) -> None:
        """Stamp, then let the library read the frames."""
        self.last_read_us = time.time_ns() // 1000
        self._lag_us = lag_us(self.loop, len(data))
        if self._behind_ns:
            self._lag_us = max(self._lag_us, (time.perf_counter_ns() - self._behind_ns) // 1000)
        elif self._lag_us > TAINTED_US and len(data) >= FULL_READ:
            self._fall_behind(time.perf_counter_ns() - self._lag_us * 1000)
        super().data_received(data)
        if self._messages:
            self.on_arrival()

    def process_event(self, event: Any) -> None:
        """Take messages into our own queue, with their stamp, and pause reading when too much waits there.

        The library's `recv` costs as much again as reading the frames, and knows no stamp.
        """
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        if not event.fin or self._partial:
            self._partial += event.data
        if not event.fin:
            # Nothing can be taken before its end: to pause now would be to wait for ever. `max_size` bounds it.
            return
        message = bytes(self._partial or event.data)
        self._partial.clear()
        self._queued += len(message)
        self._messages.append(made(Received, (message, self.last_read_us, self._lag_us)))
        # One large message alone is no backlog.
        if self._queued > self.queue_bytes and len(self._messages) > 1 and not self._paused_ns:
            self._paused_ns = time.perf_counter_ns()
            self._backlog_us = self._backlog_us or time.time_ns() // 1000
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing will come any more: whoever waits for a message is told."""
        super().connection_lost(exc)
        self._tell_backlog()
        self.ended = True
        self.on_arrival()

    def take(self) -> Received | None:
        """The oldest message that waits, None when none does."""
        if not self._messages:
            return None
        received = self._messages.popleft()
        self._queued -= len(received.data)
        if self._paused_ns and self._queued <= self.queue_bytes // 4:
            self._resume()
        return received

    def make_room(self, cameras: int) -> None:
        """Let the queue hold what comes at once when this many cameras are subscribed to."""
        self.queue_bytes = max(QUEUE_BYTES, BURST_BYTES * cameras)

    @property
    def waiting(self) -> int:
        """Messages that have arrived and not been taken."""
        return len(self._messages)

    @property
    def queued_bytes(self) -> int:
        """Bytes of the messages that wait."""
        return self._queued

    @property
    def reading_paused(self) -> bool:
        """Whether too much waits: what the peer says is not heard until some of it is taken."""
        return self._paused_ns != 0

    def abandon(self, reason: str) -> None:
        """Drop the connection at once, without a closing handshake; what has arrived can still be received."""
        self.lost_reason = self.lost_reason or reason
        self.transport.abort()

    def _resume(self) -> None:
        self._fall_behind(self._paused_ns)
        self._paused_ns = 0
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _fall_behind(self, since_ns: int) -> None:
        """What comes from here on may have waited since then, until we have caught up."""
        if not self._behind_ns:
            self._behind_ns = since_ns
            self.loop.call_later(LOOK_S, self._look, idle_share(self.loop))

    def _look(self, idle: Callable[[], float]) -> None:
        if self.ended:
            return
        if self._paused_ns or idle() < CAUGHT_UP:
            self.loop.call_later(LOOK_S, self._look, idle_share(self.loop))
            return
        self._behind_ns = 0
        self._tell_backlog()

    def _tell_backlog(self) -> None:
        """It is over: from the first pause on figures were tainted."""
        if self._backlog_us:
            self.on_backlog(self._backlog_us, time.time_ns() // 1000)
            self._backlog_us = 0


def describe(connection: StampedConnection) -> str:
    """Peer, TLS, round trip and versions, for the program's log."""
    extra = connection.transport.get_extra_info
    peer, tls, rtt_us = extra("peername") or ("unknown", 0), extra("ssl_object"), tcp_rtt_us(extra("socket"))
    servers = connection.response.headers.get_all("Server") if connection.response else []
    return (
        f"peer={peer[0]}:{peer[1]} tls={tls.version() if tls else 'none'}"
        f" rtt_s={'unknown' if rtt_us is None else seconds6(rtt_us)}"
        f" server={ascii(', '.join(servers))[:80]}"
        f" eelogger={__version__} websockets={websockets_version} python={python_version()}"
    )
