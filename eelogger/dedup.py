"""Has this identity been seen? Remembers a stated window and, beside it, what a server repeats after a reconnect.

The last `WINDOW` identities are remembered and some more, a repeat renews its own; the latest identity of each (camera,
four-CC) is never forgotten, since that is what the initial state of the next subscription holds. Invariant: within the
window, any shuffle with repeats leaves each identity once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

WINDOW: Final = 200_000
_PARTS: Final = 4
"""The window goes in parts, a whole one at a time. One dict in the order of sights would be simpler, but forgetting
leaves holes in it, and whenever those fill up its table of 15 MB is made anew beside the old one, for 10 ms."""
_MOST_PARTS: Final = 2 * _PARTS
"""Repeats thin the old parts out; each is one more look-up for a new identity."""


class Dedup:
    """The identities seen so far; about 35 MB when full of UUIDs."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._newest: set[str] = set()
        # The newest first. No identity is in two of them: each is where it was seen last.
        self._parts = deque([self._newest])
        self._latest: dict[str, dict[str, str]] = {}

    def seen(self, identity: str, camera_id: str, four_cc: str) -> bool:
        """Whether the identity is known; from now on it is."""
        latest = self._latest.get(four_cc)
        if latest is None:
            latest = self._latest[four_cc] = {}
        known = self._renew(identity) or latest.get(camera_id) == identity
        latest[camera_id] = identity
        return known

    def restore(self, identities: Iterable[str]) -> None:
        """Take up identities read from disk, oldest first."""
        for identity in identities:
            self._renew(identity)

    def restore_latest(self, camera_id: str, four_cc: str, identity: str) -> None:
        """Take up the latest identity of one (camera, four-CC) read from disk."""
        self._latest.setdefault(four_cc, {})[camera_id] = identity

    def latest(self) -> Iterator[tuple[str, str, str]]:
        """Camera, four-CC and identity of what is never forgotten."""
        for four_cc, by_camera in self._latest.items():
            for camera_id, identity in by_camera.items():
                yield camera_id, four_cc, identity

    def __contains__(self, identity: str) -> bool:
        return any(identity in part for part in self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _renew(self, identity: str) -> bool:
        """Put the identity among the newest; whether it was there at all."""
        known = False
        for part in self._parts:
            if identity in part:
                if part is self._newest:
                    return True
                part.remove(identity)
                known = True
                break
        if len(self._newest) * _PARTS >= self._window:
            self._begin_part()
        self._newest.add(identity)
        return known

    def _begin_part(self) -> None:
        """Begin a new part, and forget the oldest if the others hold a whole window."""
        parts = self._parts
        while len(self) - len(parts[-1]) >= self._window:
            parts.pop()
        if len(parts) == _MOST_PARTS:
            oldest = parts.pop()
            parts[-1] |= oldest
        self._newest = set()
        parts.appendleft(self._newest)
