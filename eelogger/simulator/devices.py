"""Rows of the camera list, as `GET /g/device/list` answers them: arrays of 27 to 29 items without keys [doc].

Pure. Only items 0 to 5 matter to a logger; the rest is there so that a reader that counts from the end, or expects one
length, is found out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

ATTACHED: Final = "ATTD"
IGNORED: Final = "IGND"
IDLE: Final = "IDLE"

ID, NAME, TYPE, LINKS, STATUS = 1, 2, 3, 4, 5
"""Positions of the items that matter (0 is the account id, `null` when unattached)."""

_LENGTHS = (27, 28, 29)


def device_row(
    account_id: str | None,
    device_id: str,
    name: str | None,
    kind: str,
    links: Sequence[tuple[str, str]],
    status: str = ATTACHED,
) -> list[Any]:
    """One device; `links` are `(esn, status)` pairs: of a camera its bridges, of a bridge its cameras."""
    number = int(device_id, 16)
    row: list[Any] = [
        account_id,
        device_id,
        name,
        kind,
        [list(link) for link in links],
        status,
        "swr",
        ["demo"],
        f"{number:08x}-0000-4000-8000-{number:012x}",
        f"SN{number % 10**8:08d}",
        1441847 if status == ATTACHED else 1048576,
        "Europe/Berlin",
        3600,
        0,
        f"10.143.{number >> 8 & 0xFF}.{number & 0xFF}",
        0,
        "Demo Account",
        True,
        None,
        None,
        "",
        None,
        None,
        None,
        0,
        14,
        None,
        None,
        None,
    ]
    return row[: _LENGTHS[number % 3]]


def is_attached_camera(row: Sequence[Any]) -> bool:
    """Whether events of this device may be subscribed to."""
    return len(row) > STATUS and row[TYPE] == "camera" and row[STATUS] == ATTACHED
