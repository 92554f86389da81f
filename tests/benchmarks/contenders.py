"""Who is compared: the floor, the plain first version, and the logger itself; one process each, fed over a socket.

A contender connects, subscribes and says it is ready; then it takes a number of messages, or whatever comes for some
seconds, and tells what that cost until the last line was in its file: CPU and wall seconds of this process alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

POLL_S: Final = 0.02
WHERE: Final = "base_url", "account_id", "auth_key"


@dataclass(frozen=True, slots=True)
class Task:
    """What a contender is told; `seconds` instead of `messages` where time is what counts.

    `initial` messages come after the subscription and belong to the start.
    """

    base_url: str
    account_id: str
    auth_key: str
    log_dir: str
    camera_ids: list[str]
    messages: int = 0
    seconds: float = 0.0
    previews: bool = True
    initial: int = 0
    started_us: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: seconds of CPU and of time, and MB at the peak."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    more: dict[str, Any] = field(default_factory=dict)


class Meter:
    """Measures from `start`, which also lets the stream flow, to `stop`."""

    def __init__(self) -> None:
        self._cpu_s = self._began_s = 0.0

    def start(self) -> None:
        """The contender is ready."""
        self._cpu_s, self._began_s = cpu_s(), time.perf_counter()
        print(json.dumps({"ready": True}), flush=True)

    def stop(self, **more: Any) -> Cost:
        """Everything is written."""
        return Cost(cpu_s() - self._cpu_s, time.perf_counter() - self._began_s, peak_mb(), more)


def cpu_s() -> float:
    """User and system time of this process, of all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """Peak memory of this process; `ru_maxrss` may be the parent's, since it survives exec."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def descriptors() -> int:
    """Open files and sockets of this process, 0 where that cannot be told."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


async def floor(task: Task, meter: Meter) -> Cost:
    """The least that any logger on this library does: receive, read JSON, write JSON, one buffered append."""
    async with await _open(task) as connection:
        with open(Path(task.log_dir) / "all.log", "a", encoding="utf-8") as file:
            meter.start()
            for _ in range(task.messages):
                message = json.loads(await connection.recv())
                file.write(json.dumps(message) + "\n")
        return meter.stop()


async def naive(task: Task, meter: Meter) -> Cost:
    """The plain first version."""
    from .naive import NaiveLogger

    logger = NaiveLogger(Path(task.log_dir))
    async with await _open(task) as connection:
        meter.start()
        for _ in range(task.messages):
            logger.take(await connection.recv())
        return meter.stop()


async def _open(task: Task) -> ClientConnection:
    connection = await connect(
        f"ws{task.base_url.removeprefix('http')}/api/v2/Device/{task.account_id}/Events",
        additional_headers={"Cookie": f"auth_key={task.auth_key}"},
        compression=None,
        max_queue=None,
        ping_interval=None,
        proxy=None,
    )
    asked = {"resource": ["event", "pre"], "event": ["ANNT", "ALRS"]}
    await connection.send(json.dumps({"cameras": dict.fromkeys(task.camera_ids, asked)}))
    return connection


async def eelogger(task: Task, meter: Meter) -> Cost:
    """The real service with all its files."""
    from eelogger.net.lag import LagMeter
    from eelogger.service import Service
    from eelogger.settings import load

    environ = {"EEN_BASE_URL": task.base_url, "EEN_ACCOUNT_ID": task.account_id, "EEN_AUTH_KEY": task.auth_key}
    if task.previews:
        environ["EEN_RESOURCES"] = "event,pre"
    settings = load(environ, None, log_dir=Path(task.log_dir))
    service = Service(lambda: settings, settings, task.started_us)
    run = asyncio.create_task(service.run())
    await _until(lambda: hasattr(service, "instrument"), run)
    lags = LagMeter()
    if task.seconds:
        service.instrument.stream.on_lag = _both(service.instrument.stream.on_lag, lags.note)
    await _until(lambda: service.instrument.stream.connection is not None, run)
    connected_s = time.time() - task.started_us / 1e6
    await _until(service.instrument.stream.ready.is_set, run)
    ready_s = time.time() - task.started_us / 1e6
    await _until(lambda: service.instrument.recorder.messages >= task.initial, run)
    subscribed_s = time.time() - task.started_us / 1e6
    start_lag, start_cpu_s = lags.take_minute(), cpu_s()
    meter.start()
    if task.seconds:
        await asyncio.sleep(task.seconds)
    else:
        await _until(lambda: service.instrument.recorder.messages >= task.messages, run)
    lag, steady = lags.take_minute(), meter.stop(fds=descriptors())
    service.stop()
    await run
    return meter.stop(
        connected_s=connected_s,
        ready_s=ready_s,
        subscribed_s=subscribed_s,
        start_cpu_s=start_cpu_s,
        start_lag_us=start_lag.p99_us,
        start_lag_max_us=start_lag.max_us,
        start_lag_n=start_lag.n,
        lag_us=lag.p99_us,
        lag_max_us=lag.max_us,
        lag_n=lag.n,
        steady_cpu_s=steady.cpu_s,
        steady_wall_s=steady.wall_s,
        messages=service.instrument.recorder.messages,
        **steady.more,
    )


def _both(one: Callable[[int], None], other: Callable[[int], None]) -> Callable[[int], None]:
    def call(us: int) -> None:
        one(us)
        other(us)

    return call


async def _until(happened: Callable[[], bool], run: asyncio.Task[None]) -> None:
    while not happened() and not run.done():
        await asyncio.sleep(POLL_S)
    if run.done():
        run.result()


CONTENDERS: Final[dict[str, Callable[[Task, Meter], Awaitable[Cost]]]] = {
    "floor": floor,
    "naive": naive,
    "eelogger": eelogger,
}


def main() -> None:
    """Run the contender named on the command line; what it is told comes as a JSON line."""
    name = sys.argv[1]
    task = Task(**json.loads(sys.stdin.readline()))
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if name == "eelogger":
        from eelogger.logdir.oplog import quiet_libraries
        from eelogger.net.lag import loop_factory as factory

        quiet_libraries()

    async def contend() -> Cost:
        return await CONTENDERS[name](task, Meter())

    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(asdict(runner.run(contend()))), flush=True)


if __name__ == "__main__":
    main()
