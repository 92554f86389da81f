"""`check`: each fault its row and the exit code of a run; nothing is changed, nobody is disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from disks import fill, needs_mounts, small_disk
from fault_cloud import FaultCloud, FaultConnection
from launch import command, credentials, launch

from eelogger.commands.check import check
from eelogger.commands.findings import FAILED, OK, WARNING, Finding, exit_code, report
from eelogger.simulator import Account
from eelogger.simulator.events import make

KEY = "c000~" + "0" * 31 + "7"


class Rows(dict[str, Finding]):
    """The findings by name."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__({finding.what: finding for finding in findings})
        self.code = exit_code(findings)
        # What the kernel says of this machine's clock is not at stake here.
        self.troubles = {f.what: f.verdict for f in findings if f.verdict != OK and f.what != "clock service"}


Check = Callable[..., Awaitable[Rows]]


@pytest.fixture
def checked(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check with the settings of a cloud, and more without their EEN_, but none of this machine."""
    for name in list(os.environ):
        if name.startswith("EEN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    async def checked(cloud: FaultCloud | None = None, wait_s: float = 0.3, **more: str) -> Rows:
        named = {f"EEN_{name.upper()}": value for name, value in more.items()}
        for name, value in ((credentials(cloud) if cloud else {}) | named).items():
            monkeypatch.setenv(name, value)
        return Rows(await check(Path(os.devnull), log_dir, wait_s=wait_s))

    return checked


@pytest.fixture
def cloud(cloud: FaultCloud) -> FaultCloud:
    cloud.initial_state = True
    return cloud


async def test_when_all_is_well_every_row_says_so(cloud: FaultCloud, log_dir: Path, checked: Check) -> None:
    asked: list[FaultConnection] = []

    async def remember(connection: FaultConnection) -> None:
        asked.append(connection)

    cloud.on_connect = remember
    first = cloud.camera_ids()[0]
    rows = await checked(cloud, events="ANNT", cameras=first)
    assert (rows.troubles, rows.code) == ({}, 0)
    assert [*rows] == [
        *("versions", "settings", "other loggers", "log directory", "clock service", "clock resolution"),
        *("key", "cameras", "clock", "network", "event stream", "annotation list"),
    ]
    for part in ("REST round trip 0.", "WebSocket ping 0.", "no TLS (loopback)"):
        assert part in rows["network"].result
    assert "delivers" in rows["event stream"].result
    wanted = [{camera: set(one[0] or ()) for camera, one in live.subscriptions.items()} for live in asked]
    assert wanted == [{first: {"ANNT"}}], "as a run subscribes"
    await cloud.wait_disconnected()
    assert not log_dir.exists(), "not even made"


# What can be wrong with the cloud


def unknown_camera(cloud: FaultCloud) -> None:
    cloud.list_body = json.dumps(cloud.rows)
    for camera_id in cloud.camera_ids()[1:]:
        cloud.remove_camera(camera_id)


def future_event(cloud: FaultCloud) -> None:
    camera = cloud.camera_ids()[0]
    cloud.latest[camera]["ANNT"] = make(camera, "ANNT", time.time_ns() // 1000 + 60_000_000, {"ns": 103})


@pytest.mark.parametrize(
    ("fault", "settings", "code", "what", "verdict"),
    [
        ({"auth_key": KEY}, {"auth_key": "c000~" + "0" * 32}, 77, "key", FAILED),
        ({}, {"cameras": "nothing*"}, 69, "cameras", FAILED),
        ({"list_status": 503}, {}, 69, "cameras", FAILED),
        ({}, {"base_url": "http://127.0.0.1:9"}, 69, "cameras", FAILED),
        ({"redirect_to": "http://127.0.0.1:9"}, {}, 69, "cameras", FAILED),
        ({"handshake_status": 503}, {}, 69, "event stream", FAILED),
        ({}, {"account_id": "99999999"}, 69, "event stream", FAILED),
        ({"initial_state": False, "close_after_accept": 1008}, {}, 69, "event stream", FAILED),
        ({"initial_state": False}, {}, 0, "event stream", WARNING),
        (unknown_camera, {}, 0, "event stream", WARNING),
        (future_event, {}, 0, "event stream", WARNING),
        ({"answer_pings": False}, {}, 0, "network", OK),
        ({"rest_status": {"/annt/annt/list": 403}}, {}, 0, "annotation list", OK),
        ({"date_offset_s": 7.0}, {}, 0, "clock", WARNING),
        ({}, {"typo": "c000"}, 0, "settings", WARNING),
    ],
)
async def test_a_fault_has_its_row_and_the_exit_code_of_a_run(
    cloud: FaultCloud,
    checked: Check,
    fault: dict[str, Any] | Callable[[FaultCloud], None],
    settings: dict[str, str],
    code: int,
    what: str,
    verdict: str,
) -> None:
    told = {"auth_key": cloud.auth_key} | settings
    if callable(fault):
        fault(cloud)
    else:
        vars(cloud).update(fault)
    rows = await checked(cloud, **told)
    assert (rows.code, rows[what].verdict) == (code, verdict), rows
    assert rows.troubles == ({} if verdict == OK else {what: verdict})
    assert bool(rows[what].hints) or verdict == OK


async def test_what_the_stream_says_is_counted(cloud: FaultCloud, checked: Check) -> None:
    unknown_camera(cloud)
    future_event(cloud)
    hints = (await checked(cloud))["event stream"].hints
    assert "2 cameras refused" in hints[0]
    assert "404" in hints[0]
    assert hints[1].startswith("1 of ")


async def test_a_dead_proxy_is_blamed(cloud: FaultCloud, checked: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    rows = await checked(cloud, base_url="https://cloud.invalid")
    assert (rows.code, [*rows][-1]) == (69, "cameras")
    assert "proxy" in rows["cameras"].result + " ".join(rows["cameras"].hints)


async def test_the_bounds_of_the_clock_become_narrow(cloud: FaultCloud, checked: Check) -> None:
    cloud.date_offset_s = 0.4
    words = (await checked(cloud, wait_s=5))["clock"].result.split()
    offset_s, bound_s = (float(words[number]) for number in (3, 6))
    assert abs(offset_s - 0.4) <= bound_s <= 0.15


async def test_tls_and_a_foreign_certificate(tmp_path: Path, checked: Check) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FaultCloud(Account.of(1), ssl=context) as cloud:
        rows = await checked(cloud, ca_file=str(tmp_path / "ca.pem"))
        assert (rows.code, "TLSv1.3" in rows["network"].result) == (0, True)
        rows = await checked(cloud, ca_file="")
        assert (rows.code, "certificate" in rows["key"].result) == (77, True)


# Logging in


async def test_a_login_brings_the_key(cloud: FaultCloud, checked: Check) -> None:
    login = {"auth_key": "", "account_id": "", "username": cloud.username, "password": cloud.password}
    rows = await checked(cloud, **login)
    assert (rows.code, rows["key"].result) == (0, "accepted; a login brought it")
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


def content_of(root: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[str(path)] = status.st_ino, status.st_mtime_ns, path.read_bytes()
    return found


async def test_a_running_logger_is_said_and_not_disturbed(cloud: FaultCloud, log_dir: Path, checked: Check) -> None:
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        rows = await checked(cloud)
        assert (rows.code, rows.troubles) == (75, {"other loggers": FAILED})
        assert f"process {logger.process.pid} " in rows["other loggers"].result
        assert list(report([*rows.values()]))[-1] == "Another logger already uses this directory (exit code 75)."
        login = {"auth_key": "", "username": cloud.username, "password": cloud.password}
        rows = await checked(cloud, **login)
        assert rows["key"].verdict == WARNING
        assert not cloud.called("/g/aaa/authenticate")
        event = await cloud.emit(cloud.camera_ids()[0])
        await logger.wait_for("processed_event_uuids.log", event.identity)
        assert cloud.connects == 2, "the logger's connection stayed"
        assert await logger.stop() == 0
    before = content_of(log_dir)
    assert (await checked(cloud, auth_key=cloud.auth_key)).code == 0
    assert content_of(log_dir) == before


async def test_settings_that_cannot_be_used_leave_the_rest_to_be_tested(checked: Check) -> None:
    rows = await checked(keep_days="many")
    assert (rows.code, rows.troubles) == (78, {"settings": FAILED})
    names = {hint.partition(" ")[0] for hint in rows["settings"].hints}
    assert {"EEN_ACCOUNT_ID", "EEN_AUTH_KEY", "EEN_BRANDING", "EEN_KEEP_DAYS"} <= names


def is_a_file(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    log_dir.rmdir()
    log_dir.write_text("")


def lies_in_a_file(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    is_a_file(monkeypatch, log_dir)
    monkeypatch.setenv("EEN_LOG_DIR", str(log_dir / "deep" / "logs"))


def belongs_to_others(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    (log_dir / "Yard_100e1e24.log").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".log"))


def days_is_a_file(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    (log_dir / "days").write_text("")


@pytest.mark.parametrize("harm", [is_a_file, lies_in_a_file, belongs_to_others, days_is_a_file])
async def test_a_directory_that_cannot_be_written_ends_a_run(
    log_dir: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    log_dir.mkdir()
    with monkeypatch.context() as patched:
        patched.setenv("EEN_LOG_DIR", str(log_dir))
        harm(patched, log_dir)
        finding = Rows(await check(Path(os.devnull), None, wait_s=0.3))["log directory"]
    assert (finding.verdict, finding.exit_code, len(finding.hints)) == (FAILED, 74, 1), finding


@needs_mounts
async def test_a_full_disk_ends_a_run(log_dir: Path, checked: Check) -> None:
    with small_disk(log_dir, 64):
        fill(log_dir)
        finding = (await checked())["log directory"]
        assert (finding.verdict, finding.exit_code, os.listdir(log_dir)) == (FAILED, 74, ["ballast"])


async def test_a_move_to_another_file_system_is_tried(log_dir: Path, tmp_path: Path, checked: Check) -> None:
    """`days` may be a link to another disk; the trial leaves nothing behind on either."""
    elsewhere = Path("/dev/shm") / f"eelogger-check-{os.getpid()}"
    if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    elsewhere.mkdir()
    log_dir.mkdir()
    (log_dir / "days").symlink_to(elsewhere)
    try:
        assert (await checked())["log directory"].verdict == OK
        assert (os.listdir(elsewhere), os.listdir(log_dir)) == ([], ["days"])
    finally:
        shutil.rmtree(elsewhere)


@pytest.mark.parametrize("what", ["bytes", "inodes"])
async def test_little_room_is_a_warning(
    log_dir: Path, monkeypatch: pytest.MonkeyPatch, what: str, checked: Check
) -> None:
    log_dir.mkdir()
    free, inodes = (10**8, 10**6) if what == "bytes" else (10**12, 9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, free))
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_files=10**6, f_favail=inodes))
    finding = (await checked())["log directory"]
    assert (finding.verdict, "inode" in finding.hints[0]) == (WARNING, what == "inodes")


# The command


async def test_the_command_prints_the_table_and_ends_with_the_code(cloud: FaultCloud, log_dir: Path) -> None:
    cloud.list_status = 503
    code, out, err = await asyncio.to_thread(command, "check", "--log-dir", log_dir, cloud=cloud)
    assert (code, err.count("\n")) == (69, 1)
    assert out.startswith("what ")
    assert out.splitlines()[-1].endswith("(exit code 69).")


def test_each_hint_stands_whole_below_its_finding() -> None:
    path = "/" + "x" * 200
    findings = [Finding("versions", "a " * 60), Finding("key", "refused", (f"chmod 600 {path}",))]
    lines = [line.split() for line in report(findings)]
    assert (lines[1][0], lines[1][-1], set(lines[2])) == ("versions", "ok", {"a"})
    assert lines[3:6] == [["key", "refused", "warning"], ["→", "chmod", "600"], [path]]


@pytest.mark.parametrize("arguments", [("check",), ("check", "--self-test")])
async def test_ctrl_c_is_130(cloud: FaultCloud, log_dir: Path, arguments: tuple[str, ...]) -> None:
    """With 0 `check && run` would go on, and an interrupted self-test would count as sound."""
    cloud.delay_rest_s = 30
    async with launch(cloud, log_dir, *arguments) as process:
        await asyncio.sleep(1.5)
        assert await process.stop(signal.SIGINT) == 130, process.stderr
    assert "Traceback" not in process.stderr
