"""`report` as it is given on the command line: its figures are the logs', its files are whole or as they were."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from commanding import APP, Screen, bound, demo, here, program

from eelogger.figures.histogram import rank_of
from eelogger.screen.console import Console
from eelogger.screen.progress import PATIENCE_S, REDRAW_S, bar, progress
from eelogger.text import logfmt


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo(tmp_path_factory.mktemp("report") / "logs")


@pytest.fixture
def copy(logs: Path, tmp_path: Path) -> Path:
    """The logs, to be damaged."""
    return Path(shutil.copytree(logs, tmp_path / "logs"))


def delay_lines(logs: Path) -> list[dict[str, str]]:
    """Each line of each delay log by its keys."""
    return [
        logfmt.parse(line)
        for path in logs.glob("*_????????.log")
        for line in path.read_text("utf-8").splitlines()
    ]  # fmt: skip


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def ms(seconds: Fraction) -> str:
    return f"{round(seconds * 1000) / 1000:.3f}"


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.ee-tmp")]


def test_the_figures_are_a_recomputation_from_the_delay_logs(logs: Path, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"x.{kind}" for kind in ("csv", "json", "html", "events-csv")}
    said = program("report", "--log-dir", logs, *(part for kind, path in files.items() for part in (f"--{kind}", path)))
    assert said.code == 0
    assert said.err == "".join(f"written: {files[kind]}\n" for kind in ("csv", "events-csv", "json", "html"))
    lines = delay_lines(logs)
    by_cell = defaultdict(list)
    for line in lines:
        by_cell[line["camera"], line.get("ns", line["type"])].append(line)
    table = rows(files["csv"].read_text("utf-8"))
    assert len(table) == len(by_cell)
    assert sum(len(cell) for cell in by_cell.values()) > 20
    for row in table:
        ns_or_type = row["ns"]
        cell = by_cell[row["camera"], ns_or_type]
        for kind in ("early", "initial", "undated"):
            assert int(row[kind]) == sum(line["verdict"] == kind for line in cell)
        delays = sorted(Fraction(line["delay_s"]) for line in cell if line["verdict"] == "measured")
        assert int(row["events"]) == len(delays)
        if delays:
            exact = [delays[0], sum(delays, Fraction()) / len(delays), delays[-1]]
            assert [row[name] for name in ("min_s", "avg_s", "max_s")] == list(map(ms, exact))
            assert row["max_uuid"] in {line["uuid"] for line in cell if Fraction(line.get("delay_s", -1)) == delays[-1]}
        for per_mille in (500, 900, 950, 990) if delays else ():
            true = delays[rank_of(per_mille, len(delays)) - 1]
            assert float(row[f"p{per_mille // 10}_s"]) == pytest.approx(float(true), rel=0.01, abs=0.0005)
    events = {row["uuid"]: row for row in rows(files["events-csv"].read_text("utf-8"))}
    assert {uuid: row["delay_s"] for uuid, row in events.items()} == {
        line["uuid"]: line.get("delay_s", "") for line in lines
    }
    measured = sum(line["verdict"] == "measured" for line in lines)
    assert json.loads(files["json"].read_text("utf-8"))["total"]["events"] == measured
    page = files["html"].read_text("utf-8")
    assert f'data-figure="events">{measured}<' in page
    assert f"measured {measured}," in said.out
    assert not re.search(r"<script|<link|<img|@import|\bsrc=|https?://(?!www\.w3\.org)", page)


def test_a_dash_is_stdout_in_place_of_the_tables(logs: Path, tmp_path: Path) -> None:
    here("report", "--log-dir", logs, "--csv", tmp_path / "file")
    assert here("report", "--log-dir", logs, "--csv", "-").out == (tmp_path / "file").read_text("utf-8")
    events = here("report", "--log-dir", logs, "--events-csv", "-", "--json", tmp_path / "json")
    assert len(rows(events.out)) == len(delay_lines(logs))
    assert events.err == f"written: {tmp_path / 'json'}\n"
    assert json.loads(here("report", "--log-dir", logs, "--json", "-").out)["total"]["events"]
    assert here("report", "--log-dir", logs, "--html", "-").out.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--since", "yesterday"], "--since 'yesterday' is no moment"),
        (["--until", "2026-13-01"], "--until '2026-13-01' is no moment"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "--since is not before --until"),
        (["--csv", "-", "--json", "-"], "two outputs"),
        (["--csv", "same", "--html", "same"], "two outputs"),
        (["--evidence", "."], "not empty"),
        (["--evidence", "new", "--anonymise"], "cannot be anonymised"),
        (["--worst", "-1"], ""),
        (["--min-delay", "0"], ""),
        (["--since"], ""),
        (["more"], ""),
    ],
)
def test_nonsense_is_told_and_nothing_is_written(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], told: str
) -> None:
    (tmp_path / "mine").write_text("keep")
    monkeypatch.chdir(tmp_path)
    said = here("report", "--log-dir", logs, *args)
    assert said.code == 2
    assert told in said.err
    assert os.listdir(tmp_path) == ["mine"]


def test_a_file_keeps_its_rights_and_its_place_and_a_report_of_nothing_leaves_it(logs: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.csv"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(real)
    for nothing in (["--since", "2200-01-01"], ["--camera", "nobody"], ["--until", "1999-01-01"]):
        said = here("report", "--log-dir", logs, "--csv", tmp_path / "link.csv", *nothing)
        assert (said.code, said.out) == (66, "")
        assert "no event to report" in said.err
        assert real.read_text() == "old"
    assert here("report", "--log-dir", logs, "--csv", tmp_path / "link.csv").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert rows(real.read_text("utf-8"))
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert not left_over(tmp_path)


def test_what_is_no_ordinary_file_is_written_to_and_never_replaced(logs: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    assert here("report", "--log-dir", logs, "--csv", pipe).code == 0
    reader.join(10)
    assert rows(read[0])
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("option", "target", "why"),
    [
        ("--csv", "absent/x.csv", "No such file or directory"),
        ("--html", ".", "Is a directory"),
        ("--json", "/dev/full", "No space left on device"),
        ("--events-csv", "/dev/full", "No space left on device"),
        ("--evidence", "file/inside", "Not a directory"),
    ],
)
def test_what_cannot_be_written_is_a_disk_error(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, target: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    said = here("report", "--log-dir", logs, "--no-self-test", option, target)
    assert (said.code, said.out) == (74, "")
    assert f"cannot be written: {why}\ngive a " in said.err
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_that_has_seen_enough_gets_no_complaint_and_the_files_are_there(logs: Path, tmp_path: Path) -> None:
    command = f'"{sys.executable}" "{APP}" report --log-dir "{logs}" --csv "{tmp_path}/x.csv" | true; echo $PIPESTATUS'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("0\n", f"written: {tmp_path}/x.csv\n")
    assert rows((tmp_path / "x.csv").read_text("utf-8"))


def test_ctrl_c_is_not_success_and_leaves_nothing_half_done(logs: Path, tmp_path: Path) -> None:
    class Broken(Screen):
        def write(self, text: str) -> None:
            raise KeyboardInterrupt

    said = here("report", "--log-dir", logs, "--csv", "-", "--json", tmp_path / "json", screen=Broken())
    assert (said.code, said.err) == (130, "broken off\n")
    assert os.listdir(tmp_path) == []


def test_namespaces_are_called_as_the_settings_say_and_broken_ones_do_no_harm(logs: Path) -> None:
    args = "report", "--log-dir", logs, "--namespace", "Break-in"
    told = program(*args, env={"EEN_NAMESPACE_NAMES": ";".join(f"{ns}=Break-in" for ns in range(101, 113))})
    assert told.code == 0
    assert "Break-in" in told.out
    broken = program("report", "--log-dir", logs, env={"EEN_NAMESPACE_NAMES": "Intrusion", "EEN_KEEP_DAYS": "x"})
    assert broken.code == 0
    assert "EEN_KEEP_DAYS" in broken.err
    assert "EEN_NAMESPACE_NAMES" in broken.err


def test_labels_replace_all_names(logs: Path) -> None:
    known = json.loads((logs / "cameras.json").read_text("utf-8"))
    said = here("report", "--log-dir", logs, "--anonymise", "--worst", "100")
    assert "camera-1 " in said.out
    names = {camera["name"] for camera in known.values()} | known.keys() | {c["bridge"] for c in known.values()}
    assert not [name for name in names - {""} if name in said.out]


def test_evidence_is_written_with_or_without_a_self_test(logs: Path, tmp_path: Path) -> None:
    said = here("report", "--log-dir", logs, "--evidence", tmp_path / "without", "--no-self-test", "--worst", "3")
    assert said.code == 0
    assert f"written: {tmp_path / 'without'} (9 files)" in said.err
    assert (tmp_path / "without/events.txt").read_text("utf-8").count("=== ") == 3
    assert "self-test was not run" in (tmp_path / "without/README.txt").read_text("utf-8")


@pytest.mark.slow
def test_evidence_holds_the_self_test_of_this_machine(logs: Path, tmp_path: Path) -> None:
    said = program("report", "--log-dir", logs, "--evidence", tmp_path / "with")
    assert said.code == 0
    assert "Sound: " in (tmp_path / "with/self-test.txt").read_text("utf-8")


# What lies in a directory that is no log directory, or was one

Damage = Callable[[Path], object]


def names(table: list[tuple[Damage, str]]) -> list[str]:
    return [getattr(damage, "__name__", "") for damage, _ in table]


def photos(logs: Path) -> None:
    shutil.rmtree(logs)
    logs.mkdir()
    for name in ("IMG_0001.jpg", "IMG_20261122.jpg", "IMG_20261122.log"):
        (logs / name).write_bytes(os.urandom(5000))


def garbage(logs: Path) -> None:
    for path in filter(Path.is_file, logs.rglob("*")):
        path.write_bytes(os.urandom(5000))


def empty(logs: Path) -> None:
    shutil.rmtree(logs)
    logs.mkdir()


def a_file(logs: Path) -> None:
    shutil.rmtree(logs)
    logs.write_text("x")


def closed(logs: Path) -> None:
    logs.chmod(0)


NOTHING: list[tuple[Damage, str]] = [
    (shutil.rmtree, "there is no directory"),
    (empty, "found 0 delay logs, 0 entries in all"),
    (a_file, "there is no directory"),
    (photos, "found 0 delay logs, 1 file without a delay line, 3 entries in all"),
    (garbage, " files without a delay line, "),
    (closed, "logs cannot be read: Permission denied"),
]


@pytest.mark.parametrize(("damage", "found"), NOTHING, ids=names(NOTHING))
def test_where_nothing_is_to_be_shown_it_says_what_was_found(copy: Path, damage: Damage, found: str) -> None:
    damage(copy)
    said = (bound if damage is closed else here)("report", "--log-dir", copy)
    if copy.exists():
        copy.chmod(0o700)
    assert (said.code, said.out) == (66, "")
    assert found in said.err


def long_lines(logs: Path) -> None:
    path = next(logs.glob("Front*.log"))
    nines = "9" * 1_000_000
    path.write_text(f"{path.read_text()}time=2026-11-22T00:00:00.000000Z delay_s={nines}\n{nines}\n{nines}\nend\n")


def impossible_numbers(logs: Path) -> None:
    found = ((path, line) for path in logs.glob("*_????????.log") for line in path.read_text().splitlines())
    path, line = next((path, line) for path, line in found if "measured" in line and " ns=" in line)
    worse = [
        re.sub(rf"\b{key}=\S+", f"{key}={value}", line)
        for key, value in (
            ("ns", "9" * 5000),
            ("op", "9" * 5000),
            ("delay_s", "9" * 400 + ".000000"),
            ("delay_s", "-3.000000"),
            ("^time", "2026-02-31T00:00:00.000000Z"),
        )
    ]
    path.write_text("\n".join([path.read_text() + worse[0], *worse[1:], ""]))


def closed_file(logs: Path) -> None:
    next(logs.glob("Front*.log")).chmod(0)


def closed_day(logs: Path) -> None:
    (logs / "days/2026-11-21").mkdir(parents=True)
    (logs / "days").chmod(0)


def closed_streams(logs: Path) -> None:
    (logs / "stream").chmod(0)


def no_folders(logs: Path) -> None:
    shutil.rmtree(logs / "stream")
    (logs / "stream").touch()
    (logs / "days").touch()


def folders_for_files(logs: Path) -> None:
    for path in (next(logs.glob("Front*.log")), logs / "health.log", logs / "gaps.log", logs / "cameras.json"):
        path.unlink(missing_ok=True)
        path.mkdir()


def pipes(logs: Path) -> None:
    """Whoever opens one waits until another writes to it."""
    for path in (next(logs.glob("Front*.log")), *logs.glob("*.json"), logs / "health.log", logs / "gaps.log"):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    os.mkfifo(logs / "stream/Pipe_100e1e99_stream.log")


CLOSED = (closed_file, closed_day, closed_streams)
PARTLY: list[tuple[Damage, str]] = [
    (long_lines, "skipped 4 damaged lines"),
    (impossible_numbers, "skipped 5 damaged lines"),
    (folders_for_files, "skipped 1 file or folder that cannot be read"),
    (pipes, "skipped 1 file or folder that cannot be read"),
    (no_folders, "skipped 2 files or folders that cannot be read"),
    (closed_file, "skipped 1 file or folder that cannot be read"),
    (closed_day, "skipped 1 file or folder that cannot be read"),
    (closed_streams, "skipped 1 file or folder that cannot be read"),
]


@pytest.mark.parametrize(("damage", "skipped"), PARTLY, ids=names(PARTLY))
def test_what_cannot_be_read_is_counted_and_the_rest_shown(
    logs: Path, copy: Path, damage: Damage, skipped: str
) -> None:
    damage(copy)
    said = (bound if damage in CLOSED else here)("report", "--log-dir", copy, "--events-csv", "-")
    assert (said.code, said.err) == (0, f"{skipped}\n")
    whole = {row["uuid"] for row in rows(here("report", "--log-dir", logs, "--events-csv", "-").out)}
    front = {line["uuid"] for line in delay_lines(logs) if line["name"] == "Front Door"}
    found = {row["uuid"] for row in rows(said.out)}
    assert whole - found in (set(), front)


# The progress bar


def test_the_bar_fits_and_gives_way() -> None:
    assert bar("reading", 35, 100, 7.0, 70) == f"reading [{'#' * 10}{'-' * 19}]  35 % of 100 bytes, 13 s left"
    assert bar("reading", 35, 100, 7.0, 40) == "reading 35 %"
    assert bar("reading", 0, 3_200_000_000, 1.0, 80).endswith("]   0 % of 3.2 GB")
    assert bar("reading", 1, 1000, 1.0, 80).endswith("0 % of 1.0 kB, 16 min 39 s left")
    # A log may grow while it is read.
    assert "#] 100 % of 100 bytes, 0 s left" in bar("reading", 120, 100, 1.0, 80)
    assert all(len(bar("reading", 35, 100, 7.0, columns)) < max(2, columns) for columns in range(1, 200))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_short_work_shows_no_bar_and_long_work_does_not_flicker_and_leaves_nothing() -> None:
    def work(seconds: float) -> Iterator[float]:
        yield from (step * 0.01 for step in range(int(seconds * 100) + 1))

    for seconds, least, most in ((PATIENCE_S - 0.1, 0, 0), (PATIENCE_S + 10 * REDRAW_S, 9, 12)):
        screen, clock = Screen(), Clock()
        with progress("reading", screen, clock) as advance:
            for clock.now_s in work(seconds):
                advance(int(clock.now_s * 100), 1000)
        assert least <= len(screen.shown) - 1 <= most
        assert screen.shown[-1] == ""


def test_the_bar_is_for_terminals_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for err, quiet, shown in ((Terminal(), False, True), (Terminal(), True, False), (io.StringIO(), False, False)):
        console = Console(io.StringIO(), io.StringIO(), err, quiet=quiet)
        console.show(lambda columns: "a bar")
        assert ("a bar" in err.getvalue()) is shown
        console.show(lambda columns: "")
        assert err.getvalue().endswith("\r     \r") is shown
