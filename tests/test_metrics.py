"""The Prometheus textfile: figures of the day, names by the conventions, read by the real tools where installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from run_states import SECOND, cameras, day_of, run_state, verdict

from eelogger.measure.clock_offset import Offset
from eelogger.measure.histogram import Histogram
from eelogger.views.metrics import LIMITS_S, render
from eelogger.views.run_state import OwnError

README = Path(__file__).parent.parent / "README.md"
PROMTOOL = shutil.which("promtool")
WILD = 'a"b\\c\nd\u202e'


def sample(rtt_us: int | None = 1500) -> str:
    known = cameras("Front Door", WILD)
    delays = [SECOND * n // 10 for n in (1, 2, 3, 8, 40, 700)]
    events = [verdict(camera_id, delay, ns=ns) for camera_id in known for ns in (103, None) for delay in delays]
    preview = Histogram()
    preview.add(SECOND)
    state = run_state(
        day_of([*events, verdict("100e0000", -SECOND)]), known, offset=Offset(1200, 300), totals={"duplicate": 3},
        own_error=OwnError(400, 4000, 10_000, 9), rejected={"not-json": 1}, previews={"100e0000": preview},
        rtt_us=rtt_us,
    )  # fmt: skip
    return "".join(render(state))


def values(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(eelogger_\S.*) (\S+)$", text, re.MULTILINE)}


def test_a_histogram_counts_up_to_its_limits() -> None:
    found = values(sample())
    labels = 'camera="100e0000",name="Front Door",bridge="100bb001",namespace="103",event="Intrusion"'
    buckets = [found[f'eelogger_event_delay_seconds_bucket{{{labels},le="{limit:g}"}}'] for limit in LIMITS_S]
    assert buckets == sorted(buckets)
    assert [buckets[LIMITS_S.index(1)], buckets[LIMITS_S.index(60)], buckets[-1]] == [4, 5, 6]
    assert found[f"eelogger_event_delay_seconds_sum{{{labels}}}"] == pytest.approx(75.4)
    assert found[f"eelogger_event_delay_seconds_count{{{labels}}}"] == 6


def test_the_logger_itself_is_exported_with_its_figures() -> None:
    found = values(sample())
    assert found['eelogger_events_total{verdict="measured"}'] == 24
    assert found['eelogger_events_total{verdict="early"}'] == 1
    assert found['eelogger_events_total{verdict="duplicate"}'] == 3
    assert found["eelogger_clock_offset_seconds"] == pytest.approx(0.0012)
    assert found["eelogger_own_error_p99_seconds"] == pytest.approx(0.0004)
    assert found["eelogger_round_trip_seconds"] == pytest.approx(0.0015)
    assert found["eelogger_connected"] == 1
    assert "eelogger_round_trip_seconds" not in sample(None), "what is unknown is not exported"
    text = sample()
    assert 'name="a\\"b\\\\c\\\\nd\\\\u202e"' in text
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)")
def test_promtool_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=sample(), text=True, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    rules = re.search(r"```yaml\n(groups:.*?)```", README.read_text(), re.DOTALL)
    assert rules is not None
    (tmp_path / "rules.yml").write_text(rules[1])
    checked = subprocess.run([PROMTOOL, "check", "rules", str(tmp_path / "rules.yml")], text=True, capture_output=True)
    assert "SUCCESS: 2 rules found" in checked.stdout, checked.stderr
    exported = set(values(sample())) | {line.split()[2] for line in sample().splitlines() if line.startswith("# TYPE")}
    for metric in set(re.findall(r"eelogger_\w+", rules[1])):
        assert metric in exported or metric.removesuffix("_bucket") in exported
