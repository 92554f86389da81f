"""The files that are replaced as a whole: written when something changed, and whole for each day."""

import asyncio
import gc
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from run_states import DATE, NOON_US, SECOND, add, cameras, day_of, run_state, verdict

from eelogger.measure.camera_statistics import Day
from eelogger.measure.histogram import Histogram
from eelogger.model import DAY_US, Camera, Timing
from eelogger.storage.formats import parse_delay_line
from eelogger.storage.paths import LogPaths
from eelogger.views import metrics, snapshots, summary
from eelogger.views.run_state import RunState
from eelogger.views.snapshots import Snapshots
from eelogger.views.summary import closing_table

QUICK = Timing(tick_s=0.01, summary_s=0.0, metrics_s=0.0)
SLOW = Timing(tick_s=60.0, summary_s=60.0)


class Run:
    """A run that shows `known` cameras; `files` are what was written."""

    def __init__(self, root: Path, known: dict[str, Camera], timing: Timing, metrics_file: Path | None = None) -> None:
        self.files, self.writes = dict[str, str](), list[str]()
        self.day, self.known, self.fields = Day(), known, dict[str, Any]()
        self.root, paths = root, LogPaths(root)
        self.snapshots = Snapshots(self.replace, paths, self.state, metrics_file, timing)

    def replace(self, path: str, content: bytes | str) -> None:
        name = str(Path(path).relative_to(self.root))
        self.files[name] = content if isinstance(content, str) else content.decode()
        self.writes.append(name)

    async def written(self, name: str, part: str = "") -> str:
        async with asyncio.timeout(20):
            while part not in self.files.get(name, "") or name not in self.files:
                await asyncio.sleep(0.005)
        return self.files[name]

    def state(self) -> RunState:
        return run_state(self.day, self.known, **self.fields)

    def turn_day(self) -> None:
        """Midnight passes."""
        ended = self.state()
        self.day, self.fields = Day(), {"date": "2026-11-23", "written_us": NOON_US + DAY_US}
        self.snapshots.end_day(ended)

    async def __aenter__(self) -> "Run":
        self.task = asyncio.create_task(self.snapshots.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def many(n: int) -> dict[str, Camera]:
    return {f"{i:08x}": Camera(f"{i:08x}", f"camera {i}", f"{i % 100:08x}") for i in range(n)}


def events(known: Iterable[str], n: int = 3) -> Iterable[Any]:
    return (verdict(c, (int(c, 16) % 997) * 1000 + i, NOON_US + i, data={"a": 1}) for c in known for i in range(n))


async def test_all_files_are_there_at_once_and_maxima_stand_worst_first(tmp_path: Path) -> None:
    async with Run(tmp_path, many(600), QUICK, tmp_path / "node.prom") as run:
        assert await run.written("maxeventdelay.log") == ""
        assert (await run.written("summary.log")).startswith("connected since ")
        assert "eelogger_connected 1" in await run.written("node.prom")
        add(run.day, events(run.known))
        run.snapshots.write_again()
        lines = (await run.written("maxeventdelay.log", "\n")).splitlines()
    assert {line[line.index("camera=") + 7 :][:8] for line in lines} == run.known.keys()
    delays = [item[0].delay_us or 0 for item in map(parse_delay_line, lines) if item]
    assert delays == sorted(delays, reverse=True)
    assert lines[0].endswith(' new_max=1 -- {"a": 1}')


async def test_nothing_is_written_again_while_nothing_changes(tmp_path: Path) -> None:
    async with Run(tmp_path, cameras("a"), QUICK) as run:
        await run.written("summary.log")
        await asyncio.sleep(0.1)
        assert [run.writes.count(name) for name in ("summary.log", "maxeventdelay.log")] == [1, 1]
        add(run.day, [verdict("100e0000", 7 * SECOND)])
        run.fields["totals"] = {"measured": 1}
        await run.written("summary.log", "7.000")
        await run.written("maxeventdelay.log", "7.000000")
        assert run.writes.count("summary.log") == 2


@pytest.mark.parametrize("n", [1, 3_000])
async def test_after_midnight_both_days_have_their_files_at_once(tmp_path: Path, n: int) -> None:
    # With 3,000 cameras a rendering of the ended day is under way.
    run = Run(tmp_path, many(n), SLOW)
    add(run.day, events(run.known))
    async with run:
        await asyncio.sleep(0.03)
        run.known.pop(f"{n - 1:08x}")
        run.turn_day()
        run.files.clear()
        assert await run.written("maxeventdelay.log") == ""
        assert "(2026-11-23 UTC" in await run.written("summary.log"), "nothing of the ended day comes after it"
        ended = await run.written(f"days/{DATE}/summary.log")
        worst = run.files[f"days/{DATE}/maxeventdelay.log"]
    assert f"({DATE} UTC" in ended
    assert len(worst.splitlines()) == n
    assert (run.files["maxeventdelay.log"], f"({DATE} UTC" in run.files["summary.log"]) == ("", False)


async def test_the_end_of_a_run_is_shown_with_its_reason(tmp_path: Path) -> None:
    run = Run(tmp_path, many(300), SLOW, tmp_path / "node.prom")
    add(run.day, events(run.known))
    run.turn_day()
    add(run.day, [verdict("00000001", 5 * SECOND, NOON_US + DAY_US)])
    await run.snapshots.finish("STOPPED at last")
    assert run.files["summary.log"].startswith("STOPPED at last\n")
    assert "delay_s=5.000000" in run.files["maxeventdelay.log"]
    assert "node.prom" in run.files
    assert f"({DATE} UTC" in run.files[f"days/{DATE}/summary.log"], "an ended day is waited for"


@pytest.mark.parametrize("make", [summary.render, closing_table, metrics.render, snapshots.worst_lines])
def test_with_ten_thousand_cameras_no_piece_takes_long(make: Any) -> None:
    known = many(10_000)
    preview = Histogram()
    preview.add(SECOND)
    state = run_state(day_of(events(known, 1)), known, previews=dict.fromkeys(known, preview))
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
