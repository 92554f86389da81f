"""The page as a person gets it: one file, safe, complete, and shown by a real browser without a complaint."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_logs import write_logs
from standings import NOON_US, SECOND, verdict

from eelogger.model import Camera, Gap
from eelogger.report import Report, ReportOptions, build, csv_lines, html, plots
from eelogger.report.columns import figures, shown
from eelogger.report.panels import runs

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr",
]  # fmt: skip
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"
END_US = NOON_US + 3600 * SECOND


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    known = {
        f"100e000{i}": Camera(f"100e000{i}", name, f"100bb00{i % 2}") for i, name in enumerate((HOSTILE, "Lobby", ""))
    }
    events = [
        verdict(
            f"100e000{i % 3}", (i % 50 + 1) * SECOND // 10, NOON_US - (600 - i) * 20 * SECOND,
            103 if i % 2 else None, event=HOSTILE, identity=f"u{i}<b>",
        )
        for i in range(600)
    ]  # fmt: skip
    events += [verdict("100e0001", -200_000, NOON_US - i * SECOND) for i in range(9)]
    gaps = [
        Gap("gap", NOON_US - 6000 * SECOND, NOON_US - 5400 * SECOND, "closed-1006"),
        Gap("clock-step", NOON_US - 3000 * SECOND, NOON_US - 2999 * SECOND, "stepped by 1.0 s"),
    ]
    health = range(NOON_US - 12_000 * SECOND, NOON_US, 60 * SECOND)
    times = {"since_us": NOON_US - 12_000 * SECOND, "alive_us": NOON_US + SECOND}
    root = write_logs(tmp_path_factory.mktemp("logs"), known, events, gaps=gaps, health_us=health, **times)
    return build(ReportOptions(root), at_us=END_US)


@pytest.fixture(scope="module")
def page(made: Report) -> str:
    return "".join(html(made))


class Page(HTMLParser):
    """The figures of a page by table and row, its element names, and everything it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.rows: dict[str, list[dict[str, str]]] = {}
        self._table = self._figure = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = {name: value or "" for name, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        self.refers += [
            v for name, v in values.items() if name in ("src", "href", "xlink:href", "action", "srcset", "data")
        ]
        self.refers += re.findall(r"url\(([^)]*)\)", values.get("style", "") + values.get("clip-path", ""))
        assert not [name for name in values if name.startswith("on")]
        if tag == "table":
            self._table = values["id"]
            self.rows[self._table] = []
        if tag == "tr":
            self.rows[self._table].append({})
        self._figure = values.get("data-figure", "") if tag in ("td", "span") else ""

    def handle_data(self, data: str) -> None:
        if self._figure and self._table:
            self.rows[self._table][-1][self._figure] = data.strip()
            self._figure = ""


def test_foreign_text_stays_text_and_nothing_is_fetched_or_run(page: str) -> None:
    parsed = Page(page)
    assert not parsed.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "b>"}
    assert all(reference.startswith("#") for reference in parsed.refers)
    assert "http-equiv" in page
    assert "default-src 'none'" in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"@import|https?://(?!www\.w3\.org)", page)
    assert len(parsed.ids) == len(set(parsed.ids))


def test_the_figures_on_the_page_are_those_of_the_csv(made: Report, page: str) -> None:
    parsed = Page(page)
    for what, rows in (("camera", made.cameras), ("bridge", made.bridges), ("namespace", made.namespaces)):
        on_page = parsed.rows[f"by-{what}"][1:]
        names = list(on_page[0])
        assert [[each[name] for name in names] for each in on_page] == [shown(row, names) for row in rows]
    table = list(csv.DictReader(io.StringIO("".join(csv_lines(made)))))
    assert sum(int(each["events"]) for each in table) == sum(
        int(each["events"]) for each in parsed.rows["by-camera"][1:]
    )
    assert parsed.rows["worst"][1]["delay_s"] == "5.000000"
    assert max(float(each["max_s"]) for each in table) == 5.0
    assert figures(made.total)["events"] == "600"


def test_the_page_says_why_figures_are_in_doubt_and_what_a_delay_contains(page: str) -> None:
    assert "a clock is wrong" in page
    assert "9 of 209 dated events (4.3 %)" in page
    assert "camera or bridge clock error + site uplink" in page
    assert "closed-1006" in page


def test_both_widths_of_both_plots_are_drawn_in_the_colours_of_the_page(page: str) -> None:
    assert page.count("<svg") == 4
    assert "var(--band)" in page
    drawn = page[page.index("<svg") : page.rindex("</svg>")]
    assert not re.search(r"#0[0-9](?:0[0-9a-f]){2}\b", drawn)
    assert "Delay, clock, round trip and own error over time" in page


def test_lines_break_at_long_gaps_of_the_account_alone(made: Report) -> None:
    minute = 60 * SECOND
    points = [(NOON_US + number * minute, number) for number in (1, 2, 5, 6, 7, 9)]
    gaps = [
        Gap("gap", NOON_US + minute + 1, NOON_US + minute + SECOND, "closed-1006"),
        Gap("gap", NOON_US + 2 * minute - SECOND, NOON_US + 5 * minute - SECOND, "stopped"),
        Gap("gap", NOON_US + 5 * minute, NOON_US + 6 * minute, "404", "100e0000"),
        Gap("clock-step", NOON_US + 7 * minute, NOON_US + 9 * minute, "stepped by 120 s"),
    ]
    assert runs(points, replace(made, gaps=gaps), minute) == [[1, 2], [5, 6, 7, 9]]


def test_without_matplotlib_the_page_has_tables_and_names_what_is_missing(
    made: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = "".join(html(made))
    assert plots.MISSING.split(" (")[0] in page
    assert "<svg" not in page
    assert Page(page).rows["by-camera"]


@pytest.mark.parametrize("count", [1, 2, 25])
def test_few_events_and_nothing_else_make_a_page_too(tmp_path: Path, count: int) -> None:
    known = {"100e0000": Camera("100e0000", "Lobby", "")}
    events = [verdict("100e0000", 0, NOON_US + i) for i in range(count)]
    root = write_logs(tmp_path, known, events, since_us=NOON_US, alive_us=NOON_US)
    (root / ".state").unlink()
    assert "".join(html(build(ReportOptions(root), at_us=END_US))).count("<svg") == 4


def test_only_early_events_make_a_page_without_plots(tmp_path: Path) -> None:
    known = {"100e0000": Camera("100e0000", "Lobby", "")}
    root = write_logs(tmp_path, known, [verdict("100e0000", -1)], since_us=NOON_US, alive_us=NOON_US)
    assert "<svg" not in "".join(html(build(ReportOptions(root), at_us=END_US)))


def browse(path: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_real_browser_shows_the_page_without_a_complaint(page: str, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    preferred = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    shot = browse(path, tmp_path / "a", preferred, "--window-size=400,900", f"--screenshot={tmp_path / 'shot.png'}")
    assert (tmp_path / "shot.png").stat().st_size > 10_000
    dumped = browse(path, tmp_path / "b", preferred, "--dump-dom")
    assert "CONSOLE" not in shot.stderr + dumped.stderr
    assert Page(dumped.stdout).rows == Page(page).rows
    assert Page(dumped.stdout).tags.isdisjoint({"script", "img"})


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
def test_the_browser_would_complain_of_a_script(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page.replace("</body>", "<script>document.title = 1</script></body>"), encoding="utf-8")
    assert "CONSOLE" in browse(path, tmp_path / "profile", "--dump-dom").stderr
