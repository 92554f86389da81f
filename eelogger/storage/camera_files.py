"""Find the cameras of a log directory, their files, and torn tails."""

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice, repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from ..model import Camera
from .formats import parse_pairs
from .line_blocks import Skipped, lines_backwards, open_file, packed, read_object, size_of
from .paths import LogPaths, day_of, is_camera_id

_EXCERPT_BYTES: Final = 4096  # a hole can be as large as the disk's cache
_LAST_LINES: Final = 50  # among which one is a delay line, if the file is a delay log
Logs = dict[str, list[Path]]
_Item = TypeVar("_Item", bound=tuple[Any, ...])


def read_cameras(paths: LogPaths) -> tuple[dict[str, Camera], dict[str, str]]:
    """Read the cameras of `cameras.json` and the names of bridges, by id; what is damaged there is passed over."""
    cameras, bridges = dict[str, Camera](), dict[str, str]()
    for id_, row in (read_object(paths.cameras) or read_object(packed(paths.cameras))).items():
        if isinstance(row, dict) and is_camera_id(id_):
            cameras[id_] = Camera(id_, str(row.get("name", "")), str(row.get("bridge", "")))
            if isinstance(name := row.get("bridge_name"), str):
                bridges[cameras[id_].bridge] = name
    return cameras, bridges


def cameras_text(cameras: Iterable[Camera], bridges: Mapping[str, str] = MappingProxyType({})) -> str:
    """The content of `cameras.json`; `bridges` are their names by id, which `EEN_BRIDGES` may go by."""
    rows = {camera.id: {"name": camera.name, "bridge": camera.bridge} for camera in cameras}
    for row in rows.values():
        if row["bridge"] in bridges:
            row["bridge_name"] = bridges[row["bridge"]]
    return json.dumps(rows, indent=0, sort_keys=True) + "\n"


class CameraFiles:
    """The logs of the cameras in one folder, and its `cameras.json`; errors are raised, or go to `skipped`."""

    def __init__(self, paths: LogPaths, skipped: Skipped | None = None) -> None:
        self.listed, self.bridges = read_cameras(paths)
        self._paths, self._skipped = paths, skipped
        self._delay, self._stream = paths.delay_files(skipped), paths.stream_files(skipped)
        found: dict[str, set[str]] = {}
        for camera_id, stem, path in (*self._delay, *self._stream):
            if os.path.isfile(path):
                found.setdefault(camera_id, set()).add(stem)
        for id_, stems in found.items():
            if len(stems) > 1 and id_ not in self.listed:
                logged = (self._last_logged(id_, stem) for stem in stems)
                found[id_] = stems & {paths.stem(id_, camera.name) for camera in logged if camera} or stems
        # Those of the cameras' own files, which `cameras.json` or the last delay line names; else it is the shortest.
        listed = {id_: paths.stem(id_, camera.name) for id_, camera in self.listed.items() if id_ in found}
        self.stems = {id_: min(stems, key=lambda stem: (len(stem), stem)) for id_, stems in found.items()} | listed

    def delay_logs(self) -> Logs:
        """The delay logs by camera id: first the camera's own, which may be missing or packed, then its copies."""
        return self._own_first(self._delay, self._paths.delay)

    def stream_logs(self) -> Logs:
        """The stream logs by camera id, in the order of `delay_logs`."""
        return self._own_first(self._stream, self._paths.stream)

    def known(self) -> dict[str, Camera]:
        """The cameras of `cameras.json`, and those that only have files."""
        known = dict(self.listed)
        for id_, stem in self.stems.items():
            if id_ not in known:
                known[id_] = self._last_logged(id_, stem) or Camera(id_, stem.removesuffix(f"_{id_}"))
        return known

    def _last_logged(self, camera_id: str, stem: str) -> Camera | None:
        with suppress(OSError):
            for _, line in islice(lines_backwards(self._paths.delay(stem), 1 << 14), _LAST_LINES):
                pairs = parse_pairs(line.decode("utf-8", "replace"))
                if pairs.get("camera") == camera_id:
                    return Camera(camera_id, pairs.get("name", ""), pairs.get("bridge", ""))
        return None

    def _own_first(self, files: list[tuple[str, str, Path]], place: Callable[[str], Path]) -> Logs:
        found: Logs = {}
        for camera_id, _, path in files:
            if camera_id in self.stems:
                found.setdefault(camera_id, []).append(path)
            elif self._skipped:
                self._skipped.files.append(OSError(errno.EINVAL, "not an ordinary file", str(path)))
        for camera_id, there in found.items():
            plain = place(self.stems[camera_id])
            own = packed(plain) if packed(plain) in there and plain not in there else plain
            found[camera_id] = [own, *(path for path in there if path != own)]
        return found


def read_once(
    files: Sequence[Path], read: Callable[[Path], Iterator[_Item]], identity: Callable[[_Item], object], day: str | None
) -> Iterator[_Item]:
    """Yield each item of a camera's files once, by arrival. Of copies only items of `day` count."""
    own, *copies = files
    if not copies:
        yield from read(own)
        return
    sources = [read(own), *((item for item in read(path) if day in (None, day_of(item[0]))) for path in copies)]
    found_in: dict[object, int] = {}
    numbered = (zip(repeat(number), source) for number, source in enumerate(sources))
    for number, item in merge(*numbered, key=lambda item: item[1][0]):
        if found_in.setdefault(identity(item), number) == number:
            yield item


def cut_torn_tails(paths: LogPaths) -> list[tuple[Path, bytes, int]]:
    """Cut the day's append files back to whole lines: which, the first 4,096 bytes cut off, how many were."""
    tails: list[tuple[Path, bytes, int]] = []
    files = [paths.uuids, paths.gaps, paths.health, paths.program_log, paths.rejected]
    found = CameraFiles(paths)
    # Copies are left alone; where `cameras.json` does not know a camera, any of its files may be its own.
    for camera_id, logs in (*found.delay_logs().items(), *found.stream_logs().items()):
        own = logs[:1] if camera_id in found.listed else logs
        files += [path for path in own if path.suffix != ".gz"]
    for path in files:
        # The writer will say what is wrong with a file that cannot be read or cut.
        with suppress(OSError):
            # The end of a process leaves half a line, a power cut a hole of NUL bytes.
            lines = lines_backwards(path, _EXCERPT_BYTES)
            ends = (start + len(line) for start, line in lines if line.endswith(b"\n") and b"\0" not in line)
            size, whole = size_of(path), next(ends, 0)
            if whole < size:
                with open_file(path, whole) as file:
                    tails.append((path, file.read(_EXCERPT_BYTES), size - whole))
                os.truncate(path, whole)
    return tails
