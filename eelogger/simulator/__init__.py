"""Serve a small Eagle Eye cloud on one loopback port.

It shares no reading or arithmetic with the logger, so that a misread protocol cannot hide.
"""

from .account import TEST_KEY, Account
from .events import Event, Recorded
from .server import Cloud, Connection, SentEvent

__all__ = ["TEST_KEY", "Account", "Cloud", "Connection", "Event", "Recorded", "SentEvent"]
