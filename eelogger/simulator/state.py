"""Everything about the cloud that a script may set at any moment: the account, its rows, and faults to come.

Holds no socket and decides nothing; `rest` and `cloud` read it at each request, so a change works from the next one on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from .connection import Connection
from .devices import ATTACHED, ID, NAME, device_row
from .world import World

TEST_KEY: Final = "c000~" + "0" * 32
CALLS_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as it came, WebSocket upgrades included; `at_s` is monotonic."""

    at_s: float
    method: str
    path_qs: str
    headers: dict[str, str]


class CloudState:
    """Plain attributes, each with a default that means "as usual"; all may be assigned to while the cloud runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.account_id = world.account_id
        self.branding = "c000"
        self.auth_key = TEST_KEY
        self.username = "ops@example.com"
        self.password = "correct horse"  # noqa: S105 - of the made-up account
        self.second_factor: dict[str, str] = {}
        """Ways of the second factor and where they lead, as in `{"sms": "*** 779"}`; empty: none is asked for."""
        self.second_factor_code = "123456"
        self.codes_sent: list[str] = []
        """The ways over which a code has been sent, in order."""
        self.api_key = ""
        """When set, login demands the header `Authentication: <key>:`."""
        self.device_rows: list[list[Any]] = world.rows()
        self.date_offset_s = 0.0
        """How far the `Date` header is ahead of this machine's clock."""
        self.answer_pings = True
        self.initial_state = True
        """Whether a subscription is followed by the latest values."""

        self.handshake_status: int | None = None
        """Answer WebSocket upgrades with this instead of 101."""
        self.handshake_headers: dict[str, str] = {}
        self.handshake_delay_s = 0.0
        self.close_after_accept: int | None = None
        """Close each socket with this code right after 101."""
        self.on_connect: Callable[[Connection], Awaitable[None]] | None = None
        """Awaited after 101, before anything is read."""
        self.list_status: int | None = None
        self.list_body: str | None = None
        """Raw text of the device list instead of the rows."""
        self.rest_status: dict[str, int] = {}
        """Answers by path, as in `{"/g/aaa/isauth": 503}`."""
        self.rest_headers: dict[str, str] = {}
        """Added to the answers that `list_status` and `rest_status` make."""
        self.delay_rest_s = 0.0
        self.redirect_to: str | None = None
        """An origin to which every request, upgrades included, is sent with 302."""
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)

    def called(self, path: str) -> list[Call]:
        """The calls so far whose path is `path`."""
        return [call for call in self.calls if call.path_qs.partition("?")[0] == path]

    def add_camera(self, camera_id: str, name: str | None, bridge_id: str | None = None) -> None:
        """Add a row; the world sends no events of its own for it."""
        links = [(bridge_id or self.world.bridges[0].id, ATTACHED)]
        self.device_rows.append(device_row(self.account_id, camera_id, name, "camera", links))

    def remove_camera(self, camera_id: str) -> None:
        """Take the row out; whoever is subscribed stays so until it drops the camera [?]."""
        self.device_rows[:] = [row for row in self.device_rows if row[ID] != camera_id]

    def rename_camera(self, camera_id: str, name: str | None) -> None:
        """Give the camera another name."""
        for row in self.device_rows:
            if row[ID] == camera_id:
                row[NAME] = name
