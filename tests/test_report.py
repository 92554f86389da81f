"""A report's figures are those of the delay logs of its period, whatever else lies in the directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from report_logs import write_logs
from standings import NOON_US, SECOND, cameras, verdict

from eelogger.errors import NothingToShow
from eelogger.figures.observation import ADDED, STARTED
from eelogger.lines import delay_line, label
from eelogger.model import INITIAL, UNDATED, Camera, Gap, Verdict
from eelogger.report import Logged, Report, ReportOptions, build
from eelogger.report.statements import conditions, headlines
from eelogger.report.values import QUANTILES, Row
from eelogger.report.vitals import NOT_RUNNING

HOUR = 3600 * SECOND
DAY = 24 * HOUR
END_US = NOON_US + HOUR

KNOWN = {
    "100e0000": Camera("100e0000", "Front Door", "100bb001"),
    "100e0001": Camera("100e0001", "Back Gate", "100bb001"),
    "100e0002": Camera("100e0002", "Lobby", "100bb002"),
}


def logs(root: Path, verdicts: Iterable[Verdict], **more: object) -> Path:
    fields = {"since_us": NOON_US - 3 * DAY, "alive_us": END_US, **more}
    return write_logs(root, KNOWN, verdicts, **fields)  # type: ignore[arg-type]


def some(count: int = 60) -> list[Verdict]:
    """Events over three days, on all cameras, in two groups, with delays of 0.1 s, 0.2 s, …"""
    ids = list(KNOWN)
    return [
        verdict(ids[i % 3], (i + 1) * SECOND // 10, NOON_US - (count - i) * HOUR, 103 if i % 2 else None)
        for i in range(count)
    ]


def report(root: Path, **options: object) -> Report:
    return build(ReportOptions(root, **options), at_us=END_US)  # type: ignore[arg-type]


def row(rows: list[Row], name: str) -> Row:
    return next(each for each in rows if each.label == name)


def test_each_table_holds_each_event_once_over_all_days(tmp_path: Path) -> None:
    events = some()
    made = report(logs(tmp_path, events))
    assert [each.n for each in (made.total, *made.cameras)] == [60, 20, 20, 20]
    for rows in (made.bridges, made.cameras, made.namespaces, made.cells):
        assert sum(each.n for each in rows) == 60
    assert sum(slot.delays.n for slot in made.slots) == 60
    assert {each.label: each.n for each in made.bridges} == {"100bb001": 40, "100bb002": 20}
    assert {each.label: each.n for each in made.namespaces} == {"Intrusion": 30, "ROI alert start": 30}
    door = row(made.cameras, "Front Door").delays
    delays = sorted(v.delay_us or 0 for v in events if v.camera_id == "100e0000")
    assert (door.min_us, door.max_us, door.total_us) == (delays[0], delays[-1], sum(delays))
    for per_mille, us in zip(QUANTILES, door.quantiles_us(QUANTILES), strict=True):
        exact = delays[-(-per_mille * 20 // 1000) - 1]
        assert abs(us - exact) <= exact / 100


def test_worst_p95_first_and_few_events_last(tmp_path: Path) -> None:
    many = [verdict("100e0000", SECOND, NOON_US + i) for i in range(20)]
    slow = [verdict("100e0001", 2 * SECOND, NOON_US + i) for i in range(20)]
    few = [verdict("100e0002", 9 * SECOND, NOON_US + i) for i in range(19)]
    made = report(logs(tmp_path, many + slow + few))
    assert [each.label for each in made.cameras] == ["Back Gate", "Front Door", "Lobby"]


def test_verdicts_that_are_no_delays_are_counted_apart(tmp_path: Path) -> None:
    plain = verdict("100e0000", 2 * SECOND)
    stale = verdict("100e0000", DAY)._replace(kind=INITIAL)
    undated = plain._replace(kind=UNDATED, delay_us=None, event_us=None)
    made = report(logs(tmp_path, [plain, stale, undated, verdict("100e0000", -300_000)])).total
    assert (made.n, made.early.n, made.initial, made.undated) == (1, 1, 1, 1)
    assert made.delays.max_us == 2 * SECOND
    assert made.censored
    assert made.signed_quantile_us(500) == -300_000


def test_the_worst_and_the_clean_worst_are_found_with_time_and_uuid(tmp_path: Path) -> None:
    tainted = verdict("100e0000", 9 * SECOND, identity="nine", lag_us=20_000)
    clean = verdict("100e0000", 4 * SECOND, NOON_US + 5, identity="four")
    late = verdict("100e0000", 6 * SECOND, NOON_US + 6, identity="six", op=4)
    found = report(logs(tmp_path, [tainted, clean, late])).total
    assert found.worst is not None
    assert found.clean is not None
    assert found.worst.verdict.identity == "nine"
    assert (found.clean.verdict.identity, found.clean.verdict.arrived_us) == ("four", NOON_US + 5)


def test_worst_events_come_with_their_json_and_the_health_of_their_minute(tmp_path: Path) -> None:
    events = [verdict("100e0000", i * SECOND, NOON_US + i * 60 * SECOND, identity=f"u{i}") for i in range(30)]
    root = logs(tmp_path, events, health_us=[NOON_US + i * 60 * SECOND + 1 for i in range(60)])
    worst = report(root, worst=3).worst
    assert [each.logged.verdict.identity for each in worst] == ["u29", "u28", "u27"]
    assert all('"uuid": "u2' in each.body for each in worst)
    assert [each.minute and each.minute.time_us for each in worst] == [
        NOON_US + i * 60 * SECOND + 1 for i in (29, 28, 27)
    ]
    assert worst[0].minute is not None
    assert worst[0].minute.offset_us == 12_000 - 2_900


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"cameras": ["100e0000"]}, 20),
        ({"cameras": ["front*", "LOBBY"]}, 40),
        ({"bridges": ["100bb002"]}, 20),
        ({"namespaces": ["103"]}, 30),
        ({"namespaces": ["intru*"]}, 30),
        ({"namespaces": ["ALRS"]}, 30),
        ({"cameras": ["front*"], "namespaces": ["103"]}, 10),
        ({"since_us": NOON_US - 10 * HOUR}, 10),
        ({"until_us": NOON_US - 10 * HOUR}, 50),
        ({"since_us": NOON_US - 20 * HOUR, "until_us": NOON_US - 10 * HOUR}, 10),
    ],
)
def test_a_selection_is_what_was_asked_for(tmp_path: Path, options: dict[str, object], count: int) -> None:
    made = report(logs(tmp_path, some()), **options)
    assert made.total.n == count
    assert sum(slot.delays.n for slot in made.slots) == count


def test_days_outside_the_period_are_not_opened(tmp_path: Path) -> None:
    root = logs(tmp_path, some())
    old = root / "days" / "2026-11-20"
    (old / "Front Door_100e0000.log").write_text("not a delay log\n" * 9)
    assert report(root, since_us=NOON_US - 10 * HOUR).skipped == report(root, since_us=NOON_US - 9 * HOUR).skipped
    assert report(root).skipped.files == 1


def test_what_cannot_be_read_is_skipped_and_counted(tmp_path: Path) -> None:
    root = logs(tmp_path, some())
    path = root / "Front Door_100e0000.log"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["half a line", *lines, "time=2026-13-77T00:00:00.000000Z delay_s=1", ""]))
    (root / "notes_100e0009.log").write_bytes(b"\xff\xfe\x00 these are my notes\n")
    (root / "folder_100e0008.log").mkdir()
    (root / "shopping.txt").write_text("milk")
    made = report(root)
    assert made.total.n == 60
    assert (made.skipped.files, made.skipped.lines, made.skipped.errors) == (1, 2, 1)
    assert {each.label for each in made.cameras} == {"Front Door", "Back Gate", "Lobby"}


def test_a_line_that_is_still_being_written_is_no_damage(tmp_path: Path) -> None:
    root = logs(tmp_path, some())
    path = root / "Front Door_100e0000.log"
    path.write_text(path.read_text() + path.read_text()[:150].rsplit(" ", 1)[0])
    assert report(root).skipped.lines == 0
    assert report(root).total.n == 60


def test_lines_of_other_versions_count_as_well(tmp_path: Path) -> None:
    root = logs(tmp_path, [verdict("100e0000", SECOND)])
    path = root / "Front Door_100e0000.log"
    known = path.read_text()
    path.write_text(
        known + known.replace("verdict=measured", "new_key=7 verdict=measured").replace(" p50_s=", " p42_s=")
    )
    made = report(root)
    assert (made.total.n, len(made.cells), made.skipped.lines) == (2, 1, 0)


def test_nothing_to_show_says_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(NothingToShow, match="there is no directory"):
        report(tmp_path / "absent")
    with pytest.raises(NothingToShow, match="found 0 delay logs"):
        report(tmp_path)
    (tmp_path / "notes_100e0009.log").write_text("hello\n")
    with pytest.raises(NothingToShow, match="found 0 delay logs, 1 file without a delay line"):
        report(tmp_path)
    root = logs(tmp_path / "logs", some())
    with pytest.raises(NothingToShow, match="outside the period") as caught:
        report(root, since_us=NOON_US + 1)
    assert "--since" in caught.value.hint


def test_observed_is_the_period_less_the_gaps_and_what_nobody_watched(tmp_path: Path) -> None:
    gaps = [
        Gap("gap", NOON_US - 3 * DAY, NOON_US - 3 * DAY + SECOND, STARTED),
        Gap("gap", NOON_US - 5 * HOUR, NOON_US - 4 * HOUR, "closed-1006"),
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 2 * HOUR, "404", "100e0002"),
        Gap("suspend", NOON_US - 2 * HOUR, NOON_US - 1 * HOUR, "sleep"),
    ]
    root = logs(tmp_path, some(), gaps=gaps, alive_us=NOON_US)
    made = report(root, since_us=NOON_US - 9 * HOUR)
    # Up to now, an hour after the logger's last sign of life.
    assert (made.from_us, made.to_us) == (NOON_US - 9 * HOUR, END_US)
    assert made.gaps[-1] == Gap("gap", NOON_US, END_US, NOT_RUNNING)
    assert made.total.observed == pytest.approx(0.8)
    assert row(made.cameras, "Lobby").observed == pytest.approx(0.7)
    assert row(made.bridges, "100bb002").observed == pytest.approx(0.7)
    assert report(root, since_us=NOON_US - 4 * HOUR, until_us=NOON_US).total.observed == 1.0
    assert report(root).to_us == NOON_US
    assert report(root).total.observed == pytest.approx(71 / 72)


def test_gaps_of_single_cameras_are_told_beside_the_share_of_all(tmp_path: Path) -> None:
    gaps = [
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 2 * HOUR, "404", "100e0002"),
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 3 * HOUR, ADDED, "100e0001"),
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 2 * HOUR, "404", "100e0003"),  # no camera of the report
    ]
    root = logs(tmp_path, some(), gaps=gaps)
    whole, worst = headlines(report(root))
    assert whole.endswith("; observed 100 % (but for 1 gap of a single camera)")
    assert worst.startswith("Worst camera, Lobby: ")
    assert worst.endswith(" observed 98.3 %")  # all but 1 of 61 hours
    assert (
        dict(conditions(report(root)))["observed"] == "100 % of the period; no gap (but for 1 gap of a single camera)"
    )
    others = report(root, cameras=["100e0000", "100e0001"])
    assert not any("but for" in sentence for sentence in (*headlines(others), *dict(conditions(others)).values()))


def test_a_running_logger_is_observing_now(tmp_path: Path) -> None:
    root = logs(tmp_path, some(), alive_us=END_US - 10 * SECOND)
    state = (root / ".state").read_text().replace("true", "false")
    (root / ".state").write_text(state)
    assert report(root, since_us=NOON_US - 9 * HOUR).total.observed == 1.0


def test_a_day_folder_alone_is_a_log_directory(tmp_path: Path) -> None:
    root = logs(tmp_path, some())
    made = report(root / "days" / "2026-11-21")
    assert made.total.n == 24
    assert made.to_us - made.from_us < DAY


def test_every_event_is_handed_on_as_it_is_read(tmp_path: Path) -> None:
    events, seen = some(), list[Logged]()
    build(ReportOptions(logs(tmp_path, events), namespaces=["103"]), on_event=seen.append, at_us=END_US)
    wanted = [(v.arrived_us, v.delay_us, v.camera_id) for v in events if v.ns == 103]
    assert sorted((e.verdict.arrived_us, e.verdict.delay_us, e.camera.id) for e in seen) == sorted(wanted)


def test_all_events_over_a_delay_can_be_asked_for(tmp_path: Path) -> None:
    made = report(logs(tmp_path, some()), worst=2, min_delay_us=5 * SECOND)
    assert [each.logged.verdict.delay_us for each in made.worst] == [i * SECOND // 10 for i in range(60, 49, -1)]
    assert len(report(tmp_path, worst=2, min_delay_us=60 * SECOND).worst) == 2
    assert report(tmp_path, worst=0).worst == []


def test_progress_ends_with_everything(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    build(ReportOptions(logs(tmp_path, some())), progress=lambda done, total: calls.append((done, total)), at_us=END_US)
    assert calls[-1][0] == calls[-1][1] > 0


def test_a_renamed_camera_is_one_row_under_its_latest_name(tmp_path: Path) -> None:
    root = logs(tmp_path, [verdict("100e0000", SECOND, NOON_US - DAY)])
    renamed = replace(KNOWN["100e0000"], name="Main Door", bridge="100bb009")
    stem = root / "Main Door_100e0000.log"
    stem.write_text(delay_line(verdict("100e0000", 3 * SECOND), label(renamed)))
    made = report(root, cameras=["100e0000"])
    assert [(each.label, each.n) for each in made.cameras] == [("Main Door", 2)]
    # Figures of a bridge are those that came through it.
    assert {each.label: each.n for each in made.bridges} == {"100bb001": 1, "100bb009": 1}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_counted(tmp_path: Path) -> None:
    root = logs(tmp_path, some())
    (root / "Front Door_100e0000.log").chmod(0)
    assert report(root).skipped.errors == 1


def test_cameras_without_events_are_shown(tmp_path: Path) -> None:
    made = build(
        ReportOptions(
            write_logs(tmp_path, cameras("a", "b"), [verdict("100e0000", SECOND)], since_us=0, alive_us=END_US)
        )
    )
    assert [(each.label, each.n) for each in made.cameras] == [("a", 1), ("b", 0)]
