"""Remember which identities have been seen."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

GENERATION: Final = 100_000  # identities in one generation, lines of one identity log


class Dedup:
    """The identities of two generations: those of `processed_event_uuids.log` and of its `.1`; 20 MB when full."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._current: set[bytes] = set()
        self._previous: set[bytes] = set()
        # Of each (camera, four-CC), however long ago it came: that is what a server repeats after a reconnect.
        self._latest: dict[tuple[str, str], bytes] = {}

    def seen(self, identity: str, camera_id: str, four_cc: str) -> bool:
        """Tell whether the identity is known; from now on it is."""
        mark, kind = _fingerprint(identity), (camera_id, four_cc)
        known = self._latest.get(kind) == mark or self._add(mark)
        self._latest[kind] = mark
        return known

    def restore(self, identities: Iterable[str]) -> None:
        """Take the lines of an identity log, oldest first; call `turn` between `.1` and the current one."""
        for identity in identities:
            self._add(_fingerprint(identity))

    def turn(self) -> None:
        """Begin a new generation and forget the one before the present, unless one has just begun."""
        if self._current:
            self._previous, self._current = self._current, set()

    def __contains__(self, identity: str) -> bool:
        mark = _fingerprint(identity)
        return mark in self._current or mark in self._previous

    def _add(self, mark: bytes) -> bool:
        """Put a fingerprint into the present generation; True when it is in one already."""
        if mark in self._current or mark in self._previous:
            return True
        self._current.add(mark)
        if len(self._current) >= self._generation:  # as the writer rotates: what a restart would know never differs
            self.turn()
        return False


def _fingerprint(identity: str) -> bytes:
    # 15 bytes take 48 in memory, a UUID's text 96, the longest identity over 300. Two of 10**10 identities have one
    # fingerprint with a probability of 10**-16. A lone surrogate is legal in JSON: it is encoded too.
    return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=15).digest()
