"""One run: its start, its days, its end, and what others do to its directory meanwhile."""

import asyncio
import errno
import os
import re
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from disks import until
from fault_cloud import FaultCloud
from inprocess import Shift, run_here
from launch import CHILD, credentials, launch
from oracle import compare, read_logs

from eelogger.clock import now_us
from eelogger.errors import AlreadyRunning, DiskError
from eelogger.model import Camera, Timing
from eelogger.simulator import Account
from eelogger.storage.camera_files import CameraFiles, cameras_text, read_cameras
from eelogger.storage.lock import DirectoryLock
from eelogger.storage.paths import LogPaths, day_of
from eelogger.storage.state import State, state_text

QUICK = Timing(tick_s=0.1, summary_s=0.3, metrics_s=0.2, disk_retry_s=0.1)


def to_midnight_s() -> float:
    """Seconds until the next midnight in UTC, by a clock that nobody shifts."""
    return 86_400 - time.clock_gettime(time.CLOCK_REALTIME) % 86_400


def contents(root: Path) -> dict[str, bytes]:
    """All files but the lock."""
    return {p.name: p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def days_of_lines(root: Path) -> dict[str, set[str]]:
    """The days of the arrivals in each folder's delay and stream logs."""
    folders = {"": root} | {path.name: path for path in sorted((root / "days").glob("*"))}
    files = {name: [*folder.glob("*_????????.log"), *folder.glob("stream/*")] for name, folder in folders.items()}
    texts = {name: "".join(path.read_text("utf-8") for path in paths) for name, paths in files.items()}
    return {name: set(re.findall("(?m)^(?:time=)?(.{10})T", text)) for name, text in texts.items()}


async def test_a_stop_while_the_day_is_read_changes_nothing(cloud: FaultCloud, log_dir: Path) -> None:
    camera, now = cloud.camera_ids()[0], now_us()
    paths = LogPaths(log_dir)
    log_dir.mkdir()
    today = day_of(now)
    line = (
        f"time={today}T00:00:01.361169Z delay_s=1.015169 verdict=initial event=Intrusion name=Yard ns=103 type=ANNT"
        f" camera={camera} bridge= event_time={today}T00:00:00.346000Z uuid=%08d op=1 seq=0\n"
    )
    paths.delay(f"Yard_{camera}").write_text("".join(line % number for number in range(600_000)))
    paths.state.write_text(state_text(State(today, now, now, True, now)))
    paths.cameras.write_text(cameras_text([Camera(camera, "Yard")]))
    before = contents(log_dir)
    async with launch(cloud, log_dir) as logger:
        await logger.wait_for(".lock", "pid")
        await asyncio.sleep(0.3)
        began = time.monotonic()
        assert await logger.stop() == 0
        assert time.monotonic() - began < 1
    assert contents(log_dir) == before
    assert "p95_s" not in logger.stdout
    assert not cloud.connections


async def test_a_directory_that_is_taken_by_another_gets_not_one_more_line(cloud: FaultCloud, log_dir: Path) -> None:
    async with run_here(cloud, log_dir, timing=QUICK) as here:
        await cloud.wait_subscribed(3)
        await until((log_dir / "summary.log").exists)
        shutil.rmtree(log_dir)
        with DirectoryLock(LogPaths(log_dir)):
            await cloud.emit(cloud.camera_ids()[0])
            with pytest.raises(AlreadyRunning):
                await asyncio.wait_for(asyncio.shield(here.task), 5)
            assert [path.name for path in log_dir.rglob("*")] == [".lock"]


async def test_what_others_remove_is_made_anew(cloud: FaultCloud, log_dir: Path) -> None:
    async with run_here(cloud, log_dir, timing=replace(QUICK, refresh_s=0.3)) as here:
        await cloud.wait_subscribed(3)
        await until((log_dir / "summary.log").exists)
        cameras = here.text("cameras.json")
        assert '"bridge_name"' in cameras
        (log_dir / "cameras.json").unlink()
        await until(lambda: here.text("cameras.json") == cameras)
        shutil.rmtree(log_dir)
        await until(lambda: all((log_dir / name).exists() for name in (".lock", ".state", "summary.log")))
        await until(lambda: here.text("cameras.json") == cameras)
        event = await cloud.emit(cloud.camera_ids()[0])
        await until(lambda: event.identity in here.text("processed_event_uuids.log"))


async def test_at_midnight_every_line_is_in_its_day(log_dir: Path, shift: Shift) -> None:
    """Both clocks, the cloud's and the logger's, come to midnight within seconds."""
    shift_s = to_midnight_s() - 5
    shift(shift_s)
    yesterday = day_of(now_us())
    async with FaultCloud(Account.of(cameras=5, rate=200, seed=9)) as cloud:
        async with launch(cloud, log_dir, env={"CHILD_SHIFT_S": str(shift_s)}, script=CHILD) as logger:
            await cloud.wait_subscribed(5)
            await until((log_dir / "days").exists)
            await asyncio.sleep(2)
            today = day_of(now_us())
            for folder, day in ((log_dir, today), (log_dir / "days" / yesterday, yesterday)):
                assert day in (folder / "summary.log").read_text("utf-8")
                assert day in (folder / "maxeventdelay.log").read_text("utf-8")
            assert "since 22:00 first" in (folder / "summary.log").read_text("utf-8"), "shown as at its end"
            assert await logger.stop() == 0, logger.stderr
        assert compare(cloud.sent, log_dir).ok
    assert today != yesterday
    assert days_of_lines(log_dir) == {"": {today}, yesterday: {yesterday}}


async def test_a_state_of_a_wrong_day_is_archived_under_its_date(cloud: FaultCloud, log_dir: Path) -> None:
    camera = cloud.account.cameras[0]
    paths, wrong = LogPaths(log_dir), "2093-01-02"
    log_dir.mkdir()
    wrong_us = int(datetime.fromisoformat(f"{wrong}T10:00:00+00:00").timestamp()) * 1_000_000
    paths.state.write_text(state_text(State(wrong, wrong_us, wrong_us, False, wrong_us)))
    paths.cameras.write_text(cameras_text([Camera(camera.id, camera.name or "")]))
    delay = paths.delay(paths.stem(camera.id, camera.name or ""))
    delay.write_text(f"time={wrong}T10:00:00.000000Z verdict=undated event=Intrusion uuid=u camera={camera.id}\n")
    async with run_here(cloud, log_dir, timing=QUICK) as here:
        await cloud.wait_subscribed(3)
        event = await cloud.emit(camera.id)
        await until(lambda: event.identity in here.text("processed_event_uuids.log"))
        assert here.parts.recorder.day == day_of(now_us())
    assert days_of_lines(log_dir) == {"": {day_of(now_us())}, wrong: {wrong}}
    assert list(read_cameras(paths.day(wrong))[0]) == [camera.id]


async def test_one_second_of_a_wrong_clock_costs_one_second(cloud: FaultCloud, log_dir: Path, shift: Shift) -> None:
    camera, today = cloud.camera_ids()[0], day_of(now_us())
    async with run_here(cloud, log_dir, timing=QUICK) as here:
        await cloud.wait_subscribed(3)
        for seconds in (0, 4 * 365 * 86_400, 0):
            shift(seconds)
            event = await cloud.emit(camera)
            await until(lambda: event.identity in here.text("processed_event_uuids.log"))  # noqa: B023
        assert here.parts.recorder.day == today
        recent = here.parts.recorder.handler.day.cameras[camera].recent(None, now_us())
        assert recent.n == 1
    days = days_of_lines(log_dir)
    assert days.pop("") == {today}
    assert days.pop(today) == {today}
    assert [{name} for name in days] == list(days.values())


async def test_lines_put_back_over_midnight_stay_in_their_day_over_a_restart(
    cloud: FaultCloud, log_dir: Path, shift: Shift
) -> None:
    camera, days = cloud.camera_ids()[0], set()
    for ahead_s in (1.0, -1800.0, -1790.0):
        shift(to_midnight_s() + ahead_s)
        async with run_here(cloud, log_dir, timing=QUICK) as here:
            await cloud.wait_subscribed(3)
            for _ in range(60):
                last = await cloud.emit(camera)
            await until(lambda: last.identity in here.text("processed_event_uuids.log"))  # noqa: B023
            days.add(here.parts.recorder.day)
        await cloud.wait_disconnected()
        (log,) = log_dir.glob(f"*_{camera}.log")
        os.utime(log, (time.time() - 3600, time.time() - 3600))
    assert len(days) == 1
    assert not (log_dir / "days").exists()
    assert len(log.read_text().splitlines()) == 180


def test_a_camera_that_left_the_list_keeps_name_and_bridge(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    line = "time=2026-11-22T10:00:00.000000Z verdict=undated event=Intrusion name=C:cam/1 type=ANNT camera=100e0001"
    paths.delay("C_cam_1_100e0001").write_text(f"{line} bridge=100bb001 uuid=u\n")
    paths.stream_dir.mkdir()
    paths.stream("Yard_100e0002").write_text("")
    cameras = CameraFiles(paths).known()
    assert cameras["100e0001"] == Camera("100e0001", "C:cam/1", "100bb001")
    assert cameras["100e0002"] == Camera("100e0002", "Yard")


async def test_a_renamed_camera_has_its_files_renamed(cloud: FaultCloud, log_dir: Path) -> None:
    camera = cloud.camera_ids()[0]
    async with run_here(cloud, log_dir, timing=Timing(tick_s=0.1, refresh_s=0.2)) as here:
        await cloud.wait_subscribed(3)
        first = await cloud.emit(camera)
        await until(lambda: first.identity in here.text("processed_event_uuids.log"))
        cloud.rename_camera(camera, "Gate: new / old")
        await until((log_dir / f"Gate_ new _ old_{camera}.log").exists)
        second = await cloud.emit(camera)
        await until(lambda: second.identity in here.text("processed_event_uuids.log"))
    (log,) = log_dir.glob(f"*_{camera}.log")
    assert all(event.identity in log.read_text() for event in (first, second))


async def test_file_names_are_utf_8_whatever_the_locale(log_dir: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    async with FaultCloud(Account.of(cameras=1)) as cloud:
        camera = cloud.camera_ids()[0]
        cloud.rename_camera(camera, "日本語")
        for _ in range(2):
            async with launch(cloud, log_dir, env=env) as logger:
                await cloud.wait_subscribed(1)
                event = await cloud.emit(camera)
                await logger.wait_for("processed_event_uuids.log", event.identity)
                assert await logger.stop() == 0, logger.stderr
            await cloud.wait_disconnected()
        assert f"日本語_{camera}.log" in os.listdir(log_dir)
        assert compare(cloud.sent, log_dir).ok
    assert len(read_logs(log_dir).delay_files) == 1


def test_the_names_for_scripts_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import eelogger

    stream = StringIO()
    monkeypatch.setenv("EEN_LOG_DIR", str(tmp_path))
    value: dict[str, Any] = {"uuid": "u1", "ns": 103, "timestamp": "20261121090718.000"}
    now = int(datetime(2026, 11, 21, 9, 7, 20, tzinfo=UTC).timestamp() * 1_000_000)
    (verdict,) = eelogger.log_event_data("100e1e23", {"event": {"ANNT": value}}, now, {"100e1e23": stream})
    assert (verdict.kind, verdict.delay_us) == ("measured", 2_000_000)
    assert eelogger.handle_event("100e1e23", {**value, "type": "ANNT"}, now).kind == "duplicate"
    eelogger.log_processed_event_uuid("u 1")
    assert (tmp_path / "processed_event_uuids.log").read_text() == '"u 1"\n'
    assert stream.getvalue().count("\n") == 1
    assert eelogger.sanitize_filename("a/b") == "a_b"
    assert callable(eelogger.get_cameraids)
    assert callable(eelogger.connect_and_log)


async def test_a_cameras_open_gap_is_on_record_after_a_stop(cloud: FaultCloud, log_dir: Path) -> None:
    camera = cloud.camera_ids()[0]
    async with run_here(cloud, log_dir, timing=QUICK) as here:
        await cloud.wait_subscribed(3)
        await cloud.camera_error(camera, 404)
        await until(lambda: bool(here.parts.session.left))
    (gap,) = [gap for gap in here.gaps() if gap.get("camera") == camera]
    assert gap["reason"] == "error-404"
    assert float(gap["seconds"]) > 0


async def test_a_camera_that_left_the_account_has_no_open_gap(cloud: FaultCloud, log_dir: Path) -> None:
    camera = cloud.camera_ids()[0]
    async with run_here(cloud, log_dir, timing=Timing(refresh_s=0.2)) as here:
        await cloud.wait_subscribed(3)
        cloud.remove_camera(camera)
        await cloud.camera_error(camera, 404)
        await until(lambda: camera not in here.parts.recorder.cameras)
        assert camera not in here.parts.recorder.coverage.blind


async def test_what_was_not_logged_before_a_connection_is_on_record(cloud: FaultCloud, log_dir: Path) -> None:
    """By the filter of the run before, or by the list: `audit` would call its events missing."""
    first, second, third = cloud.camera_ids()
    async with run_here(cloud, log_dir, {"EEN_CAMERAS": first}, timing=QUICK):
        await cloud.wait_subscribed(1)
    cloud.remove_camera(third)
    async with run_here(cloud, log_dir, timing=QUICK) as here:
        await cloud.wait_subscribed(2)
        cloud.add_camera(third, "Yard")
        for connects in (3, 4):
            await cloud.close(1001)
            await cloud.wait_connected(connects)
            await cloud.wait_subscribed(3)
    added = [(gap["camera"], gap["seconds"]) for gap in here.gaps() if gap["reason"] == "added"]
    assert added == [(second, "0.000000"), (third, "0.000000")]


async def test_a_disk_that_works_is_never_the_reason_of_lost_lines(cloud: FaultCloud, log_dir: Path) -> None:
    """More than the buffer holds, in one message and in many: what comes waits where it came from."""
    camera = cloud.camera_ids()[0]
    async with run_here(cloud, log_dir, {"EEN_DISK_BUFFER_BYTES": "1M"}, timing=QUICK) as here:
        await cloud.wait_subscribed(3)
        for size in (2_000_000, *[20_000] * 300):
            await cloud.emit(camera, mpack="x" * size)
        last = await cloud.emit(camera)
        await until(lambda: last.identity in here.text("processed_event_uuids.log"))
    assert compare(cloud.sent, log_dir).ok


async def test_a_stop_waits_for_a_disk_that_refuses_but_not_for_ever(
    cloud: FaultCloud, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *args: Any, real: Any = os.open) -> int:
        if path.endswith(".log"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return int(real(path, *args))

    async with run_here(cloud, log_dir, timing=replace(QUICK, disk_close_s=2.5)) as here:
        await cloud.wait_subscribed(3)
        await until((log_dir / "summary.log").exists)
        monkeypatch.setattr(os, "open", refuse)
        await cloud.emit(cloud.camera_ids()[0])
        await until(lambda: bool(here.parts.writer.trouble))
        began = time.monotonic()
        with pytest.raises(DiskError, match=r"^([3-9]|\d\d+) lines are lost: .*No space left") as caught:
            await here.stop()
        assert 2.4 < time.monotonic() - began < 3.2
    assert caught.value.exit_code == 74


async def test_a_broken_settings_file_leaves_the_last_good_settings_in_force(cloud: FaultCloud, tmp_path: Path) -> None:
    """Key and account stand nowhere but in that file."""
    env_file, log_dir, timing = tmp_path / "my.env", tmp_path / "logs", "first_retry_s=0.05 longest_retry_s=0.1"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in credentials(cloud).items()))
    async with launch(None, log_dir, env={"CHILD_TIMING": timing}, env_file=env_file, script=CHILD) as logger:
        for connects, text in enumerate(("EEN_KEEP_DAYS=many\n", "'"), start=1):
            await cloud.wait_connected(connects)
            env_file.write_text(text)
            await cloud.close(1001)
        await cloud.wait_connected(3)
        assert await logger.stop() == 0
    told = (log_dir / "eelogger.log").read_text()
    assert (told.count("going on with those read before"), "EEN_KEEP_DAYS is " in told) == (2, True), told
