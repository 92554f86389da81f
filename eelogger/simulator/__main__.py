"""The cloud as a process of its own: `python -m eelogger.simulator --port 0 --cameras 20 --rate 50`.

Prints one JSON line (base_url, account_id, auth_key, pid) when it serves, then serves until SIGTERM, SIGINT, the end of
`--seconds` or, with `--until-stdin-closes`, the end of its parent, whatever that was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import threading
from pathlib import Path

from . import Cloud, Delays, World


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m eelogger.simulator", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--port", type=int, default=0, help="TCP port on 127.0.0.1 (0: any free one)")
    add("--cameras", type=int, default=20, help="attached cameras")
    add("--rate", type=float, default=10.0, help="events (ANNT, ALRS) a second over all cameras; 0: none")
    add("--pre", type=float, default=1.0, help="preview timestamps a second a camera, for who subscribes to them")
    add("--seed", type=int, default=1, help="fixes cameras, rates and delays")
    add("--seconds", type=float, default=0.0, help="end by itself after so long (0: never)")
    add("--delay", type=float, metavar="S", help="every event is exactly this late, instead of a distribution")
    add("--date-offset", type=float, default=0.0, metavar="S", help="how far ahead the Date header is")
    add("--no-pongs", action="store_true", help="never answer a ping")
    add("--ledger", type=Path, metavar="FILE", help="append what was sent, one JSON line each")
    add("--until-stdin-closes", action="store_true", help="end when stdin is at its end")
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to stop; the traffic runs from the start."""
    delays = None if options.delay is None else Delays(options.delay, sigma=0.0, outliers=0.0)
    world = World.of(options.cameras, options.rate, options.seed, delays=delays, pre_per_s=options.pre)
    stop = stop_event(until_stdin_closes=options.until_stdin_closes)
    async with Cloud(
        world,
        port=options.port,
        answer_pings=not options.no_pongs,
        date_offset_s=options.date_offset,
        traffic=True,
        ledger_path=options.ledger,
        keep_ledger=False,
    ) as cloud:
        # Whoever starts this as a child process reads the address from this line.
        print(  # noqa: T201
            json.dumps(
                {
                    "base_url": cloud.base_url,
                    "account_id": cloud.account_id,
                    "auth_key": cloud.auth_key,
                    "pid": os.getpid(),
                }
            ),
            flush=True,
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), options.seconds or None)


def stop_event(*, until_stdin_closes: bool) -> asyncio.Event:
    """Set by SIGTERM or SIGINT and, on demand, by the end of stdin."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))

    def wait_for_end() -> None:
        # os.read and not sys.stdin: a daemon thread inside the buffer's lock aborts the interpreter's exit.
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    if until_stdin_closes:
        threading.Thread(target=wait_for_end, name="simulator stdin", daemon=True).start()
    return stop


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
