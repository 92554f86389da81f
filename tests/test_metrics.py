"""The Prometheus textfile: figures of the day, names by the conventions, read by the real tools where installed."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from standings import SECOND, cameras, day_of, standing, verdict

from eelogger.figures.offset import Offset
from eelogger.views.metrics import LIMITS_S, render
from eelogger.views.standing import OwnError

README = Path(__file__).parent.parent / "README.md"
PROMTOOL = shutil.which("promtool")
EXPORTER = shutil.which("prometheus-node-exporter")
WILD = 'a"b\\c\nd\u202e'


def sample() -> str:
    known = cameras("Front Door", WILD)
    delays = [SECOND * n // 10 for n in (1, 2, 3, 8, 40, 700)]
    events = [verdict(camera_id, delay, ns=ns) for camera_id in known for ns in (103, None) for delay in delays]
    events.append(verdict("100e0000", -SECOND))
    view = standing(
        day_of(events), known, offset=Offset(1200, 300), own_error=OwnError(400, 4000, 10_000),
        counted={"duplicate": 3}, rejected={"not-json": 1},
    )  # fmt: skip
    return "".join(render(view, connected=True, rtt_us=1500))


def values(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(eelogger_\S.*) (\S+)$", text, re.MULTILINE)}


def test_a_histogram_counts_up_to_its_limits() -> None:
    found = values(sample())
    labels = 'camera="100e0000",name="Front Door",bridge="100bb001",namespace="103",event="Intrusion"'
    buckets = [found[f'eelogger_event_delay_seconds_bucket{{{labels},le="{limit:g}"}}'] for limit in LIMITS_S]
    assert buckets == sorted(buckets)
    assert buckets[LIMITS_S.index(1)] == 4
    assert buckets[LIMITS_S.index(60)] == 5
    assert buckets[-1] == 6
    assert found[f"eelogger_event_delay_seconds_sum{{{labels}}}"] == pytest.approx(75.4)
    assert found[f"eelogger_event_delay_seconds_count{{{labels}}}"] == 6


def test_the_instrument_is_exported_with_its_figures() -> None:
    found = values(sample())
    assert found['eelogger_events_total{verdict="measured"}'] == 24
    assert found['eelogger_events_total{verdict="early"}'] == 1
    assert found["eelogger_clock_offset_seconds"] == pytest.approx(0.0012)
    assert found["eelogger_own_error_p99_seconds"] == pytest.approx(0.0004)
    assert found["eelogger_connected"] == 1


def test_foreign_text_stays_in_its_label() -> None:
    text = sample()
    assert 'name="a\\"b\\\\c\\\\nd\\\\u202e"' in text
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)")
def test_promtool_finds_nothing_to_complain_about() -> None:
    assert PROMTOOL is not None
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=sample(), text=True, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)")
def test_the_alert_rules_of_the_readme_are_valid(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = re.search(r"```yaml\n(groups:.*?)```", README.read_text(), re.DOTALL)
    assert rules is not None
    (tmp_path / "rules.yml").write_text(rules[1])
    checked = subprocess.run([PROMTOOL, "check", "rules", str(tmp_path / "rules.yml")], text=True, capture_output=True)
    assert "SUCCESS: 2 rules found" in checked.stdout, checked.stderr
    exported = set(values(sample())) | {line.split()[2] for line in sample().splitlines() if line.startswith("# TYPE")}
    for metric in set(re.findall(r"eelogger_\w+", rules[1])):
        assert metric in exported or metric.removesuffix("_bucket") in exported


@pytest.mark.skipif(EXPORTER is None, reason="node_exporter is not installed (Debian package prometheus-node-exporter)")
def test_a_real_node_exporter_reads_the_file(tmp_path: Path) -> None:
    assert EXPORTER is not None
    (tmp_path / "eelogger.prom").write_text(sample())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    only = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={tmp_path}"]
    exporter = subprocess.Popen([EXPORTER, *only, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        text = scrape(port)
    finally:
        exporter.terminate()
        exporter.wait()
    assert "node_textfile_scrape_error 0" in text
    assert 'eelogger_events_total{verdict="measured"} 24' in text


def scrape(port: int) -> str:
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            time.sleep(0.05)
    raise AssertionError("node_exporter does not answer")
