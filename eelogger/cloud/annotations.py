"""List the annotations that the cloud has recorded, an hour a request.

Any answer gives rows, or the reason why an hour could not be read; only a refused key or certificate is raised.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ..errors import CloudError, KeyRefused
from ..measure.protocol import UUID_MAX_CHARS, event_time_us, integer
from ..model import HOUR_US, Timing
from .failures import RETRY_AFTER_MAX_S, Backoff
from .rest import Rest
from .sign_in import is_authorised

TRIES: Final = 4
GIVE_UP: Final = 8  # after so many hours in a row that could not be read the cloud is asked nothing more
_FINAL: Final = frozenset({"http-401", "http-403", "given-up"})


class Recorded(NamedTuple):
    """One annotation; `at_us` is when it began, None where that cannot be read."""

    uuid: str
    at_us: int | None
    ns: int | None


class Hour(NamedTuple):
    """What began in [from, to); `rows` is None when the list could not be read, `failure` says why."""

    from_us: int
    to_us: int
    rows: list[Recorded] | None
    unreadable: int = 0
    failure: str = ""


class AnnotationLists:
    """Asks for cameras' lists, of each one hour after the other; `namespaces` None means all."""

    def __init__(self, rest: Rest, namespaces: Iterable[int] | None, timing: Timing) -> None:
        self._rest, self._timing = rest, timing
        self._namespace = "" if namespaces is None else f"&namespace={','.join(map(str, sorted(namespaces)))}"
        self._not_before_s = 0.0
        self._failed = 0

    async def hours(self, camera_id: str, from_us: int, to_us: int, tries: int = TRIES) -> AsyncIterator[Hour]:
        """Yield the clock hours of [from, to), which are whole milliseconds, in their order."""
        failure = ""
        while from_us < to_us:
            until_us = min(to_us, (from_us // HOUR_US + 1) * HOUR_US)
            hour = Hour(from_us, until_us, None, failure=failure)
            if not failure:  # what is forbidden for an hour is so for all
                try:
                    hour = _read(hour, await self._listed(camera_id, from_us, until_us, tries))
                    tries, self._failed = TRIES, 0
                except CloudError as error:
                    hour = hour._replace(failure=str(error))
                    failure = str(error) if error.reason in _FINAL else ""
                    tries, self._failed = 1, self._failed + (not failure)
            yield hour
            from_us = until_us

    async def _listed(self, camera_id: str, from_us: int, to_us: int, tries: int) -> list[Any]:
        period = f"start_timestamp={_timestamp(from_us)}&end_timestamp={_timestamp(to_us)}"
        path = f"/annt/annt/list?id={camera_id}&{period}{self._namespace}&exclusive=1"
        backoff, loop = Backoff(self._timing), asyncio.get_running_loop()
        while True:
            try:
                if self._failed >= GIVE_UP:
                    raise CloudError("the cloud had not answered before: not asked", reason="given-up")
                await asyncio.sleep(max(0.0, self._not_before_s - loop.time()))
                return await self._ask(path)
            except CloudError as error:
                tries -= 1
                if not tries or error.reason in _FINAL:
                    raise
                if error.retry_after_s is not None:  # it concerns all requests
                    until_s = loop.time() + min(error.retry_after_s, RETRY_AFTER_MAX_S)
                    self._not_before_s = max(self._not_before_s, until_s)
            await asyncio.sleep(backoff.next_delay())

    async def _ask(self, path: str) -> list[Any]:
        try:
            rows = json.loads((await self._rest.get(path)).body)
            if isinstance(rows, list):
                return rows
        except KeyRefused:
            if not await is_authorised(self._rest):
                raise
            raise CloudError("the list is refused (status 401), though the key is good", reason="http-401") from None
        except (ValueError, RecursionError):
            pass
        raise CloudError("the list of annotations cannot be read: no JSON array", reason="annotation-list")


def _read(hour: Hour, listed: list[Any]) -> Hour:
    """The hour with its own rows: a server that passes over `exclusive` lists other hours' too."""
    rows, unreadable = [], 0
    for item in listed:
        uuid, timestamp, ns = ([*item, None, None, None] if isinstance(item, list) else [None] * 3)[:3]
        at_us = event_time_us(timestamp)
        if not isinstance(uuid, str) or not 0 < len(uuid) <= UUID_MAX_CHARS:
            unreadable += 1
        elif at_us is None or hour.from_us <= at_us < hour.to_us:
            rows.append(Recorded(uuid, at_us, integer(ns)))
    if listed and unreadable == len(listed):
        raise CloudError("the list of annotations cannot be read: no row is one", reason="annotation-list")
    return hour._replace(rows=rows, unreadable=unreadable)


def _timestamp(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y%m%d%H%M%S}.{us // 1000 % 1000:03d}"
