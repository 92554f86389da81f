"""The self-test: right logs are sound, each kind of damage is not."""

import io
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest
from launch import command

from eelogger.commands import selftest
from eelogger.storage.delaylog import DelayRow
from eelogger.views.console import Console


async def test_a_run_is_sound_and_any_difference_is_not(tmp_path: Path) -> None:
    items = await selftest.measure(tmp_path, seconds=1.5)
    rows = [*selftest.logged_rows(tmp_path)]
    logged, wrong = selftest.judge(items, rows)
    assert not wrong
    assert len(logged) > 100
    kinds = Counter(row.kind for row in rows)
    assert kinds["early"] == kinds["undated"] == selftest.ODD_ONES
    assert selftest.judge([], [])[1]

    at = next(number for number, row in enumerate(rows) if row.kind == "measured")
    row = rows[at]
    before_us = row.arrived_us - next(item.sent_us for item in items if item.event.identity == row.identity) + 1
    assert row.delay_us is not None
    damages: list[list[DelayRow]] = [
        [], [row, row], [row._replace(identity="another")], [row._replace(kind="early")],
        [row._replace(kind="undated")], [row._replace(delay_us=row.delay_us + 1)],
        [row._replace(arrived_us=row.arrived_us - before_us, delay_us=row.delay_us - before_us)],
    ]  # fmt: skip
    for damage in damages:
        assert selftest.judge(items, [*rows[:at], *damage, *rows[at + 1 :]])[1], damage
    late = [item._replace(sent_us=item.sent_us - selftest.SOUND_US) for item in items]
    assert "too busy" in selftest.judge(late, rows)[1][0]


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
