"""`python -m tests.benchmarks [parts] [--quick]`: measures, prints one table, exits 1 when a promise is not kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable

from . import compare, many, restart, rooms, steady
from .targets import Row, table

PARTS: dict[str, Callable[[bool], Iterable[Row]]] = {
    "compare": lambda quick: compare.compare(compare.QUICK if quick else compare.FULL).rows(),
    "steady": lambda quick: steady.steady(steady.QUICK if quick else steady.FULL),
    "many": lambda quick: many.many(many.QUICK if quick else many.FULL),
    "restart": lambda quick: restart.restart(restart.QUICK if quick else restart.FULL),
    "rooms": lambda quick: rooms.rooms(200 if quick else 5_000),
}


def main() -> int:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure (default: everything)")
    parser.add_argument("--quick", action="store_true", help="a few seconds: shows that it works, measures little")
    options = parser.parse_args()
    rows: list[Row] = []
    for part in options.parts or PARTS:
        print(f"{part} …", file=sys.stderr, flush=True)
        rows += PARTS[part](options.quick)
    print("\n".join(table(rows)))
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
