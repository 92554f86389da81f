"""Run one contender, the floor, the plain first version or the logger itself, fed over a socket.

What it is told comes as a JSON line. It connects, subscribes and says it is ready; then it takes a number of messages,
or whatever comes for some seconds, and tells what that cost until the last line was in its file: CPU and wall seconds
of this process alone.
"""

import asyncio
import json
import resource
import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

Cost = dict[str, Any]


def start_meter() -> Callable[[], Cost]:
    """Say that the contender is ready, which lets the stream flow; call the result to hear what it has taken since."""
    started_s, began_s = cpu_s(), time.perf_counter()
    print(json.dumps({"ready": True}), flush=True)
    return lambda: {"cpu_s": cpu_s() - started_s, "wall_s": time.perf_counter() - began_s, "peak_mb": peak_mb()}


def cpu_s() -> float:
    """User and system time of this process, of all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """Peak memory of this process; `ru_maxrss` may be the parent's, since it survives exec."""
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def plain(task: Namespace, take: Callable[[str | bytes], object]) -> Cost:
    """Connect as one does without thinking of stamps, and take each message at once."""
    uri = f"ws{task.base_url.removeprefix('http')}/api/v2/Device/{task.account_id}/Events"
    how: dict[str, Any] = {"compression": None, "max_queue": None, "ping_interval": None, "proxy": None}
    async with connect(uri, additional_headers={"Cookie": f"auth_key={task.auth_key}"}, **how) as connection:
        asked = {"resource": ["event", "pre"], "event": ["ANNT", "ALRS"]}
        await connection.send(json.dumps({"cameras": dict.fromkeys(task.camera_ids, asked)}))
        cost = start_meter()
        for _ in range(task.messages):
            take(await connection.recv())
        return cost()


async def floor(task: Namespace) -> Cost:
    """The least that any logger on this library does: receive, read JSON, write JSON, one buffered append."""
    with open(Path(task.log_dir) / "all.log", "a", encoding="utf-8") as file:
        return await plain(task, lambda text: file.write(json.dumps(json.loads(text)) + "\n"))


async def naive(task: Namespace) -> Cost:
    """The logger as one writes it on the first day: three files an event, figures over a growing list."""
    folder, seen = Path(task.log_dir), set[str]()
    delays, worst = defaultdict[str, list[float]](list), dict[str, tuple[float, dict[str, Any]]]()
    (folder / "stream").mkdir(parents=True)

    def append(name: str, text: str) -> None:
        with open(folder / name, "a") as file:
            file.write(text + "\n")

    def take(text: str | bytes) -> None:
        arrived = datetime.now(UTC)
        for camera_id, data in json.loads(text)["data"].items():
            append(f"stream/{camera_id}_stream.log", f"{arrived.isoformat()} -- {json.dumps(data)}")
            for four_cc, event in data.get("event", {}).items():
                identity = event.get("uuid") or f"{four_cc}:{camera_id}:{event['eventid']}"
                if identity not in seen:
                    seen.add(identity)
                    measure(camera_id, event, arrived, identity)

    def measure(camera_id: str, event: dict[str, Any], arrived: datetime, identity: str) -> None:
        happened = datetime.strptime(event["timestamp"], "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)
        delay, all_s = (arrived - happened).total_seconds(), delays[camera_id]
        all_s.append(delay)
        figures = f"min={min(all_s):.3f} max={max(all_s):.3f} avg={sum(all_s) / len(all_s):.3f} n={len(all_s)}"
        append(f"{camera_id}.log", f"{arrived.isoformat()} delay={delay:.6f} {figures} {event.get('ns')} {identity}")
        append("processed_event_uuids.log", identity)
        if camera_id not in worst or delay > worst[camera_id][0]:
            worst[camera_id] = delay, event
            ranked = sorted(worst.items(), key=lambda item: -item[1][0])
            with open(folder / "maxeventdelay.log", "w") as file:
                file.writelines(f"{name} {most:.6f} {json.dumps(event)}\n" for name, (most, event) in ranked)

    return await plain(task, take)


async def eelogger(task: Namespace) -> Cost:
    """The real run with all its files."""
    from eelogger.run import Run
    from eelogger.settings import load

    environ = {"EEN_BASE_URL": task.base_url, "EEN_ACCOUNT_ID": task.account_id, "EEN_AUTH_KEY": task.auth_key}
    environ |= {"EEN_RESOURCES": "event,pre"} if task.previews else {}
    run = Run(load(None, Path(task.log_dir), environ=environ), started_us=task.started_us)
    parts = run.parts
    running = asyncio.create_task(run.run())

    async def until(happened: Callable[[], bool]) -> float:
        while not happened() and not running.done():
            await asyncio.sleep(0.02)
        if running.done():
            running.result()
        return time.time() - float(task.started_us / 1e6)

    start = {"connected_s": await until(lambda: parts.session.state == "connected")}
    start["subscribed_s"] = await until(lambda: parts.recorder.messages >= task.initial)
    start["cpu_s"] = cpu_s()
    cost = start_meter()
    if task.seconds:
        await asyncio.sleep(task.seconds)
    else:
        await until(lambda: parts.recorder.messages >= task.messages)
    steady = cost() | {"lag": parts.lag.since_start()}
    run.stop()
    await running
    return cost() | {"start": start, "steady": steady}


if __name__ == "__main__":
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if sys.argv[1] == "eelogger":
        from eelogger.cloud.loop_delay import loop_factory as factory
        from eelogger.storage.program_log import quiet_libraries

        quiet_libraries()
    contender = {"floor": floor, "naive": naive, "eelogger": eelogger}[sys.argv[1]]
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(contender(Namespace(**json.loads(sys.stdin.readline()))))), flush=True)
