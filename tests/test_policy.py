"""Retry or end: one row for each way in which a connection does not come about, met for real on a socket.

`judge` alone is shown what no socket can bring about here. Everything has a short reason and a hint, and no text of a
library gets through, since it may hold headers or a proxy's password.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import trustme
from websockets.exceptions import InvalidHeaderValue, InvalidProxy, InvalidStatus, InvalidURI, ProxyError

from eelogger import errors
from eelogger.errors import CertificateRefused, CloudError, EeloggerError, KeyRefused, Problem, SettingsError
from eelogger.net.connection import describe
from eelogger.reconnect.policy import Trouble, ended, judge
from eelogger.recorder import Recorder
from eelogger.simulator import TEST_KEY
from eelogger.stream import EventStream

KEY = {"Cookie": f"auth_key={TEST_KEY}; videobank_sessionid={TEST_KEY}", "Authentication": "planted-api-key:"}
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Deaf:
    """A sink for a stream that never gets so far; it only has to be there."""

    def name_namespaces(self, ns_values: object) -> None:
        """Not of interest."""

    def subscribed(self, at_us: int, camera_ids: object = None) -> None:
        """Not of interest."""

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[errors.EeloggerError]:
        """Not of interest."""
        return []

    def lost(self, at_us: int, reason: str) -> None:
        """Not of interest."""


async def attempt(
    uri: str, *, proxy: str | None = None, context: ssl.SSLContext | None = None
) -> Trouble | EeloggerError:
    """What a run makes of one attempt."""
    sink: Recorder = Deaf()  # type: ignore[assignment]
    stream = EventStream(sink)
    stream.headers = dict(KEY)
    stream.proxy = proxy
    stream.ssl = context
    stream.ready.set()
    try:
        return ended(await stream.connect_and_log(uri, {}))
    except Exception as error:
        return judge(error, proxied=proxy is not None)


@asynccontextmanager
async def listener(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that talks so; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def answer(*lines: str) -> Talk:
    """Read a request and answer with these lines."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    return talk


def status(code: int, *headers: str) -> Talk:
    """A bare HTTP answer."""
    return answer(f"HTTP/1.1 {code} x", "Content-Length: 0", *headers)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request and close."""
    await reader.readuntil(b"\r\n\r\n")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a little and reset, since something unread is thrown away."""
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Something that is no HTTP."""
    writer.write(b"220 mail.example ESMTP ready\r\n")


class Row(NamedTuple):
    """How the other side talks, and what follows from it."""

    name: str
    talk: Talk
    reason: str
    hint: str
    retry_after_s: float | None = None


STATUSES = [
    Row("200", status(200), "http-200", "EEN_BASE_URL"),
    Row("400", status(400), "http-400", "EEN_BASE_URL"),
    Row("404", status(404), "http-404", "EEN_ACCOUNT_ID"),
    Row("407", status(407), "http-407", "HTTPS_PROXY"),
    Row("408", status(408), "http-408", "slow"),
    Row("429", status(429), "http-429", "fewer"),
    Row("429, Retry-After", status(429, "Retry-After: 30"), "http-429", "fewer", 30.0),
    Row("503, retry-after", status(503, "retry-after: 40"), "http-503", "of its own", 40.0),
    Row(
        "503, Retry-After as a date",
        status(503, "Date: Sun, 22 Nov 2026 11:00:00 GMT", "Retry-After: Sun, 22 Nov 2026 11:00:50 GMT"),
        "http-503",
        "of its own",
        50.0,
    ),
    Row("503, Retry-After twice", status(503, "Retry-After: 7", "Retry-After: 9"), "http-503", "of its own", 9.0),
    Row("503, Retry-After nonsense", status(503, "Retry-After: soon"), "http-503", "of its own"),
    *(Row(str(code), status(code), f"http-{code}", "of its own") for code in (500, 502, 504)),
    *(
        Row(f"{code} to {place}", status(code, f"Location: {place}"), f"http-{code}", "redirects elsewhere")
        for code in (301, 302, 303, 307, 308)
        for place in ("https://elsewhere.example/", "ws://127.0.0.1:1/x", "//elsewhere.example/", "ws://127.0.0.1:x/")
    ),
    Row("302 without Location", status(302), "http-302", "redirects elsewhere"),
]

HANDSHAKES = [
    Row("hangs up", hang_up, "handshake", "WebSockets"),
    Row("RST", reset, "handshake", "WebSockets"),
    Row("no HTTP", babble, "handshake", "WebSockets"),
    Row("HTTP/1.0", answer("HTTP/1.0 101 x"), "handshake", "WebSockets"),
    Row("101 and nothing else", answer("HTTP/1.1 101 Switching Protocols"), "handshake", "WebSockets"),
    Row(
        "101 with a wrong Accept",
        answer("HTTP/1.1 101 x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: AAAA"),
        "handshake",
        "WebSockets",
    ),
    Row("a header of a megabyte", answer("HTTP/1.1 101 x", "X: " + "x" * 1_000_000), "handshake", "WebSockets"),
]


@pytest.mark.parametrize("row", STATUSES + HANDSHAKES, ids=lambda row: row.name)
async def test_an_answer_to_the_handshake(row: Row) -> None:
    async with listener(row.talk) as port:
        trouble = await attempt(f"ws://127.0.0.1:{port}/api/v2/Device/1/Events")
    assert isinstance(trouble, Trouble)
    assert trouble.reason == row.reason
    assert row.hint in trouble.hint
    assert trouble.retry_after_s == row.retry_after_s


@pytest.mark.parametrize("code", [401, 403])
async def test_a_handshake_that_refuses_the_key(code: int) -> None:
    async with listener(status(code)) as port:
        error = await attempt(f"ws://127.0.0.1:{port}/")
    assert isinstance(error, KeyRefused)
    assert error.exit_code == 77
    assert "EEN_ACCOUNT_ID" in error.hint


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    trouble = await attempt(f"ws://127.0.0.1:{port}/")
    assert isinstance(trouble, Trouble)
    assert (trouble.reason, trouble.retry_after_s) == ("refused-tcp", None)
    assert "network" in trouble.hint


async def test_no_address_of_several_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def several(*args: object, **kwargs: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", several)
    trouble = await attempt(f"ws://somewhere.example:{port}/")
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "network"
    assert "none of the host's addresses" in trouble.message


async def test_a_name_that_does_not_exist() -> None:
    trouble = await attempt("ws://does-not-exist.invalid/")
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "dns"
    assert "DNS" in trouble.hint


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served_as(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's TLS with a certificate for that name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize(("name", "trusted", "hint"), [
    ("127.0.0.1", False, "EEN_CA_FILE"),
    ("elsewhere.example", True, "something else answers under this name"),
])  # fmt: skip
async def test_a_certificate_that_does_not_verify(authority: trustme.CA, name: str, trusted: bool, hint: str) -> None:
    context = ssl.create_default_context()
    if trusted:
        authority.configure_trust(context)
    async with listener(status(404), served_as(authority, name)) as port:
        error = await attempt(f"wss://127.0.0.1:{port}/", context=context)
    assert isinstance(error, CertificateRefused)
    assert error.exit_code == 77
    assert hint in error.hint


async def test_no_tls_at_the_other_end() -> None:
    async with listener(babble) as port:
        trouble = await attempt(f"wss://127.0.0.1:{port}/", context=ssl.create_default_context())
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "tls"
    assert "no TLS" in trouble.hint


# Proxies

PROXIES = [
    *(Row(str(code), status(code), "proxy", "HTTPS_PROXY") for code in (403, 407, 502, 503)),
    Row("no HTTP", babble, "proxy", "HTTPS_PROXY"),
    Row("hangs up", hang_up, "proxy", "HTTPS_PROXY"),
    Row("RST", reset, "proxy", "HTTPS_PROXY"),
]


@pytest.mark.parametrize("row", PROXIES, ids=lambda row: row.name)
async def test_a_proxy_that_does_not_let_through(row: Row) -> None:
    async with listener(row.talk) as port:
        trouble = await attempt("ws://cloud.example/", proxy=f"http://user:planted-proxy@127.0.0.1:{port}")
    assert isinstance(trouble, Trouble)
    assert trouble.reason == row.reason
    assert row.hint in trouble.hint
    assert "planted" not in repr(trouble)


async def test_a_proxy_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for proxy in (f"http://127.0.0.1:{port}", "http://no-proxy.invalid:3128"):
        trouble = await attempt("ws://cloud.example/", proxy=proxy)
        assert isinstance(trouble, Trouble)
        assert trouble.reason in ("refused-tcp", "dns")
        assert "HTTPS_PROXY" in trouble.hint, "it is not the cloud that cannot be reached"


@pytest.mark.parametrize("proxy", [
    "ftp://user:planted-proxy@proxy.example",
    "http://user:planted-proxy@proxy.example/path",
    "http://planted-proxy@proxy.example",
    "http://",
    "socks5h://user:planted-proxy@proxy.example",
])  # fmt: skip
async def test_a_proxy_that_cannot_work(proxy: str) -> None:
    trouble = await attempt("ws://cloud.example/", proxy=proxy)
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "proxy"
    assert "HTTPS_PROXY" in trouble.hint
    assert "planted" not in repr(trouble)


async def test_the_proxy_sees_its_own_password_and_nothing_else() -> None:
    seen = bytearray()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 x\r\n\r\n")

    async with listener(tunnel) as port:
        await attempt("ws://cloud.example/", proxy=f"http://user:planted-proxy@127.0.0.1:{port}")
    assert base64.b64encode(b"user:planted-proxy") in seen
    assert b"auth_key" not in seen
    assert TEST_KEY.encode() not in seen
    assert b"planted-api-key" not in seen


# Redirects


@pytest.mark.parametrize("scheme", ["ws", "http", "https", ""])
async def test_a_redirect_elsewhere_gets_nothing(scheme: str) -> None:
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(10_000))

    async with listener(listen) as there:
        place = f"{scheme}:" * bool(scheme) + f"//127.0.0.1:{there}/"
        async with listener(status(302, f"Location: {place}")) as here:
            trouble = await attempt(f"ws://127.0.0.1:{here}/")
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "http-302"
    assert seen == [], "not even a connection"


async def test_a_redirect_within_the_origin_is_followed_with_the_key() -> None:
    seen: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append(head.split()[1])
        assert TEST_KEY in head
        place = "Location: /there\r\n" if len(seen) == 1 else ""
        writer.write(f"HTTP/1.1 {302 if place else 404} x\r\n{place}Content-Length: 0\r\n\r\n".encode())

    async with listener(talk) as port:
        trouble = await attempt(f"ws://127.0.0.1:{port}/here")
    assert isinstance(trouble, Trouble)
    assert (trouble.reason, seen) == ("http-404", ["/here", "/there"])


async def test_redirects_in_circles_end() -> None:
    async with listener(status(302, "Location: /")) as port:
        trouble = await attempt(f"ws://127.0.0.1:{port}/")
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "handshake"


# What is said of a connection that stands


async def test_odd_headers_do_not_keep_us_from_connecting() -> None:
    """Two `Server` headers are one too many for the library's own way to ask for one."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = re.search(r"(?i)sec-websocket-key: (\S+)", head)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(f"{key[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        writer.write(
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: one\r\nServer: two\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n\x88\x02\x03\xe8"
        )
        await reader.read(10_000)

    said: list[str] = []
    sink: Recorder = Deaf()  # type: ignore[assignment]
    stream = EventStream(sink)
    stream.on_open = lambda connection: said.append(describe(connection))
    stream.ready.set()
    async with listener(talk) as port:
        assert await stream.connect_and_log(f"ws://127.0.0.1:{port}/", {}) == "closed-1000"
    assert "server='one, two" in said[0]
    assert said[0].isprintable()


# `judge` alone


def all_kinds(kind: type[BaseException]) -> list[type[BaseException]]:
    """A class and all below it."""
    return [kind, *(found for below in kind.__subclasses__() for found in all_kinds(below))]


def test_every_error_of_the_tree_is_retried_or_ends_the_run() -> None:
    retried = {CloudError, SettingsError}
    for kind in all_kinds(EeloggerError):
        assert issubclass(kind, EeloggerError)
        error = kind([Problem("EEN_CA_FILE", "is gone", "put it back")]) if kind is SettingsError else kind("message")
        verdict = judge(error)
        assert isinstance(verdict, Trouble) == (kind in retried), kind
        assert verdict is error or isinstance(verdict, Trouble)


def test_trouble_with_settings_while_running_is_one_line() -> None:
    trouble = judge(SettingsError([Problem("EEN_CA_FILE", "cannot be used", "give a PEM file")]))
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "settings"
    assert "EEN_CA_FILE" in trouble.message
    assert "\n" not in trouble.message


def test_any_exception_has_a_reason_and_a_hint_and_none_gets_its_text_through() -> None:
    secret = "planted-secret"
    kinds = set(all_kinds(Exception)) - set(all_kinds(EeloggerError))
    tried = 0
    for kind in kinds:
        for arguments in ((secret,), (secret, secret), ()):
            try:
                error = kind(*arguments)
                assert isinstance(error, Exception)
            except Exception:
                continue
            if isinstance(error, (ssl.SSLCertVerificationError, InvalidStatus)):
                continue  # only their libraries can make one that is whole
            verdict = judge(error)
            assert isinstance(verdict, Trouble), kind
            assert re.fullmatch(r"[a-z0-9-]+", verdict.reason)
            assert verdict.hint
            tried += 1
            if not isinstance(error, OSError):  # what the system says of the network is worth telling
                assert secret not in repr(verdict), kind
    assert tried > 100


@pytest.mark.parametrize(
    "error",
    [
        InvalidProxy("http://user:planted@proxy", "no"),
        InvalidURI("wss://user:planted@host", "no"),
        InvalidHeaderValue("Cookie", "auth_key=planted"),
        ProxyError("planted"),
        ImportError("planted"),
        ValueError("planted"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_texts_of_the_libraries_are_not_told(error: Exception) -> None:
    assert "planted" not in repr(judge(error))


def test_every_reason_for_an_end_has_a_hint() -> None:
    for reason in ("no-pong", "no-ack", "suspend", "broken-off", "failed-1002", "error-401"):
        assert ended(reason).hint
    for code in (*range(1000, 1016), 3000, 4000, 4999):
        assert ended(f"closed-{code}").hint
        assert ended(f"closed-{code}").retry_after_s is None
