"""Has this identity been seen? Remembers a stated window and, beside it, what a server repeats after a reconnect.

The last `WINDOW` identities are remembered, a repeat renews its own; the latest identity of each (camera, four-CC)
is never forgotten, since that is what the initial state of the next subscription holds. Invariant: within the
window, any shuffle with repeats leaves each identity once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

WINDOW: Final = 200_000
# A dict pays for every hole at its front when its first key is looked up, so the oldest leave in batches.
_SLACK = 4096


class Dedup:
    """The identities seen so far; about 30 MB when full of UUIDs."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._recent: dict[str, None] = {}
        self._latest: dict[str, dict[str, str]] = {}

    def seen(self, identity: str, camera_id: str, four_cc: str) -> bool:
        """Whether the identity is known; from now on it is."""
        recent = self._recent
        latest = self._latest.get(four_cc)
        if latest is None:
            latest = self._latest[four_cc] = {}
        if identity in recent:
            del recent[identity]
            recent[identity] = None
            latest[camera_id] = identity
            return True
        known = latest.get(camera_id) == identity
        latest[camera_id] = identity
        recent[identity] = None
        if len(recent) >= self._window + _SLACK:
            self._forget()
        return known

    def restore(self, identities: Iterable[str]) -> None:
        """Take up identities read from disk, oldest first."""
        for identity in identities:
            self._recent.pop(identity, None)
            self._recent[identity] = None
        self._forget()

    def restore_latest(self, camera_id: str, four_cc: str, identity: str) -> None:
        """Take up the latest identity of one (camera, four-CC) read from disk."""
        self._latest.setdefault(four_cc, {})[camera_id] = identity

    def latest(self) -> Iterator[tuple[str, str, str]]:
        """Camera, four-CC and identity of what is never forgotten."""
        for four_cc, by_camera in self._latest.items():
            for camera_id, identity in by_camera.items():
                yield camera_id, four_cc, identity

    def __contains__(self, identity: str) -> bool:
        return identity in self._recent

    def __len__(self) -> int:
        return len(self._recent)

    def _forget(self) -> None:
        for identity in list(islice(self._recent, max(0, len(self._recent) - self._window))):
            del self._recent[identity]
