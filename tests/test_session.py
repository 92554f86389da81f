"""The session: whatever ends or refuses a connection, it comes back, says why once, and locks no account.

Each fault is a row and is proven to have happened, by the reason of its gap. Sockets are real, time is virtual.
"""

import asyncio
import itertools
import json
import logging
import struct
import time
from collections.abc import Awaitable, Callable
from operator import methodcaller
from pathlib import Path
from unittest.mock import patch

import pytest
from fault_cloud import FaultCloud
from launch import credentials
from sessions import SessionRun, in_virtual_time, session_on, subscribed, under_way
from virtual import loop_s, virtually

from eelogger.cloud.cameras import CameraList, LoggedCameras
from eelogger.cloud.connection import StampedConnection
from eelogger.cloud.failures import pauses
from eelogger.errors import KeyRefused, LoginRefused
from eelogger.model import Camera, Timing
from eelogger.simulator import Account

NEW = "c000~" + "1" * 32
LIST, ISAUTH, AUTHENTICATE = "/g/device/list", "/g/aaa/isauth", "/g/aaa/authenticate"
SOON = Timing(refresh_s=20.0)
HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "eelogger")


def told(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def fleet(cameras: int) -> FaultCloud:
    return FaultCloud(Account.of(cameras=cameras))


async def refreshed(cloud: FaultCloud, times: int = 1) -> None:
    """Wait until the list was asked for so many times more, and what follows from it is done."""
    before = len(cloud.called(LIST))
    while len(cloud.called(LIST)) < before + times:
        await asyncio.sleep(1)
    await asyncio.sleep(1)


# A way in which an open connection ends, and the reason of the gap.
CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 4000)
ENDS: dict[str, tuple[Callable[[FaultCloud], object], str]] = {
    **{f"close {code}": (methodcaller("close", code), f"closed-{code}") for code in CODES},
    "RST": (FaultCloud.abort, "closed-1006"),
    "reserved bits and opcodes": (methodcaller("garbage", b"\xff" * 50), "failed-1002"),
    "a masked frame": (methodcaller("garbage", b"\x81\x82abcdxy"), "failed-1002"),
    "100 MiB announced": (methodcaller("garbage", b"\x81\x7f" + struct.pack("!Q", 100 << 20)), "failed-1009"),
    "silence, TCP up": (FaultCloud.mute, "no-pong"),
    "says 401, the key is good": (methodcaller("request_error", 401), "error-401"),
    "says 412, the key is good": (methodcaller("request_error", 412), "error-412"),
}


@in_virtual_time
@pytest.mark.parametrize("end", ENDS)
async def test_an_end_is_a_gap_and_nothing_is_lost(caplog: pytest.LogCaptureFixture, end: str) -> None:
    fault, reason = ENDS[end]
    async with under_way(3) as (cloud, session):
        await asyncio.sleep(6)  # a server that never answered a ping would not be missed
        for camera_id in cloud.camera_ids():
            await cloud.emit(camera_id)
        if isinstance(ending := fault(cloud), Awaitable):
            await ending
        began_s = loop_s()
        await subscribed(cloud, 3, connects=2)
        assert loop_s() - began_s < 15 + 1.6
        await asyncio.sleep(1)
        sent = len(cloud.sent)
        assert sum(session.sink.updates.values()) == sent
        assert session.sink.reasons == ["started", reason]
    assert len([line for line in told(caplog) if f"ended: {reason}" in line]) == 1
    assert len([line for line in told(caplog) if line.startswith("connected again after ")]) == 1


def refusing(status: int, **headers: str) -> dict[str, object]:
    return {"handshake_status": status, "handshake_headers": headers}


@in_virtual_time
@pytest.mark.parametrize(
    ("faults", "word", "at_least_s"),
    [
        *((refusing(code), f"status {code}", 0.0) for code in (404, 408, 429, 500, 503, 200, 302)),
        (refusing(403), "the key is good", 0.0),
        (refusing(429, **{"Retry-After": "90"}), "status 429", 90.0),
        (refusing(503, **{"retry-after": "70"}), "status 503", 70.0),
        ({"handshake_delay_s": 1000.0}, "in time", 15.0),
    ],
)
async def test_a_refused_attempt_is_tried_again(
    caplog: pytest.LogCaptureFixture, faults: dict[str, object], word: str, at_least_s: float
) -> None:
    async with fleet(2) as cloud:
        vars(cloud).update(faults)
        async with session_on(cloud) as session:
            await session.attempted(4)
            assert session.attempts_s[3] - session.attempts_s[2] >= at_least_s - 0.001
            cloud.handshake_status, cloud.handshake_delay_s = None, 0
            await subscribed(cloud, 2, cloud.connects + 1)
            assert session.sink.reasons == ["started"]
    warnings = told(caplog)
    assert len(warnings) == 2, "a series is one warning and one line of recovery"
    assert word in warnings[0]
    assert warnings[1].startswith("connected again after ")


@in_virtual_time
async def test_an_outage_soon_after_the_last_one_is_told_within_two_minutes(caplog: pytest.LogCaptureFixture) -> None:
    async with under_way(2) as (cloud, _):
        for until_s, number in ((3500, 2), (3900, 4)):  # short ones are told once an hour: the log is not to be filled
            while loop_s() < until_s:
                await cloud.close(1001)
                await subscribed(cloud, 2, cloud.connects + 1)
                await asyncio.sleep(30)
            assert len(told(caplog)) == number
        cloud.handshake_status = 503
        await cloud.close(1001)
        await asyncio.sleep(120)
        assert "status 503" in told(caplog)[4]
        await asyncio.sleep(600)
        cloud.handshake_status = None
        await subscribed(cloud, 2, cloud.connects + 1)
    assert len(told(caplog)) == 6
    assert float(told(caplog)[5].removeprefix("connected again after ").removesuffix(" s")) >= 720


@in_virtual_time
async def test_a_defect_does_not_end_the_run_and_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: StampedConnection) -> str:
        raise RuntimeError("auth_key=" + NEW)

    async with fleet(1) as cloud:
        with monkeypatch.context() as patched:
            patched.setattr(StampedConnection, "tls", property(broken))
            async with session_on(cloud) as session:
                await session.attempted(4)
                patched.undo()
                await subscribed(cloud, 1, cloud.connects + 1)
    assert told(caplog, logging.ERROR) == ["unexpected failure"]
    assert "in broken" in caplog.text, "the traceback is there"
    assert NEW not in caplog.text, "what the exception says is not"


LOOPS: dict[str, dict[str, object]] = {
    "accept, then 1000": {"close_after_accept": 1000},
    "handshake 503, Retry-After 0": refusing(503, **{"Retry-After": "0"}),
    "camera list 503": {"list_status": 503},
    "refused TCP": {},
}


@in_virtual_time
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_hopeless_server_is_asked_ever_more_rarely(caplog: pytest.LogCaptureFixture, loop: str) -> None:
    async with fleet(1) as cloud:
        vars(cloud).update(LOOPS[loop])
        if loop == "refused TCP":
            await cloud.go_down()
        async with session_on(cloud) as session:
            await session.attempted(13)
            await asyncio.sleep(5)
            assert session.session.state == "waiting to connect"
        first = session.attempts_s[0]
        assert sum(at - first < 60 for at in session.attempts_s) <= 8
        later = [at for at in session.attempts_s if at - first >= 60]
        assert len(later) >= 4
        assert all(after - before >= 60 - 0.001 for before, after in itertools.pairwise(later))
    assert len(told(caplog)) <= 2, "an hour of it is not an hour of warnings"


@in_virtual_time
@pytest.mark.parametrize(
    ("up_s", "is_quiet", "worked"), [(15, False, True), (14, False, False), (60, True, True), (59, True, False)]
)
async def test_what_worked_for_a_while_is_reconnected_at_once(up_s: int, is_quiet: bool, worked: bool) -> None:
    async with fleet(1) as cloud, session_on(cloud):
        for connects in range(1, 8):
            await subscribed(cloud, 1, connects)
            for _ in range(up_s):
                await asyncio.sleep(1)
                if not is_quiet:
                    await cloud.emit(cloud.camera_ids()[0])
            await cloud.close(1001)
        ended_s = loop_s()
        await subscribed(cloud, 1, 8)
        assert (loop_s() - ended_s < 2) == worked


def test_chance_spreads_those_that_lost_the_same_server() -> None:
    with patch("random.random", lambda: 0.0):
        assert [*itertools.islice(pauses(Timing()), 8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    with patch("random.random", lambda: 0.9):
        assert next(pauses(Timing())) == 1.45


# Keys


def write_env(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def without_key(cloud: FaultCloud) -> dict[str, str]:
    return {name: value for name, value in credentials(cloud).items() if name != "EEN_AUTH_KEY"}


def with_login(cloud: FaultCloud, **more: str) -> dict[str, str]:
    return without_key(cloud) | {"EEN_USERNAME": cloud.username, "EEN_PASSWORD": cloud.password} | more


@in_virtual_time
@pytest.mark.parametrize("noticed_at", ["the next attempt", "the refresh"])
async def test_a_pasted_key_needs_no_restart(tmp_path: Path, noticed_at: str) -> None:
    async with fleet(1) as cloud:
        env_file = write_env(tmp_path / ".env", f"EEN_AUTH_KEY={cloud.auth_key}\n")
        async with session_on(cloud, without_key(cloud), env_file=env_file) as session:
            await subscribed(cloud, 1)
            cloud.auth_key = NEW
            write_env(env_file, f"EEN_AUTH_KEY={NEW}\n")
            if noticed_at == "the next attempt":
                await cloud.close(1001)
            await subscribed(cloud, 1, 2)
            assert f"auth_key={NEW};" in cloud.connections[-1].headers["Cookie"]
            reason = "closed-1001" if noticed_at == "the next attempt" else "key-refused"
            assert session.sink.reasons == ["started", reason]
            assert all("A=" not in call.path_qs for call in cloud.calls), "a key in an address ends up in logs"


@in_virtual_time
async def test_broken_settings_are_told_once_and_the_old_ones_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fleet(1) as cloud:
        env_file = write_env(tmp_path / ".env", f"EEN_AUTH_KEY={cloud.auth_key}\n")
        async with session_on(cloud, without_key(cloud), env_file=env_file):
            await subscribed(cloud, 1)
            env_file.write_text("EEN_AUTH_KEY='half a line\n")
            for connects in (2, 3):
                await cloud.close(1001)
                await subscribed(cloud, 1, connects)
    assert len([line for line in told(caplog) if "going on with those read before" in line]) == 1


@in_virtual_time
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("isauth", [None, 401, 403, 503], ids=["key good", "isauth 401", "isauth 403", "isauth 503"])
@pytest.mark.parametrize("first", [True, False], ids=["at the start", "later"])
async def test_only_the_rest_side_can_find_the_key_of_a_handshake_refused(
    status: int, isauth: int | None, first: bool
) -> None:
    """But for a 401 at the very first: whose list is given and whose stream is refused, the account is another's."""
    async with fleet(1) as cloud:
        if first:
            cloud.handshake_status = status
        async with session_on(cloud) as session:
            if not first:
                await subscribed(cloud, 1)
                cloud.handshake_status = status
            if isauth is not None:
                cloud.rest_status[ISAUTH] = isauth
            cloud.abort()
            fatal = isauth in (401, 403) or (first and status == 401 and isauth is None)
            if fatal:
                with pytest.raises(KeyRefused):
                    await session.task
                return
            await session.attempted(3)
            cloud.handshake_status = None
            await subscribed(cloud, 1, cloud.connects + 1)


@in_virtual_time
@pytest.mark.parametrize("status", [401, 412])
async def test_what_the_stream_says_of_the_key_is_confirmed_by_the_list(status: int) -> None:
    async with under_way(1) as (cloud, session):
        before = len(cloud.called(LIST))
        for _ in range(50):
            await cloud.request_error(status)
        await subscribed(cloud, 1, 2)
        assert session.sink.reasons == ["started", f"error-{status}"], "a good key whose stream is useless"
        assert len(cloud.called(LIST)) == before + 2, "asked once, and once for the next connection"
        cloud.list_status = 503
        await cloud.request_error(status)
        await subscribed(cloud, 1, 3)
        assert session.sink.reasons[2:] == [f"error-{status}"], "a cloud that cannot tell is tried again"
        cloud.list_status, cloud.auth_key = None, NEW
        await cloud.request_error(status)
        with pytest.raises(KeyRefused):
            await session.task


@in_virtual_time
async def test_for_cameras_the_key_is_asked_about_once_a_connection_and_for_other_errors_never(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with under_way(3) as (cloud, session):
        for _ in range(20):
            await cloud.request_error(400)
        for camera_id in cloud.camera_ids():
            await cloud.camera_error(camera_id, 401)
            await asyncio.sleep(1)
        assert (len(cloud.called(LIST)), cloud.connects) == (2, 1)
        assert set(session.session.left) == set(cloud.camera_ids())
        await cloud.request_error(401)
        await subscribed(cloud, 3, 2)
        assert len(cloud.called(LIST)) == 4, "a camera's error does not hide the account's"
        assert not session.session.left
    assert len([line for line in told(caplog) if "reports 400" in line]) == 1


@in_virtual_time
async def test_a_login_brings_a_key_keeps_it_and_renews_it(caplog: pytest.LogCaptureFixture) -> None:
    async with fleet(1) as cloud, session_on(cloud, with_login(cloud, EEN_AUTH_KEY=NEW)) as session:
        await subscribed(cloud, 1)
        await cloud.close(1001)
        await subscribed(cloud, 1, 2)
        assert len(cloud.called(AUTHENTICATE)) == 1, "a key that is good is kept"
        assert NEW not in cloud.called(LIST)[-1].headers["Cookie"], "a refused key is not tried again"
        cloud.auth_key = "c000~" + "2" * 32
        await subscribed(cloud, 1, 3)
        assert len(cloud.called(AUTHENTICATE)) == 2
        assert session.sink.reasons == ["started", "closed-1001", "key-refused"]
    assert not [line for line in told(caplog) if "key-refused" in line], "a key that expires is no trouble yet"


def test_a_refused_login_waits_6_hours_across_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead_ns, time_ns = 0, time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + ahead_ns)

    async def run() -> None:
        nonlocal ahead_ns
        remembered = None
        async with fleet(1) as cloud:
            for hours, password, asks in (
                *((0, "wrong", True), (0, "wrong", False), (5.9, "wrong", False), (5.9, "also wrong", True)),
                *((6.1, "wrong", True), (-24, "wrong", True)),
            ):
                ahead_ns, calls = round(hours * HOUR_S * 1e9), len(cloud.called(AUTHENTICATE))
                refused = SessionRun(with_login(cloud, EEN_PASSWORD=password), remembered=remembered)
                with pytest.raises(LoginRefused, match="the login is refused"):  # for cron it is one trouble
                    await refused.task
                assert len(cloud.called(AUTHENTICATE)) - calls == asks
                remembered = remembered or refused.credentials.remembered
            good = SessionRun(with_login(cloud), remembered=remembered)
            await subscribed(cloud, 1)
            assert good.credentials.remembered is None, "forgotten once it worked"
            await good.stop()

    virtually(run())


# The camera list


@in_virtual_time
async def test_cameras_come_go_and_are_renamed_on_the_open_connection() -> None:
    async with under_way(6, timing=SOON) as (cloud, session):
        gone, renamed, *_ = cloud.camera_ids()
        cloud.remove_camera(gone)
        cloud.add_camera("100fffff", "Roof")
        cloud.rename_camera(renamed, "Side Door")
        await refreshed(cloud)
        assert cloud.subscriptions.keys() == {*cloud.camera_ids(), "100fffff"}, "who is new comes at once"
        assert session.sink.cameras[renamed].name == "Side Door"
        await refreshed(cloud)
        assert cloud.subscriptions.keys() == {*cloud.camera_ids()[1:], "100fffff"}
        assert session.sink.gone == [gone]
        assert cloud.connects == 1
        rows = list(cloud.rows)
        for _ in range(3):
            cloud.remove_camera("100fffff")
            await refreshed(cloud)
            cloud.rows[:] = rows
            await refreshed(cloud)
        assert session.sink.gone == [gone], "who returns is missed twice again before it leaves"
        cameras, bridges = session.listed[-1]
        assert (set(cameras), set(bridges)) == (set(cloud.subscriptions), {cloud.account.bridges[0].id})


@in_virtual_time
async def test_an_empty_list_is_believed_after_two_refreshes_and_by_no_reconnect() -> None:
    """A cloud that starts answers with an empty list for a while, and closes connections within seconds."""
    async with under_way(5) as (cloud, session):
        cloud.list_body = "[]"
        for connects in range(2, 7):
            await cloud.close(1012)
            await subscribed(cloud, 5, connects)
        await refreshed(cloud)
        await cloud.close(1012)
        await subscribed(cloud, 5, 7)
        await refreshed(cloud)
        assert cloud.subscriptions == {}
        assert not session.task.done(), "no camera ends a start, but no run"
        cloud.list_body = None
        await refreshed(cloud)
        assert len(cloud.subscriptions) == 5


@in_virtual_time
async def test_a_change_of_the_filters_counts_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The raw list is judged, and the filters are applied to it afresh: narrowing them is no shrinking list."""
    async with fleet(5) as cloud:
        ids = cloud.camera_ids()
        env_file = write_env(tmp_path / ".env", "EEN_CAMERAS=\n")
        async with session_on(cloud, env_file=env_file, timing=SOON) as session:
            await subscribed(cloud, 5)
            write_env(env_file, f"EEN_CAMERAS={ids[0]}\n")
            await refreshed(cloud)
            assert list(cloud.subscriptions) == ids[:1]
            write_env(env_file, "EEN_CAMERAS=\n")
            await cloud.close(1001)
            await subscribed(cloud, 5, 2)
            assert sorted(session.sink.gone) == sorted(ids[1:])


@in_virtual_time
async def test_a_list_that_cannot_be_had_harms_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with under_way(3, timing=SOON) as (cloud, _):
        cloud.list_status = 503
        await refreshed(cloud, 3)
        cloud.list_status = None
        for body in ("<html>", '{"a": 1}', '[{"id": "100e1e23"}]', '[["1", "x", "Door", "camera", [], "ATTD"], []]'):
            cloud.list_body = body
            await refreshed(cloud)
        assert cloud.connects == 1, "the stream works, and that is what counts"
        await cloud.close(1001)
        await subscribed(cloud, 3, 2)
        cloud.list_body = None
        await refreshed(cloud)
    assert len([line for line in told(caplog) if "cannot be fetched" in line]) == 1, "the same series"
    assert len([line for line in told(caplog) if "can be fetched again after" in line]) == 1


@in_virtual_time
@pytest.mark.parametrize("bridges", ["Site *", "Nowhere"])
async def test_a_start_without_a_list_goes_by_the_last_known_one_and_its_bridge_names(bridges: str) -> None:
    async with fleet(3) as cloud:
        bridge = cloud.account.bridges[0].id
        known = {camera_id: Camera(camera_id, "x", bridge) for camera_id in cloud.camera_ids()}
        cloud.list_status = 502
        environ = credentials(cloud) | {"EEN_BRIDGES": bridges}
        async with session_on(cloud, environ, known=CameraList(known, {bridge: "Site A"})) as session:
            if bridges == "Nowhere":
                await session.attempted(2)
                assert cloud.connects == 0
                return
            await subscribed(cloud, 3)
            assert session.listed == [(known, {bridge: "Site A"})]


@in_virtual_time
async def test_a_cameras_error_is_told_once_and_tried_again_at_each_refresh(caplog: pytest.LogCaptureFixture) -> None:
    async with fleet(2) as cloud, session_on(cloud, timing=SOON) as session:
        cloud.add_camera("100fffff", "Ghost")
        cloud.list_body = json.dumps(cloud.rows)
        cloud.remove_camera("100fffff")
        await subscribed(cloud, 2)
        await asyncio.sleep(1)
        assert list(session.session.left) == ["100fffff"]
        await refreshed(cloud, 2)
        await cloud.close(1001)
        await subscribed(cloud, 2, 2)
        await asyncio.sleep(1)
        assert session.sink.camera_gaps == [("100fffff", "error-404")] * 4, "two refreshes and a reconnect"
        cloud.add_camera("100fffff", "Ghost")
        await subscribed(cloud, 3)
        assert dict(session.session.left) == {}
    assert len([line for line in told(caplog) if "Ghost" in line]) == 1


@in_virtual_time
async def test_what_arrived_before_a_new_list_is_judged_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages wait for others a while, here a very long one: a new list must not overtake what is there."""
    async with under_way(6, timing=SOON) as (cloud, session):
        await refreshed(cloud)
        camera_id = cloud.camera_ids()[0]
        cloud.remove_camera(camera_id)
        await refreshed(cloud)
        with monkeypatch.context() as patched:
            patched.setattr("eelogger.cloud.stream.GATHER_S", 300.0)
            before = session.sink.updates[camera_id]
            await cloud.emit(camera_id)
            await refreshed(cloud)
            assert session.sink.gone == [camera_id]
            assert session.sink.updates[camera_id] == before + 1
        assert session.sink.unknown == []


@in_virtual_time
async def test_refreshes_are_spread_over_the_second() -> None:
    """Whole seconds of `Date` bound the clock best when met at different fractions of a second."""
    async with fleet(1) as cloud, session_on(cloud):
        await asyncio.sleep(12 * 300)
        pauses = [after.at_s - before.at_s for before, after in itertools.pairwise(cloud.called(LIST))]
    assert 300 <= min(pauses) < max(pauses) - 0.3 < 300.8


# Suspend, stop, cancellation


# What is wrong with the cloud at that moment, and how many attempts that takes.
MOMENTS: dict[str, tuple[dict[str, float], int]] = {
    "connected": ({}, 1), "connected to the dead": ({}, 1), "pausing": ({"handshake_status": 503}, 8),
    "listing": ({"delay_rest_s": 1000}, 2), "shaking hands": ({"handshake_delay_s": 1000}, 2),
}  # fmt: skip


@in_virtual_time
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("end", ["stop", "cancel", "wake up"])
async def test_a_stop_or_a_new_connection_is_quick_at_any_moment(moment: str, end: str) -> None:
    faults, attempts = MOMENTS[moment]
    async with under_way(1) as (cloud, session):
        await asyncio.sleep(3)
        before = {name: getattr(cloud, name) for name in faults}
        if moment == "connected to the dead":
            cloud.mute()
        elif faults:
            vars(cloud).update(faults)
            cloud.abort()
            await session.attempted(attempts)
            await asyncio.sleep(5)
            vars(cloud).update(before)
        connects, began_s = cloud.connects, loop_s()
        if end == "wake up":
            session.session.leave("suspend")
            await subscribed(cloud, 1, connects + 1)
            assert loop_s() - began_s < 5
            assert ("suspend" in session.sink.reasons) == moment.startswith("connected")
            return
        if end == "cancel":
            session.task.cancel()
        else:
            session.session.stop()
        await asyncio.wait([session.task])
        if moment == "connected":
            await cloud.wait_disconnected()
        assert loop_s() - began_s < 2
        assert session.task.cancelled() == (end == "cancel")


@in_virtual_time
async def test_waking_up_hurries_one_attempt_and_not_those_after_it() -> None:
    async with under_way(1) as (cloud, session):
        cloud.handshake_status = 503
        session.session.leave("suspend")
        await session.attempted(5)
        assert min(after - before for before, after in itertools.pairwise(session.attempts_s[1:])) >= 1


@in_virtual_time
async def test_a_defect_of_a_refresh_does_not_end_the_refreshes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them the key dies."""
    async with under_way(1, timing=SOON) as (cloud, _):
        with monkeypatch.context() as patched:
            patched.setattr(LoggedCameras, "take", None)
            await refreshed(cloud, 2)
        assert cloud.connects == 1
        await refreshed(cloud)
    assert told(caplog, logging.ERROR) == ["unexpected failure of a refresh"] * 2


@in_virtual_time
async def test_a_cancellation_is_not_swallowed_with_an_attempt_that_was_cut_short() -> None:
    async with fleet(1) as cloud:
        cloud.handshake_delay_s = 1000
        async with session_on(cloud) as session:
            await asyncio.sleep(3)
            session.session.leave("suspend")
            session.task.cancel()
            await asyncio.wait([session.task], timeout=5)
            assert session.task.cancelled()
