"""A report's figures are those of the delay logs of its period, whatever else lies in the directory."""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_logs import DAY, END_US, HOUR, KNOWN, all_events, report, some, write_logs
from run_states import NOON_US, SECOND, cameras, verdict

from eelogger.errors import NothingToShow
from eelogger.measure.coverage import ADDED, STARTED
from eelogger.measure.histogram import bucket_of
from eelogger.model import INITIAL, UNDATED, Camera, Gap
from eelogger.report.build import build
from eelogger.report.cells import Event, Timeline
from eelogger.report.conditions import NOT_RUNNING
from eelogger.report.lookup import lines_between
from eelogger.report.query import Query
from eelogger.storage.formats import delay_line, label, time_text
from eelogger.views.figures import Row, texts

NOTHING = dict.fromkeys(("files", "errors", "lines", "foreign", "events"), 0)
TODAY, YESTERDAY = "2026-11-22", "2026-11-21"


def named(rows: list[Row], name: str) -> Row:
    return next(each for each in rows if each.name == name)


def events_by_name(rows: list[Row]) -> dict[str, int]:
    return {row.name: row.figures.events for row in rows}


def identities(root: Path, **query: Any) -> list[str]:
    return sorted(event["uuid"] for event in all_events(root, **query))


def pack(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def test_each_table_holds_each_event_once_over_all_days(log_dir: Path) -> None:
    made = report(write_logs(log_dir, some()))
    assert events_by_name(made.rows["account"]) == {"all cameras": 60}
    assert events_by_name(made.rows["bridge"]) == {"100bb001": 40, "100bb002": 20}
    assert events_by_name(made.rows["camera"]) == {"Front Door": 20, "Back Gate": 20, "Lobby": 20}
    assert events_by_name(made.rows["namespace"]) == {"Intrusion": 30, "ROI alert start": 30}
    assert sum(each.figures.events for each in made.rows["cell"]) == 60
    assert made.skipped == NOTHING


def test_verdicts_that_are_no_delays_are_counted_apart_and_clean_maxima_found(log_dir: Path) -> None:
    events = [
        verdict("100e0000", 9 * SECOND, identity="nine", lag_us=20_000),
        verdict("100e0000", 4 * SECOND, NOON_US + 5, identity="four"),
        verdict("100e0000", 6 * SECOND, NOON_US + 6, identity="six", op=4),
        verdict("100e0000", DAY, identity="initial")._replace(kind=INITIAL),
        verdict("100e0000", 0, identity="undated")._replace(kind=UNDATED, delay_us=None, event_us=None),
        verdict("100e0000", -300_000),
    ]
    found = report(write_logs(log_dir, events)).total.figures
    assert (found.events, found.early, found.initial, found.undated) == (3, 1, 1, 1)
    assert (found.max_us, found.suspect, found.signed_p50_us) == (9 * SECOND, True, 4_000_000)
    assert found.max_event is not None
    assert found.clean_max is not None
    assert found.max_event.identity == "nine"
    assert (found.clean_max.identity, found.clean_max.arrived_us) == ("four", NOON_US + 5)


def test_worst_events_come_with_their_json_and_the_health_of_their_minute(log_dir: Path) -> None:
    events = [verdict("100e0000", i * SECOND, NOON_US + i * 60 * SECOND, identity=f"u{i}") for i in range(30)]
    # Two updates that arrived with one read.
    events += [verdict("100e0000", 0, events[29].arrived_us, identity="beside")._replace(identity="beside")]
    events += [verdict("100e0000", 99 * SECOND, NOON_US + 40 * 60 * SECOND, identity="unwatched")]
    minutes = [NOON_US + i * 60 * SECOND + 1 for i in range(60) if not 35 < i < 45]
    root = write_logs(log_dir, reversed(events), health_us=minutes)
    unwatched, *worst = report(root, worst=4).worst
    assert unwatched.minute is None
    assert [each.event.identity for each in worst] == ["u29", "u28", "u27"]
    assert all(f'"uuid": "{each.event.identity}"' in each.body for each in worst)
    times = [NOON_US + i * 60 * SECOND + 1 for i in (29, 28, 27)]
    assert [each.minute and each.minute.time_us for each in worst] == times
    assert worst[0].minute is not None
    assert worst[0].minute.offset_us == 12_000 - 2_900


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"cameras": ["front*", "LOBBY"]}, 40),
        ({"bridges": ["100bb002"]}, 20),
        ({"cameras": ["front*"], "namespaces": ["103"]}, 10),
        ({"since_us": NOON_US - 10 * HOUR}, 10),
        ({"since_us": NOON_US - 20 * HOUR, "until_us": NOON_US - 10 * HOUR}, 10),
    ],
)
def test_a_query_gets_what_it_asked_for(log_dir: Path, query: dict[str, Any], count: int) -> None:
    root = write_logs(log_dir, some())
    made = report(root, **query)
    assert made.total.figures.events == sum(slot.n for slot in made.timeline.slots.values()) == count
    assert len(all_events(root, **query)) == count


def test_all_events_over_a_delay_can_be_asked_for_and_what_is_left_out_is_said(
    log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_logs(log_dir, some())
    made = report(root, worst=2, min_delay_us=5 * SECOND)
    assert [each.event.row.delay_us for each in made.worst] == [i * SECOND // 10 for i in range(60, 49, -1)]
    assert made.skipped == NOTHING
    assert len(report(root, worst=2, min_delay_us=60 * SECOND).worst) == 2
    assert report(root, worst=0).worst == []
    monkeypatch.setattr("eelogger.report.cells.MOST_LATE", 4)
    made = report(root, worst=2, min_delay_us=5 * SECOND)
    assert [each.event.row.delay_us for each in made.worst] == [i * SECOND // 10 for i in range(60, 56, -1)]
    assert made.skipped == NOTHING | {"events": 7}


# What lies in the directory


def test_what_cannot_be_read_is_skipped_and_counted(log_dir: Path) -> None:
    root = write_logs(log_dir, some())
    path = root / "Front Door_100e0000.log"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["half a line", *lines, "time=2026-13-77T00:00:00.000000Z delay_s=1", ""]))
    (root / "notes_100e0009.log").write_bytes(b"\xff\xfe\x00 these are my notes\n")
    (root / "folder_100e0008.log").mkdir()
    (root / "shopping.txt").write_text("milk")  # the directory may be somebody's home
    (root / "days/2026-11-20/Front Door_100e0000.log").write_text("not a delay log\n" * 9)
    made = report(root)
    assert made.skipped == NOTHING | {"files": 2, "lines": 2, "errors": 1}
    assert events_by_name(made.rows["camera"]) == {"Front Door": 12, "Back Gate": 20, "Lobby": 20}
    # Days outside the period are not opened.
    assert report(root, since_us=NOON_US - 10 * HOUR).skipped == NOTHING | {"files": 1, "lines": 2, "errors": 1}


def test_packed_logs_are_read_and_what_else_lies_among_the_days_is_counted(log_dir: Path) -> None:
    blind = Gap("gap", NOON_US - DAY, NOON_US - DAY + HOUR, "closed-1006")
    root = write_logs(log_dir, some(), gaps=[blind], health_us=range(NOON_US - DAY, NOON_US, HOUR))
    before = report(root, worst=60)
    assert all(each.body for each in before.worst)
    day = root / "days" / YESTERDAY
    for path in (*day.glob("*.log"), *day.glob("stream/*.log")):
        pack(path)
    after = report(root, worst=60)
    for one, other in zip(after.rows["cell"], before.rows["cell"], strict=True):
        assert texts(one.figures) == texts(other.figures)
    assert (after.gaps, after.minutes, after.skipped) == (before.gaps, before.minutes, NOTHING)
    assert [each.body for each in after.worst] == [each.body for each in before.worst]
    (root / "days/2026-11-19.tar.xz").touch()
    (day / "Front Door_100e0000.log.xz").touch()
    (day / "stream/Lobby_100e0002_stream.log.bz2").touch()
    assert report(root).skipped == NOTHING | {"foreign": 3}


def test_copies_and_a_line_that_is_being_written_count_nothing_twice(log_dir: Path) -> None:
    root = write_logs(log_dir, some())
    before = identities(root)
    for folder in (root, root / "days" / YESTERDAY):
        copy = Path(shutil.copy(folder / "Front Door_100e0000.log", folder / "Copy of Front Door_100e0000.log"))
        with copy.open("a") as file:  # of a copy only the lines of its folder's day count
            file.write(delay_line(verdict("100e0000", SECOND, NOON_US - 9 * DAY), label(KNOWN["100e0000"])))
    path = root / "Lobby_100e0002.log"
    path.write_text(path.read_text() + path.read_text()[:50])
    made = report(root)
    assert (made.total.figures.events, made.skipped) == (60, NOTHING)
    assert identities(root) == before


def test_lines_of_other_versions_and_of_other_cameras_count_as_well(log_dir: Path) -> None:
    root = write_logs(log_dir, [verdict("100e0000", SECOND), verdict("100e0001", SECOND)])
    for name in ("Front Door_100e0000.log", "Back Gate_100e0001.log"):
        known = (root / name).read_text()
        other = known.replace("verdict=measured", "new_key=7 verdict=measured").replace("bridge=100bb001 ", "")
        (root / name).write_text(known + other)
    with (root / "Back Gate_100e0001.log").open("a") as file:
        file.write(delay_line(verdict("100e0009", SECOND), label(Camera("100e0009", "Elsewhere", ""))) + known)
    made = report(root)
    assert events_by_name(made.rows["camera"]) == {"Back Gate": 3, "Front Door": 2, "Elsewhere": 1, "Lobby": 0}
    assert (len(made.rows["cell"]), made.skipped) == (3, NOTHING)


def test_nothing_in_the_period_is_said(log_dir: Path) -> None:
    with pytest.raises(NothingToShow, match="12 events outside the period") as caught:
        report(write_logs(log_dir, some()), since_us=NOON_US + 1)
    assert "--since" in caught.value.hint


def test_a_renamed_camera_is_one_row_under_its_present_name(log_dir: Path) -> None:
    root = write_logs(log_dir, [verdict("100e0000", SECOND, NOON_US - DAY)])
    renamed = Camera("100e0000", "Main Door", "100bb009")
    (root / "Main Door_100e0000.log").write_text(delay_line(verdict("100e0000", 3 * SECOND), label(renamed)))
    (root / "cameras.json").unlink()
    made = report(root, cameras=["100e0000"])
    assert events_by_name(made.rows["camera"]) == {"Main Door": 2}
    # Figures of a bridge are those that came through it.
    assert events_by_name(made.rows["bridge"]) == {"100bb001": 1, "100bb009": 1}
    (root / "cameras.json").write_text('{"100e0000": {"name": "Gate", "bridge": "100bb009"}}')
    assert events_by_name(report(root, cameras=["gate"]).rows["camera"]) == {"Gate": 2}


def test_a_day_folder_alone_is_a_log_directory(log_dir: Path) -> None:
    made = report(write_logs(log_dir, some()) / "days" / YESTERDAY)
    assert made.total.figures.events == 24
    assert made.to_us - made.from_us < DAY


# Files that move while they are read


def midnight(root: Path) -> None:
    """What the logger does at midnight, when it can rename."""
    folder = root / "days" / TODAY
    folder.mkdir(parents=True, exist_ok=True)
    for path in root.glob("*_????????.log"):
        path.rename(folder / path.name)


def midnight_by_copy(root: Path) -> None:
    copy = Path(shutil.copytree(root, root.with_name("copy"), ignore=shutil.ignore_patterns(".state")))
    midnight(root)
    shutil.rmtree(root / "days" / TODAY)
    copy.rename(root / "days" / TODAY)


def midnight_goes_on(root: Path) -> None:
    midnight(root)
    line = delay_line(verdict("100e0001", SECOND, NOON_US + DAY, identity="tomorrow"), label(KNOWN["100e0001"]))
    (root / "Back Gate_100e0001.log").write_text(line)


def rename(root: Path) -> None:
    (root / "Lobby_100e0002.log").rename(root / "Hall_100e0002.log")


@pytest.mark.parametrize("move", [midnight, midnight_by_copy, midnight_goes_on, rename])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_moves_while_a_report_is_read_is_neither_lost_nor_doubled(
    log_dir: Path, after: int, move: Callable[[Path], None]
) -> None:
    events = [verdict(list(KNOWN)[i % 3], SECOND, NOON_US + i * SECOND, identity=f"u{i}") for i in range(36)]
    root, seen, files = write_logs(log_dir, events), list[str](), list[int]()
    with (root / "Front Door_100e0000.log").open("a") as file:
        file.write("damaged\n")
    (root / "AA notes_00000009.log").write_text("these are my notes\n")

    def on_events(some: list[Event]) -> None:
        seen.extend(event.identity for event in some)
        files.append(len(some))
        if len(files) == after:
            move(root)

    made = report(root, END_US + DAY, on_events=on_events)
    assert sorted(set(seen) - {"tomorrow"}) == sorted(f"u{i}" for i in range(36))
    assert len(seen) == made.total.figures.events == 36 + (move is midnight_goes_on)
    assert made.skipped == NOTHING | {"files": 1, "lines": 1}


def test_a_move_that_is_under_way_at_the_start_loses_nothing(log_dir: Path) -> None:
    root, seen = write_logs(log_dir, some(9)), list[str]()
    (root / "days" / TODAY).mkdir(parents=True)
    (root / "Back Gate_100e0001.log").rename(root / "days" / TODAY / "Back Gate_100e0001.log")

    def go_on(events: list[Event]) -> None:
        seen.extend(event.identity for event in events)
        midnight(root)

    report(root, on_events=go_on)
    assert sorted(seen) == sorted(each.identity for each in some(9))


def test_progress_ends_with_everything(log_dir: Path) -> None:
    calls: list[tuple[int, int]] = []
    build(Query(write_logs(log_dir, some())), END_US, lambda *done: calls.append(done))
    assert calls[-1][0] == calls[-1][1] > 0


# What was observed


def test_observed_is_the_period_less_the_gaps_and_what_nobody_watched(log_dir: Path) -> None:
    gaps = [
        Gap("gap", NOON_US - 3 * DAY, NOON_US - 3 * DAY + SECOND, STARTED),
        Gap("gap", NOON_US - 5 * HOUR, NOON_US - 4 * HOUR, "closed-1006"),
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 2 * HOUR, "404", "100e0002"),
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 2 * HOUR, "404", "100e0009"),  # no camera of the report
        Gap("gap", NOON_US - 3 * HOUR, NOON_US - 3 * HOUR, ADDED, "100e0001"),
        Gap("suspend", NOON_US - 2 * HOUR, NOON_US - 1 * HOUR, "sleep"),
    ]
    root = write_logs(log_dir, some(), gaps=gaps, alive_us=NOON_US)
    made = report(root, since_us=NOON_US - 9 * HOUR)
    # Up to now, an hour after the logger's last sign of life.
    assert (made.from_us, made.to_us) == (NOON_US - 9 * HOUR, END_US)
    assert made.gaps[-1] == Gap("gap", NOON_US, END_US, NOT_RUNNING)
    assert made.total.figures.observed == pytest.approx(0.8 - 0.1 / 3), "the mean over all three cameras"
    assert {each.figures.observed for each in made.rows["namespace"]} == {made.total.figures.observed}
    assert named(made.rows["camera"], "Lobby").figures.observed == pytest.approx(0.7)
    later = report(root, since_us=NOON_US - 4 * HOUR + 1, until_us=NOON_US)
    assert later.conditions["observed"] == "91.6 % of the period; no gap (but for 1 gap of a single camera)"
    others = report(root, since_us=NOON_US - 5 * HOUR, until_us=NOON_US, cameras=["100e0000"]).conditions["observed"]
    gap = "1 gap, 60 min 00 s in all, the longest 60 min 00 s from 2026-11-22 07:00:00 UTC (closed-1006)"
    assert others == f"80.0 % of the period; {gap}"
    whole = report(root)
    assert whole.to_us == NOON_US
    assert whole.total.figures.observed == pytest.approx(71 / 72 - 1 / 72 / 3)
    # Without a record nobody knows.
    (root / ".state").unlink()
    for path in root.rglob("gaps.log"):
        path.unlink()
    unknown = report(root)
    assert unknown.total.figures.observed is None
    assert unknown.conditions["observed"].startswith("unknown")


def test_a_bridges_share_counts_cameras_without_events(log_dir: Path) -> None:
    known = cameras("seen", "blind")
    gaps = [Gap("gap", NOON_US - 10 * HOUR, NOON_US, "404", "100e0001")]
    events = [verdict("100e0000", SECOND, NOON_US - i * HOUR) for i in range(10)]
    root = write_logs(log_dir, events, known, gaps=gaps, since_us=NOON_US - 10 * HOUR, alive_us=NOON_US)
    made = report(root, since_us=NOON_US - 10 * HOUR, until_us=NOON_US)
    assert [each.figures.observed for each in made.rows["camera"]] == [1.0, 0.0]
    assert [each.figures.observed for each in made.rows["bridge"]] == [0.5]


def test_a_running_logger_is_observing_now(log_dir: Path) -> None:
    root = write_logs(log_dir, some(), alive_us=END_US - 10 * SECOND)
    (root / ".state").write_text((root / ".state").read_text().replace("true", "false"))
    assert report(root, since_us=NOON_US - 9 * HOUR).total.figures.observed == 1.0


# Its parts


@given(st.lists(st.tuples(st.integers(0, 40 * DAY), st.integers(0, 10**9)), min_size=1, max_size=200))
def test_the_time_axis_holds_every_delay_once_in_few_equal_slots(events: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    timeline.LIMIT = 20  # type: ignore[misc]
    for at_us, delay_us in events:
        timeline.count(NOON_US + at_us, bucket_of(delay_us), delay_us)
    assert len(timeline.slots) <= 20
    assert sum(slot.n for slot in timeline.slots.values()) == len(events)
    for number, slot in timeline.slots.items():
        inside = [delay for at, delay in events if (NOON_US + at) // timeline.slot_us == number]
        assert (slot.n, slot.total_us) == (len(inside), sum(inside))


@pytest.mark.parametrize("prefix", ["", "time="])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_found_by_time_in_a_large_file(tmp_path: Path, prefix: str, packed: bool) -> None:
    path, chance = tmp_path / "log", random.Random(1)
    lines = [
        f"{prefix}{time_text(NOON_US + i * SECOND)} {chance.randbytes(20_000 if i % 50 == 0 else i * 37 % 900).hex()}"
        for i in range(900)
    ]
    path.write_text("\n".join(lines) + "\n")
    assert path.stat().st_size > 10 * (1 << 16)
    if packed:
        pack(path)
        path = tmp_path / "log.gz"
    spans = [
        (0, 3),
        (450, 460),
        (449, 451),
        (899, 2000),
        (500, 500),
        (0, 900),
        *((i, i + 2) for i in range(0, 900, 31)),
    ]
    for first, last in spans:
        found = lines_between(path, NOON_US + first * SECOND, NOON_US + last * SECOND)
        assert [line.decode() for line in found] == lines[first:last]
    assert list(lines_between(tmp_path / "absent", 0, NOON_US)) == []


def test_no_end_of_a_line_is_taken_for_a_line(tmp_path: Path) -> None:
    path, times = tmp_path / "log", [time_text(NOON_US + i * SECOND) for i in range(4)]
    start = f"time={times[1]} wanted\ntime={times[2]} "
    # At 64 KiB, where a search may look, stands what looks like an earlier line.
    path.write_text(f"{start}{'x' * ((1 << 16) - len(start))}time={times[0]} inside\ntime={times[3]} last\n")
    found = lines_between(path, NOON_US + SECOND, NOON_US + 2 * SECOND)
    assert [*found] == [f"time={times[1]} wanted".encode()]
