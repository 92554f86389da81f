"""The small cloud, judged by clients that are not ours: `websockets`, `aiohttp` and raw sockets.

Each scripted fault is proven to happen as a client sees it, and the comparison of ledger and logs is proven to pass on
right logs and to fail on each kind of damage. The logs come from a naive logger of a few lines in this file.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import contextlib
import email.utils
import itertools
import json
import re
import signal
import ssl
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import websockets
from hypothesis import given
from hypothesis import strategies as st

import eelogger.simulator
from eelogger.simulator import TEST_KEY, Cloud, Connection, Delays, Entry, World, compare, read_ledger
from eelogger.simulator.events import timestamp_text, timestamp_us
from eelogger.simulator.logdir import parse_logfmt
from eelogger.simulator.script import Beat, beats

EVENTS = ("ANNT", "ALRS")
LIST = "/g/device/list"


class Client:
    """A WebSocket client that keeps what it receives, each message with its arrival in microseconds."""

    def __init__(self, ws: websockets.ClientConnection, cloud: Cloud) -> None:
        self.ws = ws
        self.received: list[tuple[int, Any]] = []
        self._cloud = cloud
        self._more = asyncio.Condition()
        self._marks = itertools.count()

    async def collect(self) -> None:
        async for text in self.ws:
            arrived_us = time.time_ns() // 1000
            async with self._more:
                self.received.append((arrived_us, json.loads(text)))
                self._more.notify_all()

    async def wait_for(self, condition: Callable[[Any], bool]) -> Any:
        """The first message that fulfils the condition."""
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: any(condition(message) for _, message in self.received))
        return next(message for _, message in self.received if condition(message))

    async def settle(self) -> list[Any]:
        """All data messages of what the cloud has sent so far."""
        mark = {"mark": next(self._marks)}
        await self._cloud.send(mark)
        await self.wait_for(lambda message: message == mark)
        self.received = [item for item in self.received if item[1] != mark]
        return [message for _, message in self.received]

    async def ask(self, request: Any) -> None:
        await self.ws.send(request if isinstance(request, str | bytes) else json.dumps(request))

    async def subscribe(
        self, *camera_ids: str, resource: Iterable[str] = ("event",), event: Iterable[str] = EVENTS
    ) -> None:
        """Subscribe and wait until the initial state is here."""
        wish = {"resource": list(resource), "event": list(event)}
        await self.ask({"cameras": dict.fromkeys(camera_ids, wish)})
        await self._cloud.wait_until(lambda: any(live.ready >= set(camera_ids) for live in self._cloud.connections), 10)
        await self.settle()


def dial(cloud: Cloud, key: str | None = TEST_KEY, **options: Any) -> websockets.connect:
    headers = {} if key is None else {"Cookie": f"auth_key={key}"}
    return websockets.connect(
        cloud.events_url, additional_headers=headers, ping_interval=None, max_queue=None, close_timeout=1, **options
    )


@contextlib.asynccontextmanager
async def client_of(cloud: Cloud, *, key: str | None = TEST_KEY, **options: Any) -> AsyncIterator[Client]:
    async with dial(cloud, key, **options) as ws:
        client = Client(ws, cloud)
        collecting = asyncio.create_task(client.collect())
        try:
            yield client
        finally:
            await ws.close()
            with contextlib.suppress(websockets.ConnectionClosed):
                await collecting


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Cloud(World.of(cameras=3)) as cloud:
        cloud.initial_state = False
        yield cloud


@pytest.fixture
async def http(cloud: Cloud) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cloud.base_url, cookie_jar=jar) as session:
        yield session


def ids(cloud: Cloud) -> list[str]:
    return [camera.id for camera in cloud.world.cameras]


def values_in(messages: Iterable[Any]) -> list[tuple[str, str]]:
    return [
        (camera_id, four_cc)
        for message in messages
        for camera_id, data in message["data"].items()
        for four_cc in data.get("event", {})
    ]


# The world and its script


@given(st.integers(0, 2**40))
def test_timestamps_are_cut_never_rounded(ms_and_rest: int) -> None:
    us = 946_684_800_000_000 + ms_and_rest
    text = timestamp_text(us)
    assert re.fullmatch(r"\d{14}\.\d{3}", text)
    assert timestamp_us(text) == us - us % 1000


def test_same_seed_same_world_and_delays_another_seed_another() -> None:
    def plan(seed: int) -> tuple[World, list[Beat]]:
        world = World.of(cameras=20, rate=50, seed=seed)
        return world, list(itertools.islice(beats(world), 2000))

    assert plan(7) == plan(7)
    assert plan(7)[0].rows() == plan(7)[0].rows()
    assert plan(7)[1] != plan(8)[1]
    assert {camera.id for camera in plan(7)[0].cameras}.isdisjoint(camera.id for camera in plan(8)[0].cameras)


def test_rows_have_27_to_29_items_and_the_odd_ones_among_them() -> None:
    world = World.of(cameras=20)
    rows = world.rows()
    assert {len(row) for row in rows} == {27, 28, 29}
    assert all(re.fullmatch("[0-9a-f]{8}", row[1]) for row in rows)
    cameras = [row for row in rows if row[3] == "camera"]
    assert [row[1] for row in cameras if row[5] == "ATTD"] == [camera.id for camera in world.cameras]
    assert sorted((row[0], row[5]) for row in cameras if row[5] != "ATTD" and row[0]) == [("00012345", "IGND")]
    assert [row[1] for row in rows if row[0] is None] == [world.unattached_id]
    names = [row[2] for row in cameras]
    assert "" in names
    assert len(set(names)) < len(names)
    for bridge in (row for row in rows if row[3] == "bridge"):
        linked = {row[1] for row in cameras if [bridge[1], "ATTD"] in row[4]}
        assert linked == {esn for esn, _ in bridge[4]}
        assert len(linked) <= 8


def test_an_annotation_is_created_beats_and_ends() -> None:
    lives: dict[int, list[Beat]] = defaultdict(list)
    for beat in itertools.islice(beats(World.of(cameras=4, rate=20)), 8000):
        if beat.four_cc == "ANNT":
            lives[beat.life].append(beat)
    whole = [sorted(life, key=lambda beat: beat.seq) for life in lives.values() if {1, 5} <= {beat.op for beat in life}]
    assert len(whole) > 500
    for life in whole:
        assert [beat.op for beat in life] == [1, *[4] * (len(life) - 2), 5]
        assert {(beat.ns, beat.camera_id) for beat in life} == {(life[0].ns, life[0].camera_id)}
        happened = [beat.due_s - beat.delay_s for beat in life]
        assert all(0 < later - earlier <= 10 for earlier, later in itertools.pairwise(happened))


def test_the_rate_and_the_delays_come_out_as_asked() -> None:
    world = World.of(cameras=8, rate=100)
    played = list(itertools.takewhile(lambda beat: beat.due_s < 200, beats(world)))
    assert played == sorted(played, key=lambda beat: beat.due_s)
    assert len([beat for beat in played if beat.four_cc in EVENTS]) / 200 == pytest.approx(100, rel=0.05)
    delays = [beat.delay_s for beat in played]
    assert statistics.median(delays) == pytest.approx(world.bridges[0].delays.median_s, rel=0.03)
    assert sum(delay >= 5 for delay in delays) / len(delays) == pytest.approx(0.003, rel=0.5)
    assert max(delays) <= 20
    exact = World.of(cameras=2, rate=5, delays=Delays(1.5, sigma=0.0, outliers=0.0))
    assert {beat.delay_s for beat in itertools.islice(beats(exact), 100)} == {1.5}


def test_the_demo_shows_every_camera_and_the_tail_within_20_s() -> None:
    world = World.demo()
    assert (len(world.cameras), len(world.bridges)) == (12, 2)
    shown = [b for b in itertools.takewhile(lambda b: b.due_s < 19, beats(world)) if b.four_cc in EVENTS]
    assert {beat.camera_id for beat in shown} == {camera.id for camera in world.cameras}
    assert max(beat.delay_s for beat in shown) > 5


# REST


@pytest.mark.parametrize("cookie", ["auth_key", "videobank_sessionid"])
async def test_the_list_is_given_to_a_key_in_either_cookie(
    cloud: Cloud, http: aiohttp.ClientSession, cookie: str
) -> None:
    async with http.get(LIST, cookies={cookie: cloud.auth_key}) as answer:
        assert answer.status == 200
        assert await answer.json() == cloud.device_rows


async def test_the_list_is_refused_without_a_key_and_fails_with_a_slash(
    cloud: Cloud, http: aiohttp.ClientSession
) -> None:
    statuses = []
    for path, key in ((LIST, ""), (LIST, "c000~" + "1" * 32), (LIST + "?A=" + TEST_KEY, ""), (LIST + "/", TEST_KEY)):
        async with http.get(path, cookies={"auth_key": key}) as answer:
            statuses.append(answer.status)
    assert statuses == [401, 401, 401, 500]


async def test_isauth_follows_a_change_of_the_key(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    statuses = []
    for key in (TEST_KEY, "c000~" + "1" * 32):
        cloud.auth_key = key
        async with http.get("/g/aaa/isauth", cookies={"auth_key": TEST_KEY}) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 401]


async def test_every_answer_has_a_date_by_the_clouds_clock(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.date_offset_s = 3600.0
    dates = []
    before = int(time.time())
    for path in (LIST, "/nowhere", "/g/aaa/isauth"):
        async with http.get(path) as answer:
            dates.append(answer.headers["Date"])
    async with dial(cloud) as ws:
        assert ws.response is not None
        dates.append(ws.response.headers["Date"])
    offsets = [email.utils.parsedate_to_datetime(date).timestamp() - before for date in dates]
    assert all(3600 <= offset <= 3605 for offset in offsets)


async def test_rows_can_change_while_it_runs(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    first, second, _ = ids(cloud)
    cloud.add_camera("0badcafe", "New")
    cloud.remove_camera(first)
    cloud.rename_camera(second, "Old")
    async with http.get(LIST, cookies={"auth_key": TEST_KEY}) as answer:
        names = {row[1]: row[2] for row in await answer.json()}
    assert names["0badcafe"] == "New"
    assert names[second] == "Old"
    assert first not in names


async def test_scripted_faults_of_rest(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    http.cookie_jar.update_cookies({"auth_key": TEST_KEY})
    cloud.list_status, cloud.rest_headers = 503, {"Retry-After": "7"}
    async with http.get(LIST) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    cloud.list_status, cloud.list_body = None, "<html>no list</html>"
    async with http.get(LIST) as answer:
        assert (answer.status, await answer.text()) == (200, "<html>no list</html>")
    cloud.rest_status = {"/g/aaa/isauth": 429}
    async with http.get("/g/aaa/isauth") as answer:
        assert answer.status == 429
    cloud.redirect_to = "http://elsewhere.invalid"
    async with http.get(LIST, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "http://elsewhere.invalid" + LIST)
    cloud.redirect_to, cloud.delay_rest_s = None, 30.0
    with pytest.raises(TimeoutError):
        await http.get(LIST, timeout=aiohttp.ClientTimeout(total=0.05))
    assert len(cloud.called(LIST)) == 4


async def post(http: aiohttp.ClientSession, step: str, **fields: str) -> tuple[int, Any]:
    async with http.post(f"/g/aaa/{step}", json=fields) as answer:
        return answer.status, await answer.json() if answer.status == 200 else None


async def test_login_without_second_factor(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.api_key = "an-api-key"
    assert (await post(http, "authenticate", username=cloud.username, password=cloud.password))[0] == 401
    http.headers["Authentication"] = "an-api-key:"
    assert (await post(http, "authenticate", username=cloud.username, password="wrong"))[0] == 401
    assert (await post(http, "authenticate", username=cloud.username))[0] == 400
    status, answer = await post(http, "authenticate", username=cloud.username, password=cloud.password)
    assert (status, list(answer)) == (200, ["token"])
    status, user = await post(http, "authorize", token=answer["token"])
    assert (status, user["active_account_id"], user["active_brand_subdomain"]) == (200, cloud.account_id, "c000")
    async with http.get(LIST) as listed:
        assert listed.status == 200
    assert (await post(http, "authorize", token=answer["token"]))[0] == 401, "a token works once"


async def test_login_with_second_factor(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.second_factor = {"sms": "*** 779", "email": "***@x"}
    _, answer = await post(http, "authenticate", username=cloud.username, password=cloud.password)
    assert answer["two_factor_authentication_code"] == cloud.second_factor
    token = answer["token"]
    right = {"token": token, "two_factor_authentication_code": cloud.second_factor_code}
    assert (await post(http, "authorize", **right))[0] == 406, "no code has been sent yet"
    way = "two_factor_authentication_type"
    assert (await post(http, "two_factor_authenticate", token=token, **{way: "pigeon"}))[0] == 400
    assert (await post(http, "two_factor_authenticate", token=token, **{way: "email"}))[0] == 200
    assert cloud.codes_sent == ["email"]
    assert (await post(http, "authorize", token=token, two_factor_authentication_code="000000"))[0] == 406
    assert (await post(http, "authorize", **right))[0] == 200
    _, answer = await post(http, "authenticate", username=cloud.username, password=cloud.password)
    cloud.expire_tokens()
    assert (await post(http, "authorize", **(right | {"token": answer["token"]})))[0] == 401


# The event socket


async def test_a_subscription_starts_with_the_latest_value_of_each_kind_one_a_message(cloud: Cloud) -> None:
    cloud.initial_state = True
    old = [await cloud.emit(name, kind, delay_s=86_400.0) for name in ids(cloud) for kind in (*EVENTS, "EMES")]
    async with client_of(cloud) as client:
        await client.subscribe(*ids(cloud))
        messages = await client.settle()
        assert sorted(values_in(messages)) == sorted((name, kind) for name in ids(cloud) for kind in EVENTS)
        assert all(len(message["data"]) == 1 for message in messages)
        assert [next(iter(message["data"])) for message in messages][:3] == ids(cloud)
        assert messages[0]["data"][old[0].camera_id]["event"]["ANNT"] == old[0].body
    assert [(entry.initial, entry.first, entry.opening) for entry in cloud.ledger.entries] == [(True, True, True)] * 6
    async with client_of(cloud) as client:
        await client.subscribe(*ids(cloud))
    again = cloud.ledger.entries[6:]
    assert [(entry.initial, entry.first, entry.opening) for entry in again] == [(True, False, True)] * 6


async def test_an_emitted_event_reaches_who_subscribed_and_the_ledger(cloud: Cloud) -> None:
    first, second, _ = ids(cloud)
    async with client_of(cloud) as client:
        await client.subscribe(first)
        made = await cloud.emit(first, delay_s=1.5, ns=107, extra={"deep": [1]})
        await cloud.emit(second)
        await cloud.emit(first, "EMES")
        assert await client.settle() == [
            {"status_code": 200, "message": "OK", "data": {first: {"event": {"ANNT": made.body}}}}
        ]
    (entry,) = cloud.ledger.entries
    assert entry.event_us is not None
    assert entry.event_us % 1000 == 0
    assert 1_500_000 <= entry.send_us - entry.event_us < 1_502_000 + 50_000
    assert (entry.ns, entry.op, entry.first, entry.initial, entry.connection) == (107, 1, True, False, 1)
    assert (made.identity, made.event_us) == (entry.identity, entry.event_us)


async def test_heartbeats_are_repeats_and_event_ids_are_unsigned(cloud: Cloud) -> None:
    camera = ids(cloud)[0]
    async with client_of(cloud) as client:
        await client.subscribe(camera)
        made = await cloud.emit(camera)
        await cloud.emit(camera, uuid=made.body["uuid"], op=4)
        alert = await cloud.emit(camera, "ALRS", eventid=-2)
        bare = await cloud.emit(camera, omit=("uuid", "timestamp"))
    assert [entry.first for entry in cloud.ledger.entries] == [True, False, True, True]
    assert alert.identity == f"ALRS:{camera}:4294967294:{alert.body['timestamp']}"
    assert (bare.identity, bare.event_us) == ("", None)


async def test_events_delivered_together_share_a_message(cloud: Cloud) -> None:
    first, second, _ = ids(cloud)
    async with client_of(cloud) as client:
        await client.subscribe(first, second, resource=("event", "pre"))
        now = time.time_ns() // 1000
        from eelogger.simulator.events import make

        made = [make(first, "ANNT", now, {}), make(first, "ANNT", now, {}), make(second, "pre", now, {})]
        await cloud.deliver(made)
        (message,) = await client.settle()
    assert message["data"] == {first: {"event": {"ANNT": [made[0].body, made[1].body]}}, second: {"pre": made[2].body}}
    assert len(cloud.ledger.entries) == 3


async def test_subscriptions_merge_and_drop(cloud: Cloud) -> None:
    first, second, _ = ids(cloud)
    async with client_of(cloud) as client:
        await client.subscribe(first, event=["ANNT"])
        await client.subscribe(second)
        await client.subscribe(first, event=["EMES"])
        assert cloud.subscriptions[first].events == frozenset({"ANNT", "EMES"})
        await client.ask({"drop": {"cameras": [second, "ffffffff"]}})
        await cloud.wait_until(lambda: second not in cloud.subscriptions, 10)
        for kind in ("ANNT", "ALRS", "EMES"):
            await cloud.emit(first, kind)
        await cloud.emit(second)
        assert values_in(await client.settle()) == [(first, "ANNT"), (first, "EMES")]


async def test_preview_and_status_come_to_who_asked(cloud: Cloud) -> None:
    cloud.initial_state = True
    camera = ids(cloud)[0]
    async with client_of(cloud) as client:
        await client.subscribe(camera, resource=("pre", "status"), event=())
        await cloud.emit(camera, "pre", delay_s=0.25)
        await cloud.emit(camera)
        data = [message["data"][camera] for message in await client.settle()]
    assert [list(item) for item in data] == [["status"], ["pre"]]
    assert cloud.ledger.entries[1].identity == f"pre:{camera}:{data[1]['pre']}"


async def test_an_unknown_camera_is_an_error_of_that_camera_alone(cloud: Cloud) -> None:
    async with client_of(cloud) as client:
        wish = {"resource": ["event"], "event": ["ANNT"]}
        asked = ["deadbeef", cloud.world.ignored_id, ids(cloud)[0]]
        await client.ask({"cameras": dict.fromkeys(asked, wish)})
        await cloud.wait_subscribed(1)
        await cloud.emit(ids(cloud)[0])
        *errors, message = await client.settle()
        refused = {name: data["error"][0]["status_code"] for error in errors for name, data in error["data"].items()}
    assert refused == {"deadbeef": 404, cloud.world.ignored_id: 404}
    assert [error["status_code"] for error in errors] == [200, 200]
    assert values_in([message]) == [(ids(cloud)[0], "ANNT")]


@pytest.mark.parametrize(
    "request_text",
    [
        "no json",
        "[]",
        "{}",
        b"\x00",
        '{"cameras": []}',
        '{"drop": []}',
        '{"drop": {"cameras": "100e1e23"}}',
        '{"cameras": {"100e1e23": ["event"]}}',
        '{"cameras": {"100e1e23": {"event": ["ANNT"]}}}',
        '{"cameras": {"100e1e23": {"resource": []}}}',
        '{"cameras": {"100e1e23": {"resource": ["smell"]}}}',
        '{"cameras": {"100e1e23": {"resource": ["event"], "event": "ANNT"}}}',
    ],
)
async def test_a_malformed_request_is_answered_400_and_the_socket_stays(cloud: Cloud, request_text: Any) -> None:
    async with client_of(cloud) as client:
        await client.ask(request_text)
        error = await client.wait_for(lambda message: message.get("status_code") == 400)
        assert error["data"] == {}
        await client.subscribe(ids(cloud)[0])


@pytest.mark.parametrize("key", [None, "c000~" + "1" * 32])
async def test_a_handshake_proves_no_key(cloud: Cloud, key: str | None) -> None:
    async with client_of(cloud, key=key) as client:
        error = await client.wait_for(lambda message: message.get("status_code") == 401)
        assert error["data"] == {}
        await client.ask({"cameras": {ids(cloud)[0]: {"resource": ["event"]}}})
        await client.ws.ping()
        await cloud.wait_until(lambda: cloud.connections[0].pings == 1, 10)
    assert not cloud.subscriptions
    assert cloud.connects == 1


async def test_the_key_is_also_taken_from_the_query(cloud: Cloud) -> None:
    async with websockets.connect(f"{cloud.events_url}?A={TEST_KEY}") as ws:
        await ws.send(json.dumps({"cameras": {ids(cloud)[0]: {"resource": ["event"]}}}))
        await cloud.wait_subscribed(1)
        assert cloud.connections[0].path_qs.endswith(f"?A={TEST_KEY}")


# Faults


async def test_close_codes(cloud: Cloud) -> None:
    for code in (1000, 1001, 1009, 1011, 4000):
        async with client_of(cloud) as client:
            await cloud.wait_until(lambda: len(cloud.connections) == 1, 10)
            await cloud.close(code)
            await client.ws.wait_closed()
            assert client.ws.close_code == code
    await cloud.wait_disconnected()
    cloud.close_after_accept = 1013
    async with client_of(cloud) as client:
        await client.ws.wait_closed()
        assert client.ws.close_code == 1013


async def raw_upgrade(cloud: Cloud) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
    key = base64.b64encode(bytes(16)).decode()
    path = f"/api/v2/Device/{cloud.account_id}/Events"
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: auth_key={cloud.auth_key}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    await cloud.wait_connected()
    return reader, writer


async def test_abort_is_a_reset(cloud: Cloud) -> None:
    reader, writer = await raw_upgrade(cloud)
    cloud.abort()
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.close()
    await cloud.wait_disconnected()


async def test_raw_bytes_and_binary_reach_the_client_as_they_are(cloud: Cloud) -> None:
    reader, writer = await raw_upgrade(cloud)
    cloud.garbage(b"\x81\x7ehalf a frame")
    assert await reader.readexactly(14) == b"\x81\x7ehalf a frame"
    writer.close()
    async with client_of(cloud) as client:
        await cloud.wait_connected(2)
        cloud.garbage(b"HTTP/1.1 500 what?\r\n\r\n" * 20)
        await client.ws.wait_closed()
        assert client.ws.close_code == 1006
    async with dial(cloud) as ws:
        await cloud.wait_connected(3)
        assert await cloud.send_bytes(b"\x00\xff") == 1
        assert await ws.recv() == b"\x00\xff"


async def test_a_muted_peer_neither_reads_nor_sends_while_tcp_stays_up(cloud: Cloud) -> None:
    camera = ids(cloud)[0]
    async with client_of(cloud) as client:
        await client.subscribe(camera)
        cloud.mute()
        pong = await client.ws.ping()
        await cloud.emit(camera)
        assert await cloud.send({"lost": 1}) == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.1)
        assert cloud.connections[0].pings == 0
        cloud.unmute()
        await asyncio.wait_for(pong, 10)
        await cloud.emit(camera)
        assert len(values_in(await client.settle())) == 1
    assert len(cloud.ledger.entries) == 1


async def test_pings_are_answered_or_not(cloud: Cloud) -> None:
    async with client_of(cloud) as client:
        await asyncio.wait_for(await client.ws.ping(), 10)
        cloud.answer_pings = False
        pong = asyncio.ensure_future(await client.ws.ping())
        await client.ws.pong(b"unsolicited")
        await cloud.wait_until(lambda: cloud.connections[0].pongs == 1, 10)
        await client.settle()
        assert not pong.done()
        assert cloud.connections[0].pings == 2


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 460, 503])
async def test_handshakes_are_refused_with_any_status(cloud: Cloud, status: int) -> None:
    cloud.handshake_status, cloud.handshake_headers = status, {"Retry-After": "11"}
    with pytest.raises(websockets.InvalidStatus) as refused:
        await dial(cloud)
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["Retry-After"] == "11"
    assert (cloud.connects, len(cloud.calls)) == (0, 1)


async def test_down_is_refused_tcp_and_the_port_stays_the_same(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    async with http.get(LIST):
        pass
    async with client_of(cloud) as client:
        await cloud.wait_connected()
        await cloud.go_down()
        await client.ws.wait_closed()
        assert client.ws.close_code == 1006
    with pytest.raises(ConnectionRefusedError):
        await dial(cloud)
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(LIST)
    url = cloud.base_url
    await cloud.come_up()
    assert cloud.base_url == url
    async with client_of(cloud) as client:
        await client.subscribe(ids(cloud)[0])


async def test_the_hook_runs_before_anything_is_read(cloud: Cloud) -> None:
    async def greet(connection: Connection) -> None:
        await connection.send_text(f'{{"you are": {connection.number}}}')
        assert not connection.subscriptions

    cloud.on_connect = greet
    async with client_of(cloud) as client:
        await client.subscribe(ids(cloud)[0])
        assert await client.settle() == [{"you are": 1}]


async def test_tls() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with Cloud(World.of(cameras=1), ssl=server) as cloud:
        assert cloud.base_url.startswith("https://127.0.0.1:")
        async with client_of(cloud, ssl=client) as following:
            await following.subscribe(ids(cloud)[0])
            await cloud.emit(ids(cloud)[0])
            assert await following.settle()
            cloud.abort()
            await following.ws.wait_closed()


# Traffic, process, ledger


async def test_traffic_reaches_the_client_and_leaves_no_task() -> None:
    async with Cloud(World.of(cameras=8, rate=300, pre_per_s=10), traffic=True) as cloud, client_of(cloud) as client:
        await client.subscribe(*ids(cloud), resource=("event", "pre"))
        live = cloud.ledger.count
        async with asyncio.timeout(20):
            while cloud.ledger.count < live + 150:
                await client.ws.ping()
                await asyncio.sleep(0.01)
        received = [key for message in await client.settle() for key in naive_keys(message)]
        sent = cloud.ledger.entries
        assert len(received) >= live + 150
        assert received == [entry.key for entry in sent[: len(received)]]
        assert {entry.four_cc for entry in sent} == {"ANNT", "ALRS", "pre"}
        assert {entry.op for entry in sent if entry.four_cc == "ANNT"} == {1, 4, 5}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("end", ["stdin", "SIGTERM", "--seconds"])
async def test_as_a_process_of_its_own(tmp_path: Path, end: str) -> None:
    ledger = tmp_path / "ledger.jsonl"
    options = ["--rate", "200", "--cameras", "4", "--seed", "5", "--ledger", str(ledger), "--delay", "0.5"]
    options += {"stdin": ["--until-stdin-closes"], "--seconds": ["--seconds", "1"]}.get(end, [])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "eelogger.simulator", *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    told = json.loads(await child.stdout.readline())
    url = f"ws{told['base_url'].removeprefix('http')}/api/v2/Device/{told['account_id']}/Events"
    async with websockets.connect(url, additional_headers={"Cookie": f"auth_key={told['auth_key']}"}) as ws:
        wish = {"resource": ["event"], "event": ["ANNT"]}
        await ws.send(json.dumps({"cameras": {c.id: wish for c in World.of(cameras=4, seed=5).cameras}}))
        received = [json.loads(await ws.recv()) for _ in range(30)]
        assert len(read_ledger(ledger)) >= 29, "only the message just being sent may be missing"
        if end == "stdin":
            child.stdin.close()
        elif end == "SIGTERM":
            child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            received += [json.loads(text) async for text in ws]
        assert ws.close_code == 1001
    assert await asyncio.wait_for(child.wait(), 10) == 0
    entries = read_ledger(ledger)
    assert [(entry.camera_id, entry.four_cc) for entry in entries] == values_in(received)
    live = [entry for entry in entries if not entry.initial]
    assert all(entry.event_us and 500_000 <= entry.send_us - entry.event_us < 600_000 for entry in live)
    with ledger.open("a") as torn:
        torn.write('{"send_us": 1')
    assert read_ledger(ledger) == entries


# The judgement


def naive_logs(root: Path, received: Iterable[tuple[int, Any]], entries: Iterable[Entry]) -> None:
    """What a plain logger would write: the reference that `compare` must accept."""
    sent = {entry.key: entry for entry in reversed(list(entries))}
    logs: dict[Path, list[str]] = defaultdict(list)
    figures: dict[str, list[int]] = defaultdict(list)
    seen: set[str] = set()
    for arrived_us, message in received:
        for camera_id, data in message["data"].items():
            stream = root / "stream" / f"Front Door_{camera_id}_stream.log"
            logs[stream].append(f"{iso(arrived_us)}+00:00 -- {json.dumps(data)}")
            for four_cc, body in data.get("event", {}).items():
                entry = sent[naive_key(camera_id, four_cc, body)]
                if entry.identity and entry.identity not in seen:
                    seen.add(entry.identity)
                    logs[root / "processed_event_uuids.log"].append(entry.identity)
                    line = delay_line(arrived_us, entry, figures)
                    logs[root / f"Front Door_{camera_id}.log"].append(line)
    for path, lines in logs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))


def iso(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 10**6, UTC):%Y-%m-%dT%H:%M:%S}.{us % 10**6:06d}"


Key = tuple[str, str, str, int | None]


def naive_key(camera_id: str, four_cc: str, body: Any) -> Key:
    if four_cc == "pre":
        return camera_id, four_cc, f"pre:{camera_id}:{body}", timestamp_us(body)
    identity = body.get("uuid", "") if four_cc == "ANNT" else f"{four_cc}:{camera_id}:{body['eventid'] & 0xFFFFFFFF}"
    identity += "" if four_cc == "ANNT" else f":{body['timestamp']}"
    return camera_id, four_cc, identity, timestamp_us(body["timestamp"])


def naive_keys(message: Any) -> Iterator[Key]:
    for camera_id, data in message["data"].items():
        for four_cc, body in (data.get("event", {}) | ({"pre": data["pre"]} if "pre" in data else {})).items():
            yield naive_key(camera_id, four_cc, body)


def delay_line(arrived_us: int, entry: Entry, figures: dict[str, list[int]]) -> str:
    head = f"time={iso(arrived_us)}Z"
    ns = "" if entry.ns is None else f"ns={entry.ns} "
    tail = f'{ns}type={entry.four_cc} camera={entry.camera_id} bridge=""'
    if entry.event_us is None:
        return f"{head} verdict=undated {tail} uuid={entry.identity}"
    delay_us = arrived_us - entry.event_us
    tail += f" event_time={iso(entry.event_us)}Z uuid={entry.identity}"
    head += f" delay_s={delay_us / 1e6:.6f}"
    if delay_us < 0 or (entry.opening and entry.event_us < entry.opened_us):
        return f"{head} verdict={'early' if delay_us < 0 else 'initial'} {tail}"
    mine, group = figures[entry.camera_id], figures[f"{entry.camera_id} {entry.ns or entry.four_cc}"]
    mine.append(delay_us)
    group.append(delay_us)
    ranks = {p: sorted(mine)[-(-p * len(mine) // 100) - 1] / 1e6 for p in (50, 95, 99)}
    shown = " ".join(f"p{p}_s={value:.3f}" for p, value in ranks.items())
    shown += f" avg_s={statistics.fmean(mine) / 1e6:.3f} min_s={min(mine) / 1e6:.3f} max_s={max(mine) / 1e6:.3f}"
    shown += f" ns_n={len(group)} ns_avg_s={statistics.fmean(group) / 1e6:.3f}"
    return f"{head} verdict=measured n={len(mine)} {shown} {tail}"


@contextlib.contextmanager
def edited(path: Path) -> Iterator[list[str]]:
    lines = path.read_text().splitlines(keepends=True)
    yield lines
    path.write_text("".join(lines))


@pytest.fixture
async def sample(tmp_path: Path) -> tuple[list[Entry], Path]:
    """A ledger and right logs: every verdict, repeats, two kinds in a message, previews, an event without identity."""
    async with Cloud(World.of(cameras=2)) as cloud, client_of(cloud) as client:
        first, second = ids(cloud)
        cloud.latest.clear()
        await cloud.emit(first, delay_s=7200.0)
        await cloud.emit(second, "ALRS", delay_s=7200.0)
        await client.subscribe(first, second, resource=("event", "pre"))
        for number in range(6):
            made = await cloud.emit(first, delay_s=0.2 * number + 0.1, ns=101 + number % 2)
            await cloud.emit(second, "ALRS", delay_s=0.3)
            await cloud.emit(first, uuid=made.body["uuid"], op=4, ns=made.body["ns"])
            await cloud.emit(first, "pre", delay_s=0.2)
        await cloud.emit(first, delay_s=-5.0)
        await cloud.emit(first, timestamp="20261332000000.000")
        await cloud.emit(first, omit=("uuid",))
        await client.settle()
        naive_logs(tmp_path, client.received, cloud.ledger.entries)
        return cloud.ledger.entries, tmp_path


def test_right_logs_are_accepted(sample: tuple[list[Entry], Path]) -> None:
    entries, root = sample
    found = compare(entries, root)
    assert found.ok, str(found)
    assert (found.sent, found.arrived, found.logged) == (29, 29, 16)
    assert "no difference" in str(found)
    assert {entry.initial for entry in entries} == {True, False}


Damage = Callable[[list[str]], Any]


def in_line(number: int, pattern: str, replacement: str) -> Damage:
    def damage(lines: list[str]) -> None:
        changed = re.sub(pattern, replacement, lines[number], count=1)
        assert changed != lines[number], lines[number]
        lines[number] = changed

    return damage


def of_first(entries: list[Entry]) -> str:
    return next(entry.camera_id for entry in entries if not entry.initial)


STREAM, DELAY, UUIDS = "stream/Front Door_{}_stream.log", "Front Door_{}.log", "processed_event_uuids.log"
LATER = r"time=(\S+)\d\dZ"


@pytest.mark.parametrize(
    ("file", "damage", "kinds"),
    [
        (STREAM, lambda lines: lines.pop(3), {"missing_stream"}),
        (STREAM, lambda lines: lines.pop(0), {"missing_stream", "wrong_delay"}),
        (STREAM, lambda lines: lines.append(lines[-1]), {"twice"}),
        (STREAM, in_line(-1, "^20..", "2031"), {"wrong_delay"}),
        (STREAM, in_line(-1, "^20..", "2021"), {"wrong_delay"}),
        (STREAM, in_line(-1, "}$", ""), {"unreadable", "missing_stream"}),
        (STREAM, in_line(-1, r" -- \{.*\n", ' -- {"event": {"ANNT": {"uuid": "x"}}}\n'), {"unknown", "missing_stream"}),
        (STREAM, in_line(-1, r"\n$", ""), {"unreadable", "missing_stream"}),
        (DELAY, lambda lines: lines.pop(), {"missing_delay"}),
        (DELAY, lambda lines: lines.append(lines[-1]), {"twice"}),
        (DELAY, in_line(1, r"delay_s=0\.1", "delay_s=0.2"), {"wrong_delay", "wrong_figures"}),
        (DELAY, in_line(-1, "^", "delay_s=0.000000 "), {"wrong_delay"}),
        (DELAY, in_line(2, r"time=20..", "time=2031"), {"wrong_delay"}),
        (DELAY, in_line(2, r"event_time=20..", "event_time=2025"), {"wrong_delay"}),
        (DELAY, in_line(2, "verdict=measured", "verdict=initial"), {"wrong_verdict", "wrong_figures"}),
        (DELAY, in_line(-2, "verdict=early", "verdict=undated"), {"wrong_verdict"}),
        (DELAY, in_line(2, " n=2", " n=3"), {"wrong_figures"}),
        (DELAY, in_line(3, r" avg_s=0\.3", " avg_s=0.4"), {"wrong_figures"}),
        (DELAY, in_line(3, r" min_s=0\.1", " min_s=0.2"), {"wrong_figures"}),
        (DELAY, in_line(3, r" max_s=0\.5", " max_s=0.6"), {"wrong_figures"}),
        (DELAY, in_line(6, r" p95_s=1\.1", " p95_s=1.2"), {"wrong_figures"}),
        (DELAY, in_line(5, " ns_n=3", " ns_n=4"), {"wrong_figures"}),
        (DELAY, in_line(5, r" ns_avg_s=0\.5", " ns_avg_s=0.6"), {"wrong_figures"}),
        (DELAY, in_line(2, " ns=102", " ns=103"), {"wrong_fields", "wrong_figures"}),
        (DELAY, in_line(2, " camera=", " camera=f"), {"wrong_fields"}),
        (DELAY, in_line(-1, " uuid=.", " uuid=x"), {"unknown", "missing_delay"}),
        (DELAY, in_line(-1, "verdict=", 'verdict="'), {"unreadable", "missing_delay"}),
        (UUIDS, lambda lines: lines.pop(), {"missing_identity"}),
        (UUIDS, lambda lines: lines.append(lines[0]), {"twice"}),
        (UUIDS, lambda lines: lines.append("8d5e\n"), {"unknown"}),
    ],
)  # fmt: skip
def test_each_kind_of_damage_is_found(
    sample: tuple[list[Entry], Path], file: str, damage: Damage, kinds: set[str]
) -> None:
    entries, root = sample
    with edited(root / file.format(of_first(entries))) as lines:
        damage(lines)
    found = compare(entries, root)
    assert kinds <= found.findings.keys(), str(found)
    assert next(iter(found.findings)).replace("_", " ") in str(found)


def test_lateness_is_bounded(sample: tuple[list[Entry], Path]) -> None:
    entries, root = sample
    assert set(compare(entries, root, lateness_s=-1.0).findings) == {"wrong_delay"}


def test_days_are_read_too(sample: tuple[list[Entry], Path]) -> None:
    entries, root = sample
    day = root / "days" / "2026-11-21"
    day.mkdir(parents=True)
    (root / "stream").rename(day / "stream")
    for path in root.glob("Front Door_*.log"):
        path.rename(day / path.name)
    assert compare(entries, root).ok


def test_what_was_sent_in_an_excused_period_may_be_missing_or_there(sample: tuple[list[Entry], Path]) -> None:
    entries, root = sample
    always = [(0, entries[-1].send_us)]
    assert compare(entries, root, excused=always).ok
    for path in (root / "stream").iterdir():
        path.write_text("")
    for path in root.glob("*.log"):
        path.write_text("")
    assert compare(entries, root, excused=always).ok
    assert set(compare(entries, root).findings) == {"missing_stream", "missing_delay"}


async def test_after_an_excused_loss_the_repeat_may_be_the_first_sight(tmp_path: Path) -> None:
    async with Cloud(World.of(cameras=1)) as cloud, client_of(cloud) as client:
        (camera,) = ids(cloud)
        cloud.latest.clear()
        await cloud.emit(camera, delay_s=7200.0)
        await client.subscribe(camera)
        made = await cloud.emit(camera, delay_s=2.0)
        await cloud.emit(camera, uuid=made.body["uuid"], op=4, delay_s=0.5)
        await client.settle()
        initial, _, heartbeat = client.received
        naive_logs(tmp_path, [initial, heartbeat], cloud.ledger.entries)
    lost = cloud.ledger.entries[1].send_us
    assert compare(cloud.ledger.entries, tmp_path, excused=[(lost, lost)]).ok
    assert set(compare(cloud.ledger.entries, tmp_path).findings) == {"missing_stream", "wrong_delay"}


def test_what_is_not_measured_has_no_delay_line(sample: tuple[list[Entry], Path]) -> None:
    entries, root = sample
    found = compare(entries, root, measured=lambda entry: entry.ns != 102)
    assert {"unknown"} == set(found.findings)
    assert len(found.unknown) == 2 * 3


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a=1 b=x", {"a": "1", "b": "x"}),
        (r'a="x = \"y\"" b=""', {"a": 'x = "y"', "b": ""}),
        ("a=1 a=2", None),
        ("a=1  b=2", None),
        ("a", None),
        ('a="x', None),
        ('a="\t"', None),
    ],
)
def test_the_oracles_logfmt(line: str, fields: dict[str, str] | None) -> None:
    assert parse_logfmt(line) == fields


def test_nothing_else_of_eelogger_is_imported() -> None:
    for path in Path(eelogger.simulator.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not [name for name in names if name.split(".")[0] == "eelogger"], path
