"""Cron nights: a job that starts the logger every minute tells each trouble once a day, and no run ends without a word.

Each run is `python app.py` as a process of its own, without a terminal; what it prints is what cron would mail.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pty
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from running import ROOT, environment, line_in, running

from eelogger.cli import main
from eelogger.logdir import said
from eelogger.paths import LogPaths
from eelogger.reconnect.session import Session
from eelogger.simulator import TEST_KEY, Cloud, World

NO_KEY = {"EEN_AUTH_KEY": ""}
WRONG_KEY = {"EEN_AUTH_KEY": "c000~" + "1" * 32}
WRONG_LOGIN = NO_KEY | {"EEN_USERNAME": "ops@example.com", "EEN_PASSWORD": "wrong"}
DAY_S = 86_400


class Job:
    """Starts the program again and again within this process, as cron would, against one cloud."""

    def __init__(self, cloud: Cloud, log_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
        self.cloud = cloud
        self._log_dir = log_dir
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def once(self, env: Mapping[str, str] | None = None, *args: str) -> tuple[int, str]:
        """One start: the exit code, and what cron would mail."""
        handlers, level = list(logging.root.handlers), logging.root.level
        with self._monkeypatch.context() as patched:
            for name in [name for name in os.environ if name.startswith("EEN_")]:
                patched.delenv(name)
            for name, text in environment(self.cloud, self._log_dir, env).items():
                patched.setenv(name, text)
            patched.setattr("eelogger.backoff.SHORTEST_S", 0.01)  # a pause that is waited for in real time
            self._capfd.readouterr()
            try:
                code = main(["--env-file", os.devnull, *args])
            finally:
                logging.root.handlers[:] = handlers
                logging.root.setLevel(level)
        mail = "".join(self._capfd.readouterr())
        assert "Traceback" not in mail
        return code, mail

    @contextmanager
    def running(self, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
        """The program as a process of its own, connected; it is killed if the block has not ended it."""
        with subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "--env-file", os.devnull],
            env=environment(self.cloud, self._log_dir, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                deadline = time.monotonic() + 20
                while not any(live.ready for live in self.cloud.connections):
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                yield process
            finally:
                process.kill()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Job]:
    """A job and its cloud, which has a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    cloud = Cloud(World.of(cameras=1))
    asyncio.run_coroutine_threadsafe(cloud.__aenter__(), loop).result(10)
    yield Job(cloud, tmp_path / "logs", monkeypatch, capfd)
    asyncio.run_coroutine_threadsafe(cloud.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def remember_earlier(log_dir: Path, seconds: float) -> None:
    """As if everything had been told so much earlier."""
    path = LogPaths(log_dir).said
    path.write_text(json.dumps({what: at - seconds for what, at in json.loads(path.read_text()).items()}))


def headline(log_dir: Path) -> str:
    """The first line of `summary.log`."""
    return (log_dir / "summary.log").read_text().splitlines()[0]


FATAL = {
    "69, no camera": (69, {"EEN_CAMERAS": "none like this"}, "no camera", True),
    "77, the key": (77, WRONG_KEY, "key", True),
    "77, the login": (77, WRONG_LOGIN, "login", True),
    "77, key and login": (77, WRONG_LOGIN | WRONG_KEY, "login", True),
    "78, settings": (78, {"EEN_ACCOUNT_ID": "not a number"}, "EEN_ACCOUNT_ID", False),
}


@pytest.mark.parametrize("reason", FATAL)
def test_the_same_trouble_is_one_mail_a_day(tmp_path: Path, job: Job, reason: str) -> None:
    code, env, word, runs = FATAL[reason]
    logs = tmp_path / "logs"
    first = job.once(env)
    assert first[0] == code
    assert first[1].startswith("eelogger: ")
    assert word in first[1]
    assert "hint: " in first[1]
    assert job.once(env) == (code, "")
    remember_earlier(logs, DAY_S - 600)
    assert job.once(env) == (code, "")
    remember_earlier(logs, 1200)
    again = job.once(env)
    assert again[0] == code
    assert word in again[1]
    if "EEN_USERNAME" in env:
        assert len(job.cloud.called("/g/aaa/authenticate")) == 1, "and the account is not locked"
    assert runs == (logs / "summary.log").exists()
    if runs:
        assert headline(logs).startswith("STOPPED ")
        assert f" exit={code} " in headline(logs)


def test_another_trouble_is_told(job: Job) -> None:
    assert job.once(WRONG_KEY)[1] != ""
    assert job.once({"EEN_CAMERAS": "none like this"})[1] != ""
    assert job.once(WRONG_KEY)[1] == "", "nothing has worked since"


def test_a_warning_about_settings_is_one_mail_a_day(tmp_path: Path, job: Job) -> None:
    typo = {"EEN_TYPO": "x"} | WRONG_KEY
    assert "EEN_TYPO" in job.once(typo)[1]
    assert job.once(typo) == (77, "")
    remember_earlier(tmp_path / "logs", DAY_S + 1)
    assert "EEN_TYPO" in job.once(typo)[1]


def test_a_trouble_that_comes_back_after_all_was_well_is_told(tmp_path: Path, job: Job) -> None:
    assert job.once(WRONG_KEY)[1] != ""
    assert job.once({"EEN_TYPO": "x"}, "--seconds", "0.3")[0] == 0
    assert "p99" in job.once(None, "--seconds", "0.3")[1], "a run that ends as asked says how it was"
    assert job.once({"EEN_TYPO": "x"} | WRONG_KEY)[1].count("EEN_TYPO") == 0, "a warning is no trouble that passes"
    assert job.once(WRONG_KEY) == (77, "")


def test_a_trouble_that_ends_a_long_run_is_told(tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told this morning, mended since, and now again: nobody would look before tomorrow."""
    assert job.once(WRONG_KEY)[1] != ""
    monkeypatch.setattr("eelogger.instrument.Session", partial(Session, refresh_s=0.5))
    for worked_s, told in ((said.WORKED_S, False), (0.2, True)):
        monkeypatch.setattr(said, "WORKED_S", worked_s)
        job.cloud.auth_key = TEST_KEY
        stop = threading.Timer(0.5, lambda: setattr(job.cloud, "auth_key", WRONG_KEY["EEN_AUTH_KEY"]))
        stop.start()
        code, mail = job.once()
        stop.join()
        assert (code, mail != "") == (77, told)


def test_a_second_start_is_silent(job: Job) -> None:
    """Also when there is something to warn about: the first one has told it."""
    with job.running({"EEN_TYPO": "x"}) as logger:
        for _ in range(2):
            assert job.once({"EEN_TYPO": "x"}) == (75, "")
        logger.terminate()
        _, stderr = logger.communicate(timeout=20)
    assert logger.returncode == 0
    assert "EEN_TYPO" in stderr
    assert job.cloud.connects == 1


def test_a_logger_that_hangs_is_told_once_an_hour_with_its_pid(tmp_path: Path, job: Job) -> None:
    logs = tmp_path / "logs"
    with job.running() as logger:
        logger.send_signal(signal.SIGSTOP)
        hangs_since(logs, 50)
        assert job.once() == (75, ""), "that may be mere slowness"
        hangs_since(logs, 70)
        code, mail = job.once()
        assert code == 75
        assert f"process {logger.pid} " in mail
        assert "hangs" in mail
        assert job.once() == (75, "")
        remember_earlier(logs, said.HOUR_S)
        hangs_since(logs, 3700)
        code, mail = job.once()
        assert f"process {logger.pid} " in mail, "told anew, and it is the same trouble after another time"
        assert job.once() == (75, "")
        logger.send_signal(signal.SIGCONT)
        logger.terminate()
        logger.communicate(timeout=20)
    assert logger.returncode == 0
    assert headline(logs).startswith("STOPPED ")


def hangs_since(log_dir: Path, seconds: float) -> None:
    """As if the lock had last been touched so long ago."""
    at = time.time() - seconds
    os.utime(log_dir / ".lock", (at, at))


def test_a_directory_that_cannot_be_written_is_one_mail_a_day(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what was told can be remembered there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").write_text("")
    nowhere = {"EEN_LOG_DIR": str(tmp_path / "file" / "logs")}
    code, mail = job.once(nowhere)
    assert code == 74
    assert mail.startswith("eelogger: ")
    assert job.once(nowhere) == (74, "")
    [kept] = tmp_path.glob("eelogger-*.said")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


async def test_a_person_at_a_terminal_is_told_each_time(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (tmp_path / "empty.env").touch(mode=0o600)
    async with Cloud(World.of(cameras=1)) as cloud:
        for _ in range(2):
            here, there = pty.openpty()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(ROOT / "app.py"), "--env-file", str(tmp_path / "empty.env")),
                env=environment(cloud, logs, WRONG_KEY),
                stdin=there,
                stdout=there,
                stderr=there,
            )
            os.close(there)
            assert await asyncio.wait_for(process.wait(), 20) == 77
            assert "does not accept the key" in os.read(here, 65_536).decode()
            os.close(here)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_before_the_first_connection_says_so_too(tmp_path: Path, number: int) -> None:
    logs = tmp_path / "logs"
    async with Cloud(World.of(cameras=1)) as cloud:
        cloud.handshake_delay_s = 60
        async with running(cloud, logs) as logger:
            await cloud.wait_until(lambda: True)
            await line_in(logs / "eelogger.log", "camera list")
            began = time.monotonic()
            assert await logger.stop(number) == 0
            assert time.monotonic() - began < 2
    assert headline(logs).startswith("STOPPED ")
    assert " exit=0 " in headline(logs)
    assert logger.stderr == ""


def test_where_nothing_can_be_kept_everything_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    paths = LogPaths(tmp_path / "file" / "logs")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    for _ in range(2):
        assert said.is_news(paths, "a", 1000.0)
        said.forget(paths)


def test_a_file_of_anothers_does_not_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the temporary directory anybody can put one where ours would be."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (tmp_path / "file").write_text("")
    paths = LogPaths(tmp_path / "file" / "logs")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said.is_news(paths, "a", 1000.0)
    [kept] = tmp_path.glob("eelogger-*.said")
    os.chown(kept, 12_345, 12_345)
    assert said.is_news(paths, "a", 1001.0)
    kept.unlink()
    os.mkfifo(kept)
    assert said.is_news(paths, "a", 1002.0), "and nobody waits for the other end of a pipe"
    kept.unlink()
    precious = tmp_path / "precious"
    precious.write_text("{}")
    kept.symlink_to(precious)
    assert said.is_news(paths, "a", 1003.0)
    assert precious.read_text() == "{}"


def test_what_was_told_survives_anything_in_its_place(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    for text in (b"", b"[]", b"null", b"{", b"\xff", b'{"a": "b"}', b"[" * 100_000):
        paths.said.write_bytes(text)
        assert said.is_news(paths, "a", 1000.0)
        assert not said.is_news(paths, "a", 1001.0)
    assert said.is_news(paths, "a", 999.0), "a clock that was put back does not silence"
    assert not said.is_news(paths, "a", 999.0 + said.DAY_S - 1)
    assert said.is_news(paths, "a", 999.0 + said.DAY_S)
    assert said.is_news(paths, "b", 1000.0)
    said.forget(paths)
    assert said.is_news(paths, "a", 1000.0)
    assert TEST_KEY not in paths.said.read_text()
