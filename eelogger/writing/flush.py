"""One batch to disk: in which order, what waits for what, and what is still missing afterwards.

All stream logs, then delay logs, then identities, then other files, then snapshots: so that the stream log, from
which all else can be rebuilt, is never behind. Where a line of a camera could not be written, what follows from it
waits too; other cameras go on. Runs in the writer's thread, one call a batch, and removes from the batch what is in
the files as it happens. `drain` decides when to try again. Invariant: what is in the batch is what is missing on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from . import disk
from .batch import Batch, Known, Lines

LINES_AT_ONCE: Final = 10_000
"""Lines of one file joined for one write; bounds the memory it takes to write out a long wait."""

THEN: Final = ""  # stands for the path where `Batch.then` failed


@dataclass(slots=True)
class Outcome:
    """What came of a batch: errors by path; cameras whose delay log is not as we left it, with its size in bytes now.

    `busy`: a snapshot waits because a reader holds the file, which is no error; `tell`: to be called in the loop.
    """

    errors: dict[str, OSError] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    busy: bool = False
    tell: Callable[[], None] | None = None
    took_us: int = 0


def write_batch(batch: Batch, known: Known, skip: Mapping[str, OSError]) -> Outcome:
    """Write what can be written and take it out of the batch; paths in `skip` have failed and are not tried."""
    started = time.perf_counter_ns()
    flush = _Flush(batch, known, skip)
    flush.cameras()
    flush.uuids()
    flush.others()
    flush.snapshots()
    flush.then()
    flush.out.took_us = (time.perf_counter_ns() - started) // 1000
    return flush.out


class _Flush:
    """The way of one batch to disk; each method is one step of it, in this order."""

    def __init__(self, batch: Batch, known: Known, skip: Mapping[str, OSError]) -> None:
        self.out = Outcome()
        self._batch = batch
        self._known, self._skip = known, skip
        known.sizes.update(batch.sizes)
        batch.sizes.clear()

    def cameras(self) -> None:
        """All stream logs, then the delay logs of cameras whose stream log is complete."""
        cameras = self._batch.cameras
        waiting = set()
        for camera_id, lines in cameras.items():
            if lines.stream.texts and not self._append(lines.stream, "stream"):
                waiting.add(camera_id)
        for camera_id, lines in cameras.items():
            if lines.delay.texts and camera_id not in waiting and not self._delays(camera_id, lines.delay):
                waiting.add(camera_id)
        self._batch.cameras = {camera_id: cameras[camera_id] for camera_id in cameras if camera_id in waiting}

    def _delays(self, camera_id: str, lines: Lines) -> bool:
        """A camera's delay lines, if the log is as we left it: their figures continue those of the lines in it."""
        error = self._skip.get(lines.path)
        disk.boundary("before delay")
        while lines.texts and error is None:
            expected = self._known.sizes.get(camera_id)
            result = self._step(lines, expected=expected)
            error = result.error
            if result.size_before is not None:
                if expected is not None and result.size_before != expected:
                    self.out.changed[camera_id] = result.size_before
                    return False
                self._known.sizes[camera_id] = result.size_before + result.durable
        disk.boundary("after delay")
        return self._settled(lines.path, error)

    def uuids(self) -> None:
        """The identities whose camera does not wait; a full log becomes the old one and a new one begins."""
        lines, known = self._batch.uuids, self._known
        ready = lines.hold(self._batch.cameras)
        if not ready:
            return
        error = self._skip.get(lines.path)
        disk.boundary("before uuid")
        while ready and error is None:
            self._rotate()
            # A log that can not be rotated now (a reader holds it) goes on, past its limit.
            room = known.uuid_limit - known.uuid_lines or LINES_AT_ONCE
            before = len(lines.texts)
            result = self._step(lines, min(ready, max(room, 1)))
            error = result.error
            written = before - len(lines.texts)
            ready -= written
            known.uuid_lines = written + (0 if result.size_before == 0 else known.uuid_lines)
        disk.boundary("after uuid")
        self._rotate()
        self._settled(lines.path, error)

    def _rotate(self) -> None:
        known = self._known
        if known.uuid_lines >= known.uuid_limit and disk.rotate(self._batch.uuids.path, known.uuids_old):
            known.uuid_lines = 0

    def others(self) -> None:
        """What is appended elsewhere."""
        appends = self._batch.appends
        for lines in appends.values():
            self._append(lines, "append")
        self._batch.appends = {path: lines for path, lines in appends.items() if lines.texts}

    def snapshots(self) -> None:
        """Replace each snapshot; one that a reader holds waits without being an error."""
        snapshots = self._batch.snapshots
        for path, content in list(snapshots.items()):
            error = self._skip.get(path)
            try:
                if error is None and disk.replace(path, content):
                    del snapshots[path]
                elif error is None:
                    self.out.busy = True
            except OSError as failure:
                error = failure
            self._settled(path, error)

    def then(self) -> None:
        """What was to happen once everything before it is on disk."""
        if (batch := self._batch).then is None or batch.has_lines or self.out.errors:
            return
        # A snapshot that a reader still holds is given up: it must not overwrite what comes after this point.
        batch.snapshots.clear()
        error = self._skip.get(THEN)
        try:
            if error is None:
                self.out.tell = batch.then()
        except OSError as failure:
            error = failure
        if self._settled(THEN, error):
            batch.then = None

    def _append(self, lines: Lines, name: str) -> bool:
        """The lines of one file; whether all of them are in it now."""
        error = self._skip.get(lines.path)
        disk.boundary(f"before {name}")
        while lines.texts and error is None:
            error = self._step(lines, sized=False).error
        disk.boundary(f"after {name}")
        return self._settled(lines.path, error)

    def _settled(self, path: str, error: OSError | None) -> bool:
        if error is not None:
            # The traceback would keep what was to be written alive.
            self.out.errors[path] = error.with_traceback(None)
        return error is None

    def _step(
        self, lines: Lines, limit: int = LINES_AT_ONCE, *, expected: int | None = None, sized: bool = True
    ) -> disk.AppendResult:
        """One append of at most `limit` lines, and off the batch with what is in the file."""
        texts = lines.texts if len(lines.texts) <= limit else lines.texts[:limit]
        text = "".join(texts)
        data = disk.encoded(text)
        if lines.torn:
            if disk.size_of(lines.path) != lines.torn_at:
                lines.torn = 0  # the file with the beginning of this line is gone: write the line anew
            data = data[lines.torn :]
        result = disk.append(lines.path, data, expected, sized=sized)
        if result.durable == len(data):
            self._batch.size -= len(text)
            lines.drop(len(texts))
        elif result.durable:
            self._drop_partly(lines, lines.torn + result.durable)
        return result

    def _drop_partly(self, lines: Lines, in_file: int) -> None:
        """Take those lines off the batch of which `in_file` bytes are in the file; the last may be there in part."""
        count = 0
        for text in lines.texts:
            length = len(disk.encoded(text))
            if in_file < length:
                break
            in_file -= length
            self._batch.size -= len(text)
            count += 1
        lines.drop(count)
        size = disk.size_of(lines.path)
        if in_file and size is not None:
            lines.torn, lines.torn_at = in_file, size
