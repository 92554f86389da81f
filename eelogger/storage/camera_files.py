"""Which cameras a log directory knows, which files are theirs, and where these are torn."""

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import merge
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from ..model import Camera
from .formats import parse_pairs
from .line_blocks import Skipped, read_at, read_object, size_of, whole_lines_backwards
from .paths import LogPaths, day_of, is_camera_id

_EXCERPT_BYTES: Final = 4096  # a hole can be as large as the disk's cache
Logs = dict[str, list[Path]]
_Item = TypeVar("_Item", bound=tuple[Any, ...])


def read_cameras(paths: LogPaths) -> dict[str, Camera]:
    """Read the cameras of `cameras.json` by id; what is damaged there is passed over."""
    return {i: Camera(i, str(row.get("name", "")), str(row.get("bridge", ""))) for i, row in _rows(paths).items()}


def read_bridges(paths: LogPaths) -> dict[str, str]:
    """Read the names of bridges in `cameras.json` by id."""
    found = ((row.get("bridge"), row.get("bridge_name")) for row in _rows(paths).values())
    return {bridge: name for bridge, name in found if isinstance(bridge, str) and isinstance(name, str)}


def _rows(paths: LogPaths) -> dict[str, dict[str, Any]]:
    found = read_object(paths.cameras).items()
    return {camera_id: row for camera_id, row in found if isinstance(row, dict) and is_camera_id(camera_id)}


def cameras_text(cameras: Iterable[Camera], bridges: Mapping[str, str] = MappingProxyType({})) -> str:
    """The content of `cameras.json`; `bridges` are their names by id, which `EEN_BRIDGES` may go by."""
    rows = {camera.id: {"name": camera.name, "bridge": camera.bridge} for camera in cameras}
    for row in rows.values():
        if row["bridge"] in bridges:
            row["bridge_name"] = bridges[row["bridge"]]
    return json.dumps(rows, indent=0, sort_keys=True) + "\n"


def known_cameras(paths: LogPaths, stems: Mapping[str, str]) -> dict[str, Camera]:
    """The cameras of `cameras.json`, and those that only have files; `stems` are `own_stems`."""
    known = read_cameras(paths)
    for id_ in [id_ for id_ in stems if id_ not in known]:
        known[id_] = _last_logged(paths, id_, stems[id_]) or Camera(id_, stems[id_].removesuffix(f"_{id_}"))
    return known


def _last_logged(paths: LogPaths, camera_id: str, stem: str) -> Camera | None:
    with suppress(OSError):
        for _, block in whole_lines_backwards(paths.delay(stem), 1 << 14):
            for line in reversed(block.decode("utf-8", "replace").split("\n")):
                pairs = parse_pairs(line)
                if pairs.get("camera") == camera_id:
                    return Camera(camera_id, pairs.get("name", ""), pairs.get("bridge", ""))
            break
    return None


def own_stems(paths: LogPaths, unreadable: list[OSError] | None = None) -> dict[str, str]:
    """The stems of the own files of all cameras that have files, by id; files of other stems are copies.

    `cameras.json` names it, also when only copies are there; else the last delay lines do; else it is the shortest.
    """
    listed, own = _listed_stems(paths), dict[str, str]()
    for camera_id, stems in paths.find_stems(unreadable).items():
        logged = [_last_logged(paths, camera_id, stem) for stem in stems if len(stems) > 1 and camera_id not in listed]
        named = [paths.stem(camera_id, camera.name) for camera in logged if camera]
        own[camera_id] = listed.get(camera_id) or min([stem for stem in named if stem in stems] or stems, key=len)
    return own


def _listed_stems(paths: LogPaths) -> dict[str, str]:
    return {camera_id: paths.stem(camera_id, camera.name) for camera_id, camera in read_cameras(paths).items()}


def delay_logs(paths: LogPaths, skipped: Skipped | None = None, stems: Mapping[str, str] | None = None) -> Logs:
    """The delay logs of a folder by camera id: first the camera's own, which may be missing, then its copies.

    Where only the packed form (`.gz`) of its own is there, that is its own. `stems` are `own_stems`, if known.
    """
    return _own_first(paths, False, skipped, stems)


def stream_logs(paths: LogPaths, skipped: Skipped | None = None, stems: Mapping[str, str] | None = None) -> Logs:
    """The stream logs of a folder by camera id, in the order of `delay_logs`."""
    return _own_first(paths, True, skipped, stems)


def _own_first(paths: LogPaths, is_stream: bool, skipped: Skipped | None, stems: Mapping[str, str] | None) -> Logs:
    place, files = (paths.stream, paths.stream_files) if is_stream else (paths.delay, paths.delay_files)
    unreadable = None if skipped is None else skipped.files
    own = own_stems(paths, unreadable) if stems is None else stems
    found: Logs = {}
    for camera_id, _, path in files(unreadable):
        if camera_id in own:
            found.setdefault(camera_id, []).append(path)
        elif skipped is not None:
            skipped.files.append(OSError(errno.EINVAL, "not an ordinary file", str(path)))
    for camera_id, there in found.items():
        plain = place(own[camera_id])
        packed = plain.with_name(f"{plain.name}.gz")
        first = packed if packed in there and plain not in there else plain
        found[camera_id] = [first, *(path for path in there if path != first)]
    return found


def read_once(
    files: Sequence[Path], read: Callable[[Path], Iterator[_Item]], identity: Callable[[_Item], object], day: str | None
) -> Iterator[_Item]:
    """Yield the items of one camera's files by arrival, their first field; one that stands in several files once.

    The first file is the camera's own and may be missing; of the others, copies, only what arrived on `day` counts.
    """
    own, *copies = files
    sources = [read(own)] if os.path.exists(own) else []
    sources += [(item for item in read(path) if day in (None, day_of(item[0]))) for path in copies]
    if len(sources) == 1:
        yield from sources[0]
        return
    found_in: dict[object, int] = {}
    numbered = (zip(repeat(number), source) for number, source in enumerate(sources))
    for number, item in merge(*numbered, key=lambda item: item[1][0]):
        if found_in.setdefault(identity(item), number) == number:
            yield item


def cut_torn_tails(paths: LogPaths) -> list[tuple[Path, bytes, int]]:
    """Cut the day's append files back to whole lines: which, the first 4,096 bytes cut off, how many were.

    The end of a process leaves half a line, a power cut a hole of NUL bytes. Copies are left alone; where
    `cameras.json` does not know a camera, any of its files may be its own.
    """
    listed = _listed_stems(paths)
    tails: list[tuple[Path, bytes, int]] = []
    files = [paths.uuids, paths.gaps, paths.health, paths.program_log, paths.rejected]
    for camera_id, stems in paths.find_stems().items():
        for stem in [listed[camera_id]] if camera_id in listed else stems:
            files += [paths.delay(stem), paths.stream(stem)]
    for path in files:
        # The writer will say what is wrong with a file that cannot be read or cut.
        with suppress(OSError):
            size, whole = size_of(path), _whole_bytes(path)
            if whole < size:
                tails.append((path, read_at(path, whole, _EXCERPT_BYTES), size - whole))
                os.truncate(path, whole)
    return tails


def _whole_bytes(path: Path) -> int:  # up to the last whole line without a NUL, of which we write none
    for start, block in whole_lines_backwards(path, _EXCERPT_BYTES):
        end = block.rfind(b"\n") + 1
        while end:
            begin = block.rfind(b"\n", 0, end - 1) + 1
            if b"\0" not in block[begin:end]:
                return start + end
            end = begin
    return 0
