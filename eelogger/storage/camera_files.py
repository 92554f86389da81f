"""Which cameras a log directory knows, and which files are theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import merge
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from ..model import Camera
from .formats import parse_pairs
from .line_blocks import Skipped, read_file, whole_lines_backwards
from .paths import LogPaths, day_of, is_camera_id


class _Arrived(Protocol):
    @property
    def arrived_us(self) -> int: ...


_Item = TypeVar("_Item", bound=_Arrived)


def read_cameras(paths: LogPaths) -> dict[str, Camera]:
    """The content of `cameras.json` by id, as far as it is one; other versions may know more or less of a camera."""
    return {i: Camera(i, str(row.get("name", "")), str(row.get("bridge", ""))) for i, row in _rows(paths).items()}


def read_bridges(paths: LogPaths) -> dict[str, str]:
    """The names of bridges by id, as `cameras.json` has them."""
    found = ((row.get("bridge"), row.get("bridge_name")) for row in _rows(paths).values())
    return {bridge: name for bridge, name in found if isinstance(bridge, str) and isinstance(name, str)}


def _rows(paths: LogPaths) -> dict[str, dict[str, Any]]:
    try:
        rows = json.loads(read_file(paths.cameras))
    except (OSError, ValueError, RecursionError):
        return {}
    found = rows.items() if isinstance(rows, dict) else ()
    return {camera_id: row for camera_id, row in found if isinstance(row, dict) and is_camera_id(camera_id)}


def known_cameras(paths: LogPaths, unreadable: list[OSError] | None = None) -> dict[str, Camera]:
    """The cameras of `cameras.json`, and those that only have files, as their last delay line calls them."""
    listed = read_cameras(paths)
    return {i: _logged(paths, i, stem) for i, stem in own_stems(paths, unreadable).items() if i not in listed} | listed


def _logged(paths: LogPaths, camera_id: str, stem: str) -> Camera:
    """A camera that left the list: as its last delay line has it, else called as its files are."""
    with suppress(OSError):
        for _, block in whole_lines_backwards(paths.delay(stem), 1 << 14):
            for line in reversed(block.decode("utf-8", "replace").split("\n")):
                pairs = parse_pairs(line)
                if pairs.get("camera") == camera_id:
                    return Camera(camera_id, pairs.get("name", ""), pairs.get("bridge", ""))
            break
    return Camera(camera_id, stem.removesuffix(f"_{camera_id}"))


def cameras_text(cameras: Iterable[Camera], bridges: Mapping[str, str] = MappingProxyType({})) -> str:
    """The content of `cameras.json`; `bridges` are their names by id, which `EEN_BRIDGES` may go by."""
    rows = {camera.id: {"name": camera.name, "bridge": camera.bridge} for camera in cameras}
    for row in rows.values():
        if row["bridge"] in bridges:
            row["bridge_name"] = bridges[row["bridge"]]
    return json.dumps(rows, indent=0, sort_keys=True) + "\n"


def own_stems(paths: LogPaths, unreadable: list[OSError] | None = None) -> dict[str, str]:
    """The stem of each camera's own files by id, for all cameras that have files; what has another stem is a copy.

    `cameras.json` names it, also when only copies are there; else it is the shortest.
    """
    named = {camera.id: paths.stem(camera.id, camera.name) for camera in read_cameras(paths).values()}
    return {i: named.get(i) or min(stems, key=len) for i, stems in paths.find_stems(unreadable).items()}


def delay_logs(paths: LogPaths, skipped: Skipped | None = None) -> dict[str, list[Path]]:
    """The delay logs of a folder by camera id: first the camera's own, which may be missing, then its copies.

    Where only the packed form (`.gz`) of its own log is there, that is its own; beside the plain one, which was begun
    again, it is a copy. So it is in `stream_logs`.
    """
    return _own_first(paths, paths.delay, paths.delay_files, skipped)


def stream_logs(paths: LogPaths, skipped: Skipped | None = None) -> dict[str, list[Path]]:
    """The stream logs of a folder by camera id: first the camera's own, which may be missing, then its copies."""
    return _own_first(paths, paths.stream, paths.stream_files, skipped)


def _own_first(
    paths: LogPaths,
    place: Callable[[str], Path],
    files: Callable[[list[OSError] | None], list[tuple[str, str, Path]]],
    skipped: Skipped | None,
) -> dict[str, list[Path]]:
    unreadable = None if skipped is None else skipped.files
    own = own_stems(paths, unreadable)
    found: dict[str, list[Path]] = {}
    for camera_id, _, path in files(unreadable):
        found.setdefault(camera_id, []).append(path)
    for camera_id, there in found.items():
        plain = place(own[camera_id])
        packed = plain.with_name(f"{plain.name}.gz")
        first = packed if packed in there and plain not in there else plain
        found[camera_id] = [first, *(path for path in there if path != first)]
    return found


def read_once(
    files: Sequence[Path], read: Callable[[Path], Iterator[_Item]], identity: Callable[[_Item], object], day: str | None
) -> Iterator[_Item]:
    """The items of one camera's files by arrival; one that stands in several files comes once.

    The first file is the camera's own and may be missing; of the others, copies, only what arrived on `day` counts.
    """
    own, *copies = files
    sources = [read(own)] if own.exists() else []
    sources += [(item for item in read(path) if day in (None, day_of(item.arrived_us))) for path in copies]
    if len(sources) == 1:
        yield from sources[0]
        return
    found_in: dict[object, int] = {}
    numbered = (zip(repeat(number), source) for number, source in enumerate(sources))
    for number, item in merge(*numbered, key=lambda item: item[1].arrived_us):
        if found_in.setdefault(identity(item), number) == number:
            yield item
