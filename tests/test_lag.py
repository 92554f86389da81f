"""The lag brackets the truth: real loops, real sockets, callbacks that block for a known time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from eelogger.net import lag
from eelogger.net.lag import LagLoop, LagMeter, LagSelector, lag_us, loop_factory, threshold_us

BLOCK_S = 0.1
SLACK_US = 50_000
BLOCK_US = round(BLOCK_S * 1_000_000)
READ_BYTES = 256 * 1024


class Reader(asyncio.Protocol):
    """Notes the lag of each read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.lags_us: list[int] = []
        self.bytes_wanted = 1
        self.done = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.lags_us.append(lag_us(self.loop, len(data)))
        self.bytes_wanted -= len(data)
        if self.bytes_wanted <= 0:
            self.done.set()


def block() -> None:
    time.sleep(BLOCK_S)


async def reader_of(sock: socket.socket) -> tuple[asyncio.Transport, Reader]:
    loop = asyncio.get_running_loop()
    return await loop.connect_accepted_socket(lambda: Reader(loop), sock)


Scenario = Callable[[Reader, socket.socket], Awaitable[None]]


def run(scenario: Scenario) -> list[int]:
    """Run a scenario in a loop of ours with a socket pair; the lags its reader noted."""

    async def main() -> list[int]:
        near, far = socket.socketpair()
        with near, far:
            transport, reader = await reader_of(near)
            await scenario(reader, far)
            transport.close()
            await asyncio.sleep(0)
            return reader.lags_us

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())


def test_what_waited_while_a_callback_blocked_says_so() -> None:
    async def scenario(reader: Reader, far: socket.socket) -> None:
        far.send(b"x")
        block()
        await reader.done.wait()

    (waited_us,) = run(scenario)
    assert BLOCK_US <= waited_us < BLOCK_US + SLACK_US


def test_a_slow_look_is_not_taken_for_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "_SLEPT_NS", 0)  # as if each system call were interrupted for a while

    async def scenario(reader: Reader, far: socket.socket) -> None:
        far.send(b"x")
        block()
        await reader.done.wait()

    (waited_us,) = run(scenario)
    assert BLOCK_US <= waited_us < BLOCK_US + SLACK_US


def test_a_callback_before_the_read_in_the_same_pass_counts() -> None:
    async def scenario(reader: Reader, far: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        far.send(b"x")
        loop.call_soon(block)  # makes select look only, and runs between it and the read
        await reader.done.wait()

    (waited_us,) = run(scenario)
    assert BLOCK_US <= waited_us < BLOCK_US + SLACK_US


def test_what_wakes_a_sleeping_loop_has_not_waited() -> None:
    async def scenario(reader: Reader, far: socket.socket) -> None:
        threading.Timer(BLOCK_S, far.send, [b"x"]).start()
        await reader.done.wait()

    (waited_us,) = run(scenario)
    assert 0 <= waited_us < BLOCK_US // 2


def test_a_block_that_ended_before_the_data_came_is_not_billed() -> None:
    async def scenario(reader: Reader, far: socket.socket) -> None:
        block()
        threading.Timer(BLOCK_S, far.send, [b"x"]).start()
        await reader.done.wait()

    (waited_us,) = run(scenario)
    assert 0 <= waited_us < BLOCK_US // 2


def test_a_timer_that_is_due_does_not_hide_the_block() -> None:
    async def scenario(reader: Reader, far: socket.socket) -> None:
        asyncio.get_running_loop().call_later(10, block)
        far.send(b"x")
        block()
        async with asyncio.timeout(10):
            await reader.done.wait()

    (waited_us,) = run(scenario)
    assert BLOCK_US <= waited_us < BLOCK_US + SLACK_US


def test_the_rest_of_a_backlog_has_waited_as_long_as_its_beginning() -> None:
    async def scenario(reader: Reader, far: socket.socket) -> None:
        reader.bytes_wanted = len(waiting)
        far.setblocking(False)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(waiting))
        assert far.send(waiting) == len(waiting)
        block()
        await reader.done.wait()

    waiting = bytes(READ_BYTES + 1)
    lags_us = run(scenario)
    assert len(lags_us) == 2  # asyncio took what it takes at a time, and then the rest
    assert min(lags_us) >= BLOCK_US


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_a_process_that_was_stopped_in_its_sleep_says_so_when_a_timer_was_due() -> None:
    near, far = socket.socketpair()

    def stopped(signum: int, frame: object) -> None:
        far.send(b"x")
        block()

    handler = signal.signal(signal.SIGALRM, stopped)
    try:
        with near, far, LagSelector() as selector:
            selector.register(near, 1)
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            ready = selector.select(0.05) or selector.select(0)
            waited_us = (time.perf_counter_ns() - selector.since_ns) // 1_000
            assert ready
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert BLOCK_US - 30_000 - 5_000 <= waited_us < BLOCK_US + SLACK_US


def test_the_selector_is_one() -> None:
    near, far = socket.socketpair()
    with near, far, LagSelector() as selector:
        selector.register(near, 1, "near")
        assert selector.select(0) == selector.select(-1) == selector.select(0.001) == []
        far.send(b"x")
        for timeout in (None, 0, -1, 5):
            assert [key.data for key, _ in selector.select(timeout)] == ["near"]


@pytest.mark.skipif(not hasattr(os, "kill") or os.name == "nt", reason="needs signals")
def test_signals_wake_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, arrived.set)
        threading.Timer(0.02, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        async with asyncio.timeout(10):
            await arrived.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert isinstance(runner.get_loop(), LagLoop)
        runner.run(main())


async def test_another_loop_knows_no_lag() -> None:
    assert lag_us(asyncio.get_running_loop(), 10) == 0


@pytest.mark.parametrize(("resolution_us", "expected_us"), [(1, 10_000), (5_000, 10_000), (15_625, 31_250)])
def test_the_threshold_follows_a_coarse_clock(resolution_us: int, expected_us: int) -> None:
    assert threshold_us(resolution_us) == expected_us


def test_the_meter_knows_the_minute_and_the_whole() -> None:
    meter = LagMeter()
    assert meter.take_minute() == meter.since_start() == (0, 0, 0)
    for us in range(1, 1_001):
        meter.note(us)
    minute = meter.take_minute()
    assert (minute.n, minute.max_us) == (1_000, 1_000)
    assert 980 <= minute.p99_us <= 1_000
    meter.note(70_000)
    assert meter.since_start() == (1_001, minute.p99_us, 70_000)
    assert meter.take_minute() == (1, 70_000, 70_000)
    assert meter.since_start().n == 1_001
