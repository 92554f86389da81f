"""Event objects as the cloud sends them, and the two things a judge needs of them: identity and time.

Pure. Makes bodies (ANNT, ALRS, motion, preview), their timestamps and the text of a message; decides nothing about
when or to whom. A timestamp is cut to milliseconds, never rounded [doc], so an event never lies in the future of
the instant it was made for.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ANNT: Final = "ANNT"
PRE: Final = "pre"
"""Not a four-CC: the resource of preview timestamps, kept beside them so that one message can hold both."""
STATUS: Final = "status"
RESOURCES_AS_EVENTS: Final = frozenset({PRE, STATUS})

CREATE, MODIFY, HEARTBEAT, END = 1, 2, 4, 5
"""Probable meanings of an annotation's `op` [?]."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_TIMESTAMP = re.compile(r"(\d{14})(?:\.(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Event:
    """One value under a four-CC: the JSON `body`, its time as written (None: undated), its identity ("": none)."""

    camera_id: str
    four_cc: str
    body: Any
    event_us: int | None
    identity: str


def timestamp_text(us: int) -> str:
    """`us` (UTC) as `YYYYMMDDhhmmss.xxx`, cut to the millisecond [doc]."""
    moment = _EPOCH + dt.timedelta(microseconds=us)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}"


def timestamp_us(text: object) -> int | None:
    """The microsecond a timestamp stands for; None when unreadable, impossible or outside 2000-2099."""
    match = _TIMESTAMP.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        moment = dt.datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    if not 2000 <= moment.year <= 2099:
        return None
    return (moment - _EPOCH) // _MICROSECOND + int((match[2] or "")[:6].ljust(6, "0"))


def identity_of(camera_id: str, four_cc: str, body: Any) -> str:
    """What makes two values the same event: the uuid, else `TYPE:camera:eventid:timestamp`, "" when neither.

    Event ids are unsigned 32-bit sent as signed [seen]; an ANNT without a usable uuid has no identity.
    """
    if four_cc in RESOURCES_AS_EVENTS:
        return f"{four_cc}:{camera_id}:{body}"
    if not isinstance(body, Mapping):
        return ""
    name = body.get("uuid")
    if isinstance(name, str) and 1 <= len(name) <= 256:
        return name
    event_id = body.get("eventid")
    if four_cc == ANNT or not isinstance(event_id, int) or isinstance(event_id, bool):
        return ""
    return f"{four_cc}:{camera_id}:{event_id & 0xFFFFFFFF}:{body.get('timestamp', '')}"


def event(camera_id: str, four_cc: str, body: Any) -> Event:
    """`body` with its identity and time read from it."""
    stamp = body.get("timestamp") if isinstance(body, Mapping) else body if four_cc == PRE else None
    return Event(camera_id, four_cc, body, timestamp_us(stamp), identity_of(camera_id, four_cc, body))


def make(camera_id: str, four_cc: str, us: int, fields: Mapping[str, Any], omit: Iterable[str] = ()) -> Event:
    """An event that happened at `us`; `fields` replace or add keys of the body, `omit` leaves keys out."""
    if four_cc == PRE:
        return event(camera_id, PRE, timestamp_text(us))
    body = annotation_body(camera_id, us) if four_cc == ANNT else alert_body(camera_id, us)
    body.update(fields)
    for key in omit:
        body.pop(key, None)
    return event(camera_id, four_cc, body)


def annotation_body(camera_id: str, us: int) -> dict[str, Any]:
    """An annotation's creation; a heartbeat or end is the same uuid with another `op`, `seq` and timestamp [doc]."""
    return {
        "cameraid": camera_id,
        "ns": 103,
        "flags": 0,
        "uuid": str(uuid.uuid4()),
        "seq": 0,
        "op": CREATE,
        "mpack": "gqVsYWJlbKZwZXJzb26kY29uZsqPwvU=",
        "timestamp": timestamp_text(us),
    }


def alert_body(camera_id: str, us: int) -> dict[str, Any]:
    """Any other four-CC: no uuid, an `eventid` that is unsigned 32-bit shown as signed [seen]."""
    return {
        "cameraid": camera_id,
        "eventid": (uuid.uuid4().int & 0xFFFFFFFF) - 0x80000000,
        "timestamp": timestamp_text(us),
    }


def message_text(events: Iterable[Event]) -> str:
    """One data message with all `events`; several values of one (camera, four-CC) become a list [?]."""
    data: dict[str, dict[str, Any]] = {}
    for item in events:
        camera = data.setdefault(item.camera_id, {})
        if item.four_cc in RESOURCES_AS_EVENTS:
            camera[item.four_cc] = item.body
            continue
        values = camera.setdefault("event", {})
        if item.four_cc in values:
            former = values[item.four_cc]
            values[item.four_cc] = [*(former if isinstance(former, list) else [former]), item.body]
        else:
            values[item.four_cc] = item.body
    return json.dumps({"status_code": 200, "message": "OK", "data": data}, separators=(",", ":"))


def error_text(status_code: int, message: str) -> str:
    """A request error: the socket stays open [doc]."""
    return json.dumps({"status_code": status_code, "message": message, "data": {}})


def camera_error_text(camera_id: str, status_code: int, message: str) -> str:
    """A camera's error: the outer code stays 200 and that camera has left the session [doc]."""
    error = [{"status_code": status_code, "message": message}]
    return json.dumps({"status_code": 200, "message": "OK", "data": {camera_id: {"error": error}}})
