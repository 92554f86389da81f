"""`summary.log` and the closing table: the worst first, and why to doubt it."""

from run_states import NOON_US, SECOND, cameras, day_of, run_state, verdict

from eelogger.clock import KernelClock
from eelogger.measure.camera_statistics import Day
from eelogger.measure.clock_offset import Offset
from eelogger.measure.coverage import Coverage
from eelogger.measure.histogram import Histogram
from eelogger.model import HOUR_US, INITIAL, UNDATED, Camera, CloudNotice, Gap
from eelogger.report.build import conditions
from eelogger.views import metrics, summary
from eelogger.views.figures import Figures
from eelogger.views.run_state import OwnError, RunState
from eelogger.views.snapshots import HealthLog
from eelogger.views.status_line import status_line
from eelogger.views.summary import closing_table
from eelogger.views.text import width

# A local clock 0.3 s slow on a true median of 0.3 s: half of the events come before their own timestamp.
HALF_EARLY = [verdict("100e0000", i * 3_000 - 300_000, NOON_US + i) for i in range(201)]


def render(state: RunState) -> list[str]:
    return "\n".join(filter(None, summary.render(state))).splitlines()


def closing(state: RunState) -> list[str]:
    return "\n".join(filter(None, closing_table(state))).splitlines()


def titles(lines: list[str]) -> list[str]:
    start = next(i for i, line in enumerate(lines) if line.startswith("name "))
    return [line.split("  ")[0] for line in lines[start + 2 :] if not line.startswith(" ")]


def test_the_worst_p95_of_the_last_two_clock_hours_stands_first_and_few_events_last() -> None:
    before = [verdict("100e0000", 9 * SECOND, NOON_US - 3 * HOUR_US + i) for i in range(50)]
    slow = [verdict("100e0001", 2 * SECOND, NOON_US - 1 + i) for i in range(20)]
    now = [verdict("100e0000", SECOND, NOON_US + i) for i in range(20)]
    few = [verdict("100e0002", 60 * SECOND, NOON_US + i) for i in range(19)]
    lines = render(run_state(day_of(before + slow + now + few), cameras("was slow", "is slow", "few", "silent")))
    assert titles(lines) == ["is slow", "was slow", "few", "silent"]


def test_the_camera_block_to_the_letter() -> None:
    events = [verdict("100e0000", 4 * SECOND, NOON_US - 5 * HOUR_US + i, after_gap_us=1) for i in range(10)]
    events += [verdict("100e0000", 2 * SECOND, NOON_US + i, None) for i in range(20)]
    lines = render(run_state(day_of(events), cameras("Front Door")))
    assert lines[lines.index("") + 1 :] == [
        "CAMERAS (1), worst p95 since 11:00 first, fewer than 20 events last. Seconds, UTC.",
        "p95 of each hour: ▁ up to 0.25 s, each step doubles, █ over 16 s",
        "name                          id        bridge    00    06    12    18              max at    clean max at"
        " observed",
        "         since 11:00: events   latest   min   avg   p50   p95   p99   max │    day   min   avg   p50   p95"
        "   p99   max",
        "Front Door                    100e0000  100bb001         ▅    ▄             4.000 07:00:00  2.000 12:00:00"
        "    100 %",
        f"  all                     20 12:00:00{' 2.000' * 6} │     30 2.000 2.667 2.000 3.973 4.000 4.000",
        f"  Intrusion                0 07:00:00{'     -' * 6} │     10{' 4.000' * 6}",
        f"  ROI alert start         20 12:00:00{' 2.000' * 6} │     20{' 2.000' * 6}",
    ]


def test_a_wrong_clock_shows_at_once_though_the_median_looks_healthy() -> None:
    day, known = day_of(HALF_EARLY), cameras("Front Door")
    lines = render(run_state(day, known))
    block = lines[next(i for i, line in enumerate(lines) if line.startswith("?Front Door")) :]
    assert [line.count("?") for line in block] == [1, 1, 0]
    assert block[1].endswith(
        " 100 of 201 dated events (49.7 %) came before their own timestamp; over all dated p50 0.000 s, p95 0.269 s"
    )
    assert "a clock is wrong" in " ".join(" ".join(lines[: lines.index("")]).split())
    lines = closing(run_state(day, known))
    assert lines[1].split()[-2:] == ["all_p50_s", "all_p95_s"]
    row = "? Front Door 101 0.000 0.150 0.151 0.285 0.297 0.300 100 0.000 0.269"
    assert lines[2].split() == row.split()
    assert "1 camera: More than 1 % of the events" in lines[3]
    assert lines[-2].endswith("(? a clock is wrong)")


def test_bridges_are_compared_and_shares_count_all_cameras_and_their_own_gaps() -> None:
    known = cameras("a", "silent") | {"100e0002": Camera("100e0002", "c", "")}
    day = day_of(
        verdict(id_, n * SECOND, NOON_US + k) for id_, n in (("100e0000", 1), ("100e0002", 3)) for k in range(20)
    )
    coverage = Coverage(NOON_US)
    coverage.open_gap(NOON_US, "error-404", "100e0001")
    coverage.close_gaps(NOON_US + 300 * SECOND, ["100e0001"])
    state = run_state(day, known, coverage=coverage)
    lines = render(state)
    start = next(i for i, line in enumerate(lines) if line.startswith("BRIDGES"))
    assert lines[start + 1 : start + 4] == [
        "bridge      cameras  events    min    p50    p95 │     day    min    p50    p95 observed",
        "(none)            1      20  3.000  3.000  3.000 │      20  3.000  3.000  3.000    100 %",
        "100bb001          2      20  1.000  1.000  1.000 │      20  1.000  1.000  1.000   75.0 %",
    ]
    assert not any(line.startswith("BRIDGES") for line in render(run_state(Day(), cameras("a"))))
    assert any(line.startswith("observed   83.3 % of the day; ") for line in lines)
    assert closing(state)[-2].endswith("; observed 83.3 %")
    assert "eelogger_observed_ratio 0.8333333" in "\n".join(metrics.render(state))


def test_the_head_says_everything_a_reader_must_know() -> None:
    day = day_of([verdict("100e0000", SECOND), verdict("100e0000", -1)])
    blind, slept = (NOON_US, NOON_US + 20 * SECOND, "closed-1001"), (NOON_US, NOON_US + SECOND, "sleep")
    gaps, preview = [Gap("gap", *blind), Gap("suspend", *slept)], Histogram()
    preview.add(250_000)
    state = run_state(
        day, cameras("Front\x1b Door"), totals={"duplicate": 4120, "pre": 1}, rejected={"not-json": 2}, gaps=gaps,
        offset=Offset(2_000_000, 90_000), kernel=KernelClock(False, 16_000_000), rtt=(41_000, "pong"),
        own_error=OwnError(300, 4_100, 10_000, 9), write_p99_us=2_000, previews={"100e0000": preview},
        left={"100e0000": CloudNotice("100e0000", 404, "gone\n")}, disk="No space left on device", held_lines=12,
    )  # fmt: skip
    text = " ".join("\n".join(render(state)).split())
    for part in (
        "connected since 2026-11-22 12:00:00 UTC (10 min 00 s)", "measured 1, early 1, initial 0, undated 0",
        "duplicate 4,120, ignored 0, unidentified 0, pre 1, rejected 2 (not-json 2)",
        "the local clock is 2.0 s behind (± 0.1 s): every delay is shown about 2.0 s too short",
        "kernel: NOT synchronised", "round trip 41.0 ms (pong)",
        "1 gap, 20.0 s in all, longest 20.0 s; last: 12:00:00 20.0 s closed-1001, suspend 12:00:00 1.0 s sleep",
        "No space left on device; 12 lines held in memory", "the server dropped 1 camera: Front\\x1b Door: 404 gone\\n",
        "previews delay of their timestamps since this start: p50 0.250 s, p95 0.250 s, max 0.250 s",
        "A delay is camera or bridge clock error",
    ):  # fmt: skip
        assert part in text
    assert "round trip unknown" in "\n".join(render(run_state(day, {})))
    assert render(run_state(day, {}, headline="STOPPED now"))[0] == "STOPPED now"


def test_every_view_shows_the_same_gaps() -> None:
    lasted = {"no-pong": 20, "started": 50, "added": 40, "dns": 0}
    gaps = [Gap("gap", NOON_US, NOON_US + s * SECOND, reason) for reason, s in lasted.items()]
    state = run_state(Day(), {}, gaps=[*gaps, Gap("suspend", NOON_US, NOON_US + SECOND, "sleep")])
    assert "; 1 gap, 20.0 s in all, longest 20.0 s; last: 12:00:00 20.0 s no-pong, suspend" in "\n".join(render(state))
    assert status_line(state, 200).endswith(" · 1 gap")
    assert " gaps=1 " in "".join(HealthLog().line(state, 0, 0, None))
    assert "eelogger_gap_seconds_total 20.0" in metrics.render(state)
    told = dict(conditions(Figures(observed=0.9), [], gaps, []))["observed"]
    assert told.startswith("90.0 % of the period; 1 gap, 20.0 s in all, longest 20.0 s from 2026-11-22 12:00:00 UTC")


def test_it_fits_into_120_columns_and_holds_nothing_unprintable() -> None:
    known = cameras("x" * 300, "正门" * 80, "\u202e\x1b[2J", "")
    day = day_of(verdict(c, 10**12 + i * SECOND, NOON_US + i, 900_000 + i % 3) for i in range(60) for c in known)
    lines = render(run_state(day, known, state="x" * 10, names={900_000: "n" * 99}))
    assert max(map(width, lines)) <= 120
    assert all(line.isprintable() for line in lines)


def test_the_worst_200_cameras_are_shown_and_the_others_counted() -> None:
    known = cameras(*(f"camera {i:03d}" for i in range(250)))
    lines = render(run_state(day_of(verdict(c, i * SECOND) for i, c in enumerate(known)), known))
    assert titles(lines)[:200] == [f"camera {i:03d}" for i in range(249, 49, -1)]
    assert lines[-1] == "… and 50 more cameras"


def test_the_closing_table_to_the_letter() -> None:
    day = day_of([verdict(f"100e000{c}", (c + 1) * SECOND, NOON_US + i) for c in (0, 1) for i in range(20)])
    day.count(verdict("100e0000", 0)._replace(kind=INITIAL))
    day.count(verdict("100e0000", 0)._replace(kind=UNDATED))
    state = run_state(
        day, cameras("one", "two", "silent"), own_error=OwnError(3_100, 4_900, 10_000, 40), write_p99_us=2_800
    )
    assert closing(state) == [
        "Delays of 2026-11-22 (UTC) in seconds, worst p95 first, under 20 events last:",
        "camera  events  min_s  avg_s  p50_s  p95_s  p99_s  max_s",
        "two         20  2.000  2.000  2.000  2.000  2.000  2.000",
        "one         20  1.000  1.000  1.000  1.000  1.000  1.000",
        "1 camera without an event",
        "First-seen events: measured 40, early 0, initial 1, undated 1",
        "two: 95 % within 2.0 s, worst 2.0 s at 12:00 UTC; observed 100 %",
        "All cameras: 95 % within 2.0 s, worst 2.0 s at 12:00 UTC (two); observed 100 %",
        "Own error: p99 3.1 ms, max 4.9 ms; above 10.0 ms a line carries lag_s=; disk write p99 2.8 ms",
    ]


def test_the_closing_table_names_every_camera_and_says_what_is_missing() -> None:
    day = day_of(verdict(f"100e000{i}", (9 - i) * SECOND) for i in range(4))
    lines = closing(run_state(day, cameras("Cash\x1b[2J\nDesk", "Cash\x1b[2J\nDesk", "", "")))
    names = ["Cash\\x1b[2J\\nDesk (100e0000)", "Cash\\x1b[2J\\nDesk (100e0001)", "100e0002", "100e0003"]
    assert [line.split("  ")[0] for line in lines[2:6]] == names
    day.count(verdict("100e0000", -1))
    assert max(map(len, filter(None, closing_table(run_state(day, cameras("Gate " * 9)), 79)))) == 79
    nothing = ["1 camera without an event", "All cameras: no measured event; observed 100 %"]
    assert closing(run_state(Day(), cameras("a")))[:-1] == nothing
    assert closing(run_state(day, {}, reading=0.42)) == [
        "The day's files are still being read (42.0 %): there are no figures yet."
    ]
