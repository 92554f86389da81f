"""Start `python app.py` as its user does, with the settings of a cloud and no others.

`script=CHILD` puts tests/child.py between: another clock, a slow disk, a crash point (see there).
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from eelogger.simulator import Cloud

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.py"
CHILD = ROOT / "tests" / "child.py"


class Ended(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


class Logger:
    """A running logger; `stdout` and `stderr` are complete once it has ended."""

    def __init__(self, process: asyncio.subprocess.Process, log_dir: Path) -> None:
        self.process, self.log_dir = process, log_dir
        self.stdout = self.stderr = ""
        self._output = asyncio.create_task(process.communicate())

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        out, err = await asyncio.wait_for(asyncio.shield(self._output), timeout_s)
        self.stdout, self.stderr = out.decode(), err.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    async def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended(timeout_s)

    async def kill(self) -> None:
        assert await self.stop(signal.SIGKILL) == -signal.SIGKILL

    async def wait_for(self, name: str, text: str, timeout_s: float = 10.0) -> None:
        """Wait until a file of the log directory holds a text, as a person with `tail -F` would."""
        path = self.log_dir / name
        async with asyncio.timeout(timeout_s):
            while not (path.exists() and text in path.read_text("utf-8", errors="replace")):
                await asyncio.sleep(0.01)


def credentials(cloud: Cloud) -> dict[str, str]:
    return cloud.environ


def environment(cloud: Cloud | None, log_dir: Path | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the settings of a cloud, and no others."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("EEN_")}
    if log_dir is not None:
        env["EEN_LOG_DIR"] = str(log_dir)
    return env | (credentials(cloud) if cloud else {}) | dict(more or {})


def _line(shell: str, script: Path, env_file: Path | None, args: Iterable[str | Path]) -> list[str]:
    """A shell script whose `"$@"` is the program's command line."""
    own = [sys.executable, str(script), "--env-file", str(env_file or os.devnull), *map(str, args)]
    return ["sh", "-c", shell, "sh", *own]


@asynccontextmanager
async def launch(
    cloud: Cloud | None,
    log_dir: Path,
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    env_file: Path | None = None,
    script: Path = APP,
    shell: str = 'exec "$@"',
) -> AsyncIterator[Logger]:
    """Start a logger; at the end it is killed if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *_line(shell, script, env_file, args),
        env=environment(cloud, log_dir, env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    logger = Logger(process, log_dir)
    try:
        yield logger
    finally:
        if process.returncode is None:
            process.kill()
        await logger.ended()


def command(
    *args: str | Path,
    cloud: Cloud | None = None,
    env: Mapping[str, str] | None = None,
    env_file: Path | None = None,
    stdin: str = "",
    script: Path = APP,
    shell: str = 'exec "$@"',
) -> Ended:
    """Run a command to its end, in a process of its own; it may never print a traceback."""
    line, settings = _line(shell, script, env_file, args), environment(cloud, None, env)
    done = subprocess.run(
        line, env=settings, input=stdin, capture_output=True, timeout=60, encoding="utf-8", check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)
