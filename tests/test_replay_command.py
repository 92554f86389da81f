"""`replay` as it is given on the command line: the same logs again, elsewhere, and nothing left out unsaid."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commanding import APP, bound, demo, here, program
from running import environment

from eelogger.figures.observation import STARTED
from eelogger.lines import gap_line, stream_line
from eelogger.logdir.state import State, state_text
from eelogger.model import Gap
from eelogger.text import logfmt
from eelogger.text.times import parse_time, time_text

NOON_US = parse_time("2026-11-22T12:00:00.000000Z")
SECOND = 1_000_000
FRONT = "Front Door_100e1e23_stream.log"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo(tmp_path_factory.mktemp("replay") / "logs")


def stream(path: Path, count: int, four_cc: str = "ANNT") -> Path:
    """A stream log of events that are 0.5 s late, ten a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            at_us = NOON_US + number * SECOND // 10
            stamp = re.sub(r"[-T:Z]", "", time_text(at_us - SECOND // 2))[:18]
            event = {"ns": 103, "uuid": f"{path.name}-{number}", "op": 1, "seq": 0, "timestamp": stamp}
            file.write(stream_line(at_us, {"event": {four_cc: event}}))
    return path


def delay_logs(root: Path) -> dict[str, str]:
    """The text of each delay log, but for the logger's own lateness, which a stream log does not tell."""
    return {path.name: re.sub(r" lag_s=\S+", "", path.read_text("utf-8")) for path in root.glob("*_????????.log")}


def counts(text: str) -> dict[str, int]:
    return {name: int(count.replace(",", "")) for name, count in re.findall(r"([a-z]+) ([0-9,]+)(?=, |\n)", text)}


def test_a_replay_is_the_run_again(logs: Path, tmp_path: Path) -> None:
    said = program("replay", logs, "--log-dir", tmp_path / "again")
    assert (said.code, said.err) == (0, "")
    assert delay_logs(tmp_path / "again") == delay_logs(logs)
    verdicts = [logfmt.parse(line)["verdict"] for text in delay_logs(logs).values() for line in text.splitlines()]
    assert len(verdicts) > 20
    found = counts(said.out)
    assert {kind: found[kind] for kind in ("measured", "early", "initial", "undated")} == {
        kind: verdicts.count(kind) for kind in ("measured", "early", "initial", "undated")
    }
    updates = sum(len(path.read_text("utf-8").splitlines()) for path in logs.glob("stream/*"))
    assert re.match(rf"{re.escape(str(tmp_path))}/again: {updates} updates of \d+ cameras from 1 day, 20", said.out)
    reports = [here("report", "--log-dir", root, "--events-csv", "-").out for root in (logs, tmp_path / "again")]
    assert [sorted(line.rpartition(",")[0] for line in text.splitlines()) for text in reports[:1]] == [
        sorted(line.rpartition(",")[0] for line in text.splitlines()) for text in reports[1:]
    ]


def test_single_files_of_the_older_script_are_taken_too(tmp_path: Path) -> None:
    first = stream(tmp_path / "old" / FRONT, 5)
    said = here("replay", first, "--log-dir", tmp_path / "again")
    assert said == (0, f"{tmp_path}/again: 5 updates of 1 camera from 1 day, 2026-11-22 (UTC)\n"
                       "measured 5, early 0, initial 0, undated 0\n", "")  # fmt: skip
    assert len((tmp_path / "again" / "Front Door_100e1e23.log").read_text().splitlines()) == 5


def test_the_target_must_be_told_and_empty(tmp_path: Path) -> None:
    source = stream(tmp_path / "old" / FRONT, 1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("keep")
    (tmp_path / "file").touch()
    for args, told in (
        (("--log-dir", tmp_path / "full"), "full is not empty"),
        (("--log-dir", tmp_path / "file"), "file is no directory"),
        (("--log-dir", tmp_path / "file" / "inside"), "file is no directory"),
        (("--log-dir", source), "is no directory"),
        ((), "say where to write"),
    ):
        said = here("replay", source, *args)
        assert said.code == 2
        assert told in said.err
    assert here("replay", "--log-dir", tmp_path / "new").code == 2
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    assert not (tmp_path / "new").exists()


def test_events_and_namespaces_count_as_in_a_run(tmp_path: Path) -> None:
    stream(tmp_path / "old" / FRONT, 3)
    stream(tmp_path / "old" / "Gate_100e1e24_stream.log", 4, "ALRS")
    said = program("replay", tmp_path / "old", "--log-dir", tmp_path / "a", env={"EEN_EVENTS": "ANNT"})
    assert (counts(said.out)["measured"], counts(said.out)["ignored"]) == (3, 4)
    env = {"EEN_NAMESPACE_NAMES": "103=Break-in", "EEN_NAMESPACES": "103"}
    assert program("replay", tmp_path / "old", "--log-dir", tmp_path / "b", env=env).code == 0
    assert "event=Break-in" in (tmp_path / "b" / "Front Door_100e1e23.log").read_text()
    # Judged by settings other than those meant it would be wrong, and nobody would see it.
    assert program("replay", tmp_path / "old", "--log-dir", tmp_path / "c", env={"EEN_EVENTS": "?"}).code == 78
    assert not (tmp_path / "c").exists()


def missing(old: Path) -> None:
    shutil.rmtree(old)


def empty(old: Path) -> None:
    (old / FRONT).unlink()


def photos(old: Path) -> None:
    (old / FRONT).write_bytes(os.urandom(5000))
    (old / FRONT).rename(old / "IMG_20261122.jpg")


def garbage(old: Path) -> None:
    (old / FRONT).write_bytes(os.urandom(100_000))


def closed(old: Path) -> None:
    old.chmod(0)


NOTHING: list[tuple[Callable[[Path], None], str]] = [
    (missing, "skipped: there is no "),
    (empty, "found 0 stream logs"),
    (photos, "no readable line of a stream log"),
    (garbage, "no readable line of a stream log"),
    (closed, "old cannot be read: Permission denied"),
]


@pytest.mark.parametrize(("damage", "found"), NOTHING, ids=["missing", "empty", "photos", "garbage", "closed"])
def test_where_nothing_is_to_be_replayed_it_says_what_was_found(
    tmp_path: Path, damage: Callable[[Path], None], found: str
) -> None:
    stream(tmp_path / "old" / FRONT, 3)
    damage(tmp_path / "old")
    said = (bound if damage is closed else here)("replay", tmp_path / "old", "--log-dir", tmp_path / "again")
    if damage is closed:
        (tmp_path / "old").chmod(0o700)
    assert (said.code, said.out) == (66, "")
    assert found in said.err
    assert not (tmp_path / "again").exists()


def test_damaged_lines_are_counted_and_the_rest_replayed(tmp_path: Path) -> None:
    path = stream(tmp_path / "old" / FRONT, 3)
    good = path.read_bytes().splitlines(keepends=True)
    deep = b"2026-11-22T12:00:01.000000+00:00 -- " + b"[" * 1_000_000 + b"\n"
    number = b'2026-11-22T12:00:01.000000+00:00 -- {"event": {"ANNT": ' + b"9" * 5000 + b"}}\n"
    path.write_bytes(
        b"".join([good[0], os.urandom(999).replace(b"\n", b""), b"\n", deep, number, *good[1:], good[0][:60]])
    )
    said = here("replay", path, "--log-dir", tmp_path / "again")
    assert said.code == 0
    assert counts(said.out)["measured"] == 3
    assert "skipped 4 lines that could not be read\n" in said.out


def test_what_of_the_sources_is_passed_over_is_told(tmp_path: Path) -> None:
    good = stream(tmp_path / "old" / FRONT, 3)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "photos").mkdir()
    stream(tmp_path / "logs/stream/Gate_100e1e24_stream.log", 2).chmod(0)
    stream(tmp_path / "logs/stream/Yard_100e1e25_stream.log", 2)
    os.mkfifo(tmp_path / "logs/stream/Pipe_100e1e26_stream.log")  # to open one takes for ever
    (tmp_path / "logs/days/2026-11-21/stream").mkdir(parents=True)
    (tmp_path / "logs/days/2026-11-21").chmod(0)
    stream(tmp_path / "closed/stream/Roof_100e1e27_stream.log", 2)
    (tmp_path / "closed").chmod(0)
    names = ("absent", "notes.txt", "photos", "logs", "closed")
    said = bound("replay", good, *(tmp_path / name for name in names), "--log-dir", tmp_path / "again")
    for closed in (tmp_path / "logs/days/2026-11-21", tmp_path / "closed"):
        closed.chmod(0o700)
    assert said.code == 0
    assert counts(said.out)["measured"] == 5
    told = said.err.replace(f"{tmp_path}/", "").splitlines()
    assert told == [
        "skipped: there is no absent",
        "skipped: logs/days/2026-11-21 cannot be read: Permission denied",
        "skipped: closed cannot be read: Permission denied",
        "skipped: notes.txt is no stream log, nor a directory that holds one",
        "skipped: photos is no stream log, nor a directory that holds one",
        "skipped: logs/stream/Gate_100e1e24_stream.log cannot be read",
        "skipped: logs/stream/Pipe_100e1e26_stream.log is not an ordinary file",
    ]


def test_a_place_that_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    source = stream(tmp_path / "old" / FRONT, 3)
    (tmp_path / "shut").mkdir(mode=0o500)
    said = bound("replay", source, "--log-dir", tmp_path / "shut/again")
    assert (said.code, said.out) == (74, "")
    assert said.err == (
        f"eelogger: cannot write {tmp_path}/shut/again/stream/{FRONT} and 4 more: Permission denied\n"
        "  hint: give --log-dir a place that may be written and has room; the sources are as they were\n"
    )


def test_a_disk_that_is_full_leaves_something_to_remove(tmp_path: Path) -> None:
    source = stream(tmp_path / "old" / FRONT, 300)
    command = [sys.executable, str(APP), "replay", str(source), "--log-dir", str(tmp_path / "again")]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *command],
        env=environment(None, Path("nowhere")), capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (74, "")
    assert re.match(f"eelogger: cannot write {tmp_path}/again/.*: File too large\n", done.stderr)
    assert f"hint: {tmp_path}/again is not complete, remove it; give --log-dir a place" in done.stderr


def test_long_work_shows_a_bar_and_ctrl_c_is_not_success(tmp_path: Path) -> None:
    source = stream(tmp_path / "old" / FRONT, 60_000)
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(APP), "replay", str(source), "--log-dir", str(tmp_path / "again")],
        env=environment(None, Path("nowhere")), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=end,
    )  # fmt: skip
    os.close(end)
    shown, interrupted = "", False
    try:
        while process.poll() is None:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += _read(terminal)
                if "replaying [" in shown and not interrupted:
                    process.send_signal(signal.SIGINT)
                    interrupted = True
        shown += _read(terminal)
    finally:
        process.kill()
        out = process.communicate()[0]
        os.close(terminal)
    assert (process.returncode, out) == (130, b"")
    assert re.search(r"\rreplaying \[#*-*\] +\d+ % of 1\d\.\d MB, \d+ s left", shown)
    assert shown.rpartition("\r ")[2].strip() == f"broken off: {tmp_path}/again is not complete, remove it"
    assert json.loads((tmp_path / "again/cameras.json").read_text())


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 100_000).decode()
    except OSError:  # the other end is closed
        return ""


def shares(root: Path, *options: str) -> list[object]:
    """How much of its time was observed: in JSON, CSV, the sentences, the tables and on the page of a report."""
    of = ("report", "--log-dir", str(root), *options)
    text, page = here(*of).out, here(*of, "--html", "-").out
    rows = csv.DictReader(here(*of, "--csv", "-").out.splitlines())
    return [
        json.loads(here(*of, "--json", "-").out)["total"]["observed_percent"],
        *{row["observed_percent"] for row in rows},
        *re.findall(r"(?m); (what was observed.*|observed .*)$", text.partition("By camera")[0]),
        *set(re.findall(r"(?m)\d  +(\S+)$", text.partition("By camera")[2].partition("Maxima")[0])),
        *set(re.findall('observed_percent">([^<]*)<', page)),
    ]


def test_where_there_is_no_record_of_it_the_share_watched_is_unknown(tmp_path: Path) -> None:
    stream(tmp_path / "old" / FRONT, 25)
    unknown = [None, "", "what was observed is unknown", "unknown", "unknown"]
    for root, source in ((tmp_path / "again", tmp_path / "old"), (tmp_path / "third", tmp_path / "again")):
        assert here("replay", source, "--log-dir", root).code == 0
        assert shares(root) == unknown
        assert shares(root, "--since", "2026-11-22") == unknown
        said = here("report", "--log-dir", root).out
        assert (
            "observed   unknown: from 2026-11-22 12:00:00 UTC to 2026-11-22 12:00:02 UTC nothing on record says" in said
        )
    assert (tmp_path / "again/gaps.log").read_bytes() == (tmp_path / "third/gaps.log").read_bytes()
    assert delay_logs(tmp_path / "again") == delay_logs(tmp_path / "third")
    # A run that goes on there is on record.
    start = parse_time("2026-11-22T12:01:00Z")
    with (tmp_path / "again/gaps.log").open("a", encoding="utf-8") as file:
        file.write(gap_line(Gap("gap", NOON_US + 3 * SECOND, start, "stopped")))
    assert here("replay", tmp_path / "again", "--log-dir", tmp_path / "fourth").code == 0
    assert (tmp_path / "again/gaps.log").read_bytes() == (tmp_path / "fourth/gaps.log").read_bytes()
    assert shares(tmp_path / "fourth") == unknown
    here("report", "--log-dir", tmp_path / "again", "--evidence", tmp_path / "sent", "--no-self-test")
    assert "what was observed is unknown" in (tmp_path / "sent/README.txt").read_text()
    # Delay logs alone say no more.
    for name in ("gaps.log", ".state"):
        (tmp_path / "again" / name).unlink()
    assert shares(tmp_path / "again") == unknown


def test_a_replay_of_a_log_directory_has_watched_as_long_as_the_run(logs: Path, tmp_path: Path) -> None:
    here("replay", logs, "--log-dir", tmp_path / "again")
    assert shares(tmp_path / "again") == shares(logs)
    # Ten seconds, one of them blind; of the quiet ones before and after the events only .state tells.
    source = stream(tmp_path / "run/stream" / FRONT, 25)
    source.write_text(source.read_text().replace("2026", "2024"))
    at_us = parse_time("2024-11-22T12:00:00Z")
    gaps = Gap("gap", at_us - SECOND, at_us, STARTED), Gap("gap", at_us + SECOND, at_us + 2 * SECOND, "closed-1006")
    (tmp_path / "run/gaps.log").write_text("".join(map(gap_line, gaps)))
    state = State("2024-11-22", at_us + 8 * SECOND, at_us + 8 * SECOND, True, at_us - 2 * SECOND)
    (tmp_path / "run/.state").write_text(state_text(state))
    for root, source in ((tmp_path / "one", tmp_path / "run"), (tmp_path / "two", tmp_path / "one")):
        assert here("replay", source, "--log-dir", root).code == 0
        assert shares(root) == [90.0, "90.0", "observed 90.0 %", "90.0", "90.0"]
