"""Runs without sockets and threads: a script goes through the recorder, and its batch is written at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from eelogger.measure.coverage import STARTED, Coverage
from eelogger.measure.handler import Handler
from eelogger.model import NAMESPACES, Camera
from eelogger.recorder import Recorder
from eelogger.restore import Restore
from eelogger.storage.camera_files import cameras_text
from eelogger.storage.disk import Batch
from eelogger.storage.formats import label, parse_time, time_text, worst_line
from eelogger.storage.paths import LogPaths

SECOND = 1_000_000
DAY = "2026-11-22"
NOON_US = parse_time("2026-11-22T12:00:00Z")
CAMERAS = {c.id: c for c in (Camera("100e0001", "Front Door", "100bb001"), Camera("100e0002", "Hof, hinten"))}
FRONT, BACK = CAMERAS


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


def one(at_us: int, uuid: str, camera_id: str = FRONT, delay_us: int = SECOND) -> Message:
    """A message with one annotation."""
    return Message(at_us, {camera_id: {"event": {"ANNT": annt(at_us - delay_us, uuid)}}})


class Played:
    """One run in a log directory."""

    def __init__(self, root: Path, cameras: Mapping[str, Camera] = CAMERAS, day: str = DAY) -> None:
        self.paths = LogPaths(root)
        self.handler = Handler({"ANNT", "ALRS"}, None, NAMESPACES)
        self.batch = Batch()
        self.recorder = Recorder(self.handler, self.batch, Coverage(0), self.paths, day=day)
        self._cameras = cameras

    def restore(self, done_us: int | None = None) -> Restore:
        """Read everything, as a start does."""
        reading = Restore(self.recorder)
        reading.run(done_us)
        return reading

    def play(self, script: Iterable[Step]) -> None:
        """Let it all happen."""
        self.recorder.know(self._cameras)
        for number, step in enumerate(script):
            if number % 3 == 2:
                self.flush()
            if isinstance(step, Message):
                self.recorder.record(dumps({"status_code": 200, "data": step.data}).encode(), step.at_us)
            elif step.camera_id:
                self.recorder.lost(step.lost_us, "error-404", step.camera_id)
                self.recorder.subscribed(step.at_us, [step.camera_id])
            else:
                self.recorder.lost(step.lost_us, "closed-1006" if step.lost_us < step.at_us else STARTED)
                self.recorder.subscribed(step.at_us)

    def flush(self) -> None:
        """Bring the lines that were handed over to disk, as the writer does: file by file."""
        self.paths.stream_dir.mkdir(parents=True, exist_ok=True)
        identities = {str(self.paths.uuids): [line for _, line in self.batch.identities]}
        for files in (*self.batch.files, identities):
            for path, lines in files.items():
                with open(path, "a", encoding="utf-8") as file:
                    file.write("".join(lines))
        self.batch = self.recorder.lines = Batch()

    def write(self) -> None:
        """Bring everything to disk, snapshots too."""
        self.flush()
        worst = self.handler.day.worst.values()
        self.paths.max_delay.write_text("".join(worst_line(v, label(self.recorder.known[v.camera_id])) for v in worst))
        self.paths.cameras.write_text(cameras_text(self.recorder.known.values()))


def play(root: Path, script: Iterable[Step], cameras: Mapping[str, Camera] = CAMERAS) -> Played:
    """A run from an empty directory, written to disk."""
    run = Played(root, cameras)
    run.play(script)
    run.write()
    return run


def texts(root: Path, pattern: str = "**/*_100e*.log") -> dict[str, bytes]:
    """The files of a log directory by relative name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob(pattern))}


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """A first subscription, then messages and reconnects, in order of time."""
    now_us = NOON_US
    script: list[Step] = [Reconnect(now_us, now_us)]
    for number in range(draw(st.integers(1, 30))):
        now_us += draw(st.sampled_from([1, 20_000, SECOND, 7 * SECOND, 59 * SECOND, 600 * SECOND]))
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
