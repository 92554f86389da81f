"""REST calls over real sockets: what is sent, what comes back, and which way it goes."""

import asyncio
import json
import logging
import shutil
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from fault_cloud import FaultCloud
from launch import credentials
from sessions import session_on, subscribed
from sites import API_KEY, KEY, PASSWORD, serve, settings_for

from eelogger.cloud import rest as room
from eelogger.cloud.rest import Rest
from eelogger.errors import CloudError
from eelogger.model import DateSample
from eelogger.settings import load
from eelogger.simulator import Account

DATE = "Sun, 22 Nov 2026 09:07:20 GMT"
DATE_US = 1_795_338_440_000_000


@pytest.fixture(autouse=True)
def _no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    for name in ("", "aiohttp", "asyncio", "websockets"):  # a command run here before has set theirs
        caplog.set_level(logging.DEBUG, name)
    yield
    shown = "".join(f"{record.getMessage()}{record.exc_text}" for record in caplog.get_records("call"))
    assert not [secret for secret in (KEY, PASSWORD, API_KEY) if secret in shown]


async def test_credentials_and_agent_are_sent() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        answer = {"path": request.path_qs, "body": await request.text()}
        return web.json_response(answer, headers={"Set-Cookie": "other=1; Path=/"})

    # By name: a cookie jar would take no cookie from an address, and the second request would show nothing.
    async with serve(handler) as server, Rest(settings_for(server.replace("127.0.0.1", "localhost"))) as rest:
        first = await rest.call("/g/device/list?a=%2F")
        second = await rest.call("/y", {"a": "ä"})
    assert (first, rest.cookies) == ({"path": "/g/device/list?a=%2F", "body": ""}, {"other": "1"})
    assert json.loads(second["body"]) == {"a": "ä"}
    for request in seen:
        assert request.headers["Cookie"] == f"auth_key={KEY}; videobank_sessionid={KEY}"
        assert request.headers["Authentication"] == f"{API_KEY}:"
        assert request.headers["User-Agent"].startswith("eelogger/")
    assert KEY not in f"{rest!r}{rest.settings!r}"


@pytest.mark.parametrize(
    ("headers", "status", "date_us"),
    [
        *(({"Date": DATE}, 200, DATE_US), ({"Date": DATE}, 503, DATE_US), ({"Date": DATE, "Age": "30"}, 200, None)),
        *(({"Date": "yesterday"}, 200, None), ({"Date": "Sun, 99 Nov 2026 09:07:20 GMT"}, 200, None)),
    ],
)
async def test_dates_of_answers_are_handed_on(headers: dict[str, str], status: int, date_us: int | None) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    samples: list[DateSample] = []
    async with serve(handler) as server, Rest(settings_for(server), on_date=samples.append) as rest:
        with suppress(CloudError):
            await rest.call("/", {})
    assert [sample.date_us for sample in samples] == ([] if date_us is None else [date_us])
    for sample in samples:
        assert sample.sent_us <= sample.received_us < sample.sent_us + 30_000_000


async def test_a_body_has_a_bound_and_may_be_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BODY", 1 << 20)

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "gzip, deflate"
        answer = web.Response(body=b'"' + b"x" * (int(request.path[1:]) - 2) + b'"')
        answer.enable_compression()
        return answer

    async with serve(handler) as server, Rest(settings_for(server)) as rest:
        assert len(await rest.call(f"/{1 << 20}")) == (1 << 20) - 2
        with pytest.raises(CloudError) as caught:
            await rest.call(f"/{(1 << 20) + 1}")
        assert caught.value.reason == "too-large"


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 50_000, b"\xff\xfe\xff", b"[1,", b"1" * 5000])
async def test_what_is_no_json_is_none(body: bytes) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with serve(handler) as server, Rest(settings_for(server)) as rest:
        assert await rest.call("/") is None


class Proxy:
    """A CONNECT proxy that leads every name to one port of this machine, slowly."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while chunk := await source.read(1 << 16):
                target.write(chunk)
            target.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


@asynccontextmanager
async def tinyproxy(folder: Path, upstream: int) -> AsyncIterator[int]:
    """A real proxy that asks for a password, on the way to ours."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    rules = f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nBasicAuth user {PASSWORD}\n"
    (folder / "conf").write_text(f"{rules}Upstream http 127.0.0.1:{upstream}\n")
    process = await asyncio.create_subprocess_exec("tinyproxy", "-d", "-c", str(folder / "conf"))
    await asyncio.sleep(0.3)
    yield port
    process.terminate()
    await process.wait()


@pytest.mark.parametrize("kind", ["real", "http", "https"])
async def test_rest_and_events_come_through_a_proxy_that_sees_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """And its time is not the round trip: DNS, TCP and TLS would widen the bounds of the clock."""
    is_real, of_proxy = kind == "real", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if is_real and not shutil.which("tinyproxy"):
        pytest.skip("needs tinyproxy")
    samples: list[DateSample] = []
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cloud.test").configure_cert(context)
    authority.issue_cert("127.0.0.1").configure_cert(of_proxy)
    async with FaultCloud(Account.of(cameras=1), ssl=context) as cloud, AsyncExitStack() as stack:
        proxy, tls = Proxy(cloud.port), of_proxy if kind == "https" else None
        server = await stack.enter_async_context(await asyncio.start_server(proxy, "127.0.0.1", 0, ssl=tls))
        port = server.sockets[0].getsockname()[1]
        if is_real:
            port = await stack.enter_async_context(tinyproxy(tmp_path, port))
        scheme, password = ("http", PASSWORD) if is_real else (kind, f"{PASSWORD}%E2%82%AC")
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:{password}@127.0.0.1:{port}")
        ca_file = stack.enter_context(authority.cert_pem.tempfile())
        environ = credentials(cloud) | {"EEN_BASE_URL": "https://cloud.test", "EEN_CA_FILE": ca_file}
        async with Rest(load(environ=environ), on_date=samples.append) as rest:
            await rest.call("/g/device/list")
        async with session_on(cloud, environ):
            await subscribed(cloud, 1)
    assert len(proxy.requests) == 3
    for request in proxy.requests:
        assert request.startswith(b"CONNECT cloud.test:443 HTTP/1.")
        login = b64encode(f"user:{PASSWORD}€".encode())
        assert is_real or b"Proxy-Authorization: Basic " + login in request
        assert cloud.auth_key.encode() not in request
    assert samples[0].received_us - samples[0].sent_us < 300_000
