"""The server says inside the stream that it does not accept the key: is it the key, or only this answer?

Decides when `isauth` is asked and what follows: a key refused there too is `refused`, a good one whose stream is
useless all the same is left (`leave`), and a camera's error with a good key is that camera's own. Invariant: only
`isauth` can find a key refused; a cloud that cannot say so is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ..errors import CloudError, EeloggerError, KeyRefused
from ..model import CloudNotice
from ..net.auth import is_authorised
from ..net.rest import Rest

KEY_TROUBLE: Final = frozenset({401, 412})
_NEVER, _FOR_A_CAMERA, _FOR_ALL = range(3)
_HINT: Final = "log in again with `python app.py login`, or paste a new EEN_AUTH_KEY into .env"

_log = logging.getLogger(__name__)


class Doubt:
    """The doubts of one connection; `leave` gets a gap's reason, `refused` the error."""

    def __init__(self, rest: Rest, refused: Callable[[EeloggerError], None], leave: Callable[[str], None]) -> None:
        self._rest = rest
        self._refused = refused
        self._leave = leave
        self._asked = _NEVER
        self._asking: asyncio.Task[None] | None = None

    def notice(self, notice: CloudNotice) -> None:
        """The server reported an error; if it speaks of the key, `isauth` is asked."""
        gravity = _FOR_A_CAMERA if notice.camera_id else _FOR_ALL
        # Once a connection for each: a thousand cameras may be refused at once, and again and again.
        if notice.status_code not in KEY_TROUBLE or gravity <= self._asked:
            return
        self._asked = gravity
        if self._asking is not None:
            self._asking.cancel()
        self._asking = asyncio.create_task(self._ask(notice), name="isauth")

    async def close(self) -> None:
        """The connection ended: what was being asked does not matter any more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self, notice: CloudNotice) -> None:
        try:
            accepted = await is_authorised(self._rest)
        except CloudError as error:
            _log.debug("isauth: %s", error)
            accepted = True
        except EeloggerError as error:
            self._refused(error)
            return
        if not accepted:
            self._refused(KeyRefused(f"the event stream refuses the key ({notice.status_code})", _HINT))
        elif not notice.camera_id:
            self._leave(f"error-{notice.status_code}")
