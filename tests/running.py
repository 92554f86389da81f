"""The logger as its user runs it: `python app.py` as a process of its own, against a cloud of the test's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
START_S = 15.0


class Account(Protocol):
    """What a logger has to be told of a cloud."""

    @property
    def base_url(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def auth_key(self) -> str: ...


class Logger:
    """A running logger; `output` is what it printed, complete once it has ended."""

    def __init__(self, process: asyncio.subprocess.Process, log_dir: Path) -> None:
        self.process = process
        self.log_dir = log_dir
        self.stdout = ""
        self.stderr = ""
        self._output = asyncio.create_task(process.communicate())

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        out, err = await asyncio.wait_for(self._output, timeout_s)
        self.stdout, self.stderr = out.decode(), err.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    async def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        """Send a signal and wait for the end."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended(timeout_s)


def environment(cloud: Account | None, log_dir: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the settings of a cloud, and no others."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("EEN_")}
    env["EEN_LOG_DIR"] = str(log_dir)
    if cloud is not None:
        env |= {
            "EEN_BASE_URL": cloud.base_url,
            "EEN_ACCOUNT_ID": cloud.account_id,
            "EEN_AUTH_KEY": cloud.auth_key,
        }
    return env | dict(extra or {})


@asynccontextmanager
async def running(
    cloud: Account | None,
    log_dir: Path,
    *args: str,
    env: Mapping[str, str] | None = None,
    script: Path = ROOT / "app.py",
) -> AsyncIterator[Logger]:
    """Start a logger; at the end it is killed if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        # No settings of the developer's own.
        "--env-file",
        str(_empty_env_file(log_dir)),
        *args,
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


def _empty_env_file(log_dir: Path) -> Path:
    path = log_dir.parent / f"{log_dir.name}.env"
    if not path.exists():
        path.touch(mode=0o600)
    return path


async def line_in(path: Path, text: str, timeout_s: float = 10.0) -> None:
    """Wait until a file holds a text, as a person with `tail -F` would."""
    async with asyncio.timeout(timeout_s):
        while not (path.exists() and text in path.read_text(encoding="utf-8", errors="replace")):
            await asyncio.sleep(0.01)
