"""Keep annotations as the cloud records them, and list them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .events import Event, timestamp_us


class Recorded(NamedTuple):
    """One annotation as it began; `at_us` is when it was first recorded."""

    event: Event
    began_us: int
    at_us: int


class Recordings(dict[str, Recorded]):
    """The annotations by uuid, the oldest first; at most `kept` of them when that is a number."""

    def __init__(self, kept: int | None) -> None:
        super().__init__()
        self._kept = kept

    def record(self, event: Event) -> None:
        """Keep an annotation once, with the time it began; its heartbeats and end change nothing."""
        if event.four_cc != "ANNT" or not event.identity or event.event_us is None:
            return
        item = self.setdefault(event.identity, Recorded(event, event.event_us, time.time_ns() // 1000))
        if event.event_us < item.began_us:
            self[event.identity] = Recorded(event, event.event_us, item.at_us)
        if self._kept is not None and len(self) > self._kept:
            del self[next(iter(self))]


def listing(items: Iterable[Recorded], query: Mapping[str, str]) -> list[list[Any]] | None:
    """List what began in the span of a request with `exclusive=1`, by time; None for a request that makes no sense."""
    start_us, end_us = timestamp_us(query.get("start_timestamp")), timestamp_us(query.get("end_timestamp"))
    if start_us is None or end_us is None or query.get("exclusive") != "1":
        return None
    namespaces = query["namespace"].split(",") if "namespace" in query else None
    found = [
        item
        for item in items
        if item.event.camera_id == query.get("id")
        and start_us <= item.began_us <= end_us
        and (namespaces is None or str(item.event.body.get("ns")) in namespaces)
    ]
    found.sort(key=lambda item: item.began_us)
    bodies = [item.event.body for item in found]
    return [[body["uuid"], body["timestamp"], body.get("ns"), body.get("mpack")] for body in bodies]
