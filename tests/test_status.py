"""`status`: who is at work, what the files tell, and the line and exit code that monitoring systems read."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ROOT, environment, line_in, running

from eelogger import lines
from eelogger.commands.limits import MEASURES, limits_help, parse_limits
from eelogger.commands.status import status, verdict
from eelogger.figures.offset import Offset
from eelogger.logdir.lock import DirectoryLock
from eelogger.logdir.presence import DIED, HANGS, NEVER, RUNNING, STOPPED, Presence, presence
from eelogger.logdir.state import State, state_text
from eelogger.model import EARLY, MEASURED, Camera, Gap, Verdict
from eelogger.past.readings import Readings, take_readings
from eelogger.paths import LogPaths
from eelogger.simulator import Cloud, World
from eelogger.text.times import parse_time, time_text

NOW_US = parse_time("2026-11-22T09:30:00.000000Z")
S = 1_000_000
CAMERA = Camera("100e1e23", "Front Door", "100bb001")
RUNS = Presence(RUNNING, 4711, "2026-11-22T00:00:00Z", 1.0)
GOOD = Readings(
    presence=RUNS,
    headline="",
    from_us=parse_time("2026-11-22T08:00:00.000000Z"),
    events=340,
    p95_us=1_904_000,
    early=0.0,
    latest_us=NOW_US - 3 * S,
    blind_us=0,
    observed=0.9987,
    gaps=2,
    cameras=12,
    state="connected",
    offset=Offset(-20_000, 110_000),
    rtt_us=23_000,
    lag_us=400,
    unreadable=0,
)


def delay_lines(arrivals: Iterable[tuple[int, int]], kind: str = MEASURED) -> str:
    """Lines of a delay log with these arrivals and delays, in µs."""
    label = lines.label(CAMERA)
    return "".join(
        lines.delay_line(
            Verdict(kind, CAMERA.id, "ANNT", 103, "Intrusion", f"u{at_us}", at_us, at_us - delay_us, delay_us), label
        )
        for at_us, delay_us in arrivals
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_state(paths: LogPaths, *, alive_us: int = NOW_US, clean: bool = False, since_us: int | None = None) -> None:
    day_us = parse_time("2026-11-22")
    write(paths.state, state_text(State("2026-11-22", alive_us, alive_us, clean, since_us or day_us)))


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path / "logs")


@pytest.fixture
def front(paths: LogPaths) -> Path:
    return paths.delay(paths.stem(CAMERA.id, CAMERA.name))


# Who is at work


def lock_of(paths: LogPaths, pid: int, age_s: float = 0.0) -> None:
    write(paths.lock, json.dumps({"pid": pid, "since": "2026-11-22T00:00:00Z"}))
    at = time.time() - age_s
    os.utime(paths.lock, (at, at))


def a_dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_nobody_was_ever_here(paths: LogPaths) -> None:
    assert presence(paths).kind == NEVER


def test_a_living_process_runs_until_it_shows_no_sign_of_life(paths: LogPaths) -> None:
    lock_of(paths, os.getppid())
    who = presence(paths)
    assert who[:3] == (RUNNING, os.getppid(), "2026-11-22T00:00:00Z")
    assert 0 <= who.untouched_s < 30
    with DirectoryLock(paths):
        lock_of(paths, os.getppid(), age_s=120)
        assert presence(paths).kind == HANGS
    assert presence(paths).kind == DIED, "the pid is another process's by now: nobody holds the lock"


def test_a_dead_process_died_unless_the_lock_is_fresh(paths: LogPaths) -> None:
    pid = a_dead_pid()
    lock_of(paths, pid, age_s=30)
    assert presence(paths).kind == DIED
    lock_of(paths, pid, age_s=2)
    assert presence(paths).kind == RUNNING, "in another container: its pid cannot be seen from here"


def test_who_stopped_by_himself_is_no_dead_one(paths: LogPaths) -> None:
    lock_of(paths, a_dead_pid(), age_s=2)
    write_state(paths, clean=True)
    assert presence(paths).kind == STOPPED
    lock_of(paths, os.getppid(), age_s=-1)
    assert presence(paths).kind == RUNNING, "the next one has begun and not written its state yet"


def test_without_locks_the_file_is_gone_after_a_stop(paths: LogPaths) -> None:
    write_state(paths, clean=True)
    assert presence(paths).kind == STOPPED


def test_looking_leaves_the_lock_to_who_wants_it(paths: LogPaths) -> None:
    with DirectoryLock(paths) as lock:
        for age_s in (0, 120):
            os.utime(paths.lock, (time.time() - age_s,) * 2)
            presence(paths)
        assert lock.still_ours()
    with DirectoryLock(paths):
        pass


# What the files tell


def test_p95_is_of_the_two_latest_clock_hours(paths: LogPaths, front: Path) -> None:
    hour_us = parse_time("2026-11-22T08:00:00.000000Z")
    old = [(hour_us - 1 - number * S, 50 * S) for number in range(300, 0, -1)]
    new = [(hour_us + number * S, number * 10_000) for number in range(1, 101)]
    write(front, delay_lines([*old, *new]))
    write_state(paths)
    readings = take_readings(paths, NOW_US)
    assert readings.events == 100
    assert readings.p95_us == pytest.approx(950_000, rel=0.01)
    assert readings.latest_us == hour_us + 100 * S


def test_after_midnight_the_hour_before_is_in_the_folder_of_yesterday(paths: LogPaths, front: Path) -> None:
    midnight_us = parse_time("2026-11-23")
    write(paths.day("2026-11-22").root / front.name, delay_lines([(midnight_us - 10 * S, 4 * S)]))
    write_state(paths, alive_us=midnight_us + 300 * S)
    assert take_readings(paths, midnight_us + 300 * S).latest_us == midnight_us - 10 * S
    write(front, delay_lines([(midnight_us + 10 * S, 2 * S)]))
    readings = take_readings(paths, midnight_us + 300 * S)
    assert (readings.events, readings.p95_us) == (2, 4 * S)
    assert readings.latest_us == midnight_us + 10 * S


def test_early_events_are_a_share(paths: LogPaths, front: Path) -> None:
    measured = delay_lines((NOW_US - number * S, S) for number in range(97, 0, -1))
    write(front, measured + delay_lines([(NOW_US - number, -S) for number in range(3)], EARLY))
    readings = take_readings(paths, NOW_US)
    assert readings.early == pytest.approx(0.03)
    assert readings.latest_us == NOW_US - 2, "of the last line"


def test_gaps_and_the_share_observed_are_todays(paths: LogPaths) -> None:
    day_us = parse_time("2026-11-22")
    hour_us = 3600 * S
    gaps = [
        Gap("gap", day_us - hour_us, day_us, "died"),
        Gap("gap", day_us, day_us, "started"),
        Gap("gap", day_us + hour_us, day_us + 2 * hour_us, "closed-1006"),
        Gap("suspend", day_us + 3 * hour_us, day_us + 4 * hour_us, "sleep"),
    ]
    write(paths.gaps, "".join(map(lines.gap_line, gaps)) + "garbage\n")
    lock_of(paths, os.getppid())
    write_state(paths, since_us=day_us - 10 * hour_us)
    readings = take_readings(paths, NOW_US)
    assert readings.gaps == 1
    assert readings.observed == pytest.approx(1 - 1 / 9.5)
    assert readings.blind_us == 0
    write_state(paths, alive_us=NOW_US - hour_us, since_us=day_us)
    readings = take_readings(paths, NOW_US)
    assert readings.observed == pytest.approx(1 - 2 / 9.5)
    assert readings.blind_us == hour_us


def test_the_last_minute_is_the_last_line_of_health(paths: LogPaths) -> None:
    line = (
        "time={} state=waiting-to-connect cameras=12 clock_offset_s=1.500 clock_bound_s=0.110 ntp=unsynchronised"
        " rtt_s=0.023000 lag_p99_s=0.000400 lag_max_s=0.001000\n"
    )
    write(paths.health, line.format(time_text(NOW_US - 90 * S)) + line.format(time_text(NOW_US - 30 * S)))
    readings = take_readings(paths, NOW_US)
    assert (readings.state, readings.cameras) == ("waiting to connect", 12)
    assert readings.offset == Offset(1_500_000, 110_000)
    assert (readings.rtt_us, readings.lag_us) == (23_000, 400)
    readings = take_readings(paths, NOW_US + 600 * S)
    assert (readings.state, readings.offset, readings.rtt_us, readings.cameras) == ("", None, None, None)
    paths.day("2026-11-22").root.mkdir(parents=True)
    os.rename(paths.health, paths.day("2026-11-22").health)
    assert take_readings(paths, NOW_US).rtt_us == 23_000, "just after midnight"


def test_damage_is_skipped_and_counted(paths: LogPaths, front: Path) -> None:
    write(front, "garbage\n\0\0\n" + delay_lines([(NOW_US - S, S)]) + "time=2026-11-22T09:")
    for path in (paths.state, paths.lock, paths.health, paths.gaps, paths.summary, paths.cameras):
        write(path, "\0garbage {[")
    readings = take_readings(paths, NOW_US)
    assert readings.events == 1
    assert readings.unreadable >= 2
    code, line = status(paths, {}, {}, NOW_US)
    assert code in (0, 2)
    assert line.isprintable()


def test_pipes_are_not_waited_for_and_counted(paths: LogPaths, front: Path) -> None:
    paths.root.mkdir()
    for path in (front, paths.state, paths.lock, paths.health, paths.gaps, paths.summary, paths.cameras):
        os.mkfifo(path)
    assert "skipped 1 log that is no file" in status(paths, {}, {}, NOW_US)[1]


@given(st.binary(max_size=300))
def test_any_file_gives_readings(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = LogPaths(Path(folder))
        for path in (found.state, found.lock, found.health, found.gaps, found.summary, found.cameras):
            path.write_bytes(content)
        found.delay("x_100e1e23").write_bytes(content)
        code, line = status(found, {}, {}, NOW_US)
    assert code in (0, 1, 2)
    assert line.isprintable()


# The verdict


def test_a_good_logger_is_ok() -> None:
    assert verdict(GOOD, {}, {}, NOW_US) == (
        0,
        "EELOGGER OK - connected, 12 cameras, p95 1.9 s of 340 events since 08:00 UTC, last event 3.0 s ago,"
        " observed 99.8 % of today"
        " | p95=1.904s;;;0 silent=3s;;;0 blind=0s;60;300;0 observed=99.8%;;;0 gaps=2;;;0 early=0%;1;;0 clock=0s;1;;0"
        " lag=0s;0.1;;0 rtt=0.023s;;;0 events=340;;;0",
    )


@pytest.mark.parametrize(
    ("warn", "crit", "code", "said"),
    [
        ("p95=1.9", "", 1, "p95 1.9 s (warning above 1.9 s)"),
        ("p95=1904ms", "", 0, ""),
        ("p95=1", "p95=1.5", 2, "p95 1.9 s (critical above 1.5 s)"),
        ("", "silent=2s", 2, "silent 3.0 s (critical above 2.0 s)"),
        ("silent=10m", "", 0, ""),
        ("observed=99.9", "observed=90", 1, "observed 99.8 % (warning below 99.9 %)"),
        ("gaps=1", "", 1, "gaps 2 (warning above 1)"),
        ("rtt=20ms,silent=1", "", 1, "silent 3.0 s (warning above 1.0 s); rtt 0.023 s (warning above 0.020 s)"),
        ("p95=1", "silent=1", 2, "silent 3.0 s (critical above 1.0 s); p95 1.9 s (warning above 1.0 s)"),
    ],
)
def test_a_limit_makes_it_a_problem(warn: str, crit: str, code: int, said: str) -> None:
    warnings, criticals = (parse_limits([text] if text else []) for text in (warn, crit))
    found, line = verdict(GOOD, warnings, criticals, NOW_US)
    assert found == code
    assert line.startswith(f"EELOGGER {('OK', 'WARNING', 'CRITICAL')[code]} - {said}")


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"presence": Presence(HANGS, 4711, "", 300.0)}, 2, "process 4711 has shown no sign of life for 5 min 00 s"),
        ({"presence": Presence(DIED, 4711, "", 9.0)}, 2, "the logger died: process 4711 is gone"),
        (
            {"presence": Presence(STOPPED, 1, "", 9.0), "headline": "STOPPED x exit=77"},
            2,
            "the logger is stopped (STOP",
        ),
        ({"presence": Presence(STOPPED, 1, "", 9.0), "blind_us": 10**12}, 2, "the logger is stopped; 12 cameras"),
        ({"blind_us": 61 * S}, 1, "blind 61.0 s (warning above 60.0 s)"),
        ({"blind_us": 301 * S}, 2, "blind 5 min 01 s (critical above 5 min 00 s)"),
        ({"early": 0.0153}, 1, "early 1.53 % (warning above 1 %)"),
        ({"offset": Offset(-1_200_000, 100_000)}, 1, "clock 1.2 s (warning above 1.0 s)"),
        ({"offset": Offset(-1_200_000, 1_300_000)}, 0, "connected"),
        ({"lag_us": 150_000}, 1, "lag 0.15 s (warning above 0.10 s)"),
    ],
)
def test_what_is_a_problem_unless_told_otherwise(changes: dict[str, object], code: int, said: str) -> None:
    found, line = verdict(replace(GOOD, **changes), {}, {}, NOW_US)  # type: ignore[arg-type]
    assert found == code
    assert f" - {said}" in line


def test_a_default_can_be_switched_off() -> None:
    assert verdict(replace(GOOD, blind_us=200 * S), {"blind": None}, {}, NOW_US)[0] == 0


def test_what_is_unknown_is_no_problem_and_said() -> None:
    unknown = Readings(RUNS, "", GOOD.from_us, 0, None, 0.0, None, 0, None, 0, None, "", None, None, None, 0)
    code, line = verdict(unknown, parse_limits(["p95=1,silent=1,observed=99"]), {}, NOW_US)
    assert code == 0
    assert line.startswith(
        "EELOGGER OK - running, no measured event since 08:00 UTC, no event yet | p95=U;1;;0 silent=U"
    )


def test_foreign_text_keeps_the_line_one_line() -> None:
    stopped = replace(GOOD, presence=Presence(STOPPED, None, "", 1.0), headline="STOPPED a|b")
    _, line = verdict(stopped, {}, {}, NOW_US)
    assert line.count("|") == 1


PERFORMANCE = re.compile(r"[a-z0-9]+=(U|-?[0-9]+(\.[0-9]+)?(s|%)?);([0-9.]+:?)?;([0-9.]+:?)?;0")


@given(st.integers(0, 10**14), st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**9))
def test_the_figures_for_machines_are_well_formed(us: int, early: float, observed: float, events: int) -> None:
    readings = replace(GOOD, p95_us=us, lag_us=us, blind_us=us, early=early, observed=observed, events=events)
    _, line = verdict(readings, {"observed": 95.5}, {}, NOW_US)
    figures = line.partition(" | ")[2].split(" ")
    assert [figure.partition("=")[0] for figure in figures] == [*(measure.name for measure in MEASURES), "events"]
    assert all(map(PERFORMANCE.fullmatch, figures))


# Limits


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("p95=2", {"p95": 2.0}),
        ("P95 = 1.5 s", {"p95": 1.5}),
        ("silent=10m,blind=off", {"silent": 600.0, "blind": None}),
        ("lag=250ms", {"lag": 0.25}),
        ("observed=99%", {"observed": 99.0}),
        ("silent=1h", {"silent": 3600.0}),
        ("silent=2d", {"silent": 172_800.0}),
        ("gaps=3", {"gaps": 3.0}),
    ],
)
def test_a_limit_is_in_the_unit_of_its_measure(text: str, limits: dict[str, float | None]) -> None:
    assert parse_limits([text]) == limits


@pytest.mark.parametrize(
    "text", ["", "p95", "p95=", "p95=x", "p95=-1", "p95=2x", "foo=1", "gaps=2s", "observed=1m", "p95=1,"]
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"NAME=LIMIT|no unit"):
        parse_limits([text])


def test_the_help_names_every_measure_and_default() -> None:
    text = limits_help()
    assert all(f"\n  {measure.name} " in text for measure in MEASURES)
    assert "blind     how long nothing has been observed; 0 while connected (warn 60.0 s, crit 5 min 00 s)" in text
    assert max(map(len, text.splitlines())) <= 110


# The command, beside a real logger


async def ask(log_dir: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "app.py", "status", "--log-dir", str(log_dir), *arguments),
        cwd=ROOT,
        env=environment(None, log_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert not err, err.decode()
    assert out.decode().count("\n") == 1
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_life_of_a_logger(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    paths = LogPaths(log_dir)
    code, line = await ask(log_dir)
    assert (code, line.startswith("EELOGGER UNKNOWN - the log directory ")) == (3, True)
    async with Cloud(World.of(3)) as cloud, running(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        sent = await cloud.emit(cloud.world.cameras[0].id, delay_s=1.5)
        await line_in(paths.uuids, sent.identity)
        code, line = await ask(log_dir, "--warn", "p95=1")
        assert code == 1, line
        assert line.startswith(
            "EELOGGER WARNING - p95 1.5 s (warning above 1.0 s); running, 3 cameras, p95 1.5 s of 1 event"
        )
        logger.process.send_signal(signal.SIGSTOP)
        os.utime(paths.lock, (time.time() - 90,) * 2)
        code, line = await ask(log_dir)
        assert code == 2
        assert f"process {logger.process.pid} has shown no sign of life for " in line
        logger.process.send_signal(signal.SIGCONT)
        assert await logger.stop() == 0
        code, line = await ask(log_dir)
        assert code == 2
        assert "the logger is stopped (STOPPED 2" in line
        assert "exit=0 as asked)" in line
    async with Cloud(World.of(3)) as cloud, running(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        await line_in(paths.state, '"clean": false')
        await logger.stop(signal.SIGKILL)
        os.utime(paths.lock, (time.time() - 20,) * 2)
        code, line = await ask(log_dir)
        assert code == 2
        assert f"the logger died: process {logger.process.pid} is gone" in line


async def test_a_limit_that_is_none_is_unknown(tmp_path: Path) -> None:
    code, line = await ask(tmp_path, "--crit", "p95=soon")
    assert code == 3
    assert line.startswith("EELOGGER UNKNOWN - 'p95=soon': give NAME=LIMIT")
