"""Read stream logs and gaps by arrival, for restore and replay."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from heapq import merge
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..measure.coverage import ADDED
from ..measure.protocol import identity, split_events
from ..model import Gap, Verdict
from .camera_files import Logs, read_once
from .formats import parse_gap_line, parse_stream_line, parse_time, time_text
from .line_blocks import Skipped, lines_backwards, text_lines, whole_lines, whole_lines_backwards
from .paths import LogPaths

_NO_RECORD_US: Final = 30_000_000
_MERGE_BYTES: Final = 64 << 20  # what the blocks of all files that are merged may hold at once


class Update(NamedTuple):
    """One line of a stream log; `digest` tells it from the camera's others."""

    arrived_us: int
    camera_id: str
    data: dict[str, Any]
    digest: int


def updates(
    files: Logs, gaps: Iterable[Gap] | None, day: str | None, skipped: Skipped, since_us: int | None = None
) -> Iterator[Update | Gap]:
    """Yield updates and gaps by arrival, camera id, line; a gap stands at its end, before updates of that moment."""
    block_bytes = max(4096, min(1 << 15, _MERGE_BYTES // (1 + sum(map(len, files.values())))))

    def camera(camera_id: str, paths: list[Path]) -> Iterator[Update | Gap]:
        def lines(path: Path) -> Iterator[Update]:
            start = 0 if since_us is None else _offset_since(path, since_us)
            blocks = whole_lines(path, start, skipped, block_bytes=block_bytes)
            for line in (line for block in blocks for line in block.split(b"\n") if line):
                if parsed := parse_stream_line(line):
                    yield Update(parsed[0], camera_id, parsed[1], hash(line))
                else:
                    skipped.lines += 1

        for number, update in enumerate(read_once(paths, lines, lambda update: update.digest, day)):
            if gaps is None and not number:  # there is no record of when its subscription began
                at_us = update.arrived_us - _NO_RECORD_US
                yield Gap("gap", at_us, at_us, ADDED, camera_id)
            yield update

    def place(item: Update | Gap) -> tuple[int, str]:
        return (item.to_us if isinstance(item, Gap) else item.arrived_us), item.camera_id

    return merge(iter(gaps or ()), *(camera(*item) for item in files.items()), key=place)


def read_gaps(paths: LogPaths) -> list[Gap]:
    """Read the gaps of a folder; other lines are passed over."""
    return list(dict.fromkeys(filter(None, map(parse_gap_line, text_lines(paths.gaps)))))


def find_event(files: Iterable[Path], verdict: Verdict) -> dict[str, Any] | None:
    """Find a verdict's event in its camera's stream logs. The search starts at their ends."""
    begin = f"{time_text(verdict.arrived_us)[:-1]}+00:00 -- ".encode()
    for path in files:
        with suppress(OSError):
            for _, block in whole_lines_backwards(path):
                for line in block.split(b"\n") if begin in block else ():
                    parsed = parse_stream_line(line) if line.startswith(begin) else None
                    for event in split_events(verdict.camera_id, parsed[1])[0] if parsed else ():
                        if identity(verdict.camera_id, event) == verdict.identity:
                            return event
    return None


def _offset_since(path: Path, since_us: int) -> int:
    # Where the lines begin that follow the last one older than `since_us`.
    with suppress(OSError):
        for start, line in lines_backwards(path, 1 << 15):
            with suppress(ValueError):
                if parse_time(line[:64].partition(b" -- ")[0].decode()) < since_us:
                    return start + len(line)
    return 0
