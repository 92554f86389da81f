"""Judge stream logs anew into a new log directory.

A run's replay equals its delay logs but for `lag_s`, which stream logs do not tell. The sources are only read.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import DiskError, MessageError, NothingToShow, UsageError
from ..measure.coverage import NO_RECORD, UNKNOWN, Coverage
from ..measure.handler import Handler
from ..model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Gap
from ..recorder import Recorder
from ..restore import subscribe_again
from ..settings import Settings, load
from ..storage.batch import Batch
from ..storage.camera_files import cameras_text, known_cameras, own_stems, read_bridges, stream_logs
from ..storage.days import day_moves, move
from ..storage.disk import Flush, IdentityLog
from ..storage.disk_errors import explain
from ..storage.formats import parse_time, worst_line
from ..storage.line_blocks import OnRead, Skipped, size_of
from ..storage.paths import LogPaths, day_of, is_camera_id, is_day
from ..storage.state import State, read_state, state_text
from ..storage.streamlog import Update, read_gaps, updates
from ..views.console import Console, progress
from ..views.number_format import count
from ..views.tables import printable

_BATCH_CHARS: Final = 4 << 20


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
    kinds = "log directory, folder of a day, or stream log"
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help=kinds)


def run(options: argparse.Namespace, console: Console) -> int:
    """Replay the sources into `--log-dir`; raises `UsageError`, `NothingToShow`, `DiskError`, `SettingsError`."""
    target = options.log_dir
    if target is None or not _is_empty(target):
        problem = "say where to write" if target is None else f"{_shown(target)} cannot be used, or is not empty"
        raise UsageError(problem, "give --log-dir DIR, a directory that is empty or does not exist yet")
    skipped = Skipped()
    parts = sorted(read_parts(options.sources, skipped), key=attrgetter("day"))
    if not parts:
        raise NothingToShow(
            f"there is no readable line of a stream log in {', '.join(map(_shown, options.sources))}",
            "give a log directory, a folder of its days, or files called NAME_ID_stream.log",
        )
    files = [path for part in parts for paths in part.files.values() for path in paths]
    for source in options.sources:
        if not any(source == path or source in path.parents for path in files):
            console.info(f"skipped: {_shown(source)} is no stream log, nor a directory that holds one")
    replay = Replay(parts, target, load(options.env_file, need_credentials=False), skipped)
    total, done = sum(map(size_of, files)), 0
    try:
        with progress("replaying", console) as advance:

            def on_read(size: int) -> None:
                nonlocal done
                done += size
                advance(min(done, total), total)

            said = replay.run(on_read)
    except KeyboardInterrupt:
        console.info(f"broken off: {_shown(target)} is not complete, remove it")
        raise
    except OSError as error:
        said, hint = explain(error, error.filename or str(target))
        hint += f"; {_shown(target)} is not complete, remove it; the sources are as they were"
        raise DiskError(said, hint) from None
    for path, why in {error.filename: error.strerror or str(error) for error in skipped.files}.items():
        console.info(f"skipped: {_shown(path)} cannot be read: {why}")
    console.write(f"{_shown(target)}: {said}\n")
    if skipped.lines:
        console.write(f"skipped {count(skipped.lines, 'line')} that could not be read\n")
    return 0


class Replay:
    """The replay on its way: the recorder of a run, fed from files."""

    def __init__(self, parts: Sequence[Part], target: Path, settings: Settings, skipped: Skipped) -> None:
        self._parts, self._skipped = parts, skipped
        self._paths = LogPaths(target)
        self._batch = Batch()
        self._identities = IdentityLog(self._paths)
        self._days = [self._parts[0].day]
        self._updates = 0
        self._since_us, self._last_us = sys.maxsize, 0
        self._unknown: list[int] = []  # from when to when, in this day, without a record
        handler = Handler(settings.events, settings.namespaces, settings.namespace_table)
        self._recorder = Recorder(handler, self._batch, Coverage(0), self._paths, day=self._days[0])
        self._recorder.on_new_day = self._new_day
        handler.on_reject = lambda reject: None

    def run(self, on_read: OnRead) -> str:
        """Judge and write everything; returns what came of it, in words. `OSError` passes."""
        recorder, handler = self._recorder, self._recorder.handler
        for part in self._parts:
            recorder.turn_day(parse_time(part.day))
            recorder.use_files(part.cameras.values())
            self._put(self._paths.cameras, cameras_text(part.cameras.values(), part.bridges))
            day = part.day if part.gaps is not None else None
            for item in updates(part.files, part.gaps, day=day, skipped=self._skipped, on_read=on_read):
                at_us = item.to_us if isinstance(item, Gap) else item.arrived_us
                self._since_us, self._last_us = min(self._since_us, at_us), max(self._last_us, at_us)
                if isinstance(item, Gap):
                    if item.kind == UNKNOWN:
                        self._since_us = item.to_us
                    recorder.note_gap(item)
                    subscribe_again(handler, item, [item.camera_id] if item.camera_id else list(recorder.known))
                    continue
                recorder.turn_day(at_us)
                if part.gaps is None:
                    self._unknown = [(self._unknown or [at_us])[0], at_us + 1]
                try:
                    recorder.record_update(item.camera_id, item.data, at_us)
                    self._updates += 1
                except MessageError:
                    self._skipped.lines += 1
                if self._batch.size > _BATCH_CHARS:
                    self._flush()
        self._end_day()
        if self._last_us:
            state = State(recorder.day, self._last_us, self._last_us, True, self._since_us)
            self._put(self._paths.state, state_text(state))
        self._flush()
        cameras, days = count(len(recorder.known), "camera"), count(len(self._days), "day")
        period = " to ".join(dict.fromkeys((self._days[0], self._days[-1])))
        counts = dict.fromkeys((MEASURED, EARLY, INITIAL, UNDATED), 0) | handler.totals
        totals = ", ".join(f"{kind} {number:,}" for kind, number in counts.items())
        return f"{count(self._updates, 'update')} of {cameras} from {days}, {period} (UTC)\n{totals}"

    def _new_day(self, ended: str, coverage: Coverage) -> None:
        self._end_day()
        self._recorder.handler.new_day()
        self._flush()
        for one in day_moves(self._paths, ended):
            move(one)
        self._days.append(self._recorder.day)

    def _end_day(self) -> None:
        if self._unknown:
            from_us, self._since_us = self._unknown
            self._recorder.note_gap(Gap(UNKNOWN, from_us, self._since_us, NO_RECORD))
            self._unknown = []
        worst = self._recorder.handler.day.worst.values()
        if ranked := sorted(worst, key=lambda verdict: (verdict.delay_us or 0, verdict.camera_id), reverse=True):
            lines = (worst_line(verdict, self._recorder.labels[verdict.camera_id]) for verdict in ranked)
            self._put(self._paths.max_delay, "".join(lines))

    def _put(self, path: Path, content: str) -> None:
        self._batch.snapshots[os.fspath(path)] = content

    def _flush(self) -> None:
        outcome = Flush(self._batch, self._identities).run()
        for error in (outcome.errors | outcome.snapshots).values():
            raise error


def _is_empty(target: Path) -> bool:
    try:
        return not os.listdir(target)
    except OSError as error:
        return isinstance(error, FileNotFoundError)


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
    folders = [*((root.day(day), day) for day in root.days(skipped.files)), (root, root.root.name)]
    # a run writes health.log every minute, but to gaps.log only when there is a gap.
    recorded = any(os.path.exists(folder.gaps) or os.path.exists(folder.health) for folder, _ in folders)
    for folder, name in folders:
        files, gaps, state = stream_logs(folder, skipped), read_gaps(folder), read_state(folder)
        day = _first_day(files)
        if recorded and (day or gaps):  # the older script kept all days in one file
            day = name if is_day(name) else state.day if state else day
        if day:
            cameras = known_cameras(folder, own_stems(folder, skipped.files))
            yield Part(day, files, cameras, read_bridges(folder), gaps if recorded else None)


def _first_day(files: dict[str, list[Path]]) -> str | None:
    """The day of the oldest first line."""
    first = next((item for item in updates(files, []) if isinstance(item, Update)), None)
    return day_of(first.arrived_us) if first else None


def _shown(path: object) -> str:
    return printable(str(path))
