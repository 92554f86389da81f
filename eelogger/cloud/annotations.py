"""List the annotations that the cloud has recorded, an hour a request."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ..errors import CloudError, KeyRefused
from ..measure.protocol import UUID_MAX_CHARS, event_time_us, integer
from ..model import HOUR_US, Timing
from .failures import pauses
from .rest import Rest

TRIES: Final = 3  # for each hour
GIVE_UP: Final = 4  # so many unreadable hours in a row end the requests
_FORBIDDEN: Final = frozenset({"http-401", "http-403"})


class Hour(NamedTuple):
    """What began in [from, to): uuid, time and namespace of each; `rows` None: the list could not be read."""

    from_us: int
    to_us: int
    rows: list[tuple[str, int | None, int | None]] | None
    unreadable: int = 0
    failure: str = ""


class AnnotationLists:
    """Asks for cameras' lists, of each one hour after the other; `namespaces` None means all."""

    def __init__(self, rest: Rest, namespaces: Iterable[int] | None) -> None:
        self._rest = rest
        self._namespace = "" if namespaces is None else f"&namespace={','.join(map(str, sorted(namespaces)))}"
        self._failed = 0

    async def hours(self, camera_id: str, from_us: int, to_us: int, tries: int = TRIES) -> AsyncIterator[Hour]:
        """Yield the clock hours of [from, to), whole milliseconds; raises only for a refused key or certificate."""
        lasting = ""
        while from_us < to_us:
            until_us = min(to_us, (from_us // HOUR_US + 1) * HOUR_US)
            if self._failed >= GIVE_UP:
                lasting = lasting or "the cloud had not answered before: not asked"
            hour = Hour(from_us, until_us, None, failure=lasting)
            if not lasting:
                try:
                    hour = _read(hour, await self._listed(camera_id, hour, tries))
                    self._failed = 0
                except CloudError as error:
                    hour = hour._replace(failure=str(error))
                    if error.reason in _FORBIDDEN:
                        lasting = str(error)  # what is forbidden for an hour is so for all
                    else:
                        self._failed += 1
            yield hour
            from_us = until_us

    async def _listed(self, camera_id: str, hour: Hour, tries: int) -> Any:
        period = f"start_timestamp={_timestamp(hour.from_us)}&end_timestamp={_timestamp(hour.to_us)}"
        path = f"/annt/annt/list?id={camera_id}&{period}{self._namespace}&exclusive=1"
        waits = pauses(Timing())
        while True:
            try:
                return await self._rest.call(path)
            except KeyRefused:
                await self._rest.confirm_key()
                raise CloudError("refused (status 401), though the key is good", reason="http-401") from None
            except CloudError as error:
                tries -= 1
                if not tries or error.reason in _FORBIDDEN:
                    raise
                await asyncio.sleep(max(next(waits), error.retry_after_s))


def _read(hour: Hour, listed: Any) -> Hour:
    """The hour with its own rows: a server that passes over `exclusive` lists other hours' too."""
    rows, unreadable = [], 0
    for item in listed if isinstance(listed, list) else ():
        uuid, timestamp, ns = ([*item, None, None, None] if isinstance(item, list) else [None] * 3)[:3]
        at_us = event_time_us(timestamp)
        if not isinstance(uuid, str) or not 0 < len(uuid) <= UUID_MAX_CHARS:
            unreadable += 1
        elif at_us is None or hour.from_us <= at_us < hour.to_us:
            rows.append((uuid, at_us, integer(ns)))
    if not isinstance(listed, list) or (listed and unreadable == len(listed)):
        raise CloudError("the list of annotations cannot be read", reason="annotation-list")
    return hour._replace(rows=rows, unreadable=unreadable)


def _timestamp(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y%m%d%H%M%S}.{us // 1000 % 1000:03d}"
