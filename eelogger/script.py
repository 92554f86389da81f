"""Offer the program's parts to a script, with their own state."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

from .cloud.cameras import get_cameraids
from .measure.handler import Handler
from .model import NAMESPACES, Verdict
from .run import Run
from .settings import ENV_FILE, load, log_dir_of
from .storage.disk import append
from .storage.formats import quote, stream_line
from .storage.paths import LogPaths, sanitize_filename

__all__ = ["get_cameraids", "sanitize_filename"]

_handler: Final = Handler(("ANNT", "ALRS"), None, NAMESPACES)


def handle_event(camera_id: str, event_data: dict[str, Any], timestamp: int) -> Verdict:
    """Judge one event: a four-CC's object with its `type` added; `timestamp` is its arrival in µs since 1970."""
    return _handler.handle_event(camera_id, event_data, timestamp)


def log_event_data(
    camera_id: str, cam_data: dict[str, Any], timestamp: int, stream_logs: Mapping[str, TextIO]
) -> list[Verdict]:
    """Write the camera's stream line and judge each of its events; raises `MessageError` for data nested too deep."""
    stream_logs[camera_id].write(stream_line(timestamp, cam_data))
    return _handler.judge(camera_id, cam_data, timestamp)[0]


def log_processed_event_uuid(event_uuid: str) -> None:
    """Append an identity to `processed_event_uuids.log` of the log directory that is set; `OSError` passes."""
    paths = LogPaths(log_dir_of(ENV_FILE, None))
    append(os.fspath(paths.uuids), f"{quote(event_uuid)}\n".encode())


async def connect_and_log(uri: str, ns_values: Mapping[int, str]) -> None:
    """Log the events from the origin of `uri` until cancelled; `ns_values` names annotation namespaces."""
    parts = urlsplit(uri)
    origin = f"{'http' if parts.scheme == 'ws' else 'https'}://{parts.netloc}"
    settings = replace(load(ENV_FILE), base_url=origin, namespace_names=tuple(ns_values.items()))
    await Run(settings).run()
