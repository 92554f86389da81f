"""Keep the camera list fresh, the key alive and the clock sampled."""

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
    """Asks for the camera list and subscribes what is new.

    `left` are the cameras that the server reported an error for: each refresh subscribes them again.
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
        self._stream, self._sink = stream, sink
        self._listed, self._refresh_s = ListedCameras(known), timing.refresh_s
        self._reload, self._on_cameras = reload, on_cameras
        self._listing = FailureSeries(_log)
        self._has_listed = False
        self._doubts: dict[bool, CloudNotice] = {}  # of the key: by the account (True), by a camera
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
            if not (self._has_listed or found.kept(settings)):
                raise no_camera(found)
            self._take(found, is_refresh=False)
        self.left, self._doubts = {}, {}  # all are subscribed anew
        self._ask_now.clear()
        self._use(settings)

    async def run(self, rest: Rest) -> None:
        """Ask for the list now and then, and at once when the stream says that the key is not good."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s + random.random() * min(_SPREAD_S, self._refresh_s)):
                    await self._ask_now.wait()
            doubted = self._ask_now.is_set()
            self._ask_now.clear()
            try:
                found = await fetch_cameras(rest)
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
        before = set(self._sink.cameras)
        self._take(found, is_refresh=True)
        self._use(self._reload())
        now = self._sink.cameras.keys()
        left, self.left = self.left, {}
        await self._stream.change(before - now, sorted((now - before) | (left.keys() & now)))

    def _take(self, found: CameraList, *, is_refresh: bool) -> None:
        self._listing.over("the camera list can be fetched again")
        self._has_listed = True
        self._listed.take(found, is_refresh=is_refresh)

    def _use(self, settings: Settings) -> None:
        before, cameras = self._sink.cameras, self._listed.now.kept(settings)
        if cameras != before:
            self._stream.catch_up()  # what the cameras of the old list have sent is theirs
            gone = before.keys() - cameras.keys()
            for camera_id in gone:
                self._sink.camera_gone(camera_id)
            self._sink.know(cameras)
            added = len(cameras.keys() - before.keys())
            _log.info("the camera list changed: %d added, %d gone, %d now", added, len(gone), len(cameras))
        self._on_cameras(cameras, self._listed.now.bridges)

    def _noticed(self, notice: CloudNotice) -> None:
        camera_id, code, of_account = notice.camera_id, notice.status_code, not notice.camera_id
        camera = self._sink.cameras.get(camera_id)
        if camera is not None and camera_id not in self.left:
            self.left[camera_id] = notice
            self._sink.lost(now_us(), f"error-{code}", camera_id)
        level = logging.DEBUG if (camera_id, code) in self._told else logging.WARNING
        self._told.add((camera_id, code))
        of = "the account" if of_account else f"camera {(camera and camera.name) or camera_id!a}"
        _log.log(level, "the server reports %d for %s: %r", code, of, notice.message)
        # Asked once a connection for each: a thousand cameras may be refused at once, and again and again.
        if code in KEY_TROUBLE and of_account not in self._doubts:
            self._doubts[of_account] = notice
            self._ask_now.set()
