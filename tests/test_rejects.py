"""Rejects: all are counted, and whatever a stranger sends, `rejected.log` stays within its rate and its size a day."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.logdir.rejects import BURST, DAY_BYTES, PER_SECOND, Rejects
from eelogger.model import Reject
from eelogger.text.logfmt import parse
from eelogger.text.times import time_text

SECOND = 1_000_000
NOON_US = 1_795_348_800 * SECOND
LINE_BYTES = 4096
"""No line can be longer: 2 KiB of text, and the camera's first 64 characters escaped."""


class Sink:
    """A `Rejects` and the lines it wrote."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rejects = Rejects(self.lines.append)

    def add(self, at_us: int, text: str = "x", reason: str = "not-json", camera_id: str = "") -> bool:
        """Add one; whether it was written."""
        before = len(self.lines)
        self.rejects.add(Reject(reason, camera_id, text), at_us, 7)
        return len(self.lines) > before


def test_a_reject_is_counted_and_shown_escaped() -> None:
    sink = Sink()
    assert sink.add(NOON_US, 'a\n"\x1b[2J\ud800', "value-not-an-object", "100e1e23")
    (line,) = sink.lines
    assert line.isascii()
    assert line.endswith(r'text="a\n\"\u001b[2J\ud800"' + "\n")
    assert parse(line) == {
        "time": time_text(NOON_US),
        "reason": "value-not-an-object",
        "camera": "100e1e23",
        "bytes": "7",
        "text": 'a\n"\x1b[2J\ud800',
    }


def test_the_rate_at_both_ends() -> None:
    sink = Sink()
    assert [sink.add(NOON_US) for _ in range(BURST + 1)] == [True] * BURST + [False]
    one_us = SECOND // PER_SECOND
    assert not sink.add(NOON_US + one_us - 1)
    assert sink.add(NOON_US + one_us)
    assert not sink.add(NOON_US + one_us)
    later = NOON_US + 3600 * SECOND
    assert [sink.add(later) for _ in range(BURST + 1)] == [True] * BURST + [False], (
        "an hour saves up no more than a burst"
    )
    assert sink.rejects.counts == {"not-json": 2 * BURST + 5}


def test_the_size_of_a_day_at_both_ends() -> None:
    sink = Sink()
    at_us = NOON_US
    while sink.add(at_us, "\x00" * 10_000):
        at_us += SECOND
    written = sum(map(len, sink.lines))
    assert DAY_BYTES < written <= DAY_BYTES + LINE_BYTES
    assert not sink.add(at_us + 3600 * SECOND, "")
    sink.rejects.new_day()
    assert sink.add(at_us + 3600 * SECOND, "")
    assert sink.rejects.counts["not-json"] == len(sink.lines) + 2


@given(
    st.lists(
        st.tuples(
            st.integers(-5 * SECOND, 5 * SECOND) | st.just(0),
            st.sampled_from(["not-json", "empty", "unknown-camera"]),
            st.text(max_size=80),
            st.text(max_size=5),
            st.integers(1, 60),
        ),
        max_size=30,
    )
)
@example([(0, "empty", "\U000e0001" * 700, "\U000e0001\x00", 150)])
@example([(SECOND, "empty", "", "", 60)] * 10)
def test_whatever_comes_it_is_counted_and_the_file_is_bounded(steps: list[tuple[int, str, str, str, int]]) -> None:
    sink, at_us, expected = Sink(), NOON_US, Counter[str]()
    forward_us = 0
    for step_us, reason, camera_id, text, times in steps:
        at_us += step_us
        forward_us += max(0, step_us)
        for _ in range(times):
            sink.add(at_us, text * times, reason, camera_id)
        expected[reason] += times
    assert sink.rejects.counts == expected
    assert len(sink.lines) <= BURST + forward_us * PER_SECOND // SECOND
    for line in sink.lines:
        assert len(line.encode()) <= LINE_BYTES
        assert line[:-1].isprintable()
        assert line.endswith("\n")
        assert len(json.dumps(parse(line)["text"])) <= 2048
