"""Connect again and again: fresh settings, key and camera list for each attempt, a pause, an end when told.

What a failure means is `policy`'s table, how long to wait `backoff`'s, which key `keys`', one connection `link`'s.
Invariant: at most one connection at a time, and from the end of one to the subscription of the next the recorder's
observation is blind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..backoff import STEADY_S, Backoff
from ..clock import now_us
from ..errors import EeloggerError, KeyRefused, SettingsError
from ..model import DateSample, Gap
from ..net.connection import StampedConnection, describe
from ..recorder import Recorder
from ..settings import Settings
from ..stream import EventStream
from .keys import Keys
from .link import REFRESH_S, Link
from .policy import Trouble, ended, judge
from .roster import Roster
from .series import Series, log_defect

_KEY_REFUSED = "key-refused"

_log = logging.getLogger(__name__)


class Session:
    """Runs until `stop`, or until an error that no retry can mend.

    `state` is a word for people; `longest_s` how long the longest of the connections that ended was open.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        stream: EventStream,
        recorder: Recorder,
        roster: Roster,
        keys: Keys,
        on_date: Callable[[DateSample], None] = lambda sample: None,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._enter("connecting")
        self._load = load
        self._settings = settings
        self._stream = stream
        self._recorder = recorder
        self._keys = keys
        self._link = Link(stream, recorder, roster, on_date, refresh_s)
        self._backoff = Backoff()
        self._wake = asyncio.Event()
        self._stopping = False
        self._cut_short = False
        self._series = Series(_log)
        self._told: set[str] = set()
        self._open_since: float | None = None
        self._up_for_s = 0.0
        self.longest_s = 0.0
        self._attempting: asyncio.Task[Trouble] | None = None
        stream.on_open = self._opened

    async def run(self) -> None:
        """Attempt after attempt until stopped; raises the `EeloggerError` that ends the run."""
        while not self._stopping:
            trouble = await self._one_attempt()
            if self._stopping:
                return
            self._enter("waiting to connect")
            delay_s = self._backoff.next_delay(self._up_for_s, trouble.retry_after_s)
            try:
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            # Not before waiting: who wants to connect at once may have said so while the old connection was closed.
            self._wake.clear()

    def stop(self) -> None:
        """End once what has arrived is recorded."""
        self._stopping = True
        self._enter("stopping")
        self._leave("stopped")

    def woke_up(self, asleep_us: int) -> None:
        """Leave a connection that probably died in a sleep that began then, and connect again at once.

        What it still brings is received.
        """
        if self._stream.connection is not None:
            self._stream.connection.asleep_us = asleep_us
        self._leave("suspend")

    def _leave(self, reason: str) -> None:
        """End the attempt or the pause that is going on; an open connection is received to its end."""
        self._wake.set()
        if self._stream.connection is not None:
            self._stream.close(reason)
        elif self._attempting is not None and not self._attempting.done():
            self._cut_short = True
            self._attempting.cancel()  # nothing can have arrived yet

    async def _one_attempt(self) -> Trouble:
        self._up_for_s, self._cut_short = 0.0, False
        self._attempting = asyncio.create_task(self._attempt(), name="attempt")
        try:
            return await self._attempting
        except asyncio.CancelledError:
            if not self._cut_short:
                raise
            return Trouble("cut-short", "the attempt was cut short")

    async def _attempt(self) -> Trouble:
        """One connection, from settings to its end: why it ended."""
        self._enter("connecting")
        self._reload()
        settings = self._settings
        try:
            settings = await self._keys.sign_in(settings)
            trouble = ended(await self._link.connect(settings))
        except Exception as error:
            trouble = self._judge(error, settings.auth_key)
        finally:
            if self._open_since is not None:
                self._up_for_s, self._open_since = _now_s() - self._open_since, None
                self.longest_s = max(self.longest_s, self._up_for_s)
        if trouble.reason == _KEY_REFUSED:
            _log.info("%s; %s", trouble.message, trouble.hint)  # keys expire: another one is no trouble yet
        elif not self._stopping:
            hint = f" ({trouble.hint})" if trouble.hint else ""
            self._series.failed(f"{trouble.message}{hint}; trying again", worked=self._up_for_s >= STEADY_S)
        self._recorder.observation.lost(now_us(), trouble.reason)
        return trouble

    def _judge(self, error: Exception, key: str) -> Trouble:
        """What to retry; raises what ends the run."""
        verdict = judge(error, proxied=self._stream.proxy is not None)
        if isinstance(verdict, KeyRefused):
            self._reload()  # another one may have been pasted since
            if self._keys.refuse(key, self._settings):
                return Trouble(_KEY_REFUSED, str(verdict), "another key is tried")
        if isinstance(verdict, EeloggerError):
            raise verdict from None
        if verdict.reason == "unexpected" and self._is_news(f"{error.__class__} {_where(error)}"):
            log_defect(_log, "unexpected failure", error)
        return verdict

    def _opened(self, connection: StampedConnection) -> None:
        self._enter("connected")
        self._open_since = _now_s()
        connection.on_backlog = self._backlogged
        _log.info("connected: %s", describe(connection))
        self._series.over("connected again")

    def _enter(self, state: str) -> None:
        self.state, self.state_since_us = state, now_us()

    def _backlogged(self, from_us: int, to_us: int) -> None:
        """Reading was paused because more waited than may be held: figures of that time are tainted."""
        self._recorder.note_gap(Gap("backlog", from_us, to_us, "queue-full"))
        _log.warning("reading was paused for %.1f s: more arrived than could be recorded", (to_us - from_us) / 1e6)

    def _is_news(self, what: str) -> bool:
        news = what not in self._told
        self._told.add(what)
        return news

    def _reload(self) -> None:
        """`.env` is read again, so that a pasted new key needs no restart."""
        try:
            self._settings = self._load()
        except SettingsError as error:
            if self._is_news(str(error)):
                _log.warning("%s; going on with those read before", error)


def _where(error: BaseException) -> str:
    """File and line in which an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


def _now_s() -> float:
    return asyncio.get_running_loop().time()
