"""The way to the cloud's REST interface: one session, our credentials to our origin only, errors from the tree.

Decides how a call is made (headers, TLS, proxy, redirects, bounds) and what each failure means; what the answers
mean is for `cameras` and `auth`, whether to try again for `session`. Each answer also yields a `DateSample` for
`clock`. Invariant: no key, password or cookie leaves this room in an exception, its context or a `repr`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from ..errors import CloudError
from ..model import DateSample
from ..settings import Settings, proxy_for
from ..version import __version__
from .answer import Answer, http_date, read_answer
from .rest_errors import failure, refusal
from .tls import tls_context

TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
MAX_REDIRECTS: Final = 3
_FIXED_HEADERS: Final = {"User-Agent": f"eelogger/{__version__}", "Accept": "application/json"}


class Rest:
    """One session with one origin; an async context manager. Calls raise `CloudError` or `Refused`."""

    def __init__(
        self, settings: Settings, *, base: str = "", on_date: Callable[[DateSample], None] | None = None
    ) -> None:
        self.settings = settings
        self.base = URL(base or settings.rest_base())
        self._on_date = on_date

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_stamp)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls_context(self.settings) if self.base.scheme == "https" else True),
            # A jar would send what any answer sets back to wherever that answer says.
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=TIMEOUT,
            trace_configs=[trace],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str) -> Answer:
        """GET below our origin; raises unless the answer is 2xx."""
        return self._accepted(await self.request("GET", path))

    async def post(self, path: str, json: Mapping[str, Any]) -> Answer:
        """POST a JSON object below our origin; raises unless the answer is 2xx."""
        return self._accepted(await self.request("POST", path, json))

    async def request(self, method: str, path: str, json: Mapping[str, Any] | None = None) -> Answer:
        """The answer, whatever its status; redirects are followed within our origin."""
        url = URL(f"{self.base}".rstrip("/") + path, encoded=True)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._exchange(method, url, json)
            if not answer.location:
                return answer
            url = self._redirected(url, answer)
        raise CloudError(f"{self.base.host} redirects in circles", "is EEN_BRANDING right?")

    def _accepted(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        raise refusal(answer.status, f"{self.base.host}", answer.retry_after_s)

    def _redirected(self, url: URL, answer: Answer) -> URL:
        try:
            target = url.join(URL(answer.location))
            ours = target.origin() == self.base.origin()
            place = ascii(str(target.host)[:100])
        except ValueError:
            ours, place = False, "an unreadable address"
        if ours and target.user is None and target.password is None:
            return target
        raise CloudError(
            f"{self.base.host} redirects to {place}, which was not followed",
            "is EEN_BRANDING right, and is there a sign-in page between you and the internet?",
            status=answer.status,
        )

    async def _exchange(self, method: str, url: URL, json: Mapping[str, Any] | None) -> Answer:
        stamp: dict[str, int] = {}
        try:
            async with self._session.request(
                method,
                url,
                json=json,
                headers=_FIXED_HEADERS | key_headers(self.settings),
                allow_redirects=False,
                trace_request_ctx=stamp,
                **_proxy_options(url),
            ) as response:
                self._sample(response.headers, stamp.get("sent_us"), _now_us())
                return await read_answer(response)
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # ValueError: idna, header and proxy syntax
            told = failure(exc, f"{url.host}")
        # Raised out here, so that not even its context holds the library's exception, which holds the headers.
        raise told

    def _sample(self, headers: Mapping[str, str], sent_us: int | None, received_us: int) -> None:
        date = http_date(headers.get("Date", ""))
        # An answer from a cache (it has an Age) is dated when the cache got it.
        if self._on_date and date and sent_us is not None and "Age" not in headers:
            self._on_date(DateSample(int(date.timestamp()) * 1_000_000, sent_us, received_us))


def key_headers(settings: Settings) -> dict[str, str]:
    """What proves who we are, to REST and WebSocket alike: the key as two cookies, and the API key."""
    headers = {}
    key = settings.auth_key
    if key:
        headers["Cookie"] = f"auth_key={key}; videobank_sessionid={key}"
    if settings.api_key:
        headers["Authentication"] = f"{settings.api_key}:"
    return headers


async def _stamp(_session: aiohttp.ClientSession, ctx: SimpleNamespace, _params: object) -> None:
    # Taken when the connection stands: set-up time would widen the bounds of the clock.
    ctx.trace_request_ctx["sent_us"] = _now_us()


def _proxy_options(url: URL) -> dict[str, Any]:
    text = proxy_for(str(url))
    if text is None:
        return {}
    try:
        proxy = URL(text)
    except ValueError:
        raise aiohttp.InvalidURL("proxy") from None
    if proxy.scheme not in ("http", "https"):
        raise aiohttp.NonHttpUrlClientError(proxy.scheme)
    headers = {}
    if proxy.user is not None:
        headers["Proxy-Authorization"] = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return {"proxy": proxy.with_user(None), "proxy_headers": headers}


def _now_us() -> int:
    return time.time_ns() // 1000
