"""REST calls over real sockets: what is sent, what comes back, and which way it goes."""

import asyncio
import json
import logging
import ssl
from collections.abc import Iterator

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
    caplog.set_level(logging.DEBUG)
    yield
    assert not [secret for secret in (KEY, PASSWORD, API_KEY) if secret in caplog.text]


async def test_credentials_and_agent_are_sent() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        answer = {"path": request.path_qs, "body": await request.text()}
        return web.json_response(answer, headers={"Set-Cookie": "other=1; Path=/", "X-Y": "z"})

    # By name: a cookie jar would take no cookie from an address, and the second request would show nothing.
    async with serve(handler) as server, Rest(settings_for(server.replace("127.0.0.1", "localhost"))) as rest:
        first = await rest.get("/g/device/list?a=%2F")
        second = await rest.call("/y", {"a": "ä"})
    assert json.loads(first.body) == {"path": "/g/device/list?a=%2F", "body": ""}
    assert json.loads(json.loads(second.body)["body"]) == {"a": "ä"}
    assert (first.cookies, first.headers["x-y"]) == ({"other": "1"}, "z")
    for request in seen:
        assert request.headers["Cookie"] == f"auth_key={KEY}; videobank_sessionid={KEY}"
        assert request.headers["Authentication"] == f"{API_KEY}:"
        assert request.headers["User-Agent"].startswith("eelogger/")
    assert KEY not in f"{first!r}{rest!r}{rest.settings!r}"


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
        await rest.call("/", {})
    assert [sample.date_us for sample in samples] == ([] if date_us is None else [date_us])
    for sample in samples:
        assert sample.sent_us <= sample.received_us < sample.sent_us + 30_000_000


async def test_a_body_has_a_bound_and_may_be_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BODY", 1 << 20)

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "gzip, deflate"
        answer = web.Response(body=b"x" * int(request.path[1:]))
        answer.enable_compression()
        return answer

    async with serve(handler) as server, Rest(settings_for(server)) as rest:
        assert len((await rest.get(f"/{1 << 20}")).body) == 1 << 20
        with pytest.raises(CloudError) as caught:
            await rest.get(f"/{(1 << 20) + 1}")
        assert caught.value.reason == "too-large"


# TLS and proxies; what goes wrong with them stands in test_failures


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


async def test_rest_and_events_come_through_a_proxy_that_sees_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its time is not the round trip: DNS, TCP and TLS would widen the bounds of the clock."""
    samples: list[DateSample] = []
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cloud.test").configure_cert(context)
    async with FaultCloud(Account.of(cameras=1), ssl=context) as cloud:
        proxy = Proxy(cloud.port)
        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setenv("ALL_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{port}")
            with authority.cert_pem.tempfile() as ca_file:
                environ = credentials(cloud) | {"EEN_BASE_URL": "https://cloud.test", "EEN_CA_FILE": ca_file}
                async with Rest(load(environ=environ), on_date=samples.append) as rest:
                    await rest.get("/g/device/list")
                async with session_on(cloud, environ):
                    await subscribed(cloud, 1)
    assert len(proxy.requests) == 3
    for request in proxy.requests:
        assert request.startswith(b"CONNECT cloud.test:443 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic " in request
        assert cloud.auth_key.encode() not in request
    assert samples[0].received_us - samples[0].sent_us < 300_000
