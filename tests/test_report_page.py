"""The page as a person gets it: one file, safe, complete, and shown by a real browser without a complaint."""

import base64
import math
import re
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_logs import report, write_logs, write_site
from run_states import NOON_US, SECOND, cameras, verdict

from eelogger.model import DAY_US, Gap
from eelogger.report import plots
from eelogger.report.build import Report
from eelogger.report.export import FIGURES
from eelogger.report.page import html
from eelogger.views.figures import texts

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr",
]  # fmt: skip
IMAGE = "data:image/svg+xml;base64,"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report(write_site(tmp_path_factory.mktemp("logs")))


@pytest.fixture(scope="module")
def page(made: Report) -> str:
    return "".join(html(made))


class Page(HTMLParser):
    """The figures of a page by table and row, its element names, and everything it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.refers: list[str] = []
        self.rows: dict[str, list[dict[str, str]]] = {}
        self.cards: dict[str, str] = {}
        self._table = self._figure = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = {name: value or "" for name, value in attrs}
        self.refers += [v for name, v in values.items() if name in ("src", "href", "action", "srcset", "data")]
        assert not [name for name in values if name.startswith("on")]
        if tag == "table":
            self._table = values["id"]
            self.rows[self._table] = []
        if tag == "tr":
            self.rows[self._table].append({})
        self._figure = values.get("data-figure", "")

    def handle_data(self, data: str) -> None:
        if self._figure:
            (self.rows[self._table][-1] if self._table else self.cards)[self._figure] = data.strip()
            self._figure = ""


def test_foreign_text_stays_text_and_nothing_is_fetched_or_run(page: str) -> None:
    parsed = Page(page)
    assert not parsed.tags & {"script", "link", "iframe", "object", "embed", "form", "b>"}
    assert len(parsed.refers) == 2
    assert all(reference.startswith(IMAGE) for reference in parsed.refers)
    assert "default-src 'none'" in page
    assert "Vault\\x1b[2J\\u202e&lt;/td&gt;&lt;script&gt;alert(1)" in page
    assert "Marked so: 1 camera." in page
    assert "<small>with early events p50 " in page
    assert "closed-1006" in page
    assert not re.search(r"@import|https?://", page)
    assert re.search(r"prefers-color-scheme: dark\) {[^@]* img { filter: invert", page)


def test_the_figures_on_the_page_are_those_of_the_tables(made: Report, page: str) -> None:
    parsed = Page(page)
    assert int(parsed.cards["events"]) == 60
    for what in ("bridge", "camera", "namespace"):
        on_page = parsed.rows[f"by-{what}"][1:]
        figures = [{name: texts(row.figures)[name] or "-" for name in FIGURES} for row in made.rows[what]]
        assert on_page == figures
        assert sum(int(each["events"]) for each in on_page) == 60
    assert parsed.rows["worst-events"][1]["delay_s"] == "6.000000"


def test_texts_are_aligned_left_and_figures_right(page: str) -> None:
    assert all(title in page for title in ("<th class=text>name<th>delay s", "<th class=text>uuid</tr>"))


def test_lines_break_at_long_gaps_of_the_account_alone(made: Report) -> None:
    whole = Gap("gap", NOON_US - 5000 * SECOND, NOON_US - 4000 * SECOND, "stopped")
    gaps = [whole, replace(whole, camera_id="100e0000"), replace(whole, to_us=whole.from_us + SECOND)]
    found = plots.broken(made.timeline, gaps)
    assert len(found) == len(made.timeline.slots) + 1
    assert [day for day, median, _ in found if math.isnan(median)] == [(NOON_US - 4500 * SECOND) / DAY_US]


def test_a_timeline_of_any_length_holds_every_event_in_few_slots() -> None:
    timeline = plots.Timeline()
    for number in range(2000):
        timeline.count(NOON_US + number * 5 * SECOND, 3, number)
    assert 200 <= len(timeline.slots) <= timeline.LIMIT
    assert sum(slot.n for slot in timeline.slots.values()) == 2000
    assert timeline.slots[NOON_US // timeline.slot_us].min_us == 0


@pytest.mark.parametrize("seconds", [1, 86_400, 400 * 86_400])
def test_a_period_of_any_length_has_a_time_axis(made: Report, seconds: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        uri = plots.image(made.timeline, made.gaps, NOON_US - seconds * SECOND, NOON_US, 380)
    assert ElementTree.fromstring(base64.b64decode(uri.removeprefix(IMAGE))).tag.endswith("svg")


def test_without_matplotlib_the_page_has_tables_and_names_what_is_missing(
    made: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eelogger.report.plots.find_spec", lambda name: None)
    page = "".join(html(made))
    assert "no plots: matplotlib is not installed" in page
    assert IMAGE not in page
    assert Page(page).rows["by-camera"]


@pytest.mark.parametrize("delays", [[0], range(25), [-1]])
def test_few_events_and_nothing_else_make_a_page_too(log_dir: Path, delays: Sequence[int]) -> None:
    events = [verdict("100e0000", us, NOON_US + us) for us in delays]
    root = write_logs(log_dir, events, cameras("Lobby", bridge=""), since_us=NOON_US, alive_us=NOON_US)
    (root / ".state").unlink()
    assert "".join(html(report(root))).count(IMAGE) == (2 if delays[0] >= 0 else 0)


def browse(path: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_real_browser_shows_the_page_without_a_complaint(page: str, tmp_path: Path, scheme: str) -> None:
    path, shot = tmp_path / "report.html", tmp_path / "shot.png"
    path.write_text(page, encoding="utf-8")
    preferred = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    shown_ = browse(path, tmp_path / "a", preferred, "--window-size=400,900", f"--screenshot={shot}")
    assert shot.stat().st_size > 10_000
    dumped = browse(path, tmp_path / "b", preferred, "--dump-dom")
    assert "CONSOLE" not in shown_.stderr + dumped.stderr
    assert (Page(dumped.stdout).rows, Page(dumped.stdout).cards) == (Page(page).rows, Page(page).cards)
    assert "script" not in Page(dumped.stdout).tags
