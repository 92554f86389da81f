"""Whatever arrives on the socket: broken, hostile or merely strange, it is read, rejected or refused, and nothing else.

Messages as the cloud sends them are bent at random, in their bytes and in their structure, and go all the way through
reading, judgement and text. The short form runs always, the long one with a large budget (`-m slow`).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from runs import CAMERAS, NOON_US, Run, annt, event_time, run

from eelogger import wire
from eelogger.errors import MessageError
from eelogger.lines import parse_delay_line, parse_stream_line

FRONT, BACK = CAMERAS
SHORT, LONG = 10_000, 2_000_000
AT_ONCE = 20_000

SEEDS: list[Any] = [
    {"status_code": 200, "message": "OK", "data": {FRONT: {"event": {"ANNT": annt(NOON_US, "u-1")}}}},
    {"status_code": 200, "data": {FRONT: {"pre": event_time(NOON_US)}, BACK: {"event": {"ALRS": {"eventid": -1}}}}},
    {"status_code": 200, "data": {BACK: {"event": {"ALRS": [{"eventid": 7, "timestamp": event_time(NOON_US)}] * 2}}}},
    {"status_code": 200, "data": {FRONT: {"error": [{"status_code": 404, "message": "Camera not found"}]}}},
    {"status_code": 412, "message": "auth lost", "data": {}},
    {"data": {FRONT: {"event": {"ANNT": {**annt(NOON_US, "u-2"), "ns": "103", "mpack": "gqVs"}}}, "deadbeef": {}}},
]
LEAVES: list[Any] = [
    None, True, False, 0, -1, 2**31, -(2**63), 10**30, 1.5, -0.0, 1e308, float("inf"), float("nan"), "", " ", "\n",
    "\0", "\ud800", "\u202e", "é", '"', "\\", "a=b c", "x" * 300, "20261122120000.000", "20261122120000",
    "99991231235960.9", "00000000000000.000", "٢٠٢٦١١٢٢١٢٠٠٠٠", "103", "-5", "1e9", "9" * 5000, [], {}, [[]],
    {"": {}}, FRONT, BACK.upper(), "@deep", "@deep",
]  # fmt: skip
FRAGMENTS = [
    b"", b"{", b"}", b"[" * 200, b'"', b"\\", b"\\ud800", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b"NaN",
    b"-Infinity", b"1e999", b"9" * 5000, b",", b":", b" ", b"\n", b'{"data":', b'{"a":' * 3000,
    b"null", b"\xef\xbb\xbf", b'"uuid":', b"true",
]  # fmt: skip


class Bender:
    """Bends messages, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.number = 0

    def message(self) -> bytes:
        """The next one."""
        chance = self.chance
        self.number += 1
        value = json.loads(json.dumps(chance.choice(SEEDS)).replace('"u-', f'"{self.number}-'))
        for _ in range(chance.randrange(4)):
            self.bend(value)
        data = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        depth = chance.randrange(850, 1000)  # what can just be read, or written
        data = data.replace(b'"@deep"', b"[" * depth + b"]" * depth)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):
            data = self.cut(data)
        return data

    def bend(self, value: Any) -> None:
        """Change one place in the value, any of all as likely as the others."""
        chance = self.chance
        places = list(_places(value))
        if not places:
            return
        container, key = chance.choice(places)
        old = container[key]
        match chance.randrange(9):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[str(chance.choice(LEAVES))] = container.pop(key)
            case 2 if isinstance(container, dict):
                container[str(chance.choice(LEAVES))] = deepcopy(old)
            case 3:
                container[key] = chance.choice(([old], [old, deepcopy(chance.choice(LEAVES))], {"event": old}))
            case _:
                container[key] = deepcopy(chance.choice(LEAVES))

    def cut(self, data: bytes) -> bytes:
        """The bytes with one place changed."""
        chance = self.chance
        at, length = chance.randrange(len(data) + 1), chance.choice((0, 1, 1, 2, 8, 40))
        return data[:at] + chance.choice(FRAGMENTS) + data[at + length :]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value: what holds it, and under which key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


def read(data: bytes) -> bool:
    """Everything `wire` reads in a message; whether it was one."""
    try:
        message = wire.read_message(data)
    except MessageError as error:
        return not error.reason
    for camera_id, cam_data in message.updates:
        events, rejects = wire.split_events(camera_id, cam_data)
        for event in events:
            assert wire.identity(camera_id, event) != ""
            wire.namespace(event)
            wire.event_time_us(event.get("timestamp"))
        assert all(isinstance(reject.text, str) for reject in rejects)
    assert all(isinstance(notice.status_code, int) for notice in message.notices)
    return True


def whole_lines(path: Path) -> list[str]:
    content = path.read_bytes()
    assert content[-1:] in (b"", b"\n")
    return content.decode().split("\n")[:-1]


async def judge(root: Path, seed: int, count: int) -> tuple[int, int]:
    """Take bent messages through a whole run; how many could be read, and how many lines came of it."""
    bender, good = Bender(seed), 0
    async with run(root) as this:
        this.recorder.subscribed(NOON_US)
        for number in range(count):
            data = bender.message()
            good += read(data)
            this.recorder.record(data, NOON_US + number)
            if number % 500 == 0:
                await asyncio.sleep(0)
    return good, check(this)


def check(this: Run) -> int:
    """Each line of a run is whole and says what it can be read back as; how many delay lines there are."""
    found = 0
    for camera_id, stems in this.paths.find_stems().items():
        for stem in stems:
            logged = [parse_delay_line(line) for line in whole_lines(this.paths.delay(stem))]
            assert None not in logged
            assert {row[1].id for row in logged if row} <= {camera_id}
            assert None not in map(parse_stream_line, whole_lines(this.paths.stream(stem)))
            found += len(logged)
    assert all(line.isprintable() for line in whole_lines(this.paths.rejected))
    assert len(whole_lines(this.paths.uuids)) == found
    return found


async def test_bent_messages_are_read_or_rejected(tmp_path: Path) -> None:
    good, found = await judge(tmp_path, seed=1, count=SHORT)
    # Bent too much they would all stop at the door.
    assert SHORT * 0.3 < good < SHORT * 0.9
    assert found > SHORT * 0.02


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_a_million_bent_messages_are_read_or_rejected(tmp_path: Path) -> None:
    for seed in range(LONG // AT_ONCE):
        await judge(tmp_path / str(seed), seed=seed + 100, count=AT_ONCE)
