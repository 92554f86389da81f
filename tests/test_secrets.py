"""No key, password, API key or cookie leaves the program: planted, taken through every failure, and searched for.

Everything is told as loudly as it can be (`-vv`, all loggers at DEBUG, asyncio's debug mode); searched is every file
under the test's directory, what is printed, and what another origin gets to see.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import os
import re
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from running import ROOT, environment, line_in
from virtual import bare, credentials

from eelogger.errors import EeloggerError
from eelogger.net.opening import Connect
from eelogger.simulator import Cloud, World

KEY = "c000~" + "5ec7e7" * 5 + "aa"
NEW_KEY = "c000~" + "5ec7e8" * 5 + "bb"
PASSWORD = "planted pass/word#1"
API_KEY = "planted-api-key"
PROXY_PASSWORD = "planted-proxy"
COOKIE = "planted-cookie"
SECRETS = (KEY, NEW_KEY, PASSWORD, API_KEY, PROXY_PASSWORD, COOKIE)

LOUD = """
import logging, sys, time
sys.path.insert(0, sys.argv.pop(1))
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
from eelogger import backoff
backoff.SHORTEST_S, backoff.LONGEST_S = 0.05, 0.2  # many faults in a short time
sys.exit(cli.main(sys.argv[1:], time.time()))
"""


def spellings(secret: str) -> set[str]:
    """How a secret may look somewhere: as it is, in an address, in JSON, in Basic authentication, in part."""
    basic = base64.b64encode(f"user:{secret}".encode()).decode().rstrip("=")
    return {secret, quote(secret, safe=""), secret.replace("/", "\\/"), basic, secret[len("c000~") :][:20]}


def found(text: str) -> set[str]:
    """The secrets that stand in a text."""
    return {secret for secret in SECRETS if any(spelled in text for spelled in spellings(secret))}


def files(root: Path) -> dict[str, str]:
    """Everything below a directory."""
    return {str(p): p.read_bytes().decode("utf-8", "replace") for p in root.rglob("*") if p.is_file()}


class Loudly:
    """The program at its loudest, in a process of its own; `said` is all it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        out, err = await asyncio.wait_for(self.process.communicate(), 30)
        self.said = out.decode() + err.decode()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def loudly(cloud: Cloud, place: Path, env: Mapping[str, str]) -> AsyncIterator[Loudly]:
    """Start it."""
    (place / "loud.py").write_text(LOUD)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(place / "loud.py"), str(ROOT), "--env-file", os.devnull, "-vv"),
        env=environment(cloud, place / "logs", {"PYTHONASYNCIODEBUG": "1"} | dict(env)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Loudly(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def planted(cloud: Cloud) -> None:
    """The cloud's side of the secrets."""
    cloud.auth_key, cloud.password, cloud.api_key = KEY, PASSWORD, API_KEY
    cloud.rest_headers = {"Set-Cookie": f"tracker={COOKIE}; Path=/"}
    cloud.handshake_headers = {"Set-Cookie": f"tracker={COOKIE}; Path=/"}


LOGIN = {"EEN_AUTH_KEY": "", "EEN_USERNAME": "ops@example.com", "EEN_PASSWORD": PASSWORD, "EEN_API_KEY": API_KEY}


async def test_no_secret_in_any_file_or_output(tmp_path: Path) -> None:
    """One run through redirects, refusals, garbage, a key that expires and the login that renews it."""
    async with Cloud(World.of(cameras=2, rate=20), traffic=True) as cloud, Cloud(World.of()) as elsewhere:
        planted(cloud)
        async with loudly(cloud, tmp_path, LOGIN | {"EEN_AUTH_KEY": KEY}) as logger:
            await cloud.wait_subscribed(2)
            for fault in (redirected, expired, garbage, refused, unlisted, thrown_out):
                connects = cloud.connects
                await fault(cloud, elsewhere)
                await cloud.wait_connected(connects + 1, timeout_s=20)
            logger.process.terminate()
            assert await logger.ended() == 0, logger.said
    seen = files(tmp_path / "logs")
    assert "eelogger.log" in "".join(seen)
    assert "DEBUG" in logger.said, "it was loud"
    assert "logged in, a new session key is in use" in logger.said, "there was a secret to be kept"
    assert {name: found(text) for name, text in seen.items() if found(text)} == {}
    assert found(logger.said) == set()
    assert all("A=" not in call.path_qs for call in cloud.calls)
    assert list(elsewhere.calls) == [], "another origin got nothing"


async def redirected(cloud: Cloud, elsewhere: Cloud) -> None:
    """List and handshake answer with a redirect, once each."""
    before = len(cloud.calls)
    cloud.redirect_to = elsewhere.base_url
    cloud.abort()
    async with asyncio.timeout(20):
        while len(cloud.calls) < before + 2:
            await asyncio.sleep(0.02)
    cloud.redirect_to = None


async def expired(cloud: Cloud, elsewhere: Cloud) -> None:
    """The key dies; a login brings another."""
    cloud.auth_key = NEW_KEY
    await cloud.send({"status_code": 401, "message": "expired", "data": {}})


async def garbage(cloud: Cloud, elsewhere: Cloud) -> None:
    """What comes is no WebSocket."""
    cloud.garbage(b"\xff" * 20)


async def refused(cloud: Cloud, elsewhere: Cloud) -> None:
    """The handshake is answered with 429 and a cookie."""
    cloud.handshake_status = 429
    await seen(cloud, "/Events")
    cloud.handshake_status = None


async def unlisted(cloud: Cloud, elsewhere: Cloud) -> None:
    """The camera list is answered with 503 and a cookie."""
    cloud.list_status = 503
    await seen(cloud, "/list")
    cloud.list_status = None


async def thrown_out(cloud: Cloud, elsewhere: Cloud) -> None:
    """The server has its rules."""
    await cloud.close(1008)


async def seen(cloud: Cloud, path: str) -> None:
    """Reset the connection, and wait for the next call of that path."""
    before = len(cloud.calls)
    cloud.abort()
    async with asyncio.timeout(20):
        while not any(call.path_qs.endswith(path) for call in list(cloud.calls)[before:]):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["key", "login", "proxy", "certificate"])
async def test_no_secret_in_what_a_refused_start_says(tmp_path: Path, how: str) -> None:
    async with Cloud(World.of(cameras=1)) as cloud:
        planted(cloud)
        env = {
            "key": {"EEN_AUTH_KEY": NEW_KEY},
            "login": LOGIN | {"EEN_API_KEY": API_KEY[:-1]},
            "proxy": {
                "EEN_AUTH_KEY": KEY,
                "EEN_BASE_URL": "https://cloud.example",
                "https_proxy": f"http://user:{PROXY_PASSWORD}/x@127.0.0.1:1",
            },
            "certificate": {"EEN_AUTH_KEY": KEY, "EEN_BASE_URL": cloud.base_url.replace("http:", "https:")},
        }[how]
        async with loudly(cloud, tmp_path, env) as logger:
            if how in ("proxy", "certificate"):
                await line_in(tmp_path / "logs" / "eelogger.log", "trying again", 30)
                logger.process.terminate()
            code = await logger.ended()
    assert code == (77 if how in ("key", "login") else 0)
    assert {name: found(text) for name, text in files(tmp_path / "logs").items() if found(text)} == {}
    assert found(logger.said) == set()


# In this process: what an exception, a task or a warning would show


async def test_no_secret_in_any_exception_or_repr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    asyncio.get_running_loop().set_debug(True)
    async with Cloud(World.of(cameras=1)) as cloud:
        planted(cloud)
        environ = credentials(cloud) | LOGIN
        async with bare(cloud, environ) as logger:
            await cloud.wait_subscribed(1)
            shown = [
                repr(thing) for thing in (logger, logger.session, logger.stream, logger.keys, logger.stream.connection)
            ]
            shown += [repr(task) for task in asyncio.all_tasks()]
            cloud.handshake_status = 403
            cloud.rest_status["/g/aaa/isauth"] = 401
            cloud.api_key = "another"
            cloud.abort()
            with pytest.raises(EeloggerError) as caught:
                await logger.task
    shown += traceback.format_exception(caught.value)
    gc.collect()
    shown += [repr(complaint) for complaint in complaints]
    # The cloud's own lines (aiohttp's server, asyncio's sockets) are not ours to judge, but these are told here too.
    shown += [record.getMessage() for record in caplog.records]
    assert found("\n".join(shown)) == set()


async def test_the_library_never_logs_a_header_whatever_level_is_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "eelogger.websocket")
    async with Cloud(World.of(cameras=1)) as cloud:
        planted(cloud)
        async with Connect(cloud.events_url, {"Cookie": f"auth_key={KEY}"}) as connection:
            await connection.send('{"cameras": {}}')
            await (await connection.ping())
    assert [record for record in caplog.records if record.name == "eelogger.websocket"] == []


def test_the_planted_secrets_would_be_found() -> None:
    for secret in SECRETS:
        for text in spellings(secret):
            assert found(f"GET / HTTP/1.1 {text}\r\n") != set(), text
    assert found("nothing here c000~") == set()


# The settings file


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o644, True)])
async def test_a_settings_file_open_to_others_is_warned_about(tmp_path: Path, mode: int, warned: bool) -> None:
    env_file = tmp_path / "my.env"
    env_file.write_text(f"EEN_AUTH_KEY={KEY}\n")
    env_file.chmod(mode)
    async with Cloud(World.of(cameras=1), auth_key=KEY) as cloud:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "app.py"), "--env-file", str(env_file), "--seconds", "1"),
            env=environment(cloud, tmp_path / "logs", {"EEN_AUTH_KEY": ""}),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        logger = Loudly(process)
        assert await logger.ended() == 0
    assert (re.search(r"chmod 600 \S*my\.env", logger.said) is not None) == warned, logger.said
    assert found(logger.said) == set()
