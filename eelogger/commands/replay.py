"""Judge stream logs anew into a new log directory; the sources are only read."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from ..errors import DiskError, MessageError, NothingToShow, UsageError
from ..measure.coverage import NO_RECORD, UNKNOWN, Coverage
from ..measure.handler import Handler
from ..model import Camera, Gap
from ..recorder import Recorder
from ..restore import subscribe_again
from ..settings import Settings, load
from ..storage.camera_files import CameraFiles, cameras_text
from ..storage.days import day_moves, move
from ..storage.disk import Batch, Disk
from ..storage.disk_errors import explain
from ..storage.formats import label, parse_time, worst_line
from ..storage.line_blocks import Skipped, packed, size_of
from ..storage.paths import LogPaths, day_of, is_camera_id, is_day
from ..storage.state import State, read_state, state_text
from ..storage.streamlog import Update, read_gaps, updates
from ..views.console import Console, progress
from ..views.text import count, printable


class Part(NamedTuple):
    """Stream logs of one day; of several from `day` on, where nobody recorded when subscriptions began (no `gaps`)."""

    day: str
    files: dict[str, list[Path]]
    cameras: dict[str, Camera]
    bridges: dict[str, str]
    gaps: list[Gap] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sources."""
    parser.description = "Judges stream logs anew, into --log-dir DIR, which must be empty or not exist yet."
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="log directory, its day, or stream log")


def run(options: argparse.Namespace, console: Console) -> int:
    """Replay the sources into `--log-dir`; raises `UsageError`, `NothingToShow`, `DiskError`, `SettingsError`."""
    target = options.log_dir
    try:
        is_empty = target is not None and not os.listdir(target)
    except OSError as error:
        is_empty = isinstance(error, FileNotFoundError)
    if not is_empty:
        what = f"{printable(target)} is not an empty directory" if target else "there is no directory to write to"
        raise UsageError(what, "give --log-dir DIR, a directory that is empty or does not exist yet")
    skipped = Skipped()
    parts = sorted(read_parts(options.sources, skipped), key=attrgetter("day"))
    if not parts:
        message = f"no readable line of a stream log was found in {', '.join(map(printable, options.sources))}"
        raise NothingToShow(message, "give a log directory, a folder of its days, or files called NAME_ID_stream.log")
    files = [path for part in parts for paths in part.files.values() for path in paths]
    for source in options.sources:
        if not any(source == path or source in path.parents for path in files):
            console.info(f"skipped: {printable(source)} is neither a stream log nor a directory that holds one")
    replay = Replay(parts, target, load(options.env_file, need_credentials=False), skipped)
    total = sum(map(size_of, files))
    try:
        with progress("replaying", console) as advance:
            said = replay.run(lambda: advance(min(skipped.read_bytes, total), total))
    except OSError as error:
        what, hint = explain(error)
        hint += f"; {printable(target)} is not complete, remove it; the sources are as they were"
        raise DiskError(f"cannot write {printable(target)}: {what}", hint) from None
    for path, why in {error.filename: error.strerror or str(error) for error in skipped.files}.items():
        console.info(f"skipped: {printable(path)} cannot be read: {why}")
    console.write(f"{printable(target)}: {said}\n")
    if skipped.lines:
        console.write(f"skipped {count(skipped.lines, 'line')} that could not be read\n")
    return 0


class Replay:
    """The recorder of a run, fed from files."""

    def __init__(self, parts: Sequence[Part], target: Path, settings: Settings, skipped: Skipped) -> None:
        self._parts, self._skipped, self._paths = parts, skipped, LogPaths(target)
        self._batch, self._disk, self._cameras = Batch(), Disk(self._paths), ""
        self._since_us, self._last_us = sys.maxsize, 0
        self._unknown: list[int] = []  # from when to when, in this day, without a record
        handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
        self._recorder = Recorder(handler, self._batch, Coverage(0), self._paths, day=parts[0].day)
        self._recorder.on_day_end = self._turn_day

    def run(self, advance: Callable[[], object]) -> str:
        """Judge and write everything; returns what came of it, in words. `OSError` passes."""
        recorder, handler, snapshots, judged = self._recorder, self._recorder.handler, self._batch.snapshots, 0
        for part in self._parts:
            recorder.turn_day(parse_time(part.day))
            recorder.use_files(part.cameras.values())
            self._cameras = snapshots[str(self._paths.cameras)] = cameras_text(part.cameras.values(), part.bridges)
            day = part.day if part.gaps is not None else None
            for item in updates(part.files, part.gaps, day, self._skipped):
                at_us = item.to_us if isinstance(item, Gap) else item.arrived_us
                self._since_us, self._last_us = min(self._since_us, at_us), max(self._last_us, at_us)
                if isinstance(item, Gap):
                    if item.kind == UNKNOWN:
                        self._since_us = item.to_us
                    recorder.note_gap(item)
                    subscribe_again(recorder, item)
                    continue
                recorder.turn_day(at_us)
                if part.gaps is None:
                    self._unknown = [(self._unknown or [at_us])[0], at_us + 1]
                try:
                    recorder.record_update(item.camera_id, item.data, at_us)
                    judged += 1
                except MessageError:
                    self._skipped.lines += 1
                if self._batch.size > 4 << 20:
                    self._flush()
                    advance()
        self._end_day()
        if self._last_us:  # else all lines were copies' of another day
            state = State(recorder.day, self._last_us, self._last_us, True, self._since_us)
            snapshots[str(self._paths.state)] = state_text(state)
        self._flush()
        days = [*self._paths.days(), recorder.day]
        cameras, period = count(len(recorder.known), "camera"), " to ".join(dict.fromkeys((days[0], days[-1])))
        totals = ", ".join(f"{kind} {number:,}" for kind, number in handler.totals.most_common()) or "no event"
        return f"{count(judged, 'update')} of {cameras} from {count(len(days), 'day')}, {period} (UTC)\n{totals}"

    def _turn_day(self, today: str) -> None:
        self._end_day()
        self._flush()
        ended = self._recorder.day
        for source, target in day_moves(self._paths, ended).items():
            move(source, target)
        self._batch.snapshots[str(self._paths.day(ended).cameras)] = self._cameras

    def _end_day(self) -> None:
        if self._unknown:
            from_us, self._since_us = self._unknown
            self._recorder.note_gap(Gap(UNKNOWN, from_us, self._since_us, NO_RECORD))
            self._unknown = []
        if worst := sorted(self._recorder.handler.day.worst.values(), key=attrgetter("delay_us"), reverse=True):
            lines = (worst_line(verdict, label(self._recorder.known[verdict.camera_id])) for verdict in worst)
            self._batch.snapshots[str(self._paths.max_delay)] = "".join(lines)

    def _flush(self) -> None:
        self._disk.write(self._batch)
        for error in self._disk.errors.values():
            raise error


def read_parts(sources: Sequence[Path], skipped: Skipped) -> Iterator[Part]:
    """The parts of all sources that have a readable line."""
    alone: list[Path] = []
    for source in sources:
        if not os.path.isdir(source):
            alone.append(source)
        elif found := list(_of_directory(LogPaths(source), skipped)):
            yield from found
        else:
            with suppress(OSError):
                alone += sorted(source.iterdir())
    files: dict[str, list[Path]] = {}
    cameras = {}
    for path in alone:
        stem = path.name.removesuffix(".gz").removesuffix(".log").removesuffix("_stream")
        if os.path.isfile(path) and is_camera_id(stem[-8:]):
            files.setdefault(stem[-8:], []).append(path)
            cameras[stem[-8:]] = Camera(stem[-8:], stem[:-8].removesuffix("_") or stem[-8:])
    if day := _first_day(files):
        yield Part(day, files, cameras, {})


def _of_directory(root: LogPaths, skipped: Skipped) -> Iterator[Part]:
    folders = [*map(root.day, root.days(skipped)), root]
    # a run writes health.log every minute, but to gaps.log only when there is a gap.
    records = [path for folder in folders for path in (folder.gaps, folder.health)]
    recorded = any(map(os.path.exists, (*records, *map(packed, records))))
    for folder in folders:
        found, gaps, state = CameraFiles(folder, skipped), read_gaps(folder), read_state(folder)
        files = found.stream_logs()
        day = _first_day(files)
        if recorded and (day or gaps):  # the older script kept all days in one file
            day = folder.root.name if is_day(folder.root.name) else state.day if state else day
        if day:
            yield Part(day, files, found.known(), found.bridges, gaps if recorded else None)


def _first_day(files: dict[str, list[Path]]) -> str | None:
    """The day of the oldest first line."""
    first = next((item for item in updates(files, [], None, Skipped()) if isinstance(item, Update)), None)
    return day_of(first.arrived_us) if first else None
