"""Stamp messages when their bytes leave the socket, before any queue."""

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import State

from ..clock import now_us
from ..model import Gap, made
from .loop_delay import FULL_READ, TAINTED_US, lag_us, slept_ns

# Messages held before reading pauses: over a thousand events, whose lines are on disk within 0.2 s.
QUEUE_BYTES: Final = 1 << 19
# asyncio reads into 256 KiB, which is allocated and given back for each message: at 100 events/s a fifth of all work.
READ_BYTES: Final = 1 << 16
UNANSWERED_MS: Final = 15_000  # TCP gives up after this: with data every 5 s a dead route is noticed within 20 s

_log = logging.getLogger(__name__)


class Received(NamedTuple):
    """One message, its arrival, and the longest wait before that."""

    data: bytes
    arrived_us: int
    lag_us: int


class StampedConnection(ClientConnection):
    """A connection with stamped `messages`; at `queue_bytes` reading is paused, since `paused_ns` (else 0).

    Relies on `data_received` and `process_event`, which the library's own subclasses override too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue_bytes = QUEUE_BYTES
        self.queued_bytes = self.paused_ns = 0
        self.last_read_us = now_us()
        self.opened_s = self.last_message_s = self.loop.time()
        self.lost_us: int | None = None
        self.lost_reason = ""  # why we left it
        self.answers_pings = False
        # Called after each read while messages wait, and when nothing will come any more.
        self.on_arrival: Callable[[], None] = lambda: None
        self.on_gap: Callable[[Gap], None] = lambda gap: None
        self.on_rtt: Callable[[int], None] = lambda rtt_us: None
        self.messages: deque[Received] = deque()
        self._partial = bytearray()
        self._lag_us = self._behind_ns = self._backlog_us = self._pinged_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read in small pieces, and make TCP notice a dead peer."""
        super().connection_made(transport)
        set_tcp_timeouts(transport.get_extra_info("socket"))
        reader: Any
        for reader in (transport, getattr(transport, "_ssl_protocol", None)):  # the second decrypts
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
        if self.messages:
            self.last_message_s = self.loop.time()
            self.on_arrival()
        elif self.protocol.handshake_exc is not None:
            self.transport.abort()  # else the library waits for a peer that may keep it open

    def process_event(self, event: Any) -> None:
        """Queue messages with their stamp; the library's own `recv` knows none, and costs much."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            is_pong = isinstance(event, Frame) and event.opcode is Opcode.PONG
            if is_pong and self._pinged_ns and bytes(event.data) == self._pinged_ns.to_bytes(8):
                self.answers_pings = True
                if self._lag_us <= TAINTED_US:  # else our own lag took the time, not the network
                    self.on_rtt((time.perf_counter_ns() - self._pinged_ns) // 1000)
            return
        if not event.fin or self._partial:
            self._partial += event.data
        if not event.fin:
            # Nobody can take it before its end: a pause now would last for ever. `max_size` bounds it.
            return
        message = bytes(self._partial or event.data)
        self._partial.clear()
        self.queued_bytes += len(message)
        self.messages.append(made(Received, (message, self.last_read_us, self._lag_us)))
        # A single large message is not a backlog.
        if self.queued_bytes > self.queue_bytes and len(self.messages) > 1 and not self.paused_ns:
            self.paused_ns = time.perf_counter_ns()
            self._backlog_us = self._backlog_us or now_us()
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that nothing will come any more."""
        self.lost_us = now_us()
        super().connection_lost(exc)
        self._tell_backlog()
        self.on_arrival()

    def take(self) -> Received | None:
        """Take the oldest message that waits."""
        if not self.messages:
            return None
        received = self.messages.popleft()
        self.queued_bytes -= len(received.data)
        if self.paused_ns and self.queued_bytes <= self.queue_bytes // 4:
            self._fall_behind(self.paused_ns)
            self.paused_ns = 0
            if not self.transport.is_closing():
                self.transport.resume_reading()
        return received

    @property
    def tls(self) -> str:
        """The version of TLS."""
        tls = self.transport.get_extra_info("ssl_object")
        return str(tls.version()) if tls is not None else "no TLS (loopback)"

    async def keep_alive(self, every_s: float) -> None:
        """Send heartbeats, never waiting for the peer to read; silence is death once a ping was answered."""
        silent = 0  # looks, not seconds: after a standstill of ours its pong has been read before the next one
        while silent < 2:
            heard_us = self.last_read_us
            if self.protocol.state is State.OPEN:
                if self.answers_pings or not self._pinged_ns:
                    self._pinged_ns = time.perf_counter_ns()
                    self.protocol.send_ping(self._pinged_ns.to_bytes(8))
                else:
                    self.protocol.send_pong(b"")  # data that TCP must get acknowledged
                self.send_data()
            await asyncio.sleep(every_s)
            is_silent = self.last_read_us == heard_us and not self.paused_ns
            silent = silent + 1 if is_silent and self.answers_pings else 0
        self.abandon("no-pong")

    async def leave(self, close_s: float) -> None:
        """Close politely, within twice `close_s`: the library waits for ever when it cannot even send."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * close_s):
                    await self.close()
        finally:
            self.transport.abort()

    def abandon(self, reason: str) -> None:
        """Drop the connection at once; what has arrived can still be taken."""
        self.lost_reason = self.lost_reason or reason
        self.transport.abort()

    def ending(self) -> tuple[str, int]:
        """The reason for `gaps.log`, and when observing ended. A silent peer was observed until it was last heard."""
        code, failed, error = self.close_code, self.protocol.close_sent, self.connection_exc
        lost_us = now_us() if self.lost_us is None else self.lost_us
        if self.lost_reason:
            silent = self.lost_reason in ("no-pong", "suspend") or self.protocol.close_rcvd is not None
            return self.lost_reason, self.last_read_us if silent else lost_us
        if code is None:
            return "broken-off", lost_us  # an error of ours: it is still open
        if code == CloseCode.ABNORMAL_CLOSURE and failed is not None:
            return f"failed-{failed.code}", self.last_read_us
        # A TCP timeout, perhaps reported as an unreachable host. Until it began TCP had acknowledgements of the peer.
        if isinstance(error, OSError) and not isinstance(error, (ConnectionError, ssl.SSLError)):
            return "no-ack", max(self.last_read_us, lost_us - (UNANSWERED_MS + 5_000) * 1000)
        return f"closed-{code}", lost_us if self.protocol.close_rcvd is None else self.last_read_us

    def _fall_behind(self, since_ns: int) -> None:
        # What comes from here on may have waited since then, until we have caught up.
        if not self._behind_ns:
            self._behind_ns = since_ns
            self._catching_up = self.loop.create_task(self._catch_up(), name="catch up")

    async def _catch_up(self) -> None:
        # Until the loop sleeps half of the time. A short read is no sign: what the peer held back while the socket's
        # buffer was full comes in pieces of any size.
        while self.lost_us is None:
            began_ns, slept_before_ns = time.perf_counter_ns(), slept_ns(self.loop)
            await asyncio.sleep(0.02)
            passed_ns, asleep_ns = time.perf_counter_ns() - began_ns, slept_ns(self.loop) - slept_before_ns
            if not self.paused_ns and asleep_ns >= passed_ns / 2:
                self._behind_ns = 0
                self._tell_backlog()
                return

    def _tell_backlog(self) -> None:
        # The backlog is over. Since the first pause figures were tainted.
        if self._backlog_us:
            gap = Gap("backlog", self._backlog_us, now_us(), "queue-full")
            self._backlog_us = 0
            self.on_gap(gap)
            _log.warning("reading paused for %.1f s: more came than could be recorded", (gap.to_us - gap.from_us) / 1e6)


def set_tcp_timeouts(sock: Any) -> None:
    """Let TCP give up a silent peer where the system can."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    times_s = {"TCP_KEEPIDLE": 5, "TCP_KEEPALIVE": 5, "TCP_KEEPINTVL": 5}  # macOS calls the first as the second
    for name, value in (times_s | {"TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": UNANSWERED_MS}).items():
        with suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
