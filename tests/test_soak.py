"""Weeks in minutes: millions of events, thousands of reconnects, changing cameras, midnights; nothing may pile up.

A whole run inside the test, against a cloud in the same process, on a wall clock that is set on by days. Memory is
counted in resident pages, the cloud's included.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from disks import until

from eelogger import instrument as instrument_module
from eelogger.backoff import Backoff
from eelogger.dedup import Dedup
from eelogger.logdir.days import day_of
from eelogger.net.connection import StampedConnection
from eelogger.net.lag import loop_factory
from eelogger.reconnect.session import Session
from eelogger.service import Service
from eelogger.settings import Settings, load
from eelogger.simulator import Cloud, World
from eelogger.simulator import ledger as ledger_module
from eelogger.simulator.events import ANNT, make

CAMERAS = 12
GROWTH_BYTES = 3 << 20
AT_ONCE = 50
"""Events in one message."""
WAITING_BYTES = 1 << 20
WARM_UP = 0.3
"""The share of a run after which nothing may grow any more."""


@dataclass(frozen=True)
class Plan:
    """What is to happen, evenly spread; `window` is what dedup remembers."""

    events: int
    reconnects: int
    list_changes: int
    midnights: int
    window: int


@dataclass(frozen=True)
class Sample:
    events: int
    memory: int
    descriptors: int
    connections: int
    tasks: int


class Days:
    """The wall clock, which can be set on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shift_ns = 0
        real_ns = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + self.shift_ns)
        monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)

    def next(self) -> str:
        """One day on; the day that ended."""
        ended = day_of(time.time_ns() // 1000)
        self.shift_ns += 86_400 * 10**9
        return ended


class Soak:
    """The run and the hands that shake it."""

    def __init__(self, plan: Plan, cloud: Cloud, service: Service, days: Days) -> None:
        self.plan, self.cloud, self.service, self.days = plan, cloud, service, days
        self.chance = random.Random(31)
        self.sent = 0
        self.changes = 0
        self.connections: list[weakref.ref[StampedConnection]] = []
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """All of the plan, in as many rounds as there are reconnects."""
        plan = self.plan
        for number in range(1, plan.reconnects + 1):
            await self.send(plan.events * number // plan.reconnects)
            if number * plan.list_changes // plan.reconnects > self.changes:
                await self.change_list()
            if number * plan.midnights // plan.reconnects > (number - 1) * plan.midnights // plan.reconnects:
                await self.midnight()
            if number % max(1, plan.reconnects // 20) == 0:
                await self.sample()
            if number < plan.reconnects:
                await self.reconnect(number)

    async def send(self, upto: int) -> None:
        """New events until there have been `upto`."""
        ids = sorted(self.service.instrument.recorder.cameras)
        while self.sent < upto:
            now_us = time.time_ns() // 1000
            events = [
                make(self.chance.choice(ids), "ALRS" if self.chance.random() < 0.1 else ANNT, now_us - delay_us, {})
                for delay_us in self.chance.choices(range(3_000_000), k=min(AT_ONCE, upto - self.sent))
            ]
            self.sent += len(await self.cloud.deliver(events))
            if self.behind() > 20 * AT_ONCE:
                await self.caught_up()
            if self.service.instrument.writer.pending_bytes > WAITING_BYTES:
                await self.service.instrument.writer.idle()  # what a busy disk makes wait would be counted too

    def behind(self) -> int:
        totals = self.service.instrument.handler.totals
        return self.sent - (totals.total() - totals["duplicate"])

    async def caught_up(self) -> None:
        async with asyncio.timeout(30):
            while self.behind():
                await asyncio.sleep(0)

    async def reconnect(self, number: int) -> None:
        await self.caught_up()
        before = self.cloud.connects
        if number % 2:
            self.cloud.abort()
        else:
            await self.cloud.close((1000, 1001, 1006, 1011)[number // 2 % 4] if number // 2 % 4 != 2 else 1012)
        await self.cloud.wait_connected(before + 1)
        await self.cloud.wait_subscribed(len(self.service.instrument.recorder.cameras))

    async def change_list(self) -> None:
        """Another camera less, more, or renamed, while the connection is open."""
        await self.caught_up()
        self.changes += 1
        cameras = self.service.instrument.recorder.cameras
        spare = "100fffff"
        if self.changes % 3 == 1:
            self.cloud.add_camera(spare, "Spare")
            await until(lambda: spare in self.service.instrument.recorder.cameras and spare in self.cloud.subscriptions)
        elif self.changes % 3 == 2:
            name = f"Renamed {self.changes % 4}"
            self.cloud.rename_camera(spare, name)
            await until(lambda: self.service.instrument.recorder.cameras[spare].name == name)
        else:
            self.cloud.remove_camera(spare)
            await until(
                lambda: spare not in self.service.instrument.recorder.cameras and spare not in self.cloud.subscriptions
            )
        assert len(cameras) in (CAMERAS, CAMERAS + 1)

    async def midnight(self) -> None:
        await self.caught_up()
        ended = self.days.next()
        folder = self.service.paths.day(ended).root
        await until(lambda: (folder / "summary.log").exists())

    async def sample(self) -> None:
        """What is held now, with nothing under way."""
        await self.caught_up()
        await self.service.instrument.writer.idle()
        gc.collect()
        alive = sum(connection() is not None for connection in self.connections)
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        tasks = len(asyncio.all_tasks())
        self.samples.append(Sample(self.sent, memory, len(os.listdir("/proc/self/fd")), alive, tasks))


def settings_for(cloud: Cloud, logs: Path) -> Settings:
    names = {"EEN_BASE_URL": cloud.base_url, "EEN_ACCOUNT_ID": cloud.account_id, "EEN_AUTH_KEY": cloud.auth_key}
    return load(names | {"EEN_LOG_DIR": str(logs)}, None)


def lines_in(logs: Path) -> int:
    """The delay lines of all days."""
    files = [path for folder in (logs, *(logs / "days").iterdir()) for path in folder.glob("*_????????.log")]
    return sum(path.read_bytes().count(b"\n") for path in files)


async def soak(plan: Plan, logs: Path, monkeypatch: pytest.MonkeyPatch) -> Soak:
    monkeypatch.setattr(Backoff, "next_delay", lambda *_: 0.0)
    monkeypatch.setattr(instrument_module, "Session", partial(Session, refresh_s=0.1))
    monkeypatch.setattr(ledger_module, "REMEMBERED", 1000)
    days = Days(monkeypatch)
    async with Cloud(World.of(cameras=CAMERAS, seed=8), keep_ledger=False) as cloud:
        cloud.calls = deque(maxlen=100)
        cloud.latest.clear()  # so that what is new is what was sent here
        service = Service(lambda: settings, settings := settings_for(cloud, logs), time.time_ns() // 1000)
        this = Soak(plan, cloud, service, days)
        made = StampedConnection.connection_made

        def remember(connection: StampedConnection, transport: asyncio.BaseTransport) -> None:
            this.connections.append(weakref.ref(connection))
            made(connection, transport)

        monkeypatch.setattr(StampedConnection, "connection_made", remember)
        running = asyncio.create_task(service.run())
        await cloud.wait_subscribed(CAMERAS)
        service.instrument.handler.dedup = weeks_old(plan.window)
        await this.run()
        await this.caught_up()
        service.stop()
        await running
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert pending_timers() == []
    return this


def weeks_old(window: int) -> Dedup:
    """What a long run has seen before; the table of a dict that forgets settles only after a few windows."""
    dedup = Dedup(window)
    for number in range(10 * window):
        dedup.seen(f"00000000-0000-0000-0000-{number:012}", "", "")
    return dedup


def pending_timers() -> list[object]:
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [handle for handle in scheduled if not handle.cancelled()]


def check(plan: Plan, logs: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    before = set(threading.enumerate())
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        began = time.monotonic()
        this = runner.run(soak(plan, logs, monkeypatch))
        took_s = time.monotonic() - began
        assert [ref() for ref in this.connections if ref() is not None] == []
    assert {thread for thread in threading.enumerate() if thread.is_alive()} <= before
    assert this.sent == plan.events
    assert len(this.connections) == plan.reconnects
    assert this.changes == plan.list_changes
    assert len(this.service.paths.days()) == plan.midnights
    assert (
        lines_in(logs)
        == this.service.instrument.handler.totals.total() - this.service.instrument.handler.totals["duplicate"]
    )
    warm = [sample for sample in this.samples if sample.events >= WARM_UP * plan.events]
    growth = max(sample.memory for sample in warm) - warm[0].memory
    figures = (
        f"{plan} took {took_s:.0f} s: memory {warm[0].memory / 2**20:.2f} MiB warm, grew by {growth / 2**20:.2f} MiB;"
        f" descriptors {sorted({sample.descriptors for sample in warm})},"
        f" tasks {sorted({sample.tasks for sample in warm})},"
        f" connections alive {sorted({sample.connections for sample in warm})}"
    )
    print(figures, *this.samples, sep="\n")
    assert growth < GROWTH_BYTES, figures
    assert len({sample.descriptors for sample in warm}) == 1, figures
    assert {sample.connections for sample in warm} == {1}, figures
    assert max(sample.tasks for sample in warm) <= warm[0].tasks + 2, figures
    return figures


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_nothing_piles_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(events=20_000, reconnects=40, list_changes=5, midnights=2, window=1000)
    check(plan, tmp_path / "logs", monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nothing_piles_up_in_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(events=2_000_000, reconnects=2000, list_changes=50, midnights=10, window=200_000)
    check(plan, tmp_path / "logs", monkeypatch)
    shutil.rmtree(tmp_path / "logs")
