"""How long to wait before trying again: for a connection, and for a login that was refused.

Pure: chance and the clock are arguments; who waits, and what a failure means, is for `session` and `keys`.
Invariant: a server that accepts and closes at once sees at most 8 attempts in the first minute and then at most one
a minute. That is why the longest pause is 60 s sharp: chance shifts the pauses before it, which spreads many
loggers that lost the same server at the same moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 60.0
STEADY_S: Final = 60.0
"""Only a connection that has stayed up this long was a success: a handshake proves nothing."""
RETRY_AFTER_MAX_S: Final = 600.0
"""The most a server's Retry-After is believed: longer, and one wrong header would blind the logger for a day."""
_JITTER: Final = 0.5

_MINUTE_US: Final = 60_000_000
FIRST_REFUSAL_US: Final = 15 * _MINUTE_US
LAST_REFUSAL_US: Final = 24 * 60 * _MINUTE_US
"""A cron job starts the logger again and again: one wrong password must not lock the account."""


class Backoff:
    """The pauses between the attempts of one run: 1, 2, 4 … 32 s and up to half as much again, then 60 s."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._next_s = SHORTEST_S

    def next_delay(self, up_for_s: float = 0.0, retry_after_s: float | None = None) -> float:
        """Seconds to wait, after a connection that was open for `up_for_s` (0 when it never opened).

        Not earlier than a server's Retry-After, as far as that is believed.
        """
        if up_for_s >= STEADY_S:
            self._next_s = SHORTEST_S
        delay_s = min(LONGEST_S, self._next_s * (1 + _JITTER * self._chance()))
        self._next_s = min(LONGEST_S, 2 * self._next_s)
        return delay_s if retry_after_s is None else max(delay_s, min(retry_after_s, RETRY_AFTER_MAX_S))


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """A refused login, as `.state` remembers it: of which credentials, until when to wait, how often it happened."""

    fingerprint: str
    until_us: int
    tries: int

    @classmethod
    def after(cls, before: RefusedLogin | None, fingerprint: str, now_us: int) -> RefusedLogin:
        """What to remember after a refusal: 15 minutes, doubling to 24 hours; other credentials start anew."""
        tries = before.tries + 1 if before is not None and before.fingerprint == fingerprint else 1
        return cls(fingerprint, now_us + _refusal_us(tries), tries)

    def blocks(self, fingerprint: str, now_us: int) -> bool:
        """Whether a login with these credentials has to wait; a clock that was put back does not prolong it."""
        return fingerprint == self.fingerprint and 0 < self.until_us - now_us <= _refusal_us(self.tries)

    def to_json(self) -> dict[str, Any]:
        """The JSON object for `.state`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> RefusedLogin | None:
        """The way back from `to_json`; None for anything else."""
        match value:
            case {"fingerprint": str(fingerprint), "until_us": int(until_us), "tries": int(tries)} if tries > 0:
                return cls(fingerprint, until_us, tries)
        return None


def _refusal_us(tries: int) -> int:
    doublings = min(tries - 1, 7)  # 15 minutes times 128 is more than a day
    return min(LAST_REFUSAL_US, FIRST_REFUSAL_US << doublings)
