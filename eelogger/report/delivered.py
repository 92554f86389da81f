"""Read which annotations were delivered, as fingerprints of 8 bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ..errors import NothingToShow
from ..measure.camera_statistics import CREATE_OP
from ..measure.histogram import Histogram
from ..model import HOUR_US, INITIAL, MEASURED, Camera, Group
from ..storage.camera_files import delay_logs
from ..storage.delaylog import DelayRow, read_rows
from ..storage.formats import parse_pairs
from ..storage.line_blocks import Skipped, whole_lines
from ..storage.paths import LogPaths
from ..storage.state import read_state
from .query import Query
from .read import folders

Wants = Callable[[Camera, Group], bool]

_PARTS: Final = 64


class Fingerprints:
    """A set of texts, 8 bytes each: one of a million is taken for one of another million once in 20 million sets."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, text: str) -> bool:
        """Take a text; False when it was there."""
        part, mark, at = self._find(text)
        is_new = at == len(part) or part[at] != mark
        if is_new:
            part.insert(at, mark)
        return is_new

    def __contains__(self, text: object) -> bool:
        part, mark, at = self._find(str(text))
        return at < len(part) and part[at] == mark

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _find(self, text: str) -> tuple[array[int], int, int]:
        # Letters count as small ones: nothing says that list and stream write a uuid alike.
        digest = blake2b(text.lower().encode("utf-8", "surrogatepass"), digest_size=8).digest()
        mark = int.from_bytes(digest, "little")
        part = self._parts[mark % _PARTS]
        return part, mark, bisect_left(part, mark)


class Delivered:
    """The events of one camera: `created` in the period, by hour, and `others`, which a list need not have.

    `added_us` are moments, in order, from which on the camera was logged (again); `seen_us` when it was last seen
    before each.
    """

    def __init__(self, added_us: Sequence[int]) -> None:
        self.added_us, self.seen_us = added_us, [0] * len(added_us)
        self.created: dict[int, Fingerprints] = defaultdict(Fingerprints)
        self.others = Fingerprints()
        self.delays = Histogram()
        self.skipped = Skipped()

    def count(self, row: DelayRow, is_asked: Callable[[int, Group], bool]) -> None:
        """Take a delay line; `is_asked` tells of an event's time and group whether a list should have it."""
        at = bisect_right(self.added_us, row.arrived_us)
        if at < len(self.added_us):
            self.seen_us[at] = max(self.seen_us[at], row.arrived_us)
        if row.delay_us is not None and row.kind == MEASURED:
            self.delays.add(row.delay_us)
        # What is first seen after its creation began earlier than it says; an initial value may be of any age.
        is_created = row.type == "ANNT" and row.kind != INITIAL and row.op in (None, CREATE_OP)
        if row.delay_us is not None and is_created and is_asked(row.arrived_us - row.delay_us, row.group):
            self.created[(row.arrived_us - row.delay_us) // HOUR_US].add(row.identity)
        else:
            self.others.add(row.identity)


class DelayLogs:
    """The delay logs that may tell of a period, a camera at a time; raises `NothingToShow`.

    `known` are the identities of `processed_event_uuids.log` and its `.1`.
    """

    def __init__(self, query: Query, wants: Wants) -> None:
        self._paths, self._query, self._wants = LogPaths(query.log_dir), query, wants
        state, skipped = read_state(self._paths), Skipped()
        # a clock may have been behind at midnight.
        self.where = folders(self._paths, replace(query, since_us=max(0, query.from_us - HOUR_US)), skipped.files)
        self._here, *self._days = [delay_logs(folder, skipped) for folder in reversed(self.where)]
        for error in skipped.files:
            raise NothingToShow(f"{error.filename} cannot be read: {error.strerror}", "check its owner and mode")
        self.camera_ids = {camera_id for found in (self._here, *self._days) for camera_id in found}
        today = self._paths.day(state.day) if state else None
        self._moves_to = None if today in self.where else today
        self.known = self.read_known()

    def read_known(self) -> Fingerprints:
        """The identities that the identity logs have now."""
        known = Fingerprints()
        for path in (self._paths.uuids_old, self._paths.uuids):
            for block in whole_lines(path):
                for text in filter(None, block.decode("utf-8", "replace").split("\n")):
                    known.add(parse_pairs(f"uuid={text}").get("uuid", "") if text.startswith('"') else text)
        return known

    def read(self, camera: Camera, added_us: Sequence[int], on_read: Callable[[int], object]) -> Delivered:
        """Read the delay logs of one camera; `on_read` gets the bytes and may raise to end it."""
        query, wants, found = self._query, self._wants, Delivered(added_us)

        def is_asked(at_us: int, group: Group) -> bool:
            return query.from_us <= at_us < query.to_us and wants(camera, group)

        for path in filter(Path.exists, self._files(camera.id)):
            for rows in read_rows([path], skipped=found.skipped, on_read=on_read):
                for row in rows:
                    found.count(row, is_asked)
        return found

    def _files(self, camera_id: str) -> list[Path]:
        """Today's files first: what moves at midnight is met where it was, or where it went."""
        today = self._here.get(camera_id, [])
        if not all(path.exists() for path in today):  # renamed with its camera
            today = [*today, *delay_logs(self._paths).get(camera_id, ())]
        moved = [self._moves_to.root / path.name for path in today] if self._moves_to else []
        return [*today, *moved, *(path for found in self._days for path in found.get(camera_id, ()))]
