"""Measure delays that are known and judge the result (`check --self-test`).

A cloud in this process sends events of known age, a run logs them into a temporary directory, and each delay line is
held against the cloud's list of what it sent.
"""

import argparse
import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..clock import now_us
from ..cloud.loop_delay import loop_factory
from ..errors import EeloggerError
from ..measure.histogram import rank_of
from ..measure.seconds import seconds3
from ..model import MEASURED
from ..run import Run
from ..settings import demo_settings
from ..simulator import Account, Cloud, SentEvent
from ..storage.delaylog import DelayRow, rows
from ..storage.paths import LogPaths
from ..views.console import Console
from ..views.number_format import count, milliseconds
from ..views.tables import Column, table

SECONDS: Final = 6.0
START_S: Final = 20.0
SOUND_US: Final = 10_000  # half of all delays must be right within this; a busy machine makes the rest less precise
CAMERAS: Final = 20
RATE: Final = 80.0
ODD_ONES: Final = 5  # so many events from the future, and so many without a date, beside the usual ones
SHOWN: Final = 5


@dataclass
class Outcome:
    """How many events were sent, each with its line where it has one, and what is wrong."""

    sent: int
    logged: list[tuple[SentEvent, DelayRow]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def error_us(self, per_mille: int) -> int:
        """Return a quantile of how much too long the delays are."""
        return _quantile([row.arrived_us - item.sent_us for item, row in self.logged], per_mille)

    def is_sound(self) -> bool:
        """Whether everything is logged as it was sent, and half of the delays are right within `SOUND_US`."""
        return not self.wrong and self.sent > 0 and self.error_us(500) <= SOUND_US


def run(options: argparse.Namespace, console: Console) -> int:
    """Print truth beside measurement; returns 0 when the figures are right, else 70."""
    console.info("measuring known delays; this takes some ten seconds")
    with tempfile.TemporaryDirectory(prefix="eelogger-self-test-", ignore_cleanup_errors=True) as folder:
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                sent = runner.run(measure(Path(folder), SECONDS))
        except (EeloggerError, TimeoutError) as error:
            console.write(f"The self-test could not be done: {str(error) or 'no connection in time'}\n")
            return EeloggerError.exit_code
        outcome = judge(sent, logged_rows(Path(folder)))
    console.write("".join(f"{line}\n" for line in [*_table(outcome), "", *conclusion(outcome)]))
    return 0 if outcome.is_sound() else EeloggerError.exit_code


async def measure(log_dir: Path, seconds: float) -> list[SentEvent]:
    """Log a cloud's events for some seconds; returns what it sent, raises what ended the run."""
    async with Cloud(Account.of(CAMERAS, RATE, seed=now_us() % 1000)) as cloud:
        one = Run(demo_settings(cloud.environ, log_dir))
        running = asyncio.create_task(one.run(), name="run")
        sending = asyncio.create_task(_send(cloud, seconds), name="sending")
        try:
            await asyncio.wait([running, sending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            one.stop()
            sending.cancel()
            await asyncio.wait([running, sending])
        await running
        await sending
        return list(cloud.sent)


async def _send(cloud: Cloud, seconds: float) -> None:
    """Add the odd ones to the traffic once the run listens."""
    await cloud.wait_subscribed(CAMERAS, START_S)
    for camera in cloud.account.cameras[:ODD_ONES]:
        await asyncio.sleep(seconds / ODD_ONES)
        await cloud.emit(camera.id, delay_s=-0.3)
        await cloud.emit(camera.id, timestamp=None)


def logged_rows(log_dir: Path) -> Iterator[DelayRow | None]:
    """Read every line of every delay log, those of a day that ended meanwhile too."""
    paths = LogPaths(log_dir)
    for folder in (*map(paths.day, paths.days()), paths):
        for _, _, path in folder.delay_files():
            yield from rows(path.read_bytes())


def judge(sent: Sequence[SentEvent], lines: Iterable[DelayRow | None]) -> Outcome:
    """Hold the lines against what was sent: each identity once, with the right verdict and delay."""
    firsts = {item.event.identity: item for item in reversed(sent)}
    outcome, found = Outcome(len(firsts)), defaultdict[str, list[DelayRow | None]](list)
    for row in lines:
        found[row.identity if row else "a line that cannot be read"].append(row)
    for identity in firsts.keys() | found.keys():
        match firsts.get(identity), found[identity]:
            case SentEvent() as item, [DelayRow() as row]:
                outcome.logged.append((item, row))
                event_us, right = item.event.event_us, item.verdicts(row.arrived_us)
                delay_us = None if event_us is None else row.arrived_us - event_us
                if row.kind not in right:
                    outcome.wrong.append(f"{identity}: {row.kind}, expected {' or '.join(sorted(right))}")
                if row.delay_us != delay_us or row.arrived_us < item.sent_us:
                    outcome.wrong.append(f"{identity}: a wrong delay")
            case item, found_rows:
                outcome.wrong.append(f"{identity}: sent {int(bool(item))} times, logged {len(found_rows)} times")
    return outcome


def conclusion(outcome: Outcome) -> Iterator[str]:
    """Say what the figures mean."""
    if outcome.wrong or not outcome.sent:
        yield "NOT sound: what was logged is not what was sent."
        yield from outcome.wrong[:SHOWN]
    elif not outcome.is_sound():
        yield f"NOT sound: half of the delays are more than {milliseconds(SOUND_US)} too long: the machine is too busy."
    else:
        kinds = Counter(row.kind for _, row in outcome.logged)
        verdicts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
        yield f"Sound: {count(outcome.sent, 'event')} logged once each, with the right verdict ({verdicts});"
        p99, most = map(milliseconds, map(outcome.error_us, (990, 1000)))
        yield f"99 % of the delays are right within {p99}, all within {most}."


def _table(outcome: Outcome) -> Iterator[str]:
    measured = [(item, row) for item, row in outcome.logged if row.kind == MEASURED]
    measured_us = [row.delay_us or 0 for _, row in measured]
    true_us = [(row.delay_us or 0) - (row.arrived_us - item.sent_us) for item, row in measured]
    lines = [["events", str(outcome.sent), str(len(outcome.logged))]]
    for name, part in (("p50", 500), ("p95", 950), ("p99", 990), ("max", 1000)):
        lines.append([f"delay {name}, s", *(seconds3(_quantile(values, part)) for values in (true_us, measured_us))])
    return table((Column("what", right=False), Column("truth"), Column("measured")), lines)


def _quantile(values: Sequence[int], per_mille: int) -> int:
    return sorted(values)[rank_of(per_mille, len(values)) - 1] if values else 0
