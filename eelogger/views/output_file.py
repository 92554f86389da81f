"""A file asked for by name: an ordinary one has either its old content or all of the new one, and keeps its rights."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final, Self

from ..errors import DiskError
from ..storage.paths import TEMPORARY
from .tables import printable

STDOUT: Final = Path("-")


class OutputFile:
    """Such a file, open from `with` on, replaced at its end; `-` is where `write_out` leads. Raises `DiskError`."""

    def __init__(self, path: Path, write_out: Callable[[str], object]) -> None:
        self._path = self._target = self._beside = path
        self._write = write_out
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        if self._path == STDOUT:
            return self
        with self._disk_errors():
            mode = "w"
            if self._path.is_file() or not self._path.exists():  # nothing but an ordinary file is ever replaced
                self._target = Path(os.path.realpath(self._path))  # through a link, which stays one
                self._beside, mode = self._target.with_name(f"{self._target.name}.{os.getpid()}{TEMPORARY}"), "x"
            self._file = open(self._beside, mode, encoding="utf-8", errors="backslashreplace", newline="")
            self._write = self._file.write
            if mode == "x" and self._target.exists():
                shutil.copymode(self._target, self._beside)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._file is None:
            return
        try:
            with self._disk_errors() if kind is None else contextlib.suppress(OSError):
                self._file.close()
                if kind is None and self._beside != self._target:
                    os.replace(self._beside, self._target)
        finally:
            if self._beside != self._target:
                self._beside.unlink(missing_ok=True)

    def write(self, pieces: Iterable[str]) -> None:
        """More of the content."""
        with self._disk_errors():
            for piece in pieces:
                self._write(piece)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            message = f"{printable(str(self._path))} cannot be written: {error.strerror or error}"
            raise DiskError(message, "give a file in a directory that exists, may be written and has room") from None
