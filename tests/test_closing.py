"""What a run prints when it ends: figures, the sentence to send, and why to doubt it."""

from __future__ import annotations

import pytest
from standings import DATE, NOON_US, SECOND, cameras, day_of, verdict

from eelogger.day import Day
from eelogger.model import INITIAL, UNDATED, Camera
from eelogger.views.closing import SHOWN, closing_table


def closing(day: Day, known: dict[str, Camera], observed: float = 1.0) -> list[str]:
    return "".join(closing_table(day, known, lambda camera_id: observed, date=DATE)).splitlines()


def test_the_sentence_a_person_can_send() -> None:
    at_us = NOON_US - 8 * 3600 * SECOND - 48 * 60 * SECOND
    events = [verdict("100e0000", 1_900_000, NOON_US + i) for i in range(99)]
    lines = closing(day_of([*events, verdict("100e0000", 14_200_000, at_us)]), cameras("Front Door"), 0.9987)
    assert lines[-1] == "Front Door: 95 % within 1.9 s, worst 14.2 s at 03:12 UTC; observed 99.8 %"


def test_each_camera_has_its_figures_and_counts_and_the_worst_p95_stands_first() -> None:
    day = day_of([verdict(f"100e000{c}", (c + 1) * SECOND, NOON_US + i) for c in (0, 1) for i in range(20)])
    day.count(verdict("100e0000", 0)._replace(kind=INITIAL))
    day.count(verdict("100e0000", 0)._replace(kind=UNDATED))
    lines = closing(day, cameras("one", "two", "silent"))
    figures = ["min_s", "avg_s", "p50_s", "p95_s", "p99_s", "max_s"]
    assert lines[1].split() == ["camera", "events", *figures, "early", "initial", "undated"]
    assert lines[2].split() == ["two", "20", *["2.000"] * 6, "0", "0", "0"]
    assert lines[3].split() == ["one", "20", *["1.000"] * 6, "0", "1", "1"]
    assert lines[4] == "1 camera without an event"
    assert lines[-1] == "All cameras: 95 % within 2.0 s, worst 2.0 s at 12:00 UTC (two); observed 100 %"


def test_a_camera_with_few_events_does_not_push_the_others_down() -> None:
    few = [verdict("100e0000", 60 * SECOND, NOON_US + i) for i in range(19)]
    many = [verdict("100e0001", SECOND, NOON_US + i) for i in range(20)]
    lines = closing(day_of(few + many), cameras("few", "many"))
    assert [line.split()[0] for line in lines[2:4]] == ["many", "few"]


def test_a_wrong_clock_shows_at_once_though_the_median_looks_healthy() -> None:
    # Local clock 0.3 s slow on a true median of 0.3 s: half of the events come before their own timestamp.
    events = [verdict("100e0000", i * 3_000 - 300_000, NOON_US + i) for i in range(201)]
    lines = closing(day_of(events), cameras("Front Door"))
    row = lines[2].split()
    assert row[2:9] == ["101", "0.000?", "0.150?", "0.151?", "0.285?", "0.297?", "0.300?"]
    assert lines[1].split()[-2:] == ["all_p50_s", "all_p95_s"]
    assert row[-2:] == ["0.000", "0.269"]
    text = "\n".join(lines)
    assert "a clock is wrong" in text
    assert "100 of 201 dated events (49.7 %) came before their own timestamp" in text
    assert lines[-1].endswith("(? a clock is wrong, see above)")


@pytest.mark.parametrize("early", [0, 1, 2])
def test_up_to_one_per_cent_of_early_events_is_no_reason_for_doubt(early: int) -> None:
    measured = [verdict("100e0000", SECOND, NOON_US + i) for i in range(99)]
    events = measured + [verdict("100e0000", -1_000, NOON_US + i) for i in range(early)]
    assert ("?" in "".join(closing(day_of(events), cameras("x")))) == (early > 1)


def test_ten_thousand_cameras_are_bounded_and_counted() -> None:
    known = {f"{i:08x}": Camera(f"{i:08x}", f"camera {i}", "100bb001") for i in range(10_000)}
    lines = closing(day_of(verdict(camera_id, SECOND) for camera_id in known), known)
    assert len(lines) < SHOWN + 8
    assert f"… and {10_000 - SHOWN:,} more cameras" in lines


def test_nothing_measured_is_said_and_foreign_names_cannot_paint() -> None:
    assert closing(Day(), cameras("a"), 0.5) == ["1 camera without an event", "No measured event; observed 50.0 %"]
    lines = closing(day_of([verdict("100e0000", SECOND)]), cameras("\x1b[2J\nFront\u202e"))
    assert all(line.isprintable() for line in lines)


def test_cameras_that_come_while_the_table_is_made_do_no_harm() -> None:
    day = day_of([verdict("100e0000", SECOND)])
    pieces = closing_table(day, cameras("a"), lambda camera_id: 1.0, date=DATE)
    next(pieces)
    day.again(verdict("100e0001", SECOND))
    assert "".join(pieces).count("100e0001") == 0


def test_cameras_of_one_name_are_told_apart_and_the_nameless_have_their_id() -> None:
    day = day_of(verdict(f"100e000{i}", (9 - i) * SECOND) for i in range(4))
    lines = closing(day, cameras("Cash Desk", "Cash Desk", "", ""))
    assert [line.split("  ")[0] for line in lines[2:6]] == [
        "Cash Desk (100e0000)", "Cash Desk (100e0001)", "100e0002", "100e0003",
    ]  # fmt: skip
