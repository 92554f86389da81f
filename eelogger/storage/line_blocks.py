"""Read files, also `.gz`, in blocks of whole lines. Some readers start at the end."""

import errno
import gzip
import json
import os
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Final

_BLOCK_BYTES: Final = 1 << 18
_APPEND_S: Final = 0.001  # a reader may see the first half of an append, and so long after that all of it
_SMALL_FILE_BYTES: Final = 1 << 24  # `cameras.json` of 10,000 cameras has one million


@dataclass
class Skipped:
    """Unreadable lines, files and folders, and the bytes that were read."""

    read_bytes: int = 0
    lines: int = 0
    files: list[OSError] = field(default_factory=list)


def whole_lines(path: Path, start: int = 0, skipped: Skipped | None = None, *, block_bytes: int = 0) -> Iterator[bytes]:
    """Yield the lines of a file from an offset on, in blocks. A read error goes to `skipped`."""
    skipped = skipped or Skipped()
    try:
        # Kept open, a file is read to its end when it is renamed; with `block_bytes` it is opened for each block.
        with nullcontext() if block_bytes and path.suffix != ".gz" else open_file(path, start) as kept:
            while True:
                with nullcontext(kept) if kept else open_file(path, start) as file:
                    block = file.read(block_bytes or _BLOCK_BYTES)
                    if not block.endswith(b"\n"):
                        block += file.readline()
                    if block and not block.endswith(b"\n"):
                        time.sleep(_APPEND_S)
                        block += file.readline()
                start += len(block)
                skipped.read_bytes += len(block)
                if block:
                    yield block
                if not block.endswith(b"\n"):  # its end, where somebody may be writing
                    return
    except FileNotFoundError:
        pass
    except OSError as error:
        skipped.files.append(error if error.filename else OSError(errno.EIO, str(error), str(path)))


def packed(path: Path) -> Path:
    """What `gzip` makes of a file."""
    return path.with_name(f"{path.name}.gz")


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a file as text; those of its `.gz` come first. Unreadable parts are passed over."""
    for each in (packed(path), path):
        for block in whole_lines(each):
            yield from block.decode("utf-8", "backslashreplace").split("\n")


def whole_lines_backwards(path: Path, block_bytes: int = _BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Yield lines in blocks, backwards from the end, with offsets. `OSError` passes."""
    with BytesIO(b"".join(whole_lines(path))) if path.suffix == ".gz" else open_file(path) as file:
        end, length = file.seek(0, os.SEEK_END), block_bytes
        while end:
            begin = file.seek(max(0, end - length))
            begin += len(file.readline()) if begin else 0
            if block := file.read(max(0, end - begin)):
                yield begin, block
                end, length = begin, block_bytes
            elif length < end:
                length *= 2  # a line is longer
            else:
                return  # it was truncated


def lines_backwards(path: Path, block_bytes: int = _BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Yield lines backwards from the last one, with offsets. `OSError` passes."""
    for start, block in whole_lines_backwards(path, block_bytes):
        end = len(block)
        while end:
            begin = block.rfind(b"\n", 0, end - 1) + 1
            yield start + begin, block[begin:end]
            end = begin


@contextmanager
def open_file(path: Path, start: int = 0) -> Iterator[BufferedReader | gzip.GzipFile]:
    """Open an ordinary file, unpacked when it is a `.gz`; `OSError` passes, also for a pipe, a device, a folder."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe that nobody writes takes for ever
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    with open(path, "rb") as plain:
        file = gzip.GzipFile(fileobj=plain) if path.suffix == ".gz" else plain
        try:
            file.seek(start)
            yield file
        except (EOFError, zlib.error) as error:  # a damaged `.gz`
            raise OSError(errno.EIO, str(error), str(path)) from None


def read_object(path: Path) -> dict[str, Any]:
    """Read a small file that holds a JSON object; one that is missing or damaged is empty."""
    with suppress(OSError, ValueError, RecursionError), open_file(path) as file:
        if isinstance(content := json.loads(file.read(_SMALL_FILE_BYTES)), dict):
            return content
    return {}


def size_of(path: Path) -> int:
    """Bytes in the file; 0 where it is missing."""
    with suppress(OSError):
        return os.stat(path).st_size
    return 0
