"""A report on the terminal: printable, aligned, and what is left out is counted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_logs import report, some, write_logs
from run_states import NOON_US, SECOND, cameras, verdict

from eelogger.model import Camera
from eelogger.report.build import Report
from eelogger.report.export import SHOWN, text
from eelogger.report.page import html
from eelogger.report.read import Event
from eelogger.views.tables import width


@pytest.fixture
def made(log_dir: Path) -> Report:
    known = {
        "100e0000": Camera("100e0000", "Secret Vault\x1b[2J\u202e", "100bb001"),
        "100e0001": Camera("100e0001", "Back Gate", "100bb001"),
        "100e0002": Camera("100e0002", "正门, 摄像机", "100bb002"),
    }
    early = [verdict("100e0002", -300_000, NOON_US + i) for i in range(5)]
    return report(
        write_logs(log_dir, [*some(), *early], known, health_us=range(NOON_US - 60 * SECOND, NOON_US, SECOND))
    )


def test_everything_is_printable_and_aligned(made: Report) -> None:
    lines = "".join(text(made)).splitlines()
    assert all(line.isprintable() for line in lines)
    start = next(i for i, line in enumerate(lines) if line.startswith("By camera"))
    assert len({width(line) for line in lines[start + 1 : start + 5]}) == 1
    assert "? " + "正门, 摄像机" in "\n".join(lines)
    assert any("95 % within" in line and "observed" in line for line in lines)
    assert "? 正门, 摄像机: 5 of 25 dated events (20.0 %)" in "\n".join(lines)


@pytest.mark.parametrize(("columns", "widest"), [(400, 120), (100, 100), (1, 87)])
def test_worst_events_fit_the_terminal_and_keep_their_figures(made: Report, columns: int, widest: int) -> None:
    row, cell = made.worst[0]
    line = row.line.replace(b" op=1", b" op=1 after_gap_s=7.000000 lag_s=0.012345")
    long = Event(row._replace(line=line, identity="x" * 99), replace(cell, camera=Camera("100e0009", "正" * 99, "b")))
    lines = "".join(text(replace(made, worst=[long, *made.worst]), columns)).splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("Worst events")) + 1
    table = lines[begin : lines.index("", begin)]
    assert len(table) == len(made.worst) + 2
    assert max(map(width, table)) <= widest
    assert all(line.startswith("  6.000  2026-11-22 11:00:00  ") for line in table[1:3])
    assert re.search(" 1 +7.000  0.012  x", table[1])


def test_what_is_cut_is_counted(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = cameras(*(f"c{i}" for i in range(120)))
    made = report(write_logs(log_dir, [verdict(one, SECOND) for one in known], known))
    told = "".join(text(made))
    assert len(re.findall("^c[0-9]+  +1 ", told, re.MULTILINE)) == SHOWN
    assert f"{120 - SHOWN} more camera" in told
    monkeypatch.setattr("eelogger.report.page.SHOWN", 2)
    assert "".join(html(made)).count("… and 118 more") == 1
