"""`check`: each fault its row and the exit code of a run; nothing is changed, nobody is disturbed."""

import asyncio
import json
import os
import re
import resource
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fault_cloud import FaultCloud
from launch import command, environment, launch

from eelogger.commands.check import check, report
from eelogger.commands.cloud_probe import Finding
from eelogger.simulator import Account

OK, WARNING, FAILED = "ok", "warning", "FAILED"
KEY = "c000~" + "0" * 31 + "7"


class Rows(dict[str, Finding]):
    """The findings by name."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__({finding.what: finding for finding in findings})
        self.text, self.code = report(findings)
        # What the kernel says of this machine's clock is not at stake here.
        self.troubles = {f.what: f.verdict for f in findings if f.verdict != OK and f.what != "clock service"}


Check = Callable[..., Awaitable[Rows]]


@pytest.fixture
def checked(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check with the settings of a cloud, and more without their EEN_, but none of this machine."""

    async def checked(cloud: FaultCloud | None = None, wait_s: float = 0.3, **more: str) -> Rows:
        named = {f"EEN_{name.upper()}": value for name, value in more.items()}
        monkeypatch.setattr(os, "environ", environment(cloud, None, named))
        return Rows(await asyncio.to_thread(check, Path(os.devnull), log_dir, wait_s=wait_s))

    return checked


@pytest.fixture
def cloud(cloud: FaultCloud) -> FaultCloud:
    cloud.initial_state = True
    return cloud


async def test_when_all_is_well_every_row_says_so(cloud: FaultCloud, log_dir: Path, checked: Check) -> None:
    rows = await checked(cloud, events="ANNT", cameras=cloud.camera_ids()[0])
    assert (rows.troubles, rows.code) == ({}, 0)
    assert [*rows] == [
        *("settings", "other loggers", "log directory", "clock service"),
        *("key", "cameras", "clock", "network", "event stream", "annotation list"),
    ]
    assert re.match(r"REST round trip 0\..*; no TLS \(loopback\); WebSocket ping 0\..*s$", rows["network"].result)
    assert rows["event stream"].result == "delivers: 1 event of 1 camera", "as a run subscribes"
    assert rows["annotation list"].result == "recorded annotations can be read", "as `audit` asks"
    await cloud.wait_disconnected()
    assert not log_dir.exists(), "not even made"


# What can be wrong with the cloud


@pytest.mark.parametrize(
    ("fault", "settings", "expected"),
    [
        ({"auth_key": KEY}, {"auth_key": "c000~" + "0" * 32}, (77, "key", FAILED)),
        ({}, {"cameras": "nothing*"}, (69, "cameras", FAILED)), ({"list_status": 503}, {}, (69, "cameras", FAILED)),
        ({}, {"base_url": "http://127.0.0.1:9"}, (69, "cameras", FAILED)),
        ({"redirect_to": "http://127.0.0.1:9"}, {}, (69, "cameras", FAILED)),
        ({"handshake_status": 503}, {}, (69, "event stream", FAILED)),
        ({}, {"account_id": "99999999"}, (69, "event stream", FAILED)),
        ({"initial_state": False, "close_after_accept": 1008}, {}, (69, "event stream", FAILED)),
        ({"initial_state": False}, {}, (0, "event stream", WARNING)),
        ({"list_body": json.dumps(Account.of(cameras=4).rows())}, {}, (0, "event stream", WARNING)),  # one is unknown
        ({"answer_pings": False}, {}, (0, "network", OK)),
        ({"rest_status": {"/annt/annt/list": 403}}, {}, (0, "annotation list", OK)),
        ({"date_offset_s": 7.0}, {}, (0, "clock", WARNING)), ({}, {"typo": "c000"}, (0, "settings", WARNING)),
    ],
)  # fmt: skip
async def test_a_fault_has_its_row_and_the_exit_code_of_a_run(
    cloud: FaultCloud, checked: Check, fault: dict[str, Any], settings: dict[str, str], expected: tuple[int, str, str]
) -> None:
    key, (_, what, verdict) = cloud.auth_key, expected
    vars(cloud).update(fault)
    rows = await checked(cloud, **{"auth_key": key} | settings)
    assert (rows.code, what, rows[what].verdict) == expected, rows
    assert rows.troubles == ({} if verdict == OK else {what: verdict})
    assert bool(rows[what].hints) or verdict == OK


async def test_the_bounds_of_the_clock_become_narrow(cloud: FaultCloud, checked: Check) -> None:
    cloud.date_offset_s = 0.4
    words = (await checked(cloud, wait_s=5))["clock"].result.split()
    offset_s, bound_s = (float(words[number]) for number in (3, 6))
    assert abs(offset_s - 0.4) <= bound_s <= 0.15


# Logging in


async def test_a_login_brings_the_key(cloud: FaultCloud, checked: Check) -> None:
    login = {"auth_key": "", "account_id": "", "username": cloud.username, "password": cloud.password}
    rows = await checked(cloud, **login)
    assert (rows.code, rows.troubles, rows["key"].result) == (0, {}, "accepted; a login brought it")
    rows = await checked(cloud, **login | {"auth_key": KEY})
    assert (rows.code, rows.troubles) == (0, {"key": WARNING})


async def test_a_refused_login_is_remembered_and_not_tried_again(
    cloud: FaultCloud, log_dir: Path, checked: Check
) -> None:
    """By the next check and by the next run, and the other way round: repeated failures lock an account."""
    login = {"auth_key": "", "username": cloud.username, "password": "wrong"}
    log_dir.mkdir()
    for _ in range(2):
        rows = await checked(cloud, **login)
        assert (rows.code, rows.troubles) == (77, {"key": FAILED})
    async with launch(cloud, log_dir, env={f"EEN_{name.upper()}": value for name, value in login.items()}) as logger:
        assert await logger.ended() == 77
    assert len(cloud.called("/g/aaa/authenticate")) == 1
    rows = await checked(cloud, **login | {"password": cloud.password})
    assert rows.code == 0, "another password is another attempt"


# This machine


async def test_a_running_logger_is_said_and_not_disturbed(cloud: FaultCloud, log_dir: Path, checked: Check) -> None:
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        rows = await checked(cloud)
        assert (rows.code, rows.troubles) == (75, {"other loggers": FAILED})
        assert f"process {logger.process.pid} " in rows["other loggers"].result
        assert rows.text.endswith("\nAnother logger already uses this directory (exit code 75).\n")
        login = {"auth_key": "", "username": cloud.username, "password": cloud.password}
        rows = await checked(cloud, **login)
        assert (rows.code, rows.troubles) == (75, {"other loggers": FAILED, "key": FAILED})
        assert not cloud.called("/g/aaa/authenticate")
        event = await cloud.emit(cloud.camera_ids()[0])
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert cloud.connects == 2, "the logger's connection stayed"
        assert await logger.stop() == 0
    files = sorted(path for path in log_dir.rglob("*") if path.is_file())
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    assert (await checked(cloud)).code == 0
    assert files == sorted(path for path in log_dir.rglob("*") if path.is_file())
    assert before == [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]


@pytest.mark.parametrize(
    ("log_dir", "file"),
    [
        ("logs", "logs"), ("logs/deep/logs", "logs"), ("logs", "logs/days"), ("logs", "logs/Yard_100e1e24.log"),
        ("x" * 256, "logs"),
    ],
)  # fmt: skip
def test_a_directory_that_cannot_be_written_ends_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_dir: str, file: str
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".log"))  # another user's
    monkeypatch.setenv("EEN_LOG_DIR", str(tmp_path / log_dir))
    finding = Rows(check(Path(os.devnull), None, wait_s=0.3))["log directory"]
    assert (finding.verdict, finding.exit_code, len(finding.hints)) == (FAILED, 74, 1), finding
    assert finding.result.startswith(f"{tmp_path / (file if file == 'logs/days' else log_dir)}: ")


async def test_a_disk_that_takes_nothing_ends_a_run_and_little_room_is_a_warning(
    log_dir: Path, monkeypatch: pytest.MonkeyPatch, checked: Check
) -> None:
    log_dir.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        finding = (await checked())["log directory"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (finding.verdict, finding.exit_code, os.listdir(log_dir)) == (FAILED, 74, [])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 10**8))
    finding = (await checked())["log directory"]
    assert (finding.verdict, "EEN_KEEP_DAYS" in finding.hints[0]) == (WARNING, True)


# The command


def test_settings_that_cannot_be_used_leave_the_rest_to_be_tested(log_dir: Path) -> None:
    code, out, err = command("check", "--log-dir", log_dir, env={"EEN_KEEP_DAYS": "many"})
    assert (code, err.count("\n"), out.splitlines()[-1][-15:]) == (78, 1, "(exit code 78).")
    assert "\nlog directory " in out
    names = re.findall(r"→ (EEN_\w+)", out)
    assert {"EEN_ACCOUNT_ID", "EEN_AUTH_KEY", "EEN_BRANDING", "EEN_KEEP_DAYS"} <= {*names}


async def test_ctrl_c_during_a_self_test_is_130(log_dir: Path) -> None:
    """Interrupted it must not count as sound."""
    async with launch(None, log_dir, "check", "--self-test") as process:
        await asyncio.sleep(1.5)
        assert await process.stop(signal.SIGINT) == 130, process.stderr
    assert "Traceback" not in process.stderr
