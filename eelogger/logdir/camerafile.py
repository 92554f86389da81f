"""Which cameras a log directory knows: from `cameras.json`, else as far as the names of their files tell.

When the file is written is for `snapshots`. Invariant: what cannot be read is skipped, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ..model import Camera
from ..paths import LogPaths, is_camera_id
from .blocks import read_file


def read_cameras(paths: LogPaths) -> dict[str, Camera]:
    """The content of `cameras.json` by id, as far as it is one; other versions may know more or less of a camera."""
    try:
        rows = json.loads(read_file(paths.cameras))
    except (OSError, ValueError, RecursionError):
        return {}
    return {
        camera_id: Camera(camera_id, str(row.get("name", "")), str(row.get("bridge", "")))
        for camera_id, row in (rows.items() if isinstance(rows, dict) else ())
        if isinstance(row, dict) and is_camera_id(camera_id)
    }


def cameras_of(stems: Mapping[str, list[str]]) -> dict[str, Camera]:
    """Cameras by id, called as their files are."""
    return {camera_id: Camera(camera_id, found[-1].removesuffix(f"_{camera_id}")) for camera_id, found in stems.items()}


def cameras_text(cameras: Iterable[Camera]) -> str:
    """The content of `cameras.json`."""
    rows = {camera.id: {"name": camera.name, "bridge": camera.bridge} for camera in cameras}
    return json.dumps(rows, indent=0, sort_keys=True) + "\n"
