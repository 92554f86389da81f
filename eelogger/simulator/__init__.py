"""A small Eagle Eye cloud on one loopback port; sharing no code with the logger, it hides no misread protocol."""

from .account import Account
from .events import Event
from .server import Cloud, Connection, SentEvent

__all__ = ["Account", "Cloud", "Connection", "Event", "SentEvent"]
