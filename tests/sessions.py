"""A session without files, under way in this process, and a sink that notes what it is told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from fault_cloud import FaultCloud
from launch import credentials
from virtual import loop_s, virtually

from eelogger.cloud.cameras import CameraList
from eelogger.cloud.connection import Received
from eelogger.cloud.session import Session
from eelogger.cloud.sign_in import Credentials
from eelogger.cloud.stream import EventStream, open_connection
from eelogger.errors import MessageError
from eelogger.measure.protocol import read_message
from eelogger.model import Camera, CloudNotice, Gap, RefusedLogin, Timing
from eelogger.settings import Settings, load
from eelogger.simulator import Account


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time, at most a day and a bit."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        virtually(test(*args, **kwargs), limit_s=100_000)

    return run


class NotingSink:
    """Notes messages and gaps; `reasons` are those of the gaps that a subscription ended."""

    is_behind = False

    def __init__(self) -> None:
        self.cameras: Mapping[str, Camera] = {}
        self.messages: list[Received] = []
        self.reasons: list[str] = []
        self.lost_us = self.subscribed_us = 0
        self.camera_gaps: list[tuple[str, str]] = []
        self.gone: list[str] = []
        self.noted: list[Gap] = []
        self.updates: Counter[str] = Counter()
        self.unknown: list[str] = []
        self._open = "started"

    def know(self, cameras: Mapping[str, Camera]) -> None:
        self.gone += self.cameras.keys() - cameras.keys()
        self.cameras = dict(cameras)

    def subscribed(self, at_us: int, camera_ids: Iterable[str] | None = None) -> None:
        self.subscribed_us = at_us
        if camera_ids is None and self._open:
            self.reasons.append(self._open)
            self._open = ""

    def record(self, data: bytes, arrived_us: int, lag_us: int | None = None) -> list[CloudNotice]:
        self.messages.append(Received(data, arrived_us, lag_us or 0))
        try:
            updates, _, notices = read_message(data)
        except MessageError:
            return []
        for camera_id, _ in updates:
            self.updates[camera_id] += 1
            if camera_id not in self.cameras:
                self.unknown.append(camera_id)
        return notices

    def lost(self, at_us: int, reason: str, camera_id: str = "") -> None:
        if camera_id:
            self.camera_gaps.append((camera_id, reason))
            return
        self.lost_us = at_us
        self._open = self._open or reason

    def note_gap(self, gap: Gap) -> None:
        self.noted.append(gap)


async def stream_to(sink: NotingSink, settings: Settings, timing: Timing | None = None) -> EventStream:
    """An open event stream whose messages the sink takes."""
    timing = timing or Timing()
    connection = await open_connection(settings, timing)
    return EventStream(connection, settings, sink, timing, lambda received: sink.record(*received))


class SessionRun:
    """A session under way; `attempts_s` is when, in the loop's time, each attempt read the settings."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        env_file: Path | None = None,
        known: CameraList | None = None,
        remembered: RefusedLogin | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.environ, self.env_file = dict(environ), env_file
        self.attempts_s: list[float] = []
        self.listed: list[tuple[Mapping[str, Camera], Mapping[str, str]]] = []
        self.rtts: list[int] = []
        self.sink = NotingSink()
        self.credentials = Credentials(remembered)
        self.session = Session(
            self._load,
            load(env_file, environ=self.environ),
            self.sink,
            self.credentials,
            known or CameraList(),
            timing or Timing(),
        )
        self.session.on_rtt = self.rtts.append
        self.session.cameras.on_use = lambda cameras, bridges: self.listed.append((cameras, bridges))
        self.task = asyncio.create_task(self.session.run(), name="session")

    def _load(self) -> Settings:
        if self.session.state == "connecting":
            self.attempts_s.append(loop_s())
        return load(self.env_file, environ=self.environ)

    async def stop(self) -> None:
        """Stop and wait; raises what ended the session."""
        self.session.stop()
        await self.task

    async def attempted(self, times: int) -> None:
        """Wait until so many attempts to connect have begun."""
        while len(self.attempts_s) < times:
            assert not self.task.done(), self.task
            await asyncio.sleep(0.25)


@asynccontextmanager
async def session_on(
    cloud: FaultCloud, environ: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[SessionRun]:
    """A session on the cloud, until the block ends; `environ` replaces the cloud's credentials."""
    run = SessionRun(credentials(cloud) if environ is None else environ, **more)
    try:
        yield run
    finally:
        run.session.stop()
        await asyncio.wait([run.task])


@asynccontextmanager
async def under_way(cameras: int, **more: Any) -> AsyncIterator[tuple[FaultCloud, SessionRun]]:
    """A cloud of so many cameras, and a session on it that has subscribed to them."""
    async with FaultCloud(Account.of(cameras=cameras)) as cloud, session_on(cloud, **more) as session:
        await subscribed(cloud, cameras)
        yield cloud, session


async def subscribed(cloud: FaultCloud, cameras: int, connects: int = 1, timeout_s: float = 1000) -> None:
    """Wait until there is a connection of at least that number, and the youngest has so many cameras."""
    await cloud.wait_connected(connects, timeout_s)
    await cloud.wait_until(lambda: [len(live.ready) for live in cloud.connections][-1:] == [cameras], timeout_s)
