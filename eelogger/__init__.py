"""eelogger: how late the Eagle Eye cloud delivers camera events."""

import time
from importlib import import_module
from typing import Any, Final

__version__ = "0.1.0"
STARTED_S: Final = time.time()  # when the process began, in seconds since 1970

# What a script may build on, in the module `script`; it is imported late, since `--help` need not wait for libraries.
__all__ = ["connect_and_log", "get_cameraids", "handle_event", "log_event_data", "log_processed_event_uuid"]
__all__ += ["sanitize_filename"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".script", __name__), name)
