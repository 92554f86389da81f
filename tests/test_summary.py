"""`summary.log`: the worst first, every figure as in the statistics, and nothing rendered again without need."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from standings import NOON_US, SECOND, cameras, day_of, standing, verdict

from eelogger.clock import KernelClock
from eelogger.figures.histogram import Histogram
from eelogger.figures.observation import Observation
from eelogger.figures.offset import Offset
from eelogger.figures.worst import note_clean
from eelogger.model import Camera, CloudNotice, Gap, Verdict
from eelogger.stats import CameraStats
from eelogger.text.tables import width
from eelogger.views import summary
from eelogger.views.bridges import AT_ONCE
from eelogger.views.standing import OwnError, Standing, observed_shares
from eelogger.views.summary import SummaryRenderer

HOUR = 3600 * SECOND


def render(value: Standing) -> list[str]:
    return "".join(SummaryRenderer().render(value)).splitlines()


def titles(lines: list[str]) -> list[str]:
    start = next(i for i, line in enumerate(lines) if line.startswith("name "))
    return [line.split("  ")[0] for line in lines[start + 2 :] if not line.startswith(" ")]


def test_the_worst_p95_of_the_last_two_clock_hours_stands_first_and_few_events_last() -> None:
    before = [verdict("100e0000", 9 * SECOND, NOON_US - 3 * HOUR + i) for i in range(50)]
    now = [verdict("100e0000", SECOND, NOON_US + i) for i in range(20)]
    slow = [verdict("100e0001", 2 * SECOND, NOON_US - 1 + i) for i in range(20)]
    few = [verdict("100e0002", 60 * SECOND, NOON_US + i) for i in range(19)]
    lines = render(standing(day_of(before + now + slow + few), cameras("was slow", "is slow", "few", "silent")))
    assert titles(lines) == ["is slow", "was slow", "few", "silent"]


def test_a_row_shows_the_two_hours_and_the_day_of_each_group() -> None:
    events = [verdict("100e0000", 4 * SECOND, NOON_US - 5 * HOUR + i) for i in range(10)]
    events += [verdict("100e0000", 2 * SECOND, NOON_US + i, None) for i in range(20)]
    lines = render(standing(day_of(events), cameras("Front Door")))
    rows = {line[:23].strip(): re.split(r"[ │]+", line[23:].strip()) for line in lines if line.startswith("  ")}
    assert rows["all"] == ["20", "12:00:00", *["2.000"] * 6, "30", "2.000", "2.667", "2.000", "3.973", "4.000", "4.000"]
    assert rows["Intrusion"] == ["0", "07:00:00", *["-"] * 6, "10", *["4.000"] * 6]
    assert rows["ROI alert start"] == ["20", "12:00:00", *["2.000"] * 6, "20", *["2.000"] * 6]


def test_the_picture_of_the_day_is_blank_where_nothing_came() -> None:
    events = [verdict("100e0000", SECOND, NOON_US + h * HOUR) for h in (-12, -2, 0)]
    lines = render(standing(day_of(events), cameras("Front Door")))
    title = next(line for line in lines if line.startswith("Front Door"))
    assert title[50:74] == "▃" + " " * 9 + "▃ ▃" + " " * 11


def test_a_censored_camera_carries_doubt_on_every_figure_and_the_head_says_why() -> None:
    events = [verdict("100e0000", i * 3_000 - 300_000, NOON_US + i) for i in range(201)]
    lines = render(standing(day_of(events), cameras("Front Door")))
    assert titles(lines)[0].startswith("?Front Door")
    row = next(line for line in lines if line.startswith("  Intrusion"))
    assert row.count("?") == 12
    head = "\n".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("CAMERAS"))])
    assert "a clock is wrong" in head
    assert "100 of 201 dated events" in head


def test_maximum_and_clean_maximum_stand_beside_each_other_with_their_time() -> None:
    worst, clean = verdict("100e0000", 9 * SECOND, after_gap_us=5), verdict("100e0000", 3 * SECOND, NOON_US + SECOND)
    found: dict[str, Verdict] = {}
    for each in (worst, clean):
        note_clean(found, each)
    lines = render(standing(day_of([worst, clean]), cameras("a"), clean=found))
    title = next(line for line in lines if line.startswith("a "))
    assert title.split()[-6:-2] == ["9.000", "12:00:00", "3.000", "12:00:01"]


def test_bridges_are_compared_when_there_are_several() -> None:
    known = {
        c: Camera(c, c, b) for c, b in (("100e0000", "100bb001"), ("100e0001", "100bb001"), ("100e0002", "100bb002"))
    }
    day = day_of(verdict(c, (i + 1) * SECOND, NOON_US + k) for i, c in enumerate(known) for k in range(20))
    lines = render(standing(day, known, observed=lambda camera_id: 0.5 if camera_id == "100e0001" else 1.0))
    start = next(i for i, line in enumerate(lines) if line.startswith("BRIDGES"))
    assert re.split(r"[ │]+", lines[start + 2])[:6] == ["100bb002", "1", "20", "3.000", "3.000", "3.000"]
    assert re.split(r"[ │]+", lines[start + 3])[:6] == ["100bb001", "2", "40", "1.000", "1.000", "1.987"]
    assert lines[start + 3].endswith("75.0 %")
    assert not any(line.startswith("BRIDGES") for line in render(standing(day, cameras("a"))))


def test_a_bridge_has_the_events_of_all_its_cameras() -> None:
    many = 3 * AT_ONCE + 1
    known = {camera_id: replace(camera, bridge="100bb002") for camera_id, camera in cameras(*["x"] * many).items()}
    known["100f0000"] = Camera("100f0000", "other", "100bb001")
    lines = render(standing(day_of(verdict(camera_id, SECOND) for camera_id in known), known))
    rows = {row[0]: row[1:3] for line in lines if line.startswith("100bb") and (row := re.split(r"[ │]+", line))}
    assert rows == {"100bb002": [str(many), str(many)], "100bb001": ["1", "1"]}


def test_the_head_says_everything_a_reader_must_know() -> None:
    day = day_of([verdict("100e0000", SECOND), verdict("100e0000", -1)])
    gaps = [
        Gap("gap", NOON_US, NOON_US + 20 * SECOND, "closed-1001"),
        Gap("suspend", NOON_US, NOON_US + SECOND, "sleep"),
    ]
    preview = Histogram()
    preview.add(250_000)
    value = standing(
        day, cameras("Front\x1b Door"), counted={"duplicate": 4120, "pre": 7}, rejected={"not-json": 2}, gaps=gaps,
        offset=Offset(2_000_000, 90_000), kernel=KernelClock(False, 16_000_000, 0), network="round trip 0.041 s",
        own_error=OwnError(300, 4_100, 10_000, 2_000), left={"100e0000": CloudNotice("100e0000", 404, "gone\n")},
        previews={"100e0000": preview}, warnings=["disk nearly full"],
    )  # fmt: skip
    text = " ".join("\n".join(render(value)).split())
    for part in (
        "connected since 2026-11-22 12:00:00 UTC (10 min 00 s)",
        "measured 1, early 1, initial 0, undated 0",
        "duplicate 4,120, ignored 0, unidentified 0, pre 7, rejected 2 (not-json 2)",
        "the local clock is 2.0 s behind (± 0.1 s): every delay is shown about 2.0 s too short",
        "kernel: NOT synchronised",
        "round trip 0.041 s",
        "p99 0.3 ms, max 4.1 ms; above 10.0 ms a line carries lag_s=; disk write p99 2.0 ms",
        "1 gap, 20.0 s in all, longest 20.0 s; last: 12:00:00 20.0 s closed-1001; also suspend 12:00:00 1.0 s sleep",
        "Front\\x1b Door: the server dropped it: 404 gone\\n",
        "WARNING disk nearly full",
        "PREVIEW PROBE",
        "A delay is camera or bridge clock error",
    ):
        assert part in text


def test_it_fits_into_120_columns_and_holds_nothing_unprintable() -> None:
    known = cameras("x" * 300, "正门" * 80, "\u202e\x1b[2J", "")
    day = day_of(verdict(c, 10**12 + i * SECOND, NOON_US - i, 900_000 + i % 3) for i in range(60) for c in known)
    lines = render(standing(day, known, state="x" * 10, warnings=["w " * 300], names={900_000: "n" * 99}))
    assert max(map(width, lines)) <= 120
    assert all(line.isprintable() for line in lines)


def test_rows_are_rendered_again_only_when_the_camera_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    plain = summary._title

    def counting(stats: CameraStats, camera: Camera, worst: Verdict | None, clean: Verdict | None) -> str:
        made.append(camera.id)
        return plain(stats, camera, worst, clean)

    monkeypatch.setattr(summary, "_title", counting)
    known = cameras("a", "b")
    day = day_of(verdict(c, SECOND) for c in known)
    renderer = SummaryRenderer()
    first = "".join(renderer.render(standing(day, known)))
    assert "".join(renderer.render(standing(day, known))) == first
    assert made == ["100e0000", "100e0001"]
    day.again(verdict("100e0001", 2 * SECOND))
    changed = "".join(renderer.render(standing(day, known)))
    assert made[2:] == ["100e0001"]
    assert changed == "".join(SummaryRenderer().render(standing(day, known)))
    next_hour = standing(day, known, written_us=NOON_US + 2 * HOUR)
    assert "".join(renderer.render(next_hour)) == "".join(SummaryRenderer().render(next_hour))


def test_a_day_that_ended_is_shown_as_at_its_end() -> None:
    late = [verdict("100e0000", SECOND, NOON_US + 11 * HOUR + i) for i in range(20)]
    lines = render(standing(day_of(late), cameras("a"), written_us=NOON_US + 12 * HOUR + SECOND))
    assert next(line for line in lines if line.startswith("  Intrusion"))[21:28].strip() == "20"


def test_cameras_that_come_between_two_pieces_do_no_harm() -> None:
    day, known = day_of([verdict("100e0000", SECOND)]), cameras("a")
    pieces = SummaryRenderer().render(standing(day, known))
    next(pieces)
    known["100e0009"] = Camera("100e0009", "new", "100bb002")
    day.again(verdict("100e0009", SECOND))
    assert "CAMERAS (1)" in "".join(pieces)


def test_observed_shares_are_those_of_the_observation() -> None:
    observation = Observation(NOON_US)
    observation.lost(NOON_US, "closed-1001")
    observation.begun(NOON_US + 10 * SECOND)
    observation.camera_lost("100e0001", NOON_US + 20 * SECOND, "404")
    observation.camera_begun("100e0001", NOON_US + 30 * SECOND)
    observation.camera_lost("100e0002", NOON_US + 90 * SECOND, "404")
    end_us = NOON_US + 100 * SECOND
    shares = observed_shares(observation, NOON_US, end_us, apart=["100e0002"])
    for camera_id in ("", "100e0000", "100e0001", "100e0002"):
        assert shares(camera_id) == observation.observed_share(NOON_US, end_us, camera_id)
