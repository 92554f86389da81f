"""`python -m tests.benchmarks [parts] [--quick]`: measure, print one table, exit 1 when a limit is exceeded."""

import argparse
import sys

from .parts import FULL, PARTS, QUICK, measure, table

parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure (default: everything)")
parser.add_argument("--quick", action="store_true", help="a few seconds: shows that it works, measures little")
options = parser.parse_args()
rows = [row for part in options.parts or PARTS for row in measure(part, QUICK if options.quick else FULL)]
print("\n".join(table(rows)))
sys.exit(any(row.missed for row in rows))
