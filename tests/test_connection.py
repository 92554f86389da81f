"""The connection: whatever ends or refuses it, the logger comes back, says why once, and what arrived is on disk.

Each fault is a row and is proven to have happened, by the reason in `gaps.log` or by what the cloud saw. Time is
virtual except where it is the point; sockets, files and the kernel's TCP are real.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import math
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from running import ROOT, environment
from virtual import Run, bare, loop_s, served, virtually

from eelogger import clock
from eelogger.clock import now_us
from eelogger.errors import CertificateRefused, KeyRefused
from eelogger.model import CloudNotice
from eelogger.net.connection import StampedConnection
from eelogger.net.heartbeat import HEARTBEAT_S
from eelogger.net.lag import loop_factory
from eelogger.simulator import TEST_KEY, Cloud, Connection, World, compare
from eelogger.stream import HOLD_OFF_S, EventStream
from eelogger.text.times import parse_time

ISAUTH = "/g/aaa/isauth"


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "eelogger")


async def emit(cloud: Cloud, count: int = 3) -> None:
    """A few events of each camera, some of them twice."""
    for _ in range(count):
        for camera in cloud.world.cameras:
            made = await cloud.emit(camera.id, delay_s=0.3)
            await cloud.deliver([made])


async def back(cloud: Cloud, connects: int) -> None:
    """Until there is a connection of that number and it is subscribed."""
    await cloud.wait_connected(connects, timeout_s=400)
    await cloud.wait_until(
        lambda: [len(live.ready) for live in cloud.connections][-1:] == [len(cloud.world.cameras)], 10
    )


# Ends of an open connection


class End(NamedTuple):
    """A way in which an open connection ends, the reason in `gaps.log`, and a word of the hint."""

    name: str
    fault: Callable[[Cloud], object]
    reason: str
    hint: str


def half_frame_then_eof(cloud: Cloud) -> None:
    """Three bytes of a frame of ten, then FIN."""
    for live in cloud.connections:
        live.write(b"\x81\x0aabc")
        live._transport.write_eof()


def no_websocket(cloud: Cloud) -> None:
    """Reserved bits, reserved opcodes."""
    cloud.garbage(b"\xff" * 50)


def endless_message(cloud: Cloud) -> None:
    """A frame that announces 100 MiB."""
    cloud.garbage(b"\x81\x7f" + struct.pack("!Q", 100 << 20))


def masked_frame(cloud: Cloud) -> None:
    """A server must not mask."""
    cloud.garbage(b"\x81\x82abcdxy")


def says(status: int) -> Callable[[Cloud], object]:
    """A request error while the key is good."""
    return lambda cloud: cloud.send({"status_code": status, "message": "no", "data": {}})


ENDS = [
    *(
        End(f"close {code}", lambda cloud, code=code: cloud.close(code), f"closed-{code}", hint)  # type: ignore[misc]
        for code, hint in {
            1000: "now and then",
            1001: "now and then",
            1002: "did not like",
            1003: "did not like",
            1007: "did not like",
            1008: "EEN_ACCOUNT_ID",
            1009: "did not like",
            1010: "did not like",
            1011: "now and then",
            1012: "now and then",
            1013: "now and then",
            1014: "now and then",
            4000: "now and then",
        }.items()
    ),
    End("RST", lambda cloud: cloud.abort(), "closed-1006", "check the network"),
    End("half a frame, then EOF", half_frame_then_eof, "closed-1006", "check the network"),
    End("garbage", no_websocket, "failed-1002", "WebSockets"),
    End("a masked frame", masked_frame, "failed-1002", "WebSockets"),
    End("a message too large", endless_message, "failed-1009", "64 MiB"),
    End("silence, TCP up", lambda cloud: cloud.mute(), "no-pong", "check this machine's network"),
    End("says 401, the key is good", says(401), "error-401", "EEN_ACCOUNT_ID"),
    End("says 412, the key is good", says(412), "error-412", "EEN_ACCOUNT_ID"),
]


@pytest.mark.parametrize("end", ENDS, ids=[end.name for end in ENDS])
def test_an_end_is_a_gap_and_nothing_is_lost(tmp_path: Path, end: End) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=3)) as cloud, served(cloud, tmp_path) as logger:
            await cloud.wait_subscribed(3)
            await emit(cloud)
            if end.reason == "no-pong":  # a server that never answered would not be missed
                await cloud.wait_until(lambda: cloud.connections[0].pings > 0)
                await asyncio.sleep(1)
            happened = end.fault(cloud)
            if isinstance(happened, Awaitable):
                await happened
            began_s = loop_s()
            await back(cloud, 2)
            assert loop_s() - began_s < 12 + 1.6
            await emit(cloud)
            await logger.stop()
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert logger.reasons() == ["started", end.reason]
        told = [line for line in logger.told() if "the event stream ended" in line]
        assert len(told) == 1
        assert end.reason in told[0]
        assert end.hint in told[0]
        assert len([line for line in logger.told() if line.startswith("connected again after ")]) == 1

    virtually(run())


# Attempts that fail


class Refusal(NamedTuple):
    """Why no connection comes about for a while, and words that the warning must hold."""

    name: str
    begin: Callable[[Cloud], object]
    told: Iterable[str]
    at_least_s: float = 0.0
    first: bool = True
    """Whether it can be met at the very first start too."""


def upgrade_answers(status: int, headers: Mapping[str, str] = {}) -> Callable[[Cloud], object]:
    """The handshake is answered with this status."""

    def begin(cloud: Cloud) -> None:
        cloud.handshake_status = status
        cloud.handshake_headers = dict(headers)

    return begin


def accept_nothing(cloud: Cloud) -> None:
    """TCP is accepted, and then nothing is said."""
    cloud.handshake_delay_s = 1000.0


def list_answers(status: int) -> Callable[[Cloud], object]:
    """The camera list cannot be had."""
    return lambda cloud: setattr(cloud, "list_status", status)


REFUSALS = [
    Refusal("404", upgrade_answers(404), ["HTTP 404", "EEN_ACCOUNT_ID"]),
    Refusal("408", upgrade_answers(408), ["HTTP 408", "slow"]),
    Refusal("429", upgrade_answers(429), ["HTTP 429", "fewer"]),
    Refusal("429 with Retry-After", upgrade_answers(429, {"Retry-After": "90"}), ["HTTP 429"], 90),
    Refusal("503 with retry-after in small letters", upgrade_answers(503, {"retry-after": "70"}), ["HTTP 503"], 70),
    Refusal("500", upgrade_answers(500), ["HTTP 500", "problem of its own"]),
    Refusal("503", upgrade_answers(503), ["HTTP 503", "problem of its own"]),
    Refusal("200, a page for people", upgrade_answers(200), ["HTTP 200", "EEN_BASE_URL"]),
    Refusal("no answer", accept_nothing, ["in time", "check this machine's network"], 15),
    Refusal("refused TCP", lambda cloud: cloud.go_down(), ["refused", "check this machine's network"], first=False),
]


def recover(cloud: Cloud) -> None:
    """All is as usual from now on."""
    cloud.handshake_status = cloud.list_status = None
    cloud.handshake_headers = {}
    cloud.handshake_delay_s = 0.0


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_a_refused_attempt_is_tried_again(tmp_path: Path, refusal: Refusal) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud, served(cloud, tmp_path) as logger:
            await cloud.wait_subscribed(2)
            await emit(cloud)
            begun = refusal.begin(cloud)
            if isinstance(begun, Awaitable):
                await begun
            cloud.abort()
            await logger.attempted(4)
            assert logger.attempts_s[3] - logger.attempts_s[2] >= refusal.at_least_s - 0.001
            if not refusal.first:
                await cloud.come_up()
            recover(cloud)
            await back(cloud, 2)
            await emit(cloud)
            await logger.stop()
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert logger.reasons() == ["started", "closed-1006"], "of several causes the first counts"
        assert logger.service.instrument.session.state == "stopping"

    virtually(run())


@pytest.mark.parametrize("refusal", [row for row in REFUSALS if row.first], ids=lambda row: row.name)
def test_a_refused_first_attempt_is_tried_again(tmp_path: Path, refusal: Refusal) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            refusal.begin(cloud)
            async with served(cloud, tmp_path) as logger:
                await logger.attempted(4)
                recover(cloud)
                await back(cloud, 1)
                await emit(cloud)
                await logger.stop()
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert logger.reasons() == ["started"]
        warnings = logger.told()
        assert len(warnings) == 2, "a series is one warning and one line of recovery"
        assert all(word in warnings[0] for word in refusal.told)
        assert warnings[1].startswith("connected again after ")

    virtually(run())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_run_at_its_start(tmp_path: Path, status: int) -> None:
    """Whose list is given, and whose stream is refused: the account id is another's."""

    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud:
            cloud.handshake_status = status
            async with served(cloud, tmp_path) as logger:
                with pytest.raises(KeyRefused, match=f"HTTP {status}") as caught:
                    await logger.task
        assert "EEN_ACCOUNT_ID" in caught.value.hint
        assert " exit=77 " in logger.summary().splitlines()[0]

    virtually(run())


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_refused_later_ends_the_run_when_isauth_agrees(tmp_path: Path, status: int) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud, served(cloud, tmp_path) as logger:
            await cloud.wait_subscribed(2)
            await emit(cloud)
            cloud.handshake_status = status
            cloud.abort()
            await logger.attempted(3)
            cloud.handshake_status = None
            await back(cloud, 2)
            assert len(cloud.called(ISAUTH)) > 0, "a gateway may answer so too: the key was good"
            cloud.handshake_status = status
            cloud.rest_status[ISAUTH] = 401
            cloud.abort()
            with pytest.raises(KeyRefused, match=f"HTTP {status}"):
                await logger.task
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert logger.summary().startswith("STOPPED ")
        assert " exit=77 " in logger.summary().splitlines()[0]

    virtually(run())


def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS, and the file with the CA that vouches for it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return context, ca_file


def test_a_certificate_that_does_not_verify_ends_the_run(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Cloud(World.of(cameras=1), ssl=tls(tmp_path)[0]) as cloud,
            served(cloud, tmp_path / "logs") as logger,
        ):
            with pytest.raises(CertificateRefused) as caught:
                await logger.task
            assert cloud.connects == 0
            assert list(cloud.calls) == [], "nothing was said to a stranger"
        assert caught.value.exit_code == 77
        assert "EEN_CA_FILE" in caught.value.hint
        assert " exit=77 " in logger.summary().splitlines()[0]

    virtually(run())


def test_a_ca_of_ones_own_is_trusted_and_may_be_away_for_a_while(tmp_path: Path) -> None:
    async def run() -> None:
        context, ca_file = tls(tmp_path)
        env = {"EEN_CA_FILE": str(ca_file)}
        async with Cloud(World.of(cameras=2), ssl=context) as cloud:
            async with served(cloud, tmp_path / "logs", env) as logger:
                await back(cloud, 1)
                await emit(cloud)
                ca_file.rename(tmp_path / "away.pem")
                await cloud.close(1001)
                await logger.attempted(4)
                (tmp_path / "away.pem").rename(ca_file)
                await back(cloud, 2)
                await emit(cloud)
                await logger.stop()
        verdict = compare(cloud.ledger.entries, tmp_path / "logs")
        assert verdict.ok, str(verdict)
        assert logger.reasons() == ["started", "closed-1001"]
        assert "tls=TLSv1.3" in "".join(logger.told("INFO"))

    virtually(run())


def test_a_defect_does_not_end_the_run_and_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = f"auth_key={TEST_KEY}"

    def broken(connection: StampedConnection) -> str:
        raise RuntimeError(headers)

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            with monkeypatch.context() as patched:
                patched.setattr("eelogger.reconnect.session.describe", broken)
                async with served(cloud, tmp_path) as logger:
                    await logger.attempted(4)
                    patched.undo()
                    await back(cloud, 1)
                    await emit(cloud)
                    await logger.stop()
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert logger.told("ERROR") == ["unexpected failure"]
        log = (tmp_path / "eelogger.log").read_text()
        assert "in broken" in log, "the traceback is there"
        assert TEST_KEY not in log, "what the exception says is not"

    virtually(run())


@pytest.mark.parametrize("what", ["heartbeat", "subscribe"])
def test_a_connection_without_its_tasks_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async def broken(*args: object) -> None:
        await asyncio.sleep(1)
        raise RuntimeError(what)

    async def run() -> None:
        target = "eelogger.stream.Heartbeat.run" if what == "heartbeat" else "eelogger.stream.EventStream._subscribe"
        async with Cloud(World.of(cameras=1)) as cloud:
            with monkeypatch.context() as patched:
                patched.setattr(target, broken)
                async with served(cloud, tmp_path) as logger:
                    await cloud.wait_connected(1)
                    await asyncio.sleep(0.5)
                    patched.undo()
                    await back(cloud, 2)
                    await logger.stop()
        assert logger.reasons() == ["started", "broken-off"]
        assert logger.told("ERROR") == ["unexpected failure"]

    virtually(run())


# Back-off: a server that lets in and throws out again


async def close_on_first_message(cloud: Cloud) -> None:
    """1009 as soon as a subscription comes."""
    while True:
        await cloud.wait_until(lambda: any(live.subscriptions for live in cloud.connections))
        await cloud.close(1009)


async def reset_on_accept(connection: Connection) -> None:
    """RST instead of a word."""
    connection.abort()


LOOPS: dict[str, Callable[[Cloud], object]] = {
    "accept, then 1000": lambda cloud: setattr(cloud, "close_after_accept", 1000),
    "accept, then 1001": lambda cloud: setattr(cloud, "close_after_accept", 1001),
    "accept, then RST": lambda cloud: setattr(cloud, "on_connect", reset_on_accept),
    "1009 on the first message": close_on_first_message,
    "handshake 503": upgrade_answers(503),
    "handshake 503, Retry-After 0": upgrade_answers(503, {"Retry-After": "0"}),
    "camera list 503": list_answers(503),
    "refused TCP": lambda cloud: cloud.go_down(),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hopeless_server_is_asked_ever_more_rarely(tmp_path: Path, loop: str) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            begun = LOOPS[loop](cloud)
            hopeless = asyncio.create_task(begun) if asyncio.iscoroutine(begun) else None
            async with served(cloud, tmp_path) as logger:
                await logger.attempted(13)
                await logger.stop()
            if hopeless is not None:
                hopeless.cancel()
        first = logger.attempts_s[0]
        assert sum(at - first < 60 for at in logger.attempts_s) <= 8
        later = [at for at in logger.attempts_s if at - first >= 60]
        assert len(later) >= 4
        assert all(after - before >= 60 - 0.001 for before, after in itertools.pairwise(later))
        # An hour of it is not an hour of warnings: one of the trouble, at most one that it seemed to be over.
        assert len(logger.told()) <= 2

    virtually(run())


def test_a_connection_that_stayed_up_starts_the_backoff_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            cloud.handshake_status = 503
            async with served(cloud, tmp_path) as logger:
                await logger.attempted(8)
                cloud.handshake_status = None
                await back(cloud, 1)
                await asyncio.sleep(61)
                await cloud.close(1001)
                ended_s = loop_s()
                await back(cloud, 2)
                assert loop_s() - ended_s < 2
                # One that did not stay up starts nothing over: the pauses go on growing.
                for _ in range(3):
                    await asyncio.sleep(5)
                    await cloud.close(1001)
                    await cloud.wait_connected(cloud.connects + 1, timeout_s=100)
                pauses = [
                    after - before for before, after in zip(logger.attempts_s, logger.attempts_s[1:], strict=False)
                ]
                assert pauses[-1] > pauses[-2] > pauses[-3] > 5
                await logger.stop()

    virtually(run())


# Liveness


@pytest.mark.slow
def test_a_silent_peer_is_left_within_12_s_and_the_gap_begins_with_the_silence(tmp_path: Path) -> None:
    """In real time: the gap's times come from the wall clock."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, served(cloud, tmp_path) as logger:
            await cloud.wait_until(lambda: bool(cloud.connections) and cloud.connections[0].pings > 0, 10)
            await emit(cloud)
            muted_us = now_us()
            cloud.mute()
            await cloud.wait_connected(2, timeout_s=12 + 1.6)
            await back(cloud, 2)
            await logger.stop()
        gap = logger.gaps()[1]
        assert gap["reason"] == "no-pong"
        assert abs(parse_time(gap["from"]) - muted_us) < 500_000
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())


def test_a_peer_that_sends_is_not_silent_whatever_becomes_of_its_pongs() -> None:
    """They come after everything that it has still to send, which at the start of a day may be megabytes."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud) as logger:
            await back(cloud, 1)
            await asyncio.sleep(2 * HEARTBEAT_S)
            cloud.answer_pings = False
            for _ in range(30):
                await emit(cloud)
                await asyncio.sleep(0.6 * HEARTBEAT_S)
            assert cloud.connects == 1
            assert logger.session.state == "connected"
            await cloud.wait_connected(2, timeout_s=12 + 1.6)
            await back(cloud, 2)
            assert logger.disk.gaps == ["started", "no-pong"]
            await logger.stop()

    virtually(run())


def quiet_for(seconds: float, *, pongs: bool) -> int:
    """One connection to a quiet account for so long; how many objects more there are at the end than at a tenth."""

    async def run() -> int:
        async with Cloud(World.of(cameras=2), answer_pings=pongs) as cloud, bare(cloud) as logger:
            await back(cloud, 1)
            counts = []
            for share in (0.1, 0.9):
                await asyncio.sleep(seconds * share)
                cloud.calls.clear()
                gc.collect()
                counts.append(len(gc.get_objects()))
                assert cloud.connects == 1
                assert logger.session.state == "connected"
            live = cloud.connections[0]
            beats = live.pings if pongs else live.pongs
            assert abs(beats - seconds / HEARTBEAT_S) < 0.02 * seconds / HEARTBEAT_S + 2
            assert live.pings == (beats if pongs else 1), "heartbeats nobody answers leave no state"
            assert logger.disk.gaps == ["started"]
            await logger.stop()
        return counts[1] - counts[0]

    return virtually(run(), limit_s=2 * seconds)


@pytest.mark.parametrize("pongs", [True, False], ids=["pongs", "no pongs"])
def test_a_quiet_account_keeps_its_connection_for_an_hour(pongs: bool) -> None:
    assert quiet_for(3600, pongs=pongs) < 200


@pytest.mark.slow
@pytest.mark.parametrize("pongs", [True, False], ids=["pongs", "no pongs"])
def test_a_quiet_account_keeps_its_connection_for_a_day(pongs: bool) -> None:
    tracemalloc.start()
    try:
        quiet_for(3600, pongs=pongs)  # caches fill
        before, _ = tracemalloc.get_traced_memory()
        assert quiet_for(86_400, pongs=pongs) < 200
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000


def test_closed_connections_leave_nothing_behind() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud) as logger:
            await back(cloud, 1)
            opened: list[weakref.ref[StampedConnection]] = []
            told = logger.stream.on_open

            def note(connection: StampedConnection) -> None:
                opened.append(weakref.ref(connection))
                told(connection)

            logger.stream.on_open = note
            tasks = []
            for connects in range(2, 30):
                await asyncio.sleep(61)
                await (cloud.close(1001) if connects % 2 else asyncio.sleep(0))
                cloud.abort()
                await back(cloud, connects)
                await asyncio.sleep(1)
                tasks.append(len(asyncio.all_tasks()))
            gc.collect()
            assert len(opened) == 28
            assert sum(connection() is not None for connection in opened) == 1
            assert len(set(tasks[3:])) == 1
            await logger.stop()

    virtually(run())


DEAD_ROUTE_SERVER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from eelogger.simulator import Cloud, World

async def serve():
    async with Cloud(World.of(cameras=1), host=sys.argv[2], answer_pings=sys.argv[3] == "pongs") as cloud:
        print(cloud.events_url, flush=True)
        await asyncio.sleep(60)

asyncio.run(serve())
"""


@asynccontextmanager
async def far_cloud(pongs: str) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """A cloud in a network namespace of its own: its address, and what makes every packet to and from it vanish."""
    space, near, far = (f"eel{kind}{os.getpid()}" for kind in ("ns", "a", "b"))
    try:
        await ip("netns", "add", space)
        await ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        await ip("addr", "add", "10.213.7.1/30", "dev", near)
        await ip("link", "set", near, "up")
        await ip("-n", space, "addr", "add", "10.213.7.2/30", "dev", far)
        await ip("-n", space, "link", "set", far, "up")
        server = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", space, sys.executable, "-c", DEAD_ROUTE_SERVER, str(ROOT), "10.213.7.2", pongs),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            url = (await server.stdout.readline()).decode().strip()
            yield url, lambda: ip("-n", space, "link", "set", far, "down")
        finally:
            server.kill()
            await server.wait()
    finally:
        await ip("link", "del", near)
        await ip("netns", "del", space)


async def ip(*args: str) -> None:
    """Run iproute2's `ip`."""
    process = await asyncio.create_subprocess_exec("ip", *args, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        raise OSError(said.decode())


def can_make_namespaces() -> bool:
    """Whether this process may make network namespaces."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = f"eelprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode == 0
    return made and subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True).returncode == 0


class Heard:
    """A sink that notes when it was told something."""

    def __init__(self) -> None:
        self.messages = asyncio.Event()
        self.lost_us = 0

    def name_namespaces(self, ns_values: Mapping[int, str]) -> None:
        """Not of interest."""

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        """Not of interest."""

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        """A message came."""
        self.messages.set()
        return []

    def lost(self, at_us: int, reason: str) -> None:
        """The connection ended."""
        self.lost_us = at_us


@pytest.mark.parametrize("ready_after_s", [0.1, math.inf], ids=["a little to read", "much to read"])
async def test_a_subscription_waits_for_the_past_to_be_read_but_not_long(ready_after_s: float) -> None:
    """What arrives meanwhile is only in memory."""
    async with Cloud(World.of(cameras=1)) as cloud:
        heard = Heard()
        stream = EventStream(heard)
        stream.cameras = [cloud.world.cameras[0].id]
        stream.headers = {"Cookie": f"auth_key={cloud.auth_key}"}
        began_s = time.monotonic()
        if math.isfinite(ready_after_s):
            asyncio.get_running_loop().call_later(ready_after_s, stream.ready.set)
        task = asyncio.create_task(stream.connect_and_log(cloud.events_url, {}))
        await cloud.wait_subscribed()
        assert min(ready_after_s, HOLD_OFF_S) <= time.monotonic() - began_s
        assert stream.ready.is_set() == (ready_after_s < HOLD_OFF_S)
        stream.ready.set()
        await asyncio.wait_for(heard.messages.wait(), 5)
        stream.close()
        await task


@pytest.mark.slow
@pytest.mark.parametrize(("pongs", "reason", "within_s"), [("pongs", "no-pong", 12), ("none", "no-ack", 20)])
def test_a_dead_route_is_left(pongs: str, reason: str, within_s: float) -> None:
    """Packets vanish: who answered pings is missed by them, who never did by TCP, for which heartbeats are data."""
    if not can_make_namespaces():
        pytest.skip("this machine allows no network namespaces")

    async def run() -> None:
        async with far_cloud(pongs) as (url, cut):
            heard = Heard()
            stream = EventStream(heard)
            stream.cameras = [World.of(cameras=1).cameras[0].id]
            stream.ready.set()
            task = asyncio.create_task(stream.connect_and_log(url, {}))
            await asyncio.wait_for(heard.messages.wait(), 5)
            await asyncio.sleep(HEARTBEAT_S + 0.5)
            await cut()
            cut_us, began = now_us(), time.monotonic()
            assert await asyncio.wait_for(task, 40) == reason
            assert time.monotonic() - began < within_s + 0.5
            assert heard.lost_us - cut_us < 500_000, "the gap begins when nothing could arrive any more"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())


# Suspend


@pytest.fixture
def sleep_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the clocks that count sleep go on by so many seconds while nothing ran."""
    slept_ns = 0
    time_ns, boot_ns = time.time_ns, clock._boot_ns
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + slept_ns)
    monkeypatch.setattr(clock, "_boot_ns", lambda: (boot_ns() or time.monotonic_ns()) + slept_ns)

    def sleep(seconds: float) -> None:
        nonlocal slept_ns
        slept_ns += round(seconds * 1e9)

    return sleep


async def connected(cloud: Cloud, logger: Run) -> None:
    """A good connection, after some bad ones: the next pause would be a minute."""
    cloud.close_after_accept = 1000
    cloud.abort()
    await logger.attempted(8)
    cloud.close_after_accept = None
    await back(cloud, cloud.connects + 1)
    await asyncio.sleep(3)


async def connected_to_the_dead(cloud: Cloud, logger: Run) -> None:
    """The same, and then nobody answers at the other end."""
    await connected(cloud, logger)
    cloud.mute()


async def pausing(cloud: Cloud, logger: Run) -> None:
    """In the middle of a pause of a minute."""
    cloud.handshake_status = 503
    cloud.abort()
    await logger.attempted(8)
    await asyncio.sleep(5)
    cloud.handshake_status = None


async def listing(cloud: Cloud, logger: Run) -> None:
    """Waiting for a camera list that will never come."""
    cloud.delay_rest_s = 1000
    cloud.abort()
    await logger.attempted(2)
    await asyncio.sleep(3)
    cloud.delay_rest_s = 0


async def shaking_hands(cloud: Cloud, logger: Run) -> None:
    """Waiting for a handshake that will never come."""
    cloud.handshake_delay_s = 1000
    cloud.abort()
    await logger.attempted(2)
    await asyncio.sleep(3)
    cloud.handshake_delay_s = 0


MOMENTS = [connected, connected_to_the_dead, pausing, listing, shaking_hands]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_new_connection_within_5_s_of_waking_up(
    tmp_path: Path, sleep_for: Callable[[float], None], moment: Callable[[Cloud, Run], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, served(cloud, tmp_path) as logger:
            await back(cloud, 1)
            await emit(cloud)
            await moment(cloud, logger)
            connects, woke_s = cloud.connects, loop_s()
            sleep_for(20)
            await back(cloud, connects + 1)
            assert loop_s() - woke_s < 5
            await emit(cloud)
            await logger.stop()
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert [gap["kind"] for gap in logger.gaps()].count("suspend") == 1
        assert ("suspend" in logger.reasons()) == moment.__name__.startswith("connected")

    virtually(run())


@pytest.mark.parametrize("pongs", [True, False], ids=["pongs", "no pongs"])
def test_a_gap_begins_with_the_sleep_and_not_with_what_was_heard_before(
    tmp_path: Path, sleep_for: Callable[[float], None], pongs: bool
) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1), answer_pings=pongs) as cloud, served(cloud, tmp_path) as logger:
            await back(cloud, 1)
            await asyncio.sleep(8)
            cloud.mute()
            slept_us = now_us()
            if not pongs:
                # Since then a quiet account has only acknowledged our heartbeats.
                logger.service.instrument.stream.connection.last_read_us -= 3600 * 1_000_000  # type: ignore[union-attr]
            sleep_for(600)
            await back(cloud, 2)
            await logger.stop()
        gap = next(gap for gap in logger.gaps() if gap["reason"] == "suspend")
        assert 0 <= slept_us - parse_time(gap["from"]) + 100_000 < 21_000_000
        assert abs(parse_time(gap["to"]) - slept_us - 600_000_000) < 5_000_000

    virtually(run())


def test_waking_up_hurries_one_attempt_and_not_those_after_it(
    tmp_path: Path, sleep_for: Callable[[float], None]
) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, served(cloud, tmp_path) as logger:
            await back(cloud, 1)
            cloud.handshake_status = 503
            sleep_for(20)
            await logger.attempted(5)
            pauses = [after - before for before, after in itertools.pairwise(logger.attempts_s[1:])]
            assert min(pauses) >= 1

    virtually(run())


# Stopping


async def connected_well(cloud: Cloud, logger: Run) -> None:
    """Nothing is wrong."""


async def connected_to_the_dumb(cloud: Cloud, logger: Run) -> None:
    """The peer does not answer any more."""
    cloud.mute()


@pytest.mark.parametrize(
    "moment",
    [connected_well, connected_to_the_dumb, pausing, listing, shaking_hands],
    ids=lambda moment: moment.__name__,
)
def test_a_stop_takes_less_than_2_s_at_any_moment(
    tmp_path: Path, moment: Callable[[Cloud, Run], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, served(cloud, tmp_path) as logger:
            await back(cloud, 1)
            await emit(cloud)
            await moment(cloud, logger)
            began_s = loop_s()
            await logger.stop()
            assert loop_s() - began_s < 2
        verdict = compare(cloud.ledger.entries, tmp_path)
        assert verdict.ok, str(verdict)
        assert logger.summary().startswith("STOPPED ")

    virtually(run())


def test_a_stop_takes_less_than_2_s_when_not_even_a_goodbye_can_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer reads nothing and every buffer on the way is full of subscriptions."""

    def small_buffer(sock: Any) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def mute(connection: Connection) -> None:
        connection.mute()

    async def run() -> None:
        monkeypatch.setattr("eelogger.stream.make_impatient", small_buffer)
        async with Cloud(World.of(cameras=4_000)) as cloud:
            cloud.on_connect = mute
            async with bare(cloud) as logger:
                await cloud.wait_connected()
                await asyncio.sleep(1)
                connection = logger.stream.connection
                assert connection is not None
                assert connection.transport.get_write_buffer_size() > 32_768, "nothing more goes out"
                began_s = loop_s()
                await logger.stop()
                assert loop_s() - began_s < 2

    virtually(run())


HANGING_RESOLVER = """
import socket, sys, time
sys.path.insert(0, sys.argv.pop(1))

def hang(*args, **kwargs):
    print("asked", flush=True)
    time.sleep(30)

socket.getaddrinfo = hang
from eelogger.cli import main
sys.exit(main(sys.argv[1:], time.time()))
"""


async def test_a_stop_does_not_wait_for_a_resolver_that_hangs(tmp_path: Path) -> None:
    """Without a network names take half a minute to fail, in a thread that nobody can end."""
    credentials = {"EEN_BASE_URL": "https://cloud.example", "EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": TEST_KEY}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING_RESOLVER, str(ROOT), "--env-file", os.devnull),
        env=environment(None, tmp_path / "logs", credentials),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"asked\n"
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 5) == 0
    finally:
        if process.returncode is None:
            process.kill()
        _, stderr = await process.communicate()
    assert stderr == b""
