"""A logger, or a simulator, whose wall clock is shifted or which kills itself at a named crash point.

Told by the environment: `CHILD_SHIFT_S` seconds are added to the wall clock; `CHILD_CRASH=name:n` kills the process
with SIGKILL when the n-th such boundary of the disk is reached; `CHILD_SLOW_S=batch:s` makes each batch of lines take
s seconds longer, `file:s` each file of it; `CHILD_BOUND=1` binds root by the rights of files; `CHILD_SET=room.NAME=n`
gives constants other values; `CHILD_RUNS=simulator` runs that one.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def shift_clock(shift_s: float) -> None:
    """Before anything is imported that could keep the real functions."""
    real_ns = time.time_ns
    time.time_ns = lambda: real_ns() + round(shift_s * 1e9)
    time.time = lambda: time.time_ns() / 1e9


def crash_at(name: str, count: int) -> None:
    """Install the hook; the process ends without any clean-up, like in a power cut but with the kernel alive."""
    from eelogger.writing import disk

    left = count

    def boundary(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    disk.boundary = boundary


def slow_down(what: str, pause_s: float) -> None:
    """Let each write take longer, as a busy disk does."""
    from aiofiles.ospath import wrap  # type: ignore[attr-defined]  # its stubs leave it out

    from eelogger.writing import disk, drain, flush

    def slower(call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any) -> Any:
            time.sleep(pause_s)
            return call(*args)

        return write

    if what == "batch":
        drain._in_thread = wrap(slower(flush.write_batch))
    else:
        disk._write = slower(disk._write)


def set_constants(settings: str) -> None:
    """Give constants of the program other values: days of waiting become seconds."""
    for setting in settings.split():
        name, _, value = setting.partition("=")
        room, _, constant = name.rpartition(".")
        module = importlib.import_module(f"eelogger.{room}")
        assert hasattr(module, constant), name
        setattr(module, constant, float(value))


def bind_root() -> None:
    """Start anew without the capabilities that let root pass by the rights of files; a mere user has none."""
    import ctypes

    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    libc = ctypes.CDLL(None)
    for capability in (dac_override, dac_read_search):
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)
    del os.environ["CHILD_BOUND"]
    os.execv(sys.executable, [sys.executable, *sys.argv])


def main() -> int:
    """Run what was asked for."""
    if os.environ.get("CHILD_BOUND"):
        bind_root()
    if shift := os.environ.get("CHILD_SHIFT_S"):
        shift_clock(float(shift))
    if crash := os.environ.get("CHILD_CRASH"):
        name, _, count = crash.partition(":")
        crash_at(name, int(count))
    if constants := os.environ.get("CHILD_SET"):
        set_constants(constants)
    if slow := os.environ.get("CHILD_SLOW_S"):
        what, _, pause = slow.partition(":")
        slow_down(what, float(pause))
    if os.environ.get("CHILD_RUNS") == "simulator":
        import asyncio

        from eelogger.simulator.__main__ import arguments, serve

        asyncio.run(serve(arguments(sys.argv[1:])))
        return 0
    from eelogger.cli import main as run

    return run(sys.argv[1:], time.time())


if __name__ == "__main__":
    sys.exit(main())
