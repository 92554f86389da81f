"""Floor, plain first version and logger side by side: CPU, time and memory an event, and the ratios that count.

All run in every round, so that a busy minute of the machine meets all of them; ratios are medians over the rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final

from .contenders import Cost
from .launch import Feeder, race
from .targets import Row

SMALL: Final = 20
LARGE: Final = 500


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: events of the fast contenders, of the plain version, rounds."""

    events: int
    naive_events: int
    rounds: int


FULL: Final = Size(events=50_000, naive_events=3_000, rounds=5)
QUICK: Final = Size(events=2_000, naive_events=300, rounds=1)


@dataclass(frozen=True, slots=True)
class Run:
    """One line-up of the comparison: who, on how many cameras, how many events."""

    name: str
    cameras: int
    events: int


class Comparison:
    """The costs of all runs by line-up, one for each round."""

    def __init__(self, size: Size) -> None:
        self.floor = Run("floor", SMALL, size.events)
        self.naive = Run("naive", SMALL, size.naive_events)
        self.naive_large = Run("naive", LARGE, size.naive_events)
        self.ours = Run("eelogger", SMALL, size.events)
        self.ours_large = Run("eelogger", LARGE, size.events)
        self.ours_longer = Run("eelogger", SMALL, 4 * size.events)
        self.runs = (self.floor, self.naive, self.naive_large, self.ours, self.ours_large, self.ours_longer)
        self.costs: dict[Run, list[Cost]] = {run: [] for run in self.runs}

    def take(self, rounds: int) -> None:
        """Run everything so many times, in turn."""
        with Feeder(SMALL, self.ours_longer.events) as small, Feeder(LARGE, self.ours_large.events) as large:
            for _ in range(rounds):
                for run in self.runs:
                    self.costs[run].append(race(run.name, small if run.cameras == SMALL else large, run.events))

    def median(self, run: Run, figure: Callable[[Cost], float]) -> float:
        """The median over the rounds."""
        return median(map(figure, self.costs[run]))

    def ratio(self, run: Run, to: Run) -> float:
        """CPU an event against that of another: the median of the rounds' ratios."""
        pairs = zip(self.costs[run], self.costs[to], strict=True)
        return median(mine.cpu_s / run.events / (other.cpu_s / to.events) for mine, other in pairs)

    def rows(self) -> Iterator[Row]:
        """What to show."""
        for run in self.runs:
            name = f"{run.name}, {run.cameras} cameras, {run.events:,} events"
            cpu_us = self.median(run, lambda cost: cost.cpu_s) / run.events * 1e6
            wall_us = self.median(run, lambda cost: cost.wall_s) / run.events * 1e6
            rate = run.events / self.median(run, lambda cost: cost.wall_s)
            peak = self.median(run, lambda cost: cost.peak_mb)
            yield Row(
                f"{name}: CPU", cpu_us, "µs/event", None, f"{wall_us:,.1f} µs of time, {rate:,.0f}/s, {peak:.0f} MB"
            )
        yield Row("eelogger : floor", self.ratio(self.ours, self.floor), "×", 2.0)
        yield Row("eelogger : plain first version", self.ratio(self.ours, self.naive), "×")
        yield Row(
            f"eelogger : plain first version, {LARGE} cameras", self.ratio(self.ours_large, self.naive_large), "×"
        )
        yield Row(f"eelogger, {LARGE} : {SMALL} cameras", self.ratio(self.ours_large, self.ours), "×", 1.3)
        yield Row("eelogger, four times the events : once", self.ratio(self.ours_longer, self.ours), "×", 1.1)
        peak = max(cost.peak_mb for run in (self.ours, self.ours_longer) for cost in self.costs[run])
        yield Row(f"eelogger, {SMALL} cameras: peak memory", peak, "MB", 75)


def compare(size: Size) -> Comparison:
    """The whole comparison."""
    comparison = Comparison(size)
    comparison.take(size.rounds)
    return comparison
