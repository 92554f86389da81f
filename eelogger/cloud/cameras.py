"""Read the camera list; a bad row harms no other row."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import CloudError, KeyRefused, NoCamera
from ..model import Camera, DateSample
from ..settings import Settings, load
from .failures import KEY_HINT
from .rest import Rest
from .sign_in import Credentials, is_authorised

LIST_PATH: Final = "/g/device/list"  # without a slash at its end: that is answered with 500

_MAX_NAME: Final = 1000
_is_id = re.compile(r"[0-9a-fA-F]{8}").fullmatch


@dataclass(frozen=True, slots=True)
class CameraList:
    """Attached cameras and names of bridges, by id, and how many rows were skipped for which reason."""

    cameras: dict[str, Camera] = field(default_factory=dict)
    bridges: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def kept(self, settings: Settings) -> dict[str, Camera]:
        """The cameras that `EEN_CAMERAS` and `EEN_BRIDGES` keep."""
        names = self.bridges
        return {i: camera for i, camera in self.cameras.items() if settings.keeps(camera, names.get(camera.bridge, ""))}


class ListedCameras:
    """The cameras of a run, `now`: new ones come at once, one that is missing from two refreshes in a row leaves.

    So an empty or halved list is never believed at once.
    """

    def __init__(self, known: CameraList) -> None:
        self.now = known
        self._missing: set[str] = set()

    def take(self, found: CameraList, *, is_refresh: bool) -> None:
        """Take up another list; a reconnect's finds no camera missing, since reconnects follow within seconds."""
        listed = {camera_id.lower() for camera_id in found.cameras}
        missing = {camera_id for camera_id in self.now.cameras if camera_id.lower() not in listed}
        gone = missing & self._missing if is_refresh else set()
        self._missing = missing - gone if is_refresh else missing & self._missing
        stay = {camera_id: camera for camera_id, camera in self.now.cameras.items() if camera_id in missing - gone}
        self.now = CameraList(found.cameras | stay, self.now.bridges | found.bridges, found.skipped)


def parse_device_list(body: bytes | str) -> CameraList:
    """Read the answer of `GET /g/device/list`; raises `CloudError` for no JSON array, or when no row can be read."""
    cameras: dict[str, Camera] = {}
    bridges: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        rows = None
    for row in rows if isinstance(rows, list) else ():
        kind = _kind(row)
        if kind == "bridge":
            bridges[row[1]] = _text(row[2])
        # Ids that differ in case only would share a file on some systems.
        if kind == "camera" and row[1].lower() in cameras:
            kind = "repeated"
        if kind == "camera":
            cameras[row[1].lower()] = Camera(row[1], _text(row[2]), _bridge_of(row[4]))
        else:
            skipped[kind] += 1
    if not isinstance(rows, list) or (rows and skipped["unreadable"] == len(rows)):
        message = f"the camera list cannot be read: {'no row is one' if rows else 'no JSON array'}"
        raise CloudError(message, "check EEN_BRANDING and EEN_BASE_URL", reason="camera-list")
    return CameraList({camera.id: camera for camera in cameras.values()}, bridges, +skipped)


async def fetch_cameras(rest: Rest) -> CameraList:
    """Ask for the camera list; raises `CloudError`, or `KeyRefused` for 401 and for a 403 that `isauth` confirms."""
    try:
        answer = await rest.get(LIST_PATH)
    except CloudError as error:
        if error.status == 403 and not await is_authorised(rest):
            raise KeyRefused(f"{rest.host} does not accept the key (status 403)", KEY_HINT) from None
        raise
    return parse_device_list(answer.body)


async def sign_in(
    settings: Settings, credentials: Credentials, on_date: Callable[[DateSample], None], *, may_log_in: bool
) -> tuple[Settings, CameraList]:
    """Find a key that reads the camera list, if need be by a login that is allowed."""
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
    rows = [f"{count} {reason}" for reason, count in sorted(found.skipped.items())]
    if filtered := len(found.cameras):
        rows.append(f"{filtered} camera{'s' if filtered > 1 else ''} that EEN_CAMERAS and EEN_BRIDGES leave out")
    return NoCamera("there is no camera to log", f"the list of this account holds: {', '.join(rows) or 'nothing'}")


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


def _text(name: Any) -> str:
    return name[:_MAX_NAME] if isinstance(name, str) else ""
