"""Read messages: camera updates, events, identities, times.

A part that cannot be read is rejected with a reason and harms no other part. Any bytes give a message or a
`MessageError`, nothing else.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from ..errors import MessageError
from ..model import CloudNotice, Reject

UUID_MAX_CHARS: Final = 256
EXCERPT_CHARS: Final = 4096
_TIMESTAMP_MAX_CHARS: Final = 64
_INTEGER = re.compile(r"-?[0-9]{1,10}").fullmatch
_SECOND = re.compile(r"[0-9]{8}(?:[01][0-9]|2[0-3])[0-9]{4}").fullmatch
_FRACTION = re.compile(r"(?:\.([0-9]*))?").fullmatch
_decode = json.JSONDecoder().raw_decode


def read_message(data: bytes | str) -> tuple[list[tuple[str, dict[str, Any]]], list[Reject], list[CloudNotice]]:
    """Read one message: updates (camera id, JSON object), unreadable parts, the server's errors.

    Raises `MessageError` when it is not JSON, no object, or has no `data` object.
    The shape is the vendor's documentation of `/api/v2/Device/{account}/Events`; unknown keys are let pass.
    """
    top = _load(data)
    if type(top) is not dict:
        raise MessageError("not-an-object")
    notices: list[CloudNotice] = []
    if top.get("status_code") != 200 and integer(top.get("status_code")) not in (None, 200):
        notices.append(_notice("", top))
    cameras = top.get("data")
    if type(cameras) is not dict:
        if not notices:
            raise MessageError("no-data")
        cameras = {}
    updates: list[tuple[str, dict[str, Any]]] = []
    rejects: list[Reject] = []
    for camera_id, camera in cameras.items():
        if type(camera) is dict:
            updates.append((camera_id, camera))
            if "error" in camera:
                errors = camera["error"]
                notices += [_notice(camera_id, error) for error in (errors if type(errors) is list else [errors])]
        else:
            rejects.append(Reject("camera-data-not-an-object", camera_id, excerpt(camera)))
    return updates, rejects, notices


def split_events(camera_id: str, cam_data: dict[str, Any]) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Split an update into events (their `type` is added) and unreadable parts."""
    event = cam_data.get("event", {})
    if type(event) is not dict:
        return [], [Reject("event-not-an-object", camera_id, excerpt(event))]
    events: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for four_cc, value in event.items():
        # The vendor documents one object a four-CC; a list of them is accepted in case there are more.
        for item in value if type(value) is list else (value,):
            if type(item) is dict:
                events.append({**item, "type": four_cc})
            else:
                rejects.append(Reject("value-not-an-object", camera_id, excerpt({four_cc: item})))
    return events, rejects


def identity(camera_id: str, event: dict[str, Any]) -> str | None:
    """What makes this event one event: its uuid, or `TYPE:camera:eventid:timestamp`; None when it has neither.

    Event ids are unsigned 32-bit numbers that the vendor sends as signed ones, hence the mask.
    """
    uuid = event.get("uuid")
    if type(uuid) is str and 0 < len(uuid) <= UUID_MAX_CHARS:
        return uuid
    four_cc, eventid, timestamp = event["type"], integer(event.get("eventid")), event.get("timestamp")
    if type(timestamp) is not str or len(timestamp) > _TIMESTAMP_MAX_CHARS:
        timestamp = ""
    if four_cc == "ANNT" or (eventid is None and not timestamp):
        return None
    return f"{four_cc}:{camera_id}:{'' if eventid is None else eventid & 0xFFFFFFFF}:{timestamp}"


def integer(value: object) -> int | None:
    """An integer as JSON sends it, also as digits in a string; None for a bool or anything outside 10 digits."""
    if type(value) is int:
        return value if -9_999_999_999 <= value <= 9_999_999_999 else None
    if type(value) is str and _INTEGER(value):
        return int(value)
    return None


def event_time_us(timestamp: object) -> int | None:
    """`YYYYMMDDhhmmss.xxx` (UTC) in microseconds since 1970, digits beyond six cut; None outside 2000-2099."""
    if type(timestamp) is not str or len(timestamp) > _TIMESTAMP_MAX_CHARS:
        return None
    # In the form that the vendor documents both parts are known from events before.
    second_us, fraction_us = _second_us(timestamp[:14]), _fraction_us(timestamp[14:])
    return None if second_us is None or fraction_us is None else second_us + fraction_us


@lru_cache(maxsize=2048)
def _fraction_us(text: str) -> int | None:
    match = _FRACTION(text)
    return int((match[1] or "")[:6].ljust(6, "0")) if match else None


@lru_cache(maxsize=1024)  # events cluster in the seconds around now
def _second_us(digits: str) -> int | None:
    if not _SECOND(digits):  # `fromisoformat` takes more than the vendor's form
        return None
    try:
        second = datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}Z")
    except ValueError:
        return None
    return round(second.timestamp()) * 1_000_000 if 2000 <= second.year <= 2099 else None


def excerpt(value: object) -> str:
    """The start of a value as JSON; what lies behind the cut is not looked at."""
    text = ""
    with suppress(RecursionError):
        for piece in _pieces(value):
            text += piece
            if len(text) >= EXCERPT_CHARS:
                break
    return text[:EXCERPT_CHARS]


def _pieces(value: object) -> Iterator[str]:
    if type(value) is dict:
        for at, (key, item) in enumerate(value.items()):
            yield f"{', ' if at else '{'}{json.dumps(key[:EXCERPT_CHARS])}: "
            yield from _pieces(item)
        yield "}" if value else "{}"
    elif type(value) is list:
        for at, item in enumerate(value):
            yield ", " if at else "["
            yield from _pieces(item)
        yield "]" if value else "[]"
    else:  # the library would write out all of a long text
        yield json.dumps(value[:EXCERPT_CHARS] if type(value) is str else value)


def _load(data: bytes | str) -> Any:
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
    except UnicodeDecodeError:
        raise MessageError("not-utf-8") from None
    try:
        value, end = _decode(text)  # past the search for blanks around the value, of which the cloud sends none
        if end == len(text):
            return value
    except (ValueError, RecursionError):
        pass
    if not text or text.isspace():
        raise MessageError("empty")
    try:
        return json.loads(text, parse_int=_lenient_int)
    except RecursionError:
        raise MessageError("nested-too-deep") from None
    except json.JSONDecodeError:
        raise MessageError("not-json") from None


def _lenient_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= 4000 else float(digits)  # Python refuses to convert more than 4,300 digits


def _notice(camera_id: str, error: object) -> CloudNotice:
    code, message = (error.get("status_code"), error.get("message")) if type(error) is dict else (0, error)
    return CloudNotice(camera_id, integer(code) or 0, (message if type(message) is str else excerpt(message))[:200])
