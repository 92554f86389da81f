"""`report` as it is given on the command line: its figures are the logs', its files are whole or as they were."""

import csv
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from launch import APP, CHILD, Ended, command
from report_logs import DAY, KNOWN, write_logs, write_site
from run_states import NOON_US, SECOND, verdict

from eelogger.cli import main
from eelogger.measure.histogram import rank_of
from eelogger.model import INITIAL, UNDATED
from eelogger.storage.formats import parse_pairs, stream_line

Here = Callable[..., Ended]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hundred events of all kinds over two days."""
    chance, events = random.Random(7), []
    for i in range(300):
        delay_us = round(chance.lognormvariate(14, 1))
        at_us = NOON_US - chance.randrange(2 * DAY // SECOND) * SECOND
        one = verdict(chance.choice([*KNOWN]), delay_us, at_us, chance.choice([103, 104, None]), identity=f"u{i}")
        other = chance.random()
        if other < 0.1:
            one = one._replace(kind=INITIAL)
        elif other < 0.2:
            one = one._replace(kind=UNDATED, delay_us=None, event_us=None)
        elif other < 0.3:
            one = verdict(one.camera_id, -delay_us, at_us, one.ns, identity=one.identity)
        events.append(one)
    return write_logs(tmp_path_factory.mktemp("report") / "logs", events, alive_us=NOON_US)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Gives the command in this process, without a `.env`."""

    def give(*args: str | Path) -> Ended:
        code = main(["report", "--env-file", os.devnull, *map(str, args)])
        return Ended(code, *capsys.readouterr())

    return give


def delay_lines(root: Path) -> list[dict[str, str]]:
    """Each line of each delay log by its keys."""
    return [parse_pairs(line) for path in root.rglob("*_????????.log") for line in path.read_text("utf-8").splitlines()]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_figures_are_a_recomputation_from_the_delay_logs(logs: Path, tmp_path: Path, here: Here) -> None:
    files = {kind: tmp_path / f"x.{kind}" for kind in ("csv", "json", "html", "events-csv")}
    told = here("--log-dir", logs, *(part for kind, path in files.items() for part in (f"--{kind}", path)))
    assert told.code == 0
    assert told.err == "".join(f"written: {files[kind]}\n" for kind in ("csv", "events-csv", "json", "html"))
    lines = delay_lines(logs)
    by_cell = defaultdict(list)
    for line in lines:
        by_cell[line["camera"], line.get("ns", line["type"])].append(line)
    table = rows(files["csv"].read_text("utf-8-sig"))
    assert len(table) == len(by_cell)
    for row in table:
        cell = by_cell[row["camera_id"], row["ns"] or row["type"]]
        for kind in ("early", "initial", "undated"):
            assert int(row[kind]) == sum(line["verdict"] == kind for line in cell)
        delays = sorted(Fraction(line["delay_s"]) for line in cell if line["verdict"] == "measured")
        assert int(row["events"]) == len(delays)
        exact = [delays[0], sum(delays, Fraction()) / len(delays), delays[-1]]
        assert [row[name] for name in ("min_s", "avg_s", "max_s")] == [f"{round(s * 1000) / 1000:.3f}" for s in exact]
        assert row["max_uuid"] in {line["uuid"] for line in cell if Fraction(line.get("delay_s", -1)) == delays[-1]}
        for per_mille in (500, 900, 950, 990):
            true = delays[rank_of(per_mille, len(delays)) - 1]
            assert float(row[f"p{per_mille // 10}_s"]) == pytest.approx(float(true), rel=0.01, abs=0.0005)
    events = {row["uuid"]: row for row in rows(files["events-csv"].read_text("utf-8-sig"))}
    assert {uuid: row["delay_s"] for uuid, row in events.items()} == {
        line["uuid"]: line.get("delay_s", "") for line in lines
    }
    measured = sum(line["verdict"] == "measured" for line in lines)
    assert json.loads(files["json"].read_text("utf-8"))["total"]["events"] == measured
    assert f'data-figure="events">{measured}<' in files["html"].read_text("utf-8")
    assert f"measured {measured}," in told.out


def test_a_csv_file_begins_with_a_bom_and_a_dash_is_stdout_without_one(logs: Path, tmp_path: Path, here: Here) -> None:
    for option in ("--csv", "--events-csv"):
        here("--log-dir", logs, option, tmp_path / "file")
        assert (tmp_path / "file").read_bytes().startswith(b"\xef\xbb\xbfcamera,"[: 3 if "events" in option else 10])
        assert here("--log-dir", logs, option, "-").out == (tmp_path / "file").read_text("utf-8-sig")
    events = here("--log-dir", logs, "--events-csv", "-", "--json", tmp_path / "json")
    assert len(rows(events.out)) == len(delay_lines(logs))
    assert events.err == f"written: {tmp_path / 'json'}\n"
    assert json.loads(here("--log-dir", logs, "--json", "-").out)["total"]["events"]
    assert here("--log-dir", logs, "--html", "-").out.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--since", "yesterday"], "--since 'yesterday' is not a moment"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "--since is not before --until"),
        (["--csv", "x", "--json", "x"], "to the same place"), (["--evidence", "."], "not empty"),
        (["--evidence", "mine"], "not empty"), (["--evidence", "new", "--anonymise"], "cannot be anonymised"),
        (["--worst", "-1"], ""),
    ],
)  # fmt: skip
def test_nonsense_is_told_and_nothing_is_written(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Here, args: list[str], told: str
) -> None:
    (tmp_path / "mine").write_text("keep")
    monkeypatch.chdir(tmp_path)
    ended = here("--log-dir", logs, *args)
    assert ended.code == 2
    assert told in ended.err
    assert os.listdir(tmp_path) == ["mine"]


def test_a_report_of_nothing_leaves_the_file_that_was_there(logs: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "x.csv").write_text("old")
    for nothing in (["--since", "2200-01-01"], ["--camera", "nobody"], ["--until", "1999-01-01"]):
        ended = here("--log-dir", logs, "--csv", tmp_path / "x.csv", *nothing)
        assert (ended.code, ended.out) == (66, "")
        assert "no event to report" in ended.err
        assert (tmp_path / "x.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(
    ("option", "target", "why"),
    [
        ("--csv", "absent/x.csv", "No such file or directory"),
        ("--json", ".", "Is a directory"),
        ("--events-csv", "/dev/full", "No space left on device"),
        ("--evidence", "file/inside", "Not a directory"),
    ],
)
def test_what_cannot_be_written_is_a_disk_error(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Here, option: str, target: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    ended = here("--log-dir", logs, "--no-self-test", option, target)
    assert (ended.code, ended.out) == (74, "")
    assert f"cannot be written: {why}\n  hint: give a " in ended.err
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_that_has_seen_enough_gets_no_complaint_and_the_files_are_there(logs: Path, tmp_path: Path) -> None:
    line = f'"{sys.executable}" "{APP}" report --log-dir "{logs}" --csv "{tmp_path}/x.csv" | true; echo $PIPESTATUS'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("0\n", f"written: {tmp_path}/x.csv\n")
    assert rows((tmp_path / "x.csv").read_text("utf-8-sig"))


def test_namespaces_are_called_as_the_settings_say_and_broken_ones_do_no_harm(
    logs: Path, monkeypatch: pytest.MonkeyPatch, here: Here
) -> None:
    monkeypatch.setenv("EEN_NAMESPACE_NAMES", "103=Break-in")
    assert "Break-in" in here("--log-dir", logs, "--namespace", "break-in").out
    monkeypatch.setenv("EEN_NAMESPACE_NAMES", "Intrusion")
    monkeypatch.setenv("EEN_KEEP_DAYS", "x")
    broken = here("--log-dir", logs)
    assert (broken.code, "EEN_KEEP_DAYS" in broken.err, "EEN_NAMESPACE_NAMES" in broken.err) == (0, True, True)


def test_evidence_holds_the_raw_lines_of_the_worst_events(log_dir: Path, tmp_path: Path, here: Here) -> None:
    root, identity = write_site(log_dir), 'two words "quoted"'
    logged, stream = root / "Odd_100e0000.log", root / "stream/Odd_100e0000_stream.log"
    other = write_logs(tmp_path / "other", [verdict("100e0000", 7 * SECOND, NOON_US, identity=identity)])
    logged.write_text((other / FRONT).read_text())
    earlier = [{"event": {"ANNT": {"uuid": uuid, "op": 4}}} for uuid in (identity, "other")]
    first = (other / "stream/Front Door_100e0000_stream.log").read_text()
    stream.write_text("".join([first, *(stream_line(NOON_US - SECOND, data) for data in earlier)]))

    def evidence(name: str) -> dict[str, str]:
        assert here("--log-dir", root, "--evidence", tmp_path / name, "--worst", "2", "--no-self-test").code == 0
        return {path.name: path.read_text("utf-8") for path in (tmp_path / name).iterdir()}

    files = evidence("plain")
    names = "README.txt SHA256SUMS events.txt gaps.log health.log report.html report.json report.txt"
    assert sorted(files) == names.split()
    odd, second = files["events.txt"].split("=== ")[1:]
    assert 'uuid="two words \\"quoted\\""' in odd
    assert (odd.count('"two words'), odd.count('"op": 4'), '"other"' in odd) == (3, 1, False)
    assert (second.count(" uuid=100E0002-59 "), second.count('"uuid": "100E0002-59"')) == (1, 1)
    assert second.count("state=connected") == 4
    assert ("reason=404" in second, "reason=closed-1006" in second) == (True, False)  # within ten minutes of it
    assert json.loads(files["report.json"])["worst"][1]["uuid"] == "100E0002-59"
    assert files["health.log"].count("\n") == 60
    sums = dict(line.split("  ")[::-1] for line in files.pop("SHA256SUMS").splitlines())
    assert sums == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    for path in [*root.glob("*.log"), *root.glob("stream/*.log")]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = evidence("packed")
    assert [files[name] == packed[name] for name in ("events.txt", "gaps.log", "health.log")] == [True] * 3


@pytest.mark.slow
def test_evidence_holds_the_self_test_of_this_machine(logs: Path, tmp_path: Path) -> None:
    assert command("report", "--log-dir", logs, "--evidence", tmp_path / "with").code == 0
    assert "Sound: " in (tmp_path / "with/self-test.txt").read_text("utf-8")


# What lies in a directory that is no log directory, or was one


def photos(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()
    for name in ("IMG_0001.jpg", "IMG_20261122.jpg", "IMG_20261122.log"):
        (root / name).write_bytes(os.urandom(5000))


def long_lines(root: Path) -> None:
    nines = "9" * 1_000_000
    with (root / FRONT).open("a") as file:
        file.write(f"time=2026-11-22T00:00:00.000000Z delay_s={nines}\n{nines}\n{nines}\nend\n")


def impossible_numbers(root: Path) -> None:
    lines = (root / FRONT).read_text().splitlines()
    line = next(line for line in lines if "measured" in line and " ns=" in line)
    nines = "9" * 400 + ".000000"
    changes = {"ns=": "9" * 5000, "op=": "9" * 5000, "delay_s=": nines, " delay_s=": "-3.000000", "time=": "2026-02-31"}
    worse = [re.sub(rf"\b{key.strip()}\S+", f"{key.strip()}{value}", line) for key, value in changes.items()]
    (root / FRONT).write_text("\n".join([*lines, *worse, ""]))


def pipes(root: Path) -> None:
    """Pipes that nobody writes to, in the place of files."""
    for name in (FRONT, "health.log", "gaps.log", "cameras.json", "stream/Pipe_100e1e99_stream.log"):
        (root / name).unlink(missing_ok=True)
        os.mkfifo(root / name)


FRONT = "Front Door_100e0000.log"
DAMAGE: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "absent": (shutil.rmtree, 66, "cannot be read: No such file or directory"),
    "closed": (lambda root: root.chmod(0), 66, "logs cannot be read: Permission denied"),
    "photos": (photos, 66, "found 0 delay logs, skipped 1 file without a single line of a delay log, 3 entries in all"),
    "long lines": (long_lines, 0, "skipped 4 damaged lines\n"),
    "impossible numbers": (impossible_numbers, 0, "skipped 5 damaged lines\n"),
    "pipes": (pipes, 0, "skipped 1 file or folder that cannot be read\n"),
    "closed log": (lambda root: (root / FRONT).chmod(0), 0, "skipped 1 file or folder that cannot be read\n"),
    "closed days": (lambda root: (root / "days").chmod(0), 0, "skipped 1 file or folder that cannot be read\n"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_cannot_be_read_is_said_and_the_rest_shown(logs: Path, tmp_path: Path, here: Here, case: str) -> None:
    copy = Path(shutil.copytree(logs, tmp_path / "logs"))
    damage, code, said = DAMAGE[case]
    damage(copy)
    # In a process of its own, that heeds the rights of files also when root runs the tests.
    closed = "closed" in case
    args = ("--log-dir", copy, "--events-csv", "-")
    ended = command("report", *args, env={"CHILD_BOUND": "1"}, script=CHILD) if closed else here(*args)
    for folder in filter(Path.exists, (copy, copy / "days")):
        folder.chmod(0o700)
    assert ended.code == code
    assert said in ended.err
    shown = {row["uuid"] for row in rows(ended.out)}
    missing = [line for line in delay_lines(logs) if line["uuid"] not in shown]
    assert bool(shown) == (code == 0)
    assert code or all(line["camera"] == "100e0000" or line["time"] < "2026-11-22" for line in missing)
