"""Runs without sockets: a script of messages and subscriptions goes through recorder and writer into real files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from eelogger.figures.observation import STARTED, Observation
from eelogger.handler import Handler
from eelogger.history import History
from eelogger.logdir.camerafile import cameras_text
from eelogger.logdir.days import move_day
from eelogger.logdir.state import State, state_text
from eelogger.model import Camera
from eelogger.past.worstlog import worst_text
from eelogger.paths import LogPaths
from eelogger.recorder import Recorder
from eelogger.text.times import parse_time, time_text
from eelogger.writer import Writer

SECOND = 1_000_000
DAY = "2026-11-22"
NOON_US = parse_time("2026-11-22T12:00:00Z")
CAMERAS = {c.id: c for c in (Camera("100e0001", "Front Door", "100bb001"), Camera("100e0002", "Hof, hinten"))}


@dataclass(frozen=True)
class Message:
    """A message that arrives."""

    at_us: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Reconnect:
    """The connection is lost and made again; or a single camera's subscription."""

    lost_us: int
    at_us: int
    camera_id: str = ""


Step = Message | Reconnect


def event_time(us: int) -> str:
    """A moment as the cloud writes it."""
    text = time_text(us)
    return "".join(c for c in text[:19] if c.isdigit()) + text[19:23]


def annt(event_us: int, uuid: str, ns: int = 103, op: int = 1) -> dict[str, Any]:
    """The value of one annotation."""
    return {"timestamp": event_time(event_us), "uuid": uuid, "ns": ns, "op": op}


class Run:
    """One run in a log directory."""

    def __init__(self, root: Path, cameras: Mapping[str, Camera], day: str) -> None:
        self.paths = LogPaths(root)
        self.handler = Handler({"ANNT", "ALRS"})
        self.observation = Observation(0)
        self.writer = Writer(
            self.paths,
            buffer_bytes=1 << 26,
            rebase=lambda camera_id, tokens: self.recorder.rebase(camera_id, tokens),
            notify=lambda severity, text: None,
        )
        self.cameras = cameras
        self._day = day

    def begin(self) -> None:
        """What needs the running writer."""
        self.recorder = Recorder(
            self.handler,
            self.writer,
            self.observation,
            day=self._day,
            on_new_day=self._new_day,
            reread=lambda camera_id: self.history.reread(camera_id),
        )
        self.recorder.know(self.cameras)
        self.history = History(self.paths, self.recorder, self.writer)
        for camera in self.cameras.values():
            self.writer.register(camera.id, self.paths.stem(camera.id, camera.name))
        if self.cameras:
            self.writer.replace(self.paths.cameras, cameras_text(self.cameras.values()))

    def play(self, script: Iterable[Step]) -> None:
        """Let it all happen."""
        for step in script:
            if isinstance(step, Message):
                self.recorder.record(dumps({"status_code": 200, "data": step.data}).encode(), step.at_us)
                continue
            self.recorder.turn_day(step.lost_us)
            if step.camera_id:
                self.observation.camera_lost(step.camera_id, step.lost_us, "error-404")
            else:
                self.observation.lost(step.lost_us, "closed-1006" if step.lost_us < step.at_us else STARTED)
            self.recorder.turn_day(step.at_us)
            self.recorder.subscribed(step.at_us, [step.camera_id] if step.camera_id else None)

    def _new_day(self, ended: str) -> None:
        self.write_worst()
        self.handler.new_day()
        self.writer.barrier(lambda: move_day(self.paths, ended))
        for camera in self.cameras.values():
            self.writer.register(camera.id, self.paths.stem(camera.id, camera.name), delay_size=0)

    def write_worst(self) -> None:
        """Hand over `maxeventdelay.log`."""
        worst = self.handler.day.worst
        if worst:
            self.writer.replace(self.paths.max_delay, worst_text(worst.values(), self.recorder.labels))

    async def settle(self) -> None:
        """Until everything is on disk."""
        await self.writer.barrier(lambda: None)


@asynccontextmanager
async def run(root: Path, cameras: Mapping[str, Camera] = CAMERAS, day: str = DAY) -> AsyncIterator[Run]:
    """A run; its snapshots are written at its end."""
    this = Run(root, cameras, day)
    async with this.writer:
        this.begin()
        yield this
        this.write_worst()
        this.writer.replace(this.paths.state, state_text(State(this.recorder.day, NOON_US, NOON_US, True, 0)))


def texts(root: Path, pattern: str = "**/*_100e*.log") -> dict[str, bytes]:
    """The files of a log directory by relative name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob(pattern))}


@st.composite
def scripts(draw: st.DrawFn, begin_us: int = NOON_US, pauses: tuple[int, ...] = ()) -> list[Step]:
    """A first subscription, then messages and reconnects, in order of time; `pauses` may lie between them."""
    now_us = begin_us
    script: list[Step] = [Reconnect(now_us, now_us)]
    for number in range(draw(st.integers(1, 30))):
        now_us += draw(st.sampled_from([1, 20_000, SECOND, 7 * SECOND, 59 * SECOND, 600 * SECOND, *pauses]))
        kind = draw(st.sampled_from(["message"] * 8 + ["all", "one"]))
        if kind == "message":
            ids = draw(st.lists(st.sampled_from(sorted(CAMERAS)), min_size=1, unique=True))
            script.append(Message(now_us, {c: {"event": draw(_events(now_us))} for c in sorted(ids)}))
            continue
        lost_us, now_us = now_us, now_us + draw(st.sampled_from([SECOND, 90 * SECOND]))
        script.append(Reconnect(lost_us, now_us, sorted(CAMERAS)[number % 2] if kind == "one" else ""))
    return script


@st.composite
def _events(draw: st.DrawFn, now_us: int) -> dict[str, Any]:
    values = {}
    for four_cc in draw(st.lists(st.sampled_from(["ANNT", "ALRS", "EMES"]), min_size=1, unique=True)):
        delay_us = draw(st.sampled_from([0, 1500, 700_000, 12 * SECOND, 500 * SECOND, -SECOND]))
        value: dict[str, Any] = {"timestamp": event_time(now_us - delay_us)}
        if draw(st.integers(0, 9)) == 0:
            value["timestamp"] = "never"
        if four_cc == "ANNT":
            value |= {"uuid": f"u-{draw(st.integers(0, 40))}", "ns": draw(st.sampled_from([101, "103", None, 300]))}
            value |= {"op": draw(st.sampled_from([1, 4])), "seq": 7}
        else:
            value["eventid"] = draw(st.integers(-3, 3))
        values[four_cc] = value
    return values
