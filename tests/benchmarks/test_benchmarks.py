"""The benchmarks themselves: that each part runs; and, slowly, that the limits are kept."""

import pytest

from .parts import FULL, PARTS, QUICK, measure, table


@pytest.mark.parametrize("part", PARTS)
def test_every_part_runs(part: str) -> None:
    rows = measure(part, QUICK)
    assert all(row.value > 0 for row in rows)
    assert rows[-1].name in "\n".join(table(rows))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", PARTS)
def test_the_limits_are_kept(part: str) -> None:
    rows = measure(part, FULL)
    assert not [row for row in rows if row.missed], "\n".join(table(rows))
