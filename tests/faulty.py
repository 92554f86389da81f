"""A disk that fails as told: stands in for `os` in `writing.disk`; everything not told goes to the real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from eelogger.writing import disk


def no_space() -> OSError:
    """What a full disk says."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FaultyOs:
    """`write(fd, data)`, `open(path)` … may be replaced; `calls` counts, which proves that a fault was met."""

    def __init__(self, **faults: Callable[..., Any]) -> None:
        self.faults = faults
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        fault = self.faults.get(name)
        if fault is None:
            return real

        def call(*args: Any) -> Any:
            self.calls += 1
            return fault(*args)

        return call


def install(monkeypatch: pytest.MonkeyPatch, **faults: Callable[..., Any]) -> FaultyOs:
    """Put a faulty disk under the log files for the rest of the test, or until `faults.clear()`."""
    faulty = FaultyOs(**faults)
    monkeypatch.setattr(disk, "os", faulty)
    return faulty
