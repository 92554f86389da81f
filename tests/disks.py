"""Real disks: whether this process may mount file systems, and waiting for what only a disk can tell."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path


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


async def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait until something holds that only the disk can tell."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
