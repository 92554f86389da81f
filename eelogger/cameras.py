"""The camera list: from the bytes of the REST answer to the cameras a run logs.

Decides which rows are cameras of ours (type `camera`, attached, an id of 8 hex digits, kept by the settings) and
when a list that shrank is believed. What is subscribed, and when the list is asked for, is `session`'s.
Invariant: any body gives a `CameraList` or a `CloudError`, and a bad row harms no other row.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from .errors import CloudError, NoCamera
from .model import Camera
from .net.rest import Rest
from .settings import Settings, load

LIST_PATH: Final = "/g/device/list"
"""Without a slash at its end: that is answered with 500."""

_MAX_NAME: Final = 1000
_is_id = re.compile(r"[0-9a-fA-F]{8}").fullmatch


@dataclass(frozen=True, slots=True)
class CameraList:
    """A camera list, read: our cameras and the names of bridges by id, and how many rows were skipped why."""

    cameras: dict[str, Camera]
    bridges: dict[str, str]
    skipped: dict[str, int]

    def kept(self, settings: Settings) -> dict[str, Camera]:
        """The cameras that `EEN_CAMERAS` and `EEN_BRIDGES` keep."""
        return {
            camera.id: camera
            for camera in self.cameras.values()
            if settings.keeps(camera, self.bridges.get(camera.bridge, ""))
        }


def parse_device_list(body: bytes | str) -> CameraList:
    """Read the answer of `GET /g/device/list`; raises `CloudError` when it is no JSON array."""
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise CloudError("the camera list cannot be read: no JSON array", "check EEN_BRANDING and EEN_BASE_URL")
    cameras: dict[str, Camera] = {}
    bridges: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    for row in rows:
        reason = _why_not(row, seen)
        if reason == "bridge":
            bridges[row[1]] = _text(row[2])
        if reason:
            skipped[reason] += 1
        else:
            seen.add(row[1].lower())
            cameras[row[1]] = Camera(row[1], _text(row[2]), _bridge_of(row[4]))
    return CameraList(cameras, bridges, dict(skipped))


async def fetch_cameras(rest: Rest) -> CameraList:
    """Ask for the camera list; raises `CloudError` or `KeyRefused`."""
    return parse_device_list((await rest.get(LIST_PATH)).body)


async def get_cameraids(
    branding: str, auth_key: str, *, settings: Settings | None = None, rest: Rest | None = None
) -> dict[str, Camera]:
    """The cameras to log, by id, kept by the settings; raises `NoCamera` when there is none.

    With `rest` its session is used and the first two arguments are not; else one is opened for this call.
    """
    if rest is None:
        async with Rest(_standalone(branding, auth_key, settings)) as own:
            return await get_cameraids(branding, auth_key, rest=own)
    settings = settings or rest.settings
    found = await fetch_cameras(rest)
    cameras = found.kept(settings)
    if not cameras:
        raise no_camera(found)
    return cameras


def _standalone(branding: str, auth_key: str, settings: Settings | None) -> Settings:
    if settings:
        return settings.signed_in(branding, settings.account_id, auth_key)
    # The list is the key's account's; an account id is demanded of a run only.
    return load({"EEN_BRANDING": branding, "EEN_AUTH_KEY": auth_key, "EEN_ACCOUNT_ID": "0"}, None)


def no_camera(found: CameraList) -> NoCamera:
    """The error for a list of which nothing is left, with counts of what it held."""
    rows = [f"{count} {reason}" for reason, count in sorted(found.skipped.items())]
    filtered = len(found.cameras)
    if filtered:
        rows.append(f"{filtered} camera{'s' if filtered > 1 else ''} that EEN_CAMERAS and EEN_BRIDGES leave out")
    held = ", ".join(rows) or "nothing"
    return NoCamera("there is no camera to log", f"the list of this account holds: {held}")


class ListGuard:
    """Believes a camera list that is empty or over 20 % shorter only when the next one agrees."""

    def __init__(self, cameras: dict[str, Camera] | None = None) -> None:
        self.cameras = cameras
        self._doubted: dict[str, Camera] | None = None

    def accept(self, new: dict[str, Camera]) -> dict[str, Camera] | None:
        """The list to go by from now on, or None while `new` is doubted and the old one stays."""
        gone = (self.cameras or {}).keys() - new.keys()
        agreed = self._doubted is not None and not (gone & self._doubted.keys())
        if self.cameras and len(new) * 5 < len(self.cameras) * 4 and not agreed:
            self._doubted = new
            return None
        self.cameras, self._doubted = new, None
        return new


def _why_not(row: Any, seen: set[str]) -> str:
    """Why a row is no camera of ours, as a short token; "" when it is one."""
    if not isinstance(row, list):
        return "not-a-row"
    if len(row) < 6:
        return "short-row"
    if not isinstance(row[1], str) or not _is_id(row[1]):
        return "bad-id"
    if row[3] != "camera":
        return "bridge" if row[3] == "bridge" else "other-device"
    if row[5] != "ATTD":
        return "not-attached"
    # Ids that differ in case only would share a file on some systems.
    return "repeated" if row[1].lower() in seen else ""


def _bridge_of(pairs: Any) -> str:
    """The bridge a camera reports through: of its `[esn, status]` pairs the first attached one, else the first."""
    ids = [
        (pair[0], len(pair) > 1 and pair[1] == "ATTD")
        for pair in (pairs if isinstance(pairs, list) else [])
        if isinstance(pair, list) and pair and isinstance(pair[0], str) and _is_id(pair[0])
    ]
    return next((esn for esn, attached in ids if attached), ids[0][0] if ids else "")


def _text(name: Any) -> str:
    return name[:_MAX_NAME] if isinstance(name, str) else ""
