"""Make events and messages as the cloud sends them, and write the script of what an account's cameras see.

A timestamp is cut to milliseconds, never rounded, so no event lies in the future of the instant it was made for.
"""

import datetime as dt
import heapq
import json
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from math import exp
from typing import Any, Final, NamedTuple

from .account import Account, SimCamera

CREATE, HEARTBEAT, END = 1, 4, 5  # probable meanings of an annotation's `op`
MPACK: Final = "gqVsYWJlbKZwZXJzb26kY29uZsqPwvU="
HEARTBEAT_S: Final = (3.0, 9.8)  # heartbeats are at most 10 s apart
ALERT_SHARE: Final = 0.2  # how many annotations have an ALRS in the message of their creation
# How many events follow from one start (one heartbeat on average): starts are made so much rarer.
EVENTS_A_START: Final = 3 + ALERT_SHARE
WARM_UP_S: Final = 40.0  # the script begins this much earlier, unseen, so that the rate is right from the start
# One annotation in so many is recorded but never delivered, the 20th first, so that a short demo has one.
SWALLOWED, FIRST_SWALLOWED = 200, 20

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
    """List what began in the span of a request with `exclusive=1`, by time; None for a request that makes no sense."""
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


class Beat(NamedTuple):
    """One value, due `due_s` after the start and `delay_s` after it happened."""

    due_s: float
    delay_s: float
    camera_id: str
    four_cc: str
    fields: dict[str, Any]
    swallowed: bool


def beats(account: Account) -> Iterator[Beat]:
    """Write the endless script, by `due_s`; but for uuids it is the same for the same account."""
    rng = random.Random(f"eelogger script {account.seed}")
    order, began = count(), count(1)
    heap: list[tuple[float, int, Beat | SimCamera]] = [
        (rng.expovariate(camera.rate / EVENTS_A_START) - WARM_UP_S, next(order), camera)
        for camera in account.cameras
        if camera.rate > 0
    ]
    heapq.heapify(heap)
    while heap:
        due_s, _, item = heapq.heappop(heap)
        if isinstance(item, Beat):
            if due_s >= 0:
                yield item
            continue
        # Only of those that are seen from their creation on.
        swallowed = due_s >= 0 and next(began) % SWALLOWED == FIRST_SWALLOWED
        for beat in _life(rng, item, due_s, swallowed):
            heapq.heappush(heap, (beat.due_s, next(order), beat))
        next_s = due_s + rng.expovariate(item.rate / EVENTS_A_START)
        heapq.heappush(heap, (next_s, next(order), item))


def _life(rng: random.Random, camera: SimCamera, at_s: float, swallowed: bool) -> Iterator[Beat]:
    """Write one annotation: creation, heartbeats, end; sometimes an alert beside it."""
    same = {"uuid": str(uuid.uuid4()), "ns": rng.choice(camera.namespaces)}

    def beat(op: int, seq: int) -> Beat:
        is_long = rng.random() < 0.003
        delay_s = rng.uniform(5.0, 20.0) if is_long else camera.bridge.median_s * exp(0.45 * rng.gauss(0.0, 1.0))
        return Beat(at_s + delay_s, delay_s, camera.id, "ANNT", {**same, "op": op, "seq": seq}, swallowed)

    created = beat(CREATE, 0)
    yield created
    if rng.random() < ALERT_SHARE:
        yield created._replace(four_cc="ALRS", fields={}, swallowed=False)
    seq = 1
    while rng.random() < 0.5:
        at_s += rng.uniform(*HEARTBEAT_S)
        yield beat(HEARTBEAT, seq)
        seq += 1
    at_s += rng.uniform(0.5, HEARTBEAT_S[1])
    yield beat(END, seq)
