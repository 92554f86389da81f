"""A real proxy in front of the cloud, with and without a password: REST and WebSocket both go through it."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from fault_cloud import FaultCloud
from launch import launch
from oracle import compare

from eelogger.simulator import Account

HOST = "cloud.example"
"""A name that only the proxy can find: nothing reaches the cloud by another way."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("tinyproxy") and shutil.which("unshare"))
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
        reason="needs tinyproxy and the right to mount",
    ),
]


@contextmanager
def tinyproxy(folder: Path, login: str = "") -> Iterator[tuple[int, Path]]:
    """A proxy on loopback with a hosts file of its own: its port and its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    log, hosts, conf = folder / "proxy.log", folder / "hosts", folder / "proxy.conf"
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
    auth = f"BasicAuth {login.replace(':', ' ')}\n" if login else ""
    conf.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 600\nAllow 127.0.0.1\n{auth}")
    command = f"mount --bind {hosts} /etc/hosts && exec tinyproxy -d -c {conf}"
    with open(log, "wb") as output:
        process = subprocess.Popen(["unshare", "--mount", "sh", "-c", command], stdout=output, stderr=output)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port, log
    finally:
        process.terminate()
        process.wait()


@contextmanager
def certificate(folder: Path) -> Iterator[tuple[ssl.SSLContext, Path]]:
    """A certificate for the cloud's name, and the CA that signed it."""
    authority, ca_file = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    yield context, ca_file


def through(port: int, login: str, cloud: FaultCloud, ca_file: Path) -> dict[str, str]:
    """The settings that reach the cloud through a proxy on this port."""
    return {
        "EEN_BASE_URL": f"https://{HOST}:{cloud.port}",
        "EEN_CA_FILE": os.fspath(ca_file),
        "HTTPS_PROXY": f"http://{login}{'@' if login else ''}127.0.0.1:{port}",
        "NO_PROXY": "",
    }


@pytest.mark.parametrize("login", ["", "ops:open-sesame"])
async def test_rest_and_events_come_through_the_proxy(log_dir: Path, tmp_path: Path, login: str) -> None:
    with tinyproxy(tmp_path, login) as (port, log), certificate(tmp_path) as (context, ca_file):
        async with FaultCloud(Account.of(cameras=3), ssl=context) as cloud:
            env = through(port, login, cloud, ca_file)
            async with launch(cloud, log_dir, env=env) as logger:
                await cloud.wait_subscribed(3)
                event = await cloud.emit(cloud.camera_ids()[0])
                await logger.wait_for("processed_event_uuids.log", event.identity)
                assert await logger.stop() == 0, logger.stderr
            assert compare(cloud.sent, log_dir).ok
    asked = log.read_text(errors="replace")
    assert asked.count(f"CONNECT {HOST}:{cloud.port}") == 2, asked
    if login:
        assert login.partition(":")[2] not in logger.stderr + (log_dir / "eelogger.log").read_text()


async def test_a_wrong_password_is_the_proxys_refusal_and_is_tried_again(log_dir: Path, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, "ops:open-sesame") as (port, _), certificate(tmp_path) as (context, ca_file):
        async with FaultCloud(Account.of(cameras=3), ssl=context) as cloud:
            env = through(port, "ops:wrong", cloud, ca_file)
            async with launch(cloud, log_dir, env=env) as logger:
                await logger.wait_for("eelogger.log", "roxy")
                assert await logger.stop() == 0
            assert not cloud.calls
    assert "HTTPS_PROXY" in logger.stderr
