"""Keep the camera list fresh, the key alive and the clock sampled."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from ..clock import now_us
from ..errors import CloudError, EeloggerError
from ..model import Camera, CloudNotice, Timing
from ..settings import Settings
from . import Sink
from .cameras import CameraList, ListedCameras, fetch_cameras, no_camera
from .failures import FailureSeries, log_defect
from .rest import Rest
from .stream import EventStream

KEY_TROUBLE: Final = frozenset({401, 412})
# Refreshes come up to this much later: a `Date` header has whole seconds, and different fractions bound the clock.
_SPREAD_S: Final = 1.0

_log = logging.getLogger(__name__)


class Refresher:
    """The cameras of a run, list after list; `left` are those that the server reported an error for.

    Cameras that left the session are subscribed again at each refresh.
    """

    def __init__(
        self,
        stream: EventStream,
        sink: Sink,
        known: CameraList,
        timing: Timing,
        reload: Callable[[], Settings],
        on_cameras: Callable[[Mapping[str, Camera], Mapping[str, str]], None],
    ) -> None:
        self.left: dict[str, CloudNotice] = {}
        self._stream = stream
        self._sink = sink
        self._listed = ListedCameras(known, timing.refresh_s)
        self._refresh_s = timing.refresh_s
        self._reload = reload
        self._on_cameras = on_cameras
        self._reported: object = None
        self._listing = FailureSeries(_log)
        self._has_listed = False
        self._doubts: dict[bool, CloudNotice] = {}
        self._ask_now = asyncio.Event()
        self._told: set[tuple[str, int]] = set()
        stream.on_notice = self._noticed

    async def list_cameras(self, rest: Rest, settings: Settings) -> None:
        """Take up a fresh list, or go by the last known one."""
        try:
            found = await fetch_cameras(rest)
        except CloudError as error:
            if not self._listed.now.kept(settings):
                raise
            self._listing.failed(f"the camera list cannot be fetched ({error}); going by the last known one")
        else:
            self._listing.over("the camera list can be fetched again")
            if not self._has_listed:
                if not found.kept(settings):
                    raise no_camera(found)
                _log.info("the camera list holds beside cameras to log: %s", found.skipped or "nothing")
            self._has_listed = True
            self._listed.take(found, asyncio.get_running_loop().time())
        self.left, self._doubts = {}, {}  # all are subscribed anew
        self._ask_now.clear()
        self._use(settings)

    async def run(self, rest: Rest) -> None:
        """Ask for the list now and then, and at once when the stream says that the key is not good.

        It keeps the key alive, finds a dead one, and samples the clock.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s + random.random() * min(_SPREAD_S, self._refresh_s)):
                    await self._ask_now.wait()
            doubted = self._ask_now.is_set()
            self._ask_now.clear()
            try:
                found = await fetch_cameras(rest)
                self._listing.over("the camera list can be fetched again")
                if not doubted:
                    await self._refresh(found)
            except CloudError as error:
                self._listing.failed(f"the camera list cannot be refreshed: {error} ({error.hint})")
            except EeloggerError as error:
                self._stream.close(error.reason)  # the next attempt meets it again, or finds another key
            except Exception as error:
                # Without refreshes the key dies: they go on, whatever is wrong with one.
                log_defect(_log, "unexpected failure of a refresh", error)
            if doubted and (of_account := self._doubts.get(True)):
                self._stream.close(f"error-{of_account.status_code}")

    async def _refresh(self, found: CameraList) -> None:
        """Take up a list on the open connection; filters may have changed in `.env`."""
        before = set(self._sink.cameras)
        self._has_listed = True
        self._listed.take(found, asyncio.get_running_loop().time())
        self._use(self._reload())
        now = self._sink.cameras.keys()
        if gone := before - now:
            await self._stream.drop(gone)
        again = self.left.keys() & now
        self.left = {}
        await self._stream.add(sorted((now - before) | again))

    def _use(self, settings: Settings) -> None:
        """Log the listed cameras that the filters keep, from now on."""
        before, cameras = self._sink.cameras, self._listed.now.kept(settings)
        if cameras != before:
            self._stream.catch_up()  # what the cameras of the old list have sent is theirs
            gone = before.keys() - cameras.keys()
            for camera_id in gone:
                self._sink.camera_gone(camera_id)
            renamed = sum(camera.name != cameras[camera.id].name for camera in before.values() if camera.id in cameras)
            numbers = len(cameras.keys() - before.keys()), len(gone), renamed, len(cameras)
            self._sink.know(cameras)
            _log.info("the camera list changed: %d added, %d gone, %d renamed, %d now", *numbers)
        bridges = self._listed.now.bridges
        if (cameras, bridges) != self._reported:
            self._reported = cameras, bridges
            self._on_cameras(cameras, bridges)

    def _noticed(self, notice: CloudNotice) -> None:
        """The server reported an error inside the stream."""
        code, of_account = notice.status_code, not notice.camera_id
        if of_account:
            self._tell(notice, "the server reports %d: %r", code, notice.message)
        else:
            self._camera_left(notice)
        # Asked once a connection for each: a thousand cameras may be refused at once, and again and again.
        if code in KEY_TROUBLE and of_account not in self._doubts:
            self._doubts[of_account] = notice
            self._ask_now.set()

    def _camera_left(self, notice: CloudNotice) -> None:
        """The server reported an error for a camera: it has left the session until the next refresh."""
        camera, code = self._sink.cameras.get(notice.camera_id), notice.status_code
        if camera is None or camera.id in self.left:
            return
        self.left[camera.id] = notice
        self._sink.camera_lost(camera.id, now_us(), f"error-{code}")
        text = "camera %a left the session: %d %r; it is subscribed again at each refresh"
        self._tell(notice, text, camera.name or camera.id, code, notice.message)

    def _tell(self, notice: CloudNotice, text: str, *values: object) -> None:
        """An error of a camera, or of the account, is a warning once."""
        error = notice.camera_id, notice.status_code
        _log.log(logging.DEBUG if error in self._told else logging.WARNING, text, *values)
        self._told.add(error)
