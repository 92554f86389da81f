"""Hours in milliseconds: an event loop whose clock jumps to the next timer as soon as nothing else is to be done.

Sockets, files and threads are real; only waiting costs nothing. While a thread of the loop works the clock stands
still, and before each jump the kernel gets a moment to deliver what is under way on loopback.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from eelogger.backoff import RefusedLogin
from eelogger.clock import now_us
from eelogger.figures.observation import STARTED, Observation
from eelogger.handler import Handler
from eelogger.logdir.days import day_of
from eelogger.model import Camera
from eelogger.paths import LogPaths
from eelogger.reconnect.keys import Keys
from eelogger.reconnect.link import REFRESH_S
from eelogger.reconnect.roster import Roster
from eelogger.reconnect.session import Session
from eelogger.recorder import Recorder
from eelogger.service import Service
from eelogger.settings import Settings, load
from eelogger.simulator import Cloud
from eelogger.stream import EventStream
from eelogger.text.logfmt import parse

GRACE_S = 0.0005
BUSY_S = 0.005
T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if nothing is, `timeout` seconds have passed."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.busy or timeout is None:
            return super().select(BUSY_S)
        ready = super().select(GRACE_S)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop with another clock."""

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self.selector.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """As ever, and the clock stands still meanwhile."""
        return self.standing_still(super().run_in_executor(executor, func, *args))

    def standing_still(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        """The clock stands still until the future, a thread's, is done."""

        def done(future: object) -> None:
            self.selector.busy -= 1

        self.selector.busy += 1
        future.add_done_callback(done)
        return future


def virtually(work: Coroutine[Any, Any, T], limit_s: float = 20_000) -> T:
    """Run a coroutine in virtual time; it fails after `limit_s` seconds of that."""
    wrap = asyncio.wrap_future

    def wrap_future(future: Any, *, loop: Any = None) -> Any:
        running = asyncio.get_running_loop()
        assert isinstance(running, VirtualLoop)
        return running.standing_still(wrap(future, loop=loop))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, patch("asyncio.wrap_future", wrap_future):
        return runner.run(asyncio.wait_for(work, limit_s))


def loop_s() -> float:
    """The running loop's time in seconds."""
    return asyncio.get_running_loop().time()


class Run:
    """A service under way in this process; `attempts_s` is when each attempt to connect began."""

    def __init__(self, environ: Mapping[str, str], log_dir: Path, env_file: Path | None) -> None:
        self.environ = dict(environ)
        self.log_dir = log_dir
        self.attempts_s: list[float] = []
        self._attempted = asyncio.Event()
        self._read = partial(load, self.environ, env_file, log_dir=log_dir)
        self.service = Service(self._load, self._read(), now_us())
        self.task = asyncio.create_task(self.service.run(), name="service")

    def _load(self) -> Any:
        self.attempts_s.append(loop_s())
        self._attempted.set()
        return self._read()

    async def stop(self) -> None:
        """Stop and wait; raises what ended the run."""
        self.service.stop()
        await self.task

    async def attempted(self, times: int) -> None:
        """Until so many attempts to connect have begun."""
        while len(self.attempts_s) < times:
            self._attempted.clear()
            waiting = asyncio.create_task(self._attempted.wait())
            await asyncio.wait([waiting, self.task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            assert not self.task.done(), self.task

    def gaps(self) -> list[dict[str, str]]:
        """The lines of `gaps.log`."""
        return [parse(line) for line in self._text("gaps.log").splitlines()]

    def reasons(self) -> list[str]:
        """The reasons of the account's gaps."""
        return [gap["reason"] for gap in self.gaps() if gap["kind"] == "gap" and "camera" not in gap]

    def told(self, level: str = "WARNING") -> list[str]:
        """The program's own log: the messages of one level."""
        lines = [line.split(" ", 3) for line in self._text("eelogger.log").splitlines() if not line.startswith(" ")]
        return [message for _, is_level, _, message in lines if is_level == level]

    def summary(self) -> str:
        """The text of `summary.log`."""
        return self._text("summary.log")

    def _text(self, name: str) -> str:
        path = self.log_dir / name
        return path.read_text("utf-8") if path.exists() else ""


@asynccontextmanager
async def served(
    cloud: Cloud,
    log_dir: Path,
    env: Mapping[str, str] | None = None,
    env_file: Path | None = None,
    refresh_s: float = REFRESH_S,
) -> AsyncIterator[Run]:
    """A service on the cloud, until the block ends."""
    with patch("eelogger.instrument.Session", partial(Session, refresh_s=refresh_s)):
        run = Run(credentials(cloud) | dict(env or {}), log_dir, env_file)
        try:
            yield run
        finally:
            run.service.stop()
            await asyncio.wait([run.task])


class NoDisk:
    """A writer that keeps nothing, for hours of which only the connection matters; `gaps` are the lines of gaps.log."""

    def __init__(self) -> None:
        self.paths = LogPaths(Path("/nowhere"))
        self.stream_logs: dict[str, NoDisk] = defaultdict(lambda: self)
        self.gaps: list[str] = []

    def append(self, path: Path, text: str) -> None:
        """A line of some file."""
        if path == self.paths.gaps:
            self.gaps.append(parse(text)["reason"])

    def write(self, text: str) -> None:
        """A line of a stream log."""

    def mark(self, us: int) -> None:
        """All before this moment was handed over."""

    def log_delay(self, camera_id: str, token: object, text: str) -> None:
        """A line of a delay log."""

    def log_processed_event_uuid(self, event_uuid: str, camera_id: str = "") -> None:
        """An identity."""


class Bare:
    """A session without files, under way in this process: for long times and many connections."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        env_file: Path | None = None,
        known: Mapping[str, Camera] | None = None,
        remembered: RefusedLogin | None = None,
        refresh_s: float = 300.0,
    ) -> None:
        self.environ = dict(environ)
        self.env_file = env_file
        self.attempts_s: list[float] = []
        self.changes = 0
        self.disk = NoDisk()
        disk: Any = self.disk
        handler = Handler(("ANNT", "ALRS"), None, {})
        observation = Observation(now_us())
        observation.lost(now_us(), STARTED)
        self.recorder = Recorder(handler, disk, observation, day=day_of(now_us()))
        self.stream = EventStream(self.recorder)
        self.stream.ready.set()
        self.roster = Roster(self.recorder, self.stream, dict(known or {}), lambda cameras: None)
        self.keys = Keys(remembered, self._changed)
        self.session = Session(
            self._load, self._read(), self.stream, self.recorder, self.roster, self.keys, refresh_s=refresh_s
        )
        self.task = asyncio.create_task(self.session.run(), name="session")

    def _read(self) -> Settings:
        return load(self.environ, self.env_file)

    def _load(self) -> Settings:
        self.attempts_s.append(loop_s())
        return self._read()

    def _changed(self) -> None:
        self.changes += 1

    async def stop(self) -> None:
        """Stop and wait; raises what ended the run."""
        self.session.stop()
        await self.task


def credentials(cloud: Cloud) -> dict[str, str]:
    """The settings that reach a cloud."""
    return {"EEN_BASE_URL": cloud.base_url, "EEN_ACCOUNT_ID": cloud.account_id, "EEN_AUTH_KEY": cloud.auth_key}


@asynccontextmanager
async def bare(cloud: Cloud, environ: Mapping[str, str] | None = None, **more: Any) -> AsyncIterator[Bare]:
    """A session on the cloud, until the block ends; `environ` replaces the cloud's credentials."""
    run = Bare(credentials(cloud) if environ is None else environ, **more)
    try:
        yield run
    finally:
        run.session.stop()
        await asyncio.wait([run.task])
