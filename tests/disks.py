"""Real disks in real trouble: file systems that fill up, mounts that turn read-only, files nobody may change."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest


def _mount(*args: str) -> None:
    subprocess.run(["mount", *args], check=True, capture_output=True)


def _umount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)


@cache
def can_mount() -> bool:
    """Whether this process may mount file systems: mostly root outside of containers."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    probe = Path(os.path.realpath(os.environ.get("TMPDIR", "/tmp"))) / f"eelogger-mount-{os.getpid()}"
    probe.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(probe))
        _umount(probe)
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        probe.rmdir()
    return True


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs the right to mount file systems")


@contextmanager
def small_disk(path: Path, kib: int) -> Iterator[Path]:
    """A file system of its own at `path`, `kib` KiB in all."""
    path.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path))
    try:
        yield path
    finally:
        _umount(path)


def fill(disk: Path) -> Path:
    """Take all the room there is; removing the file gives it back."""
    ballast = disk / "ballast"
    with open(ballast, "ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


async def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait until something holds that only the disk can tell."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
