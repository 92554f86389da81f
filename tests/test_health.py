"""`health.log`: one line a minute, to the letter; a round trip is forgotten after two minutes."""

from __future__ import annotations

from dataclasses import replace

from run_states import NOON_US, SECOND, cameras, day_of, run_state, verdict

from eelogger.clock import KernelClock
from eelogger.measure.camera_statistics import Day
from eelogger.measure.clock_offset import Offset
from eelogger.measure.coverage import Coverage
from eelogger.model import HOUR_US, DateSample, Gap
from eelogger.views.health import HealthLog
from eelogger.views.run_state import RTT_US, RunState, Vitals


async def line(health: HealthLog, state: RunState, rtt_max_us: int | None = None) -> str:
    state = replace(state, write_p99_us=13_909)
    return await health.line(state, lag_p99_us=3_133, lag_max_us=4_889, rtt_max_us=rtt_max_us)


async def test_the_line_to_the_letter() -> None:
    coverage = Coverage(NOON_US)
    coverage.open_gap(NOON_US, "no-pong")
    coverage.close_gap(NOON_US + 150 * SECOND)
    events = [verdict("100e0000", SECOND, NOON_US + i) for i in range(3)]
    old = [verdict("100e0001", 9 * SECOND, NOON_US - 3 * HOUR_US), verdict("100e0001", -SECOND)]
    state = run_state(
        day_of(events + old), cameras("a", "b"), state="waiting to connect", coverage=coverage, rtt_us=494,
        gaps=[Gap("gap", 0, 1, "x"), Gap("suspend", 0, 1, "sleep")], totals={"measured": 4, "early": 1},
        rejected={"not-json": 2}, offset=Offset(181_000, 504_000), kernel=KernelClock(False, 0, 0),
        queued_bytes=7, held_lines=3,
    )  # fmt: skip
    health = HealthLog()
    assert await line(health, state, 1_864) == (
        "time=2026-11-22T12:10:00.000000Z state=waiting-to-connect cameras=2 clock_offset_s=0.181 clock_bound_s=0.504"
        " ntp=unsynchronised rtt_s=0.000494 rtt_max_s=0.001864 lag_p99_s=0.003133 lag_max_s=0.004889"
        " write_p99_s=0.013909 backlog=7 events=5 rejected=2"
        " recent=3 p95_s=1.000 early=0.2500 last_event=2026-11-22T12:00:00.000002Z observed=0.7500 gaps=1 held=3\n"
    )
    assert " events=0 rejected=0 " in await line(health, state), "each line has the events of its own minute"
    # What is not known is left out.
    assert await line(HealthLog(), run_state(Day(), {})) == (
        "time=2026-11-22T12:10:00.000000Z state=connected cameras=0 lag_p99_s=0.003133 lag_max_s=0.004889"
        " write_p99_s=0.013909 backlog=0 events=0 rejected=0 recent=0 observed=1.0000 gaps=0 held=0\n"
    )


def test_a_round_trip_is_unknown_after_two_minutes_and_rest_stands_in_for_no_better_one() -> None:
    vitals = Vitals(list[Gap]().append)

    def answer(sent_us: int) -> None:
        vitals.date_sample(DateSample(NOON_US, sent_us, sent_us + 50_000))

    assert vitals.rtt(NOON_US) is None
    answer(NOON_US)
    assert vitals.rtt(NOON_US) == (50_000, "REST")
    vitals.rtt_sample(23_000, "pong", NOON_US)
    answer(NOON_US + SECOND)
    assert vitals.rtt(NOON_US + RTT_US) == (23_000, "pong")
    assert vitals.rtt(NOON_US + RTT_US + 1) is None
    answer(NOON_US + 2 * RTT_US)
    assert vitals.rtt(NOON_US + 2 * RTT_US) == (50_000, "REST")
    assert (vitals.take_rtt_max_us(), vitals.take_rtt_max_us()) == (50_000, None)


def test_a_clock_warning_comes_once_each_time_it_changes() -> None:
    steps: list[Gap] = []
    vitals = Vitals(steps.append)
    assert vitals.clock_warning(NOON_US) is None
    vitals.date_sample(DateSample(NOON_US + 60 * SECOND, NOON_US, NOON_US + 1_000))
    assert "behind" in (vitals.clock_warning(NOON_US) or "")
    assert vitals.clock_warning(NOON_US) is None
    vitals.date_sample(DateSample(NOON_US, NOON_US, NOON_US + 1_000))
    assert [step.kind for step in steps] == ["clock-step"]
    assert "agrees" in (vitals.clock_warning(NOON_US) or "")
    vitals.clock_stepped()
    assert vitals.offset(NOON_US) is None
