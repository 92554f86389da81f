"""The oracle, proven on each kind of damage."""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_cloud import FaultCloud
from launch import launch
from oracle import compare

from eelogger.simulator import Account, SentEvent

Sample = tuple[list[SentEvent], Path, str]


async def logged_sample(log_dir: Path) -> Sample:
    """What was sent, and the logs of it: every verdict, repeats, an event without identity."""
    async with FaultCloud(Account.of(cameras=2)) as cloud:
        first, second = cloud.camera_ids()
        cloud.latest.clear()
        await cloud.emit(first, delay_s=7200.0)
        await cloud.emit(second, "ALRS", delay_s=7200.0)
        async with launch(cloud, log_dir) as logger:
            await cloud.wait_subscribed(2)
            for number in range(6):
                made = await cloud.emit(first, delay_s=0.2 * number + 0.1, ns=101 + number % 2)
                await cloud.emit(second, "ALRS", delay_s=0.3)
                await cloud.emit(first, uuid=made.body["uuid"], op=4, ns=made.body["ns"])
            await cloud.emit(first, delay_s=-5.0)
            await cloud.emit(first, timestamp="20261332000000.000")
            await cloud.emit(first, uuid=None)
            assert await logger.stop() == 0
        return list(cloud.sent), log_dir, first


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return asyncio.run(logged_sample(tmp_path_factory.mktemp("sample") / "logs"))


@pytest.fixture
def sample(made: Sample, log_dir: Path) -> Sample:
    sent, root, first = made
    shutil.copytree(root, log_dir)
    return sent, log_dir, first


def kinds_of(sent: list[SentEvent], root: Path, **options: Any) -> set[str]:
    return {kind for kind, found in compare(sent, root, **options).items() if found}


def test_right_logs_are_accepted_those_of_past_days_too(sample: Sample) -> None:
    sent, root, _ = sample
    found = compare(sent, root)
    assert found.ok, str(found)
    assert (found.sent, found.arrived, found.logged) == (23, 23, 16)
    day = root / "days" / "2026-11-21"
    day.mkdir(parents=True)
    for path in [root / "stream", *root.glob("Front Door_*.log")]:
        path.rename(day / path.name)
    assert compare(sent, root).ok


Damage = Callable[[list[str]], Any]


def in_line(number: int, pattern: str, replacement: str) -> Damage:
    def damage(lines: list[str]) -> None:
        changed = re.sub(pattern, replacement, lines[number], count=1)
        assert changed != lines[number], lines[number]
        lines[number] = changed

    return damage


STREAM, DELAY, UUIDS = "stream/Front Door_{}_stream.log", "Front Door_{}.log", "processed_event_uuids.log"


@pytest.mark.parametrize(
    ("file", "damage", "kinds"),
    [
        (STREAM, lambda lines: lines.pop(3), {"missing in stream"}),
        (STREAM, lambda lines: lines.pop(0), {"missing in stream", "wrong delay"}),
        (STREAM, lambda lines: lines.append(lines[-1]), {"twice"}),
        (STREAM, in_line(-1, "^20..", "2021"), {"wrong delay"}),
        (STREAM, in_line(-1, "}$", ""), {"unreadable", "missing in stream"}),
        (STREAM, in_line(-1, r" -- \{.*\n", ' -- {"event": {"ANNT": {"uuid": "x"}}}\n'), {"unknown"}),
        (DELAY, lambda lines: lines.pop(), {"missing delay line"}),
        (DELAY, lambda lines: lines.append(lines[-1]), {"twice"}),
        (DELAY, in_line(1, r"delay_s=0\.1", "delay_s=0.2"), {"wrong delay", "wrong figures"}),
        (DELAY, in_line(2, r"event_time=20..", "event_time=2025"), {"wrong delay"}),
        (DELAY, in_line(2, "verdict=measured", "verdict=initial"), {"wrong verdict", "wrong figures"}),
        (DELAY, in_line(-2, "verdict=early", "verdict=undated"), {"wrong verdict"}),
        (DELAY, in_line(2, " n=2", " n=3"), {"wrong figures"}),
        (DELAY, in_line(3, r" avg_s=0\.3", " avg_s=0.4"), {"wrong figures"}),
        (DELAY, in_line(3, r" p95_s=0\.5", " p95_s=0.6"), {"wrong figures"}),
        (DELAY, in_line(5, r" ns_avg_s=0\.5", " ns_avg_s=0.6"), {"wrong figures"}),
        (DELAY, in_line(2, " ns=102", " ns=103"), {"wrong fields", "wrong figures"}),
        (DELAY, in_line(2, " camera=", " camera=f"), {"wrong fields"}),
        (DELAY, in_line(-1, " uuid=.", " uuid=x"), {"unknown", "missing delay line"}),
        (DELAY, in_line(-1, "^", "camera=1 "), {"unreadable", "missing delay line"}),
        (UUIDS, lambda lines: lines.pop(), {"missing identity"}),
        (UUIDS, lambda lines: lines.append("8d5e\n"), {"unknown"}),
    ],
)  # fmt: skip
def test_each_kind_of_damage_is_found(sample: Sample, file: str, damage: Damage, kinds: set[str]) -> None:
    sent, root, first = sample
    path = root / file.format(first)
    lines = path.read_text().splitlines(keepends=True)
    damage(lines)
    path.write_text("".join(lines))
    assert kinds <= kinds_of(sent, root)


def test_what_was_sent_in_an_excused_period_may_be_missing_or_there_but_not_late(sample: Sample) -> None:
    sent, root, _ = sample
    assert kinds_of([item._replace(sent_us=item.sent_us - 1_100_000) for item in sent], root) == {"wrong delay"}
    always = [(0, sent[-1].sent_us)]
    assert compare(sent, root, excused=always).ok
    for path in root.rglob("*.log"):
        path.write_text("")
    assert compare(sent, root, excused=always).ok
    assert kinds_of(sent, root) == {"missing in stream", "missing delay line"}
