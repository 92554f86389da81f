"""The camera list while running: what comes, goes, fails and is renamed, seen on disk and on the open connection.

In virtual time, with a refresh every 20 s instead of 300; the cloud's ledger judges that no event is lost by it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from virtual import Run, bare, loop_s, served, virtually

from eelogger.errors import NoCamera
from eelogger.model import CloudNotice
from eelogger.net import intake
from eelogger.reconnect.link import REFRESH_S
from eelogger.simulator import Cloud, World, compare
from eelogger.simulator.subscriptions import Request, parse_request
from eelogger.text.logfmt import parse

LIST = "/g/device/list"
NEW = "100fffff"
SOON_S = 20.0


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "eelogger")


async def subscribed(cloud: Cloud, cameras: int) -> None:
    """Until the youngest connection has so many cameras, with their initial state."""
    await cloud.wait_until(lambda: [len(live.ready) for live in cloud.connections][-1:] == [cameras], 1000)


async def refreshed(cloud: Cloud, times: int = 1) -> None:
    """Until the list was asked for so many times more, and what follows from it is done."""
    before = len(cloud.called(LIST))
    while len(cloud.called(LIST)) < before + times:
        await asyncio.sleep(1)
    await asyncio.sleep(1)


async def emit(cloud: Cloud, *camera_ids: str) -> None:
    """A few events of these cameras, or of all."""
    for camera_id in camera_ids or [camera.id for camera in cloud.world.cameras]:
        for _ in range(3):
            await cloud.emit(camera_id, delay_s=0.2)


def judge(cloud: Cloud, log_dir: Path) -> None:
    """The ledger's verdict."""
    verdict = compare(cloud.ledger.entries, log_dir)
    assert verdict.ok, str(verdict)


def changes(logger: Run) -> list[str]:
    """The log lines about a changed list, but for the first list of all."""
    return [line.removeprefix("the camera list changed: ") for line in logger.told("INFO") if "list changed" in line][
        1:
    ]


def test_cameras_come_and_go_on_the_open_connection(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=6)) as cloud, served(cloud, tmp_path, refresh_s=SOON_S) as logger:
            await subscribed(cloud, 6)
            await emit(cloud)
            gone = cloud.world.cameras[0].id
            cloud.remove_camera(gone)
            cloud.add_camera(NEW, "Roof")
            await refreshed(cloud)
            assert set(cloud.subscriptions) == {camera.id for camera in cloud.world.cameras[1:]} | {NEW}
            await emit(cloud, NEW)
            await emit(cloud)
            assert cloud.connects == 1
            await logger.stop()
        judge(cloud, tmp_path)
        assert changes(logger) == ["1 added, 1 gone, 0 renamed, 6 now"]
        assert (tmp_path / f"Roof_{NEW}.log").exists()
        assert [gap["reason"] for gap in logger.gaps() if gap.get("camera") == NEW] == ["added"]
        assert gone not in json.loads((tmp_path / "cameras.json").read_text())

    virtually(run())


@pytest.mark.parametrize("leaves", [True, False], ids=["one that leaves", "one subscribed again"])
def test_what_arrived_before_a_new_list_is_judged_before_it(
    leaves: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages wait for others a while, here a very long one: a new list must not overtake what is there."""

    async def run() -> None:
        async with Cloud(World.of(cameras=6)) as cloud, served(cloud, tmp_path, refresh_s=SOON_S) as logger:
            await subscribed(cloud, 6)
            handler = logger.service.instrument.handler
            camera = cloud.world.cameras[0].id
            await cloud.emit(camera, delay_s=0.2)  # the first one of its type, which may be the state before
            while camera not in handler.day.cameras or cloud.ledger.entries[-1].identity not in handler.dedup:
                await asyncio.sleep(0.1)
            before = handler.totals.copy()
            monkeypatch.setattr(intake, "GATHER_S", 10 * SOON_S)
            await cloud.emit(camera, delay_s=0.2)
            if leaves:
                cloud.remove_camera(camera)
            else:
                logger.service.instrument._roster.left[camera] = CloudNotice(camera, 404, "not found")
            await refreshed(cloud)
            assert handler.totals - before == {"measured": 1}
            await logger.stop()
        judge(cloud, tmp_path)

    virtually(run())


def test_a_renamed_camera_keeps_one_file(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud, served(cloud, tmp_path, refresh_s=SOON_S) as logger:
            await subscribed(cloud, 2)
            camera = cloud.world.cameras[0].id
            for name in ("Side Door", "../Back: Door"):
                await emit(cloud)
                cloud.rename_camera(camera, name)
                await refreshed(cloud)
            await emit(cloud)
            await logger.stop()
        judge(cloud, tmp_path)
        [delay_log] = tmp_path.glob(f"*_{camera}.log")
        [stream_log] = (tmp_path / "stream").glob(f"*_{camera}_stream.log")
        assert "Back" in delay_log.name
        assert "Back" in stream_log.name
        names = [parse(line)["name"] for line in delay_log.read_text().splitlines() if "verdict=measured" in line]
        assert names[-1] == "../Back: Door"
        assert len(set(names)) == 3, "each line has the name of its time"
        assert changes(logger) == ["0 added, 0 gone, 1 renamed, 2 now"] * 2

    virtually(run())


def test_a_list_that_shrinks_is_believed_when_two_refreshes_agree(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=10)) as cloud, served(cloud, tmp_path, refresh_s=SOON_S) as logger:
            await subscribed(cloud, 10)
            cloud.list_body = "[]"
            await refreshed(cloud)
            assert len(cloud.subscriptions) == 10, "doubted"
            cloud.list_body = None
            await refreshed(cloud)
            cloud.list_body = "[]"
            await refreshed(cloud)
            assert len(cloud.subscriptions) == 10, "one good list in between, and the doubt begins anew"
            cloud.list_body = None
            await refreshed(cloud)
            for camera in cloud.world.cameras[:5]:
                cloud.remove_camera(camera.id)
            await refreshed(cloud)
            assert len(cloud.subscriptions) == 10
            await emit(cloud)
            await refreshed(cloud)
            assert len(cloud.subscriptions) == 5, "believed"
            await logger.stop()
        judge(cloud, tmp_path)
        assert changes(logger) == ["0 added, 5 gone, 0 renamed, 5 now"]

    virtually(run())


def test_reconnects_do_not_agree_with_a_list_that_shrank(tmp_path: Path) -> None:
    """A cloud that starts answers with an empty list for a while, and closes connections within seconds."""

    async def run() -> None:
        async with Cloud(World.of(cameras=10)) as cloud, served(cloud, tmp_path, refresh_s=SOON_S) as logger:
            await subscribed(cloud, 10)
            cloud.list_body = "[]"
            for connects in range(2, 7):
                await cloud.close(1012)
                await cloud.wait_connected(connects, timeout_s=100)
                await subscribed(cloud, 10)
            cloud.list_body = None
            await refreshed(cloud)
            await emit(cloud)
            await logger.stop()
        judge(cloud, tmp_path)
        assert changes(logger) == []
        assert len([line for line in logger.told() if "shrank from 10 to 0" in line]) == 1

    virtually(run())


def test_a_list_that_cannot_be_had_harms_nothing_and_is_told_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=3)) as cloud, served(cloud, tmp_path, refresh_s=SOON_S) as logger:
            await subscribed(cloud, 3)
            cloud.list_status = 503
            await refreshed(cloud, 3)
            assert cloud.connects == 1, "the stream works, and that is what counts"
            await emit(cloud)
            for connects in (2, 3):
                await cloud.close(1001)
                await cloud.wait_connected(connects)
                await subscribed(cloud, 3)
                await emit(cloud)
            cloud.list_status = None
            await refreshed(cloud)
            await logger.stop()
        judge(cloud, tmp_path)
        assert len([line for line in logger.told() if "cannot be refreshed" in line]) == 1
        assert not [line for line in logger.told() if "cannot be fetched" in line], "the same series"
        assert len([line for line in logger.told() if "can be fetched again after" in line]) == 1
        assert changes(logger) == []

    virtually(run())


@pytest.mark.parametrize("body", ["<html>", '{"a": 1}', "nonsense", "null"])
def test_a_list_that_is_none_is_one_that_cannot_be_had(body: str) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud, bare(cloud):
            await subscribed(cloud, 2)
            cloud.list_body = body
            await refreshed(cloud)
            assert len(cloud.subscriptions) == 2
            assert cloud.connects == 1

    virtually(run())


def test_a_start_without_a_list_goes_by_the_last_runs(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=3)) as cloud:
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                await subscribed(cloud, 3)
                await logger.stop()
            await cloud.wait_disconnected()
            cloud.list_status = 502
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                await subscribed(cloud, 3)
                await emit(cloud)
                await logger.stop()
        judge(cloud, tmp_path)

    virtually(run())


def test_no_camera_ends_a_start_and_no_run(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud:
            cloud.list_body = "[]"
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                with pytest.raises(NoCamera) as caught:
                    await logger.task
            assert caught.value.exit_code == 69
            assert " exit=69 " in logger.summary().splitlines()[0]
            cloud.list_body = None
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                await subscribed(cloud, 2)
                cloud.list_body = "[]"
                await refreshed(cloud, 2)
                assert cloud.subscriptions == {}, "believed, and still there"
                cloud.list_body = None
                await refreshed(cloud)
                assert len(cloud.subscriptions) == 2
                await emit(cloud)
                await logger.stop()
        judge(cloud, tmp_path)
        assert changes(logger) == ["0 added, 2 gone, 0 renamed, 0 now", "2 added, 0 gone, 0 renamed, 2 now"]

    virtually(run())


# A camera with an error of its own


def with_a_ghost(cloud: Cloud) -> None:
    """The list has a camera that the event stream does not know."""
    cloud.add_camera(NEW, "Ghost")
    cloud.list_body = json.dumps(cloud.device_rows)
    cloud.remove_camera(NEW)


def ghost_lines(logger: Run) -> list[str]:
    """Warnings that name the camera."""
    return [line for line in logger.told() if "Ghost" in line]


def test_a_cameras_error_is_told_once_shown_and_tried_again_at_each_refresh(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud:
            with_a_ghost(cloud)
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                await subscribed(cloud, 2)
                await asyncio.sleep(6)
                assert "Ghost" in logger.summary()
                assert "Camera not found" in logger.summary()
                await refreshed(cloud, 2)
                await cloud.close(1001)
                await subscribed(cloud, 2)
                await refreshed(cloud)
                errors = [gap for gap in logger.gaps() if gap.get("camera") == NEW]
                assert len(errors) == 4, "three refreshes and a reconnect tried again, each ended a gap"
                assert {gap["reason"] for gap in errors} == {"error-404"}
                assert [line for line in ghost_lines(logger) if "left the session" in line] == ghost_lines(logger)
                assert len(ghost_lines(logger)) == 1
                cloud.add_camera(NEW, "Ghost")
                cloud.list_body = None
                await subscribed(cloud, 3)
                await emit(cloud, NEW)
                await refreshed(cloud, 2)
                assert ghost_lines(logger)[1:] == ["in the session again: 'Ghost'"]
                await emit(cloud)
                await asyncio.sleep(6)
                assert "Camera not found" not in logger.summary(), "no more"
                await logger.stop()
        judge(cloud, tmp_path)

    virtually(run())


def test_a_camera_that_is_gone_is_not_blind_for_ever(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=9)) as cloud:
            with_a_ghost(cloud)
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                await subscribed(cloud, 9)
                cloud.list_body = None
                await refreshed(cloud)
                before = len(logger.gaps())
                await cloud.close(1001)
                await subscribed(cloud, 9)
                await logger.stop()
        assert [gap.get("camera", "") for gap in logger.gaps()[before:]] == [""], "who is gone has no gap any more"

    virtually(run())


def test_a_cameras_error_counts_again_after_a_reconnect_without_a_list(tmp_path: Path) -> None:
    async def run() -> None:
        async with Cloud(World.of(cameras=2)) as cloud:
            with_a_ghost(cloud)
            async with served(cloud, tmp_path, refresh_s=SOON_S) as logger:
                await subscribed(cloud, 2)
                cloud.list_status = 503
                await cloud.close(1001)
                await cloud.wait_connected(2)
                await subscribed(cloud, 2)
                await asyncio.sleep(1)
                observed = logger.service.instrument.observation
                now_us = observed.since_us + 10**9
                assert observed.observed_share(now_us - 1, now_us, NEW) == 0, "nobody sees this camera"
                assert observed.observed_share(now_us - 1, now_us) == 1
                await logger.stop()

    virtually(run())


# How it is asked for


class Noted(deque[Any]):
    """The calls of a cloud, and when each came, in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.moments_s: list[float] = []

    def append(self, call: Any) -> None:
        """One more."""
        self.moments_s.append(loop_s())
        super().append(call)


def test_refreshes_are_spread_over_the_second() -> None:
    """Whole seconds of `Date` bound the clock best when met at different fractions of a second."""

    async def run() -> None:
        async with Cloud(World.of(cameras=1)) as cloud:
            cloud.calls = calls = Noted()
            async with bare(cloud):
                await asyncio.sleep(12 * REFRESH_S)
        listed = [at for at, call in zip(calls.moments_s, calls, strict=True) if call.path_qs == LIST]
        pauses = [after - before for before, after in pairwise(listed)]
        assert len(pauses) >= 11
        assert min(pauses) >= REFRESH_S
        assert max(pauses) < REFRESH_S + 1.1
        assert max(pauses) - min(pauses) > 0.3

    virtually(run())


def test_subscriptions_go_out_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(text: str, at_us: int) -> Request:
        request = parse_request(text, at_us)
        sizes.append(len(request.cameras))
        return request

    async def run() -> None:
        monkeypatch.setattr("eelogger.simulator.sockets.parse_request", counted)
        async with Cloud(World.of(cameras=1200)) as cloud, bare(cloud):
            await subscribed(cloud, 1200)
        assert sizes == [500, 500, 200]

    virtually(run())
