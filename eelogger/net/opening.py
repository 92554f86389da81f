"""How a connection to the event stream is opened: the library's `connect`, with what this program wants otherwise.

Decides the options and what may not happen: no redirect to another origin, since the headers hold the key, and no
DEBUG line of the library, since those hold the headers. What the connection then does is for `connection`.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidURI

from .connection import StampedConnection

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
OPEN_TIMEOUT_S: Final = 15.0
CLOSE_TIMEOUT_S: Final = 0.5
"""A stop must be over in 2 s, also when the peer is dead; the closing handshake gets a quarter of that."""


class Connect(connect):
    """An async context manager that gives a `StampedConnection`; raises what the library raises."""

    def __init__(
        self, uri: str, headers: Mapping[str, str], context: ssl.SSLContext | None = None, proxy: str | None = None
    ) -> None:
        tls: dict[str, Any] = {"ssl": context} if uri.startswith("wss:") else {}
        super().__init__(
            uri,
            create_connection=StampedConnection,
            additional_headers=headers,
            # Events are small and one connection is cheap: deflate would only cost time between arrival and line.
            compression=None,
            proxy=proxy,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=None,
            logger=_NoDebug(logging.getLogger("eelogger.websocket")),
            **tls,
        )

    async def __aenter__(self) -> StampedConnection:
        connection = await super().__aenter__()
        assert isinstance(connection, StampedConnection)  # noqa: S101  (for mypy: asked for above)
        return connection

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The address to follow, or the error to raise."""
        try:
            target = super().process_redirect(exc)
        except (InvalidURI, ValueError):  # the usual `https://…` is none for a WebSocket; a port may be no number
            return exc
        if isinstance(target, str) and urlsplit(target)[:2] != urlsplit(self.uri)[:2]:
            return exc
        return target


class _NoDebug(logging.LoggerAdapter[logging.Logger]):
    """Never asks for DEBUG, whatever level somebody gives the logger."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  (the library's name)
        """Whether a record of this level would be told."""
        return level > logging.DEBUG and super().isEnabledFor(level)
