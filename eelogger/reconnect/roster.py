"""Which cameras are logged: the list of the cloud, believed with care, and who of them left the session.

Decides additions, removals and renames between two lists, and when a camera the server reported an error for is
tried again; rows are read by `cameras`, subscriptions sent by `stream`. Invariant: what is subscribed is what the
recorder knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

from ..cameras import CameraList, ListGuard, fetch_cameras, no_camera
from ..clock import now_us
from ..errors import CloudError
from ..model import Camera, CloudNotice
from ..net.rest import Rest
from ..recorder import Recorder
from ..settings import Settings
from ..stream import EventStream
from .series import Series

_NAMED: Final = 5

_log = logging.getLogger(__name__)


class Roster:
    """The cameras of a run; `known` are those of the last one, for when the list cannot be had."""

    def __init__(
        self,
        recorder: Recorder,
        stream: EventStream,
        known: dict[str, Camera],
        on_change: Callable[[dict[str, Camera]], None],
    ) -> None:
        self.left: dict[str, CloudNotice] = {}
        self._recorder = recorder
        self._stream = stream
        self._guard = ListGuard(known or None)
        self._on_change = on_change
        self._fetching = Series(_log)
        self._shrinking = Series(_log)
        self._failing: dict[str, int] = {}
        """Cameras whose error has been told, by its status; one stays here until it got through a refresh without."""

    async def before_connecting(self, rest: Rest, settings: Settings) -> None:
        """Take up a fresh list, or go by the last known one; raises `NoCamera`, `KeyRefused` or `CloudError`."""
        try:
            found = await self._fetch(rest)
        except CloudError as error:
            if not self._guard.cameras:
                raise
            self._fetching.failed(f"the camera list cannot be fetched ({error}); going by the last known one")
            found = None
        self.left = {}  # all are subscribed anew
        if found is None:
            self._take(self._guard.cameras or {})
            return
        self._tell_skipped(found)
        kept = found.kept(settings)
        if not kept and not self._recorder.cameras:
            raise no_camera(found)
        # Reconnects follow each other within seconds: they may doubt a shrunken list, only a refresh may agree with it.
        doubtful = ListGuard(self._guard.cameras).accept(kept) is None
        self._take(self._doubted(kept) if doubtful else self._believed(kept))

    async def refresh(self, rest: Rest, settings: Settings) -> None:
        """Take up a fresh list on the open connection, the old one when it cannot be had; raises `KeyRefused`."""
        try:
            found = await self._fetch(rest)
        except CloudError as error:
            self._fetching.failed(f"the camera list cannot be refreshed: {error} ({error.hint})")
            return
        before = set(self._recorder.cameras)
        self._take(self._believed(found.kept(settings)))
        now = self._recorder.cameras.keys()
        if gone := before - now:
            await self._stream.drop(gone)
        again = self.left.keys() & now
        self._tell_recovered()
        self.left = {}
        await self._stream.add(sorted((now - before) | again))

    def camera_left(self, notice: CloudNotice) -> None:
        """The server reported an error for a camera: it has left the session until the next refresh."""
        camera = self._recorder.cameras.get(notice.camera_id)
        if camera is None or notice.camera_id in self.left:
            return
        self.left[notice.camera_id] = notice
        self._recorder.observation.camera_lost(notice.camera_id, now_us(), f"error-{notice.status_code}")
        told = self._failing.get(notice.camera_id) == notice.status_code
        self._failing[notice.camera_id] = notice.status_code
        _log.log(
            logging.DEBUG if told else logging.WARNING,
            "camera %s left the session: %d %r; it is subscribed again at each refresh",
            _name(camera),
            notice.status_code,
            notice.message,
        )

    async def _fetch(self, rest: Rest) -> CameraList:
        found = await fetch_cameras(rest)
        self._fetching.over("the camera list can be fetched again")
        return found

    def _believed(self, new: dict[str, Camera]) -> dict[str, Camera]:
        believed = self._guard.accept(new)
        if believed is None:
            return self._doubted(new)
        self._shrinking.over("the camera list is believed again")
        return believed

    def _doubted(self, new: Collection[str]) -> dict[str, Camera]:
        known = self._guard.cameras or {}
        self._shrinking.failed(
            f"the camera list shrank from {len(known)} to {len(new)}; believed when two refreshes agree"
        )
        return known

    def _take(self, cameras: dict[str, Camera]) -> None:
        before = self._recorder.cameras
        if cameras == before:
            return
        self._stream.catch_up()  # what the cameras of the old list have sent is theirs
        gone = before.keys() - cameras.keys()
        for camera_id in gone:
            self._recorder.observation.camera_gone(camera_id)
            self._failing.pop(camera_id, None)
        self._recorder.know(cameras)
        self._on_change(cameras)
        renamed = sum(camera.name != cameras[camera.id].name for camera in before.values() if camera.id in cameras)
        _log.info(
            "the camera list changed: %d added, %d gone, %d renamed, %d now",
            len(cameras.keys() - before.keys()),
            len(gone),
            renamed,
            len(cameras),
        )

    def _tell_skipped(self, found: CameraList) -> None:
        """Rows that are no camera of ours; at the first list for everybody, then only when asked for more."""
        skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(found.skipped.items()))
        if skipped:
            level = logging.DEBUG if self._recorder.cameras else logging.INFO
            _log.log(level, "the camera list holds beside cameras to log: %s", skipped)

    def _tell_recovered(self) -> None:
        """Who has been subscribed since the last refresh and reported no error is in the session again."""
        recovered = self._failing.keys() - self.left.keys()
        for camera_id in recovered:
            del self._failing[camera_id]
        if recovered:
            names = [_name(self._recorder.cameras[camera_id]) for camera_id in sorted(recovered)[:_NAMED]]
            more = f" and {len(recovered) - _NAMED} more" if len(recovered) > _NAMED else ""
            _log.warning("in the session again: %s%s", ", ".join(names), more)


def _name(camera: Camera) -> str:
    return ascii(camera.name or camera.id)
