"""`check`: each fault its row and the exit code of a run; nothing is changed, nobody is disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from running import ROOT, environment, line_in, running

from eelogger.clock import KernelClock
from eelogger.commands import check as check_module
from eelogger.commands import cloud_check, listening, selftest
from eelogger.commands.check import check
from eelogger.commands.findings import FAILED, OK, WARNING, Finding, exit_code, failed, report
from eelogger.commands.selftest import self_test
from eelogger.errors import CloudError, KeyRefused
from eelogger.figures.offset import Offset
from eelogger.paths import LogPaths
from eelogger.simulator import Cloud, World
from eelogger.simulator.events import make
from eelogger.text.tables import width

WAIT_S = 0.3
KEY = "c000~" + "0" * 31 + "7"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings and proxies of this machine, a clock that is right, and shorter waits."""
    for name in list(os.environ):
        if name.startswith("EEN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(check_module, "kernel_state", lambda: KernelClock(True, 30_000, 100))
    monkeypatch.setattr(cloud_check, "CLOCK_ANSWERS", 2)
    monkeypatch.setattr(listening, "PONG_S", 0.2)
    monkeypatch.setattr(listening, "SPREAD_S", 0.1)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Cloud(World.of(3)) as made:
        yield made


class Rows:
    """The findings by name."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.code = exit_code(findings)
        self.text = "\n".join(report(findings))

    def __getitem__(self, what: str) -> Finding:
        return next(finding for finding in self.findings if finding.what == what)

    @property
    def troubles(self) -> dict[str, str]:
        return {finding.what: finding.verdict for finding in self.findings if finding.verdict != OK}


async def checked(cloud: Cloud, log_dir: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> Rows:
    told = {"EEN_BASE_URL": cloud.base_url, "EEN_ACCOUNT_ID": cloud.account_id, "EEN_AUTH_KEY": cloud.auth_key}
    for name, value in (told | {f"EEN_{name.upper()}": value for name, value in more.items()}).items():
        monkeypatch.setenv(name, value)
    return Rows(await check(None, log_dir, wait_s=WAIT_S))


async def test_when_all_is_well_every_row_says_so(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await checked(cloud, tmp_path / "logs", monkeypatch)
    assert rows.troubles == {}
    assert rows.code == 0
    assert [finding.what for finding in rows.findings] == [
        *("versions", "settings", "other loggers", "log directory", "clock service", "clock resolution"),
        *("key", "cameras", "clock", "network", "event stream"),
    ]
    assert rows["settings"].result == "complete, from the environment; signs in by session key"
    assert rows["log directory"].result.startswith(f"{tmp_path}/logs (a run makes it): writable, ")
    assert rows["clock service"].result == "synchronised, error at most 0.030 s"
    assert rows["clock resolution"].result.endswith("; events that waited over 10 ms here carry lag_s=")
    assert rows["key"].result == "accepted"
    assert rows["cameras"].result == "3 cameras to log; skipped: 1 bridge, 2 not-attached"
    assert rows["clock"].result.startswith("cloud − local ")
    for part in ("REST round trip 0.", "WebSocket handshake 0.", "ping 0.", "no TLS (loopback)"):
        assert part in rows["network"].result
    assert rows["event stream"].result.startswith("delivers: first data 0.")
    assert rows.text.endswith("\n\nA run can start.")
    await cloud.wait_disconnected()


async def test_it_connects_once_and_subscribes_as_a_run_does(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def remember(connection: Any) -> None:
        asked.append(connection)

    cloud.on_connect = remember
    await checked(cloud, tmp_path, monkeypatch, events="ANNT", cameras=cloud.world.cameras[0].id)
    assert cloud.connects == 1
    subscriptions = asked[0].subscriptions
    assert list(subscriptions) == [cloud.world.cameras[0].id]
    assert subscriptions[cloud.world.cameras[0].id].events == {"ANNT"}


# What can be wrong with the cloud


def nothing(cloud: Cloud) -> None: ...


def another_key(cloud: Cloud) -> None:
    cloud.auth_key = KEY


def no_cameras(cloud: Cloud) -> None:
    cloud.device_rows.clear()


def list_fails(cloud: Cloud) -> None:
    cloud.list_status = 503


def list_refuses(cloud: Cloud) -> None:
    cloud.list_status = 403


def handshake_refuses(cloud: Cloud) -> None:
    cloud.handshake_status = 403


def handshake_busy(cloud: Cloud) -> None:
    cloud.handshake_status = 503


def isauth_fails(cloud: Cloud) -> None:
    cloud.rest_status = {"/g/aaa/isauth": 500}


def closes(cloud: Cloud) -> None:
    cloud.initial_state = False
    cloud.close_after_accept = 1008


def quiet(cloud: Cloud) -> None:
    cloud.initial_state = False


def no_pongs(cloud: Cloud) -> None:
    cloud.answer_pings = False


def clock_behind(cloud: Cloud) -> None:
    cloud.date_offset_s = 7.0


def unknown_camera(cloud: Cloud) -> None:
    cloud.latest.pop(cloud.world.cameras[0].id)
    for camera in cloud.world.cameras[1:]:
        cloud.remove_camera(camera.id)
    cloud.list_body = json.dumps(cloud.world.rows())


def future_event(cloud: Cloud) -> None:
    camera = cloud.world.cameras[0].id
    cloud.latest[camera]["ANNT"] = make(camera, "ANNT", time.time_ns() // 1000 + 60_000_000, {"ns": 103})


Fault = Callable[[Cloud], None]


@pytest.mark.parametrize(
    ("fault", "settings", "code", "what", "verdict", "said"),
    [
        (another_key, {"auth_key": "c000~" + "0" * 32}, 77, "key", FAILED, "does not accept the session key"),
        (no_cameras, {}, 69, "cameras", FAILED, "there is no camera to log"),
        (nothing, {"cameras": "nothing*"}, 69, "cameras", FAILED, "there is no camera to log"),
        (list_fails, {}, 69, "cameras", FAILED, "127.0.0.1 fails (status 503)"),
        (list_refuses, {}, 77, "cameras", FAILED, "127.0.0.1 does not accept the key (status 403)"),
        (handshake_refuses, {}, 77, "event stream", FAILED, "refuses the session key (HTTP 403)"),
        (handshake_busy, {}, 69, "event stream", FAILED, "the event stream answers HTTP 503"),
        (nothing, {"account_id": "99999999"}, 69, "event stream", FAILED, "answers 401 'Access denied' to the sub"),
        (closes, {}, 69, "event stream", FAILED, "the server ends it at once (closed-1008)"),
        (isauth_fails, {}, 0, "key", WARNING, "cannot be tested: 127.0.0.1 fails (status 500)"),
        (quiet, {}, 0, "event stream", WARNING, "subscribed to 3 cameras; nothing came within 0.3 s"),
        (unknown_camera, {}, 0, "event stream", WARNING, "subscribed to 3 cameras; nothing came"),
        (future_event, {}, 0, "event stream", WARNING, "delivers: first data 0."),
        (no_pongs, {}, 0, "network", OK, "the server does not answer pings"),
        (clock_behind, {}, 0, "clock", WARNING, "cloud − local "),
        (nothing, {"key": "c000"}, 0, "settings", WARNING, "complete, from the environment"),
    ],
)
async def test_a_fault_has_its_row_and_the_exit_code_of_a_run(
    cloud: Cloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    settings: dict[str, str],
    code: int,
    what: str,
    verdict: str,
    said: str,
) -> None:
    told = {"auth_key": cloud.auth_key} | settings
    fault(cloud)
    rows = await checked(cloud, tmp_path, monkeypatch, **told)
    assert rows.code == code, rows.text
    assert rows[what].verdict == verdict, rows.text
    assert said in rows[what].result
    assert bool(rows[what].hints) == (verdict != OK)
    assert rows.troubles == ({} if verdict == OK else {what: verdict})
    if code:
        assert rows.text.endswith(f"A run would not log anything now: {what} failed (exit code {code}).")


async def test_a_redirect_elsewhere_is_not_followed(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.redirect_to = "http://127.0.0.1:9"
    rows = await checked(cloud, tmp_path, monkeypatch)
    assert rows.code == 69
    assert rows.troubles == {"key": WARNING, "cameras": FAILED}
    assert "redirects to '127.0.0.1', which was not followed" in rows["cameras"].result


async def test_the_way_the_clock_is_off_is_said(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_behind(cloud)
    rows = await checked(cloud, tmp_path, monkeypatch)
    assert "behind" in rows["clock"].hints[0]
    assert "too short" in rows["clock"].hints[0]
    assert rows.text.endswith("A run can start; see the warnings.")


async def test_cameras_the_server_does_not_know_are_counted(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown_camera(cloud)
    rows = await checked(cloud, tmp_path, monkeypatch)
    assert rows["event stream"].hints[0].startswith("2 cameras refused, such as ")
    assert rows["event stream"].hints[0].endswith("404 'Camera not found'")


async def test_events_from_the_future_are_counted(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    future_event(cloud)
    rows = await checked(cloud, tmp_path, monkeypatch)
    dated = sum(four_cc in ("ANNT", "ALRS") for camera in cloud.world.cameras for four_cc in cloud.latest[camera.id])
    assert rows["event stream"].hints == (
        f"1 of {dated} dated events came before their own timestamp: a camera's clock, or this machine's, is wrong",
    )


async def test_a_cloud_that_is_not_there_is_nothing_to_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Cloud(World.of(1)) as gone:
        pass
    rows = await checked(gone, tmp_path, monkeypatch)
    assert rows.code == 69
    assert rows["key"].verdict == FAILED
    assert "cannot connect" in rows["key"].result
    assert rows.findings[-1].what == "key", "what cannot be tested is left out"


async def test_the_bounds_of_the_clock_become_narrow(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_check, "CLOCK_ANSWERS", 7)
    seen: list[Offset] = []
    finding = cloud_check._said_of_clock

    def remember(offset: Offset, answers: int, *, contradicted: bool) -> Finding:
        seen.append(offset)
        return finding(offset, answers, contradicted=contradicted)

    monkeypatch.setattr(cloud_check, "_said_of_clock", remember)
    cloud.date_offset_s = 0.4
    await checked(cloud, tmp_path, monkeypatch)
    assert len(seen) == 1
    assert abs(seen[0].offset_us - 400_000) <= seen[0].bound_us <= 100_000


async def test_tls_and_a_foreign_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Cloud(World.of(1), ssl=context) as cloud:
        rows = await checked(cloud, tmp_path, monkeypatch, ca_file=str(tmp_path / "ca.pem"))
        assert rows.code == 0
        assert "TLSv1.3" in rows["network"].result
        rows = await checked(cloud, tmp_path, monkeypatch, ca_file="")
        assert rows.code == 77
        assert "certificate" in rows["key"].result


# Logging in


async def test_a_login_brings_the_key(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"auth_key": "", "account_id": "", "username": cloud.username, "password": cloud.password}
    rows = await checked(cloud, tmp_path, monkeypatch, **login)
    assert rows.code == 0
    assert rows["key"].result == "accepted; a login brought it"
    rows = await checked(cloud, tmp_path, monkeypatch, **login | {"auth_key": KEY})
    assert rows.troubles == {"key": WARNING}
    assert rows["key"].result == "EEN_AUTH_KEY is refused; a login brought another key"
    rows = await checked(cloud, tmp_path, monkeypatch, **login | {"password": "wrong"})
    assert rows.code == 77
    assert rows["key"].result == "the login is refused"
    assert "127.0.0.1 refuses the login (status 401)" in rows["key"].hints[0]


async def test_a_login_that_was_refused_lately_is_not_repeated(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_dir = tmp_path / "logs"
    login = {"EEN_AUTH_KEY": "", "EEN_USERNAME": cloud.username, "EEN_PASSWORD": "wrong"}
    async with running(cloud, log_dir, env=login) as logger:
        assert await logger.ended() == 77
    tried = len(cloud.called("/g/aaa/authenticate"))
    rows = await checked(cloud, log_dir, monkeypatch, auth_key="", username=cloud.username, password="wrong")
    assert rows.code == 77
    assert "it was refused before" in rows["key"].hints[0]
    assert len(cloud.called("/g/aaa/authenticate")) == tried


# This machine


def content_of(root: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.stat()
        found[str(path)] = status.st_ino, status.st_mtime_ns, b"" if path.is_dir() else path.read_bytes()
    return found


async def test_nothing_in_the_log_directory_is_changed(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_dir = tmp_path / "logs"
    await checked(cloud, log_dir, monkeypatch)
    assert not log_dir.exists(), "not even made"
    async with running(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        await logger.stop()
    before = content_of(log_dir)
    rows = await checked(cloud, log_dir, monkeypatch)
    assert rows.code == 0, rows.text
    assert content_of(log_dir) == before


async def test_a_running_logger_is_said_and_not_disturbed(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_dir = tmp_path / "logs"
    async with running(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        rows = await checked(cloud, log_dir, monkeypatch)
        assert rows.code == 75
        assert rows.troubles == {"other loggers": FAILED}
        assert rows["other loggers"].result.startswith(f"process {logger.process.pid} is at work in this log directory")
        sent = await cloud.emit(cloud.world.cameras[0].id)
        await line_in(LogPaths(log_dir).uuids, sent.identity)
        assert cloud.connects == 2, "the logger's connection stayed"
        login = {"auth_key": "", "username": cloud.username, "password": cloud.password}
        rows = await checked(cloud, log_dir, monkeypatch, **login)
        assert rows["key"].verdict == WARNING
        assert rows["key"].result.startswith("not tested: it would take a login")
        assert not cloud.called("/g/aaa/authenticate")
        assert await logger.stop() == 0


async def test_settings_that_cannot_be_used_leave_the_rest_to_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EEN_KEEP_DAYS", "many")
    rows = Rows(await check(None, tmp_path / "logs", wait_s=WAIT_S))
    assert rows.code == 78
    assert rows.troubles == {"settings": FAILED}
    names = [hint.partition(" ")[0] for hint in rows["settings"].hints]
    assert sorted(names) == ["EEN_ACCOUNT_ID", "EEN_AUTH_KEY", "EEN_BRANDING", "EEN_KEEP_DAYS"]
    assert rows["log directory"].verdict == OK


def refuse_writing(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)


def is_a_file(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    log_dir.rmdir()
    log_dir.write_text("")


def lies_in_a_file(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    log_dir.rmdir()
    log_dir.parent.rmdir()
    log_dir.parent.write_text("")


def belongs_to_others(monkeypatch: pytest.MonkeyPatch, log_dir: Path) -> None:
    (log_dir / "Yard_100e1e24.log").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".log"))


@pytest.mark.parametrize(
    ("harm", "said", "hint"),
    [
        (refuse_writing, "no file can be written: No space left on device", "free some space"),
        (is_a_file, "logs is no directory", "log elsewhere"),
        (lies_in_a_file, "cannot be made in", "check its owner"),
        (belongs_to_others, "1 file cannot be written, Yard_100e1e24.log for one", "another user's"),
    ],
)
async def test_a_directory_that_cannot_be_written_ends_a_run(
    cloud: Cloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[pytest.MonkeyPatch, Path], None],
    said: str,
    hint: str,
) -> None:
    log_dir = tmp_path / "deep" / "logs"
    log_dir.mkdir(parents=True)
    harm(monkeypatch, log_dir)
    rows = await checked(cloud, log_dir, monkeypatch)
    assert rows.code == 74, rows.text
    assert said in rows["log directory"].result
    assert hint in rows["log directory"].hints[0]


async def test_little_space_and_a_clock_without_a_service_are_warnings(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_module, "LITTLE_BYTES", 1 << 62)
    monkeypatch.setattr(check_module, "kernel_state", lambda: KernelClock(False, 16_000_000, 16_000_000))
    monkeypatch.setattr(check_module, "resolution_us", lambda: 15_625)
    rows = await checked(cloud, tmp_path, monkeypatch)
    assert rows.code == 0
    assert rows.troubles == {"log directory": WARNING, "clock service": WARNING}
    assert rows["clock resolution"].result == "16 ms; events that waited over 31.25 ms here carry lag_s="
    monkeypatch.setattr(check_module, "kernel_state", lambda: None)
    rows = await checked(cloud, tmp_path, monkeypatch)
    assert rows["clock service"].verdict == OK


# How it is shown


def test_the_table_has_a_hint_under_each_problem() -> None:
    findings = [
        Finding("settings", "complete"),
        Finding("clock", "off by " + "very " * 20 + "much", WARNING, ("set it right", "and keep it so")),
        failed("key", KeyRefused("refused", "log in")),
        failed("cameras", CloudError("gone", "")),
    ]
    lines = list(report(findings))
    assert exit_code(findings) == 77
    assert len({line.index(finding.verdict) for line, finding in zip(lines[1:3], findings[:2], strict=True)}) == 1
    assert [re.sub(" {2,}", "  ", line) for line in lines] == [
        "what  result  verdict",
        "settings  complete  ok",
        "clock  off by very very very very very very very very very very very very very very  warning",
        "  very very very very very very much",
        "  → set it right",
        "  → and keep it so",
        "key  refused  FAILED",
        "  → log in",
        "cameras  gone  FAILED",
        "",
        "A run would not log anything now: key failed (exit code 77).",
    ]
    assert max(map(width, lines)) <= 104
    assert exit_code(findings[3:]) == 69
    assert exit_code(findings[:2]) == 0


# The commands


async def command(*arguments: str, **more: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "app.py", "check", *arguments),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("EEN_")} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_prints_the_table_and_ends_with_the_code(cloud: Cloud, tmp_path: Path) -> None:
    env_file = tmp_path / "my.env"
    env_file.touch(0o600)
    where = ["--env-file", str(env_file), "--log-dir", str(tmp_path / "logs")]
    code, out, err = await command(*where, **environment(cloud, tmp_path / "logs"))
    assert code == 0, out
    assert out.startswith("what ")
    assert "A run can start" in out
    assert err == "checking; this takes some seconds\n"
    code, out, err = await command(*where)
    assert code == 78
    assert "EEN_AUTH_KEY is not set" in out
    assert "Traceback" not in err


def rows_of(lines: list[str]) -> dict[str, list[str]]:
    """Truth and measurement by what they are of."""
    return {line.rsplit(None, 2)[0]: line.split()[-2:] for line in lines[1:13]}


async def test_the_self_test_shows_truth_beside_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EEN_KEEP_DAYS", "settings do not matter")
    sound, lines = await self_test(1.5)
    assert sound, "\n".join(lines)
    rows = rows_of(lines)
    assert rows["values sent and arrived"][0] == rows["values sent and arrived"][1]
    assert int(rows["verdict measured"][0]) > 30
    assert rows["verdict early"] == rows["verdict undated"] == ["5", "5"]
    assert rows["verdict initial"][0] == rows["verdict initial"][1]
    for name in ("p50", "p95", "p99", "max"):
        truth, measured = map(float, rows[f"delay {name}, s"])
        assert truth == pytest.approx(measured, abs=0.2)
    assert any(line.startswith("Sound: ") for line in lines)


async def test_the_self_test_sees_an_instrument_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = selftest._judge

    def lose_one(cloud: Cloud, log_dir: Path) -> selftest.Outcome:
        path = next(path for path in sorted(log_dir.glob("*_????????.log")) if path.stat().st_size)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
        return judge(cloud, log_dir)

    monkeypatch.setattr(selftest, "_judge", lose_one)
    sound, lines = await self_test(0.5)
    assert not sound
    assert "NOT sound: what was logged is not what was sent." in lines
    assert any(line.startswith("missing delay: ") for line in lines), "\n".join(lines)


async def test_a_self_test_whose_logger_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_LOGGER", "raise SystemExit(3)  # {root}")
    sound, lines = await self_test(0.5)
    assert not sound
    assert lines == ["The self-test could not be done: the logger ended with exit code 3"]
    monkeypatch.setattr(selftest, "_LOGGER", "import time; time.sleep(30)  # {root}")
    monkeypatch.setattr(selftest, "START_S", 0.2)
    sound, lines = await self_test(0.5)
    assert lines == ["The self-test could not be done: the logger did not connect or end in time"]


@pytest.mark.slow
async def test_the_command_of_the_self_test() -> None:
    code, out, err = await command("--self-test", EEN_KEEP_DAYS="settings do not matter")
    assert code == 0, out + err
    assert "\nSound: " in out
    assert "Traceback" not in err
