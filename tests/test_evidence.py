"""Evidence holds the raw lines of the worst events, with everything that speaks for or against them."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from report_logs import END_US, KNOWN, report, write_logs
from run_states import NOON_US, SECOND, verdict

from eelogger.model import Gap
from eelogger.report.evidence import write_evidence
from eelogger.storage.formats import stream_line

MINUTE = 60 * SECOND
ODD = 'two words "quoted"'


@pytest.fixture
def root(log_dir: Path) -> Path:
    ids = list(KNOWN)
    events = [
        verdict(ids[i % 3], (i + 1) * SECOND // 10, NOON_US - (60 - i) * MINUTE, identity=f"uuid-{i}")
        for i in range(60)
    ]
    events.append(verdict(ids[0], 7 * SECOND, NOON_US, identity=ODD))
    gaps = [
        Gap("gap", NOON_US - 40 * MINUTE, NOON_US - 39 * MINUTE, "closed-1006"),
        Gap("gap", NOON_US - 20 * SECOND, NOON_US - 10 * SECOND, "404", "100e0001"),
    ]
    health = range(NOON_US - 60 * MINUTE, NOON_US, MINUTE)
    return write_logs(log_dir, events, gaps=gaps, health_us=health, since_us=NOON_US - 60 * MINUTE, alive_us=END_US)


def evidence(root: Path, directory: Path, self_test: str = "", worst: int = 2) -> dict[str, str]:
    files = write_evidence(report(root, worst=worst), directory, self_test=self_test)
    return {path.name: path.read_text("utf-8") for path in files}


def test_evidence_holds_the_raw_lines_of_the_worst_events(root: Path, tmp_path: Path) -> None:
    files = evidence(root, tmp_path / "evidence", "all good\n")
    assert sorted(files) == [
        "README.txt", "SHA256SUMS", "events.txt", "gaps.log", "health.log", "report.html", "report.json", "report.txt",
        "self-test.txt",
    ]  # fmt: skip
    odd, second = files["events.txt"].split("=== ")[1:]
    delay_log = (root / "Lobby_100e0002.log").read_text().splitlines()
    assert next(line for line in delay_log if "uuid-59" in line) in second
    assert '"uuid": "uuid-59"' in second
    assert "reason=404" in second
    assert "reason=closed-1006" not in second  # more than ten minutes away
    assert second.count("state=connected") == 4
    assert 'uuid="two words \\"quoted\\""' in odd
    assert '{"event": ' in odd
    assert json.loads(files["report.json"])["worst"][1]["uuid"] == "uuid-59"
    assert "eelogger" in files["README.txt"]
    assert files["self-test.txt"] == "all good\n"
    sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].splitlines())
    assert sums["events.txt"] == hashlib.sha256(files["events.txt"].encode()).hexdigest()
    assert sums.keys() == files.keys() - {"SHA256SUMS"}


def test_other_updates_of_an_odd_identity_are_found_too(root: Path, tmp_path: Path) -> None:
    with (root / "stream/Front Door_100e0000_stream.log").open("a") as file:
        file.write(stream_line(NOON_US + 9 * SECOND, {"event": {"ANNT": {"uuid": ODD, "op": 4}}}))
        file.write(stream_line(NOON_US + 9 * SECOND, {"event": {"ANNT": {"uuid": "other", "op": 4}}}))
    said = evidence(root, tmp_path / "evidence", worst=1)["events.txt"]
    assert said.count('"two words') == 3
    assert '"op": 4' in said
    assert '"other"' not in said


def test_packed_logs_are_evidence_as_well(root: Path, tmp_path: Path) -> None:
    before = evidence(root, tmp_path / "before")
    for path in [*root.glob("*.log"), *root.glob("stream/*.log")]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    after = evidence(root, tmp_path / "after")
    assert "self-test.txt" not in after  # there was none
    for name in ("events.txt", "gaps.log", "health.log"):
        assert after[name] == before[name]
