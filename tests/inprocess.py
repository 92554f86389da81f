"""A run inside the test's process, and what its files say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from oracle import read_logs

from eelogger.model import Timing
from eelogger.run import Run
from eelogger.settings import load
from eelogger.simulator import Cloud

Shift = Callable[[float], None]  # the fixture `shift`


class Here:
    """A run under way."""

    def __init__(self, run: Run, log_dir: Path) -> None:
        self.run, self.log_dir, self.parts = run, log_dir, run.parts
        self.task = asyncio.create_task(run.run(), name="run")

    async def stop(self) -> None:
        """Stop and wait; raises what ended the run."""
        self.run.stop()
        await self.task

    def gaps(self) -> list[dict[str, str]]:
        """The lines of `gaps.log`."""
        return read_logs(self.log_dir).gaps

    def text(self, name: str) -> str:
        """What a file of the log directory holds."""
        path = self.log_dir / name
        return path.read_text("utf-8") if path.exists() else ""


@asynccontextmanager
async def run_here(
    cloud: Cloud, log_dir: Path, env: Mapping[str, str] | None = None, *, timing: Timing
) -> AsyncIterator[Here]:
    """Run until the block ends; `env` adds to the cloud's credentials."""
    settings = load(None, log_dir, environ=cloud.environ | dict(env or {}))
    here = Here(Run(settings, timing=timing), log_dir)
    try:
        yield here
    finally:
        here.run.stop()
        await asyncio.wait([here.task])
