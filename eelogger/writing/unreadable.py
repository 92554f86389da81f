"""Folders that cannot be read: passed over, and told once by who reads the others.

Decides what is one trouble and what two; what is said of it is for the commands. Invariant: a folder and all that is
in it are noted as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def noting(unreadable: list[OSError] | None) -> Iterator[None]:
    """Let a folder be missing, and note why it cannot be read; with no list that is an error."""
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError as error:
        if unreadable is None:
            raise
        _note(unreadable, error)


def _note(unreadable: list[OSError], error: OSError) -> None:
    """One error for a folder and all in it."""
    place = Path(error.filename)
    places = [Path(known.filename) for known in unreadable]
    if not any(map(place.is_relative_to, places)):
        unreadable[:] = [known for known, at in zip(unreadable, places, strict=True) if not at.is_relative_to(place)]
        unreadable.append(error)
