"""Counting: each line goes into the cell of its camera and namespace, and into its slot of the time axis.

Decides which single events are remembered; what belongs to the report is for `selection`, figures are drawn from the
cells by `figures`. Memory is bounded by cameras × namespaces × bridges and by the number of events remembered, not by
the number of lines. Invariant: a line counts in exactly one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush, heappushpop
from typing import Final

from ..figures.histogram import Histogram, bucket_of
from ..figures.worst import CREATE_OP
from ..model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Group
from .rows import Fields, Line, logged, minute_us, plain
from .selection import FOREVER_US, Selection
from .timeline import Timeline
from .values import Logged

MOST_LATE: Final = 5_000
"""Events over `--min-delay` that are remembered; beyond it the worst ones are."""

_MEASURED: Final = MEASURED.encode()
_CLEAN_OPS: Final = frozenset((b"", str(CREATE_OP).encode()))
_NO_LINE: Final[Fields] = Line(*[b""] * len(Line._fields))


class Cell:
    """What is known of one camera's events of one namespace (or four-CC) through one bridge, under one name."""

    __slots__ = ("camera", "clean", "clean_us", "delays", "early", "group", "initial", "latest_us", "undated", "worst")

    def __init__(self, camera: Camera, group: Group) -> None:
        self.camera = camera
        self.group = group
        self.delays = Histogram()
        self.early = Histogram()
        self.initial = 0
        self.undated = 0
        self.latest_us = 0
        self.clean_us = -1
        self.worst = self.clean = _NO_LINE


class Cells:
    """All cells of a report; `on_event` is called with each event that belongs to it, in the order of reading."""

    def __init__(
        self,
        selection: Selection,
        worst: int,
        min_delay_us: int | None = None,
        on_event: Callable[[Logged], None] | None = None,
    ) -> None:
        self.timeline = Timeline()
        self.first_us = selection.to_us
        self.last_us = 0
        self.contradictory = 0
        self.outside = 0
        self._selection = selection
        self._cells: dict[tuple[bytes, ...], Cell | None] = {}
        self._on_event = on_event
        self._worst_n = worst
        self._min_delay_us = min_delay_us
        self._most = worst if min_delay_us is None else max(worst, MOST_LATE)
        self._worst: list[tuple[int, int, int, Fields]] = []
        self._floor_us = -1 if self._most else FOREVER_US

    def take(self, lines: Sequence[Fields]) -> None:
        """Count lines; those of another period are only counted as `outside`."""
        cells, timeline, on_event = self._cells, self.timeline, self._on_event
        from_us, to_us = self._selection.from_us, self._selection.to_us
        for line in lines:
            minute, second, fraction, whole, part, kind, _, name, ns, type_, camera, bridge, _, _, op, _, gap, lag = (
                line
            )
            try:
                arrived_us = minute_us(minute) + int(second + fraction)
            except ValueError:
                self.contradictory += 1
                continue
            if not from_us <= arrived_us < to_us:
                self.outside += 1
                continue
            try:
                cell = cells[name, camera, bridge, ns or type_]
            except KeyError:
                cell = cells[name, camera, bridge, ns or type_] = self._new_cell(line)
            if cell is None:
                continue
            if arrived_us > cell.latest_us:
                cell.latest_us = arrived_us
            if arrived_us < self.first_us:
                self.first_us = arrived_us
            delay_us = int(whole + part) if whole else -1
            if kind != _MEASURED or delay_us < 0:
                self._count(cell, kind.decode(), -delay_us if whole else 0)
            else:
                bucket = bucket_of(delay_us)
                delays = cell.delays
                if delay_us > delays.max_us or not delays.n:
                    cell.worst = line
                delays.count(bucket, delay_us)
                timeline.count(arrived_us, bucket, delay_us)
                if delay_us > cell.clean_us and not gap and not lag and op in _CLEAN_OPS:
                    cell.clean_us, cell.clean = delay_us, line
                if delay_us > self._floor_us:
                    self._remember(delay_us, arrived_us, line)
            if on_event is not None:
                on_event(logged(line))
        self.last_us = max([self.last_us, *(cell.latest_us for cell in cells.values() if cell)])

    def cells(self) -> list[Cell]:
        """The cells that have events."""
        return [cell for cell in self._cells.values() if cell]

    def worst(self) -> list[Logged]:
        """The worst measured events, worst first; with a `min_delay_us` also every other one at least so late."""
        found = sorted(self._worst, key=lambda item: (-item[0], -item[1], item[2]))
        late_us = self._min_delay_us
        kept = [
            item for i, item in enumerate(found) if i < self._worst_n or (late_us is not None and item[0] >= late_us)
        ]
        return [logged(line) for *_, line in kept]

    def _new_cell(self, line: Fields) -> Cell | None:
        camera = Camera(plain(line[10]), plain(line[7]), plain(line[11]))
        group: Group = int(line[8]) if line[8] else plain(line[9])
        return Cell(camera, group) if self._selection.wants(camera, group) else None

    def _count(self, cell: Cell, kind: str, early_us: int) -> None:
        """A first sight that is not measured; a delay that contradicts its verdict is nobody's figure."""
        if kind == EARLY and early_us > 0:
            cell.early.add(early_us)
        elif kind == INITIAL:
            cell.initial += 1
        elif kind == UNDATED:
            cell.undated += 1
        else:
            self.contradictory += 1

    def _remember(self, delay_us: int, arrived_us: int, line: Fields) -> None:
        item = delay_us, -arrived_us, len(self._worst), line
        if len(self._worst) < self._most:
            heappush(self._worst, item)
        else:
            heappushpop(self._worst, item)
        if len(self._worst) >= self._most:
            self._floor_us = self._worst[0][0]
