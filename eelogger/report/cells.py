"""Count delay lines: each goes into the cell of its camera and group, and into a slot of the time axis.

Memory grows with cameras × groups × bridges and with the single events that are kept, not with the lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Final, NamedTuple

from ..measure.histogram import Histogram, bucket_of
from ..model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Group, Verdict
from ..storage.delaylog import DelayRow
from ..views.figures import Tally
from .query import FOREVER_US, Labels, Query

MOST_LATE: Final = 5_000  # events over `--min-delay` that are kept, the worst ones; the others are counted


@dataclass(slots=True)
class Cell:
    """One camera's events of one group through one bridge; `id` is the camera's own, also in an anonymous report."""

    id: str
    camera: Camera
    group: Group
    tally: Tally = field(default_factory=Tally)
    clean_us: int = -1


class Event(NamedTuple):
    """One line of a delay log."""

    row: DelayRow
    cell: Cell

    @property
    def identity(self) -> str:
        """The identity, with the camera's label where it is made of its id."""
        return self.row.identity.replace(self.cell.id, self.cell.camera.id) if self.cell.id else self.row.identity

    def verdict(self) -> Verdict:
        """All that the line says, the camera as the report calls it."""
        return self.row.parsed()[0]._replace(camera_id=self.cell.camera.id, identity=self.identity)


OnEvents = Callable[[list[Event]], None]


class Timeline:
    """Delays by slots of equal length, which doubles when there are more than a plot can show apart."""

    LIMIT: Final = 400

    def __init__(self) -> None:
        self.slot_us = 5_000_000
        self.slots: dict[int, Histogram] = {}

    def count(self, arrived_us: int, bucket: int, delay_us: int) -> None:
        """Count a delay whose `bucket_of` is known."""
        slot = self.slots.get(arrived_us // self.slot_us)
        if slot is None:
            slot = self.slots[arrived_us // self.slot_us] = Histogram()
        slot.count(bucket, delay_us)
        while len(self.slots) > self.LIMIT:
            self.slot_us *= 2
            halves, self.slots = self.slots, {}
            for number, half in halves.items():
                self.slots.setdefault(number // 2, Histogram()).merge(half)


class Cells:
    """The events of a query; `on_events` gets them in the order of reading.

    `listed` are the cameras as they are called now; `outside` counts events of other times, `damaged` lines that
    contradict themselves, `late` events of `Query.min_delay_us` and more.
    """

    def __init__(self, query: Query, on_events: OnEvents | None = None) -> None:
        self.listed: dict[str, Camera] = {}
        self.labels: Labels | None = None
        self.timeline = Timeline()
        self.outside = self.damaged = self.late = self.last_us = 0
        self.first_us = query.to_us
        self._query = query
        self._on_events = on_events
        self._cells: dict[tuple[bytes, Group], Cell | None] = {}
        self._kept: list[tuple[int, int, int, Event]] = []
        self._number = itertools.count(0, -1)
        self._most = query.worst if query.min_delay_us is None else max(query.worst, MOST_LATE)
        self._late_us = FOREVER_US if query.min_delay_us is None else query.min_delay_us
        self._floor_us = -1

    def __iter__(self) -> Iterator[Cell]:
        return filter(None, self._cells.values())

    def count(self, rows: Iterable[DelayRow]) -> None:
        """Count lines of a delay log."""
        cells, from_us, to_us = self._cells, self._query.from_us, self._query.to_us
        events: list[Event] = []
        for row in rows:
            arrived_us, delay_us, kind, four_cc, ns, _, _, _, line = row
            if not from_us <= arrived_us < to_us:
                self.outside += 1
                continue
            # What says camera and bridge is the same text on all lines of both, so it need not be parsed.
            begin = line.rfind(b" camera=")
            end = line.find(b" ", line.find(b" bridge=", begin) + 8)
            place = line[begin:end] if 0 <= begin < end else row.parsed()[1].id.encode()
            key = place, four_cc if ns is None else ns
            try:
                cell = cells[key]
            except KeyError:
                cell = cells[key] = self._new_cell(row)
            if cell is None:
                continue
            if arrived_us < self.first_us:
                self.first_us = arrived_us
            if arrived_us > self.last_us:
                self.last_us = arrived_us
            if kind == MEASURED and delay_us is not None and 0 <= delay_us < FOREVER_US:
                self._count_measured(row, cell, delay_us)
            else:
                self._count_other(cell.tally, kind, delay_us)
            if self._on_events:
                events.append(Event(row, cell))
        if self._on_events and events:
            self._on_events(events)

    def worst(self) -> list[Event]:
        """The worst measured events, worst first; with `Query.min_delay_us` also all others so late that were kept."""
        found = enumerate(sorted(self._kept, reverse=True))
        return [event for i, (us, _, _, event) in found if i < self._query.worst or us >= self._late_us]

    def labelled(self, camera: Camera) -> Camera:
        """The camera as the report calls it."""
        return self.labels.camera(camera) if self.labels else camera

    def _count_measured(self, row: DelayRow, cell: Cell, delay_us: int) -> None:
        bucket, tally = bucket_of(delay_us), cell.tally
        if delay_us > tally.delays.max_us or not tally.delays.n:
            tally.max_event = Event(row, cell).verdict()
        tally.delays.count(bucket, delay_us)
        self.timeline.count(row.arrived_us, bucket, delay_us)
        if delay_us > cell.clean_us and row.is_clean:
            cell.clean_us, tally.clean_max = delay_us, Event(row, cell).verdict()
        if delay_us >= self._late_us:
            self.late += 1
        if delay_us > self._floor_us:
            heappush(self._kept, (delay_us, -row.arrived_us, next(self._number), Event(row, cell)))
            if len(self._kept) > self._most:
                self._floor_us = heappop(self._kept)[0]

    def _count_other(self, tally: Tally, kind: str, delay_us: int | None) -> None:
        """A first sight that is not measured; a delay that contradicts its verdict is damage."""
        if kind == EARLY and delay_us is not None and -FOREVER_US < delay_us < 0:
            tally.early.add(-delay_us)
        elif kind == INITIAL:
            tally.initial += 1
        elif kind == UNDATED:
            tally.undated += 1
        else:
            self.damaged += 1

    def _new_cell(self, row: DelayRow) -> Cell | None:
        camera = row.parsed()[1]
        if camera.id in self.listed:
            camera = replace(camera, name=self.listed[camera.id].name)
        return Cell(camera.id, self.labelled(camera), row.group) if self._query.wants(camera, row.group) else None
