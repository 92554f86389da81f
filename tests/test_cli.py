"""The command line as its user meets it: help, exit codes, one message and one hint, what goes where."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from launch import APP, Ended, command, environment, launch

from eelogger.cli import COMMANDS, main, parser


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """A command in this process, for what ends before anything begins."""
    return Ended(main(arguments), *capsys.readouterr())


# Help and usage


def test_the_help_names_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = here(capsys, "--help")
    assert (code, err) == (0, "")
    assert all(told in out for told in ("--demo", "--seconds N", "--log-dir DIR", "--env-file FILE", *COMMANDS))
    for number in (0, 2, 66, 69, 74, 75, 77, 78, 130):
        assert re.search(rf"\b{number} ", out.partition("exit codes:")[2]), number


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_of_its_own(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, err = here(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: python app.py {name}")
    assert "--log-dir DIR" in out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("frobnicate", 2), ("--seconds nan", 2), ("watch --min-delay x", 2), ("--demo check", 2), ("--events watch", 2),
        ("--seconds 3 login", 2),
        # A monitoring system reads 2 as CRITICAL.
        ("--seconds 3 status", 3), ("status --warn", 3), ("--log-dir x status extra", 3),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error(capsys: pytest.CaptureFixture[str], line: str, expected: int) -> None:
    code, out, err = here(capsys, *line.split())
    assert (code, out) == (expected, "")
    assert err


@pytest.mark.parametrize(
    ("arguments", "option", "value"),
    [
        (["--log-dir", "a", "watch"], "log_dir", Path("a")),
        (["watch", "--log-dir", "a"], "log_dir", Path("a")),
        (["--log-dir", "check", "watch"], "log_dir", Path("check")),
        (["-vv", "check"], "verbose", 2),
        (["check", "-q"], "quiet", True),
    ],
)
def test_an_option_may_stand_before_or_behind_the_command(arguments: Sequence[str], option: str, value: object) -> None:
    assert getattr(parser(arguments).parse_args(arguments), option) == value


# A run


RELATIVE = [("--log-dir logs", "/nowhere", 2), ("-q", "logs", 2), ("report", "logs", 2), ("status", "logs", 3)]


@pytest.mark.parametrize(("line", "log_dir", "code"), [*RELATIVE, ("report", "/nowhere", 66)])
def test_only_a_relative_directory_needs_the_current_one(tmp_path: Path, line: str, log_dir: str, code: int) -> None:
    gone = tmp_path / "gone"
    shell = f'mkdir {gone}; cd {gone}; rmdir {gone}; exec "$@"'
    ended = command(*line.split(), env={"EEN_LOG_DIR": log_dir}, shell=shell)
    assert (ended.code, "current directory was removed" in ended.err) == (code, code in (2, 3))


def test_the_demo_needs_no_account_and_says_where_to_look(log_dir: Path) -> None:
    line = ("--demo", "--seconds", "4", "--events", "--log-dir", log_dir)
    code, out, err = command(*line, env={"EEN_AUTH_KEY": "unused\x7f"})
    assert code == 0, err
    assert f"tail -F {log_dir}/*_????????.log" in err
    events, title, _ = out.partition("Delays of ")
    assert title
    assert events.startswith("UTC  ")
    assert events.count("UTC  ") == 1
    assert len(re.findall(r"(?m)^\d\d:\d\d:\d\d  .* s( +initial)?$", events)) > 5, out
    assert (log_dir / "summary.log").read_text().startswith("STOPPED ")


async def test_a_stop_prints_the_closing_table_on_stdout_alone(cloud: FaultCloud, log_dir: Path) -> None:
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        logger.process.send_signal(signal.SIGUSR1)
        logger.process.send_signal(signal.SIGHUP)  # without a terminal this is nothing
        await cloud.emit(cloud.camera_ids()[0])
        event = await cloud.emit(cloud.camera_ids()[0], delay_s=0.5)
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert await logger.stop(signal.SIGINT) == 0
    assert logger.stderr == ""
    assert logger.stdout.count("Own error: ") == 2
    assert f"\n{cloud.account.cameras[0].name} " in logger.stdout


@pytest.mark.parametrize("loudness", ["-q", "-vv"])
async def test_quiet_is_quiet_and_verbose_tells_what_happens(cloud: FaultCloud, log_dir: Path, loudness: str) -> None:
    async with launch(cloud, log_dir, loudness) as logger:
        await cloud.wait_subscribed(3)
        assert await logger.stop() == 0
    if loudness == "-q":
        assert (logger.stdout, logger.stderr) == ("", "")
    else:
        assert re.search(r"^20\S+Z INFO eelogger\.", logger.stderr, re.MULTILINE)


# Streams that are closed, and terminals that go


async def test_a_reader_that_has_gone_does_not_matter(cloud: FaultCloud, log_dir: Path) -> None:
    async with launch(cloud, log_dir, "--seconds", "2", shell='"$@" | head -c 0') as logger:
        await logger.ended()
    assert logger.stderr == ""


@pytest.mark.parametrize("line", [(), ("--events",)])
async def test_a_full_disk_under_stdout_is_told_once_and_ends_no_run(
    cloud: FaultCloud, log_dir: Path, line: Sequence[str]
) -> None:
    async with launch(cloud, log_dir, *line, shell='exec "$@" >/dev/full') as logger:
        await cloud.wait_subscribed(3)
        for _ in range(2):
            event = await cloud.emit(cloud.camera_ids()[0])
            await logger.wait_for("processed_event_uuids.log", event.identity)
        assert await logger.stop() == 0
    assert logger.stderr == "eelogger: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(("name", "code"), [("watch", 74), ("status", 3)])
def test_a_command_that_cannot_write_its_answer_says_so(tmp_path: Path, name: str, code: int) -> None:
    ended = command(name, "--log-dir", tmp_path, shell='exec "$@" >/dev/full')
    assert (ended.code, ended.err.count("standard output cannot be written")) == (code, 1)


def test_a_pipe_that_is_closed_ends_the_help_quietly() -> None:
    assert command("--help", shell='"$@" | true').err == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
async def test_closed_streams_swallow_text_and_the_exit_code_stands(
    cloud: FaultCloud, log_dir: Path, closed: str
) -> None:
    async with launch(cloud, log_dir, shell=f'exec "$@" {closed}') as logger:
        await cloud.wait_subscribed(3)
        event = await cloud.emit(cloud.camera_ids()[0])
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert await logger.stop() == 0
    assert logger.stderr == ""
    # No file of ours got the number of a closed stream, and with it what others print.
    assert not any(b"Delays of" in path.read_bytes() for path in log_dir.glob("*.log"))


@pytest.mark.parametrize(
    ("line", "closed", "code"),
    [
        ("status --log-dir /nowhere", ">&-", 3), ("watch --log-dir /nowhere", "2>&-", 66), ("login", "<&-", 77),
        ("login", ">&- 2>&- <&-", 77), ("--version", ">&-", 0), ("report --nonsense", ">&- 2>&- <&-", 2),
    ],
)  # fmt: skip
def test_commands_do_without_closed_streams(line: str, closed: str, code: int) -> None:
    assert command(*line.split(), shell=f'exec "$@" {closed}').code == code


@pytest.mark.parametrize("ignored", ["", "trap '' HUP; "])
async def test_a_terminal_that_is_closed_stops_the_run_unless_nohup_was_asked_for(
    cloud: FaultCloud, log_dir: Path, ignored: str
) -> None:
    terminal, there = pty.openpty()
    name = os.ttyname(there)
    async with launch(cloud, log_dir, shell=f'{ignored}exec "$@" <{name} >{name} 2>&1') as logger:
        await cloud.wait_subscribed(3)
        logger.process.send_signal(signal.SIGHUP)
        os.close(there)
        os.close(terminal)
        if ignored:
            await asyncio.sleep(0.5)
            assert logger.process.returncode is None, "it was asked to go on"
            logger.process.terminate()
        assert await logger.ended() == 0
    assert json.loads((log_dir / ".state").read_text())["clean"] is True


def test_ctrl_c_during_a_command_is_130(log_dir: Path) -> None:
    log_dir.mkdir()
    (log_dir / "Front Door_100e1e23.log").write_text("time=2026-11-22T09:07:20.000000Z verdict=undated\n" * 400_000)
    line, pipe = [sys.executable, str(APP), "report", "--log-dir", str(log_dir)], subprocess.PIPE
    process = subprocess.Popen(line, env=environment(None, None), stdout=pipe, stderr=pipe)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, b"Traceback" in err) == (130, False), err
