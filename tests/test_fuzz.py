"""Whatever arrives on the socket: broken, hostile or merely strange, it is read, rejected or refused, and nothing else.

Messages as the cloud sends them are bent at random, in their bytes and in their structure, and go all the way through
reading, judgement and text.
"""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from oracle import STREAM_LINE, pairs_of, time_us

from eelogger.measure.coverage import Coverage
from eelogger.measure.handler import Handler
from eelogger.model import NAMESPACES, Camera
from eelogger.recorder import Recorder
from eelogger.storage.delaylog import rows
from eelogger.storage.disk import DELAY, OTHER, STREAM, Batch
from eelogger.storage.formats import parse_stream_line
from eelogger.storage.line_blocks import Skipped
from eelogger.storage.paths import LogPaths

FRONT, BACK = "100e0001", "100e0002"
NOON_US = 1_795_348_800_000_000
NOON = "20261122120000.000"
MESSAGES = 10_000
NO_MESSAGE = "empty", "not-utf-8", "not-json", "not-an-object", "no-data"

ANNT = {"timestamp": NOON, "uuid": "u-1", "ns": 103, "op": 1}
SEEDS: list[Any] = [
    {"status_code": 200, "message": "OK", "data": {FRONT: {"event": {"ANNT": ANNT}}}},
    {"status_code": 200, "data": {FRONT: {"pre": NOON}, BACK: {"event": {"ALRS": {"eventid": -1}}}}},
    {"status_code": 200, "data": {BACK: {"event": {"ALRS": [{"eventid": 7, "timestamp": NOON}] * 2}}}},
    {"status_code": 200, "data": {FRONT: {"error": [{"status_code": 404, "message": "Camera not found"}]}}},
    {"status_code": 412, "message": "auth lost", "data": {}},
    {"data": {FRONT: {"event": {"ANNT": {**ANNT, "ns": "103", "mpack": "gqVs"}}}, "deadbeef": {}}},
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


def whole_lines(texts: list[str]) -> list[str]:
    content = "".join(texts).encode("utf-8").decode("utf-8")
    assert content.endswith("\n")
    return content.split("\n")[:-1]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 2_000_000 // MESSAGES), marks=pytest.mark.slow)])
def test_bent_messages_are_read_or_rejected(seeds: range) -> None:
    for seed in seeds:
        judge(seed)


def judge(seed: int) -> None:
    """Bend so many messages, and look at all that was made of them."""
    bender, lines, found = Bender(seed), Batch(), 0
    handler = Handler({"ANNT", "ALRS"}, None, NAMESPACES)
    recorder = Recorder(handler, lines, Coverage(NOON_US), LogPaths(Path("logs")), day="2026-11-22")
    recorder.know({FRONT: Camera(FRONT, "Front Door", "100bb001"), BACK: Camera(BACK, "Hof, hinten")})
    recorder.subscribed(NOON_US)
    for number in range(MESSAGES):
        recorder.record(bender.message(), NOON_US + number)
    # Bent too much they would all stop at the door.
    assert MESSAGES * 0.1 < sum(recorder.rejects.counts[reason] for reason in NO_MESSAGE) < MESSAGES * 0.7
    for path, texts in lines.files[DELAY].items():
        for line, row in zip(whole_lines(texts), rows("".join(texts).encode(), Skipped()), strict=True):
            pairs = pairs_of(line)
            assert pairs
            assert row.identity
            assert (time_us(pairs["time"]), pairs["uuid"]) == (row.arrived_us, row.identity)
            assert row.parsed()[1].id in path
            found += 1
    for line in [line for texts in lines.files[STREAM].values() for line in whole_lines(texts)]:
        assert STREAM_LINE.fullmatch(line)
        assert parse_stream_line(line.encode()) is not None
    assert all(line.isprintable() for texts in lines.files[OTHER].values() for line in whole_lines(texts))
    assert len(whole_lines([text for _, text in lines.identities])) == found > MESSAGES * 0.02
