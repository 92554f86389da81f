"""The way back: what arrived, read again from the stream logs, in the order in which it was judged.

Order: arrival, camera id, line; subscriptions stand among the updates where `gaps.log` says they began. A start goes
this way from where the files are known to be complete, `replay` from the beginning. Invariant: the same files give
the same sequence, and a line is read once. Nothing here writes; that is for who walks the sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..lines import parse_gap_line, parse_stream_line
from ..logdir.blocks import BLOCK_BYTES, size_of, whole_lines, whole_lines_backwards
from ..model import Gap
from ..paths import LogPaths
from ..text.times import parse_time

_MERGE_BYTES: Final = 64 << 20
"""What the blocks of all files that are merged may hold at once."""


class Update(NamedTuple):
    """One line of a stream log."""

    arrived_us: int
    camera_id: str
    data: dict[str, Any]


class UpdateSequence:
    """The updates of stream logs and the gaps, in order; None stands where the caller may pause.

    `files` are stream logs by camera id. Lines older than `since_us` are left out. `done_bytes` of `total_bytes`
    were read so far; `unreadable` lines were skipped.
    """

    def __init__(
        self, files: Iterable[tuple[str, Path]], gaps: Iterable[Gap] = (), since_us: int | None = None
    ) -> None:
        self._files = list(files)
        self._gaps = gaps
        self._since_us = since_us
        self._block_bytes = max(4096, min(BLOCK_BYTES, _MERGE_BYTES // max(1, len(self._files))))
        self.done_bytes = 0
        self.unreadable = 0

    @cached_property
    def total_bytes(self) -> int:
        """What there is to read."""
        return sum(size_of(path) for _, path in self._files)

    def __iter__(self) -> Iterator[Update | Gap | None]:
        sources: list[tuple[str, Iterator[Update | Gap]]] = [("", iter(self._gaps))]
        sources += [(camera_id, self._updates(camera_id, path)) for camera_id, path in self._files]
        heap = []
        for index, (camera_id, source) in enumerate(sources):
            first = next(source, None)
            if first is not None:
                heap.append((moment_us(first), camera_id, index, first, source))
            yield None
        heapify(heap)
        while heap:
            _, camera_id, index, item, source = heap[0]
            yield item
            following = next(source, None)
            if following is None:
                heappop(heap)
            else:
                heapreplace(heap, (moment_us(following), camera_id, index, following, source))

    def _updates(self, camera_id: str, path: Path) -> Iterator[Update]:
        since_us = self._since_us
        start = 0 if since_us is None else offset_since(path, since_us)
        self.done_bytes += start
        for block in whole_lines(path, start, self._block_bytes):
            for line in block.split(b"\n"):
                if not line:
                    continue
                update = parse_update(camera_id, line)
                if update is None:
                    self.unreadable += 1
                elif since_us is None or update.arrived_us >= since_us:
                    yield update
            self.done_bytes += len(block)


def stream_files(paths: LogPaths) -> list[tuple[str, Path]]:
    """The stream logs of a day by camera id."""
    return [(camera_id, paths.stream(stem)) for camera_id, stems in paths.find_stems().items() for stem in stems]


def read_gaps(paths: LogPaths) -> Iterator[Gap]:
    """The gaps of a day in the order of their lines; what is no such line is skipped."""
    for block in whole_lines(paths.gaps):
        for line in block.decode("utf-8", "replace").split("\n"):
            gap = parse_gap_line(line)
            if gap is not None:
                yield gap


def parse_update(camera_id: str, line: bytes) -> Update | None:
    """The update of one line of a stream log, None when it is none."""
    try:
        parsed = parse_stream_line(line.decode())
    except (ValueError, OverflowError):
        return None
    if parsed is None or not isinstance(parsed[1], dict):
        return None
    return Update(parsed[0], camera_id, parsed[1])


def offset_since(path: Path, since_us: int) -> int:
    """Where in a stream log the lines begin that follow its last one older than `since_us`; searched from its end."""
    with suppress(OSError):
        for start, block in whole_lines_backwards(path):
            end = len(block)
            while end:
                begin = block.rfind(b"\n", 0, end - 1) + 1
                arrived_us = _arrived_us(block[begin : begin + 64])
                if arrived_us is not None and arrived_us < since_us:
                    return start + end
                end = begin
    return 0


def moment_us(item: Update | Gap) -> int:
    """Where an item stands in the sequence: when it arrived, or when it ended."""
    return item.to_us if isinstance(item, Gap) else item.arrived_us


def _arrived_us(line: bytes) -> int | None:
    try:
        return parse_time(line.partition(b" -- ")[0].decode())
    except (ValueError, OverflowError):
        return None
