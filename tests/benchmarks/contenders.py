"""Run one contender, the floor or the logger itself; its task is a JSON line on stdin, its cost one on stdout."""

import asyncio
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

Cost = dict[str, Any]


def start_meter() -> Callable[[], Cost]:
    """Say that the contender is ready, which lets the stream flow; call the result for what was taken since."""
    cpu_s, began_s = time.process_time(), time.perf_counter()
    print(json.dumps({"ready": True}), flush=True)

    def cost() -> Cost:
        peak_kb = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        taken = {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - began_s}
        return taken | {"peak_mb": peak_kb / 1024, "descriptors": len(os.listdir("/proc/self/fd"))}

    return cost


async def floor(task: Namespace) -> Cost:
    """The least that any logger on this library does: receive, read JSON, write JSON, one buffered append."""
    base, account_id, auth_key, resources = task.environ.values()
    uri = f"ws{base.removeprefix('http')}/api/v2/Device/{account_id}/Events"
    how: dict[str, Any] = {"compression": None, "max_queue": None, "ping_interval": None, "proxy": None}
    async with connect(uri, additional_headers={"Cookie": f"auth_key={auth_key}"}, **how) as connection:
        asked = {"resource": resources.split(","), "event": ["ANNT", "ALRS"]}
        await connection.send(json.dumps({"cameras": dict.fromkeys(task.camera_ids, asked)}))
        cost = start_meter()
        with open(Path(task.log_dir) / "all.log", "a", encoding="utf-8") as file:
            for _ in range(task.messages):
                message = json.loads(await connection.recv())
                file.write(json.dumps(message) + "\n")
        return cost()


async def eelogger(task: Namespace) -> Cost:
    """The real run with all its files."""
    from eelogger.run import Run
    from eelogger.settings import load

    run = Run(load(None, Path(task.log_dir), environ=task.environ), started_us=task.started_us)
    running = asyncio.create_task(run.run())

    async def until(happened: Callable[[], bool]) -> None:
        while not happened() and not running.done():
            await asyncio.sleep(0.02)
        if running.done():
            running.result()

    await until(lambda: run.parts.session.state == "connected")
    connected_s = time.time() - task.started_us / 1e6
    cost = start_meter()
    if task.seconds:
        await asyncio.sleep(task.seconds)
    else:
        await until(lambda: run.parts.recorder.messages >= task.messages)
    steady = cost() | {"connected_s": connected_s, "lag": run.parts.session.lag.since_start()}
    run.stop()
    await running
    return cost() | {"steady": steady}


if __name__ == "__main__":
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if sys.argv[1] == "eelogger":
        from eelogger.cloud.loop_delay import LoopDelayLoop
        from eelogger.storage.program_log import quiet_libraries

        factory = LoopDelayLoop
        quiet_libraries()
    contender = {"floor": floor, "eelogger": eelogger}[sys.argv[1]]
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(contender(Namespace(**json.loads(sys.stdin.readline()))))), flush=True)
