"""What is promised, what was measured, and the table that shows both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the table; `limit` is the most it may be, None where nothing is promised."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether a promise is not kept."""
        return self.limit is not None and self.value > self.limit


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The rows in columns, what is missed marked."""
    yield f"{'':<58}{'measured':>12}  {'at most':>9}"
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:,g}"
        mark = "  MISSED" if row.missed else ""
        yield f"{row.name:<58}{row.value:>12,.2f}  {limit:>9} {row.unit:<10}{row.note}{mark}".rstrip()
