"""What leaves a report for programs and spreadsheets: CSV, JSON, anonymous labels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_logs import all_events, report, write_logs
from run_states import NOON_US, SECOND, verdict

from eelogger.model import Camera, Gap, Verdict
from eelogger.report.build import Report
from eelogger.report.export import csv_line, csv_row, defused, figures_csv, json_report, text
from eelogger.report.page import html

MINUTE = 60 * SECOND
KNOWN = {
    "100e0000": Camera("100e0000", '=cmd|"/C calc"!A0', "100bb001"),
    "100e0001": Camera("100e0001", "Secret Vault\x1b[2J\u202e", "100bb001"),
    "100e0002": Camera("100e0002", "正门, 摄像机", "10074e12"),
}


def events() -> list[Verdict]:
    ids = list(KNOWN)
    return [
        verdict(
            ids[i % 3], (i + 1) * SECOND // 10, NOON_US - (60 - i) * MINUTE, 103 if i % 2 else None,
            identity=f"ALRS:{ids[i % 3]}:{i}:2026" if i % 2 == 0 else f"uuid-{i}",
        )
        for i in range(60)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gaps = [
        Gap("gap", NOON_US - 40 * MINUTE, NOON_US - 39 * MINUTE, "closed-1006"),
        Gap("gap", NOON_US - 20 * SECOND, NOON_US - 10 * SECOND, "404", "100e0001"),
    ]
    early = [verdict("100e0002", -300_000, NOON_US + i) for i in range(5)]
    health = range(NOON_US - 60 * MINUTE, NOON_US, MINUTE)
    times = {"since_us": NOON_US - 60 * MINUTE, "alive_us": NOON_US + MINUTE}
    place = tmp_path_factory.mktemp("secret-site")
    return write_logs(place, [*events(), *early], KNOWN, gaps=gaps, health_us=health, **times)


@pytest.fixture(scope="module")
def made(root: Path) -> Report:
    return report(root)


def rows(lines: Iterable[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(lines))))


def event_rows(root: Path, **query: Any) -> list[dict[str, str]]:
    events = all_events(root, **query)
    return rows([csv_line(events[0]), csv_row(*events)])


def test_the_rows_of_the_csv_say_what_they_are_about(made: Report) -> None:
    first = next(each for each in rows(figures_csv(made)) if each["camera_id"] == "100e0001" and each["ns"] == "103")
    assert (first["namespace"], first["type"]) == ("Intrusion", "")
    assert (first["max_uuid"], first["max_at_utc"]) == ("uuid-55", "2026-11-22T11:55:00.000000Z")


def test_a_suspect_camera_says_so_and_carries_the_signed_quantiles(made: Report) -> None:
    (suspect,) = (each for each in rows(figures_csv(made)) if each["suspect"] == "1")
    assert (suspect["camera_id"], suspect["early"]) == ("100e0002", "5")
    assert float(suspect["all_dated_p50_s"]) < float(suspect["p50_s"])


def test_no_text_is_taken_for_a_formula_and_no_camera_for_a_number(root: Path, made: Report) -> None:
    for table in (rows(figures_csv(made)), event_rows(root)):
        assert {each["name"] for each in table} == {
            "'=cmd|\"/C calc\"!A0", "Secret Vault\\x1b[2J\\u202e", "正门, 摄像机",
        }  # fmt: skip
        by_id = {each["camera_id"]: each for each in table}
        assert by_id["100e0002"]["camera"] == "正门, 摄像机 (100e0002)"
        assert by_id["100e0000"]["camera"] == '\'=cmd|"/C calc"!A0 (100e0000)'
        assert by_id["100e0002"]["bridge"] == "bridge 10074e12"
        assert by_id["100e0002"]["bridge_id"] == "10074e12"


@given(st.text())
def test_foreign_text_never_begins_a_formula(text_: str) -> None:
    assert not defused(text_).startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert defused(text_).endswith(text_)


def test_json_has_the_figures_of_the_csv_and_numbers_are_numbers(made: Report) -> None:
    content = json.loads("".join(json_report(made)))
    assert content["total"]["events"] == 60
    table = rows(figures_csv(made))
    for each, row in zip(content["cameras_namespaces"], table, strict=True):
        assert each.keys() == row.keys()
        assert [each[name] for name in ("events", "p50_s", "p95_s", "max_s")] == [
            float(row[name]) for name in ("events", "p50_s", "p95_s", "max_s")
        ]
        assert each["ns"] == (int(row["ns"]) if row["ns"] else None)
    assert {each["ns"] for each in content["namespaces"]} == {103, None}
    assert [(each["ns"], each["op"], each["delay_s"], each["lag_s"]) for each in content["worst"][:2]] == [
        (103, 1, 6.0, None), (None, 1, 5.9, None),
    ]  # fmt: skip
    assert content["gaps"][0]["reason"] == "closed-1006"
    assert content["total"]["suspect"] is True
    assert content["skipped"] == {"files": 0, "errors": 0, "lines": 0, "foreign": 0, "events": 0}


def test_anonymous_reports_give_nobody_away(root: Path) -> None:
    made = report(root, anonymise=True, cameras=["100e000*"])
    table = event_rows(root, anonymise=True, cameras=["100e000*"])
    whole = "".join([json.dumps(table), *figures_csv(made), *json_report(made), *html(made), *text(made)])
    for secret in ("100e000", "100bb00", "10074e12", "Vault", "cmd", "正门", "secret-site"):
        assert secret not in whole
    assert {each["camera"] for each in table} == {"camera-1", "camera-2", "camera-3"}
    assert {each["bridge"] for each in table} == {"bridge-1", "bridge-2"}
    assert made.gaps[1].camera_id == "camera-2"
    # A label is the camera's, whatever else is asked for.
    assert [each.id for each in report(root, anonymise=True, cameras=["100e0001"]).rows["camera"]] == ["camera-2"]
