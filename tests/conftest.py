"""Fixtures for all tests; property tests are judged by what they find, not by how busy the machine is."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fault_cloud import FaultCloud
from hypothesis import HealthCheck, settings

from eelogger.simulator import Account

settings.register_profile("eelogger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("eelogger")


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """A log directory that does not exist yet."""
    return tmp_path / "logs"


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put the wall clock ahead by so many seconds, from now on."""
    real_ns, ahead_ns = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + ahead_ns[0])
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)

    def put(seconds: float) -> None:
        ahead_ns[0] = round(seconds * 1e9)

    return put


@pytest.fixture
async def cloud() -> AsyncIterator[FaultCloud]:
    """An account of three cameras on one bridge that sends nothing by itself, not even an initial state."""
    async with FaultCloud(Account.of(cameras=3)) as cloud:
        cloud.initial_state = False
        yield cloud
