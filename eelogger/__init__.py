"""eelogger: how late the Eagle Eye cloud delivers camera events."""

import time
from importlib import import_module
from typing import Any, Final

__version__ = "0.1.0"
STARTED_S: Final = time.time()  # when the process began, in seconds since 1970

# What a script may build on is imported when first used: `--help` need not wait for the network libraries.
_HOMES: Final = {
    "connect_and_log": "script",
    "get_cameraids": "cloud.cameras",
    "handle_event": "script",
    "log_event_data": "script",
    "log_processed_event_uuid": "script",
    "sanitize_filename": "storage.paths",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
