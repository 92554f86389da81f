"""A REST answer, read: status, bounded body, the cookies it sets, where it redirects to, when to come back.

Reads what HTTP says; what that means is for `rest` and `rest_errors`. Invariant: nothing in a header raises, and
no more than `MAX_BODY` is held.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from ..errors import CloudError

MAX_BODY: Final = 64 << 20
"""Ten thousand cameras are a few MB; what is larger is no answer of this cloud."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call brought; `body` is empty unless `status` is 2xx, `cookies` those the answer sets."""

    status: int
    body: bytes = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    location: str = field(repr=False, default="")
    retry_after_s: float | None = None


async def read_answer(response: aiohttp.ClientResponse) -> Answer:
    """The answer in full; raises `CloudError` when it is too large, the library's errors when it breaks off."""
    chunks, size = [], 0
    if 200 <= response.status < 300:
        async for chunk in response.content.iter_chunked(1 << 16):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                raise CloudError(
                    f"the answer of {response.url.host} is larger than {MAX_BODY >> 20} MiB", "check EEN_BASE_URL"
                )
    # A redirected POST would have to become a GET, except for the two codes made to prevent that.
    follow = (301, 302, 303, 307, 308) if response.method == "GET" else (307, 308)
    return Answer(
        response.status,
        b"".join(chunks),
        {name: morsel.value for name, morsel in response.cookies.items()},
        response.headers.get("Location", "") if response.status in follow else "",
        retry_after_s(response.headers),
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long a server asks to wait, from its `Retry-After` in seconds or as a date; None when it does not ask."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    until = http_date(text)
    if until is None:
        return None
    now = http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def http_date(text: str) -> datetime | None:
    """The moment in a `Date` or `Retry-After` header, None when it is not readable."""
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
