"""How a connection ended: why, in a word for `gaps.log`, and until when it surely observed.

Decides both from what the connection knows of itself; what follows from it is for `policy`. Invariant: a gap never
begins later than the last moment of which it is known that the peer was there.
"""

from __future__ import annotations

import ssl
from typing import Final

from websockets.frames import CloseCode

from .connection import StampedConnection
from .heartbeat import HEARTBEAT_S
from .tcp import GIVES_UP, UNANSWERED_MS

SILENT_ENDS: Final = frozenset({"no-pong", "suspend"})
"""Reasons for leaving a connection that had stopped to speak."""

_PATIENCE_US: Final = UNANSWERED_MS * 1000 + int(HEARTBEAT_S * 1_000_000)


def why_ended(connection: StampedConnection) -> str:
    """The reason of the gap that begins: ours for leaving, the peer's close code, or what broke the connection."""
    code, sent = connection.close_code, connection.protocol.close_sent
    if connection.lost_reason:
        return connection.lost_reason
    if code is None:
        return "broken-off"  # an error of ours: it is still open
    if code == CloseCode.ABNORMAL_CLOSURE and sent is not None:
        return f"failed-{sent.code}"
    return "no-ack" if _gave_up(connection) else f"closed-{code}"


def last_sign_of_life_us(connection: StampedConnection, now: int) -> int:
    """Until when an ended connection surely observed, in microseconds.

    A peer that said good-bye observed until then, also if TCP lived on; a silent one until its last bytes, or as long
    as TCP vouches, which it does for all the time before a sleep; one that broke off, until now.
    """
    protocol, left_because = connection.protocol, connection.lost_reason
    failed = protocol.close_sent is not None and not left_because
    if GIVES_UP and connection.asleep_us is not None:
        return max(connection.last_read_us, connection.asleep_us - _PATIENCE_US)
    if left_because in SILENT_ENDS or protocol.close_rcvd is not None or failed:
        return connection.last_read_us
    if _gave_up(connection):
        return max(connection.last_read_us, now - _PATIENCE_US)
    return now


def _gave_up(connection: StampedConnection) -> bool:
    """Whether nobody answered any more: a timeout, also TCP's, which may call it an unreachable host or network."""
    error = connection.connection_exc
    return isinstance(error, OSError) and not isinstance(error, (ConnectionError, ssl.SSLError))
