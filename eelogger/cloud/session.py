"""Connect again and again: fresh settings, key and camera list each time."""

import asyncio
import logging
import random
import traceback
from collections.abc import Callable
from contextlib import suppress

from ..clock import now_us
from ..errors import CloudError, EeloggerError, KeyRefused, SettingsError
from ..model import CloudNotice, DateSample, Timing
from ..settings import Settings
from . import Sink
from .cameras import CameraList, LoggedCameras, fetch_cameras
from .connection import Received
from .failures import ACCOUNT_HINT, FailureSeries, ended, failure, log_defect, pauses
from .loop_delay import LagMeter, threshold_us
from .rest import Rest
from .sign_in import Credentials
from .stream import EventStream, open_connection

_log = logging.getLogger(__name__)


class Session:
    """One connection after another until `stop` or an error that ends the run."""

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        sink: Sink,
        credentials: Credentials,
        known: CameraList,
        timing: Timing,
    ) -> None:
        self._enter("connecting")
        self.on_date: Callable[[DateSample], None] = lambda sample: None
        self.on_rtt: Callable[[int], None] = lambda rtt_us: None
        self.cameras = LoggedCameras(known, sink)
        self.lag = LagMeter()
        self.left: dict[str, CloudNotice] = {}  # cameras with an error: each refresh subscribes them again
        self._load, self._settings, self._credentials = load, settings, credentials
        self._sink, self._timing = sink, timing
        self._pauses, self._failures = pauses(timing), FailureSeries()
        self._threshold_us = threshold_us()
        self._told: set[object] = set()
        self._doubts: dict[bool, CloudNotice] = {}  # notices on the key: for the account (True), for a camera
        self._wake, self._ask_now = asyncio.Event(), asyncio.Event()
        self._stopping = self._has_connected = False
        self._attempting: asyncio.Timeout | None = None
        self._stream: EventStream | None = None

    @property
    def queued_bytes(self) -> int:
        """Bytes of the messages that have arrived and were not yet taken."""
        return self._stream.connection.queued_bytes if self._stream else 0

    async def run(self) -> None:
        """Attempt after attempt until stopped; raises the `EeloggerError` that ends the run."""
        while not self._stopping:
            try:
                async with asyncio.timeout(None) as self._attempting:
                    failed = await self._attempt()
            except TimeoutError:
                failed = CloudError("the attempt was cut short", reason="cut-short")
            finally:
                self._attempting = None
            if self._stopping:
                return
            self._enter("waiting to connect")
            with suppress(TimeoutError):
                async with asyncio.timeout(max(next(self._pauses), failed.retry_after_s)):
                    await self._wake.wait()
            # Cleared after the wait: somebody may have asked to connect at once while the old connection was closed.
            self._wake.clear()

    def stop(self) -> None:
        """End once what has arrived is recorded."""
        self._stopping = True
        self._enter("stopping")
        self.leave("stopped")

    def leave(self, reason: str) -> None:
        """End the attempt or pause that is going on and begin another; an open connection is received to its end."""
        self._wake.set()
        if self._stream is not None:
            self._stream.close(reason)
        elif self._attempting is not None:
            self._attempting.reschedule(0)  # nothing can have arrived yet

    async def _attempt(self) -> EeloggerError:
        """Sign in, connect, log: why it ended; raises what no retry can mend."""
        self._enter("connecting")
        settings = self._reload()
        failed: EeloggerError
        try:
            settings = await self._credentials.sign_in(settings)
            failed = ended(await self._connect(settings))
        except EeloggerError as error:
            failed = error
        except Exception as error:
            failed = failure(error, "the cloud")
            # The line that raised a defect tells it from others.
            if self._is_news(f"{type(error)} {traceback.extract_tb(error.__traceback__)[-1:]}"):
                log_defect("unexpected failure", error)
        if isinstance(failed, KeyRefused):
            # Another key may have been pasted since.
            if not self._credentials.refuse(settings.auth_key, self._reload()):
                raise failed
            _log.info("%s; another key is tried", failed)  # keys expire: using another one is not a failure yet
        elif not isinstance(failed, CloudError):
            raise failed
        elif not self._stopping and failed.reason != KeyRefused.reason:
            self._failures.failed(" ".join(f"{failed} ({failed.hint}); trying again".split()))
        return failed

    async def _connect(self, settings: Settings) -> str:
        """Log until the connection ends; returns why."""
        async with Rest(settings, on_date=self.on_date) as rest:
            await self.cameras.renew(rest, settings)
            self.left, self._doubts = {}, {}  # all are subscribed anew
            self._ask_now.clear()
            try:
                connection = await open_connection(settings, self._timing)
            except (KeyRefused, CloudError) as error:
                # A gateway may refuse a handshake too: only the cloud's REST side knows the key.
                if error.status not in (401, 403):
                    raise
                await rest.confirm_key()
                message = f"the event stream answers {error.status}, though the key is good"
                is_fatal = error.status == 401 and not self._has_connected
                raise (KeyRefused if is_fatal else CloudError)(message, ACCOUNT_HINT) from None
            connection.on_rtt = self.on_rtt
            stream = self._stream = EventStream(connection, settings, self._sink, self._timing, self._hand_on)
            stream.beside(self._refresh(rest, stream), "refresh")
            self._has_connected = True
            self._enter("connected")
            self._failures.over("connected again")
            try:
                return await stream.log(self._sink.cameras)
            finally:
                self._stream = None
                # A handshake proves nothing; a quiet account is believed when it was open for the longest pause.
                up_s, timing = connection.loop.time() - connection.opened_s, self._timing
                brought_data_s = connection.last_message_s - connection.opened_s
                if brought_data_s >= timing.steady_s or up_s >= timing.longest_retry_s:
                    self._pauses = pauses(timing)

    async def _refresh(self, rest: Rest, stream: EventStream) -> None:
        """Fetch the camera list regularly, and at once when the stream refuses the key."""
        while True:
            # Up to a second later: a `Date` header has whole seconds, and different fractions bound the clock.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.refresh_s * (1 + random.random() / 300)):
                    await self._ask_now.wait()
            doubted = self._ask_now.is_set()
            self._ask_now.clear()
            try:
                found = await fetch_cameras(rest)
                if not doubted:
                    self.cameras.take(found, is_refresh=True)
                    settings = self._reload()
                    if self.cameras.now.kept(settings) != self._sink.cameras:
                        stream.flush()  # what the cameras of the old list have sent is theirs
                    gone, added = self.cameras.use(settings)
                    again, self.left = self.left.keys() & self._sink.cameras.keys(), {}
                    await stream.change(gone, added | again)
            except CloudError as error:
                self.cameras.failed(error)
            except EeloggerError as error:
                stream.close(error.reason)  # the next attempt meets it again, or finds another key
            except Exception as error:
                # Without refreshes the key dies: they go on, whatever is wrong with one.
                log_defect("unexpected failure of a refresh", error)
            if doubted and (of_account := self._doubts.get(True)):
                stream.close(f"error-{of_account.status_code}")

    def _hand_on(self, received: Received) -> None:
        data, arrived_us, lag_us = received
        self.lag.note(lag_us)
        for notice in self._sink.record(data, arrived_us, lag_us if lag_us > self._threshold_us else None):
            self._noticed(notice)

    def _noticed(self, notice: CloudNotice) -> None:
        camera_id, code, of_account = notice.camera_id, notice.status_code, not notice.camera_id
        camera = self._sink.cameras.get(camera_id)
        if camera is not None and camera_id not in self.left:
            self.left[camera_id] = notice
            self._sink.lost(now_us(), f"error-{code}", camera_id)
        of = "the account" if of_account else f"camera {(camera and camera.name) or camera_id!a}"
        level = logging.WARNING if self._is_news((camera_id, code)) else logging.DEBUG
        _log.log(level, "the server reports %d for %s: %r", code, of, notice.message)
        # Asked once a connection for each: a thousand cameras may be refused at once, and again and again.
        if code in (401, 412) and of_account not in self._doubts:
            self._doubts[of_account] = notice
            self._ask_now.set()

    def _enter(self, state: str) -> None:
        self.state, self.state_since_us = state, now_us()

    def _reload(self) -> Settings:
        try:
            self._settings = self._load()
        except SettingsError as error:
            if self._is_news(str(error)):
                _log.warning("%s; going on with those read before", error)
        return self._settings

    def _is_news(self, what: object) -> bool:
        is_news = what not in self._told
        self._told.add(what)
        return is_news
