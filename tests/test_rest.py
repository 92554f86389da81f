"""REST, camera list and login over real sockets: each failure its error, and no secret anywhere but at our origin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from eelogger.cameras import CameraList, ListGuard, get_cameraids, parse_device_list
from eelogger.errors import (
    CertificateRefused,
    CloudError,
    EeloggerError,
    KeyRefused,
    LoginRefused,
    NoCamera,
    SettingsError,
)
from eelogger.model import Camera, DateSample
from eelogger.net import answer, rest_errors, tls
from eelogger.net.auth import Credentials, is_authorised, login
from eelogger.net.rest import Rest
from eelogger.settings import Settings, load

KEY = "c000~" + "0" * 31 + "7"
PASSWORD = "planted-password"
API_KEY = "planted-api-key"
CODE = "planted-123456"
TOKEN = "planted-token"
PROXY_PASSWORD = "planted-proxy-password"
SECRETS = (KEY, PASSWORD, API_KEY, CODE, TOKEN, PROXY_PASSWORD)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every test runs at DEBUG and without the proxies of this machine; nothing logged holds a secret."""
    for name in ("http", "https", "ws", "wss", "socks", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    caplog.set_level(logging.DEBUG)
    yield
    assert not [secret for secret in SECRETS if secret in caplog.text]


@contextlib.asynccontextmanager
async def serve(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback that answers every path by `handler`; yields its origin."""
    server = web.Server(handler)  # type: ignore[arg-type]
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield f"{'https' if context else 'http'}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await server.shutdown()


@contextlib.asynccontextmanager
async def serve_bytes(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A server on loopback that says what `talk` writes, HTTP or not; yields its port."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def settings_for(base: str, **more: str) -> Settings:
    named = {f"EEN_{name.upper()}": value for name, value in more.items()}
    return load(
        {"EEN_BASE_URL": base.rstrip("/"), "EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": KEY, "EEN_API_KEY": API_KEY} | named,
        None,
    )


def told(error: BaseException) -> str:
    """All that an exception can show, its whole chain included; asserts that it holds no secret."""
    text, link = "", error
    while link is not None:
        text += f"{link!s}\n{link!r}\n{vars(link)}\n" + "".join(traceback.format_exception(link, chain=True))
        link = link.__cause__ or link.__context__  # type: ignore[assignment]
    assert not [secret for secret in SECRETS if secret in text]
    return text


async def fails(kind: type[EeloggerError], call: Awaitable[Any]) -> Any:
    with pytest.raises(kind) as caught:
        await call
    told(caught.value)
    assert caught.value.hint
    return caught.value


async def get(base: str, path: str = "/x", **more: str) -> answer.Answer:
    async with Rest(settings_for(base, **more)) as rest:
        return await rest.get(path)


# --- what is sent, what comes back


async def test_credentials_and_agent_are_sent() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"path": request.path_qs}, headers={"Set-Cookie": "other=1; Path=/"})

    # By name: a cookie jar would take no cookie from an address, and the second request would show nothing.
    async with serve(handler) as server, Rest(settings_for(server.replace("127.0.0.1", "localhost"))) as rest:
        found = await rest.get("/g/device/list?a=%2F")
        await rest.post("/y", {"a": "ä"})
    assert json.loads(found.body) == {"path": "/g/device/list?a=%2F"}
    assert found.cookies == {"other": "1"}
    for request in seen:
        assert request.headers["Cookie"] == f"auth_key={KEY}; videobank_sessionid={KEY}"
        assert request.headers["Authentication"] == f"{API_KEY}:"
        assert request.headers["User-Agent"].startswith("eelogger/")
    assert KEY not in f"{found!r}{rest!r}{rest.settings!r}"


async def test_nothing_is_sent_that_is_not_set() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert "Cookie" not in request.headers
        assert "Authentication" not in request.headers
        return web.Response()

    async with serve(handler) as server:
        base = server.rstrip("/")
        login_only = load({"EEN_BASE_URL": base, "EEN_USERNAME": "ops", "EEN_PASSWORD": PASSWORD}, None)
        async with Rest(login_only) as rest:
            await rest.get("/")


DATE = "Sun, 22 Nov 2026 09:07:20 GMT"
DATE_US = 1_795_338_440_000_000


@pytest.mark.parametrize(
    ("headers", "status", "date_us"),
    [
        ({"Date": DATE}, 200, DATE_US),
        ({"Date": DATE}, 503, DATE_US),
        ({"Date": DATE, "Age": "30"}, 200, None),
        ({"Date": "yesterday"}, 200, None),
        ({"Date": "Sun, 99 Nov 2026 09:07:20 GMT"}, 200, None),
        ({"Date": "Sun, 22 Nov 2026 09:07:20 -0000"}, 200, DATE_US),
    ],
)
async def test_dates_of_answers_are_handed_on(headers: dict[str, str], status: int, date_us: int | None) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    samples: list[DateSample] = []
    async with serve(handler) as server, Rest(settings_for(server), on_date=samples.append) as rest:
        await rest.request("GET", "/")
    assert [sample.date_us for sample in samples] == ([] if date_us is None else [date_us])
    for sample in samples:
        assert sample.sent_us <= sample.received_us < sample.sent_us + 30_000_000


async def test_round_trip_leaves_out_the_time_to_connect() -> None:
    """The stamp is taken when the connection stands, else DNS, TCP and TLS would widen the clock's bounds."""
    accepted = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not accepted.is_set():
            accepted.set()
            await asyncio.sleep(0.2)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            return await pipe(reader, writer, *await asyncio.open_connection("127.0.0.1", URL(origin).port))
        return None

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    samples: list[DateSample] = []
    ca, server_context = certificates("cloud.test")
    async with serve(handler, server_context) as origin, serve_bytes(talk) as port:
        with proxies(https_proxy=f"http://127.0.0.1:{port}"), ca.cert_pem.tempfile() as ca_file:
            async with Rest(settings_for("https://cloud.test", ca_file=ca_file), on_date=samples.append) as rest:
                await rest.get("/")
    assert samples[0].received_us - samples[0].sent_us < 200_000


# --- statuses


async def raise_status(status: int, headers: Mapping[str, str]) -> Any:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, text=f"secret is {KEY}")

    async with serve(handler) as server:
        kind = KeyRefused if status in (401, 403) else CloudError
        return await fails(kind, get(server))


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key(status: int) -> None:
    error = await raise_status(status, {"Set-Cookie": f"auth_key={KEY}"})
    assert error.exit_code == 77
    assert "app.py login" in error.hint


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        *((status, "EEN_BRANDING") for status in (400, 404)),
        *((status, "cloud") for status in (408, 460, 465, 500, 502, 503, 504, 304)),
        (402, "owner"),
        (429, "again"),
    ],
)
async def test_statuses_that_may_pass(status: int, hint: str) -> None:
    error = await raise_status(status, {})
    assert (error.status, error.retry_after_s) == (status, None)
    assert str(status) in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("-5", None),
        ("1" * 5000, None),
        ("soon", None),
        (DATE, 0.0),
        ("Sun, 22 Nov 2026 09:09:20 GMT", 120.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
async def test_retry_after(text: str, seconds: float | None) -> None:
    error = await raise_status(503, {"Retry-After": text, "Date": DATE})
    assert error.retry_after_s == seconds


async def test_retry_after_without_a_date_goes_by_the_local_clock() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        writer.write(f"HTTP/1.1 429 X\r\nRetry-After: {until}\r\nContent-Length: 0\r\n\r\n".encode())

    async with serve_bytes(talk) as port:
        error = await fails(CloudError, get(f"http://127.0.0.1:{port}"))
    assert 90 < error.retry_after_s <= 100


# --- answers that are none


def says(text: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "closed the connection"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "cannot be decoded"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not answer in HTTP"),
    ],
    ids=["nothing", "no HTTP", "endless header", "half", "bad gzip", "bad chunk"],
)
async def test_answers_that_are_none(text: bytes, message: str) -> None:
    async with serve_bytes(says(text)) as port:
        error = await fails(CloudError, get(f"http://127.0.0.1:{port}"))
    assert message in str(error)
    assert error.status is None


async def test_a_body_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "MAX_BODY", 1 << 20)
    async with serve_bytes(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * ((1 << 20) + 1))) as port:
        assert "larger" in str(await fails(CloudError, get(f"http://127.0.0.1:{port}")))
    async with serve_bytes(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20))) as port:
        assert len((await get(f"http://127.0.0.1:{port}")).body) == 1 << 20


async def test_nobody_listens() -> None:
    async with serve_bytes(says(b"")) as port:
        pass
    assert "cannot connect" in str(await fails(CloudError, get(f"http://127.0.0.1:{port}")))


async def test_a_name_that_does_not_exist() -> None:
    assert "cannot find" in str(await fails(CloudError, get("https://no-such-host.invalid")))


async def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    released = asyncio.Event()

    async def talk(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await released.wait()

    monkeypatch.setattr("eelogger.net.rest.TIMEOUT", aiohttp.ClientTimeout(total=0.1))
    async with serve_bytes(talk) as port:
        assert "no answer" in str(await fails(CloudError, get(f"http://127.0.0.1:{port}")))
        released.set()


# --- redirects


async def test_redirects_within_our_origin_are_followed_with_the_key() -> None:
    async def handler(request: web.Request) -> web.Response:
        step = int(request.path.strip("/"))
        assert request.cookies["auth_key"] == KEY
        if step < 3:
            return web.Response(status=302, headers={"Location": f"/{step + 1}"})
        return web.Response(text="there")

    async with serve(handler) as server:
        base = server
        assert (await get(base, "/0")).body == b"there"


async def test_redirects_in_circles_end() -> None:
    calls = []

    async def handler(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(status=307, headers={"Location": "/x"})

    async with serve(handler) as server:
        assert "circles" in str(await fails(CloudError, get(server)))
    assert len(calls) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_redirects_to_another_origin_are_not_followed(status: int, method: str) -> None:
    asked: list[web.Request] = []

    async def other(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response()

    async with serve(other) as elsewhere:

        async def handler(_: web.Request) -> web.Response:
            location = f"{elsewhere}/?A={KEY}"
            return web.Response(status=status, headers={"Location": location})

        async with serve(handler) as server, Rest(settings_for(server)) as rest:
            call = rest.get("/x") if method == "GET" else rest.post("/x", {"password": PASSWORD})
            error = await fails(CloudError, call)
    assert asked == []
    assert error.status == status


@pytest.mark.parametrize(
    "location",
    ["//127.0.0.2/", "http://u:p@{host}/", "https://{host}/", "javascript:x", "http://[::zz/", "http://\u202eevil/"],
)
async def test_redirects_that_only_look_like_ours(location: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location.format(host=request.host)})

    async with serve(handler) as server:
        error = await fails(CloudError, get(server))
    assert "not followed" in str(error)
    assert str(error).isascii()


# --- certificates


def certificates(*names: str, **more: Any) -> tuple[trustme.CA, ssl.SSLContext]:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, **more).configure_cert(context)
    return ca, context


async def ok(_: web.BaseRequest) -> web.Response:
    return web.Response(text="[]")


async def test_own_certificate_authority() -> None:
    ca, context = certificates("127.0.0.1")
    async with serve(ok, context) as origin:
        with ca.cert_pem.tempfile() as ca_file:
            assert (await get(origin, ca_file=ca_file)).body == b"[]"


@pytest.mark.parametrize(
    ("names", "more", "trusted", "hint"),
    [
        (["127.0.0.1"], {}, False, "EEN_CA_FILE"),
        (["elsewhere.test"], {}, True, "EEN_BRANDING"),
        (["127.0.0.1"], {"not_after": "past"}, True, "date and time"),
        (["127.0.0.1"], {"not_before": "future"}, True, "date and time"),
    ],
    ids=["unknown CA", "other name", "expired", "not yet valid"],
)
async def test_certificates_that_do_not_verify(
    names: list[str], more: dict[str, str], trusted: bool, hint: str
) -> None:
    now = datetime.now(UTC)
    span = {"past": now - timedelta(days=1), "future": now + timedelta(days=1)}
    ca, context = certificates(*names, **{name: span[when] for name, when in more.items()})
    other = trustme.CA()
    async with serve(ok, context) as origin:
        with (ca if trusted else other).cert_pem.tempfile() as ca_file:
            error = await fails(CertificateRefused, get(origin, ca_file=ca_file))
    assert hint in error.hint
    assert error.exit_code == 77


async def test_no_tls_at_the_other_end() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
        await writer.drain()

    async with serve_bytes(talk) as port:
        assert "TLS" in str(await fails(CloudError, get(f"https://127.0.0.1:{port}")))


def test_the_context_is_built_once_and_anew_for_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    settings = settings_for("https://x", ca_file=str(file))
    first = tls.tls_context(settings)
    assert tls.tls_context(settings) is first
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.check_hostname
    trustme.CA().cert_pem.write_to_path(file)
    assert tls.tls_context(settings) is not first
    file.unlink()
    with pytest.raises(SettingsError, match="EEN_CA_FILE"):
        tls.tls_context(settings)


# --- proxies


@contextlib.contextmanager
def proxies(**environ: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield


async def pipe(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(1 << 16):
            sink.write(chunk)
        sink.close()

    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True)


class Proxy:
    """A CONNECT proxy that leads every name to one port of this machine, after `status`."""

    def __init__(self, origin: str = "", status: int = 200) -> None:
        self.port = URL(origin).port
        self.status = status
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {self.status} said the proxy\r\n\r\n".encode())
        if self.status == 200:
            await pipe(reader, writer, *await asyncio.open_connection("127.0.0.1", self.port))


async def test_a_proxy_from_the_environment_sees_no_key() -> None:
    asked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.cookies["auth_key"])
        return web.Response(text="[]")

    ca, context = certificates("cloud.test")
    async with serve(handler, context) as origin:
        proxy = Proxy(origin)
        async with serve_bytes(proxy) as port:
            with (
                proxies(https_proxy=f"http://user:{PROXY_PASSWORD}@127.0.0.1:{port}"),
                ca.cert_pem.tempfile() as ca_file,
            ):
                assert (await get("https://cloud.test", ca_file=ca_file)).body == b"[]"
    assert asked == [KEY]
    (request,) = proxy.requests
    assert request.startswith(b"CONNECT cloud.test:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " in request
    assert not [secret for secret in (KEY, API_KEY) if secret.encode() in request]


async def test_loopback_and_no_proxy_go_straight() -> None:
    proxy = Proxy()
    async with serve_bytes(proxy) as port, serve(ok) as server:
        address = f"http://127.0.0.1:{port}"
        with proxies(http_proxy=address, https_proxy=address):
            assert (await get(server)).body == b"[]"
        with proxies(https_proxy=address, no_proxy="cloud.invalid"):
            await fails(CloudError, get("https://cloud.invalid"))
    assert proxy.requests == []


@pytest.mark.parametrize(("status", "message"), [(407, "407"), (403, "403"), (502, "502")])
async def test_a_proxy_that_refuses_is_not_a_refused_key(status: int, message: str) -> None:
    async with serve_bytes(Proxy(status=status)) as port:
        with proxies(https_proxy=f"http://user:{PROXY_PASSWORD}@127.0.0.1:{port}"):
            error = await fails(CloudError, get("https://cloud.test"))
    assert message in str(error)
    assert "HTTPS_PROXY" in error.hint


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        (f"http://user:{PROXY_PASSWORD}@127.0.0.1:1", "cannot reach the proxy"),
        (f"socks5h://user:{PROXY_PASSWORD}@127.0.0.1:1", "neither http nor https"),
        (f"http://user:{PROXY_PASSWORD}@[::zz", "malformed"),
    ],
)
async def test_proxies_that_cannot_work(proxy: str, message: str) -> None:
    with proxies(https_proxy=proxy):
        assert message in str(await fails(CloudError, get("https://cloud.test")))


def test_every_failure_has_a_message_and_a_hint() -> None:
    error = rest_errors.failure(RuntimeError(KEY), "host")
    assert "RuntimeError" in told(error)
    assert error.hint


# --- the camera list


def row(
    esn: object, name: object = "Door", kind: object = "camera", pairs: object = None, status: object = "ATTD"
) -> Any:
    pairs = [["100bb001", "ATTD"]] if pairs is None else pairs
    return ["00000001", esn, name, kind, pairs, status, *[None] * 21]


def test_what_a_row_says() -> None:
    found = parse_device_list(
        json.dumps(
            [
                row("100e1e23", "Front Door"),
                row("100e1e24", None, pairs=[["100bb001", "IGND"], ["100bb002", "ATTD"]]),
                row("100e1e25", 5, pairs=[["100bb001", "IGND"], "x", [5], []]),
                row("100E1E26", "", pairs="none"),
                row("100e1e23", "again"),
                row("100E1E23", "again, other case"),
                row("100bb001", "Site A", "bridge"),
                row("100e1e27", kind="doorbell"),
                row("100e1e28", status="IDLE"),
                row("100e1e29", status=None),
                row("../../etc"),
                row("100e1e2"),
                row(5),
                row(None, kind=None),
                ["00000001", "100e1e2a", "short", "camera"],
                [],
                None,
                {"a": 1},
                "100e1e23",
            ]
        )
    )
    assert found == CameraList(
        cameras={
            "100e1e23": Camera("100e1e23", "Front Door", "100bb001"),
            "100e1e24": Camera("100e1e24", "", "100bb002"),
            "100e1e25": Camera("100e1e25", "", "100bb001"),
            "100E1E26": Camera("100E1E26", "", ""),
        },
        bridges={"100bb001": "Site A"},
        skipped={
            "repeated": 2,
            "bridge": 1,
            "other-device": 1,
            "not-attached": 2,
            "bad-id": 4,
            "short-row": 2,
            "not-a-row": 3,
        },
    )


NAMES = [
    "x" * 300,
    "a/b\\c",
    "\x1b[2J\r\n\x00",
    "\u202egnp.exe",
    "...",
    "CON",
    "NUL.txt",
    "processed_event",
    "\ud800",
    "  ",
]


def test_any_name_is_kept_as_it_is_for_paths_to_judge() -> None:
    rows = [row(f"{number:08x}", name) for number, name in enumerate(NAMES)]
    twins = [row("aaaaaaaa", "twin"), row("bbbbbbbb", "twin")]
    found = parse_device_list(json.dumps(rows + twins)).cameras
    assert [camera.name for camera in found.values()] == [*NAMES, "twin", "twin"]
    assert parse_device_list(json.dumps([row("uuids", "processed_event")])).skipped == {"bad-id": 1}
    (huge,) = parse_device_list(json.dumps([row("aaaaaaaa", "x" * 1_000_000)])).cameras.values()
    assert len(huge.name) == 1000


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"null", b"5", b'"x"', b"[" * 50_000, b"\xff\xfe\xff", b"[1,", b"1" * 5000, "\ud800"],
)
def test_what_is_no_list(body: bytes | str) -> None:
    with pytest.raises(CloudError) as caught:
        parse_device_list(body)
    assert caught.value.hint


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["camera", "ATTD", "100e1e23"]),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=40,
)
ROWS = st.lists(JSON | st.tuples(JSON, JSON, JSON, JSON, JSON, JSON).map(list), max_size=4)


@given(JSON | ROWS)
def test_any_json_is_a_list_or_a_cloud_error(value: Any) -> None:
    with contextlib.suppress(CloudError):
        found = parse_device_list(json.dumps(value))
        assert len(found.cameras) + sum(found.skipped.values()) == len(value)
        assert all(camera.id == esn and isinstance(camera.name, str) for esn, camera in found.cameras.items())


@given(st.binary() | st.text())
def test_any_body_is_a_list_or_a_cloud_error(body: bytes | str) -> None:
    with contextlib.suppress(CloudError):
        parse_device_list(body)


async def cameras_of(rows: list[Any], **more: str) -> dict[str, Camera]:
    async def handler(request: web.Request) -> web.Response:
        assert (request.path, request.cookies["auth_key"]) == ("/g/device/list", KEY)
        return web.json_response(rows)

    async with serve(handler) as server:
        return await get_cameraids("c000", KEY, settings=settings_for(server, **more))


FLEET = [
    row("100e1e23", "Front Door"),
    row("100e1e24", "Back Door", pairs=[["100bb002", "ATTD"]]),
    row("100bb001", "Site A", "bridge"),
    row("100bb002", "Site B", "bridge"),
]


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, {"100e1e23", "100e1e24"}),
        ({"cameras": "front*"}, {"100e1e23"}),
        ({"cameras": "100e1e24"}, {"100e1e24"}),
        ({"bridges": "100bb001"}, {"100e1e23"}),
        ({"bridges": "site b"}, {"100e1e24"}),
    ],
)
async def test_the_settings_filter(more: dict[str, str], kept: set[str]) -> None:
    assert set(await cameras_of(FLEET, **more)) == kept


@pytest.mark.parametrize(
    ("rows", "more", "hint"),
    [
        ([], {}, "nothing"),
        ([row("100e1e23", status="IDLE"), row("100bb001", kind="bridge")], {}, "1 bridge, 1 not-attached"),
        (FLEET, {"cameras": "nobody"}, "2 cameras that EEN_CAMERAS and EEN_BRIDGES leave out"),
    ],
)
async def test_no_camera_is_left(rows: list[Any], more: dict[str, str], hint: str) -> None:
    error = await fails(NoCamera, cameras_of(rows, **more))
    assert hint in error.hint
    assert error.exit_code == 69


async def test_the_promised_call_works_by_itself() -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.json_response(FLEET)

    ca, context = certificates("c000.eagleeyenetworks.com")
    async with serve(handler, context) as origin:
        proxy = Proxy(origin)
        async with serve_bytes(proxy) as port:
            with proxies(https_proxy=f"http://127.0.0.1:{port}"):
                # Without settings there is no EEN_CA_FILE: that our CA is refused shows that it is verified.
                await fails(CertificateRefused, get_cameraids("c000", KEY))
                with ca.cert_pem.tempfile() as ca_file:
                    environ = {"EEN_BRANDING": "c000", "EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": "k"}
                    settings = load(environ | {"EEN_CA_FILE": ca_file}, None)
                    assert len(await get_cameraids("c000", KEY, settings=settings)) == 2
    assert b"CONNECT c000.eagleeyenetworks.com:443" in proxy.requests[0]
    with pytest.raises(SettingsError):
        await get_cameraids("c000.evil/", KEY)


def fleet(*numbers: int) -> dict[str, Camera]:
    return {f"{number:08x}": Camera(f"{number:08x}", "") for number in numbers}


@pytest.mark.parametrize(
    ("lists", "believed"),
    [
        ([fleet()], [True]),
        ([fleet(*range(10)), fleet(*range(8))], [True, True]),
        ([fleet(*range(10)), fleet(*range(7)), fleet(*range(7))], [True, False, True]),
        ([fleet(*range(10)), fleet(), fleet()], [True, False, True]),
        ([fleet(*range(10)), fleet(), fleet(*range(10)), fleet()], [True, False, True, False]),
        ([fleet(*range(10)), fleet(), fleet(*range(5))], [True, False, True]),
        ([fleet(*range(10)), fleet(*range(5)), fleet(), fleet()], [True, False, False, True]),
        ([fleet(*range(10)), fleet(*range(5)), fleet(*range(5, 10)), fleet(*range(5, 10))], [True, False, False, True]),
        ([fleet(1), fleet(2)], [True, True]),
        ([fleet(), fleet(1)], [True, True]),
    ],
)
def test_a_list_that_shrinks_is_believed_when_the_next_agrees(
    lists: list[dict[str, Camera]], believed: list[bool]
) -> None:
    guard = ListGuard()
    expected = None
    for new, yes in zip(lists, believed, strict=True):
        assert guard.accept(new) == (new if yes else None)
        expected = new if yes else expected
        assert guard.cameras == expected


# --- the key, and logging in


@pytest.mark.parametrize(("status", "good"), [(200, True), (204, True), (401, False), (403, False)])
async def test_isauth(status: int, good: bool) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.path == "/g/aaa/isauth"
        return web.Response(status=status)

    async with serve(handler) as server, Rest(settings_for(server)) as rest:
        assert await is_authorised(rest) is good


async def test_isauth_that_cannot_be_told() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "7"})

    async with serve(handler) as server, Rest(settings_for(server)) as rest:
        assert (await fails(CloudError, is_authorised(rest))).retry_after_s == 7


class LoginServer:
    """The login as documented; attributes make it misbehave."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.factor: dict[str, str] = {}
        self.user: Any = {"active_account_id": "00012345", "active_brand_subdomain": "C000"}
        self.cookies = {"auth_key": KEY}
        self.token: Any = TOKEN
        self.calls: list[tuple[str, Any]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        step = request.path.removeprefix("/g/aaa/")
        body = await request.json()
        self.calls.append((step, body))
        assert "Cookie" not in request.headers
        assert request.headers["Authentication"] == f"{API_KEY}:"
        if step in self.statuses:
            return web.Response(status=self.statuses[step], text=KEY)
        if step == "authenticate":
            if body != {"username": "ops", "password": PASSWORD}:
                return web.Response(status=401)
            more = {"two_factor_authentication_code": self.factor} if self.factor else {}
            return web.json_response({"token": self.token} | more)
        if step == "authorize":
            assert body["token"] == TOKEN
            if self.factor and body.get("two_factor_authentication_code") != CODE:
                return web.Response(status=406)
            user = web.json_response(self.user)
            for name, value in self.cookies.items():
                user.set_cookie(name, value, httponly=True)
            return user
        assert body == {"token": TOKEN, "two_factor_authentication_type": "sms"}
        return web.json_response({})


class Person:
    """Chooses SMS and enters these codes, one after the other."""

    def __init__(self, *codes: str, choice: str = "sms") -> None:
        self.codes = list(codes)
        self.choice = choice
        self.choices: Mapping[str, str] = {}
        self.attempts: list[int] = []

    async def choose(self, choices: Mapping[str, str]) -> str:
        self.choices = choices
        return self.choice

    async def code(self, attempt: int) -> str:
        self.attempts.append(attempt)
        return self.codes.pop(0)


async def log_in(server: LoginServer, person: Person | None = None, password: str = PASSWORD) -> Credentials:
    async with serve(server) as site:
        return await login(settings_for(site), "ops", password, person)


async def test_login() -> None:
    server = LoginServer()
    found = await log_in(server)
    assert found == Credentials("c000", "00012345", KEY)
    assert KEY not in repr(found)
    assert [step for step, _ in server.calls] == ["authenticate", "authorize"]


async def test_login_takes_the_older_cookie_too() -> None:
    server = LoginServer()
    server.cookies = {"videobank_sessionid": KEY, "auth_key": ""}
    assert (await log_in(server)).auth_key == KEY


@pytest.mark.parametrize("step", ["authenticate", "authorize"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 412, 460, 461, 462])
async def test_a_refused_login(step: str, status: int) -> None:
    server = LoginServer()
    server.statuses[step] = status
    assert (await fails(LoginRefused, log_in(server))).exit_code == 77


async def test_a_wrong_password() -> None:
    await fails(LoginRefused, log_in(LoginServer(), password="wrong"))


@pytest.mark.parametrize("status", [404, 429, 500, 503])
async def test_a_login_that_may_pass(status: int) -> None:
    server = LoginServer()
    server.statuses["authenticate"] = status
    assert (await fails(CloudError, log_in(server))).status == status


@pytest.mark.parametrize(
    "change",
    [
        {"token": None},
        {"token": 5},
        {"cookies": {}},
        {"cookies": {"auth_key": "a b"}},
        {"user": []},
        {"user": {"active_account_id": "../x"}},
        {"user": {"active_account_id": "1", "active_brand_subdomain": "evil.test/"}},
    ],
)
async def test_login_answers_that_lack_something(change: dict[str, Any]) -> None:
    server = LoginServer()
    vars(server).update(change)
    await fails(CloudError, log_in(server))


async def test_login_with_a_second_factor() -> None:
    server, person = LoginServer(), Person("wrong", f" {CODE} ")
    server.factor = {"sms": "*** 779\x1b[2J", "email": "***@x", "pigeon": "y"}
    assert (await log_in(server, person)).auth_key == KEY
    assert person.choices == {"sms": "*** 779[2J", "email": "***@x"}
    assert person.attempts == [1, 2]
    assert [step for step, _ in server.calls] == [
        "authenticate",
        "two_factor_authenticate",
        "authorize",
        "authorize",
    ]


@pytest.mark.parametrize(
    ("person", "calls"),
    [
        (None, 1),
        (Person(choice=""), 1),
        (Person("a", "b", "c"), 5),
        (Person(""), 2),
    ],
    ids=["nobody to ask", "no choice", "three wrong codes", "gives up"],
)
async def test_second_factors_that_fail(person: Person | None, calls: int) -> None:
    server = LoginServer()
    server.factor = {"sms": "*** 779"}
    await fails(LoginRefused, log_in(server, person))
    assert len(server.calls) == calls


@pytest.mark.parametrize("factor", [{"pigeon": "x"}, {"sms": None}, "sms", ["sms"]])
async def test_a_second_factor_nobody_knows(factor: Any) -> None:
    server = LoginServer()
    server.factor = factor
    await fails(CloudError, log_in(server, Person(CODE)))
