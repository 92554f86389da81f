"""How long the free space lasts at the rate at which lines are written now.

Decides when that is worth a warning, once a day; asking the file system and telling people is for others. Rates are
those of the last hour, so that a start, which writes much at once, or a single burst warns nobody for nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 3600.0
SHORTEST_S: Final = 600.0
"""A rate seen for less time says little about days."""
ENOUGH_S: Final = 2 * 86_400.0
"""A weekend: who is warned on Friday can still act on Monday."""
AGAIN_S: Final = 86_400.0


class SpaceWatch:
    """Told once a minute how much was written; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._warned_at: float | None = None

    def look(self, now: float, written: int, free: int) -> str:
        """A warning, or "": `written` bytes since the start, `free` bytes left."""
        samples = self._samples
        samples.append((now, written))
        while now - samples[0][0] > WINDOW_S:
            samples.popleft()
        since, before = samples[0]
        if now - since < SHORTEST_S or written <= before:
            return ""
        a_second = (written - before) / (now - since)
        lasts_s = free / a_second
        if lasts_s >= ENOUGH_S or (self._warned_at is not None and now - self._warned_at < AGAIN_S):
            return ""
        self._warned_at = now
        return (
            f"{free / 1e6:.1f} MB of free space last for {lasts_s / 3600:.1f} hours at the present"
            f" {a_second * 86_400 / 1e6:.1f} MB a day: free some, or keep fewer days (EEN_KEEP_DAYS)"
        )
