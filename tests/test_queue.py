"""The queue of a connection and its intake: bounded, in order, handed on in turns, and nothing left behind."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from eelogger.net import intake as intake_module
from eelogger.net.connection import READ_BYTES, Received, StampedConnection
from eelogger.net.intake import GATHER_BYTES, GATHER_S, WORK_S, Intake
from eelogger.net.lag import loop_factory

LARGE = "x" * 300_000
BOUND = 1_000
AFTER = 6


async def take(connection: StampedConnection, messages: int) -> list[Received]:
    """So many messages, or all until the connection ends."""
    taken: list[Received] = []
    enough = asyncio.Event()

    def hand_on(received: Received) -> None:
        taken.append(received)
        if len(taken) == messages:
            enough.set()

    intake = asyncio.create_task(Intake(connection, hand_on).run())
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait([intake, waiting], timeout=30, return_when=asyncio.FIRST_COMPLETED)
    for task in (intake, waiting):
        task.cancel()
    await asyncio.gather(intake, waiting, return_exceptions=True)
    return taken


async def received(
    send: Callable[[ServerConnection], Coroutine[Any, Any, None]], messages: int, wait_s: float = 0.0
) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    """Sizes, backlogs told and lags of what a client with a small queue receives, taken after `wait_s`."""
    backlogs: list[tuple[int, int]] = []

    async def handle(peer: ServerConnection) -> None:
        await peer.recv()  # by then the client has its small queue
        await send(peer)
        await peer.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        uri = f"ws://127.0.0.1:{port}"
        async with connect(uri, create_connection=StampedConnection, compression=None, max_queue=None) as connection:
            assert isinstance(connection, StampedConnection)
            connection.queue_bytes = BOUND
            connection.on_backlog = lambda from_us, to_us: backlogs.append((from_us, to_us))
            await connection.send("go")
            await asyncio.sleep(wait_s)
            taken = await take(connection, messages)
    return [len(each.data) for each in taken], backlogs, [each.lag_us for each in taken]


async def test_a_large_message_is_read_in_small_pieces() -> None:
    """Plain and encrypted: larger ones would be mapped and unmapped for each message, however small that is."""
    authority = trustme.CA()
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.configure_trust(client_side)
    for serving, trusting in ((None, None), (server_side, client_side)):
        async with serve(lambda peer: peer.send(LARGE), "127.0.0.1", 0, ssl=serving) as server:
            uri = f"{'wss' if serving else 'ws'}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with connect(uri, create_connection=StampedConnection, compression=None, ssl=trusting) as connection:
                assert isinstance(connection, StampedConnection)
                (received,) = await take(connection, 1)
                reader: Any = getattr(connection.transport, "_ssl_protocol", connection.transport)
                assert reader.max_size == READ_BYTES
    assert len(received.data) == len(LARGE)


async def test_a_fragmented_message_larger_than_the_queue_is_received_and_so_is_what_follows() -> None:
    async def send(peer: ServerConnection) -> None:
        await peer.send([LARGE, LARGE, LARGE])
        await peer.send("after")

    sizes, _, _ = await received(send, 2)
    assert sizes == [3 * len(LARGE), 5]


async def test_silence_after_a_large_message_is_not_billed_to_us() -> None:
    async def send(peer: ServerConnection) -> None:
        await peer.send(LARGE)
        await asyncio.sleep(0.5)
        await peer.send("after")

    sizes, backlogs, lags = await received(send, 2)
    assert sizes == [len(LARGE), 5]
    assert backlogs == []
    assert lags[1] < 250_000


async def test_what_waited_while_reading_was_paused_says_so() -> None:
    async def send(peer: ServerConnection) -> None:
        for _ in range(100):
            await peer.send("x" * 100)
        await asyncio.sleep(0.2)
        await peer.send("after")

    sizes, backlogs, _ = await received(send, 101, wait_s=0.5)
    assert sizes == [100] * 100 + [5]
    assert backlogs
    assert backlogs[0][1] - backlogs[0][0] > 200_000


def test_what_the_peer_held_back_while_we_stood_still_says_so() -> None:
    """More than the socket's buffers hold: it comes after them, in pieces that nobody could tell from fresh ones."""

    async def run() -> list[Received]:
        began = asyncio.Event()

        async def handle(peer: ServerConnection) -> None:
            await peer.recv()
            began.set()
            for _ in range(10_000):
                await peer.send("x" * 2_000)
            # On a busy machine it takes a while until the loop sleeps half of its time again.
            for _ in range(AFTER):
                await asyncio.sleep(0.5)
                await peer.send("after")
            await peer.wait_closed()

        async with serve(handle, "127.0.0.1", 0, compression=None, write_limit=1 << 25) as server:
            uri = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with connect(uri, create_connection=StampedConnection, compression=None) as connection:
                assert isinstance(connection, StampedConnection)
                connection.queue_bytes = 1 << 25
                await connection.send("go")
                await began.wait()
                time.sleep(0.3)
                return await take(connection, 10_000 + AFTER)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        taken = runner.run(asyncio.wait_for(run(), 30))
    late = [message.lag_us >= 290_000 for message in taken]
    first = late.index(True)
    assert first < 5_000, "what was read before we stood still"
    assert all(late[first:10_000])
    assert not all(late[10_000:])


class Told:
    """What an intake hands on, in which pass of the loop, and how long each takes."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.numbers: list[int] = []
        self.passes: list[int] = []
        self._pause_s = pause_s
        self._pass = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next_pass)

    def _next_pass(self) -> None:
        self._pass += 1
        self._loop.call_later(0.001, self._next_pass)

    def __call__(self, received: Received) -> None:
        self.numbers.append(int(received.data.strip()))
        self.passes.append(self._pass)
        time.sleep(self._pause_s)


async def arrived(connection: StampedConnection, messages: int) -> None:
    """Until so many messages wait to be taken."""
    while connection.waiting < messages:
        await asyncio.sleep(0)


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[StampedConnection, ServerConnection]]:
    """A connection and its peer."""
    peers: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handle(peer: ServerConnection) -> None:
        peers.put_nowait(peer)
        await peer.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        uri = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with connect(uri, create_connection=StampedConnection, compression=None) as connection:
            assert isinstance(connection, StampedConnection)
            yield connection, await peers.get()


async def test_messages_of_a_few_milliseconds_are_handed_on_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "GATHER_S", 0.5)
    told = Told()
    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, told).run())
        for number in range(3):
            await peer.send(str(number))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.6)
        assert told.numbers == [0, 1, 2]
        await peer.close()
        await intake
    assert told.numbers == [0, 1, 2]
    assert len(set(told.passes)) == 1


async def test_a_lone_message_does_not_wait_for_another() -> None:
    told = Told()
    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, told).run())
        await peer.send("7")
        await asyncio.sleep(20 * GATHER_S)
        assert told.numbers == [7]
        await peer.close()
        await intake


async def test_messages_that_keep_coming_do_not_put_it_off() -> None:
    """Each line has to be in its file 20 ms after its message came, however close the next one follows."""
    told = Told()
    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, told).run())
        for number in range(100):
            await peer.send(str(number))
            await asyncio.sleep(GATHER_S / 4)
        assert len(set(told.passes)) > 5
        await peer.close()
        await intake
    assert told.numbers == list(range(100))


@pytest.mark.parametrize("before", [True, False], ids=["ended before", "ends while they gather"])
async def test_an_end_brings_all_that_waits_at_once(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "GATHER_S", 60.0)
    told = Told()
    async with talking() as (connection, peer):
        intake = None if before else asyncio.create_task(Intake(connection, told).run())
        for number in range(5):
            await peer.send(str(number))
        await arrived(connection, 5)
        assert told.numbers == []
        await peer.close()
        await connection.wait_closed()
        await asyncio.wait_for(intake or Intake(connection, told).run(), 10)
    assert told.numbers == [0, 1, 2, 3, 4]


async def test_much_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "GATHER_S", 60.0)
    told = Told()
    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, told).run())
        await peer.send("1")
        await peer.send(" " * GATHER_BYTES + "2")
        async with asyncio.timeout(10):
            while len(told.numbers) < 2:
                await asyncio.sleep(0.001)
        await peer.close()
        await intake
    assert told.numbers == [1, 2]


async def test_a_turn_is_short_and_the_loop_runs_in_between() -> None:
    told = Told(pause_s=WORK_S / 2)
    passes: list[float] = []
    async with talking() as (connection, peer):
        for number in range(30):
            await peer.send(str(number))
        await arrived(connection, 30)
        intake = asyncio.create_task(Intake(connection, told).run())
        while len(told.numbers) < 30:
            passes.append(time.perf_counter())
            await asyncio.sleep(0)
        await peer.close()
        await intake
    assert told.numbers == list(range(30))
    assert len(passes) >= 10


async def test_what_fails_on_a_message_ends_the_intake_with_its_error() -> None:
    def fail(received: Received) -> None:
        raise ValueError(received.data)

    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, fail).run())
        await peer.send("a")
        await peer.send("b")
        with pytest.raises(ValueError, match="a"):
            await asyncio.wait_for(intake, 5)


async def test_an_error_is_not_lost_to_a_cancellation() -> None:
    def fail(received: Received) -> None:
        intake.cancel()
        raise StopIteration(received.data)

    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, fail).run())
        await peer.send("a")
        with pytest.raises(RuntimeError, match="StopIteration"):  # what Python makes of it in a coroutine
            await asyncio.wait_for(intake, 5)


async def test_a_cancellation_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "GATHER_S", 60.0)
    told = Told()
    async with talking() as (connection, peer):
        intake = asyncio.create_task(Intake(connection, told).run())
        for number in range(3):
            await peer.send(str(number))
        await arrived(connection, 3)
        intake.cancel()
        await asyncio.wait([intake])
        assert intake.cancelled()
        assert (told.numbers, connection.waiting) == ([0, 1, 2], 0)
        await peer.send("4")
        await arrived(connection, 1)
        assert told.numbers == [0, 1, 2]


async def test_what_is_asked_for_is_handed_on_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "GATHER_S", 60.0)
    told = Told()
    async with talking() as (connection, peer):
        intake = Intake(connection, told)
        running = asyncio.create_task(intake.run())
        await peer.send("1")
        await arrived(connection, 1)
        intake.flush()
        assert told.numbers == [1]
        await peer.close()
        await running
    assert told.numbers == [1]
