"""Figures are those of all their events, there is one ranking, and numbers become text once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_states import DATE, NOON_US, SECOND, verdict

from eelogger.measure.camera_statistics import CameraStatistics
from eelogger.views.figures import FEW, Figures, Row, Table, Tally, headlines, rank, shown, sum_up, tally_of, texts

DELAYS = st.lists(st.integers(-(10**7), 10**8), max_size=12)


def tally(delays: Sequence[int], camera_id: str = "100e0000") -> Tally:
    statistics = CameraStatistics()
    worst = None
    for i, delay_us in enumerate(delays):
        if delay_us < 0:
            statistics.observe_early(NOON_US + i, delay_us)
        elif statistics.observe(NOON_US + i, delay_us, 103):
            worst = verdict(camera_id, delay_us, NOON_US + i)
    return tally_of(statistics, worst)


def row(name: str, delays: Sequence[int], observed: float | None = 1.0) -> Row:
    return Row(name, name, Figures(tally(delays, name), observed))


def nearest_rank(values: list[int], per_mille: int) -> int:
    return sorted(values)[-(-per_mille * len(values) // 1000) - 1]


@given(st.lists(DELAYS, max_size=20))
def test_figures_are_those_of_all_events_together(parts: list[list[int]]) -> None:
    found = Figures(sum_up(map(tally, parts)))
    dated = [delay for part in parts for delay in part]
    measured = [delay for delay in dated if delay >= 0]
    assert (found.events, found.early) == (len(measured), len(dated) - len(measured))
    assert found.suspect == ((len(dated) - len(measured)) * 100 > len(dated))
    if measured:
        assert (found.min_us, found.max_us, found.total_us) == (min(measured), max(measured), sum(measured))
        assert found.max_event is not None
        assert found.max_event.delay_us == max(measured)
        for per_mille, us in ((500, found.p50_us), (900, found.p90_us), (950, found.p95_us), (990, found.p99_us)):
            assert us == pytest.approx(nearest_rank(measured, per_mille), rel=0.0101, abs=500)
    if found.suspect:
        assert found.signed_p95_us == pytest.approx(nearest_rank(dated, 950), rel=0.0101, abs=500)
    else:
        assert found.signed_p50_us is found.signed_p95_us is None


@given(st.lists(st.lists(st.integers(0, 10**8), max_size=2 * FEW), max_size=12), st.integers(1, 12))
def test_a_table_holds_the_worst_and_counts_the_others(delays: list[list[int]], most: int) -> None:
    rows, table = [row(f"{i:02d}", each) for i, each in enumerate(delays)], Table(most)
    for each in rows:
        table.add(each)
    assert table.rows == sorted(rows, key=rank)[:most]
    assert table.hidden == max(0, len(rows) - most)


def test_the_worst_p95_stands_first_and_few_events_last() -> None:
    rows = [row("few", [90 * SECOND] * (FEW - 1)), row("b", [SECOND] * FEW), row("worst", [2 * SECOND] * FEW)]
    found = sorted([*rows, row("a", [SECOND] * FEW), row("none", [])], key=rank)
    assert [each.name for each in found] == ["worst", "a", "b", "few", "none"]


def test_the_sentences_to_send() -> None:
    front = row("Front Door", [1_900_000] * 99 + [14_200_000], 0.9987)
    sentence = "Front Door: 95 % within 1.9 s, worst 14.2 s at 12:00 UTC; observed 99.8 %"
    assert headlines([front, row("silent", [])], row("All cameras", [])) == [sentence]
    whole = row("All cameras", [SECOND] * 99 + [-1, -1], None)
    assert headlines([front, row("other", [SECOND] * FEW)], whole, "x\n", dated=True) == [
        f"Front Door: 95 % within 1.9 s, worst 14.2 s at {DATE} 12:00 UTC; observed 99.8 %",
        f"All cameras: 95 % within 1.0 s, worst 1.0 s at {DATE} 12:00 UTC (x\\n); what was observed is unknown"
        " (? a clock is wrong)",
    ]
    nothing = headlines([row("a", [], 0.5)], row("All cameras", [], 0.5))
    assert nothing == ["All cameras: no measured event; observed 50.0 %"]


def test_numbers_become_text_in_one_place() -> None:
    counted = tally([1_000_500, 1_001_500, -2_000_000])
    counted.clean_max = verdict("100e0000", 1_000_500, identity="a\nb")
    counted.initial = 3
    assert texts(Figures(counted, 0.9999)) == {
        "events": "2", "min_s": "1.000", "avg_s": "1.001", "p50_s": "1.000", "p90_s": "1.002", "p95_s": "1.002",
        "p99_s": "1.002", "max_s": "1.002", "clean_max_s": "1.000",
        "max_at_utc": "2026-11-22T12:00:00.000001Z", "max_uuid": f"u{NOON_US + 1}",
        "clean_max_at_utc": "2026-11-22T12:00:00.000000Z", "clean_max_uuid": "a\\nb",
        "early": "1", "initial": "3", "undated": "0", "observed_percent": "99.9", "suspect": "1",
        "all_dated_p50_s": "1.000", "all_dated_p95_s": "1.002",
    }  # fmt: skip
    assert shown(Figures(Tally()), ["events", "max_s", "max_uuid", "observed_percent"]) == ["0", "-", "-", "unknown"]
    assert set(texts(Figures(Tally())).values()) == {"0", ""}
