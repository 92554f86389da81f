"""One connection and what goes on beside it: a REST session, the camera list before and during it, doubts of the key.

Decides when the list is refreshed and which errors end the connection for good; when to connect again is `session`'s.
Invariant: when `connect` returns or raises, nothing of that connection is left: no socket, no task.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from websockets.exceptions import InvalidStatus

from ..errors import CloudError, EeloggerError, KeyRefused
from ..model import CloudNotice, DateSample
from ..net.auth import is_authorised
from ..net.rest import Rest, key_headers
from ..net.tls import tls_context
from ..recorder import Recorder
from ..settings import Settings, proxy_for
from ..stream import EventStream
from .doubt import Doubt
from .roster import Roster
from .series import log_defect

REFRESH_S: Final = 300.0
"""The camera list keeps the key alive, finds a dead one and samples the clock."""
_SPREAD_S: Final = 1.0
"""Refreshes come up to this much later: a `Date` header has whole seconds, and different fractions bound the clock."""

_log = logging.getLogger(__name__)


class Link:
    """Serves one connection after another over the same stream."""

    def __init__(
        self,
        stream: EventStream,
        recorder: Recorder,
        roster: Roster,
        on_date: Callable[[DateSample], None] = lambda sample: None,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._stream = stream
        self._recorder = recorder
        self._roster = roster
        self._on_date = on_date
        self._refresh_s = refresh_s
        self._doubt: Doubt | None = None
        self._fatal: EeloggerError | None = None
        self._told: set[int] = set()
        self._has_connected = False
        stream.on_notice = self._noticed

    async def connect(self, settings: Settings) -> str:
        """List the cameras, connect, and log until it ends: why it ended, as a gap's reason.

        Raises what the rooms raise, the libraries' exceptions included, when it cannot connect or has to end.
        """
        self._fatal = None
        stream, uri = self._stream, settings.websocket_uri()
        stream.proxy = proxy_for(uri)
        async with Rest(settings, on_date=self._on_date) as rest:
            await self._roster.before_connecting(rest, settings)
            stream.cameras = list(self._recorder.cameras)
            stream.headers = key_headers(settings)
            stream.ssl = tls_context(settings)
            self._doubt = Doubt(rest, self._give_up, stream.close)
            refresher = asyncio.create_task(self._refresh(rest, settings), name="refresh")
            try:
                reason = await stream.connect_and_log(uri, settings.namespace_table)
                self._has_connected = True
            except InvalidStatus as error:
                await self._doubt_refusal(error, rest)
                raise
            finally:
                refresher.cancel()
                await asyncio.gather(refresher, self._doubt.close(), return_exceptions=True)
                self._doubt = None
        if self._fatal is not None:
            raise self._fatal
        return reason

    async def _doubt_refusal(self, error: InvalidStatus, rest: Rest) -> None:
        """A handshake is refused after weeks of good ones: a gateway may answer so too, and then it is tried again."""
        status = error.response.status_code
        if self._has_connected and status in (401, 403) and await is_authorised(rest):
            raise CloudError(
                f"the event stream answers HTTP {status}, though the key is good", "check EEN_ACCOUNT_ID", status=status
            ) from None

    async def _refresh(self, rest: Rest, settings: Settings) -> None:
        while True:
            await asyncio.sleep(self._refresh_s + random.random() * min(_SPREAD_S, self._refresh_s))
            try:
                await self._roster.refresh(rest, settings)
            except EeloggerError as error:
                self._give_up(error)
            except Exception as error:
                # Without refreshes the key dies: they go on, whatever is wrong with one.
                log_defect(_log, "unexpected failure of a refresh", error)

    def _noticed(self, notice: CloudNotice) -> None:
        """The server reported an error inside the stream."""
        if notice.camera_id:
            self._roster.camera_left(notice)
        else:
            level = logging.DEBUG if notice.status_code in self._told else logging.WARNING
            self._told.add(notice.status_code)
            _log.log(level, "the server reports %d: %r", notice.status_code, notice.message)
        if self._doubt is not None:
            self._doubt.notice(notice)

    def _give_up(self, error: EeloggerError) -> None:
        self._fatal = error
        self._stream.close("key-refused" if isinstance(error, KeyRefused) else "given-up")
