"""`login` over real sockets: the questions, the file afterwards, and the password nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import pytest
from dotenv.parser import parse_stream
from hypothesis import assume, given
from hypothesis import strategies as st

from eelogger.commands.login import changed, log_in, write_credentials
from eelogger.env.env_file import read_env_file
from eelogger.errors import CloudError, DiskError, LoginRefused, SettingsError
from eelogger.net.auth import Credentials
from eelogger.simulator import TEST_KEY, Cloud, World

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "planted-correct-horse"
NEW_KEY = "c000~" + "0" * 30 + "17"
CREDENTIALS = Credentials("c001", "00012345", NEW_KEY)
VALUES = {"EEN_BRANDING": "c001", "EEN_ACCOUNT_ID": "00012345", "EEN_AUTH_KEY": NEW_KEY}


class Answers:
    """A person who has made up their mind: answers in order, then the end of the input."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []
        self.said: list[str] = []

    def ask(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def ask_secret(self, prompt: str) -> str:
        return self.ask(f"secret {prompt}")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("EEN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Cloud(World.of(2)) as made:
        made.password = PASSWORD
        yield made


async def log_in_at(cloud: Cloud, env_file: Path, person: Answers, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("EEN_BASE_URL", cloud.base_url)
    return await log_in(env_file, None, person, person.said.append)


def values_in(path: Path) -> dict[str, str]:
    problems: list[object] = []
    found = read_env_file(path, problems, [], optional=False)  # type: ignore[arg-type]
    assert not problems
    return found


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_name_and_password_give_a_file_for_the_owner_alone(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = tmp_path / ".env"
    person = Answers(" ops@example.com ", PASSWORD)
    told = await log_in_at(cloud, env_file, person, monkeypatch)
    assert person.prompts == ["User name (e-mail address): ", "secret Password: "]
    assert values_in(env_file) == {"EEN_BRANDING": "c000", "EEN_ACCOUNT_ID": "00012345", "EEN_AUTH_KEY": TEST_KEY}
    assert mode_of(env_file) == 0o600
    assert os.listdir(tmp_path) == [".env"]
    assert PASSWORD not in env_file.read_text()
    assert told[0].startswith("Logged in. EEN_BRANDING, EEN_ACCOUNT_ID, EEN_AUTH_KEY now stand in ")
    assert told[-1] == "Next: python app.py check, then python app.py"
    assert not [line for line in told if PASSWORD in line or TEST_KEY in line]


async def test_a_known_user_name_is_offered(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("EEN_USERNAME=ops@example.com\n")
    person = Answers("", PASSWORD)
    await log_in_at(cloud, env_file, person, monkeypatch)
    assert person.prompts[0] == "User name (e-mail address) [ops@example.com]: "
    assert values_in(env_file)["EEN_AUTH_KEY"] == TEST_KEY


async def test_the_only_way_of_a_second_factor_is_taken(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.second_factor = {"sms": "*** 779\x1b[2J"}
    person = Answers("ops@example.com", PASSWORD, "123456")
    await log_in_at(cloud, tmp_path / ".env", person, monkeypatch)
    assert person.said == ["A code is sent by SMS to *** 779[2J."]
    assert cloud.codes_sent == ["sms"]
    assert (tmp_path / ".env").exists()


@pytest.mark.parametrize(("answer", "sent"), [("email", "email"), ("E-Mail", "email"), ("s", "sms")])
async def test_of_several_ways_one_is_chosen_and_a_wrong_code_asked_again(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, sent: str
) -> None:
    cloud.second_factor = {"sms": "*** 779", "email": "***@example.com"}
    person = Answers("ops@example.com", PASSWORD, answer, "111111", "123456")
    await log_in_at(cloud, tmp_path / ".env", person, monkeypatch)
    assert cloud.codes_sent == [sent]
    assert person.said == ["  sms: a code by SMS to *** 779", "  email: a code by e-mail to ***@example.com"]
    assert person.prompts[2:] == [
        "Which way (sms or email)? ",
        "Code: ",
        "That code was not accepted. Code (empty: give up): ",
    ]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["ops@example.com", "wrong"], "refuses the login"),
        ([""], "needs both user name and password"),
        (["ops@example.com", ""], "needs both user name and password"),
        ([], "the input ended"),
        (["ops@example.com"], "the input ended"),
        (["ops@example.com", PASSWORD, "pigeon"], "no way for the second factor"),
        (["ops@example.com", PASSWORD, "sms"], "the input ended"),
        (["ops@example.com", PASSWORD, "sms", ""], "was not accepted"),
        (["ops@example.com", PASSWORD, "sms", "1", "2", "3"], "was not accepted"),
    ],
)
async def test_a_refused_login_changes_nothing(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str], message: str
) -> None:
    cloud.second_factor = {"sms": "*** 779", "email": "***@example.com"}
    env_file = tmp_path / ".env"
    env_file.write_text("EEN_AUTH_KEY=old\n")
    with pytest.raises(LoginRefused, match=message) as caught:
        await log_in_at(cloud, env_file, Answers(*answers), monkeypatch)
    assert caught.value.exit_code == 77
    assert caught.value.hint
    assert env_file.read_text() == "EEN_AUTH_KEY=old\n"
    assert os.listdir(tmp_path) == [".env"]


async def test_an_unreachable_cloud_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EEN_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(CloudError, match="cannot connect") as caught:
        await log_in(tmp_path / ".env", None, Answers("ops@example.com", PASSWORD), print)
    assert caught.value.exit_code == 69
    assert not (tmp_path / ".env").exists()


async def test_an_environment_that_wins_is_said_so(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EEN_AUTH_KEY", NEW_KEY)
    told = await log_in_at(cloud, tmp_path / ".env", Answers("ops@example.com", PASSWORD), monkeypatch)
    assert "But the environment sets EEN_AUTH_KEY otherwise, and wins over the file: unset it there." in told


async def test_nothing_is_asked_when_the_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A='open\n")
    person = Answers("ops@example.com", PASSWORD)
    with pytest.raises(SettingsError, match="line 1 cannot be read"):
        await log_in(tmp_path / ".env", None, person, print)
    assert not person.prompts


async def test_nothing_is_asked_when_the_file_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    person = Answers("ops@example.com", PASSWORD)
    with pytest.raises(DiskError, match="no file can be written"):
        await log_in(tmp_path / "file" / ".env", None, person, print)
    assert not person.prompts


# The file


def parsed(content: bytes) -> dict[str, str]:
    """Names and values as `dotenv` reads them, which `env_file` does by."""
    text = content.decode("utf-8-sig", "surrogateescape")
    return {b.key: b.value or "" for b in parse_stream(StringIO(text)) if b.key is not None}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{}"),
        ("# mine\n", "# mine\n{}"),
        ("# mine", "# mine\n{}"),
        ("A=1\n\nEEN_AUTH_KEY=\nB=2\n", "A=1\n\nEEN_AUTH_KEY=NEW\nB=2\n{-}"),
        ("EEN_AUTH_KEY = old\n", "EEN_AUTH_KEY =NEW\n{-}"),
        ("export EEN_AUTH_KEY='old'  # of spring\n", "export EEN_AUTH_KEY=NEW  # of spring\n{-}"),
        ('EEN_AUTH_KEY="two\nlines" # c\nA=1\n', "EEN_AUTH_KEY=NEW # c\nA=1\n{-}"),
        ("EEN_AUTH_KEY= # nothing yet\n", "EEN_AUTH_KEY=NEW # nothing yet\n{-}"),
        ("EEN_AUTH_KEY\n", "EEN_AUTH_KEY=NEW\n{-}"),
        ("EEN_AUTH_KEY=a#b\n", "EEN_AUTH_KEY=NEW\n{-}"),
        ("EEN_AUTH_KEY=''#c\n", "EEN_AUTH_KEY=NEW #c\n{-}"),
        ("EEN_AUTH_KEY=1\nEEN_AUTH_KEY=2\n", "EEN_AUTH_KEY=1\nEEN_AUTH_KEY=NEW\n{-}"),
        ("#EEN_AUTH_KEY=no\n", "#EEN_AUTH_KEY=no\n{}"),
        ("not = 'closed\nEEN_AUTH_KEY=old", "not = 'closed\nEEN_AUTH_KEY=NEW\n{-}"),
    ],
)
def test_every_other_line_stays(before: str, after: str) -> None:
    lines = [f"{name}={value}\n" for name, value in VALUES.items()]
    expected = after.replace("{}", "".join(lines)).replace("{-}", "".join(lines[:2])).replace("NEW", NEW_KEY)
    assert changed(before.encode(), VALUES).decode() == expected


def test_windows_line_ends_and_a_byte_order_mark_stay() -> None:
    before = b"\xef\xbb\xbfA=1\r\nEEN_AUTH_KEY=old\r\n"
    assert changed(before, {"EEN_AUTH_KEY": NEW_KEY, "EEN_BRANDING": "c001"}) == (
        b"\xef\xbb\xbfA=1\r\nEEN_AUTH_KEY=" + NEW_KEY.encode() + b"\r\nEEN_BRANDING=c001\r\n"
    )


names = st.sampled_from(["A", "EEN_AUTH_KEY", "EEN_BRANDING", "EEN_LOG_DIR", "export EEN_ACCOUNT_ID", "'EEN_BRANDING'"])
values = st.text("ab 0'\"\\#=$~\n", max_size=12)
lines = st.builds(lambda name, value: f"{name}={value}", names, values) | st.text("# a=\t'", max_size=8)
keys = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,"\\'), min_size=1)


@given(st.lists(lines, max_size=8), st.sampled_from(["\n", "\r\n"]), keys)
def test_whatever_the_file_holds_only_the_three_change(parts: list[str], end: str, key: str) -> None:
    before = end.join(parts).encode()
    # With a line that cannot be read the login does not even begin.
    assume(not any(binding.error for binding in parse_stream(StringIO(before.decode()))))
    new = {**VALUES, "EEN_AUTH_KEY": key}
    after = changed(before, new)
    assert parsed(after) == {**parsed(before), **new}
    assert changed(after, new) == after


def test_the_file_behind_a_link_is_changed_and_gets_its_owners_mode(tmp_path: Path) -> None:
    real = tmp_path / "etc" / "settings"
    real.parent.mkdir()
    real.write_text("A=1\n")
    real.chmod(0o644)
    if os.getuid() == 0:
        os.chown(real, 12345, 12346)
    link = tmp_path / ".env"
    link.symlink_to(real)
    assert write_credentials(link, CREDENTIALS) == list(VALUES)
    assert link.is_symlink()
    assert values_in(real) == {"A": "1", **VALUES}
    assert mode_of(real) == 0o600
    if os.getuid() == 0:
        assert (real.stat().st_uid, real.stat().st_gid) == (12345, 12346)
    assert sorted(os.listdir(real.parent)) == ["settings"]


def test_without_a_branding_none_is_written(tmp_path: Path) -> None:
    assert write_credentials(tmp_path / ".env", Credentials("", "1", NEW_KEY)) == ["EEN_ACCOUNT_ID", "EEN_AUTH_KEY"]


def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("A=1\n")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskError, match="No space left") as caught:
        write_credentials(env_file, CREDENTIALS)
    assert caught.value.exit_code == 74
    assert env_file.read_text() == "A=1\n"
    assert os.listdir(tmp_path) == [".env"]


def test_the_new_content_is_written_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[Path, Path, int]] = []
    monkeypatch.setattr(os, "replace", lambda a, b: moved.append((Path(a), Path(b), mode_of(Path(a)))))
    write_credentials(tmp_path / ".env", CREDENTIALS)
    assert [(source.parent, target, mode) for source, target, mode in moved] == [(tmp_path, tmp_path / ".env", 0o600)]


# As its user runs it


def child_environment(cloud: Cloud) -> dict[str, str]:
    return {**os.environ, "EEN_BASE_URL": cloud.base_url}


async def test_through_a_pipe(cloud: Cloud, tmp_path: Path) -> None:
    cloud.second_factor = {"sms": "*** 779"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "app.py", "login", "--env-file", str(tmp_path / "my.env")),
        cwd=ROOT,
        env=child_environment(cloud),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate(f"ops@example.com\n{PASSWORD}\r\n123456\n".encode())
    assert process.returncode == 0, err.decode()
    assert values_in(tmp_path / "my.env")["EEN_AUTH_KEY"] == TEST_KEY
    assert out.decode().startswith("Logged in.")
    assert err.decode() == "A code is sent by SMS to *** 779.\n"
    assert PASSWORD not in out.decode() + err.decode()


class Terminal:
    """`python app.py login` on a terminal of its own, and what stands there."""

    def __init__(self, env_file: Path, environment: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # pragma: no cover
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "app.py", "login", "--env-file", str(env_file)], environment)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.fd], [], [], 0.2)[0]:
                self.shown += os.read(self.fd, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def exit_code(self) -> int:
        with contextlib.suppress(OSError):
            while chunk := os.read(self.fd, 4096):
                self.shown += chunk.decode()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


async def test_on_a_terminal_the_password_is_not_shown(cloud: Cloud, tmp_path: Path) -> None:
    def person() -> tuple[int, str]:
        terminal = Terminal(tmp_path / ".env", child_environment(cloud))
        terminal.wait_for("User name (e-mail address): ")
        terminal.type("ops@example.com\n")
        terminal.wait_for("Password: ")
        terminal.type(f"{PASSWORD}\n")
        return terminal.exit_code(), terminal.shown

    code, shown = await asyncio.to_thread(person)
    assert code == 0, shown
    assert "ops@example.com" in shown
    assert PASSWORD not in shown
    assert values_in(tmp_path / ".env")["EEN_AUTH_KEY"] == TEST_KEY


async def test_ctrl_c_ends_an_open_question_at_once(cloud: Cloud, tmp_path: Path) -> None:
    cloud.second_factor = {"sms": "*** 779"}

    def person() -> tuple[int, str]:
        terminal = Terminal(tmp_path / ".env", child_environment(cloud))
        terminal.wait_for("User name (e-mail address): ")
        terminal.type("ops@example.com\n")
        terminal.wait_for("Password: ")
        terminal.type(f"{PASSWORD}\n")
        terminal.wait_for("Code: ")
        terminal.type("\x03")
        return terminal.exit_code(), terminal.shown

    code, shown = await asyncio.to_thread(person)
    assert code == 77, shown
    assert "the login was broken off" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / ".env").exists()
