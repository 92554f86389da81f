"""What only some systems have, asked for where it exists: TCP's own view of a connection, and its patience.

Each function answers None, or does nothing, where the system has no such thing; callers then use the next best.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any, Final

UNANSWERED_MS: Final = 15_000
"""With a heartbeat every 5 s a dead route is noticed within 20 s."""
GIVES_UP: Final = hasattr(socket, "TCP_USER_TIMEOUT")
"""Whether a connection that is still open was acknowledged that long ago at most."""
_TCPI_RTT_OFFSET = 68  # struct tcp_info of linux/tcp.h: 8 bytes, then tcpi_rtt as the 16th 32-bit field


def tcp_rtt_us(sock: Any) -> int | None:
    """The kernel's smoothed round-trip time of a TCP socket in microseconds."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None or sock is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _TCPI_RTT_OFFSET + 4)
        return int(struct.unpack_from("=I", info, _TCPI_RTT_OFFSET)[0]) or None
    except (OSError, struct.error):
        return None


def make_impatient(sock: Any) -> None:
    """Let TCP give a peer up when data stays unacknowledged for `UNANSWERED_MS`, and probe an idle one."""
    if sock is None:
        return
    options = (
        ("SOL_SOCKET", "SO_KEEPALIVE", 1),
        ("IPPROTO_TCP", "TCP_KEEPIDLE", 5),
        ("IPPROTO_TCP", "TCP_KEEPALIVE", 5),  # macOS's name of TCP_KEEPIDLE
        ("IPPROTO_TCP", "TCP_KEEPINTVL", 5),
        ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
        ("IPPROTO_TCP", "TCP_USER_TIMEOUT", UNANSWERED_MS),
    )
    for level, name, value in options:
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                sock.setsockopt(getattr(socket, level), getattr(socket, name), value)
