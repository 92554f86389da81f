"""Hold lines, snapshots and a barrier until they are on disk."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

# Tells in the writer's thread which files go where, given the paths of lines that are still held.
Moves = Callable[[Collection[str]], Mapping[str, str]]
Lines = dict[str, list[str]]  # texts by file, in order
STREAM, DELAY, OTHER = KINDS = range(3)  # of files, in the order in which they are written


class Sink:
    """Takes whole lines, newline included; paths are in the form that `os` takes."""

    @property
    def is_behind(self) -> bool:
        """Whether what comes should wait where it came from."""
        return False

    def room(self, text: str) -> "Batch | None":
        """The batch that takes this text; None when it is refused."""
        raise NotImplementedError

    def mark(self, us: int) -> None:
        """Note that all lines of what arrived up to `us` have been handed over."""
        if batch := self.room(""):
            batch.mark_us = us

    def write(self, kind: int, path: str, text: str) -> None:
        """Take lines of a file of this kind."""
        if batch := self.room(text):
            batch.files[kind].setdefault(path, []).append(text)

    def write_identity(self, text: str, path: str = "") -> None:
        """Take a line of the identity log (quoted); `path` is the delay log whose lines have to be there before."""
        if batch := self.room(text):
            batch.identities.append((path, text))


@dataclass(eq=False)
class Batch(Sink):
    """Lines by kind and file until they are on disk; `size` is their length in characters."""

    files: tuple[Lines, ...] = field(default_factory=lambda: tuple({} for _ in KINDS))
    identities: list[tuple[str, str]] = field(default_factory=list)  # each with the delay log that it waits for, or ""
    snapshots: dict[str, str | bytes] = field(default_factory=dict)
    mark_us: int = 0  # the newest moment up to which all lines are here; 0: none
    size: int = 0
    moves: Moves | None = None  # asked once the lines were tried

    def room(self, text: str) -> "Batch":
        """Itself, whatever its size."""
        self.size += len(text)
        return self

    @property
    def lines(self) -> int:
        """How many are not on disk, a record of several counted once; may be asked while the thread writes."""
        return len(self.identities) + sum(len(texts) for f in self.files for texts in [*f.values()])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.size or self.snapshots or self.moves or self.mark_us)

    def extend(self, later: "Batch") -> None:
        """Take up a later batch: what is still here goes before it."""
        for mine, theirs in zip(self.files, later.files, strict=True):
            for path, texts in theirs.items():
                mine.setdefault(path, []).extend(texts)
        self.identities += later.identities
        self.snapshots |= later.snapshots
        self.size += later.size
        self.moves = later.moves
        self.mark_us = later.mark_us or self.mark_us

    def follow(self, targets: Mapping[str, str]) -> None:
        """Let the lines that are held for files go where these go."""
        for files in self.files:
            for source in files.keys() & targets.keys():
                files.setdefault(targets[source], []).extend(files.pop(source))
        self.identities = [(targets.get(path, path), text) for path, text in self.identities]
