"""The way to Eagle Eye: no library exception leaves it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from ..model import Camera, CloudNotice, Gap

HEADER_BYTES: Final = 1 << 16  # the longest header line that is accepted, by REST and WebSocket alike

# The library's own setting, with room for the name; it is read when the library is first imported, in here.
os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", str(HEADER_BYTES + 1024))


class Sink(Protocol):
    """What takes messages, and the changes of what is observed."""

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """The cameras that are logged."""

    @property
    def is_behind(self) -> bool:
        """Whether messages should wait: too much that was recorded is not on disk yet."""

    def know(self, cameras: Mapping[str, Camera]) -> None:
        """Log these cameras and no others from now on."""

    def name_namespaces(self, ns_values: Mapping[int, str]) -> None:
        """The names of annotation namespaces."""

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """A subscription begins: of all cameras, or of some on the open connection."""

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """Take one message; returns the errors the server reports in it."""

    def lost(self, at_us: int, reason: str) -> None:
        """Nothing is observed from `at_us` on."""

    def camera_lost(self, camera_id: str, at_us: int, reason: str) -> None:
        """One camera is not observed from `at_us` on."""

    def camera_gone(self, camera_id: str) -> None:
        """The camera left the account."""

    def note_gap(self, gap: Gap) -> None:
        """Figures of this period are tainted."""
