"""What monitoring reads: the Prometheus textfile and `health.log`; a round trip is forgotten after two minutes."""

import re
from pathlib import Path

import pytest
from run_states import NOON_US, SECOND, cameras, day_of, run_state, verdict

from eelogger.clock import KernelClock
from eelogger.measure.camera_statistics import Day
from eelogger.measure.clock_offset import Offset
from eelogger.measure.coverage import Coverage
from eelogger.measure.histogram import Histogram
from eelogger.model import HOUR_US, DateSample, Gap
from eelogger.views.metrics import LIMITS_S, render
from eelogger.views.run_state import RTT_US, OwnError, RunState, Vitals
from eelogger.views.snapshots import HealthLog

README = Path(__file__).parent.parent / "README.md"


def sample(rtt: tuple[int, str] | None = (1500, "pong")) -> str:
    known = cameras("Front Door", 'a"b\\c\nd\u202e')
    delays = [SECOND * n // 10 for n in (1, 2, 3, 8, 40, 700)]
    events = [verdict(camera_id, delay, ns=ns) for camera_id in known for ns in (103, None) for delay in delays]
    preview = Histogram()
    preview.add(SECOND)
    state = run_state(
        day_of([*events, verdict("100e0000", -SECOND)]), known, offset=Offset(1200, 300), totals={"duplicate": 3},
        own_error=OwnError(400, 4000, 10_000, 9), rejected={"not-json": 1}, rtt=rtt,
        previews={"100e0000": preview},
    )  # fmt: skip
    return "\n".join(filter(None, render(state)))


def test_the_textfile_has_histograms_of_the_day_and_what_the_logger_says_of_itself() -> None:
    text = sample()
    found = {name: float(value) for name, value in re.findall(r"^eelogger_(\S.*) (\S+)$", text, re.MULTILINE)}
    camera = 'camera="100e0000",name="Front Door",bridge="100bb001"'
    labels = f'{camera},namespace="103",event="Intrusion"'
    buckets = [found[f'event_delay_seconds_bucket{{{labels},le="{limit:g}"}}'] for limit in LIMITS_S]
    assert buckets == sorted(buckets)
    assert [buckets[LIMITS_S.index(1)], buckets[LIMITS_S.index(60)], buckets[-1]] == [4, 5, 6]
    expected = {
        f"event_delay_seconds_sum{{{labels}}}": 75.4, f"event_delay_seconds_count{{{labels}}}": 6.0,
        'events_total{verdict="measured"}': 24, 'events_total{verdict="early"}': 1, "connected": 1,
        'events_total{verdict="duplicate"}': 3, 'rejected_total{reason="not-json"}': 1, "clock_offset_seconds": 0.0012,
        "own_error_p99_seconds": 0.0004, "round_trip_seconds": 0.0015,
        f"last_event_timestamp_seconds{{{camera}}}": NOON_US / 1e6, f"preview_delay_seconds_count{{{camera}}}": 1,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert "eelogger_round_trip_seconds" not in sample(None), "what is unknown is not exported"
    assert 'name="a\\"b\\\\c\\\\nd\\\\u202e"' in text
    assert all(line.isprintable() for line in text.splitlines())
    named = set(re.findall(r"eelogger_(\w+?)(?:_bucket)?\b", README.read_text())) - {"log"}
    assert all(f"# TYPE eelogger_{name} " in text for name in named)


def line(health: HealthLog, state: RunState, rtt_max_us: int | None = None) -> str:
    return "".join(health.line(state, 3_133, 4_889, rtt_max_us))


def test_the_line_to_the_letter() -> None:
    coverage = Coverage(NOON_US)
    coverage.open_gap(NOON_US, "no-pong")
    coverage.close_gaps(NOON_US + 150 * SECOND)
    coverage.open_gap(NOON_US + 300 * SECOND, "error-404", "100e0001")
    coverage.restore(Gap("suspend", NOON_US, NOON_US + 1, "sleep"))
    events = [verdict("100e0000", SECOND, NOON_US + i) for i in range(3)]
    old = [verdict("100e0001", 9 * SECOND, NOON_US - 3 * HOUR_US), verdict("100e0001", -SECOND)]
    state = run_state(
        day_of(events + old), cameras("a", "b"), state="waiting to connect", coverage=coverage, rtt=(494, "pong"),
        totals={"measured": 4, "early": 1}, rejected={"not-json": 2}, offset=Offset(181_000, 504_000),
        kernel=KernelClock(False, 0), queued_bytes=7, held_lines=3, write_p99_us=13_909,
    )  # fmt: skip
    health = HealthLog()
    assert line(health, state, 1_864) == (
        "time=2026-11-22T12:10:00.000000Z state=waiting-to-connect cameras=2 clock_offset_s=0.181 clock_bound_s=0.504"
        " ntp=unsynchronised rtt_s=0.000494 rtt_max_s=0.001864 lag_p99_s=0.003133 lag_max_s=0.004889"
        " write_p99_s=0.013909 backlog=7 events=5 rejected=2"
        " recent=3 p95_s=1.000 early=0.2500 last_event=2026-11-22T12:00:00.000002Z observed=0.5000 gaps=1 held=3"
    )
    assert " events=0 rejected=0 " in line(health, state), "each line has the events of its own minute"
    # What is not known is left out.
    assert line(HealthLog(), run_state(Day(), {}, write_p99_us=13_909)) == (
        "time=2026-11-22T12:10:00.000000Z state=connected cameras=0 lag_p99_s=0.003133 lag_max_s=0.004889"
        " write_p99_s=0.013909 backlog=0 events=0 rejected=0 recent=0 observed=1.0000 gaps=0 held=0"
    )


def test_a_round_trip_is_unknown_after_two_minutes_and_rest_stands_in_for_no_better_one() -> None:
    vitals = Vitals()

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
    vitals = Vitals()
    assert vitals.clock_warning(NOON_US) is None
    vitals.date_sample(DateSample(NOON_US + 60 * SECOND, NOON_US, NOON_US + 1_000))
    assert "behind" in (vitals.clock_warning(NOON_US) or "")
    assert vitals.clock_warning(NOON_US) is None
    step = vitals.date_sample(DateSample(NOON_US, NOON_US, NOON_US + 1_000))
    assert step is not None
    assert step.kind == "clock-step"
    assert "agrees" in (vitals.clock_warning(NOON_US) or "")
