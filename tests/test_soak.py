"""Weeks in minutes: millions of events, reconnects, changing cameras, midnights; nothing may pile up.

A whole run inside the test, on a wall clock that is set on by days. Memory is counted in resident pages, the cloud's
included.
"""

import asyncio
import gc
import os
import random
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple

import pytest
from disks import until
from fault_cloud import FaultCloud
from inprocess import Here, Shift, run_here

from eelogger.clock import now_us
from eelogger.cloud.connection import StampedConnection
from eelogger.cloud.loop_delay import LoopDelayLoop
from eelogger.measure.handler import GENERATION
from eelogger.model import Timing
from eelogger.simulator import Account, Event
from eelogger.simulator.events import make
from eelogger.storage.paths import day_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
CAMERAS = 12
SPARE = "100fffff"
GROWTH_BYTES = 3 << 20
AT_ONCE = 50  # events in one message
WAITING_LINES = 4_000
WARM_UP = 0.3  # the share of a run after which nothing may grow any more
TIMING = Timing(first_retry_s=0.0, longest_retry_s=0.0, refresh_s=0.1)


class SmallCloud(FaultCloud):
    """A cloud whose memory does not grow."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.sent = deque(maxlen=0)

    def record(self, event: Event) -> None:
        pass


class Plan(NamedTuple):
    """What is to happen, evenly spread."""

    events: int
    reconnects: int
    list_changes: int
    midnights: int


class Sample(NamedTuple):
    """What is held, with nothing under way."""

    events: int
    memory: int
    descriptors: int
    connections: int
    tasks: int


class Soak:
    """The run and the hands that shake it."""

    def __init__(self, plan: Plan, cloud: FaultCloud, here: Here, shift: Shift) -> None:
        self.plan, self.cloud, self.here, self.shift = plan, cloud, here, shift
        self.recorder, self.writer = here.parts.recorder, here.parts.writer
        self.chance = random.Random(31)
        self.sent = self.changes = 0
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """All of the plan, in as many rounds as there are reconnects."""
        plan = self.plan
        for number in range(1, plan.reconnects + 1):
            await self.send(plan.events * number // plan.reconnects)
            await self.caught_up()
            if number * plan.list_changes // plan.reconnects > self.changes:
                await self.change_list()
            midnights = number * plan.midnights // plan.reconnects
            if midnights > (number - 1) * plan.midnights // plan.reconnects:
                folder = self.here.log_dir / "days" / day_of(now_us())
                self.shift(midnights * 86_400)
                await until((folder / "summary.log").exists)
            if number % max(1, plan.reconnects // 20) == 0:
                await self.sample()
            if number < plan.reconnects:
                await self.reconnect(number)

    async def send(self, upto: int) -> None:
        """New events until there have been `upto`."""
        ids, chance = sorted(self.recorder.cameras), self.chance
        while self.sent < upto:
            kinds = chance.choices(("ANNT", "ALRS"), (9, 1), k=min(AT_ONCE, upto - self.sent))
            before_us = now_us() - 3_000_000
            events = [make(chance.choice(ids), kind, before_us + chance.randrange(3_000_000), {}) for kind in kinds]
            self.sent += len(await self.cloud.deliver(events))
            if self.behind() > 20 * AT_ONCE:
                await self.caught_up()
            if self.writer.pending_lines > WAITING_LINES:
                await self.writer.idle()  # what waits for a busy disk would be counted too

    def behind(self) -> int:
        totals = self.recorder.handler.totals
        return self.sent - (totals.total() - totals["duplicate"])

    async def caught_up(self) -> None:
        async with asyncio.timeout(30):
            while self.behind():
                await asyncio.sleep(0)

    async def reconnect(self, number: int) -> None:
        before = self.cloud.connects
        if number % 2:
            self.cloud.abort()
        else:
            await self.cloud.close((1000, 1001, 1012, 1011)[number // 2 % 4])
        await self.cloud.wait_connected(before + 1)
        await self.cloud.wait_subscribed(len(self.recorder.cameras))

    async def change_list(self) -> None:
        """Another camera more, renamed, or less, while the connection is open."""
        self.changes += 1
        cloud, recorder = self.cloud, self.recorder
        if self.changes % 3 == 1:
            cloud.add_camera(SPARE, "Spare")
            await until(lambda: SPARE in recorder.cameras and SPARE in cloud.subscriptions)
        elif self.changes % 3 == 2:
            name = f"Renamed {self.changes % 4}"
            cloud.rename_camera(SPARE, name)
            await until(lambda: recorder.cameras[SPARE].name == name)
        else:
            cloud.remove_camera(SPARE)
            await until(lambda: SPARE not in recorder.cameras and SPARE not in cloud.subscriptions)

    async def sample(self) -> None:
        await self.writer.idle()
        gc.collect()
        alive = sum(type(item) is StampedConnection for item in gc.get_objects())  # a weak proxy looks like one
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
        self.samples.append(Sample(self.sent, memory, descriptors, alive, tasks))


async def soak(plan: Plan, log_dir: Path, shift: Shift) -> Soak:
    async with SmallCloud(Account.of(cameras=CAMERAS, seed=8)) as cloud:
        cloud.calls = deque(maxlen=100)
        cloud.latest.clear()  # so that what is new is what was sent here
        async with run_here(cloud, log_dir, timing=TIMING) as here:
            await cloud.wait_subscribed(CAMERAS)
            for number in range(3 * GENERATION):  # as many as a long run remembers
                here.parts.recorder.handler.dedup.seen(f"00000000-0000-0000-0000-{number:012}", "", "")
            this = Soak(plan, cloud, here, shift)
            await this.run()
            await here.stop()
    return this


async def leftovers() -> tuple[int, int]:
    """Tasks and timers that are left in the loop."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return len(asyncio.all_tasks()), len([timer for timer in scheduled if not timer.cancelled()])


def check(plan: Plan, log_dir: Path, shift: Shift) -> None:
    before = set(threading.enumerate())
    with asyncio.Runner(loop_factory=LoopDelayLoop) as runner:
        this = runner.run(soak(plan, log_dir, shift))
        assert runner.run(leftovers()) == (1, 0), "no task but the one that counts, and no timer"
    for thread in set(threading.enumerate()) - before:
        thread.join(2)
        assert not thread.is_alive(), thread
    assert (this.sent, this.cloud.connects, this.changes) == (plan.events, plan.reconnects, plan.list_changes)
    days = list((log_dir / "days").iterdir())
    assert len(days) == plan.midnights
    totals = this.recorder.handler.totals
    files = [path for folder in (log_dir, *days) for path in folder.glob("*_????????.log")]
    assert sum(path.read_bytes().count(b"\n") for path in files) == totals.total() - totals["duplicate"]
    warm = [sample for sample in this.samples if sample.events >= WARM_UP * plan.events]
    half = len(warm) // 2
    # Memory of identities swings with their generations: the highest of both halves are compared.
    growth = max(sample.memory for sample in warm[half:]) - max(sample.memory for sample in warm[:half])
    assert growth < GROWTH_BYTES, this.samples
    assert len({sample.descriptors for sample in warm}) == 1, this.samples
    assert {sample.connections for sample in warm} == {1}, this.samples
    assert max(sample.tasks for sample in warm) <= warm[0].tasks + 2, this.samples


def test_nothing_piles_up(log_dir: Path, shift: Shift) -> None:
    check(Plan(events=20_000, reconnects=40, list_changes=5, midnights=2), log_dir, shift)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nothing_piles_up_in_months(log_dir: Path, shift: Shift) -> None:
    check(Plan(events=2_000_000, reconnects=2000, list_changes=50, midnights=10), log_dir, shift)
    shutil.rmtree(log_dir)
