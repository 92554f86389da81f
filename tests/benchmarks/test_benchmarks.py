"""The benchmarks themselves: that they run and say something sane; and, slowly, that the promises are kept."""

from __future__ import annotations

import pytest

from . import compare, many, restart, rooms, steady
from .compare import Comparison
from .targets import Row, table
from .watching import percentile

TINY = compare.Size(events=300, naive_events=60, rounds=1)


def test_all_contenders_run_and_the_floor_is_the_floor() -> None:
    comparison = Comparison(TINY)
    comparison.take(1)
    costs = {run: costs[0] for run, costs in comparison.costs.items()}
    assert all(cost.cpu_s > 0 and cost.peak_mb > 10 for cost in costs.values())
    assert costs[comparison.ours].more["messages"] == 2 * TINY.events
    assert comparison.ratio(comparison.ours, comparison.floor) > 1
    shown = "\n".join(table(comparison.rows()))
    assert "eelogger : floor" in shown


def test_every_step_has_its_cost() -> None:
    rows = list(rooms.rooms(50))
    assert all(0 <= row.value < 100_000 for row in rows)
    assert {"dedup.seen", "lines.delay_line"} <= {row.name for row in rows}


def test_what_exceeds_its_limit_is_marked() -> None:
    kept, missed, free = Row("a", 1.0, "ms", 2.0), Row("b", 3.0, "ms", 2.0), Row("c", 9.0, "ms")
    assert [row.missed for row in (kept, missed, free)] == [False, True, False]
    assert [("MISSED" in line) for line in table([kept, missed, free])] == [False, False, True, False]


def test_percentiles_are_nearest_rank() -> None:
    assert [percentile([30, 10, 20], share) for share in (1, 50, 99)] == [10, 20, 30]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", ["compare", "steady", "many", "restart"])
def test_the_promises_are_kept(part: str) -> None:
    measured = {
        "compare": lambda: compare.compare(compare.FULL).rows(),
        "steady": lambda: steady.steady(steady.FULL),
        "many": lambda: many.many(many.FULL),
        "restart": lambda: restart.restart(restart.FULL),
    }
    rows = list(measured[part]())
    assert not [row for row in rows if row.missed], "\n".join(table(rows))
