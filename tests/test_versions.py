"""Logs of every released version stay readable: each reader takes up a recorded log directory of each version.

`fixtures/record.py` makes one of two days with every kind of line. What a later version adds is let pass by this one,
and what an earlier one does not have is absent, which is shown on copies with more and with fewer keys.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs import run

from eelogger.commands.following import Follower
from eelogger.figures.histogram import P50
from eelogger.lines import parse_delay_line, parse_gap_line, parse_stream_line
from eelogger.logdir.camerafile import read_cameras
from eelogger.logdir.state import read_state
from eelogger.past.delaylog import DelayLog
from eelogger.past.readings import take_readings
from eelogger.past.worstlog import WorstEvents, read_worst_events
from eelogger.paths import LogPaths
from eelogger.replay import replay
from eelogger.report import ReportOptions, build, json_text
from eelogger.report.vitals import parse_health_line
from eelogger.simulator.logdir import read_logs
from eelogger.text.logfmt import parse

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("logs-*"))
YESTERDAY, TODAY = "2026-11-20", "2026-11-21"

pytestmark = pytest.mark.parametrize("version", FIXTURES, ids=[path.name for path in FIXTURES])


def days(root: Path) -> list[LogPaths]:
    return [LogPaths(root).day(YESTERDAY), LogPaths(root)]


def delay_logs(paths: LogPaths) -> list[Path]:
    return [paths.delay(stem) for stems in paths.find_stems().values() for stem in stems]


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def verdicts(root: Path) -> Counter[str]:
    """The verdicts by a parser of the test's own."""
    found = re.findall(
        r" verdict=(\w+) ", "".join(path.read_text() for paths in days(root) for path in delay_logs(paths))
    )
    return Counter(found)


def test_the_fixture_holds_every_kind_of_line(version: Path) -> None:
    assert verdicts(version).keys() == {"measured", "initial", "early", "undated"}
    for optional in ("op", "seq", "after_gap_s", "new_max"):
        assert f" {optional}=" in "".join(path.read_text() for path in version.rglob("*.log"))
    assert read_logs(version).unreadable == []


def test_every_line_of_every_file_is_read(version: Path) -> None:
    readers: dict[str, Callable[[str], Any]] = {
        "gaps.log": parse_gap_line,
        "health.log": parse_health_line,
        "rejected.log": lambda line: parse(line).get("text"),
    }
    seen = set()
    for paths in days(version):
        for name, reader in readers.items():
            for line in lines(paths.root / name):
                assert reader(line) is not None, line
                seen.add(name)
        for path in delay_logs(paths):
            assert None not in map(parse_delay_line, lines(path))
        for path in paths.stream_dir.iterdir():
            assert None not in map(parse_stream_line, lines(path))
    assert seen == set(readers)
    state = read_state(LogPaths(version))
    assert state
    assert (state.day, state.clean) == (TODAY, True)


async def taken_up(root: Path) -> dict[str, Any]:
    """What a start makes of a log directory."""
    paths = LogPaths(root)
    state = read_state(paths)
    assert state
    before = {path: path.read_bytes() for path in root.rglob("*_*.log")}
    async with run(root, read_cameras(paths), day=state.day) as this:
        for _ in this.history.load(state.done_us):
            pass
        for _ in this.history.way_back(state.done_us):
            pass
        assert this.history.unreadable == 0
    assert {path: path.read_bytes() for path in root.rglob("*_*.log")} == before
    handler = this.handler
    return {
        "n": {id_: stats.n for id_, stats in handler.day.cameras.items()},
        "p50": {id_: stats.day().quantile_us(P50) for id_, stats in handler.day.cameras.items() if stats.n},
        "worst": {id_: worst._replace(data=None) for id_, worst in handler.day.worst.items()},
        "worst events": {id_: worst.data for id_, worst in handler.day.worst.items()},
        "gaps": this.observation.gaps,
        "names": {camera.id: camera.name for camera in this.cameras.values()},
    }


async def test_a_start_goes_on_from_it(version: Path, tmp_path: Path) -> None:
    logs = shutil.copytree(version, tmp_path / "logs")
    measured = {
        match[1]: len(re.findall(" verdict=measured ", path.read_text()))
        for path in delay_logs(LogPaths(version))
        if (match := re.fullmatch(r".*_([0-9a-f]{8})\.log", path.name))
    }
    found = await taken_up(logs)
    assert found["n"] == measured
    assert None not in found["worst events"].values()


async def test_its_replay_is_itself(version: Path, tmp_path: Path) -> None:
    result = await replay([version], tmp_path / "again")
    assert (result.days, result.unreadable) == ([YESTERDAY, TODAY], 0)
    for path in sorted(version.rglob("*_*.log")):
        if path.name.startswith("processed"):
            continue
        again = tmp_path / "again" / path.relative_to(version)
        assert [re.sub(r" lag_s=\S+", "", line) for line in lines(path)] == lines(again), path.name


def figures(root: Path) -> dict[str, Any]:
    """What report, status and watch make of it."""
    report = json.loads(json_text(build(ReportOptions(root), at_us=1_795_219_300_000_000)))
    for volatile in ("made", "made_us", "source"):
        report.pop(volatile, None)
    readings = take_readings(LogPaths(root), 1_795_219_300_000_000)
    worst: WorstEvents = {}
    list(read_worst_events(LogPaths(root), worst))
    return {
        "report": report,
        "readings": (readings.events, readings.p95_us, readings.cameras, readings.unreadable, readings.headline),
        "followed": [logged[0] for logged in Follower(LogPaths(root)).start(last=1000)],
        "logs": [(log.stats.n, log.unreadable) for path in delay_logs(LogPaths(root)) if (log := whole_log(path))],
        "worst": worst,
    }


def whole_log(path: Path) -> DelayLog:
    log = DelayLog()
    list(log.read(path))
    return log


def test_reports_read_it(version: Path) -> None:
    found = figures(version)
    assert {unreadable for _, unreadable in found["logs"]} == {0}
    assert found["report"]["total"]["events"] == verdicts(version)["measured"] > sum(n for n, _ in found["logs"]) > 0
    assert found["readings"][3] == 0


LOGFMT = ("gaps.log", "health.log", "rejected.log")


def rewrite(root: Path, change_line: Callable[[str], str], change_json: Callable[[dict[str, Any]], None]) -> None:
    """Change every logfmt line and every JSON object of a log directory."""
    for paths in days(root):
        for path in [*delay_logs(paths), *(paths.root / name for name in LOGFMT)]:
            path.write_text("".join(f"{change_line(line)}\n" for line in lines(path)), "utf-8")
        text = [change_line(head) + " -- " + tail for head, _, tail in (row.partition(" -- ") for row in worst(paths))]
        paths.max_delay.write_text("".join(f"{row}\n" for row in text), "utf-8")
        for path in [paths.state, paths.cameras]:
            if path.exists():
                content = json.loads(path.read_text())
                change_json(content)
                for item in content.values():
                    if isinstance(item, dict):
                        change_json(item)
                path.write_text(json.dumps(content))


def worst(paths: LogPaths) -> list[str]:
    return lines(paths.max_delay)


async def test_what_a_later_version_adds_is_let_pass(version: Path, tmp_path: Path) -> None:
    logs, later = (shutil.copytree(version, tmp_path / name) for name in ("logs", "later"))

    def add(content: dict[str, Any]) -> None:
        content["added"] = {"by": ["a", "later", "version"]}

    rewrite(later, lambda line: f'{line} added=1 more="two words" last=', add)
    (later / "days" / YESTERDAY / "added.log").write_text("a file\n")
    (later / "added_by_a_later_version").mkdir()
    assert figures(later) == figures(logs)
    assert await taken_up(later) == await taken_up(logs)


async def test_what_an_earlier_version_lacked_is_absent(version: Path, tmp_path: Path) -> None:
    logs, earlier = (shutil.copytree(version, tmp_path / name) for name in ("logs", "earlier"))

    def drop(line: str) -> str:
        return re.sub(r" (op|seq|lag_s|after_gap_s|new_max|ntp|rtt_max_s|backlog|clock_bound_s|bytes)=\S+", "", line)

    def remove(content: dict[str, Any]) -> None:
        content.pop("bridge", None)
        content.pop("login", None)

    rewrite(earlier, drop, remove)
    for paths in days(earlier):
        paths.summary.unlink()
        paths.program_log.unlink()
    now, then = figures(logs), figures(earlier)
    assert then["logs"] == now["logs"]
    assert [verdict.delay_us for verdict in then["followed"]] == [verdict.delay_us for verdict in now["followed"]]
    assert {verdict.op for verdict in then["followed"]} == {verdict.seq for verdict in then["followed"]} == {None}
    assert then["report"]["total"]["events"] == now["report"]["total"]["events"]
    found, whole = await taken_up(earlier), await taken_up(logs)
    assert (found["n"], found["p50"], found["names"]) == (whole["n"], whole["p50"], whole["names"])
