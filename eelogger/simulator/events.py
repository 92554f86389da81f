"""Make events and messages as the cloud sends them."""

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

CREATE, HEARTBEAT, END = 1, 4, 5  # probable meanings of an annotation's `op`
MPACK: Final = "gqVsYWJlbKZwZXJzb26kY29uZsqPwvU="

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Event(NamedTuple):
    """One value under a four-CC: its JSON body, its time as written (None: undated), its identity ("": none)."""

    camera_id: str
    four_cc: str
    body: dict[str, Any]
    event_us: int | None
    identity: str

    @classmethod
    def read(cls, camera_id: str, four_cc: str, body: dict[str, Any]) -> "Event":
        """Take time and identity from the body."""
        identity = body.get("uuid", "")
        if not identity and "eventid" in body:
            identity = f"{four_cc}:{camera_id}:{body['eventid'] & 0xFFFFFFFF}:{body.get('timestamp', '')}"
        return cls(camera_id, four_cc, body, timestamp_us(body.get("timestamp")), identity)


def timestamp_us(text: str | None) -> int | None:
    """Parse a timestamp to µs; None when there is none, or an impossible one."""
    try:
        moment = dt.datetime.strptime(text or "", "%Y%m%d%H%M%S.%f").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def make(camera_id: str, four_cc: str, us: int, fields: Mapping[str, Any]) -> Event:
    """Make an event that happened at `us`; `fields` replace keys of its body, None takes a key out."""
    body: dict[str, Any] = {"cameraid": camera_id}
    if four_cc == "ANNT":
        body |= {"ns": 103, "flags": 0, "uuid": str(uuid.uuid4()), "seq": 0, "op": CREATE, "mpack": MPACK}
    else:
        # The cloud sends unsigned 32-bit ids as signed ones.
        body["eventid"] = (uuid.uuid4().int & 0xFFFFFFFF) - 0x80000000
    # Cut to milliseconds, never rounded, so that no event lies in the future.
    moment = _EPOCH + dt.timedelta(microseconds=us)
    body |= {"timestamp": f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}", **fields}
    return Event.read(camera_id, four_cc, {key: value for key, value in body.items() if value is not None})


def message_text(events: Iterable[Event]) -> str:
    """Format one data message; several values of one (camera, four-CC) become a list."""
    data: dict[str, dict[str, Any]] = {}
    for event in events:
        values = data.setdefault(event.camera_id, {"event": {}})["event"]
        values.setdefault(event.four_cc, []).append(event.body)
    for camera in data.values():
        camera["event"] |= {name: bodies[0] for name, bodies in camera["event"].items() if len(bodies) == 1}
    return json.dumps({"status_code": 200, "message": "OK", "data": data}, separators=(",", ":"))


def listing(recorded: Iterable[Event], query: Mapping[str, str]) -> list[list[Any]] | None:
    """List what began in a request's span (`exclusive=1`), by time. None for a malformed request."""
    start_us, end_us = timestamp_us(query.get("start_timestamp")), timestamp_us(query.get("end_timestamp"))
    if start_us is None or end_us is None or query.get("exclusive") != "1":
        return None
    namespaces = query["namespace"].split(",") if "namespace" in query else None
    bodies = [
        event.body
        for event in recorded
        if event.camera_id == query.get("id")
        and start_us <= (event.event_us or 0) <= end_us
        and (namespaces is None or str(event.body.get("ns")) in namespaces)
    ]
    bodies.sort(key=lambda body: body["timestamp"])
    return [[body["uuid"], body["timestamp"], body.get("ns"), body.get("mpack")] for body in bodies]
