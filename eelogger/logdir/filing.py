"""Which file each camera's lines go to: its name, its day, and the moves between them.

Decides when files are renamed or moved, always between what was handed over before and what comes after; how it is
done is `paths`' and `days`', the calling at midnight and at each camera list is `service`'s. Invariant: one camera is
one file, and every line is in exactly one day.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..model import Camera
from ..paths import rename_camera
from ..writer import Writer
from .days import move_day

_log = logging.getLogger(__name__)


class Filing:
    """The stems in use, by camera id; `stems` begins as what stands on disk."""

    def __init__(self, writer: Writer, stems: dict[str, list[str]]) -> None:
        self._writer = writer
        self._stems = stems

    def use(self, cameras: Iterable[Camera]) -> None:
        """Each camera has its logs, under its present name; one renamed in the cloud has its files renamed."""
        paths = self._writer.paths
        for camera in cameras:
            stem = paths.stem(camera.id, camera.name)
            if self._stems.get(camera.id) == [stem]:
                continue
            if camera.id in self._stems:
                self._between_lines(rename_camera, paths, camera.id, stem)
            self._stems[camera.id] = [stem]
            self._writer.register(camera.id, stem)

    def end_day(self, day: str, moved: Callable[[], object]) -> None:
        """What was handed over so far goes to the day's folder, what comes begins new files; then `moved` is called."""
        moving = self._between_lines(move_day, self._writer.paths, day)
        moving.add_done_callback(lambda _: moved())
        for camera_id, stems in self._stems.items():
            self._writer.register(camera_id, stems[0], delay_size=0)

    def _between_lines(self, change: Callable[..., object], *arguments: object) -> asyncio.Future[object]:
        """Change files once what was handed over before is written; what comes after waits until it was possible.

        Lines after it would otherwise land in the wrong place.
        """
        changed = self._writer.barrier(lambda: change(*arguments), insist=True)
        changed.add_done_callback(_say_failure)
        return changed


def _say_failure(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and future.exception() is not None:
        _log.error("a change of files failed", exc_info=future.exception())
