"""Serve a small Eagle Eye cloud on one loopback port.

It shares no reading or arithmetic with the logger, so that a misread protocol cannot hide.
"""

from .account import Account
from .events import Event
from .server import Cloud, Connection, SentEvent

__all__ = ["Account", "Cloud", "Connection", "Event", "SentEvent"]
