"""Has this identity been seen? Remembers a stated window and, beside it, what a server repeats after a reconnect.

The last `WINDOW` identities are remembered and some more, a repeat renews its own; the latest identity of each (camera,
four-CC) is never forgotten, since that is what the initial state of the next subscription holds. Invariant: within the
window, any shuffle with repeats leaves each identity once; what is remembered takes the same room whatever a server
sends as identity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

WINDOW: Final = 200_000
_PARTS: Final = 4
"""The window goes in parts, a whole one at a time. One dict in the order of sights would be simpler, but forgetting
leaves holes in it, and whenever those fill up its table of 15 MB is made anew beside the old one, for 10 ms."""
_MOST_PARTS: Final = 2 * _PARTS
"""Repeats thin the old parts out; each is one more look-up for a new identity."""
# A bytes object of 15 bytes takes 48 in memory, a UUID's text 96, the longest identity over 300. Two of 10**10
# identities have the same fingerprint with a probability of 10**-16.
_PRINT_BYTES: Final = 15


class Dedup:
    """The identities seen so far; about 25 MB when full."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._newest: set[bytes] = set()
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
        mark = _fingerprint(identity)
        return any(mark in part for part in self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _renew(self, identity: str) -> bool:
        """Put the identity among the newest; whether it was there at all."""
        known, mark = False, _fingerprint(identity)
        for part in self._parts:
            if mark in part:
                if part is self._newest:
                    return True
                part.remove(mark)
                known = True
                break
        if len(self._newest) * _PARTS >= self._window:
            self._begin_part()
        self._newest.add(mark)
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


def _fingerprint(identity: str) -> bytes:
    """The fingerprint of an identity; a lone surrogate has one too."""
    return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=_PRINT_BYTES).digest()
