"""Connect again and again: fresh settings, key and camera list each time."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress

from ..clock import now_us
from ..errors import CloudError, EeloggerError, KeyRefused, SettingsError
from ..model import Camera, DateSample, Gap, Timing
from ..settings import Settings
from . import Sink
from .cameras import CameraList
from .connection import StampedConnection
from .failures import ACCOUNT_HINT, KEY_HINT, Backoff, FailureSeries, ended, failure, log_defect
from .refresher import Refresher
from .rest import Rest
from .sign_in import Credentials, is_authorised
from .stream import EventStream

_log = logging.getLogger(__name__)


class Session:
    """One connection after another until `stop`, or until an error that no retry can mend.

    `on_cameras` gets the cameras that are logged and the names of bridges by id, after each list. `known` are those of
    the last run: a start that gets no camera list goes on with them.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        sink: Sink,
        credentials: Credentials,
        *,
        known: CameraList | None = None,
        timing: Timing | None = None,
        on_date: Callable[[DateSample], None] = lambda sample: None,
        on_rtt: Callable[[int], None] = lambda rtt_us: None,
        on_lag: Callable[[int], None] = lambda lag_us: None,
        on_cameras: Callable[[Mapping[str, Camera], Mapping[str, str]], None] = lambda cameras, bridges: None,
    ) -> None:
        self._enter("connecting")
        self.longest_s = 0.0  # how long the longest ended connection lasted
        self._load, self._settings, self._credentials = load, settings, credentials
        self._sink, self._on_date = sink, on_date
        self._timing = timing = timing or Timing()
        self._stream = EventStream(sink, timing)
        self._stream.on_open, self._stream.on_rtt, self._stream.on_lag = self._opened, on_rtt, on_lag
        self.refresher = Refresher(self._stream, sink, known or CameraList(), timing, self._reload, on_cameras)
        self._backoff = Backoff(timing)
        self._connecting = FailureSeries(_log)
        self._told: set[str] = set()
        self._wake = asyncio.Event()
        self._stopping = self._has_connected = False
        self._attempting: asyncio.Timeout | None = None
        self._connection: StampedConnection | None = None

    @property
    def queued_bytes(self) -> int:
        """Bytes of the messages that have arrived and were not yet taken."""
        return self._stream.connection.queued_bytes if self._stream.connection else 0

    async def run(self) -> None:
        """Attempt after attempt until stopped; raises the `EeloggerError` that ends the run."""
        while not self._stopping:
            failed = await self._one_attempt()
            if self._stopping:
                return
            self._enter("waiting to connect")
            retry_after_s = failed.retry_after_s if isinstance(failed, CloudError) else None
            with suppress(TimeoutError):
                async with asyncio.timeout(self._backoff.next_delay(*self._lasted(), retry_after_s)):
                    await self._wake.wait()
            # Not before waiting: who wants to connect at once may have said so while the old connection was closed.
            self._wake.clear()

    def stop(self) -> None:
        """End once what has arrived is recorded."""
        self._stopping = True
        self._enter("stopping")
        self._leave("stopped")

    def woke_up(self) -> None:
        """Leave a connection that probably died while this machine slept, and connect again at once."""
        self._leave("suspend")

    def _leave(self, reason: str) -> None:
        # Ends the attempt or the pause that is going on; an open connection is received to its end.
        self._wake.set()
        if self._stream.connection is not None:
            self._stream.close(reason)
        elif self._attempting is not None:
            self._attempting.reschedule(0)  # nothing can have arrived yet

    async def _one_attempt(self) -> EeloggerError:
        self._connection = None
        try:
            async with asyncio.timeout(None) as self._attempting:
                return await self._attempt()
        except TimeoutError:
            return CloudError("the attempt was cut short", reason="cut-short")
        finally:
            self._attempting = None
            self.longest_s = max(self.longest_s, self._lasted()[0])

    async def _attempt(self) -> EeloggerError:
        """Sign in, connect, log: why it ended; raises what no retry can mend."""
        self._enter("connecting")
        settings = self._settings = self._reload()
        failed: EeloggerError
        try:
            settings = await self._credentials.sign_in(settings)
            failed = ended(await self._connect(settings))
        except EeloggerError as error:
            failed = error
        except Exception as error:
            failed = failure(error, "the cloud")
            # One defect is told from another by the line that raised it.
            defect = f"{type(error)} {traceback.extract_tb(error.__traceback__)[-1:]}"
            if defect not in self._told:
                log_defect(_log, "unexpected failure", error)
            self._told.add(defect)
        if isinstance(failed, KeyRefused):
            # Another one may have been pasted since.
            if not self._credentials.refuse(settings.auth_key, self._reload()):
                raise failed
            _log.info("%s; another key is tried", failed)  # keys expire: another one is no trouble yet
        elif not isinstance(failed, (CloudError, SettingsError)):
            raise failed
        elif not self._stopping and failed.reason != KeyRefused.reason:
            worked = self._lasted()[0] >= self._timing.longest_retry_s
            text = f"{failed} ({failed.hint}); trying again"
            self._connecting.failed(" ".join(text.split()), worked=worked)
        return failed

    async def _connect(self, settings: Settings) -> str:
        async with Rest(settings, on_date=self._on_date) as rest:
            await self.refresher.list_cameras(rest, settings)
            refresher = asyncio.create_task(self.refresher.run(rest), name="refresh")
            try:
                return await self._stream.connect_and_log(settings, self._sink.cameras)
            except (KeyRefused, CloudError) as error:
                await self._doubt_refusal(error, rest)
                raise
            finally:
                refresher.cancel()
                await asyncio.gather(refresher, return_exceptions=True)

    async def _doubt_refusal(self, error: EeloggerError, rest: Rest) -> None:
        # A gateway may refuse a handshake too: only the cloud's REST side knows the key.
        status = 401 if isinstance(error, KeyRefused) else getattr(error, "status", None)
        if status not in (401, 403):
            return
        if not await is_authorised(rest):
            raise KeyRefused(f"the event stream refuses the key (status {status})", KEY_HINT) from None
        message = f"the event stream answers {status}, though the key is good"
        if status == 401 and not self._has_connected:
            raise KeyRefused(message, ACCOUNT_HINT) from None
        raise CloudError(message, ACCOUNT_HINT, reason=f"http-{status}", status=status) from None

    def _opened(self, connection: StampedConnection) -> None:
        self._enter("connected")
        self._connection, self._has_connected = connection, True
        connection.on_backlog = self._backlogged
        _log.info("connected: peer=%s tls=%s", connection.remote_address, connection.tls)
        self._connecting.over("connected again")

    def _backlogged(self, from_us: int, to_us: int) -> None:
        self._sink.note_gap(Gap("backlog", from_us, to_us, "queue-full"))
        _log.warning("reading was paused for %.1f s: more arrived than could be recorded", (to_us - from_us) / 1e6)

    def _lasted(self) -> tuple[float, float]:
        # For how long the latest connection was open, and for how long of that it brought data; 0 without one.
        if (connection := self._connection) is None:
            return 0.0, 0.0
        return connection.loop.time() - connection.opened_s, connection.last_message_s - connection.opened_s

    def _enter(self, state: str) -> None:
        self.state, self.state_since_us = state, now_us()

    def _reload(self) -> Settings:
        try:
            self._settings = self._load()
        except SettingsError as error:
            if str(error) not in self._told:
                _log.warning("%s; going on with those read before", error)
            self._told.add(str(error))
        return self._settings
