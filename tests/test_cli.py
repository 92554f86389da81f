"""The command line as its user meets it: help, exit codes, one message and one hint, what goes where."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from running import ROOT, environment, line_in, running

from eelogger import __version__
from eelogger.commands.arguments import parser
from eelogger.logdir.lock import DirectoryLock
from eelogger.paths import LogPaths
from eelogger.simulator import Cloud, World


async def app(*arguments: str, log_dir: Path | None = None, **more: str) -> tuple[int, str, str]:
    """Run `python app.py …` without a terminal: exit code, stdout, stderr."""
    env = environment(None, log_dir or ROOT / "logs") | more
    if log_dir is None:
        del env["EEN_LOG_DIR"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "app.py", *arguments),
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    assert "Traceback" not in err.decode()
    return process.returncode, out.decode(), err.decode()


def empty_env(tmp_path: Path) -> list[str]:
    path = tmp_path / "empty.env"
    path.touch(0o600)
    return ["--env-file", str(path)]


# Help and usage


async def test_the_version_and_the_help_need_nothing() -> None:
    assert await app("--version") == (0, f"eelogger {__version__}\n", "")
    code, out, err = await app("--help")
    assert (code, err) == (0, "")
    for told in ("--demo", "--seconds N", "--log-dir DIR", "--env-file FILE", "login", "check", "watch", "status"):
        assert told in out
    for number in (0, 2, 66, 69, 74, 75, 77, 78):
        assert re.search(rf"^ *.*\b{number} ", out.partition("exit codes:")[2], re.MULTILINE), number
    assert "--demo --seconds 20" in out.partition("examples:")[2]


@pytest.mark.parametrize("command", ["login", "check", "watch", "status"])
async def test_every_command_has_a_help_of_its_own(command: str) -> None:
    code, out, err = await app(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: app.py {command}")
    assert "--log-dir DIR" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--frobnicate"],
        ["frobnicate"],
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--seconds", "soon"],
        ["watch", "--lines", "-1"],
        ["watch", "--min-delay", "x"],
        ["--demo", "check"],
        ["--seconds", "3", "status"],
    ],
)
async def test_what_makes_no_sense_is_exit_code_2(arguments: list[str]) -> None:
    code, out, err = await app(*arguments)
    assert (code, out) == (2, "")
    assert err


@pytest.mark.parametrize(
    ("arguments", "option", "value"),
    [
        (["--log-dir", "a", "watch"], "log_dir", Path("a")),
        (["watch", "--log-dir", "a"], "log_dir", Path("a")),
        (["-vv", "check"], "verbose", 2),
        (["check", "-q"], "quiet", True),
    ],
)
def test_an_option_may_stand_before_or_behind_the_command(arguments: Sequence[str], option: str, value: object) -> None:
    assert getattr(parser().parse_args(arguments), option) == value


# Exit codes of a run


async def test_without_settings_all_problems_are_told_at_once(tmp_path: Path) -> None:
    code, out, err = await app(*empty_env(tmp_path), log_dir=tmp_path / "logs", EEN_KEEP_DAYS="many")
    assert (code, out) == (78, "")
    for name in ("EEN_BRANDING", "EEN_ACCOUNT_ID", "EEN_AUTH_KEY", "EEN_KEEP_DAYS"):
        assert name in err
    assert "\n  hint: " in err


async def test_an_account_without_a_camera(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud:
        cloud.device_rows.clear()
        async with running(cloud, tmp_path / "logs") as logger:
            assert await logger.ended() == 69
    assert logger.stderr.startswith("eelogger: there is no camera to log\n  hint: ")


async def test_a_refused_key(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud:
        async with running(cloud, tmp_path / "logs", env={"EEN_AUTH_KEY": "c000~" + "1" * 32}) as logger:
            assert await logger.ended() == 77
    assert "hint: " in logger.stderr
    assert "c000~" not in logger.stderr
    assert "exit=77" in LogPaths(tmp_path / "logs").summary.read_text().splitlines()[0]


async def test_a_log_directory_that_is_taken(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    async with Cloud(World.of(1)) as cloud:
        with DirectoryLock(LogPaths(log_dir)):
            async with running(cloud, log_dir) as logger:
                assert await logger.ended() == 75
            assert logger.stderr == "", "cron would send a mail every minute"
            code, _, err = await app("--demo", "--log-dir", str(log_dir))
            assert (code, err.count("\n")) == (75, 1), "the demo says where it writes, no more"
            os.utime(log_dir / ".lock", (1, 1))
            async with running(cloud, log_dir) as logger:
                assert await logger.ended() == 75
            assert "probably hangs" in logger.stderr
            assert f"process {os.getpid()} has" in logger.stderr


async def test_the_same_trouble_is_told_once_a_day_without_a_terminal(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    first = await app(*empty_env(tmp_path), log_dir=log_dir)
    second = await app(*empty_env(tmp_path), log_dir=log_dir)
    assert (first[0], second[0]) == (78, 78)
    assert "EEN_AUTH_KEY" in first[2]
    assert second[2] == ""
    other = await app(*empty_env(tmp_path), log_dir=log_dir, EEN_BRANDING="c000")
    assert "EEN_BRANDING" not in other[2]
    assert "EEN_AUTH_KEY" in other[2]


async def test_a_log_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with Cloud(World.of(1)) as cloud:
        env = {"EEN_LOG_DIR": str(tmp_path / "file" / "logs")}
        async with running(cloud, tmp_path / "logs", env=env) as logger:
            assert await logger.ended() == 74
    assert "hint: " in logger.stderr
    assert "Traceback" not in logger.stderr


@pytest.mark.parametrize("command", ["watch"])
async def test_nothing_to_show(tmp_path: Path, command: str) -> None:
    code, out, err = await app(command, "--log-dir", str(tmp_path / "none"))
    assert (code, out) == (66, "")
    assert err.startswith("eelogger: the log directory ")
    assert "\n  hint: " in err


# A run


async def test_the_demo_needs_no_account_and_says_where_to_look(tmp_path: Path) -> None:
    log_dir = tmp_path / "demo"
    code, out, err = await app("--demo", "--seconds", "3", "--log-dir", str(log_dir), EEN_AUTH_KEY="never used\x7f")
    assert code == 0, err
    assert err == f"demo cloud: {log_dir} gets the files; look with: tail -F {log_dir}/*.log\n"
    assert out.startswith("Delays of ")
    assert "observed " in out
    assert LogPaths(log_dir).summary.read_text().startswith("STOPPED ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_prints_the_closing_table_on_stdout_alone(tmp_path: Path, number: signal.Signals) -> None:
    async with Cloud(World.of(2)) as cloud, running(cloud, tmp_path / "logs") as logger:
        await cloud.wait_subscribed(2)
        sent = await cloud.emit(cloud.world.cameras[0].id, delay_s=0.5)
        await line_in(LogPaths(tmp_path / "logs").uuids, sent.identity)
        assert await logger.stop(number) == 0
    assert logger.stderr == ""
    assert f"\n{cloud.world.cameras[0].name} " in logger.stdout
    assert f"{cloud.world.cameras[0].name}: 95 % within 0." in logger.stdout


async def test_quiet_is_quiet(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud, running(cloud, tmp_path / "logs", "-q") as logger:
        await cloud.wait_subscribed(1)
        assert await logger.stop() == 0
    assert (logger.stdout, logger.stderr) == ("", "")


async def test_verbose_tells_what_happens_and_no_secret(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud, running(cloud, tmp_path / "logs", "-vv") as logger:
        await cloud.wait_subscribed(1)
        assert await logger.stop() == 0
    assert re.search(r"^20\S+Z INFO eelogger\.reconnect\.session: connected", logger.stderr, re.MULTILINE)
    assert cloud.auth_key not in logger.stderr


async def test_sigusr1_prints_the_table_and_the_run_goes_on(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud, running(cloud, tmp_path / "logs") as logger:
        await cloud.wait_subscribed(1)
        logger.process.send_signal(signal.SIGUSR1)
        sent = await cloud.emit(cloud.world.cameras[0].id)
        await line_in(LogPaths(tmp_path / "logs").uuids, sent.identity)
        assert await logger.stop() == 0
    assert logger.stdout.count("observed ") >= 2


async def test_without_a_terminal_a_hang_up_is_nothing(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud, running(cloud, tmp_path / "logs") as logger:
        await cloud.wait_subscribed(1)
        logger.process.send_signal(signal.SIGHUP)
        sent = await cloud.emit(cloud.world.cameras[0].id)
        await line_in(LogPaths(tmp_path / "logs").uuids, sent.identity)
        assert await logger.stop() == 0


async def test_a_reader_that_has_gone_does_not_matter(tmp_path: Path) -> None:
    async with Cloud(World.of(1)) as cloud:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "app.py", *empty_env(tmp_path)),
            cwd=ROOT,
            env=environment(cloud, tmp_path / "logs"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        await cloud.wait_subscribed(1)
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, err) == (0, b"")


def closed_terminal(log_dir: Path, env: dict[str, str], arguments: Sequence[str]) -> int:
    """A run on a terminal that is closed while it runs: its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "app.py", *arguments], env)
    while not LogPaths(log_dir).state.exists():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        signal.sigtimedwait([], 0.02)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


async def test_a_terminal_that_is_closed_stops_the_run(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    async with Cloud(World.of(1)) as cloud:
        env = environment(cloud, log_dir)
        code = await asyncio.to_thread(closed_terminal, log_dir, env, empty_env(tmp_path))
    assert code == 0
    assert json.loads(LogPaths(log_dir).state.read_text())["clean"] is True
    assert LogPaths(log_dir).summary.read_text().startswith("STOPPED ")


# app.py itself


def test_an_older_python_is_told_in_one_sentence(tmp_path: Path) -> None:
    text = (ROOT / "app.py").read_text().replace("sys.version_info < (3, 11)", "sys.version_info < (9, 0)")
    (tmp_path / "app.py").write_text(text)
    done = subprocess.run([sys.executable, str(tmp_path / "app.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("eelogger needs Python ")
    assert done.stderr.count("\n") == 1


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError(name='aiohttp')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "app.py"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1
    assert "eelogger needs the package aiohttp, which is not installed here." in done.stderr
    assert "-m pip install -r requirements.txt" in done.stderr
