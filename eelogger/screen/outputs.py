"""Files that a person asked for by name: written beside their place, put into it when they are whole.

Decides what becomes of a file that is there already; what is written is for others. Invariant: an ordinary file has
either its old content or all of the new one, keeping its rights; nothing but an ordinary file is ever replaced.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from ..errors import DiskError
from ..text.tables import printable
from ..writing.merging import TEMPORARY

STDOUT: Final = Path("-")


class Output:
    """One such file, open from `with` on; `-` is where `write_out` leads. Raises `DiskError`."""

    def __init__(self, path: Path, write_out: Callable[[str], object]) -> None:
        self.path = path
        self._write: Callable[[str], object] = write_out
        self._file: TextIO | None = None
        self._target = self._beside = path

    def __enter__(self) -> Self:
        if self.path != STDOUT:
            with self._told():
                self._open()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """What was not kept leaves no trace."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk has been told
                self._file.close()
            if self._beside != self._target:
                self._beside.unlink(missing_ok=True)

    def write(self, pieces: Iterable[str]) -> None:
        """More of the content."""
        if self._file is None:
            for piece in pieces:
                self._write(piece)
            return
        with self._told():
            self._file.writelines(pieces)

    def keep(self) -> None:
        """The content is complete: put it in its place."""
        if self._file is not None:
            with self._told():
                self._file.close()
                if self._beside != self._target:
                    os.replace(self._beside, self._target)
                    self._beside = self._target

    def _open(self) -> None:
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            mode = None
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
        if mode is None or stat.S_ISREG(mode):
            # Through a link, which stays one.
            self._target = Path(os.path.realpath(self.path))
            self._beside = self._target.with_name(f"{self._target.name}.{os.getpid()}{TEMPORARY}")
            flags |= os.O_EXCL
        descriptor = os.open(self._beside, flags, 0o666)
        self._file = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115  (closed by __exit__)
        if mode is not None and stat.S_ISREG(mode) and os.name == "posix":
            os.fchmod(descriptor, stat.S_IMODE(mode))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            told = f"{printable(str(self.path))} cannot be written: {error.strerror or error}"
            raise DiskError(told, "give a file in a directory that exists, may be written and has room") from None
