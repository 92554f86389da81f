"""The self-test: right logs are sound, each kind of damage is not."""

from __future__ import annotations

import io
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from launch import command

from eelogger.commands import selftest
from eelogger.simulator import Event, SentEvent
from eelogger.simulator.events import make
from eelogger.storage.delaylog import DelayRow
from eelogger.views.console import Console

NOON_US = 1_795_348_800_000_000
Rows = list[DelayRow | None]


def sent(event: Event, *, opening: bool = False) -> SentEvent:
    return SentEvent(event, NOON_US, opening, NOON_US - 10_000_000, NOON_US - 9_000_000)


def row(item: SentEvent, kind: str, late_us: int = 1_000) -> DelayRow:
    arrived_us, event_us = item.sent_us + late_us, item.event.event_us
    delay_us = None if event_us is None else arrived_us - event_us
    return DelayRow(arrived_us, delay_us, kind, item.event.four_cc, 103, item.event.identity, 1, False, b"")


def sample() -> tuple[list[SentEvent], Rows]:
    """One event of each verdict, with its line."""
    items = [
        sent(make("100e0001", "ANNT", NOON_US - 700_000, {})),
        sent(make("100e0001", "ANNT", NOON_US + 300_000, {})),
        sent(make("100e0001", "ANNT", NOON_US, {"timestamp": None})),
        sent(make("100e0002", "ALRS", NOON_US - 60_000_000, {}), opening=True),
    ]
    kinds = ("measured", "early", "undated", "initial")
    return items, [row(item, kind) for item, kind in zip(items, kinds, strict=True)]


def test_right_lines_are_sound_and_repeats_count_once() -> None:
    items, rows = sample()
    outcome = selftest.judge([*items, items[0]._replace(sent_us=NOON_US + 5_000_000)], rows)
    assert outcome.is_sound(), outcome
    assert (outcome.sent, len(outcome.logged), outcome.error_us(1000)) == (4, 4, 1_000)


def put(number: int, **fields: object) -> Callable[[Rows], object]:
    def damage(rows: Rows) -> None:
        changed = rows[number]
        assert changed is not None
        rows[number] = changed._replace(**fields)  # type: ignore[arg-type]

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: rows.pop(),
        lambda rows: rows.append(rows[0]),
        lambda rows: rows.append(None),
        put(0, identity="another"),
        put(0, kind="initial"),
        put(1, kind="measured"),
        put(3, kind="measured"),
        put(0, delay_us=700_001),
        put(0, arrived_us=NOON_US - 1, delay_us=699_999),
    ],
)
def test_any_difference_is_not_sound(damage: Callable[[Rows], object]) -> None:
    items, rows = sample()
    damage(rows)
    outcome = selftest.judge(items, rows)
    assert not outcome.is_sound()
    assert outcome.wrong


def test_late_stamps_and_nothing_sent_are_not_sound() -> None:
    items, _ = sample()
    outcome = selftest.judge(items[:1], [row(items[0], "measured", late_us=selftest.SOUND_US + 1)])
    assert not outcome.wrong
    assert not outcome.is_sound()
    assert not selftest.judge([], []).is_sound()


async def test_a_run_is_sound(tmp_path: Path) -> None:
    items = await selftest.measure(tmp_path, seconds=1.5)
    outcome = selftest.judge(items, selftest.logged_rows(tmp_path))
    assert not outcome.wrong
    assert outcome.sent > 100
    kinds = Counter(row.kind for _, row in outcome.logged)
    assert kinds["early"] == kinds["undated"] == selftest.ODD_ONES


def test_what_ends_the_run_is_said_and_is_70(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "START_S", 0.0)
    out = io.StringIO()
    assert selftest.run(Namespace(), Console(None, out, None)) == 70
    assert "could not be done" in out.getvalue()


@pytest.mark.slow
def test_the_command_ends_with_0_on_a_sound_machine() -> None:
    ended = command("check", "--self-test", env={"EEN_KEEP_DAYS": "settings do not matter"})
    assert ended.code == 0, ended
    assert "\nSound: " in ended.out
