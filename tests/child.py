"""A logger whose clock, disk or rights are bent before it starts: `launch(..., script=CHILD, env={...})`.

CHILD_SHIFT_S=seconds        added to the wall clock
CHILD_AGE_S=seconds          the process began so much earlier
CHILD_SLOW_S=seconds         each write to a log file takes so much longer
CHILD_CRASH=append:n         SIGKILL just before the n-th call of that function of `storage.disk`; append:n:after: after
CHILD_TIMING="refresh_s=1"   other defaults of `model.Timing`
CHILD_BOUND=1                root heeds the rights of files
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def shift_clock(shift_s: str) -> None:
    """Before anything is imported that could keep the real functions."""
    real_ns = time.time_ns
    time.time_ns = lambda: real_ns() + round(float(shift_s) * 1e9)
    time.time = lambda: time.time_ns() / 1e9


def age(age_s: str) -> None:
    import eelogger

    eelogger.STARTED_S -= float(age_s)  # type: ignore[misc]


def slow_down(pause_s: str) -> None:
    """Let each write to an ordinary file take longer."""
    real = os.write

    def write(fd: int, data: Any) -> int:
        if os.fstat(fd).st_mode & 0o170000 == 0o100000:
            time.sleep(float(pause_s))
        return real(fd, data)

    os.write = write


def crash_at(what: str) -> None:
    from eelogger.storage import disk

    name, number, *when = what.split(":")
    calls, real = count(1), getattr(disk, name)

    def call(*args: Any, **more: Any) -> Any:
        is_last = next(calls) == int(number)
        if is_last and not when:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **more)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(disk, name, call)


def set_timing(text: str) -> None:
    from dataclasses import fields

    from eelogger.model import Timing

    given = dict(item.split("=") for item in text.split())
    init: Callable[..., None] = Timing.__init__
    init.__defaults__ = tuple(float(given.pop(field.name, field.default)) for field in fields(Timing))  # type: ignore[arg-type]
    assert not given, given


def bind_root() -> None:
    """Start anew without the capabilities that let root pass by the rights of files."""
    import ctypes

    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    libc = ctypes.CDLL(None)
    for capability in (dac_override, dac_read_search):
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)
    del os.environ["CHILD_BOUND"]
    os.execv(sys.executable, [sys.executable, *sys.argv])


def main() -> int:
    if os.environ.get("CHILD_BOUND"):
        bind_root()
    ways = {"SHIFT_S": shift_clock, "AGE_S": age, "TIMING": set_timing, "SLOW_S": slow_down, "CRASH": crash_at}
    for name, bend in ways.items():
        if text := os.environ.get(f"CHILD_{name}"):
            bend(text)
    from eelogger.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
