"""`status`: the line and the exit code that monitoring systems read."""

import json
import os
import re
import shutil
import signal
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_cloud import FaultCloud
from launch import command, environment, launch

from eelogger.cli import main
from eelogger.commands.status import MEASURES, add_arguments, parse_limits, status
from eelogger.errors import NothingToShow
from eelogger.storage.formats import parse_pairs, time_text
from eelogger.storage.lock import DirectoryLock
from eelogger.storage.paths import LogPaths
from eelogger.storage.state import State, state_text

NOW_US = time.time_ns() // 1000
S = 1_000_000
SINCE = time_text((NOW_US - 20 * S) // (3600 * S) * 3600 * S - 3600 * S)[11:16]
EVENT = time_text(NOW_US - 20 * S)[11:16]
GOOD = parse_pairs(
    f"time={time_text(NOW_US - 20 * S)} state=connected cameras=12 clock_offset_s=-0.020 clock_bound_s=0.110"
    " ntp=synchronised rtt_s=0.023000 lag_p99_s=0.000400 backlog=0 recent=340 p95_s=1.904 early=0.0000"
    f" last_event={time_text(NOW_US - 23 * S)} observed=0.9987 gaps=2 held=0"
)

PERFORMANCE = re.compile(r"[a-z0-9]+=(U|-?[0-9]+(\.[0-9]+)?(s|%)?);([0-9.]+:?)?;([0-9.]+:?)?;0")


@pytest.fixture
def paths(tmp_path: Path) -> LogPaths:
    return LogPaths(tmp_path / "logs")


def write(path: Path, text: str, changed_s: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if changed_s is not None:
        os.utime(path, (changed_s, changed_s))


def leave(
    paths: LogPaths, *, pid: int = 0, age_s: float = 1.0, state_age_s: float = 5.0, alive_s: float = 5.0, **health: Any
) -> None:
    """Files as a logger leaves them that touched its lock, wrote `.state` and was last observing so long ago."""
    since = time_text(NOW_US - 86_400 * S)
    write(paths.lock, f'{{"pid": {pid or os.getppid()}, "since": "{since}"}}', time.time() - age_s)
    alive_us = round(NOW_US - alive_s * S)
    write(paths.state, state_text(State(since[:10], alive_us, alive_us, False, alive_us)), NOW_US / 1e6 - state_age_s)
    line = " ".join(f"{key}={value}" for key, value in (GOOD | health).items())
    write(paths.health, f"time=2026-01-01T00:00:00.000000Z recent=9\n{line}\n")


def ask(paths: LogPaths, warn: str = "", crit: str = "") -> tuple[int, str]:
    """The verdict of now."""
    warnings, criticals = (parse_limits([text] if text else []) for text in (warn, crit))
    return status(paths, warnings, criticals, NOW_US)


def test_a_good_logger_is_ok(paths: LogPaths) -> None:
    leave(paths)
    assert ask(paths) == (
        0,
        f"connected, 12 cameras, p95 1.9 s of 340 events since {SINCE} UTC, last event 3.0 s before {EVENT} UTC,"
        " observed 99.8 % of today"
        " | p95=1.904s;;;0 silent=3s;;;0 blind=0s;60;300;0 observed=99.87%;;;0 gaps=2;;;0 early=0%;1;;0 clock=0s;1;;0"
        " lag=0s;0.1;;0 rtt=0.023s;;;0 held=0;0;;0 unwritten=0s;0;300;0 events=340;;;0",
    )


@pytest.mark.parametrize(
    ("left", "warn", "crit", "code", "said"),
    [
        ({}, "p95=1.9", "", 1, "p95 1.9 s (warning above 1.9 s)"), ({}, "p95=1904ms", "events=340", 0, ""),
        ({}, "p95=0", "p95=1.5", 2, "p95 1.9 s (critical above 1.5 s)"),
        ({}, "p95=0", "", 1, "p95 1.9 s (warning above 0 s)"),
        ({}, "lag=0.1ms", "", 1, "lag 0.0004 s (warning above 0.0001 s)"),
        ({}, "observed=99.9", "observed=90", 1, "observed 99.87 % (warning below 99.9 %)"),
        ({"recent": 1234567}, "events=9999999", "", 1, "events 1234567 (warning below 9999999)"),
        ({}, "p95=1", "silent=1", 2, "silent 3.0 s (critical above 1.0 s); p95 1.9 s (warning above 1.0 s)"),
        # And without any limit that was told:
        ({"alive_s": 61}, "", "", 1, "blind 61.0 s (warning above 60.0 s)"),
        ({"alive_s": 301}, "", "", 2, "blind 5 min 01 s (critical"),
        ({"early": "0.0153"}, "", "", 1, "early 1.53 % (warning above 1 %)"),
        ({"clock_offset_s": "-1.200"}, "", "", 1, "clock 1.2 s (warning"),
        ({"clock_offset_s": "-1.200", "clock_bound_s": "1.300"}, "", "", 0, ""),
        ({"lag_p99_s": "0.150000"}, "", "", 1, "lag 0.15 s (warning"),
        # `held` and `unwritten`: a disk that refuses also keeps `health.log` as it was when all was well.
        ({"held": "17"}, "", "", 1, "held 17 (warning above 0)"),
        ({"state_age_s": 29.0, "alive_s": 29.0}, "", "", 1, "unwritten 29.0 s (warning above 0 s)"),
        ({"state_age_s": 400.0, "alive_s": 400.0}, "", "", 2, "unwritten 6 min 40 s (critical"),
        ({"held": "17", "lag_p99_s": "0.2"}, "held=off,lag=off", "", 0, ""),
    ],
)  # fmt: skip
def test_a_limit_makes_it_a_problem(
    paths: LogPaths, left: dict[str, Any], warn: str, crit: str, code: int, said: str
) -> None:
    leave(paths, **left)
    found, line = ask(paths, warn, crit)
    assert (found, line[: len(said)], "(" in line) == (code, said, code > 0)
    assert all(map(PERFORMANCE.fullmatch, line.partition(" | ")[2].split(" ")))


def test_a_full_disk_is_said_at_once(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(paths)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 0))
    code, line = ask(paths)
    assert (code, "the disk is full" in line) == (1, True)


def test_who_is_not_at_work_is_critical_and_not_called_blind(paths: LogPaths) -> None:
    leave(paths, age_s=30, pid=2**22 - 3, alive_s=4000)
    code, line = ask(paths)
    assert (code, line.startswith("the logger died (process 4194301, "), " blind " in line) == (2, True, False)
    with DirectoryLock(paths):
        leave(paths, age_s=300)
        code, line = ask(paths)
        assert (code, line.startswith(f"the logger hangs (process {os.getppid()}, ")) == (2, True)
    paths.lock.unlink()
    assert ask(paths)[0] == 2
    assert ask(paths)[1].startswith("the logger is stopped; ")
    paths.state.unlink()
    with pytest.raises(NothingToShow):
        ask(paths)


def test_an_old_line_of_health_says_nothing(paths: LogPaths) -> None:
    leave(paths, time=time_text(NOW_US - 181 * S))
    code, line = ask(paths, "p95=1,silent=1,observed=100")
    assert code == 0
    assert line.startswith("running, no figures of the last minutes | p95=U;1;;0 silent=U;1;;0 blind=0s")
    assert line.endswith(" events=U;;;0")


def test_just_after_midnight_the_last_line_is_in_yesterdays_folder(paths: LogPaths) -> None:
    leave(paths)
    folder = paths.day(time_text(NOW_US)[:10])
    folder.root.mkdir(parents=True)
    paths.health.rename(folder.health)
    assert "p95=1.904s" in ask(paths)[1]


STATE = dict.fromkeys(("alive", "done", "since"), time_text(NOW_US)) | {"day": "2026-11-22", "clean": False, "pid": 5}
JUNK: list[bytes | Callable[[Path], None]] = [
    *(b"", b"null", b"\0\xff" * 999, b"9" * 5000, b"-1e999", b"[" * 100_000, b"[" * 900 + b"]" * 900),
    *(b'{"login": {"fingerprint": "", "until_us": %d}, "pid": %d, "since": 5}' % (n, n) for n in (-1, 10**40)),
    *(json.dumps(STATE | {key: odd}).encode() for key in STATE for odd in (None, 10**30, "\ud800", "9999-12-31")),
    *(json.dumps({"100e0001": odd}).encode() for odd in (None, {"name": [{}], "bridge": 10**30}, {"bridge_name": 5})),
    *(
        " ".join(f"{key}={odd}" for key in GOOD).replace(f"time={odd}", f"time={GOOD['time']}", 1).encode()
        for odd in ("nan", "\x1b", '"a')
    ),
    *(Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")),
]


@pytest.mark.parametrize("name", [".state", ".lock", "health.log", "cameras.json"])
@pytest.mark.parametrize("what", ["status", "watch", "check", "replay"])
def test_whatever_stands_in_a_file_is_told_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, name: str
) -> None:
    reach = {"EEN_BASE_URL": "http://127.0.0.1:9", "EEN_USERNAME": "ops@example.com", "EEN_PASSWORD": "wrong"}
    monkeypatch.setattr(os, "environ", environment(None, None, reach))
    monkeypatch.setattr(time, "sleep", lambda s: os.kill(os.getpid(), signal.SIGINT))  # `watch` goes on for ever
    for number, junk in enumerate(JUNK):
        paths = LogPaths(tmp_path / str(number))
        leave(paths)
        write(paths.stream("Yard_100e0001"), '2026-11-22T12:00:00.500000+00:00 -- {"event": {}}\n')
        (paths.root / name).unlink(missing_ok=True)
        junk(paths.root / name) if callable(junk) else (paths.root / name).write_bytes(junk)
        sources = [str(paths.root)] if what == "replay" else []
        target = tmp_path / f"again{number}" if what == "replay" else paths.root
        line = [what, *sources, "--env-file", os.devnull, "--log-dir", str(target)]
        codes = {"status": {0, 1, 2}, "watch": {130}, "check": {69, 75, 78}, "replay": {0}}
        assert main(line) in codes[what], junk
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable(), junk
        assert what != "status" or (out.count("\n"), out.count("|")) == (1, 1), junk


def test_a_limit_is_in_the_unit_of_its_measure() -> None:
    found = parse_limits(["P95 = 1.5 s,silent=10m", "blind=off,lag=250ms,observed=99%,rtt=2d,gaps=3"])
    limits = {"p95": 1.5, "silent": 600.0, "blind": None, "lag": 0.25, "observed": 99.0, "rtt": 172_800.0, "gaps": 3.0}
    assert found == limits
    for text in ("", "p95", "p95=x", "p95=-1", "p95=2x", "foo=1", "gaps=2s", "p95=1,"):
        with pytest.raises(ValueError, match=r"."):
            parse_limits([text])


def test_the_help_names_every_measure_and_default() -> None:
    parser = ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    assert all(f"\n  {name} " in text for name in MEASURES)
    assert "(warn 60.0 s, crit 5 min 00 s)" in text
    assert "killed is seen as dead 15 s later at the latest" in text


async def test_the_life_of_a_logger(cloud: FaultCloud, log_dir: Path) -> None:
    def asked(*limits: str) -> tuple[int, str]:
        return command("status", "--log-dir", log_dir, *limits)[:2]

    assert asked()[0] == asked("--warn", "p95=x")[0] == 3
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        await logger.wait_for(".state", "alive")
        code, line = asked()
        assert (code, line.startswith("EELOGGER OK - "), line.count("\n")) == (0, True, 1)
        await cloud.emit(cloud.camera_ids()[0])  # the first of its four-CC may be the initial state
        event = await cloud.emit(cloud.camera_ids()[0], delay_s=1.5)
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert await logger.stop() == 0
    code, line = asked("--warn", "p95=1")
    assert (code, "the logger is stopped" in line, "p95 1.5 s (warning" in line) == (2, True, True)
