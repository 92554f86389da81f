"""Long work in the event loop, in slices short enough that no arrival is stamped late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_S: Final = 0.002
HISTORY_SLICE_S: Final = 0.001
"""History is read for seconds on end, snapshots are not: it gets half."""


async def in_slices(steps: Iterable[T], slice_s: float = SLICE_S) -> list[T]:
    """All that `steps` yields; the loop runs after each `slice_s` of work, so one step should be well below it."""
    results: list[T] = []
    began = time.perf_counter()
    for result in steps:
        results.append(result)
        if time.perf_counter() - began > slice_s:
            await asyncio.sleep(0)
            began = time.perf_counter()
    return results
