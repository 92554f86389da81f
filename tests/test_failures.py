"""One row for each way in which a call or a connection fails, met for real on a socket.

Everything has a reason token and a hint, and no text of a library gets through: it may hold headers or a password.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import NamedTuple

import pytest
import trustme
from launch import ROOT
from sessions import NotingSink, stream_to

from eelogger.cloud.rest import Rest
from eelogger.errors import CloudError, EeloggerError, KeyRefused
from eelogger.model import Timing
from eelogger.settings import Settings, load

KEY = f"c000~{0:031d}7"
PLANTED = "planted-proxy-password"
SECRETS = (KEY, "planted-api-key", PLANTED)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "ws", "wss", "socks", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@asynccontextmanager
async def listener(talk: Talk, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[int]:
    """A server that talks so; its port."""
    talking: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await talk(reader, writer)
                await writer.drain()
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), 0.5)
        finally:
            writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", port, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await asyncio.sleep(0.001)


async def call(settings: Settings, side: str) -> None:
    if side == "stream":
        await stream_to(NotingSink(), settings, Timing(open_s=2.0))
    async with Rest(settings) as rest:
        await rest.call("/g/device/list")


async def fails(base: str, side: str, ca_file: str = "") -> EeloggerError:
    """What a call, or an attempt to connect, ends with; asserts that it shows no secret and has a hint."""
    environ = {"EEN_BASE_URL": base, "EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": KEY, "EEN_API_KEY": "planted-api-key"}
    settings = load(environ=environ | ({"EEN_CA_FILE": ca_file} if ca_file else {}))
    with pytest.raises(EeloggerError) as caught:
        await call(settings, side)
    error: BaseException | None = caught.value
    while error is not None:
        shown = f"{error!s}{error!r}{vars(error)}" + "".join(traceback.format_exception(error))
        assert not [secret for secret in SECRETS if secret in shown]
        error = error.__cause__ or error.__context__
    assert caught.value.hint
    assert re.fullmatch(r"[a-z0-9-]+", caught.value.reason)
    return caught.value


def answer(*lines: str, open_s: float = 0.0) -> Talk:
    """Read a request, answer with these lines, and close after a while."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        await writer.drain()
        await asyncio.sleep(open_s)

    return talk


def status(code: int, *headers: str) -> Talk:
    return answer(f"HTTP/1.1 {code} x", "Content-Length: 0", *headers)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a little and reset, since something unread is thrown away."""
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n\r\n")


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(20)


class Row(NamedTuple):
    name: str
    talk: Talk
    reason: str
    retry_after_s: float = 0.0


BOTH = [
    *(Row(str(code), status(code), f"http-{code}") for code in (301, 307, 400, 403, 404, 407, 429, 460, 500, 503)),
    Row("401", status(401, "Set-Cookie: auth_key=x"), "key-refused"),
    Row("429, Retry-After", status(429, "Retry-After: 30"), "http-429", 30.0),
    Row("503, retry-after", status(503, "retry-after: 40"), "http-503", 40.0),
    Row("503, a day", status(503, "Retry-After: 86400"), "http-503", 600.0),
    Row("503, Retry-After nonsense", status(503, "Retry-After: soon"), "http-503"),
    Row("503, Retry-After endless", status(503, "Retry-After: " + "1" * 5000), "http-503"),
    Row("a header of a megabyte", answer("HTTP/1.1 101 x", "X: " + "x" * 1_000_000, open_s=20), "too-large"),
]
GZIP = ("Content-Encoding: gzip", "Content-Length: 4", "", "nope")
REST = [
    Row("hangs up", hang_up, "network"),
    Row("no HTTP", babble, "no-http"),
    Row("half a body", answer("HTTP/1.1 200 OK", "Content-Length: 100", "", "half"), "broken-answer"),
    Row("bad gzip", answer("HTTP/1.1 200 OK", *GZIP), "broken-answer"),
    Row("not asked for", answer("HTTP/1.1 200 OK", "Content-Encoding: br", "", "x"), "encoding"),
    Row("unheard of", answer("HTTP/1.1 200 OK", "Content-Encoding: foo", "", "x"), "encoding"),
]
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: AAAA")
STREAM = [
    Row("200", status(200), "http-200"), Row("hangs up", hang_up, "handshake"), Row("RST", reset, "handshake"),
    Row("no HTTP", babble, "handshake"), Row("no HTTP, held open", answer("220 mail.example", open_s=20), "handshake"),
    Row("101 alone", answer("HTTP/1.1 101 Switching Protocols"), "handshake"),
    Row("101 with a wrong Accept", answer("HTTP/1.1 101 x", *UPGRADE), "handshake"),
    Row("accepts, says nothing", mute, "timeout"),
]  # fmt: skip
ROWS = [("REST", row) for row in BOTH + REST] + [("stream", row) for row in BOTH + STREAM]


@pytest.mark.parametrize(("side", "row"), ROWS, ids=[f"{side}: {row.name}" for side, row in ROWS])
async def test_an_answer_that_is_none(side: str, row: Row) -> None:
    began_s = asyncio.get_running_loop().time()
    async with listener(row.talk) as port:
        error = await fails(f"http://127.0.0.1:{port}", side)
        if row.reason != "timeout":
            assert asyncio.get_running_loop().time() - began_s < 1.5, "what is wrong is said, not waited for"
    if row.name == "401":
        assert isinstance(error, KeyRefused)
        assert (error.exit_code, error.reason) == (77, row.reason)
        return
    assert isinstance(error, CloudError), "tried again for ever"
    assert (error.reason, error.retry_after_s) == (row.reason, row.retry_after_s)
    assert ("no answer" in str(error)) is (row.reason == "network")


@pytest.mark.parametrize("side", ["REST", "stream"])
@pytest.mark.parametrize("place", ["ws://127.0.0.1:{port}/", "http://127.0.0.1:{port}/", "/x"])
async def test_a_redirect_is_not_followed(side: str, place: str) -> None:
    """Not even within the origin, and a downgrade from wss to ws is told as what it is."""
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 302 x\r\nLocation: {place.format(port=there)}\r\nContent-Length: 0\r\n\r\n".encode())

    async with listener(listen) as there, listener(listen) as here:
        error = await fails(f"http://127.0.0.1:{here}", side)
    assert (error.reason, "redirects" in str(error), len(seen)) == ("http-302", True, 1)


async def test_headers_of_64_kib_are_accepted() -> None:
    """By both sides, however early the program is at importing its libraries; so in a process of its own."""
    script = """
import asyncio, sys
sys.path[:0] = sys.argv[1:]
from eelogger.cloud.rest import Rest
from test_failures import answer, fails, listener

async def main():
    big = answer("HTTP/1.1 503 x", "Content-Length: 0", *(f"X-{n}: " + "x" * 60_000 for n in range(3)))
    async with listener(big) as port:
        for side in ("REST", "stream"):
            print((await fails(f"http://127.0.0.1:{port}", side)).reason)

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(ROOT), str(ROOT / "tests")], capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == ["http-503", "http-503"], ran.stderr


async def test_a_dead_first_address_does_not_keep_the_stream_from_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address answers nothing, the other works: they race, also those of a proxy."""
    silent = socket.create_server(("127.0.0.2", 0), backlog=0)
    port = silent.getsockname()[1]
    filling = [socket.socket() for _ in range(8)]  # a full backlog: whoever comes now gets no answer
    for sock in filling:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.2", port))

    async def both(host: str, port: int, **hints: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    try:
        with socket.socket() as probe:
            probe.settimeout(0.3)
            with pytest.raises(TimeoutError):
                probe.connect(("127.0.0.2", port))
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
        async with listener(status(404), port=port):
            assert (await fails(f"http://localhost:{port}", "stream")).reason == "http-404"
            monkeypatch.setenv("https_proxy", f"http://proxy.example:{port}")
            assert "404" in str(await fails("https://cloud.example", "stream"))
    finally:
        for sock in [*filling, silent]:
            sock.close()


@pytest.mark.parametrize("side", ["REST", "stream"])
async def test_nobody_listens_there_is_no_such_name_and_no_tls(side: str) -> None:
    assert "Connection refused" in str(await fails("http://127.0.0.1:1", side))
    for name in ("does-not-exist.invalid", "xn--.invalid"):
        assert (await fails(f"https://{name}", side)).reason == "dns"
    async with listener(babble) as port:
        assert (await fails(f"https://127.0.0.1:{port}", side)).reason == "tls"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("side", ["REST", "stream"])
@pytest.mark.parametrize("wrong", ["unknown CA", "other name", "expired"])
async def test_a_certificate_that_does_not_verify(authority: trustme.CA, side: str, wrong: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ends = datetime.now(UTC) + timedelta(days=-1 if wrong == "expired" else 1)
    name = "elsewhere.example" if wrong == "other name" else "127.0.0.1"
    authority.issue_cert(name, not_after=ends).configure_cert(context)
    known = trustme.CA() if wrong == "unknown CA" else authority
    async with listener(status(404), context) as port:
        with known.cert_pem.tempfile() as ca_file:
            error = await fails(f"https://127.0.0.1:{port}", side, ca_file)
    assert (error.exit_code, error.reason) == (77, "certificate")


TALKS = [status(401), status(403), status(407), babble, hang_up, reset]


@pytest.mark.parametrize(("side", "talk"), [*product(["REST", "stream"], TALKS), ("stream", mute)])
async def test_a_proxy_that_does_not_let_through(side: str, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listener(talk) as port:
        monkeypatch.setenv("https_proxy", f"http://user:{PLANTED}@127.0.0.1:{port}")
        error = await fails("https://cloud.example", side)
    assert isinstance(error, CloudError)
    assert error.reason == "proxy"


@pytest.mark.parametrize("side", ["REST", "stream"])
@pytest.mark.parametrize(
    "proxy",
    [
        *("http://127.0.0.1:1", "http://no-proxy.invalid:3128"),
        *(f"{scheme}://user:{PLANTED}@proxy.example" for scheme in ("ftp", "socks5h")),
        *(f"http://user:{PLANTED}@{place}" for place in ("[::zz", "127.0.0.1:x")),
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
async def test_a_dead_or_impossible_proxy_is_not_blamed_on_the_network(
    side: str, proxy: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy)
    assert (await fails("https://cloud.example", side)).reason == "proxy"
