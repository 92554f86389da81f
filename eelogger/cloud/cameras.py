"""Read the camera list; a bad row harms no other row."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CloudError, KeyRefused, NoCamera
from ..model import Camera, DateSample
from ..settings import Settings, load
from . import Sink
from .failures import KEY_HINT, FailureSeries
from .rest import Rest
from .sign_in import Credentials

_log = logging.getLogger(__name__)
_is_id = re.compile(r"[0-9a-fA-F]{8}").fullmatch


@dataclass(frozen=True, slots=True)
class CameraList:
    """Attached cameras and names of bridges, by id. `skipped` counts rows by reason."""

    cameras: dict[str, Camera] = field(default_factory=dict)
    bridges: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def kept(self, settings: Settings) -> dict[str, Camera]:
        """The cameras that `EEN_CAMERAS` and `EEN_BRIDGES` keep."""
        names = self.bridges
        return {i: camera for i, camera in self.cameras.items() if settings.keeps(camera, names.get(camera.bridge, ""))}


def parse_device_list(rows: Any) -> CameraList:
    """Read the answer of `GET /g/device/list`; raises `CloudError` for no array, or when no row can be read."""
    cameras: dict[str, Camera] = {}
    bridges: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    for row in rows if isinstance(rows, list) else ():
        kind = _kind(row)
        name = row[2][:1000] if kind != "unreadable" and isinstance(row[2], str) else ""
        if kind == "bridge":
            bridges[row[1]] = name
        if kind != "camera":
            skipped[kind] += 1
        elif row[1].lower() in cameras:  # ids that differ in case only would share a file on some systems
            skipped["repeated"] += 1
        else:
            cameras[row[1].lower()] = Camera(row[1], name, _bridge_of(row[4]))
    if not isinstance(rows, list) or (rows and skipped["unreadable"] == len(rows)):
        raise CloudError("the answer is not a camera list", "check EEN_BRANDING and EEN_BASE_URL", reason="camera-list")
    return CameraList({camera.id: camera for camera in cameras.values()}, bridges, +skipped)


async def fetch_cameras(rest: Rest) -> CameraList:
    """Ask for the camera list; raises `CloudError`, or `KeyRefused` for 401 and for a 403 that `isauth` confirms."""
    try:
        # Without a slash at its end: that is answered with 500.
        return parse_device_list(await rest.call("/g/device/list"))
    except CloudError as error:
        if error.status == 403:
            await rest.confirm_key()
        raise


class LoggedCameras:
    """The cameras of a run; `known` are those of the last one, for a start that gets no list."""

    def __init__(self, known: CameraList, sink: Sink) -> None:
        self.now, self._sink = known, sink
        # After each list: the cameras that are logged, and the names of bridges by id.
        self.on_use: Callable[[Mapping[str, Camera], Mapping[str, str]], None] = lambda cameras, bridges: None
        self._missing: set[str] = set()
        self._has_listed = False
        self._failures = FailureSeries()

    async def renew(self, rest: Rest, settings: Settings) -> None:
        """Use a fresh list for the next connection, else the last known one."""
        try:
            found = await fetch_cameras(rest)
            if not (self._has_listed or found.kept(settings)):
                raise no_camera(found)
            self.take(found, is_refresh=False)
        except CloudError as error:
            if not self.now.kept(settings):
                raise
            self.failed(error)
        self.use(settings)

    def failed(self, error: CloudError) -> None:
        """Report that there is no fresh list."""
        self._failures.failed(f"the camera list cannot be fetched: {error} ({error.hint}); going by the last known one")

    def take(self, found: CameraList, *, is_refresh: bool) -> None:
        """Use another list. A camera leaves when two lists in a row lack it: one empty list changes nothing."""
        self._failures.over("the camera list can be fetched again")
        self._has_listed = True
        listed = {camera_id.lower() for camera_id in found.cameras}
        missing = {camera_id for camera_id in self.now.cameras if camera_id.lower() not in listed}
        gone = missing & self._missing if is_refresh else set()  # reconnects may follow within seconds
        self._missing = missing - gone if is_refresh else missing & self._missing
        stay = {camera_id: camera for camera_id, camera in self.now.cameras.items() if camera_id in missing - gone}
        self.now = CameraList(found.cameras | stay, self.now.bridges | found.bridges, found.skipped)

    def use(self, settings: Settings) -> tuple[set[str], set[str]]:
        """Log the cameras that these settings keep; returns which are gone and which are new."""
        before, cameras = self._sink.cameras, self.now.kept(settings)
        gone, added = before.keys() - cameras.keys(), cameras.keys() - before.keys()
        if cameras != before:
            self._sink.know(cameras)
            _log.info("the camera list changed: %d added, %d gone, %d now", len(added), len(gone), len(cameras))
        self.on_use(cameras, self.now.bridges)
        return gone, added


async def sign_in(
    settings: Settings, credentials: Credentials, on_date: Callable[[DateSample], None], *, may_log_in: bool
) -> tuple[Settings, CameraList]:
    """Find a key that reads the camera list. A login may be needed for that."""
    if not (may_log_in or settings.auth_key):
        raise KeyRefused("no key is set, and a login could end the session of the logger at work", KEY_HINT)
    while True:
        signed = await credentials.sign_in(settings)
        try:
            async with Rest(signed, on_date=on_date) as rest:
                return signed, await fetch_cameras(rest)
        except KeyRefused:
            if not (may_log_in and credentials.refuse(signed.auth_key, settings)):
                raise


async def get_cameraids(branding: str, auth_key: str) -> dict[str, Camera]:
    """The attached cameras of the key's account, by id; raises `NoCamera` when there is none."""
    # An account id is demanded of a run only.
    settings = load(environ={"EEN_BRANDING": branding, "EEN_AUTH_KEY": auth_key, "EEN_ACCOUNT_ID": "0"})
    async with Rest(settings) as rest:
        found = await fetch_cameras(rest)
    if not found.cameras:
        raise no_camera(found)
    return found.cameras


def no_camera(found: CameraList) -> NoCamera:
    """The error for a list of which no camera is left."""
    counts = {"left out by EEN_CAMERAS or EEN_BRIDGES": len(found.cameras)} | found.skipped
    rows = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    return NoCamera("there is no camera to log", f"the list of this account holds: {rows or 'nothing'}")


def _kind(row: Any) -> str:
    # "camera" when it is one of ours, else why it is skipped.
    if not (isinstance(row, list) and len(row) > 5 and isinstance(row[1], str) and _is_id(row[1])):
        return "unreadable"
    if row[3] == "camera":
        return "camera" if row[5] == "ATTD" else "not-attached"
    return "bridge" if row[3] == "bridge" else "other-device"


def _bridge_of(pairs: Any) -> str:
    # Of the `[esn, status]` pairs the first attached one, else the first.
    pairs = [pair for pair in pairs if isinstance(pair, list) and pair] if isinstance(pairs, list) else []
    pairs = [pair for pair in pairs if isinstance(pair[0], str) and _is_id(pair[0])]
    pairs.sort(key=lambda pair: pair[1:2] != ["ATTD"])
    return pairs[0][0] if pairs else ""
