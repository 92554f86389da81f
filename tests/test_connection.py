"""One connection: stamps, the bounded queue, turns, liveness, and until when it surely observed."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from fault_cloud import FaultCloud, FaultConnection
from launch import ROOT
from sessions import NotingSink, SessionRun, in_virtual_time, session_on, stream_to, subscribed, under_way
from sites import settings_for
from virtual import loop_s
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve

from eelogger.cloud import connection as room, stream as stream_room
from eelogger.cloud.connection import Received, StampedConnection
from eelogger.cloud.stream import GATHER_BYTES, GATHER_S, WORK_S, EventStream
from eelogger.model import Timing
from eelogger.settings import Settings, load
from eelogger.simulator import Account

LARGE = "x" * 300_000
LIVENESS_S = Timing().liveness_s


def stream_of(connection: StampedConnection, sink: NotingSink, hand_on: Callable[[Received], None]) -> EventStream:
    return EventStream(connection, settings_for("https://x"), sink, Timing(), hand_on)


async def take(connection: StampedConnection, messages: int, sink: NotingSink) -> list[Received]:
    """The messages that are handed on until there are so many; they begin to be taken now."""
    taken: list[Received] = []
    receiving = asyncio.create_task(stream_of(connection, sink, taken.append).log([]))
    async with asyncio.timeout(30):
        while len(taken) < messages and not receiving.done():
            await asyncio.sleep(0.01)
    receiving.cancel()
    await asyncio.wait([receiving])
    return taken


def uri_of(server: Server, scheme: str = "ws") -> str:
    return f"{scheme}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@asynccontextmanager
async def talking(
    send: Callable[[ServerConnection], Coroutine[Any, Any, None]] | None = None, **serving: Any
) -> AsyncIterator[tuple[StampedConnection, ServerConnection]]:
    """A connection and its peer, which sends once it was told to go."""
    peers: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handle(peer: ServerConnection) -> None:
        peers.put_nowait(peer)
        if send is not None:
            await peer.recv()
            await send(peer)
        await peer.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, **serving) as server:
        how: dict[str, Any] = {"create_connection": StampedConnection, "compression": None, "max_queue": None}
        async with connect(uri_of(server), **how) as connection:
            assert isinstance(connection, StampedConnection)
            yield connection, await peers.get()


# The queue


@pytest.mark.parametrize("wait_s", [0.0, 0.3], ids=["taken at once", "taken late"])
async def test_what_is_larger_than_the_queue_is_received_and_only_our_lateness_is_a_backlog(wait_s: float) -> None:
    """A fragmented message and a hundred small ones, then one more while reading is paused, and one after a silence."""

    async def send(peer: ServerConnection) -> None:
        await peer.send([LARGE, LARGE, LARGE])
        for _ in range(100 if wait_s else 0):
            await peer.send("x" * 100)
        await asyncio.sleep(0.1)
        await peer.send("held" if wait_s else "soon")
        await asyncio.sleep(0.5)
        await peer.send("after")

    async with talking(send) as (connection, _):
        connection.queue_bytes = 1_000
        sink = NotingSink()
        await connection.send("go")
        await asyncio.sleep(wait_s)
        taken = await take(connection, 103 if wait_s else 3, sink)
    assert [len(each.data) for each in taken] == [3 * len(LARGE), *[100] * (100 if wait_s else 0), 4, 5]
    assert (taken[-2].lag_us > 200_000) == bool(wait_s), "it waited in the socket"
    assert taken[-1].lag_us < 200_000, "a silence is not billed to us"
    assert [200_000 < gap.to_us - gap.from_us < 500_000 for gap in sink.noted] == ([True] if wait_s else [])


async def test_a_backlog_lasts_until_reading_goes_on_for_good() -> None:
    """The queue fills again at once, and then nothing happens for a while."""

    async def send(peer: ServerConnection) -> None:
        for _ in range(2):
            for _ in range(100):
                await peer.send("x" * 100)
            await peer.recv()

    sink = NotingSink()
    async with talking(send) as (connection, _):
        connection.queue_bytes = 1_000
        connection.on_gap = sink.note_gap
        for pause_s in (0.3, 0.3, *[0.02] * 20):
            if pause_s == 0.3:
                await connection.send("go")
            await asyncio.sleep(pause_s)
            while connection.take() is not None:
                pass
        (gap,) = sink.noted
    assert 600_000 < gap.to_us - gap.from_us < 5_000_000


STOPPED = """
import asyncio, sys
sys.path[:0] = sys.argv[1:3]
from websockets.asyncio.client import connect
from eelogger.cloud.connection import StampedConnection
from eelogger.cloud.loop_delay import LoopDelayLoop
from sessions import NotingSink
from test_connection import take

async def run():
    how = {"create_connection": StampedConnection, "compression": None, "max_queue": None}
    async with connect(sys.argv[3], **how) as connection:
        connection.queue_bytes = 1 << 25
        print("ready", flush=True)
        taken = await take(connection, int(sys.argv[4]), NotingSink())
    late = [m for m in taken if m.arrived_us - int(m.data.split()[0]) > 100_000]
    print(len(taken), len(late), sum(m.lag_us <= 10_000 for m in late))

with asyncio.Runner(loop_factory=LoopDelayLoop) as runner:
    runner.run(run())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
@pytest.mark.parametrize(
    ("rate", "size", "stops", "stopped_s"), [(2_000, 2_000, 1, 3.0), (100, 300, 5, 0.3)], ids=["busy", "asleep"]
)
async def test_after_a_standstill_no_late_line_is_without_its_lag(
    rate: int, size: int, stops: int, stopped_s: float
) -> None:
    """Stopped at its work, with more than the socket's buffers hold, or in a sleep that was none."""
    messages = round(rate * (stops * (stopped_s + 0.5) + 2))

    async def handle(peer: ServerConnection) -> None:
        due = time.monotonic()
        for _ in range(messages // 10):
            for _ in range(10):
                await peer.send(f"{time.time_ns() // 1000} {'x' * size}")
            due += 10 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await peer.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, write_limit=1 << 25) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", STOPPED, str(ROOT), str(ROOT / "tests"), uri_of(server), str(messages)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        for _ in range(stops):
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(stopped_s)
            process.send_signal(signal.SIGCONT)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    taken, late, unmarked = map(int, out.split())
    assert taken == messages
    assert late > 0.4 * stops * stopped_s * rate, "it happened"
    assert unmarked == 0


# Turns


class Told:
    """Notes what is handed on, and when; each message takes so long."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.numbers: list[int] = []
        self.at_s: list[float] = []
        self._pause_s = pause_s

    def __call__(self, received: Received) -> None:
        self.numbers.append(int(received.data))
        self.at_s.append(time.monotonic())
        time.sleep(self._pause_s)


@asynccontextmanager
async def receiving(
    hand_on: Callable[[Received], None],
) -> AsyncIterator[tuple[EventStream, asyncio.Task[str], ServerConnection]]:
    """A stream, its task and the peer."""
    async with talking() as (connection, peer):
        stream = stream_of(connection, NotingSink(), hand_on)
        yield stream, asyncio.create_task(stream.log([])), peer


@pytest.mark.parametrize("gather_s", [0.5, GATHER_S])
async def test_messages_are_handed_on_together_but_no_flood_puts_it_off(
    gather_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line has to be in its file soon after its message came, however close the next one follows."""
    monkeypatch.setattr(stream_room, "GATHER_S", gather_s)
    told = Told()
    async with receiving(told) as (_, running, peer):
        for number in range(100):
            await peer.send(str(number))
            await asyncio.sleep(GATHER_S / 4)
        await peer.close()
        await running
    assert told.numbers == list(range(100))
    turns = sum(after - before > GATHER_S / 2 for before, after in pairwise(told.at_s))
    assert (turns > 5) == (gather_s == GATHER_S)


@pytest.mark.parametrize("how", ["ends", "much waits", "asked for", "cancelled"])
async def test_nothing_is_gathered_when_it_must_not_wait(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_room, "GATHER_S", 60.0)
    told = Told()
    async with receiving(told) as (stream, running, peer):
        for number in range(5):
            await peer.send(" " * (GATHER_BYTES if how == "much waits" else 0) + str(number))
        while how != "much waits" and len(stream.connection.messages) < 5:
            await asyncio.sleep(0)
        if how == "ends":
            await peer.close()
        elif how == "asked for":
            stream.flush()
            assert told.numbers == [0, 1, 2, 3, 4]
        elif how == "cancelled":
            running.cancel()
        async with asyncio.timeout(10):
            while len(told.numbers) < 5:
                await asyncio.sleep(0.001)
            await peer.close()
            await asyncio.wait([running])
        assert running.cancelled() == (how == "cancelled")
    assert (told.numbers, list(stream.connection.messages)) == ([0, 1, 2, 3, 4], [])


async def test_a_turn_is_short_and_the_loop_runs_in_between() -> None:
    told, passes = Told(pause_s=WORK_S / 2), 0
    async with receiving(told) as (_, running, peer):
        for number in range(30):
            await peer.send(str(number))
        while len(told.numbers) < 30:
            passes += 1
            await asyncio.sleep(0)
        await peer.close()
        await running
    assert told.numbers == list(range(30))
    assert passes >= 10


async def test_what_fails_on_a_message_ends_the_connection_with_its_error() -> None:
    def fail(received: Received) -> None:
        raise ValueError(received.data)

    async with receiving(fail) as (_, running, peer):
        await asyncio.sleep(0.01)
        await peer.send("0")
        with pytest.raises(ValueError, match="0"):
            await asyncio.wait_for(running, 5)


def live(session: SessionRun) -> StampedConnection:
    assert session.session._stream is not None
    return session.session._stream.connection


class Slow(NotingSink):
    """Takes 20 ms for each message."""

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[Any]:
        time.sleep(0.02)
        return super().record(data, arrived_us, lag_us)


@pytest.mark.parametrize("end", ["RST", "a close", "a stop"])
async def test_a_loud_end_is_dated_before_what_waited_is_drained(end: str) -> None:
    """Draining takes its time, in which nothing could be observed any more."""
    async with FaultCloud(Account.of(cameras=1)) as cloud:
        cloud.initial_state = False
        sink = Slow()
        stream = await stream_to(sink, load(environ=cloud.environ))
        task = asyncio.create_task(stream.log(cloud.camera_ids()))
        await cloud.wait_subscribed()
        for _ in range(50):
            await cloud.emit(cloud.camera_ids()[0])
        await asyncio.sleep(0.02)
        ended_us = time.time_ns() // 1000
        if end == "a stop":
            stream.close("stopped")
        elif end == "a close":
            await cloud.close(1001)
        else:
            cloud.abort()
        await task
    assert len(sink.messages) == 50
    assert time.time_ns() // 1000 - ended_us > 700_000, "draining took its time"
    assert sink.lost_us - ended_us < 300_000


@in_virtual_time
@pytest.mark.parametrize("reason", ["no-pong", "suspend"])
async def test_a_silent_end_is_dated_when_the_peer_was_last_heard(reason: str) -> None:
    async with under_way(1) as (cloud, session):
        await asyncio.sleep(2.6 * LIVENESS_S)
        cloud.mute()
        heard_us = live(session).last_read_us
        if reason == "suspend":
            await asyncio.sleep(1)
            session.session.leave("suspend")
        await subscribed(cloud, 1, 2)
        assert (session.sink.reasons, session.sink.lost_us) == (["started", reason], heard_us)


# Liveness


@in_virtual_time
async def test_a_peer_that_sends_is_not_silent_whatever_becomes_of_its_pongs() -> None:
    """They come after everything that it has still to send, which at the start of a day may be megabytes."""
    async with under_way(1) as (cloud, session):
        await asyncio.sleep(2 * LIVENESS_S)
        assert session.rtts
        cloud.answer_pings = False
        for _ in range(30):
            await cloud.emit(cloud.camera_ids()[0])
            await asyncio.sleep(0.9 * LIVENESS_S)
        assert cloud.connects == 1
        silent_s = loop_s()
        await subscribed(cloud, 1, 2)
        assert loop_s() - silent_s < 15 + 1.6
        assert session.sink.reasons == ["started", "no-pong"]


@in_virtual_time
async def test_a_peer_is_not_dead_while_reading_is_paused() -> None:
    async with under_way(1) as (cloud, session):
        await asyncio.sleep(2 * LIVENESS_S)
        connection = live(session)
        connection.paused_ns = 1
        connection.transport.pause_reading()
        await asyncio.sleep(20 * LIVENESS_S)
        assert cloud.connects == 1
        connection.paused_ns = 0
        connection.transport.resume_reading()
        await asyncio.sleep(20 * LIVENESS_S)
        assert cloud.connects == 1


@in_virtual_time
@pytest.mark.parametrize("pongs", [True, False], ids=["pongs", "no pongs"])
async def test_a_quiet_account_keeps_its_connection(pongs: bool) -> None:
    async with FaultCloud(Account.of(cameras=2)) as cloud:
        cloud.answer_pings = pongs
        async with session_on(cloud) as session:
            await subscribed(cloud, 2)
            await asyncio.sleep(3600)
            live = cloud.connections[0]
            beats = live.pings if pongs else live.pongs
            assert abs(beats - 3600 / LIVENESS_S) < 17
            assert live.pings == (beats if pongs else 1), "heartbeats nobody answers leave no state"
            assert session.sink.reasons == ["started"]


@in_virtual_time
async def test_neither_pings_nor_a_stop_wait_for_a_peer_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every buffer on the way is full of subscriptions."""
    buffer = socket.SOL_SOCKET, socket.SO_SNDBUF, 4096
    monkeypatch.setattr(room, "set_tcp_timeouts", lambda sock: sock.setsockopt(*buffer))

    async def mute(connection: FaultConnection) -> None:
        connection.mute()

    async with FaultCloud(Account.of(cameras=4_000)) as cloud:
        cloud.on_connect = mute
        async with session_on(cloud) as session:
            await cloud.wait_connected()
            await asyncio.sleep(3 * LIVENESS_S + 1)
            connection = live(session)
            assert connection.transport.get_write_buffer_size() > 32_768, "nothing more goes out"
            began_s = loop_s()
            await session.stop()
            assert loop_s() - began_s < 2


@in_virtual_time
async def test_a_connection_without_its_tasks_is_left() -> None:
    """It would live on deaf."""

    async def broken(*args: object) -> None:
        await asyncio.sleep(1)
        raise RuntimeError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StampedConnection, "keep_alive", broken)
        async with under_way(1) as (cloud, session):
            patched.undo()
            await subscribed(cloud, 1, 2)
            assert session.sink.reasons == ["started", "broken-off"]


async def test_subscriptions_go_out_in_batches() -> None:
    sizes: list[int] = []

    async def handle(peer: ServerConnection) -> None:
        await peer.send("unasked")
        async for message in peer:
            sizes.append(len(json.loads(message)["cameras"]))
            if sum(sizes) == 1200:
                await peer.close()

    async with serve(handle, "127.0.0.1", 0) as server:
        stream = await stream_to(sink := NotingSink(), settings_for(uri_of(server, "http")))
        while not stream.connection.messages:
            await asyncio.sleep(0.01)
        assert await stream.log([f"{n:08x}" for n in range(1200)]) == "closed-1000"
    assert sizes == [500, 500, 200]
    assert sink.subscribed_us == sink.messages[0].arrived_us, "a replay puts what came unasked into this subscription"


def test_tcp_gives_up_where_it_can_and_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        room.set_tcp_timeouts(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == room.UNANSWERED_MS
        for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
            monkeypatch.delattr(socket, name, raising=False)
        room.set_tcp_timeouts(sock)


SERVER = """
import asyncio, sys
sys.path[:0] = sys.argv[1:3]
from fault_cloud import FaultCloud
from eelogger.simulator import Account

async def serve():
    async with FaultCloud(Account.of(cameras=1), host="10.213.7.2") as cloud:
        cloud.answer_pings = sys.argv[3] == "no-pong"
        print(cloud.events_url, cloud.camera_ids()[0], flush=True)
        await asyncio.sleep(60)

asyncio.run(serve())
"""
SPACE, NEAR, FAR = (f"eel{kind}{os.getpid()}" for kind in ("ns", "a", "b"))


def ip(line: str) -> None:
    """Run iproute2's `ip`."""
    subprocess.run(["ip", *line.split()], check=True, capture_output=True)


@pytest.fixture
def far_network() -> Iterator[None]:
    """A network namespace, 10.213.7.2, that can be reached from here."""
    try:
        ip(f"netns add {SPACE}")
        ip(f"link add {NEAR} type veth peer name {FAR} netns {SPACE}")
        ip(f"addr add 10.213.7.1/30 dev {NEAR}")
        ip(f"link set {NEAR} up")
        ip(f"-n {SPACE} addr add 10.213.7.2/30 dev {FAR}")
        ip(f"-n {SPACE} link set {FAR} up")
        yield
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine allows no network namespaces")
    finally:
        for line in (f"link del {NEAR}", f"netns del {SPACE}"):
            with suppress(OSError, subprocess.CalledProcessError):
                ip(line)


@pytest.mark.slow
@pytest.mark.usefixtures("far_network")
@pytest.mark.parametrize(("reason", "within_s"), [("no-pong", 15), ("no-ack", 20)])
async def test_a_dead_route_is_left(reason: str, within_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets vanish: who answered pings is missed by them, who never did by TCP, for which heartbeats are data."""
    arguments = (sys.executable, "-c", SERVER, str(ROOT), str(ROOT / "tests"), reason)
    server = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", SPACE, *arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        url, camera_id = (await server.stdout.readline()).decode().split()
        sink = NotingSink()
        monkeypatch.setattr(Settings, "websocket_uri", lambda settings: url)
        stream = await stream_to(sink, settings_for("https://x"))
        task = asyncio.create_task(stream.log([camera_id]))
        await asyncio.sleep(LIVENESS_S + 1)
        ip(f"-n {SPACE} link set {FAR} down")
        cut_us, began_s = time.time_ns() // 1000, time.monotonic()
        assert await asyncio.wait_for(task, 40) == reason
        assert time.monotonic() - began_s < within_s + 0.5
        assert sink.lost_us - cut_us < 500_000, "the gap begins when nothing could arrive any more"
    finally:
        server.kill()
        await server.wait()
