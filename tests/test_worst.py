"""Which worst values can be defended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standings import SECOND, verdict

from eelogger.figures.worst import is_clean, note_clean
from eelogger.model import Verdict


@pytest.mark.parametrize(
    ("more", "clean"),
    [
        ({}, True),
        ({"op": None}, True),
        ({"op": 4}, False),
        ({"after_gap_us": 0}, False),
        ({"lag_us": 20_000}, False),
    ],
)
def test_what_makes_a_worst_value_clean(more: dict[str, Any], clean: bool) -> None:
    assert is_clean(verdict("100e0000", SECOND, **more)) == clean
    assert not is_clean(verdict("100e0000", -SECOND, **more))


@given(st.lists(st.tuples(st.integers(-5, 50), st.sampled_from([None, 1, 4]), st.sampled_from([None, 9]))))
def test_the_clean_worst_is_the_first_maximum_of_the_clean_without_its_event(
    events: list[tuple[int, int | None, int | None]],
) -> None:
    verdicts = [
        verdict("100e0000", delay, op=op, lag_us=lag, identity=f"u{i}", data={"op": op})
        for i, (delay, op, lag) in enumerate(events)
    ]
    kept: dict[str, Verdict] = {}
    for each in verdicts:
        note_clean(kept, each)
    clean = [each._replace(data=None) for each in verdicts if is_clean(each)]
    assert list(kept.values()) == ([max(clean, key=lambda each: each.delay_us or 0)] if clean else [])
