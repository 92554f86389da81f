"""The lag brackets the truth: real loops, real sockets, callbacks that block for a known time."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from launch import ROOT, environment

from eelogger.cloud import loop_delay
from eelogger.cloud.loop_delay import LagMeter, LoopDelayLoop, lag_us, slept_ns, threshold_us

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


block = partial(time.sleep, BLOCK_S)
Scenario = Callable[[Reader, socket.socket], Awaitable[None]]


def run(scenario: Scenario) -> list[int]:
    """Run a scenario in a loop of ours with a socket pair; the lags its reader noted."""

    async def main() -> list[int]:
        near, far = socket.socketpair()
        with near, far:
            loop = asyncio.get_running_loop()
            transport, reader = await loop.connect_accepted_socket(lambda: Reader(loop), near)
            await scenario(reader, far)
            transport.close()
            await asyncio.sleep(0)
            return reader.lags_us

    with asyncio.Runner(loop_factory=LoopDelayLoop) as runner:
        return runner.run(main())


async def blocked_before_the_read(reader: Reader, far: socket.socket) -> None:
    far.send(b"x")
    block()
    await reader.done.wait()


async def blocked_in_the_same_pass(reader: Reader, far: socket.socket) -> None:
    far.send(b"x")
    asyncio.get_running_loop().call_soon(block)  # makes select look only, and runs between it and the read
    await reader.done.wait()


async def blocked_with_a_timer_due(reader: Reader, far: socket.socket) -> None:
    asyncio.get_running_loop().call_later(10, block)
    await blocked_before_the_read(reader, far)


async def woken_from_sleep(reader: Reader, far: socket.socket) -> None:
    threading.Timer(BLOCK_S, far.send, [b"x"]).start()
    await reader.done.wait()


async def blocked_before_the_data_came(reader: Reader, far: socket.socket) -> None:
    block()
    await woken_from_sleep(reader, far)


WAITED: list[Scenario] = [blocked_before_the_read, blocked_in_the_same_pass, blocked_with_a_timer_due]


@pytest.mark.parametrize("scenario", [*WAITED, woken_from_sleep, blocked_before_the_data_came])
def test_a_lag_says_how_long_the_data_waited(scenario: Scenario) -> None:
    (waited_us,) = run(scenario)
    waited = BLOCK_US if scenario in WAITED else 0
    assert waited <= waited_us < waited + SLACK_US


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


async def test_another_loop_knows_no_lag_and_is_taken_for_idle() -> None:
    loop = asyncio.get_running_loop()
    before_ns = slept_ns(loop)
    time.sleep(0.01)
    assert (lag_us(loop, 10), slept_ns(loop) - before_ns >= 10_000_000) == (0, True)


HANGING = """
import socket, sys, time
socket.getaddrinfo = lambda *args, **hints: print("asked", file=sys.stderr, flush=True) or time.sleep(60)
from eelogger.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("command", ["", "check", "login", "audit"])
def test_a_resolver_that_hangs_keeps_nobody_from_ending(tmp_path: Path, command: str) -> None:
    """Without a network names take half a minute to fail, in a thread that nobody can end."""
    options = f"{command} --env-file {tmp_path}/.env --log-dir {tmp_path}"
    line = [sys.executable, "-c", HANGING, *options.split()]
    (tmp_path / ".env").write_text(f"EEN_BRANDING=c000\nEEN_ACCOUNT_ID=1\nEEN_AUTH_KEY=c000~{0:032}\n")
    env, pipe = environment(None, None), subprocess.PIPE
    with subprocess.Popen(line, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write("ops@example.com\ncorrect horse\n")
        process.stdin.flush()
        assert "asked\n" in iter(process.stderr.readline, "")
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(10) == (130 if command else 0)
        finally:
            process.kill()


@pytest.mark.parametrize(("step_us", "threshold"), [(1, 10_000), (5_000, 10_000), (15_625, 31_250)])
def test_the_threshold_follows_a_coarse_clock(monkeypatch: pytest.MonkeyPatch, step_us: int, threshold: int) -> None:
    monkeypatch.setattr(loop_delay, "resolution_us", lambda: step_us)
    assert threshold_us() == threshold


def test_the_meter_knows_the_minute_and_the_whole() -> None:
    meter = LagMeter()
    for us in range(1, 1_001):
        meter.note(us)
    n, p99_us, max_us = meter.take_minute()
    assert (n, max_us) == (1_000, 1_000)
    assert 980 <= p99_us <= 1_000
    meter.note(70_000)
    assert meter.since_start() == (1_001, p99_us, 70_000)
    assert meter.take_minute() == (1, 70_000, 70_000)
    assert meter.since_start()[0] == 1_001
