"""Once a second: did the machine sleep or the clock jump, is it midnight, is a minute over?

Decides when to look; what follows is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ..clock import StepWatch, now_us
from ..model import Gap

TICK_S: Final = 1.0
HEALTH_TICKS: Final = 60


class Watchdog:
    """Calls back: `on_gap` with sleeps and clock steps, `on_tick` each second, `on_minute` each minute."""

    def __init__(
        self, *, on_gap: Callable[[Gap], None], on_tick: Callable[[int], None], on_minute: Callable[[], None]
    ) -> None:
        self._on_gap = on_gap
        self._on_tick = on_tick
        self._on_minute = on_minute

    async def run(self) -> None:
        """Until cancelled."""
        steps = StepWatch(TICK_S)
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            for gap in steps.tick():
                self._on_gap(gap)
            self._on_tick(now_us())
            if tick % HEALTH_TICKS == 0:
                self._on_minute()
