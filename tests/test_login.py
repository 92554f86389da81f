"""`login` over real sockets: the questions, the file afterwards, and the password nowhere."""

import asyncio
import contextlib
import os
import pty
import select
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from dotenv import dotenv_values
from fault_cloud import FaultCloud
from launch import APP, Ended, command, environment

from eelogger.commands.login import write_settings

PASSWORD = "planted-correct-horse"
NEW_KEY = "c000~" + "0" * 30 + "17"
VALUES = {"EEN_BRANDING": "c001", "EEN_ACCOUNT_ID": "00012345", "EEN_AUTH_KEY": NEW_KEY}


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / ".env"


async def log_in(cloud: FaultCloud, env_file: Path, *answers: str) -> Ended:
    """`login` with its answers through a pipe, a line each."""
    cloud.password = PASSWORD
    told = {"EEN_BASE_URL": cloud.base_url, "EEN_ACCOUNT_ID": "", "EEN_AUTH_KEY": ""}
    stdin = "".join(f"{answer}\n" for answer in answers)
    ended = await asyncio.to_thread(command, "login", env=told, env_file=env_file, stdin=stdin)
    assert PASSWORD not in ended.out + ended.err
    return ended


async def test_name_and_password_give_a_file_for_the_owner_alone(cloud: FaultCloud, env_file: Path) -> None:
    code, out, _ = await log_in(cloud, env_file, " ops@example.com ", f"{PASSWORD}\r")
    expected = {"EEN_BRANDING": "c000", "EEN_ACCOUNT_ID": cloud.account_id, "EEN_AUTH_KEY": cloud.auth_key}
    assert (code, dotenv_values(env_file)) == (0, expected)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert os.listdir(env_file.parent) == [".env"]
    assert PASSWORD not in env_file.read_text()
    assert cloud.auth_key not in out


@pytest.mark.parametrize(
    ("ways", "answers", "sent"),
    [
        (["sms"], ["123456"], "sms"),
        (["sms", "email"], ["E-Mail", "111111", "123456"], "email"),
        (["sms", "email"], ["s", "123456"], "sms"),
    ],
)
async def test_a_second_factor_is_asked_for_and_a_wrong_code_once_more(
    cloud: FaultCloud, env_file: Path, ways: list[str], answers: list[str], sent: str
) -> None:
    cloud.second_factor = {way: f"*** {way}\x1b[2J" for way in ways}
    code, out, err = await log_in(cloud, env_file, "ops@example.com", PASSWORD, *answers)
    assert (code, cloud.codes_sent) == (0, [sent])
    assert "\x1b" not in out + err
    assert all(f"*** {way}" in err for way in ways)


@pytest.mark.parametrize(
    "answers",
    [
        ["ops@example.com", "wrong"], ["ops@example.com", ""], [], ["ops@example.com", PASSWORD, "pigeon"],
        ["ops@example.com", PASSWORD, "sms", ""], ["ops@example.com", PASSWORD, "sms", "1", "2", "3"],
    ],
)  # fmt: skip
async def test_a_refused_login_changes_nothing(cloud: FaultCloud, env_file: Path, answers: list[str]) -> None:
    cloud.second_factor = {"sms": "*** 779", "email": "***@example.com"}
    env_file.write_text("EEN_AUTH_KEY=\n")
    code, _, err = await log_in(cloud, env_file, *answers)
    assert (code, "hint: " in err, env_file.read_text()) == (77, True, "EEN_AUTH_KEY=\n")
    assert os.listdir(env_file.parent) == [".env"]


async def test_nothing_is_asked_when_the_file_cannot_be_read_or_written(cloud: FaultCloud, env_file: Path) -> None:
    env_file.write_text("A='open\n")
    for path, code in ((env_file, 78), (env_file / "below", 74)):
        ended = await log_in(cloud, path)
        assert (ended.code, "input ended" in ended.err) == (code, False)


# The file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{}"), ("# mine\n", "# mine\n{}"), ("# mine \udcff\udc85\udca0", "# mine \udcff\udc85\udca0\n{}"),
        ("A=1\n\n# key\nEEN_AUTH_KEY=\nB=2 # Größe …\n", "A=1\n\n# key\nNEW\nB=2 # Größe …\n{-}"),
        ("EEN_AUTH_KEY = old # of spring\n", "NEW\n{-}"), ('EEN_AUTH_KEY="two\nlines" # c\nA=1\n', "NEW\nA=1\n{-}"),
        ("A=$EEN_AUTH_KEY;,\nexport A\n'B'='c # d'\n", "A=$EEN_AUTH_KEY;,\nexport A\n'B'='c # d'\n{}"),
        ("#EEN_AUTH_KEY=no\n", "#EEN_AUTH_KEY=no\n{}"), ('$env:EEN_AUTH_KEY = "x"\n', '$env:EEN_AUTH_KEY = "x"\n{}'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_other_line_stays(tmp_path: Path, before: str, after: str, end: str, mark: str) -> None:
    lines = [f"{name}={value if value.isalnum() else repr(value)}\n" for name, value in VALUES.items()]
    expected = after.replace("{}", "".join(lines)).replace("{-}", "".join(lines[:2])).replace("NEW", lines[2].strip())
    path = tmp_path / ".env"
    path.write_bytes((mark + before.replace("\n", end)).encode(errors="surrogateescape"))
    write_settings(path, VALUES)
    ends = end if "\n" in before else "\n"
    assert path.read_bytes().decode(errors="surrogateescape") == mark + expected.replace("\n", ends)


def type_in(env_file: Path, env: dict[str, str], answers: dict[str, str]) -> tuple[int, str]:
    """Run `login` on a terminal of its own, answer like a person; its exit code and what stood there."""
    pid, fd = pty.fork()
    if pid == 0:  # pragma: no cover
        os.execve(sys.executable, [sys.executable, str(APP), "login", "--env-file", str(env_file)], env)
    shown, until_s = "", time.monotonic() + 20
    with contextlib.suppress(OSError):  # nobody has the terminal any more
        while True:
            if not select.select([fd], [], [], until_s - time.monotonic())[0]:
                os.kill(pid, signal.SIGKILL)
            shown += os.read(fd, 4096).decode()
            for question in [question for question in answers if question in shown]:
                time.sleep(0.3)  # a Ctrl-C just before the program reads would be lost
                os.write(fd, answers.pop(question).encode())
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


@pytest.mark.parametrize(("code", "expected"), [("123456\n", (0, True)), ("\x03", (130, False))])
async def test_on_a_terminal_the_password_is_not_shown_and_ctrl_c_ends_an_open_question(
    cloud: FaultCloud, env_file: Path, code: str, expected: tuple[int, bool]
) -> None:
    cloud.password, cloud.second_factor = PASSWORD, {"sms": "*** 779"}
    env = environment(cloud, None, {"EEN_AUTH_KEY": "", "EEN_ACCOUNT_ID": ""})
    answers = {"User name (e-mail address): ": "ops@example.com\n", "Password: ": f"{PASSWORD}\n", "Code: ": code}
    exit_code, shown = await asyncio.to_thread(type_in, env_file, env, answers)
    assert (exit_code, env_file.exists()) == expected, shown
    assert PASSWORD not in shown
    assert "Traceback" not in shown
