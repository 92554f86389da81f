"""A small Eagle Eye cloud on one loopback port: for the demo, the tests, the self-test and the benchmarks.

It imports nothing else of eelogger, so that a misreading of the protocol cannot hide by being shared: what the logger
reads, names and computes is read, named and computed here a second time.
"""

from __future__ import annotations

from .cloud import Cloud
from .comparison import compare
from .connection import Connection
from .events import Event
from .findings import Comparison
from .ledger import Entry, Ledger, read_ledger
from .state import TEST_KEY
from .world import Delays, World

__all__ = [
    "TEST_KEY",
    "Cloud",
    "Comparison",
    "Connection",
    "Delays",
    "Entry",
    "Event",
    "Ledger",
    "World",
    "compare",
    "read_ledger",
]
