"""Measure known delays of an embedded cloud, and judge them (`check --self-test`)."""

import argparse
import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ..clock import now_us
from ..cloud import loop_delay
from ..errors import EeloggerError
from ..measure.histogram import rank_of
from ..measure.seconds import seconds3
from ..model import MEASURED
from ..run import Run
from ..settings import demo_settings
from ..simulator import Account, Cloud, SentEvent
from ..storage.delaylog import DelayRow, rows
from ..storage.line_blocks import Skipped
from ..storage.paths import LogPaths
from ..views.console import Console
from ..views.text import count, milliseconds, table

START_S: Final = 20.0
SOUND_US: Final = 10_000  # half of all delays must be right within this; a busy machine makes the rest less precise
CAMERAS: Final = 20
ODD_ONES: Final = 5  # so many events from the future, and so many without a date, beside the usual ones

Logged = list[tuple[SentEvent, DelayRow]]  # what was sent, with its line


def run(options: argparse.Namespace, console: Console) -> int:
    """Print truth beside measurement; returns 0 when the figures are right, else 70."""
    console.info("measuring known delays; this takes some ten seconds")
    with tempfile.TemporaryDirectory(prefix="eelogger-self-test-", ignore_cleanup_errors=True) as folder:
        try:
            sent = loop_delay.run(measure(Path(folder), seconds=6.0))
        except (EeloggerError, TimeoutError) as error:
            console.write(f"The self-test could not be done: {str(error) or 'no connection in time'}\n")
            return EeloggerError.exit_code
        logged, wrong = judge(sent, logged_rows(Path(folder)))
    console.write("".join(f"{line}\n" for line in _outcome(logged, wrong)))
    return EeloggerError.exit_code if wrong else 0


async def measure(log_dir: Path, seconds: float) -> list[SentEvent]:
    """Log a cloud's events for some seconds; returns what it sent, raises what ended the run."""
    async with Cloud(Account.of(CAMERAS, rate=80.0, seed=now_us() % 1000)) as cloud:
        logger = Run(demo_settings(cloud.environ, log_dir))
        running = asyncio.create_task(logger.run(), name="run")
        try:
            await cloud.wait_subscribed(CAMERAS, START_S)
            for camera in cloud.account.cameras[:ODD_ONES]:
                await asyncio.sleep(seconds / ODD_ONES)
                await cloud.emit(camera.id, delay_s=-0.3)
                await cloud.emit(camera.id, timestamp=None)
        finally:
            logger.stop()
            await running
        return list(cloud.sent)


def logged_rows(log_dir: Path) -> Iterator[DelayRow]:
    """Read all lines of all delay logs, also of a day just ended."""
    paths = LogPaths(log_dir)
    for folder in (*map(paths.day, paths.days()), paths):
        for _, _, path in folder.delay_files():
            yield from rows(path.read_bytes(), Skipped())


def judge(sent: Sequence[SentEvent], lines: Iterable[DelayRow]) -> tuple[Logged, list[str]]:
    """Pair what was sent with its line, and say what is wrong: each identity once, with the right verdict and delay."""
    firsts = {item.event.identity: item for item in reversed(sent)}
    found = defaultdict[str, list[DelayRow]](list)
    for row in lines:
        found[row.identity].append(row)
    logged, wrong = Logged(), [] if firsts else ["nothing was sent"]
    for identity in firsts.keys() | found.keys():
        match firsts.get(identity), found[identity]:
            case SentEvent() as item, [DelayRow() as row]:
                logged.append((item, row))
                event_us, right = item.event.event_us, item.verdicts(row.arrived_us)
                delay_us = None if event_us is None else row.arrived_us - event_us
                if row.kind not in right:
                    wrong.append(f"{identity}: {row.kind}, expected {' or '.join(sorted(right))}")
                if row.delay_us != delay_us or row.arrived_us < item.sent_us:
                    wrong.append(f"{identity}: a wrong delay")
            case item, found_rows:
                wrong.append(f"{identity}: sent {int(bool(item))} times, logged {len(found_rows)} times")
    if not wrong and _quantile([row.arrived_us - item.sent_us for item, row in logged], 500) > SOUND_US:
        wrong.append(f"half of the delays are more than {milliseconds(SOUND_US)} too long: the machine is too busy")
    return logged, wrong


def _outcome(logged: Logged, wrong: Sequence[str]) -> Iterator[str]:
    measured = [(item, row) for item, row in logged if row.kind == MEASURED]
    measured_us = [row.delay_us or 0 for _, row in measured]
    true_us = [item.sent_us - (item.event.event_us or 0) for item, _ in measured]
    lines = [
        [f"delay {name}, s", *(seconds3(_quantile(values, part)) for values in (true_us, measured_us))]
        for name, part in (("p50", 500), ("p95", 950), ("p99", 990), ("max", 1000))
    ]
    yield from table(("what", "truth", "measured"), lines)
    yield ""
    if wrong:
        yield "NOT sound:"
        yield from wrong[:5]
        return
    kinds = Counter(row.kind for _, row in logged)
    verdicts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    late_us = [row.arrived_us - item.sent_us for item, row in logged]
    p99, most = (milliseconds(_quantile(late_us, per_mille)) for per_mille in (990, 1000))
    yield f"Sound: {count(len(logged), 'event')} logged once each, with the right verdict ({verdicts});"
    yield f"99 % of the delays are right within {p99}, all within {most}."


def _quantile(values: Sequence[int], per_mille: int) -> int:
    return sorted(values)[rank_of(per_mille, len(values)) - 1] if values else 0
