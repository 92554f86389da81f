"""No key, password, API key or cookie leaves the program: planted, taken through every failure, and searched for.

Everything is told as loudly as it can be: `-vv`, all loggers at DEBUG, asyncio's debug mode.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from fault_cloud import FaultCloud
from launch import ROOT, Logger, command, credentials, launch

from eelogger.simulator import Account

KEY = "c000~" + "5ec7e7" * 5 + "aa"
NEW_KEY = "c000~" + "5ec7e8" * 5 + "bb"
PASSWORD = "planted pass/word#1"
API_KEY = "planted-api-key"
PROXY_PASSWORD = "planted-proxy"
COOKIE = "planted-cookie"
SECRETS = (KEY, NEW_KEY, PASSWORD, API_KEY, PROXY_PASSWORD, COOKIE)
LOGIN = {"EEN_AUTH_KEY": "", "EEN_USERNAME": "ops@example.com", "EEN_PASSWORD": PASSWORD, "EEN_API_KEY": API_KEY}

LOUD = f"""
import logging, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from child import main
from eelogger import cli

class Loud(logging.Logger):
    def __init__(self, name):
        super().__init__(name, logging.DEBUG)

    def setLevel(self, level):
        super().setLevel(logging.DEBUG)

for name in list(logging.root.manager.loggerDict):
    logger = logging.getLogger(name)
    logger.__class__ = Loud
    logger.setLevel(logging.DEBUG)
logging.setLoggerClass(Loud)
sys.exit(main())
"""


def spellings(secret: str) -> set[str]:
    """How a secret may look somewhere: as it is, in an address, in JSON, in Basic authentication, in part."""
    basic = base64.b64encode(f"user:{secret}".encode()).decode().rstrip("=")
    return {secret, quote(secret, safe=""), secret.replace("/", "\\/"), basic, secret[len("c000~") :][:20]}


def found(text: str) -> set[str]:
    """The secrets that stand in a text."""
    return {secret for secret in SECRETS if any(spelled in text for spelled in spellings(secret))}


def leaks(root: Path, *texts: str) -> dict[str, set[str]]:
    """The secrets in all files below a directory, and in these texts."""
    seen = {str(p): p.read_bytes().decode("utf-8", "replace") for p in root.rglob("*") if p.is_file()}
    seen["printed"] = "\n".join(texts)
    return {name: found(text) for name, text in seen.items() if found(text)}


@asynccontextmanager
async def loudly(cloud: FaultCloud, place: Path, env: Mapping[str, str]) -> AsyncIterator[Logger]:
    """The program at its loudest, with many attempts in a short time; its files are in `place`/logs."""
    script = place / "loud.py"
    script.write_text(LOUD)
    more = {"PYTHONASYNCIODEBUG": "1", "CHILD_TIMING": "first_retry_s=0.05 longest_retry_s=0.2"}
    async with launch(cloud, place / "logs", "-vv", env=more | dict(env), script=script) as logger:
        yield logger


def plant(cloud: FaultCloud) -> None:
    cloud.auth_key, cloud.password, cloud.api_key = KEY, PASSWORD, API_KEY
    cloud.rest_headers = cloud.handshake_headers = {"Set-Cookie": f"tracker={COOKIE}; Path=/"}


async def until_asked(cloud: FaultCloud, path: str, count: int = 1) -> None:
    """Reset the connection, and wait for the next calls of that path."""
    before = len(cloud.calls)
    cloud.abort()
    async with asyncio.timeout(20):
        while sum(call.path_qs.endswith(path) for call in list(cloud.calls)[before:]) < count:
            await asyncio.sleep(0.02)


async def take_through_faults(cloud: FaultCloud, elsewhere: FaultCloud) -> AsyncIterator[str]:
    """Each fault in turn."""
    cloud.redirect_to = elsewhere.base_url
    await until_asked(cloud, "", count=2)
    cloud.redirect_to = None
    yield "list and handshake answer with a redirect"
    cloud.auth_key = NEW_KEY
    await cloud.request_error(401, "expired")
    yield "the key dies; a login brings another"
    cloud.garbage(b"\xff" * 20)
    yield "what comes is no WebSocket"
    cloud.handshake_status = 429
    await until_asked(cloud, "/Events")
    cloud.handshake_status = None
    yield "the handshake is answered with 429 and a cookie"
    cloud.list_status = 503
    await until_asked(cloud, "/list")
    cloud.list_status = None
    yield "the camera list is answered with 503 and a cookie"
    await cloud.close(1008)
    yield "the server has its rules"


async def test_no_secret_in_any_file_or_output(tmp_path: Path) -> None:
    """One run through redirects, refusals, garbage, a key that expires and the login that renews it."""
    async with FaultCloud(Account.of(cameras=2, rate=20)) as cloud, FaultCloud() as elsewhere:
        plant(cloud)
        async with loudly(cloud, tmp_path, LOGIN | {"EEN_AUTH_KEY": KEY}) as logger:
            await cloud.wait_subscribed(2)
            connects = cloud.connects
            async for fault in take_through_faults(cloud, elsewhere):
                await cloud.wait_connected(connects + 1, timeout_s=20)
                assert logger.process.returncode is None, fault
                connects = cloud.connects
            assert await logger.stop() == 0, logger.stderr
    assert (tmp_path / "logs" / "eelogger.log").exists()
    assert "DEBUG" in logger.stderr
    assert "logged in, a new session key is in use" in logger.stderr
    assert leaks(tmp_path / "logs", logger.stdout, logger.stderr) == {}
    assert all("A=" not in call.path_qs for call in cloud.calls)
    assert list(elsewhere.calls) == [], "another origin got nothing"


REFUSALS = {
    "key": {"EEN_AUTH_KEY": NEW_KEY},
    "login": LOGIN | {"EEN_API_KEY": API_KEY[:-1]},
    "proxy": {
        "EEN_AUTH_KEY": KEY,
        "EEN_BASE_URL": "https://cloud.example",
        "https_proxy": f"http://user:{PROXY_PASSWORD}/x@127.0.0.1:1",
    },
    "certificate": {"EEN_AUTH_KEY": KEY, "EEN_BASE_URL": "https://127.0.0.1:1"},
}


@pytest.mark.parametrize("how", REFUSALS)
async def test_no_secret_in_what_a_start_or_a_check_that_fails_says(
    cloud: FaultCloud, tmp_path: Path, how: str
) -> None:
    plant(cloud)
    async with loudly(cloud, tmp_path, REFUSALS[how]) as logger:
        with suppress(TimeoutError):  # what is retried goes on
            await logger.ended(2.5)
        code = await logger.stop()
    assert code == (77 if how in ("key", "login") else 0), logger.stderr
    assert leaks(tmp_path / "logs", logger.stdout, logger.stderr) == {}
    said = await asyncio.to_thread(
        command, "check", "-vv", "--log-dir", tmp_path / "check", cloud=cloud, env=REFUSALS[how]
    )
    assert said.code in (69, 77)
    assert leaks(tmp_path / "check", said.out, said.err) == {}


async def test_no_secret_in_what_a_command_says_and_writes(cloud: FaultCloud, tmp_path: Path) -> None:
    plant(cloud)
    env_file, logs, out = tmp_path / "my.env", tmp_path / "logs", tmp_path / "out"
    out.mkdir()
    env_file.write_text("".join(f"{name}={value!r}\n" for name, value in (LOGIN | {"EEN_AUTH_KEY": KEY}).items()))
    env_file.chmod(0o600)
    async with launch(cloud, logs, env_file=env_file, env={"EEN_AUTH_KEY": KEY}) as logger:
        await cloud.wait_subscribed(3)
        await cloud.emit(cloud.camera_ids()[0])
        event = await cloud.emit(cloud.camera_ids()[0])
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert await logger.stop() == 0
    said = [logger.stdout, logger.stderr]
    lines: list[tuple[int, list[str | Path]]] = [
        (0, ["check", "--log-dir", logs]),
        (2, ["status", "--log-dir", logs]),
        (0, ["report", "--html", out / "page.html", "--json", out / "figures.json", "--log-dir", logs]),
        (0, ["replay", logs, "--log-dir", out / "again"]),
        (0, ["login", "--log-dir", logs]),
    ]
    for expected, line in lines:
        env = {"EEN_BASE_URL": cloud.base_url} if "login" in line else credentials(cloud)
        answers = f"ops@example.com\n{PASSWORD}\n"
        ended = await asyncio.to_thread(command, *line, "-vv", env=env, env_file=env_file, stdin=answers)
        assert ended.code == expected, ended
        said += ended.out, ended.err
    assert leaks(logs, *said) == {}
    assert leaks(out) == {}


def test_the_planted_secrets_would_be_found() -> None:
    texts = [text for secret in SECRETS for text in spellings(secret)]
    assert [text for text in texts if not found(f"GET / HTTP/1.1 {text}\r\n")] == []
