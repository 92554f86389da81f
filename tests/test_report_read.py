"""A report's figures are those of the delay logs of its period, whatever else lies in the directory."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_logs import DAY, END_US, HOUR, KNOWN, all_events, report, some, write_logs
from run_states import NOON_US, SECOND, cameras, verdict

from eelogger.measure.coverage import ADDED, STARTED
from eelogger.model import INITIAL, UNDATED, Camera, Gap
from eelogger.report.build import NOT_RUNNING
from eelogger.report.read import Event
from eelogger.storage.formats import delay_line, label
from eelogger.views.figures import Row, texts

NOTHING = dict.fromkeys(("files", "errors", "lines", "foreign", "events"), 0)
TODAY, YESTERDAY = "2026-11-22", "2026-11-21"


def events_by_name(rows: list[Row]) -> dict[str, int]:
    return {row.name: row.figures.events for row in rows}


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
    assert (found.events, found.early.n, found.initial, found.undated) == (3, 1, 1, 1)
    assert (texts(found)["max_s"], found.suspect, texts(found)["all_dated_p50_s"]) == ("9.000", True, "4.000")
    assert found.max_event is not None
    assert found.clean_max is not None
    assert found.max_event.identity == "nine"
    assert (found.clean_max.identity, found.clean_max.arrived_us) == ("four", NOON_US + 5)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"cameras": ["front*"], "namespaces": ["103"]}, 10),
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
    assert [each.row.delay_us for each in made.worst] == [i * SECOND // 10 for i in range(60, 49, -1)]
    assert made.skipped == NOTHING
    assert len(report(root, worst=2, min_delay_us=60 * SECOND).worst) == 2
    assert report(root, worst=0).worst == []
    monkeypatch.setattr("eelogger.report.read.MOST_LATE", 4)
    made = report(root, worst=2, min_delay_us=5 * SECOND)
    assert [each.row.delay_us for each in made.worst] == [i * SECOND // 10 for i in range(60, 56, -1)]
    assert made.skipped == NOTHING | {"events": 7}


# What lies in the directory


def test_what_cannot_be_read_is_skipped_and_counted(log_dir: Path) -> None:
    root = write_logs(log_dir, some())
    (root / "notes_100e0009.log").write_bytes(b"\xff\xfe\x00 these are my notes\n")
    (root / "folder_100e0008.log").mkdir()
    (root / "shopping.txt").write_text("milk")  # the directory may be somebody's home
    (root / "days/2026-11-20/Front Door_100e0000.log").write_text("not a delay log\n" * 9)
    with next((root / "days/2026-11-21").glob("*_100e0000.log")).open("ab") as file:
        file.write(b"time=2026-11-21T23:59:59.9")  # a copy that broke off
    made = report(root)
    assert made.skipped == NOTHING | {"files": 2, "errors": 1, "lines": 1}
    assert events_by_name(made.rows["camera"]) == {"Front Door": 12, "Back Gate": 20, "Lobby": 20}
    # Days outside the period are not opened.
    assert report(root, since_us=NOON_US - 10 * HOUR).skipped == NOTHING | {"files": 1, "errors": 1}


def test_packed_logs_are_read_and_what_else_lies_among_the_days_is_counted(log_dir: Path) -> None:
    blind = Gap("gap", NOON_US - DAY, NOON_US - DAY + HOUR, "closed-1006")
    root = write_logs(log_dir, some(), gaps=[blind], health_us=range(NOON_US - DAY, NOON_US, HOUR))
    before = report(root)
    day = root / "days" / YESTERDAY
    for path in (*day.glob("*.log"), *day.glob("stream/*.log")):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    after = report(root)
    for one, other in zip(after.rows["cell"], before.rows["cell"], strict=True):
        assert texts(one.figures) == texts(other.figures)
    assert (after.gaps, after.conditions, after.skipped) == (before.gaps, before.conditions, NOTHING)
    (root / "days/2026-11-19.tar.xz").touch()
    (day / "Front Door_100e0000.log.xz").touch()
    (day / "stream/Lobby_100e0002_stream.log.bz2").touch()
    assert report(root).skipped == NOTHING | {"foreign": 3}


def test_a_copy_counts_nothing_twice_and_only_with_the_lines_of_its_day(log_dir: Path) -> None:
    root = write_logs(log_dir, some())
    for folder in (root, root / "days" / YESTERDAY):
        copy = Path(shutil.copy(folder / "Front Door_100e0000.log", folder / "Copy of Front Door_100e0000.log"))
        with copy.open("a") as file:
            file.write(delay_line(verdict("100e0000", SECOND, NOON_US - 9 * DAY), label(KNOWN["100e0000"])))
    (root / "days" / TODAY).mkdir()
    shutil.copy(root / "Lobby_100e0002.log", root / "days" / TODAY)  # to another file system, cut short at midnight
    made = report(root)
    assert (made.total.figures.events, made.skipped) == (60, NOTHING)


def test_a_renamed_camera_is_one_row_under_its_present_name(log_dir: Path) -> None:
    root = write_logs(log_dir, [verdict("100e0000", SECOND, NOON_US - DAY)])
    renamed = Camera("100e0000", "Main Door", "100bb009")
    (root / "Main Door_100e0000.log").write_text(delay_line(verdict("100e0000", 3 * SECOND), label(renamed)))
    (root / "cameras.json").unlink()
    made = report(root, cameras=["100e0000"])
    assert events_by_name(made.rows["camera"]) == {"Main Door": 2}
    # Figures of a bridge are those that came through it.
    assert events_by_name(made.rows["bridge"]) == {"100bb001": 1, "100bb009": 1}
    for folder, name in ((root, "Gate"), (root / "days" / YESTERDAY, "Front Door")):
        (folder / "cameras.json").write_text(f'{{"100e0000": {{"name": "{name}", "bridge": "100bb009"}}}}')
    assert events_by_name(report(root, cameras=["gate"]).rows["camera"]) == {"Gate": 2}


# Files that move while they are read


def midnight(root: Path) -> None:
    """What the logger does at midnight, when it can rename."""
    folder = root / "days" / TODAY
    folder.mkdir(parents=True, exist_ok=True)
    for path in root.glob("*_????????.log"):
        path.rename(folder / path.name)


def midnight_goes_on(root: Path) -> None:
    midnight(root)
    line = delay_line(verdict("100e0001", SECOND, NOON_US + DAY, identity="tomorrow"), label(KNOWN["100e0001"]))
    (root / "Back Gate_100e0001.log").write_text(line)


def rename(root: Path) -> None:
    (root / "Lobby_100e0002.log").rename(root / "Hall_100e0002.log")


@pytest.mark.parametrize("move", [midnight, midnight_goes_on, rename])
@pytest.mark.parametrize("after", [1, 12, 30])
def test_what_moves_while_a_report_is_read_is_neither_lost_nor_doubled(
    log_dir: Path, after: int, move: Callable[[Path], None]
) -> None:
    times = [NOON_US + i * SECOND - i % 2 * DAY for i in range(36)]
    events = [verdict(list(KNOWN)[i % 3], SECOND, at_us, identity=f"u{i}") for i, at_us in enumerate(times)]
    root, seen = write_logs(log_dir, events), list[str]()
    with (root / "Front Door_100e0000.log").open("a") as file:
        file.write("damaged\n")
    (root / "AA notes_00000009.log").write_text("these are my notes\n")

    def on_event(event: Event) -> None:
        seen.append(event.identity)
        if len(seen) == after:
            move(root)

    made = report(root, END_US + DAY, on_event=on_event)
    # What comes after midnight is read where its camera was yet to be read.
    assert sorted(set(seen) - {"tomorrow"}) == sorted(f"u{i}" for i in range(36))
    assert len(seen) == made.total.figures.events == 36 + ("tomorrow" in seen)
    assert made.skipped == NOTHING | {"files": 1, "lines": 1}


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
    assert next(row.figures.observed for row in made.rows["camera"] if row.name == "Lobby") == pytest.approx(0.7)
    others = report(root, since_us=NOON_US - 5 * HOUR, until_us=NOON_US, cameras=["100e0000"]).conditions["observed"]
    gap = "1 gap, 60 min 00 s in all, longest 60 min 00 s from 2026-11-22 07:00:00 UTC (closed-1006)"
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
    gaps = [Gap("gap", NOON_US - 10 * HOUR, NOON_US, "404", "100e0001")]
    events = [verdict("100e0000", SECOND, NOON_US - i * HOUR) for i in range(10)]
    root = write_logs(log_dir, events, cameras("seen", "blind"), gaps=gaps, alive_us=NOON_US)
    made = report(root, since_us=NOON_US - 10 * HOUR, until_us=NOON_US)
    assert [each.figures.observed for each in (*made.rows["camera"], *made.rows["bridge"])] == [1.0, 0.0, 0.5]


def test_a_running_logger_is_observing_now(log_dir: Path) -> None:
    root = write_logs(log_dir, some(), alive_us=END_US - 10 * SECOND)
    (root / ".state").write_text((root / ".state").read_text().replace("true", "false"))
    assert report(root, since_us=NOON_US - 9 * HOUR).total.figures.observed == 1.0


def test_without_a_state_the_lines_of_copies_count_whatever_their_day(tmp_path: Path) -> None:
    for name, uuid in (("Lobby", "one"), ("Old Lobby", "two")):
        event = verdict("100e0000", SECOND, identity=uuid)
        (tmp_path / f"{name}_100e0000.log").write_text(delay_line(event, label(Camera("100e0000", "Lobby"))))
    assert report(tmp_path).total.figures.events == 2
