"""The command line as its user meets it: help, exit codes, one message and one hint, what goes where."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import time
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from launch import Ended, command, launch

from eelogger.cli import COMMANDS, main


async def app(*arguments: str | Path, cloud: FaultCloud | None = None, **env: str) -> Ended:
    """A command to its end, while the cloud goes on."""
    return await asyncio.to_thread(command, *arguments, cloud=cloud, env=env)


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """The same in this process, for what ends before anything begins."""
    code = main(arguments, time.time())
    return Ended(code, *capsys.readouterr())


# Help and usage


def test_the_help_names_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = here(capsys, "--help")
    assert (code, err) == (0, "")
    for told in ("--demo", "--seconds N", "--log-dir DIR", "--env-file FILE", *COMMANDS):
        assert told in out
    for number in (0, 2, 66, 69, 74, 75, 77, 78, 130):
        assert re.search(rf"\b{number} ", out.partition("exit codes:")[2]), number


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--frobnicate", 2),
        ("--seconds nan", 2),
        ("--demo check", 2),
        # A monitoring system reads 2 as CRITICAL.
        ("--seconds 3 status", 3),
        ("status --frobnicate", 3),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(capsys: pytest.CaptureFixture[str], line: str, expected: int) -> None:
    code, out, err = here(capsys, *line.split())
    assert (code, out) == (expected, "")
    assert err


# A run


async def test_the_demo_needs_no_account_and_says_where_to_look(log_dir: Path) -> None:
    code, out, err = await app("--demo", "--seconds", "4", "--events", "-v", "--log-dir", log_dir, EEN_AUTH_KEY="\x7f")
    assert code == 0, err
    assert f"tail -F {log_dir}/*.log" in err
    assert re.search(r"(?m)^20\S+Z INFO eelogger\.", err)
    events, title, _ = out.partition("Delays of ")
    assert title
    assert events.startswith("UTC  ")
    assert events.count("UTC  ") == 1
    assert len(re.findall(r"(?m)^\d\d:\d\d:\d\d  .* s( +initial)?$", events)) > 5, out
    assert (log_dir / "summary.log").read_text().startswith("STOPPED ")


async def test_a_stop_prints_the_closing_table_on_stdout_alone(cloud: FaultCloud, log_dir: Path) -> None:
    """So does SIGUSR1 meanwhile; without a terminal a hang-up is nothing."""
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        logger.process.send_signal(signal.SIGUSR1)
        logger.process.send_signal(signal.SIGHUP)
        await cloud.emit(cloud.camera_ids()[0])
        event = await cloud.emit(cloud.camera_ids()[0], delay_s=0.5)
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert await logger.stop(signal.SIGINT) == 0
    assert logger.stderr == ""
    assert logger.stdout.count("Own error: ") == 2
    assert f"\n{cloud.account.cameras[0].name} " in logger.stdout


# Streams that are closed, and terminals that go


async def test_a_reader_that_has_gone_does_not_matter(cloud: FaultCloud, log_dir: Path) -> None:
    async with launch(cloud, log_dir, "--seconds", "2", shell='"$@" | head -c 0') as logger:
        await cloud.wait_subscribed(3)
        await cloud.emit(cloud.camera_ids()[0])
        await logger.ended()
    assert logger.stderr == ""


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
    for path in log_dir.glob("*.log"):
        assert b"Delays of" not in path.read_bytes()


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
