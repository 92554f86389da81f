"""The files that are replaced as a whole: written when something changed, and whole for each day."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from run_states import DATE, NOON_US, SECOND, add, cameras, day_of, run_state, verdict

from eelogger.measure.camera_statistics import Day
from eelogger.model import DAY_US, Camera, Timing
from eelogger.storage.formats import parse_delay_line
from eelogger.storage.paths import LogPaths
from eelogger.views import metrics, snapshots, summary
from eelogger.views.run_state import RunState
from eelogger.views.snapshots import Snapshots
from eelogger.views.summary import closing_table

QUICK = Timing(tick_s=0.01, summary_s=0.0, metrics_s=0.0)
SLOW = Timing(tick_s=0.01, summary_s=60.0)


class Files(dict[str, str]):
    """Stands in for the writer: the content of each file by its name under the log directory, and how often."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.writes: list[str] = []

    def replace(self, path: str, content: bytes | str) -> None:
        name = str(Path(path).relative_to(self.root))
        self[name] = content if isinstance(content, str) else content.decode()
        self.writes.append(name)

    async def written(self, name: str, part: str = "", within_s: float = 2.0) -> str:
        async with asyncio.timeout(within_s):
            while part not in self.get(name, "") or name not in self:
                await asyncio.sleep(0.005)
        return self[name]


class Run:
    """A run that shows `known` cameras; `messages` is its revision."""

    def __init__(self, root: Path, known: dict[str, Camera], timing: Timing, **fields: Any) -> None:
        self.files = Files(root)
        self.day, self.known, self.messages, self.fields = Day(), known, 0, fields
        metrics_file = fields.pop("metrics_file", None)
        revision, state_text = (lambda: self.messages), (lambda clean: f"clean={clean}")
        self.snapshots = Snapshots(
            self.files.replace, LogPaths(root), self.state, revision, state_text, metrics_file, timing
        )

    def state(self) -> RunState:
        return run_state(self.day, self.known, **self.fields)

    def turn_day(self) -> None:
        """Midnight passes."""
        ended = self.state()
        self.day, self.fields = Day(), {"date": "2026-11-23", "written_us": NOON_US + DAY_US}
        self.snapshots.end_day(ended)


@contextlib.asynccontextmanager
async def running(run: Run) -> AsyncIterator[Files]:
    task = asyncio.create_task(run.snapshots.run())
    try:
        yield run.files
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def many(n: int) -> dict[str, Camera]:
    return {f"{i:08x}": Camera(f"{i:08x}", f"camera {i}", f"{i % 100:08x}") for i in range(n)}


def events(known: Iterable[str], n: int = 3) -> Iterable[Any]:
    return (verdict(c, (int(c, 16) % 997) * 1000 + i, NOON_US + i, data={"a": 1}) for c in known for i in range(n))


async def test_all_files_are_there_at_once_and_maxima_stand_worst_first(tmp_path: Path) -> None:
    run = Run(tmp_path, many(600), QUICK, metrics_file=tmp_path / "node.prom")
    async with running(run) as files:
        assert await files.written("maxeventdelay.log") == ""
        assert (await files.written("summary.log")).startswith("connected since ")
        assert "eelogger_connected 1" in await files.written("node.prom")
        assert await files.written(".state") == "clean=False"
        add(run.day, events(run.known))
        run.snapshots.write_again()
        lines = (await files.written("maxeventdelay.log", "\n")).splitlines()
    assert {line[line.index("camera=") + 7 :][:8] for line in lines} == run.known.keys()
    delays = [item[0].delay_us or 0 for item in map(parse_delay_line, lines) if item]
    assert delays == sorted(delays, reverse=True)
    assert lines[0].endswith(' new_max=1 -- {"a": 1}')


async def test_nothing_is_written_again_while_nothing_changes(tmp_path: Path) -> None:
    run = Run(tmp_path, cameras("a"), QUICK)
    async with running(run) as files:
        await files.written("summary.log")
        await asyncio.sleep(0.1)
        assert [files.writes.count(name) for name in ("summary.log", "maxeventdelay.log")] == [1, 1]
        add(run.day, [verdict("100e0000", 7 * SECOND)])
        run.messages += 1
        await files.written("summary.log", "7.000")
        await files.written("maxeventdelay.log", "7.000000")
        run.snapshots.write_again()
        await asyncio.sleep(0.1)
        assert files.writes.count("summary.log") == 3
    run = Run(tmp_path, cameras("a"), Timing(tick_s=0.01, health_s=0.05))
    async with running(run) as files:
        await files.written("summary.log")
        run.fields["rtt_us"] = 5_000
        await files.written("summary.log", "5.0 ms")  # a silent run refreshes it now and then


async def test_long_renderings_are_followed_by_a_long_rest(tmp_path: Path) -> None:
    known = many(1_000)
    run = Run(tmp_path, known, QUICK)
    add(run.day, events(known))
    async with running(run) as files:
        await files.written("summary.log")
        began_s = time.monotonic()
        while time.monotonic() - began_s < 0.5:
            run.messages += 1
            await asyncio.sleep(0.01)
    assert files.writes.count("summary.log") == 1, "a rendering takes 50 ms here, so the next may come after a second"


@pytest.mark.parametrize("n", [1, 3_000])
async def test_after_midnight_both_days_have_their_files_whatever_comes(tmp_path: Path, n: int) -> None:
    # Nothing comes, and with 3,000 cameras a rendering of the ended day is under way.
    known = many(n)
    run = Run(tmp_path, known, SLOW)
    add(run.day, events(known))
    async with running(run) as files:
        await asyncio.sleep(0.03)
        known.pop(f"{n - 1:08x}")
        run.turn_day()
        files.clear()
        assert await files.written("maxeventdelay.log") == ""
        assert "(2026-11-23 UTC" in await files.written("summary.log"), "nothing of the ended day comes after it"
        ended = await files.written(f"days/{DATE}/summary.log", within_s=20)
        worst = files[f"days/{DATE}/maxeventdelay.log"]
    assert f"({DATE} UTC" in ended
    assert len(worst.splitlines()) == n
    assert (files["maxeventdelay.log"], f"({DATE} UTC" in files["summary.log"]) == ("", False)


async def test_the_end_of_a_run_is_shown_with_its_reason(tmp_path: Path) -> None:
    run = Run(tmp_path, many(300), SLOW, metrics_file=tmp_path / "node.prom")
    add(run.day, events(run.known))
    run.turn_day()
    add(run.day, [verdict("00000001", 5 * SECOND, NOON_US + DAY_US)])
    await run.snapshots.finish("STOPPED at last")
    run.snapshots.write_state(force=True, clean=True)
    assert run.files["summary.log"].startswith("STOPPED at last\n")
    assert "delay_s=5.000000" in run.files["maxeventdelay.log"]
    assert "node.prom" in run.files
    assert run.files[".state"] == "clean=True"
    assert f"({DATE} UTC" in run.files[f"days/{DATE}/summary.log"], "an ended day is waited for"


@pytest.mark.parametrize("make", [summary.render, closing_table, metrics.render, snapshots._worst_lines])
def test_with_ten_thousand_cameras_no_piece_takes_long(make: Any) -> None:
    known = many(10_000)
    state = run_state(day_of(events(known, 1)), known)
    gc.collect()
    gc.disable()
    try:
        began_s, longest_s = time.thread_time(), 0.0
        for _ in make(state):
            now_s = time.thread_time()
            longest_s, began_s = max(longest_s, now_s - began_s), now_s
    finally:
        gc.enable()
    assert longest_s < 0.005
