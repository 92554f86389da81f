"""Talk to Eagle Eye; no library exception leaves this room."""

import os
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from ..model import Camera, CloudNotice, Gap

HEADER_BYTES: Final = 1 << 16  # the longest header line that is accepted, by REST and WebSocket alike

# The library's own setting, with room for the name; it is read when the library is first imported, in here.
os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", str(HEADER_BYTES + 1024))


class Sink(Protocol):
    """Takes the messages, and is told what is observed; all times are in µs."""

    @property
    def cameras(self) -> Mapping[str, Camera]: ...  # those that are logged
    @property
    def is_behind(self) -> bool: ...  # too much is not on disk yet: messages should wait
    def know(self, cameras: Mapping[str, Camera]) -> None: ...  # log these cameras and no others from now on
    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None: ...  # None: to all cameras
    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]: ...  # its errors
    def lost(self, at_us: int, reason: str, camera_id: str = "") -> None: ...  # not observed any more; "": no camera is
    def note_gap(self, gap: Gap) -> None: ...  # figures of this period are tainted
