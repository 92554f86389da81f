"""What leaves a report for programs and other people: CSV, JSON, anonymous labels, evidence."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_logs import write_logs
from standings import NOON_US, SECOND, verdict

from eelogger.errors import UsageError
from eelogger.model import Camera, Gap, Verdict
from eelogger.report import (
    Logged,
    Report,
    ReportOptions,
    build,
    csv_lines,
    event_csv_line,
    events_csv_header,
    html,
    json_text,
    text,
    write_evidence,
)
from eelogger.report.export import csv_line, defused
from eelogger.text.tables import width

END_US = NOON_US + 3600 * SECOND
KNOWN = {
    "100e0000": Camera("100e0000", '=cmd|"/C calc"!A0', "100bb001"),
    "100e0001": Camera("100e0001", "Secret Vault\x1b[2J\u202e", "100bb001"),
    "100e0002": Camera("100e0002", "正门, 摄像机", "100bb002"),
}


def events() -> list[Verdict]:
    ids = list(KNOWN)
    return [
        verdict(
            ids[i % 3], (i + 1) * SECOND // 10, NOON_US - (60 - i) * 60 * SECOND, 103 if i % 2 else None,
            identity=f"ALRS:{ids[i % 3]}:{i}:2026" if i % 2 == 0 else f"uuid-{i}",
        )
        for i in range(60)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gaps = [Gap("gap", NOON_US - 40 * 60 * SECOND, NOON_US - 39 * 60 * SECOND, "closed-1006"),
            Gap("gap", NOON_US - 20 * SECOND, NOON_US - 10 * SECOND, "404", "100e0001")]  # fmt: skip
    early = [verdict("100e0002", -300_000, NOON_US + i) for i in range(5)]
    health = range(NOON_US - 3600 * SECOND, NOON_US, 60 * SECOND)
    times = {"since_us": NOON_US - 3600 * SECOND, "alive_us": NOON_US + 60 * SECOND}
    return write_logs(
        tmp_path_factory.mktemp("secret-site"), KNOWN, [*events(), *early], gaps=gaps, health_us=health, **times
    )


@pytest.fixture(scope="module")
def made(root: Path) -> Report:
    return build(ReportOptions(root), at_us=END_US)


def rows(lines: Iterable[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(lines))))


def test_one_csv_row_for_each_camera_and_namespace(made: Report) -> None:
    table = rows(csv_lines(made))
    assert [(each["camera"], each["ns"]) for each in table] == [
        (each.camera.id if each.camera else "", str(each.group)) for each in made.cells
    ]
    assert sum(int(each["events"]) for each in table) == 60
    first = next(each for each in table if each["camera"] == "100e0001" and each["ns"] == "103")
    assert first["namespace"] == "Intrusion"
    assert (first["min_s"], first["max_s"]) == ("0.200", "5.600")
    assert first["max_uuid"] == "uuid-55"
    assert first["max_at_utc"] == "2026-11-22T11:55:00.000000Z"


def test_a_censored_camera_says_so_and_carries_the_signed_quantiles(made: Report) -> None:
    censored = [each for each in rows(csv_lines(made)) if each["censored"] == "1"]
    assert [(each["camera"], each["early"]) for each in censored] == [("100e0002", "5")]
    assert float(censored[0]["all_dated_p50_s"]) < float(censored[0]["p50_s"])


def test_no_cell_is_taken_for_a_formula(made: Report) -> None:
    assert {each["name"] for each in rows(csv_lines(made))} == {
        "'=cmd|\"/C calc\"!A0", "Secret Vault\\x1b[2J\\u202e", "正门, 摄像机",
    }  # fmt: skip


@given(st.text())
def test_foreign_text_never_begins_a_formula(text_: str) -> None:
    assert not defused(text_).startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert defused(text_).endswith(text_)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2))
def test_a_csv_line_is_read_back_by_others(cells: list[str]) -> None:
    assert list(csv.reader(io.StringIO(csv_line(cells), newline=""))) == [cells]


def test_one_csv_row_an_event(root: Path) -> None:
    lines = [events_csv_header()]
    build(ReportOptions(root), on_event=lambda event: lines.append(event_csv_line(event)), at_us=END_US)
    table = rows(lines)
    assert len(table) == 65
    assert sorted(each["delay_s"] for each in table if each["verdict"] == "early") == ["-0.300000"] * 5
    assert {each["name"][:5] for each in table} == {"'=cmd", "Secre", "正门, 摄"}


def test_json_has_the_same_figures(made: Report) -> None:
    content = json.loads(json_text(made))
    assert content["total"]["events"] == 60
    table = rows(csv_lines(made))
    for each, row in zip(content["cameras_namespaces"], table, strict=True):
        assert [each[name] for name in ("events", "p50_s", "p95_s", "max_s")] == [
            float(row[name]) for name in ("events", "p50_s", "p95_s", "max_s")
        ]
    assert content["worst"][0]["rtt_s"] > 0
    assert content["gaps"][0]["reason"] == "closed-1006"


def test_the_terminal_shows_everything_printable_and_aligned(made: Report) -> None:
    lines = "".join(text(made)).splitlines()
    assert all(line.isprintable() for line in lines)
    start = next(i for i, line in enumerate(lines) if line.startswith("By camera"))
    assert len({width(line) for line in lines[start + 1 : start + 5]}) == 1
    assert "? " + "正门, 摄像机" in "\n".join(lines)
    assert any("95 % within" in line and "observed" in line for line in lines)


@pytest.mark.parametrize(("columns", "widest"), [(400, 120), (120, 120), (117, 117), (1, 115)])
def test_the_terminal_is_as_wide_as_its_figures_need(made: Report, columns: int, widest: int) -> None:
    long = Logged(made.worst[0].logged.verdict._replace(identity="x" * 99), Camera("100e0009", "正" * 99, "b"))
    one = made.worst[0]._replace(logged=long)
    lines = "".join(text(replace(made, worst=[one, *made.worst]), columns)).splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("Worst events")) + 1
    table = lines[begin : lines.index("", begin)]
    assert len(table) == len(made.worst) + 2
    assert widest - 2 <= max(map(width, table)) <= widest
    titles = {title: table[0].index(title) + len(title) for title in ("delay_s", "clock_s", "rtt_s", "seq")}
    for row in table[1:]:
        plain = "".join(char * width(char) for char in row)
        assert all(plain[at - 1] in "-0123456789" and plain[at : at + 2] == "  " for at in titles.values()), row


def test_anonymous_reports_give_nobody_away(root: Path) -> None:
    lines = [events_csv_header()]
    options = ReportOptions(root, anonymise=True, cameras=["100e000*"])
    made = build(options, on_event=lambda event: lines.append(event_csv_line(event)), at_us=END_US)
    whole = "".join([*lines, *csv_lines(made), json_text(made), *html(made), *text(made)])
    for secret in ("100e000", "100bb00", "Vault", "cmd", "正门", "secret-site"):
        assert secret not in whole
    assert {each["camera"] for each in rows(lines)} == {"camera-1", "camera-2", "camera-3"}
    assert {each["bridge"] for each in rows(lines)} == {"bridge-1", "bridge-2"}
    again = build(ReportOptions(root, anonymise=True, cameras=["100e0001"]), at_us=END_US)
    assert [each.label for each in again.cameras] == ["camera-2"]


def test_evidence_holds_the_raw_lines_of_the_worst_events(root: Path, tmp_path: Path) -> None:
    made = build(ReportOptions(root, worst=2), at_us=END_US)
    files = {path.name: path for path in write_evidence(made, root, tmp_path / "evidence", self_test="all good")}
    said = files["events.txt"].read_text()
    assert said.count("=== ") == 2
    worst = made.worst[0].logged
    assert worst.verdict.identity == "uuid-59"
    delay_log = next(root.glob("*_100e0002.log")).read_text()
    own_line = next(line for line in delay_log.splitlines() if "uuid-59" in line)
    assert own_line in said
    assert '"uuid": "uuid-59"' in said
    assert "reason=404" in said
    assert "reason=closed-1006" not in said  # more than ten minutes away
    assert said.count("state=connected") == 5 + 4
    readme = files["README.txt"].read_text()
    assert "eelogger" in readme
    assert "Python" in readme
    assert files["self-test.txt"].read_text() == "all good\n"
    sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].read_text().splitlines())
    assert sums["events.txt"] == hashlib.sha256(files["events.txt"].read_bytes()).hexdigest()
    assert set(sums) == {path.name for path in (tmp_path / "evidence").iterdir()} - {"SHA256SUMS"}
    assert rows([files["events.csv"].read_text()])[0]["rtt_s"] == "0.042"


def test_evidence_goes_into_an_empty_place_only_and_is_never_anonymous(
    root: Path, tmp_path: Path, made: Report
) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        write_evidence(made, root, tmp_path)
    anonymous = build(ReportOptions(root, anonymise=True), at_us=END_US)
    with pytest.raises(UsageError, match="anonymised"):
        write_evidence(anonymous, root, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_events_of_a_report_are_values(made: Report) -> None:
    assert all(isinstance(each.logged, Logged) for each in made.worst)
