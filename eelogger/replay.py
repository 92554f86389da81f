"""A log directory made anew from stream logs: the same judgement, lines and days as in the run that wrote them.

Takes the updates in the order of `wayback` through the ordinary handler, recorder and writer; what is read, and of
which day, is for `sources`. Invariant: the same input gives the same bytes, and a run's replay its delay logs, but
for `lag_s`, which stream logs do not tell.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from .errors import DiskError, MessageError
from .figures.observation import Observation
from .logdir.camerafile import cameras_text
from .logdir.days import move_day
from .logdir.state import State, state_text
from .model import NAMESPACES, Camera, Gap
from .past.rejudge import RereadHandler, subscribe
from .past.sources import Part, parts_of, require_empty, span_us
from .past.wayback import Update, UpdateSequence, moment_us
from .past.worstlog import worst_text
from .paths import LogPaths
from .recorder import Recorder
from .text.times import parse_time
from .writer import Writer

_BUFFER_BYTES: Final = 64 << 20
_AHEAD_BYTES: Final = 4 << 20
"""How far reading may be ahead of the disk."""
_CLOSE_S: Final = 0.5
"""Unlike a run, a replay can be done again: a disk that refuses is not waited for."""
_AT_ONCE: Final = 200
"""Updates between two looks at the disk and the progress."""


@dataclass(frozen=True)
class Replayed:
    """What a replay came to: updates read, lines that could not be, and first sights by verdict."""

    days: list[str]
    cameras: int
    updates: int
    unreadable: int
    verdicts: Mapping[str, int]


async def replay(
    sources: Sequence[Path],
    log_dir: Path,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    *,
    events: Container[str] = frozenset({"ANNT", "ALRS"}),
    namespaces: Container[int] | None = None,
    ns_values: Mapping[int, str] = NAMESPACES,
) -> Replayed:
    """Write `log_dir` from log directories, day folders or stream files; `on_progress` gets bytes done and in all.

    Raises `UsageError` when `log_dir` holds anything, `NothingToShow` when the sources hold nothing, `DiskError`.
    """
    require_empty(log_dir)
    parts = parts_of(sources)
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def notify(severity: str, text: str) -> None:
        if severity == "warning" and not refused.done():
            refused.set_result(text)

    writer = Writer(
        LogPaths(log_dir),
        buffer_bytes=_BUFFER_BYTES,
        rebase=lambda camera_id, tokens: work.recorder.rebase(camera_id, tokens),
        notify=notify,
        close_s=_CLOSE_S,
    )
    async with writer:
        work = _Replay(parts, RereadHandler(events, namespaces, ns_values), writer, refused)
        for day, group in groupby(parts, key=lambda part: part.day):
            await work.take_day(day, list(group), on_progress)
        work.finish()
        await work.settle()
    return work.result()


class _Replay:
    """The replay on its way."""

    def __init__(self, parts: list[Part], handler: RereadHandler, writer: Writer, refused: asyncio.Future[str]) -> None:
        self._handler = handler
        self._writer = writer
        self._refused = refused
        self._days = [parts[0].day]
        self._cameras: dict[str, Camera] = {}  # of all days, so that who is quiet on one has its gap on the next
        self._stems: dict[str, str] = {}
        self._sequences = {id(part): UpdateSequence(part.files, part.gaps) for part in parts}
        self._moves: list[asyncio.Future[int]] = []
        self._updates = 0
        self._span_us = span_us(parts)
        self._unwritable = 0
        self.recorder = Recorder(handler, writer, Observation(0), day=parts[0].day, on_new_day=self._new_day)
        handler.on_reject = lambda reject: None
        self._name({camera_id: camera for part in reversed(parts) for camera_id, camera in part.cameras.items()})

    async def take_day(self, day: str, parts: list[Part], on_progress: Callable[[int, int], object]) -> None:
        """Judge the updates of one day, and write their lines; cameras are called as on that day."""
        self.recorder.turn_day(parse_time(f"{day}T00:00:00Z"))
        cameras = {camera_id: camera for part in parts for camera_id, camera in part.cameras.items()}
        self._name(cameras)
        self._writer.replace(self._writer.paths.cameras, cameras_text(cameras.values()))
        for part in parts:
            await self._take_part(part, on_progress)

    async def _take_part(self, part: Part, on_progress: Callable[[int, int], object]) -> None:
        self._handler.begin_part(part.recorded)
        for number, item in enumerate(self._sequences[id(part)]):
            if item is not None:
                self._take(item)
            if number % _AT_ONCE == 0:
                on_progress(*self._progress())
                await (self.settle() if self._writer.pending_bytes > _AHEAD_BYTES else asyncio.sleep(0))
        on_progress(*self._progress())

    def finish(self) -> None:
        """The end, as a run leaves it: its next start, or a replay of this one, is told which day this is."""
        self._end_day()
        first_us, last_us = self._span_us
        state = State(self.recorder.day, last_us, last_us, True, max(first_us, self._handler.unknown_us[1]))
        self._writer.replace(self._writer.paths.state, state_text(state))

    async def settle(self) -> None:
        """Until everything is on disk; raises `DiskError` as soon as it refuses."""
        written: asyncio.Future[Any] = self._writer.barrier(lambda: None)
        either: list[asyncio.Future[Any]] = [written, self._refused, self._writer.failed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._refused.done():
            raise DiskError(self._refused.result())
        if self._writer.failed.done():
            self._writer.failed.result()
        for moved in self._moves:
            if moved.done() and isinstance(error := moved.exception(), OSError):
                raise DiskError(f"the files of a day cannot be moved: {error}") from error

    def result(self) -> Replayed:
        """What came of it."""
        unreadable = self._unwritable + sum(sequence.unreadable for sequence in self._sequences.values())
        return Replayed(self._days, len(self._cameras), self._updates, unreadable, Counter(self._handler.totals))

    def _take(self, item: Update | Gap) -> None:
        at_us = moment_us(item)
        self._span_us = min(self._span_us[0], at_us), max(self._span_us[1], at_us)
        if isinstance(item, Update):
            self._take_update(item)
        else:
            self._handler.reached(item)
            self.recorder.note_gap(item)
            subscribe(self._handler, item, [item.camera_id] if item.camera_id else self._cameras)

    def _take_update(self, update: Update) -> None:
        arrived_us, camera_id, data = update
        self.recorder.turn_day(arrived_us)
        self._handler.arrived(arrived_us)
        try:
            self.recorder.record_update(camera_id, data, arrived_us, None, self._writer.stream_logs)
        except MessageError:
            self._unwritable += 1
        else:
            self._updates += 1

    def _new_day(self, ended: str) -> None:
        self._end_day()
        self._handler.new_day()
        self._moves.append(self._writer.barrier(lambda: move_day(self._writer.paths, ended)))
        self._days.append(self.recorder.day)
        for camera_id, stem in self._stems.items():
            self._writer.register(camera_id, stem, delay_size=0)

    def _end_day(self) -> None:
        if unknown := self._handler.take_unknown():
            self.recorder.note_gap(unknown)
        if worst := self._handler.day.worst:
            self._writer.replace(self._writer.paths.max_delay, worst_text(worst.values(), self.recorder.labels))

    def _name(self, cameras: Mapping[str, Camera]) -> None:
        """Cameras get their lines and files under these names; the others keep theirs."""
        self._cameras |= cameras
        self.recorder.know(self._cameras)
        for camera in cameras.values():
            stem = self._writer.paths.stem(camera.id, camera.name)
            if self._stems.get(camera.id) != stem:
                self._stems[camera.id] = stem
                self._writer.register(camera.id, stem, delay_size=0)

    def _progress(self) -> tuple[int, int]:
        sequences = self._sequences.values()
        return sum(s.done_bytes for s in sequences), sum(s.total_bytes for s in sequences)
