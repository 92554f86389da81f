"""`check --self-test`: a logger measures delays that are known, and the truth is printed beside what it measured.

A cloud in this process sends events of known age; a logger, a process of its own as always, logs them into a temporary
directory; the cloud's ledger then judges the files line by line. Decides what counts as sound: everything sent is
there once with the right verdict and delay, and half of all delays are right within `SOUND_US`. How precise the rest
is depends on how busy the machine is, and is said, not judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..clock import now_us
from ..figures.histogram import rank_of
from ..model import EARLY, INITIAL, MEASURED, UNDATED
from ..net.lag import loop_factory
from ..settings import ROOT, load
from ..text import words
from ..text.tables import Column, table
from ..text.units import seconds3

SECONDS: Final = 6.0
START_S: Final = 20.0
STOP_S: Final = 20.0
SOUND_US: Final = 10_000
BUSY_US: Final = 25_000
CAMERAS: Final = 20
RATE: Final = 80.0
ODD_ONES: Final = 5
"""So many events dated in the future, and so many without a date, beside the usual ones."""

_LOGGER: Final = (
    "import sys; sys.path.insert(0, {root!r}); from eelogger.commands.selftest import run_logger; run_logger()"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Truth and measurement, in µs, of one run; `difference` is what the ledger does not agree with, "" for nothing."""

    sent: int
    arrived: int
    expected: Counter[str]
    logged: Counter[str]
    true_us: list[int]
    measured_us: list[int]
    errors_us: list[int]
    difference: str


async def self_test(seconds: float = SECONDS) -> tuple[bool, list[str]]:
    """Whether the instrument is sound on this machine, and the lines that show it."""
    with tempfile.TemporaryDirectory(prefix="eelogger-self-test-", ignore_cleanup_errors=True) as folder:
        try:
            outcome = await _measure(Path(folder), seconds)
        except (TimeoutError, OSError) as error:
            return False, [
                f"The self-test could not be done: {str(error) or 'the logger did not connect or end in time'}"
            ]
    if not outcome.errors_us:
        return False, ["The self-test failed: the logger has logged nothing.", outcome.difference]
    return _is_sound(outcome), [*_table(outcome), "", *_conclusion(outcome)]


async def _measure(log_dir: Path, seconds: float) -> Outcome:
    from ..simulator import Cloud, World  # only here: no run needs it

    async with Cloud(World.of(CAMERAS, RATE, seed=now_us() % 1000)) as cloud:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _LOGGER.format(root=str(ROOT)), stdin=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None  # noqa: S101  (for mypy: it is a pipe)
        told = {
            "EEN_BASE_URL": cloud.base_url,
            "EEN_ACCOUNT_ID": cloud.account_id,
            "EEN_AUTH_KEY": cloud.auth_key,
            "EEN_LOG_DIR": str(log_dir),
        }
        try:
            process.stdin.write(json.dumps(told).encode() + b"\n")
            await _until_subscribed(cloud, process)
            await _send(cloud, seconds)
            process.stdin.close()
            await asyncio.wait_for(process.wait(), STOP_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return _judge(cloud, log_dir)


async def _until_subscribed(cloud: Any, process: asyncio.subprocess.Process) -> None:
    """Until the logger listens; raises `OSError` when it ends instead, `TimeoutError` when it takes too long."""
    waiting = [asyncio.create_task(cloud.wait_subscribed(CAMERAS, START_S)), asyncio.create_task(process.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    ended = waiting[1].done()
    for task in waiting:
        task.cancel()
    _, code = await asyncio.gather(*waiting, return_exceptions=True)
    if ended:
        raise OSError(f"the logger ended with exit code {code}")
    await waiting[0]


async def _send(cloud: Any, seconds: float) -> None:
    """The world's traffic, with the odd ones among it."""
    camera_ids = [camera.id for camera in cloud.world.cameras]
    traffic = asyncio.create_task(cloud.run(), name="traffic")
    for number in range(ODD_ONES):
        await asyncio.sleep(seconds / ODD_ONES)
        await cloud.emit(camera_ids[number], delay_s=-0.3)
        await cloud.emit(camera_ids[number], omit=["timestamp"])
    traffic.cancel()
    await asyncio.wait([traffic])


def _judge(cloud: Any, log_dir: Path) -> Outcome:
    from ..simulator import compare
    from ..simulator.comparison import verdicts
    from ..simulator.logdir import read_logs

    entries = cloud.ledger.entries
    comparison = compare(entries, log_dir)
    firsts = {entry.identity: entry for entry in entries if entry.first and entry.identity}
    outcome = Outcome(
        comparison.sent, comparison.arrived, Counter(), Counter(), [], [], [], "" if comparison.ok else str(comparison)
    )
    for line in (line for lines in read_logs(log_dir).delay_files for line in lines):
        entry = firsts.get(line.fields.get("uuid", ""))
        if entry is None:
            continue
        verdict = line.fields.get("verdict", "")
        right = verdicts(entry, line.arrived_us)
        outcome.logged[verdict] += 1
        outcome.expected[verdict if verdict in right else min(right)] += 1
        outcome.errors_us.append(line.arrived_us - entry.send_us)
        if verdict == MEASURED and entry.event_us is not None:
            outcome.true_us.append(entry.send_us - entry.event_us)
            outcome.measured_us.append(line.arrived_us - entry.event_us)
    return outcome


def _is_sound(outcome: Outcome) -> bool:
    return not outcome.difference and _quantile(outcome.errors_us, 500) <= SOUND_US


def _table(outcome: Outcome) -> Iterator[str]:
    kinds = (MEASURED, EARLY, INITIAL, UNDATED)
    rows = [["values sent and arrived", str(outcome.sent), str(outcome.arrived)]]
    rows += [[f"verdict {kind}", str(outcome.expected[kind]), str(outcome.logged[kind])] for kind in kinds]
    for name, per_mille in (("p50", 500), ("p95", 950), ("p99", 990), ("max", 1000)):
        true, measured = (_quantile(values, per_mille) for values in (outcome.true_us, outcome.measured_us))
        rows.append([f"delay {name}, s", seconds3(true), seconds3(measured)])
    for name, per_mille in (("p50", 500), ("p99", 990), ("max", 1000)):
        rows.append([f"delay error {name}, ms", "0", f"{_quantile(outcome.errors_us, per_mille) / 1000:.1f}"])
    return table((Column("what", right=False), Column("truth"), Column("measured")), rows)


def _conclusion(outcome: Outcome) -> Iterator[str]:
    if outcome.difference:
        yield "NOT sound: what was logged is not what was sent."
        yield from outcome.difference.splitlines()
        return
    if not _is_sound(outcome):
        yield f"NOT sound: half of the delays are more than {SOUND_US / 1000:g} ms too long; this machine is too busy."
        return
    p99, most = (f"{_quantile(outcome.errors_us, part) / 1000:.1f} ms" for part in (990, 1000))
    yield f"Sound: {words.count(outcome.logged.total(), 'event')} logged once each, with the right verdict;"
    yield f"99 % of the delays are right within {p99}, all within {most}."
    if _quantile(outcome.errors_us, 990) > BUSY_US:
        yield "This machine was busy: with fewer programs beside it the delays are more precise."


def _quantile(values: list[int], per_mille: int) -> int:
    return sorted(values)[rank_of(per_mille, len(values)) - 1] if values else 0


def run_logger() -> None:
    """The logger of a self-test, in a process of its own: settings come on stdin, whose end stops it."""
    from ..service import Service

    settings = load(json.loads(sys.stdin.readline()), None)

    async def main() -> None:
        service = Service(lambda: settings, settings, now_us())
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(None, sys.stdin.read)
        ended.add_done_callback(lambda _: service.stop())
        await service.run()

    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
