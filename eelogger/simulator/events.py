"""Make event bodies and messages as the cloud sends them, and keep annotations as it records them.

A timestamp is cut to milliseconds, never rounded, so no event lies in the future of the instant it was made for.
"""

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

KEPT: Final = 20_000  # how many annotations recorded, and values sent, are remembered
PRE: Final = "pre"  # preview timestamps stand beside `event` in a message; here they are kept as if they had a four-CC
CREATE, HEARTBEAT, END = 1, 4, 5  # probable meanings of an annotation's `op`
MPACK: Final = "gqVsYWJlbKZwZXJzb26kY29uZsqPwvU="

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One value under a four-CC: its JSON body, its time as written (None: undated), its identity ("": none)."""

    camera_id: str
    four_cc: str
    body: Any
    event_us: int | None
    identity: str

    @classmethod
    def read(cls, camera_id: str, four_cc: str, body: Mapping[str, Any]) -> "Event":
        """Take time and identity from the body."""
        identity = body.get("uuid", "")
        if not identity and "eventid" in body:
            identity = f"{four_cc}:{camera_id}:{body['eventid'] & 0xFFFFFFFF}:{body.get('timestamp', '')}"
        return cls(camera_id, four_cc, body, timestamp_us(body.get("timestamp")), identity)


def timestamp_text(us: int) -> str:
    """Format µs as `YYYYMMDDhhmmss.xxx`, UTC."""
    moment = _EPOCH + dt.timedelta(microseconds=us)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}"


def timestamp_us(text: str | None) -> int | None:
    """Parse a timestamp to µs; None when there is none, or an impossible one."""
    try:
        moment = dt.datetime.strptime(text or "", "%Y%m%d%H%M%S.%f").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def make(camera_id: str, four_cc: str, us: int, fields: Mapping[str, Any]) -> Event:
    """Make an event that happened at `us`; `fields` replace keys of its body, None takes a key out."""
    text = timestamp_text(us)
    if four_cc == PRE:
        return Event(camera_id, PRE, text, us, "")
    body: dict[str, Any] = {"cameraid": camera_id}
    if four_cc == "ANNT":
        body |= {"ns": 103, "flags": 0, "uuid": str(uuid.uuid4()), "seq": 0, "op": CREATE, "mpack": MPACK}
    else:
        # The cloud sends unsigned 32-bit ids as signed ones.
        body["eventid"] = (uuid.uuid4().int & 0xFFFFFFFF) - 0x80000000
    body |= {"timestamp": text, **fields}
    return Event.read(camera_id, four_cc, {key: value for key, value in body.items() if value is not None})


def message_text(events: Iterable[Event]) -> str:
    """Format one data message; several values of one (camera, four-CC) become a list."""
    data: dict[str, dict[str, Any]] = {}
    for event in events:
        camera = data.setdefault(event.camera_id, {})
        if event.four_cc == PRE:
            camera[PRE] = event.body
        else:
            camera.setdefault("event", {}).setdefault(event.four_cc, []).append(event.body)
    for camera in data.values():
        values = camera.get("event", {})
        values |= {four_cc: bodies[0] for four_cc, bodies in values.items() if len(bodies) == 1}
    return json.dumps({"status_code": 200, "message": "OK", "data": data}, separators=(",", ":"))


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
