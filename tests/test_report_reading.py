"""How a report reads: lines, moments, the time axis, single lines out of large files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standings import NOON_US, SECOND, verdict

from eelogger.errors import UsageError
from eelogger.figures.histogram import bucket_of
from eelogger.lines import delay_line, label, parse_delay_line
from eelogger.model import Camera, Verdict
from eelogger.report import Logged, parse_moment
from eelogger.report.excerpts import lines_between
from eelogger.report.rows import Line, find_rows, logged, rewritten
from eelogger.report.timeline import LIMIT, Timeline
from eelogger.text.times import time_text

DAY = 86_400 * SECOND
NOW_US = NOON_US + 3600 * SECOND

VERDICTS = st.builds(
    lambda delay, ns, op, seq, gap, lag, name, identity, event: verdict(
        "100e0000", delay, NOON_US, ns, op=op, seq=seq, after_gap_us=gap, lag_us=lag, event=event, identity=identity
    )._replace(data={"name": name}),
    st.integers(-(10**12), 10**13),
    st.none() | st.integers(-(2**40), 2**40),
    st.none() | st.integers(),
    st.none() | st.integers(),
    st.none() | st.integers(0, 10**12),
    st.none() | st.integers(0, 10**9),
    st.text(max_size=20),
    st.text(min_size=1, max_size=40),
    st.text(min_size=1, max_size=20),
)


@given(VERDICTS)
def test_a_line_is_read_as_the_value_it_came_from(event: Verdict) -> None:
    camera = Camera("100e0000", str((event.data or {})["name"]), "")
    text = delay_line(event, label(camera)).encode()
    assert parse_delay_line(text.decode()) == (event._replace(data=None), camera)
    rows = find_rows(text)
    assert [logged(each) for each in rows] == [Logged(event._replace(data=None), camera)]
    assert rewritten(text.rstrip(b"\n")) == Line._make(rows[0])


@given(st.lists(st.tuples(st.integers(0, 40 * DAY), st.integers(0, 10**9)), min_size=1, max_size=200))
def test_the_time_axis_holds_every_delay_once_in_few_equal_slots(events: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    for at_us, delay_us in events:
        timeline.count(NOON_US + at_us, bucket_of(delay_us), delay_us)
    slots = list(timeline.slots())
    assert sum(slot.delays.n for slot in slots) == len(events)
    assert {slot.to_us - slot.from_us for slot in slots} == {timeline.slot_us}
    assert slots[-1].to_us - slots[0].from_us <= LIMIT * timeline.slot_us
    for slot in slots:
        inside = [delay for at, delay in events if slot.from_us <= NOON_US + at < slot.to_us]
        assert (slot.delays.n, slot.delays.total_us) == (len(inside), sum(inside))


@pytest.mark.parametrize("prefix", ["", "time="])
def test_lines_are_found_by_time_in_a_large_file(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "log"
    lines = [
        f"{prefix}{time_text(NOON_US + i * SECOND)} {'x' * (i * 37 % 900)}{'' if i % 50 else 'y' * 40_000}"
        for i in range(900)
    ]
    path.write_text("\n".join(lines) + "\n")
    assert path.stat().st_size > 10 * (1 << 16)
    for first, last in ((0, 3), (450, 460), (449, 451), (899, 2000), (500, 500), (0, 900)):
        found = lines_between(path, NOON_US + first * SECOND, NOON_US + last * SECOND)
        assert [line.decode() for line in found] == lines[first:last]
    assert list(lines_between(tmp_path / "absent", 0, NOON_US)) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", "2026-11-22T11:30:00.000000Z"),
        ("24h", "2026-11-21T13:00:00.000000Z"),
        ("7d", "2026-11-15T13:00:00.000000Z"),
        ("2026-11-01", "2026-11-01T00:00:00.000000Z"),
        ("2026-11-01T08:30", "2026-11-01T08:30:00.000000Z"),
        ("2026-11-01T08:30:00+01:00", "2026-11-01T07:30:00.000000Z"),
        ("2026-11-01 08:30 UTC", "2026-11-01T08:30:00.000000Z"),
        ("2026-07-01 08:30 Europe/Berlin", "2026-07-01T06:30:00.000000Z"),
        ("2026-11-01 Europe/Berlin", "2026-10-31T23:00:00.000000Z"),
        ("2026-11-22T09:07:20.123456Z", "2026-11-22T09:07:20.123456Z"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert time_text(parse_moment(text, NOW_US, "--since")) == moment


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "25:00", "2026-13-01", "5y", "2026-11-01 08:30 Mars/Olympus", "2026-11-01T00:00Z Europe/Berlin"],
)
def test_what_is_no_moment_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        parse_moment(text, NOW_US, "--since")
