"""What leaves a report: CSV, JSON, anonymous labels, tables for the terminal."""

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from report_logs import all_events, report, write_logs, write_site
from run_states import SECOND, cameras, verdict

from eelogger.report.build import Report
from eelogger.report.export import EVENT, SHOWN, csv_row, figures_csv, json_report, text
from eelogger.report.page import html
from eelogger.views.text import width


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("secret-site"))


@pytest.fixture(scope="module")
def made(root: Path) -> Report:
    return report(root)


def rows(lines: Iterable[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(lines))))


def event_rows(root: Path, **query: Any) -> list[dict[str, str]]:
    return rows([",".join(EVENT) + "\n", *map(csv_row, all_events(root, **query))])


def test_no_text_is_taken_for_a_formula_and_no_camera_for_a_number(root: Path, made: Report) -> None:
    for table in (rows(figures_csv(made)), event_rows(root)):
        by_id = {each["camera_id"]: each for each in table}
        assert by_id["100e0002"]["camera"] == "正门, 摄像机 (100e0002)"
        assert by_id["100e0000"]["camera"] == '\'=cmd|"/C calc"!A0 (100e0000)'
        assert by_id["100e0001"]["name"].startswith("Secret Vault\\x1b[2J\\u202e")
        assert (by_id["100e0002"]["bridge"], by_id["100e0002"]["bridge_id"]) == ("bridge 10074e12", "10074e12")


@given(st.text("=+-@\t＝＋－＠a1,\"'"))
def test_foreign_text_never_begins_a_formula(text_: str) -> None:
    [written] = next(csv.reader([csv_row({"name": text_})]))
    assert not written.startswith(("=", "+", "-", "@", "\t", "＝", "＋", "－", "＠"))
    assert written in (text_, f"'{text_}")


def test_json_has_the_figures_of_the_csv_and_numbers_are_numbers(made: Report) -> None:
    content, table = json.loads("".join(json_report(made))), rows(figures_csv(made))
    for each, row in zip(content["cameras_namespaces"], table, strict=True):
        assert each.keys() == row.keys()
        numbers = {name: value for name, value in each.items() if not isinstance(value, str)}
        assert numbers == {name: float(row[name]) if row[name] else None for name in numbers}
    assert {each["ns"] for each in content["namespaces"]} == {103, None}
    assert [(each["ns"], each["op"], each["delay_s"], each["lag_s"]) for each in content["worst"][:2]] == [
        (103, 1, 6.0, None), (None, 1, 5.9, None),
    ]  # fmt: skip
    assert [each["observed_percent"] for each in content["bridges"]] == [98.3, 98.2]  # a gap of one camera counts there
    assert (content["total"]["events"], content["total"]["suspect"]) == (60, True)
    assert content["gaps"][0]["reason"] == "closed-1006"
    assert content["skipped"] == {"files": 0, "errors": 0, "lines": 0, "foreign": 0, "events": 0}
    (suspect,) = (each for each in content["cameras"] if each["suspect"])
    assert (suspect["camera_id"], suspect["early"]) == ("100e0002", 5)
    assert suspect["all_dated_p50_s"] < suspect["p50_s"]


def test_anonymous_reports_give_nobody_away(root: Path) -> None:
    made = report(root, anonymise=True, cameras=["100e000*"])
    table = event_rows(root, anonymise=True, cameras=["100e000*"])
    whole = "".join([json.dumps(table), *figures_csv(made), *json_report(made), *html(made), text(made)])
    for secret in ("100e000", "100bb00", "10074e12", "Vault", "cmd", "正门", "secret-site"):
        assert secret.lower() not in whole.lower()
    assert {each["camera"] for each in table} == {"camera-1", "camera-2", "camera-3"}
    assert {each["bridge"] for each in table} == {"bridge-1", "bridge-2"}
    assert made.gaps[1].camera_id == "camera-2"
    # A label is the camera's, whatever else is asked for.
    assert [each.id for each in report(root, anonymise=True, cameras=["100e0001"]).rows["camera"]] == ["camera-2"]


# On the terminal


def test_everything_is_printable_and_aligned(made: Report) -> None:
    lines = text(made).splitlines()
    assert all(line.isprintable() for line in lines)
    start = next(i for i, line in enumerate(lines) if line.startswith("By camera"))
    assert len({width(line) for line in lines[start + 1 : start + 5]}) == 1
    assert "? 正门, 摄像机: with early events p50 2.422 s, p95 5.675 s" in lines
    assert any("95 % within" in line and "observed" in line for line in lines)


def test_what_is_cut_is_counted(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = cameras(*(f"c{i}" for i in range(120)))
    made = report(write_logs(log_dir, [verdict(one, SECOND) for one in known], known))
    told = text(made)
    assert len(re.findall("^c[0-9]+  +1 ", told, re.MULTILINE)) == SHOWN
    assert f"… and {120 - SHOWN} more; --json has all" in told
    assert "By bridge" not in told
    monkeypatch.setattr("eelogger.report.page.SHOWN", 2)
    assert "".join(html(made)).count("… and 118 more") == 1
