"""What the cloud sent, when, and what it was: the truth that a log directory is judged by.

Entries are frozen and in the order of sending. Kept in memory, written to a file as JSON lines, or both; each line is
flushed right after its send, so a reader beside the process lacks at most the message just being sent.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

REMEMBERED: Final = 400_000
"""How many identities `first` looks back over: a soak of millions must not grow without bound."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value sent over one connection.

    `send_ns`: instant just before the bytes went to the transport. `event_us`: the event's time as written, None when
    undated. `first`: this identity had not been sent before. `initial`: pushed as initial state. `opening`: the first
    value of its (camera, four-CC) in this subscription. `opened_us`, `subscribed_us`: when the connection was accepted
    and when the camera's subscription came in: the client's own subscription time lies between.
    """

    send_ns: int
    camera_id: str
    four_cc: str
    identity: str
    event_us: int | None
    ns: int | None
    op: int | None
    first: bool
    initial: bool
    opening: bool
    connection: int
    opened_us: int
    subscribed_us: int

    @property
    def send_us(self) -> int:
        """The send instant in whole microseconds, cut as an arrival is."""
        return self.send_ns // 1000

    @property
    def key(self) -> tuple[str, str, str, int | None]:
        """What a line of a stream log can be matched by."""
        return self.camera_id, self.four_cc, self.identity, self.event_us


def usable_int(value: Any) -> int | None:
    """`value` when it is an integer (a bool is none)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def usable_ns(value: Any) -> int | None:
    """The namespace: an integer, or text of ASCII digits only."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return usable_int(value)


class Ledger:
    """Append-only; `keep=False` holds nothing in memory (then `path` is where to look)."""

    def __init__(self, path: Path | None = None, *, keep: bool = True) -> None:
        self.entries: list[Entry] = []
        self.count = 0
        self._keep = keep
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._file: TextIO | None = None if path is None else path.open("a", buffering=1, encoding="utf-8")

    def is_first(self, identity: str) -> bool:
        """Whether `identity` has not been sent yet, as far as is remembered; what has none is always first."""
        return identity == "" or identity not in self._seen

    def add(self, entry: Entry) -> None:
        """Enter what has just been sent."""
        self.count += 1
        if entry.identity:
            self._seen[entry.identity] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        if self._keep:
            self.entries.append(entry)
        if self._file is not None:
            self._file.write(json.dumps({"send_us": entry.send_us, **asdict(entry)}) + "\n")

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_ledger(path: Path) -> list[Entry]:
    """The entries of a ledger file; a torn last line (its writer was killed) is left out."""
    entries = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            fields = json.loads(line)
            del fields["send_us"]
            entries.append(Entry(**fields))
    return entries
