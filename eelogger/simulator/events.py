"""Make event bodies and messages as the cloud sends them.

A timestamp is cut to milliseconds, never rounded, so no event lies in the future of the instant it was made for.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

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
    def read(cls, camera_id: str, four_cc: str, body: Mapping[str, Any]) -> Event:
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
