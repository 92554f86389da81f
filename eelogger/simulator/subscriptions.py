"""What a client may ask over the socket, read and merged; touches no socket.

Decides whether a request is well formed and what a connection is then subscribed to; who is told what is the
connection's business. The invariant: a subscription only grows by a request and only shrinks by `drop` [doc].
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

RESOURCES: Final = frozenset({"event", "pre", "thumb", "video", "status"})


class BadRequest(Exception):
    """A message no well-behaved client sends; the text is what the server answers with its 400."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one camera is asked for; `events` None means every four-CC [?]; `at_us` when it was first asked for."""

    resources: frozenset[str]
    events: frozenset[str] | None
    at_us: int = 0

    def wants(self, four_cc: str) -> bool:
        """Whether a value of this kind (a four-CC, `pre`, `status`) is to be sent."""
        if four_cc in RESOURCES:
            return four_cc in self.resources
        return "event" in self.resources and (self.events is None or four_cc in self.events)

    def merged(self, other: Subscription) -> Subscription:
        """Both together; the time of the earlier request stays."""
        both = None if self.events is None or other.events is None else self.events | other.events
        return Subscription(self.resources | other.resources, both, self.at_us)


@dataclass(frozen=True, slots=True)
class Request:
    """One message of the client: cameras to add, cameras to drop."""

    cameras: dict[str, Subscription]
    drop: tuple[str, ...]


def parse_request(text: str, at_us: int) -> Request:
    """The request in `text`, received at `at_us`; raises `BadRequest`."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest("not JSON") from error
    if not isinstance(message, dict) or not message.keys() & {"cameras", "drop"}:
        raise BadRequest("expected an object with cameras or drop")
    cameras, drop = message.get("cameras", {}), message.get("drop", {})
    if not isinstance(cameras, dict) or not isinstance(drop, dict):
        raise BadRequest("cameras and drop must be objects")
    dropped = _strings(drop.get("cameras", []), "drop.cameras")
    return Request({name: _subscription(asked, at_us) for name, asked in cameras.items()}, dropped)


def _subscription(asked: Any, at_us: int) -> Subscription:
    if not isinstance(asked, dict) or "resource" not in asked:
        raise BadRequest("a camera needs a list of resources")
    resources = frozenset(_strings(asked["resource"], "resource"))
    if not resources or resources - RESOURCES:
        raise BadRequest("unknown resource")
    events = asked.get("event")
    return Subscription(resources, None if events is None else frozenset(_strings(events, "event")), at_us)


def _strings(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequest(f"{what} must be a list of strings")
    return tuple(value)
