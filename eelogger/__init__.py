"""eelogger: how late the Eagle Eye cloud delivers camera events.

The names a script may build on. They are imported when first used, so that `app.py --help` need not wait for the
network libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .version import __version__

if TYPE_CHECKING:
    from .cameras import get_cameraids
    from .handler import Handler
    from .model import Camera, Verdict
    from .paths import sanitize_filename
    from .stream import EventStream
    from .writer import Writer

__all__ = ["Camera", "EventStream", "Handler", "Verdict", "Writer", "__version__", "get_cameraids", "sanitize_filename"]

_HOMES: Final = {
    "Camera": "model",
    "EventStream": "stream",
    "Handler": "handler",
    "Verdict": "model",
    "Writer": "writer",
    "get_cameraids": "cameras",
    "sanitize_filename": "paths",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
