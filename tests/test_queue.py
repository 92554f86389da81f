"""The queue of a connection: bounded, but never by what cannot be taken from it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any

import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from eelogger.net.connection import READ_BYTES, Received, StampedConnection
from eelogger.net.lag import loop_factory

LARGE = "x" * 300_000
BOUND = 1_000


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
            taken: list[Received] = []
            async with asyncio.timeout(10):
                while len(taken) < messages:
                    await connection.arrival()
                    received = connection.take()
                    assert received is not None
                    taken.append(received)
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
                await connection.arrival()
                received = connection.take()
                reader: Any = getattr(connection.transport, "_ssl_protocol", connection.transport)
                assert reader.max_size == READ_BYTES
    assert received is not None
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
            await asyncio.sleep(0.5)
            await peer.send("after")
            await peer.wait_closed()

        taken: list[Received] = []
        async with serve(handle, "127.0.0.1", 0, compression=None, write_limit=1 << 25) as server:
            uri = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with connect(uri, create_connection=StampedConnection, compression=None) as connection:
                assert isinstance(connection, StampedConnection)
                connection.queue_bytes = 1 << 25
                await connection.send("go")
                await began.wait()
                time.sleep(0.3)
                while len(taken) < 10_001:
                    await connection.arrival()
                    while (message := connection.take()) is not None:
                        taken.append(message)
        return taken

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        taken = runner.run(asyncio.wait_for(run(), 30))
    late = [message.lag_us >= 290_000 for message in taken]
    first = late.index(True)
    assert first < 5_000, "what was read before we stood still"
    assert all(late[first:-1])
    assert not late[-1]
