"""`replay`: the same input gives the same bytes, a run's replay what the run had written."""

import io
import os
import re
import subprocess
import tempfile
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from fault_cloud import FaultCloud
from hypothesis import given, settings
from launch import CHILD, Ended, command, environment, launch
from played import CAMERAS, FRONT, NOON_US, SECOND, Message, Played, Reconnect, Step, annt, one, play, scripts, texts

from eelogger.commands.replay import run
from eelogger.errors import EeloggerError
from eelogger.model import Camera, Gap, Verdict
from eelogger.simulator import Account
from eelogger.storage.formats import gap_line, parse_delay_line, stream_line
from eelogger.storage.paths import LogPaths
from eelogger.storage.state import State, read_state, state_text
from eelogger.views.console import Console

HOUR = 3600 * SECOND
FILE = f"Front Door_{FRONT}_stream.log"


def replay(*arguments: Path, **env: str) -> Ended:
    """Replay in this process into the last argument, without the settings of this machine."""
    *sources, target = arguments
    options = Namespace(sources=sources, log_dir=target, env_file=Path(os.devnull))
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, environment(None, None, env), clear=True):
        try:
            code = run(options, Console(None, out, err))
        except EeloggerError as error:
            code = error.exit_code
            err.write(f"{error}\n{error.hint}\n")
    return Ended(code, out.getvalue(), err.getvalue())


def contents(root: Path) -> dict[str, bytes]:
    """What a replay has to make again, byte for byte, but for `lag_s`."""
    found = texts(root) | texts(root, "**/gaps.log") | texts(root, "**/maxeventdelay.log")
    return {name: re.sub(rb" lag_s=\S+", b"", text) for name, text in found.items()}


def verdicts(path: Path) -> list[Verdict]:
    parsed = [parse_delay_line(line) for line in path.read_text("utf-8").splitlines()]
    return [row[0] for row in parsed if row]


def stream(path: Path, count: int, four_cc: str = "ANNT") -> Path:
    """A stream log of events that are 0.5 s late, ten a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            at_us = NOON_US + number * SECOND // 10
            event = annt(at_us - SECOND // 2, f"{path.name}-{number}")
            file.write(stream_line(at_us, {"event": {four_cc: event}}))
    return path


def counts(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"([a-z]+) ([0-9]+)(?=, |\n)", text)}


# The same again


@settings(max_examples=12)
@given(scripts())
def test_a_replay_of_a_run_is_the_run(script: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        played = play(root / "run", script)
        if not texts(root / "run", "**/*_stream.log"):
            return
        said = replay(root / "run", root / "again")
        assert said.code == 0, said
        logs, again = texts(root / "run"), texts(root / "again")
        assert again == {name: text for name, text in logs.items() if text}
        assert counts(said.out).get("measured", 0) == played.handler.totals["measured"]


async def test_a_run_over_midnight_is_made_again_with_its_days(log_dir: Path, tmp_path: Path) -> None:
    """A real run: its two days, their gaps, maxima and cameras."""
    now = datetime.now(UTC)
    shift_s = (now.replace(hour=23, minute=59, second=55, microsecond=0) - now) / timedelta(seconds=1)
    async with FaultCloud(Account.of(cameras=4, rate=40)) as cloud:
        async with launch(cloud, log_dir, script=CHILD, env={"CHILD_SHIFT_S": str(shift_s)}) as logger:
            await cloud.wait_subscribed(4)
            await cloud.wait_until((log_dir / "days").exists, timeout_s=40)
            await cloud.close(1001)
            await cloud.wait_connected(2)
            await cloud.wait_subscribed(4)
            sent = len(cloud.sent)
            await cloud.wait_until(lambda: len(cloud.sent) > sent + 20)
            assert await logger.stop() == 0
    assert len(LogPaths(log_dir).days()) == 1
    said = replay(log_dir, tmp_path / "again")
    assert (said.code, said.err) == (0, "")
    assert contents(tmp_path / "again") == contents(log_dir)
    assert texts(tmp_path / "again", "**/cameras.json") == texts(log_dir, "**/cameras.json")
    (day,) = (log_dir / "days").iterdir()
    subprocess.run(["gzip", "-r", day], check=True)
    assert (replay(day, tmp_path / "one").code, replay(log_dir, tmp_path / "packed").code) == (0, 0)
    for pattern in ("*_100*.log", "stream/*.log", "gaps.log", "cameras.json"):
        of_day = texts(tmp_path / f"again/days/{day.name}", pattern)
        assert texts(tmp_path / "one", pattern) == texts(tmp_path / f"packed/days/{day.name}", pattern) == of_day


def test_days_gaps_and_names_are_told_apart_and_a_single_day_can_be_replayed(tmp_path: Path) -> None:
    """Each day begins with a clock put back over midnight; between them are a gap and a new name of a camera."""
    root, late_us, midnight_us = tmp_path / "run", NOON_US + 11 * HOUR, NOON_US + 12 * HOUR
    again_us = midnight_us + HOUR
    first = Played(root / "days/2026-11-22", CAMERAS | {FRONT: Camera(FRONT, "Tür/1", "100bb009")})
    second = Played(root, day="2026-11-23")
    stale = Message(late_us + SECOND, {FRONT: {"event": {"ANNT": annt(late_us - HOUR, "stale")}}})
    back, fresh = one(NOON_US - 12 * HOUR - SECOND, "put back"), one(late_us + 2 * SECOND, "a")
    first.play([back, Reconnect(late_us, late_us), stale, fresh])
    first.recorder.note_gap(Gap("gap", late_us + 5 * SECOND, midnight_us, "closed-1006"))
    second.play([one(midnight_us - SECOND, "put back again")])
    second.recorder.note_gap(Gap("gap", midnight_us, again_us, "closed-1006"))
    second.handler.subscribed(CAMERAS, again_us, HOUR)
    second.play([one(again_us + 7, "b", delay_us=2 * HOUR), one(again_us + 8, "c", delay_us=1)])
    first.write()
    second.write()
    (root / ".state").write_text(state_text(State("2026-11-23", again_us + 8, again_us + 8, True, late_us)))
    assert "from 2 days, 2026-11-22 to 2026-11-23 " in replay(root, tmp_path / "again").out
    assert contents(tmp_path / "again") == contents(root)
    _, initial, measured = verdicts(tmp_path / f"again/Front Door_{FRONT}.log")
    assert (initial.kind, measured.kind, measured.after_gap_us) == ("initial", "measured", HOUR)
    assert replay(root / "days/2026-11-22", tmp_path / "one").code == 0
    assert contents(tmp_path / "one") == contents(root / "days/2026-11-22")
    state = read_state(LogPaths(tmp_path / "one"))
    assert state is not None
    assert (state.day, state.clean) == ("2026-11-22", True)


# Without a record


OLD_LINES = """\
2026-11-22 12:00:00.5 -- {"event": {"ANNT": {"timestamp": "20261122115859.000", "uuid": "a", "ns": 103}}}
this is no line
2026-11-22T14:00:01+02:00 -- {"event": {"ANNT": {"timestamp": "20261122115800.000", "uuid": "b", "ns": 103}}}
2026-11-22T12:00:02Z -- [1, 2]
2026-11-22T12:00:03.25Z -- {"event": {"ALRS": {"timestamp": "20261122115955.000", "eventid": -1}}}
2026-11-23T00:00:00.000001 -- {"event": {"ANNT": {"timestamp": "20261123000000.000", "uuid": "c", "ns": 103}}}
"""


@pytest.mark.parametrize("form", ["file", "directory", "stream folder"])
def test_files_of_the_older_script_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "old/stream" / FILE
    path.parent.mkdir(parents=True)
    number = '2026-11-22T12:00:01Z -- {"event": {"ANNT": ' + "9" * 5000 + "}}\n"
    deep = "2026-11-22T12:00:01Z -- " + "[" * 1_000_000 + "\n"
    path.write_text(f"{OLD_LINES}{number}{deep}\0\x85\ud800\n{OLD_LINES[:60]}", "utf-8", "surrogatepass")
    source = {"file": path, "directory": tmp_path / "old", "stream folder": path.parent}[form]
    said = replay(source, tmp_path / "new")
    assert "4 updates of 1 camera from 2 days, 2026-11-22 to 2026-11-23" in said.out
    assert "skipped 6 lines" in said.out
    earlier = tmp_path / f"new/days/2026-11-22/Front Door_{FRONT}.log"
    # A first value that is older than the file by more than 30 s was the state before.
    kinds = [(verdict.identity[:6], verdict.kind) for verdict in verdicts(earlier)]
    assert kinds == [("a", "initial"), ("b", "measured"), ("ALRS:1", "measured")]
    assert [v.delay_us for v in verdicts(tmp_path / "new" / earlier.name)] == [1]
    unknown = gap_line(Gap("unknown", NOON_US + SECOND // 2, NOON_US + 3_250_001, "no-record"))
    assert (tmp_path / "new/days/2026-11-22/gaps.log").read_text().endswith(f"\n{unknown}")


def test_logs_of_the_first_release_are_read(tmp_path: Path) -> None:
    source = Path(__file__).parent / "fixtures" / "logs-0.1.0"
    said = replay(source, tmp_path / "again")
    assert (said.code, "2 days" in said.out) == (0, True), said
    logs, again = (texts(root, "**/*_10*.log") for root in (source, tmp_path / "again"))
    assert len(logs) == 12
    assert again == logs


# What is told


def test_events_and_names_count_as_in_a_run(tmp_path: Path) -> None:
    stream(tmp_path / "old" / FILE, 3)
    stream(tmp_path / "old" / "Gate_100e0002_stream.log", 4, "ALRS")
    said = replay(tmp_path / "old", tmp_path / "a", EEN_EVENTS="ANNT", EEN_NAMESPACE_NAMES="103=Break-in")
    assert (counts(said.out)["measured"], counts(said.out)["ignored"]) == (3, 4)
    assert "event=Break-in" in (tmp_path / f"a/Front Door_{FRONT}.log").read_text()
    # Judged by settings other than those meant it would be wrong, and nobody would see it.
    assert replay(tmp_path / "old", tmp_path / "c", EEN_EVENTS="?").code == 78
    assert not (tmp_path / "c").exists()


def test_the_target_must_be_told_and_empty(tmp_path: Path) -> None:
    source = stream(tmp_path / "old" / FILE, 1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("keep")
    for target in (tmp_path / "full", source, source / "inside"):
        assert replay(source, target).code == 2
    assert command("replay", source).code == 2
    assert os.listdir(tmp_path / "full") == ["mine"]


GARBAGE = b"\0\xff\nno line\n2026-11-22 -- 5\n9999999 -- {}\n" + os.urandom(10_000)


@pytest.mark.parametrize("found", [None, {}, {FILE: GARBAGE}, {"IMG_20261122.jpg": b""}])
def test_where_nothing_is_to_be_replayed_it_says_so(tmp_path: Path, found: dict[str, bytes] | None) -> None:
    if found is not None:
        (tmp_path / "old").mkdir()
        for name, content in found.items():
            (tmp_path / "old" / name).write_bytes(content)
    said = replay(tmp_path / "old", tmp_path / "again")
    assert (said.code, said.out, (tmp_path / "again").exists()) == (66, "", False)
    assert "old" in said.err


def test_what_of_the_sources_is_passed_over_is_told(tmp_path: Path) -> None:
    good, days = stream(tmp_path / "old" / FILE, 3), tmp_path / "logs/days"
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "photos").mkdir()
    stream(tmp_path / "logs/stream/Gate_100e1e24_stream.log", 2).chmod(0)
    stream(tmp_path / "logs/stream/Yard_100e1e25_stream.log", 2)
    os.mkfifo(tmp_path / "logs/stream/Pipe_100e1e26_stream.log")  # to open one takes for ever
    (days / "2026-11-20").mkdir(0, parents=True)
    (days / "2026-11-21/stream").mkdir(0, parents=True)
    (days / "2026-11-21/gaps.log").write_text(gap_line(Gap("gap", NOON_US - 24 * HOUR, NOON_US - 24 * HOUR, "started")))
    sources = [good, *(tmp_path / name for name in ("absent", "notes.txt", "photos", "logs"))]
    said = command("replay", *sources, "--log-dir", tmp_path / "again", script=CHILD, env={"CHILD_BOUND": "1"})
    assert (said.code, counts(said.out)["measured"]) == (0, 5)
    told = re.findall(rf"(?m)^skipped: {tmp_path}/(\S+)", said.err)
    closed = [f"logs/days/2026-11-{name}" for name in ("20", "20/stream", "21/stream")]
    closed += [f"logs/stream/{name}_stream.log" for name in ("Gate_100e1e24", "Pipe_100e1e26")]
    assert sorted(told) == ["absent", *closed, "notes.txt", "photos"]


def test_a_disk_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = stream(tmp_path / "old" / FILE, 300)
    monkeypatch.setattr(os, "write", Mock(side_effect=OSError(28, "No space left on device")))
    said = replay(source, tmp_path / "again")
    assert (said.code, said.out) == (74, "")
    assert "is not complete, remove it; the sources are as they were" in said.err
