"""Keys: fresh for each attempt, doubted only by `isauth`, renewed by login, and no account is ever locked by us.

Real REST calls and sockets in virtual time; only the wall clock is moved, where a wait of hours is remembered.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from virtual import Bare, bare, credentials, loop_s, served, virtually

from eelogger.errors import KeyRefused, LoginRefused
from eelogger.reconnect.keys import FRESH_S
from eelogger.simulator import TEST_KEY, Cloud, World

OLD, NEW = TEST_KEY, "c000~" + "1" * 32
LIST, ISAUTH, AUTHENTICATE = "/g/device/list", "/g/aaa/isauth", "/g/aaa/authenticate"


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "eelogger")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told as a warning."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts the wall clock forward by so many seconds."""
    ahead_ns = 0
    time_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + ahead_ns)

    def put_forward(seconds: float) -> None:
        nonlocal ahead_ns
        ahead_ns += round(seconds * 1e9)

    return put_forward


def write_env(path: Path, key: str) -> Path:
    """A settings file with that key."""
    path.write_text(f"EEN_AUTH_KEY={key}\n")
    path.chmod(0o600)
    return path


def without_key(cloud: Cloud) -> dict[str, str]:
    """The settings but for the key, which is in the file."""
    return {name: value for name, value in credentials(cloud).items() if name != "EEN_AUTH_KEY"}


def with_login(cloud: Cloud, **more: str) -> dict[str, str]:
    """The settings with user name and password and without a key."""
    return without_key(cloud) | {"EEN_USERNAME": cloud.username, "EEN_PASSWORD": cloud.password} | more


async def subscribed(cloud: Cloud, connects: int) -> None:
    """Until there is a connection of that number and it is subscribed."""
    await cloud.wait_connected(connects, timeout_s=1000)
    await cloud.wait_until(lambda: [bool(live.ready) for live in cloud.connections][-1:] == [True], 10)


def says(status: int, camera_id: str = "") -> object:
    """A message that reports an error, of the account or of one camera."""
    if camera_id:
        return {"status_code": 200, "data": {camera_id: {"error": [{"status_code": status, "message": "no"}]}}}
    return {"status_code": status, "message": "no", "data": {}}


def key_of_last_handshake(cloud: Cloud) -> str:
    """The key with which the youngest connection came."""
    return SimpleCookie(cloud.connections[-1].headers["Cookie"])["auth_key"].value


# A key pasted into `.env`


def test_a_pasted_key_is_used_by_the_next_attempt(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            env_file = write_env(tmp_path / ".env", OLD)
            async with bare(cloud, without_key(cloud), env_file=env_file):
                await subscribed(cloud, 1)
                assert key_of_last_handshake(cloud) == OLD
                cloud.auth_key = NEW
                write_env(env_file, NEW)
                await cloud.close(1001)
                await subscribed(cloud, 2)
                assert key_of_last_handshake(cloud) == NEW
                assert all("A=" not in call.path_qs for call in cloud.calls), "a key in an address ends up in logs"

    virtually(run())


def test_a_key_pasted_before_the_old_one_is_refused_needs_no_restart(tmp_path: Path) -> None:
    """The usual order: sign in anew, which ends the old session, paste the key; the refresh finds the old one dead."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            env_file = write_env(tmp_path / ".env", OLD)
            async with bare(cloud, without_key(cloud), env_file=env_file) as logger:
                await subscribed(cloud, 1)
                cloud.auth_key = NEW
                write_env(env_file, NEW)
                await subscribed(cloud, 2)
                assert loop_s() > 300, "nobody noticed before the refresh"
                assert logger.disk.gaps == ["started", "key-refused"]
                assert key_of_last_handshake(cloud) == NEW

    virtually(run())


def test_without_another_key_a_refused_one_ends_the_run(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            env_file = write_env(tmp_path / ".env", OLD)
            async with bare(cloud, without_key(cloud), env_file=env_file) as logger:
                await subscribed(cloud, 1)
                cloud.auth_key = NEW
                with pytest.raises(KeyRefused) as caught:
                    await logger.task
        assert "paste a new EEN_AUTH_KEY" in caught.value.hint

    virtually(run())


def test_broken_settings_are_told_once_and_the_old_ones_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            env_file = write_env(tmp_path / ".env", OLD)
            async with bare(cloud, without_key(cloud), env_file=env_file):
                await subscribed(cloud, 1)
                env_file.write_text("EEN_AUTH_KEY='half a line\n")
                for connects in (2, 3):
                    await cloud.close(1001)
                    await subscribed(cloud, connects)
        assert len([line for line in warnings(caplog) if "going on with those read before" in line]) == 1

    virtually(run())


# Is it the key?


@pytest.mark.parametrize("status", [401, 412])
def test_a_good_key_outlives_what_the_stream_says(status: int) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud) as logger:
            await subscribed(cloud, 1)
            for _ in range(50):
                await cloud.send(says(status))
            await subscribed(cloud, 2)
            assert len(cloud.called(ISAUTH)) == 1
            assert logger.disk.gaps == ["started", f"error-{status}"]

    virtually(run())


@pytest.mark.parametrize("status", [401, 412])
def test_a_key_that_isauth_refuses_too_ends_the_run(status: int) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud) as logger:
            await subscribed(cloud, 1)
            cloud.auth_key = NEW
            await cloud.send(says(status))
            with pytest.raises(KeyRefused, match=str(status)):
                await logger.task
            assert len(cloud.called(ISAUTH)) == 1

    virtually(run())


@pytest.mark.parametrize("isauth", [500, 503, 429, 404])
def test_a_cloud_that_cannot_tell_is_tried_again(isauth: int) -> None:
    """In an outage everything may answer 401 for a while: only `isauth` can end a run of weeks."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud) as logger:
            await subscribed(cloud, 1)
            cloud.rest_status[ISAUTH] = isauth
            await cloud.send(says(401))
            await subscribed(cloud, 2)
            assert len(cloud.called(ISAUTH)) == 1
            assert logger.disk.gaps == ["started", "error-401"]

    virtually(run())


def test_for_cameras_isauth_is_asked_once_a_connection() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=3)) as cloud, bare(cloud) as logger:
            await subscribed(cloud, 1)
            cameras = [camera.id for camera in cloud.world.cameras]
            for camera_id in cameras:
                await cloud.send(says(401, camera_id))
                await asyncio.sleep(1)
            assert len(cloud.called(ISAUTH)) == 1
            assert cloud.connects == 1
            assert list(logger.roster.left) == cameras
            await cloud.close(1001)
            await subscribed(cloud, 2)
            await cloud.send(says(412, cameras[0]))
            await asyncio.sleep(1)
            assert len(cloud.called(ISAUTH)) == 2

    virtually(run())


def test_a_cameras_error_does_not_hide_the_accounts() -> None:
    """Who asks once and never again would sit on a deaf connection for ever."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud):
            await subscribed(cloud, 1)
            await cloud.send(says(401, cloud.world.cameras[0].id))
            await asyncio.sleep(1)
            await cloud.send(says(401))
            await subscribed(cloud, 2)

    virtually(run())


def test_a_cameras_error_ends_the_run_when_the_key_is_refused() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud) as logger:
            await subscribed(cloud, 1)
            cloud.auth_key = NEW
            await cloud.send(says(401, cloud.world.cameras[0].id))
            with pytest.raises(KeyRefused):
                await logger.task

    virtually(run())


def test_other_errors_leave_the_key_alone_and_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud):
            await subscribed(cloud, 1)
            for _ in range(20):
                await cloud.send(says(400))
            await asyncio.sleep(1)
            assert cloud.connects == 1
            assert cloud.called(ISAUTH) == []
        assert len([line for line in warnings(caplog) if "reports 400" in line]) == 1

    virtually(run())


# Login


def test_a_login_brings_a_key_and_renews_it() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud, with_login(cloud)) as logger:
            await subscribed(cloud, 1)
            await cloud.close(1001)
            await subscribed(cloud, 2)
            assert len(cloud.called(AUTHENTICATE)) == 1, "a key that is good is kept"
            cloud.auth_key = NEW
            await subscribed(cloud, 3)
            assert len(cloud.called(AUTHENTICATE)) == 2
            assert key_of_last_handshake(cloud) == NEW
            assert logger.disk.gaps == ["started", "closed-1001", "key-refused"]

    virtually(run())


def test_a_login_replaces_a_set_key_that_is_refused() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1), auth_key=NEW) as cloud:
            async with bare(cloud, with_login(cloud, EEN_AUTH_KEY=OLD)):
                await subscribed(cloud, 1)
                assert len(cloud.called(AUTHENTICATE)) == 1
                await cloud.close(1001)
                await subscribed(cloud, 2)
                assert OLD not in cloud.called(LIST)[-1].headers["Cookie"], "a refused key is not tried again"

    virtually(run())


def test_a_new_key_that_is_refused_at_once_ends_the_run() -> None:
    """Logging in again and again would not help, and might lock the account."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud, with_login(cloud)) as logger:
            cloud.list_status = 401
            with pytest.raises(KeyRefused):
                await logger.task
            assert len(cloud.called(AUTHENTICATE)) == 1
            assert loop_s() < FRESH_S

    virtually(run())


def test_a_login_service_that_is_down_is_tried_again_with_pauses() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud, bare(cloud, with_login(cloud)) as logger:
            cloud.rest_status[AUTHENTICATE] = 503
            while len(logger.attempts_s) < 5:
                await asyncio.sleep(1)
            assert logger.keys.remembered is None
            assert loop_s() > 10
            cloud.rest_status.clear()
            await subscribed(cloud, 1)

    virtually(run())


def test_a_refused_login_waits_across_restarts_and_ever_longer(tmp_path: Path, later: Callable[[float], None]) -> None:
    def state() -> dict[str, object]:
        login: dict[str, object] = json.loads((tmp_path / "logs" / ".state").read_text()).get("login", {})
        return login

    async def refused(cloud: Cloud, *, asks: bool, password: str = "wrong") -> LoginRefused:
        """A run whose login is refused, or not even tried."""
        before = len(cloud.called(AUTHENTICATE))
        async with served(cloud, tmp_path / "logs", with_login(cloud, EEN_PASSWORD=password, EEN_AUTH_KEY="")) as run:
            with pytest.raises(LoginRefused) as caught:
                await run.task
        assert len(cloud.called(AUTHENTICATE)) - before == asks
        assert caught.value.exit_code == 77
        assert " exit=77 " in run.summary().splitlines()[0]
        return caught.value

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            first = await refused(cloud, asks=True)
            waiting = await refused(cloud, asks=False)
            assert str(first) == str(waiting), "for cron it is one trouble"
            assert "next try is at" in waiting.hint
            later(14 * 60)
            await refused(cloud, asks=False)
            later(2 * 60)
            await refused(cloud, asks=True)
            assert state()["tries"] == 2
            later(29 * 60)
            await refused(cloud, asks=False)
            assert state()["tries"] == 2, "a run that does not ask does not count"
            later(2 * 60)
            await refused(cloud, asks=True)
            assert state()["tries"] == 3
            await refused(cloud, asks=True, password="wrong in another way")
            assert state()["tries"] == 1, "other settings start anew"
            async with served(cloud, tmp_path / "logs", with_login(cloud, EEN_AUTH_KEY="")) as logger:
                await subscribed(cloud, 1)
                await logger.stop()
            assert state() == {}, "forgotten once it worked"
            assert cloud.password not in (tmp_path / "logs" / ".state").read_text()

    virtually(run())


def test_a_second_factor_nobody_can_give_is_a_refused_login() -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            cloud.second_factor = {"sms": "*** 779"}
            logger = Bare(with_login(cloud))
            with pytest.raises(LoginRefused) as caught:
                await logger.task
            assert "second factor" in caught.value.hint
            assert logger.keys.remembered is not None
            assert logger.changes == 1, "and written down at once"
            assert cloud.codes_sent == []

    virtually(run())
