"""Call the cloud's REST interface; no key or cookie gets into an exception, its context or a `repr`."""

import json
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from .. import __version__
from ..clock import now_us
from ..errors import CloudError, KeyRefused
from ..model import DateSample
from ..settings import Settings, proxy_for
from . import HEADER_BYTES
from .failures import GATEWAY_HINT, KEY_HINT, NOT_ASKED_FOR, failure, refusal

MAX_BODY: Final = 64 << 20  # ten thousand cameras are a few MB; a larger answer is not from this cloud
_AGENT: Final = {"User-Agent": f"eelogger/{__version__}", "Accept-Encoding": "gzip, deflate"}


class Rest:
    """A session with one origin, an async context manager; `cookies` are those of the latest answer."""

    def __init__(self, settings: Settings, *, on_date: Callable[[DateSample], None] = lambda sample: None) -> None:
        self.settings, self._on_date = settings, on_date
        self.cookies: dict[str, str] = {}
        self.host = urlsplit(settings.rest_base()).hostname or ""  # not yarl's, which fails at some names

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_stamp)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls_context(self.settings.ca_file)),
            # A jar would send what any answer sets back to wherever that answer says.
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=30, connect=10),
            trace_configs=[trace],
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, path: str, body: Mapping[str, str] | None = None) -> Any:
        """GET a path, or POST an object to it; returns its JSON or None, raises `CloudError` or `Refused`."""
        url = URL(self.settings.rest_base() + path, encoded=True)
        proxy = proxy_for(str(url))
        stamp: dict[str, int] = {}
        try:
            way = URL(proxy or "")
            if proxy is not None and way.scheme not in ("http", "https"):
                raise aiohttp.NonHttpUrlClientError(self.host)
            # In UTF-8, as the stream sends it: from the address the library would make Latin-1.
            login = aiohttp.encode_basic_auth(way.user or "", way.password or "")
            async with self._session.request(
                "GET" if body is None else "POST",
                url,
                json=body,
                headers=_AGENT | key_headers(self.settings),
                allow_redirects=False,
                trace_request_ctx=stamp,
                proxy=way.with_user(None) if proxy is not None else None,
                proxy_headers={"Proxy-Authorization": login} if way.raw_user is not None else None,
            ) as response:
                self._sample(response.headers, stamp.get("sent_us"), now_us())
                if not 200 <= response.status < 300:
                    raise refusal(response.status, self.host, response.headers)
                self.cookies = {name: morsel.value for name, morsel in response.cookies.items()}
                return await self._read(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: idna, header and proxy syntax
            failed = failure(error, self.host, proxied=proxy is not None)
        # Raised out here, so that not even its context holds the library's exception, which holds the headers.
        raise failed

    async def confirm_key(self) -> None:
        """Check the key with the cloud. Raises `KeyRefused` when it is not valid, `CloudError` without an answer."""
        try:
            await self.call("/g/aaa/isauth")
        except CloudError as error:
            if error.status != 403:
                raise
            raise KeyRefused(f"{self.host} does not accept the key (status 403)", KEY_HINT) from None

    async def _read(self, response: aiohttp.ClientResponse) -> Any:
        encoding, body = response.headers.get("Content-Encoding", "identity"), bytearray()
        if encoding.lower() not in ("gzip", "deflate", "identity"):  # aiohttp leaves an unknown encoding as it is
            raise CloudError(f"{self.host} {NOT_ASKED_FOR}: {encoding[:40]!a}", GATEWAY_HINT, reason="encoding")
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > MAX_BODY:
                raise CloudError(f"the answer of {self.host} is too large", "check EEN_BASE_URL", reason="too-large")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def _sample(self, headers: Mapping[str, str], sent_us: int | None, received_us: int) -> None:
        # An answer from a cache (it has an Age) is dated when the cache got it.
        if sent_us is None or "Age" in headers:
            return
        try:
            date = parsedate_to_datetime(headers.get("Date", ""))
            date_us = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()) * 1_000_000
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        self._on_date(DateSample(date_us, sent_us, received_us))


def key_headers(settings: Settings) -> dict[str, str]:
    """The headers that say who we are, to REST and WebSocket alike."""
    key = settings.auth_key
    headers = {"Cookie": f"auth_key={key}; videobank_sessionid={key}"} if key else {}
    return headers | ({"Authentication": f"{settings.api_key}:"} if settings.api_key else {})


@lru_cache(maxsize=2)  # reading some 150 system certificates takes tens of milliseconds of the event loop
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the system's CAs, and those of a file."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


async def _stamp(_session: aiohttp.ClientSession, ctx: SimpleNamespace, _params: object) -> None:
    # Taken when the connection stands: set-up time would widen the bounds of the clock.
    ctx.trace_request_ctx["sent_us"] = now_us()
