"""Cron nights: `app.py -q` every minute, without a terminal, tells each trouble once a day; everybody else always."""

import asyncio
import json
import os
import pty
import signal
import time
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from launch import CHILD, Ended, command, launch

from eelogger.storage.paths import LogPaths
from eelogger.storage.state import DAY_S, HOUR_S, forget, is_news

NO_KEY = {"EEN_AUTH_KEY": ""}
WRONG_KEY = {"EEN_AUTH_KEY": "c000~" + "1" * 32}
WRONG_LOGIN = NO_KEY | {"EEN_USERNAME": "ops@example.com", "EEN_PASSWORD": "wrong"}
NOW_S = 1_795_348_800.0


class Job:
    """Starts the program again and again, as cron would, against one cloud."""

    def __init__(self, cloud: FaultCloud, log_dir: Path) -> None:
        self.cloud, self.log_dir = cloud, log_dir

    async def start(self, *arguments: str, **env: str) -> Ended:
        """One start to its end; what it prints would be mailed."""
        told = {"EEN_LOG_DIR": str(self.log_dir)} | env
        return await asyncio.to_thread(command, *arguments, cloud=self.cloud, env=told)

    async def cron(self, *arguments: str, **env: str) -> tuple[int, str]:
        """One start with `-q`: exit code and mail."""
        code, out, err = await self.start("-q", *arguments, **env)
        return code, out + err


@pytest.fixture
def job(cloud: FaultCloud, log_dir: Path) -> Job:
    return Job(cloud, log_dir)


def told_earlier(log_dir: Path, seconds: float) -> None:
    """As if everything had been told so much earlier."""
    path = log_dir / ".said"
    path.write_text(json.dumps({what: at - seconds for what, at in json.loads(path.read_text()).items()}))


FATAL = {
    "no camera": (69, {"EEN_CAMERAS": "none like this"}),
    "key and login": (77, WRONG_LOGIN | WRONG_KEY),
    "settings": (78, {"EEN_ACCOUNT_ID": "not a number"}),
}


@pytest.mark.parametrize("reason", FATAL)
async def test_the_same_trouble_is_one_mail_a_day_and_told_to_everybody_else(job: Job, reason: str) -> None:
    code, env = FATAL[reason]
    first = await job.cron(**env)
    assert (first[0], first[1].startswith("eelogger: "), "\n  hint: " in first[1]) == (code, True, code != 78)
    assert await job.cron(**env) == (code, "")
    piped = await job.start(**env)
    assert (piped.code, piped.out, piped.err.splitlines()[:1]) == (code, "", first[1].splitlines()[:1])
    if code != 78:
        assert f" exit={code} " in (job.log_dir / "summary.log").read_text().splitlines()[0]
    told_earlier(job.log_dir, DAY_S - 600)
    assert await job.cron(**env) == (code, "")
    told_earlier(job.log_dir, 1200)
    assert (await job.cron(**env))[1] != ""
    if "EEN_USERNAME" in env:
        assert len(job.cloud.called("/g/aaa/authenticate")) == 1, "and the account is not locked"


async def test_another_trouble_is_told_and_so_is_one_that_comes_back(job: Job) -> None:
    assert (await job.cron(**WRONG_KEY))[1] != ""
    assert (await job.cron(EEN_KEEP_DAYS="many"))[1] != ""
    assert (await job.cron(EEN_LOG_MAX_BYTES="many"))[1] != "", "it is another setting"
    assert (await job.cron(**WRONG_KEY))[1] == "", "nothing has worked since"
    assert await job.cron("--seconds", "1") == (0, "")
    assert (await job.cron(**WRONG_KEY))[1] != ""


async def test_what_ends_a_run_of_an_hour_is_told_although_it_was_told_before(job: Job) -> None:
    env = WRONG_KEY | {"CHILD_AGE_S": "3600", "EEN_LOG_DIR": str(job.log_dir)}
    for _ in range(2):
        ended = await asyncio.to_thread(command, "-q", cloud=job.cloud, env=env, script=CHILD)
        assert (ended.code, ended.err.startswith("eelogger: ")) == (77, True)


async def test_a_warning_about_settings_is_one_mail_a_day_and_does_not_pass_by_a_run_that_works(job: Job) -> None:
    for mails in (True, False):
        code, mail = await job.cron("--seconds", "1", EEN_TYPO="x")
        assert (code, "EEN_TYPO" in mail) == (0, mails)
    for _ in range(2):
        assert "EEN_TYPO" in (await job.start(EEN_TYPO="x", **WRONG_KEY)).err
    told_earlier(job.log_dir, DAY_S)
    assert "EEN_TYPO" in (await job.cron("--seconds", "1", EEN_TYPO="x"))[1]


async def test_a_person_at_a_terminal_is_told_each_time(job: Job) -> None:
    for _ in range(2):
        terminal, there = pty.openpty()
        shell = f'exec "$@" 2>{os.ttyname(there)}'
        async with launch(job.cloud, job.log_dir, "-q", env=WRONG_KEY, shell=shell) as logger:
            assert await logger.ended() == 77
        assert b"eelogger: " in os.read(terminal, 65_536)
        os.close(terminal)
        os.close(there)
    assert not (job.log_dir / ".said").exists(), "and cron is told too"


async def test_a_second_start_is_silent_under_cron_also_when_there_is_something_to_warn_about(job: Job) -> None:
    typo = {"EEN_TYPO": "x"}
    async with launch(job.cloud, job.log_dir, env=typo) as logger:
        await job.cloud.wait_subscribed(3)
        assert await job.cron(**typo) == (75, "")
        piped = await job.start(**typo)
        assert (piped.code, "EEN_TYPO" in piped.err) == (75, False)
        assert f"process {logger.process.pid} " in piped.err
        assert await logger.stop() == 0
    assert "EEN_TYPO" in logger.stderr
    assert job.cloud.connects == 1


async def test_a_logger_that_hangs_is_told_once_an_hour_with_its_pid(job: Job) -> None:
    def hangs_since(seconds: float) -> None:
        at = time.time() - seconds
        os.utime(job.log_dir / ".lock", (at, at))

    async with launch(job.cloud, job.log_dir) as logger:
        await job.cloud.wait_subscribed(3)
        logger.process.send_signal(signal.SIGSTOP)
        hangs_since(50)
        assert await job.cron() == (75, ""), "that may be mere slowness"
        hangs_since(70)
        code, mail = await job.cron()
        assert (code, f"process {logger.process.pid} " in mail, "hangs" in mail) == (75, True, True)
        assert await job.cron() == (75, "")
        told_earlier(job.log_dir, 3600)
        hangs_since(3700)
        assert f"process {logger.process.pid} " in (await job.cron())[1]
        assert await job.cron() == (75, "")
        logger.process.send_signal(signal.SIGCONT)
        assert await logger.stop() == 0


async def test_a_demo_that_fails_is_told_each_time_and_leaves_no_notice_in_the_accounts_directory(job: Job) -> None:
    job.log_dir.mkdir()
    (job.log_dir / "demo").write_text("")
    for quiet in (["-q"], ["-q"], []):
        code, _, err = await job.start("--demo", *quiet, EEN_LOG_DIR=str(job.log_dir / "demo"))
        assert (code, "eelogger: " in err) == (74, True)
    assert os.listdir(job.log_dir) == ["demo"]


# What is remembered: damage makes the program talk more, never less


def test_a_reason_is_news_once_a_day_in_each_directory(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path / "logs")
    assert is_news(paths, "settings", NOW_S)
    assert not is_news(paths, "settings", NOW_S + DAY_S - 1)
    assert is_news(paths, "key-refused", NOW_S)
    assert is_news(LogPaths(tmp_path / "other"), "settings", NOW_S)
    assert is_news(paths, "settings", NOW_S + HOUR_S, HOUR_S)
    assert is_news(paths, "settings", NOW_S + HOUR_S + DAY_S)
    assert is_news(paths, "settings", NOW_S), "the clock was put back"
    forget(paths)
    assert is_news(paths, "settings", NOW_S + 1), "a run worked meanwhile"


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 9000, '{"settings": %s}' % ("9" * 400), '{"settings": NaN}'])
def test_damage_is_passed_over(content: str, tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    paths.said.write_text(content)
    assert is_news(paths, "settings", NOW_S)
    assert not is_news(paths, "settings", NOW_S + 1)


def test_what_cannot_be_kept_is_news_again(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    paths.said.mkdir()
    assert is_news(paths, "settings", NOW_S)
    forget(paths)
    assert is_news(paths, "settings", NOW_S + 1)
