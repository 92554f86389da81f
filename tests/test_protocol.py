"""Whatever comes is a Message or a MessageError; one bad part harms no other; times and identities are exact."""

import json
import math
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from eelogger.errors import MessageError
from eelogger.measure import protocol
from eelogger.model import CloudNotice

CAMERA, OTHER = "100e1e23", "100e1e24"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS_OF_2000, SECONDS_OF_2100 = 946_684_800, 4_102_444_800
DEEP = 20_000
LONG = "9" * 5_000


def nested(depth: int, core: str = "1") -> str:
    """JSON of that depth around a core."""
    return "[" * depth + core + "]" * depth


def one_camera(body: str, *, after: str = "{}") -> str:
    """A message with a camera's data as JSON text, and a second camera after it."""
    return f'{{"status_code":200,"message":"OK","data":{{"{CAMERA}":{body},"{OTHER}":{after}}}}}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "empty"), (b" \r\n\t ", "empty"), ("\u2003", "empty"), ("hello", "not-json"), ('{"data":{}', "not-json"),
        ('{"data":{}} {}', "not-json"), (bytes(range(256)), "not-utf-8"), (b'"\xed\xa0\x80"', "not-utf-8"),
        ('[{"data":{}}]', "not-an-object"), (LONG, "not-an-object"), ("{}", "no-data"), ('{"data":[]}', "no-data"),
        (f"[{LONG},{nested(DEEP)}]", "nested-too-deep"), (one_camera(nested(DEEP)), "nested-too-deep"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_is_no_message(data: str | bytes, reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        protocol.read_message(data)
    assert caught.value.reason == reason


# One bad part harms no other


@pytest.mark.parametrize(
    ("body", "reasons", "types"),
    [
        ("[]", ["camera-data-not-an-object"], []), ('{"event":null}', ["event-not-an-object"], []),
        ('{"event":{"ANNT":[{},null,[{}],3,{}],"ALRS":{}}}', ["value-not-an-object"] * 3, ["ANNT", "ANNT", "ALRS"]),
        ('{"event":{"ANNT":{"type":"forged"}}}', [], ["ANNT"]), ('{"event":{"":{}}}', [], [""]),
    ],
)  # fmt: skip
def test_one_bad_part_harms_no_other(body: str, reasons: list[str], types: list[str]) -> None:
    found = {}
    updates, rejects, notices = protocol.read_message(one_camera(body, after='{"event":{"ALRS":{"eventid":1}}}'))
    for camera_id, data in updates:
        events, more = protocol.split_events(camera_id, data)
        found[camera_id] = [event["type"] for event in events]
        rejects += more
    assert [reject.reason for reject in rejects] == reasons
    assert {reject.camera_id for reject in rejects} <= {CAMERA}
    assert found.get(CAMERA, []) == types
    assert found[OTHER] == ["ALRS"]
    assert not notices


@pytest.mark.parametrize(
    ("text", "notices", "updates"),
    [
        ('{"status_code":401,"message":"access denied"}', [CloudNotice("", 401, "access denied")], 0),
        ('{"status_code":"412","message":["a"],"data":[]}', [CloudNotice("", 412, '["a"]')], 0),
        ('{"status_code":500,"data":{"100e1e23":{}}}', [CloudNotice("", 500, "null")], 1),
        ('{"status_code":"200","data":{"100e1e23":{}}}', [], 1),
        ('{"status_code":200,"data":{"100e1e23":{"error":[{"status_code":404,"message":"gone"},{"status_code":410}]},'
         '"100e1e24":{"pre":"x"}}}', [CloudNotice(CAMERA, 404, "gone"), CloudNotice(CAMERA, 410, "null")], 2),
        ('{"data":{"100e1e23":{"error":["text",null,7,{}]}}}',
         [CloudNotice(CAMERA, 0, m) for m in ("text", "null", "7", "null")], 1),
        ('{"status_code":400,"message":"' + "m" * 5_000 + '"}', [CloudNotice("", 400, "m" * 200)], 0),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_the_server_reports(text: str, notices: list[CloudNotice], updates: int) -> None:
    read, rejects, told = protocol.read_message(text)
    assert (len(read), rejects, told) == (updates, [], notices)


# Identity and integers


STAMP = "20261122090718.889"


@pytest.mark.parametrize(
    ("event", "identity"),
    [
        ({"type": "ANNT", "uuid": "u" * 256}, "u" * 256),
        ({"type": "ANNT", "uuid": "u" * 257, "eventid": 1, "timestamp": STAMP}, None),
        ({"type": "ANNT", "uuid": "", "eventid": 1, "timestamp": STAMP}, None), ({"type": "ANNT", "uuid": 12}, None),
        ({"type": "ALRS", "uuid": "8d5e", "eventid": 7}, "8d5e"),
        ({"type": "ALRS", "eventid": "7", "timestamp": STAMP}, f"ALRS:{CAMERA}:7:{STAMP}"),
        ({"type": "ALRS", "uuid": "u" * 257, "eventid": -1}, f"ALRS:{CAMERA}:4294967295:"),
        ({"type": "ALRS", "eventid": True, "timestamp": STAMP}, f"ALRS:{CAMERA}::{STAMP}"),
        ({"type": "ALRS", "eventid": 7, "timestamp": "9" * 64}, f"ALRS:{CAMERA}:7:{'9' * 64}"),
        ({"type": "ALRS", "eventid": 7, "timestamp": "9" * 65}, f"ALRS:{CAMERA}:7:"), ({"type": "ALRS"}, None),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_identity(event: dict[str, Any], identity: str | None) -> None:
    assert protocol.identity(CAMERA, event) == identity


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0103", 103), (-5, -5), ("-5", -5), (9_999_999_999, 9_999_999_999), (10_000_000_000, None),
        ("10000000000", None), (-9_999_999_999, -9_999_999_999), (-10_000_000_000, None), (True, None), (103.0, None),
        (math.nan, None), (None, None), ("", None), ("103\n", None), ("+103", None), ("1_0", None), ("１０３", None),
        ([103], None),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_integer(value: object, number: int | None) -> None:
    assert protocol.integer(value) == number


# Times


@given(st.integers(SECONDS_OF_2000, SECONDS_OF_2100 - 1), st.text("0123456789", max_size=9))
@example(SECONDS_OF_2000, "")
@example(SECONDS_OF_2100 - 1, "999999999")
@example(SECONDS_OF_2000, "1000")
@example(SECONDS_OF_2000, "8" * 49)
def test_event_time_is_what_datetime_computes(seconds: int, fraction: str) -> None:
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S")
    micros = sum(int(digit) * 10 ** (5 - place) for place, digit in enumerate(fraction[:6]))
    assert protocol.event_time_us(f"{text}.{fraction}") == seconds * 1_000_000 + micros
    if not fraction:
        assert protocol.event_time_us(text) == seconds * 1_000_000


@pytest.mark.parametrize(
    "timestamp",
    [
        None, 20261122090718, 20261122090718.889, True, "", "00010101000000.000", "19991231235959.999999",
        "21000101000000.000", "20261301000000", "20260230000000", "21000229000000", "20261122240000", "20261122096000",
        "20261122090760", " 20261122090718.889", "20261122090718.889 ", "20261122090718\n", "20261122090718,889",
        "20261122090718.88a", "20261122090718.8.9", "2026112209071", "202611220907181.889", "2026-11-22T09:07:18.889Z",
        "2026112209071８.889", "20261122090718.٨٨٩", "2026112209071\ud800", "20261122090718." + "8" * 50,
    ],
    ids=lambda value: str(value)[:24].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_no_event_time(timestamp: object) -> None:
    assert protocol.event_time_us(timestamp) is None


@pytest.mark.parametrize(
    "value",
    [[[], {}, [{}], {"a": [], "b": 1.5}], {"k": "v" * 5_000}, ["x" * 4_090, "yz", 1], "\ud800\x1b", list(range(3_000))],
    ids=lambda value: str(type(value)),
)
def test_an_excerpt_is_the_start_of_the_json(value: Any) -> None:
    assert protocol.excerpt(value) == json.dumps(value)[:4096]


def test_no_depth_ends_an_excerpt_in_an_error() -> None:
    deep: Any = []
    for _ in range(2_000):
        deep = [deep]
    assert protocol.excerpt(deep).startswith("[" * 100)


@pytest.mark.parametrize("value", [["y" * 2**22], ["y"] * 2**20, {"a": {"b": [1] * 2**20}}], ids=type)
def test_an_excerpt_costs_what_is_kept_not_what_came(value: object) -> None:
    tracemalloc.start()
    text = protocol.excerpt(value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(text) == 4096
    assert peak < 2**16
