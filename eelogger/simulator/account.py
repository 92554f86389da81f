"""Make up an account: cameras, bridges, rates and delays, fixed by a seed."""

import math
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

ACCOUNT_ID: Final = "00012345"
ATTACHED: Final = "ATTD"

CAMERAS_A_BRIDGE: Final = 8
# The analytics, the common ones more than once.
NAMESPACES: Final = (101, 101, 101, 102, 102, 103, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112)
PLACES: Final = (
    "Front Door", "Loading Dock", "Parking North", "Parking South", "Lobby", "Reception", "Warehouse Aisle",
    "Server Room", "Back Gate", "Stairwell", "Cash Desk", "Yard / East Fence", "Café Terrace", "Elevator",
    "Break Room", "Roof", "Corridor", "Forklift Lane", "Main Entrance", "Vault",
)  # fmt: skip
SITES: Final = ("Harbour", "Airport", "Old Town", "Mill Street", "Depot", "Campus")


class Bridge(NamedTuple):
    """What the cameras of a site report through; half of their delays are shorter than `median_s`."""

    id: str
    name: str
    median_s: float


class SimCamera(NamedTuple):
    """A camera: `rate` in events a second, the namespaces it annotates, the ages of its latest values by four-CC."""

    id: str
    name: str
    bridge: Bridge
    rate: float
    namespaces: tuple[int, ...]
    ages_s: tuple[tuple[str, float], ...]


class Account(NamedTuple):
    """An account; the seed fixes what its cameras see."""

    seed: int
    cameras: tuple[SimCamera, ...]
    bridges: tuple[Bridge, ...]

    @classmethod
    def of(cls, cameras: int = 4, rate: float = 0.0, seed: int = 1) -> "Account":
        """Make cameras that send `rate` ANNT and ALRS a second together, repeats included."""
        rng = random.Random(f"eelogger account {seed}")
        groups = max(1, math.ceil(cameras / CAMERAS_A_BRIDGE))
        ids = iter([f"100{number:05x}" for number in rng.sample(range(16**5), groups + cameras + 2)])
        bridges = tuple(Bridge(next(ids), SITES[site % len(SITES)], rng.uniform(0.3, 1.0)) for site in range(groups))
        weights = [rng.lognormvariate(0.0, 0.7) for _ in range(cameras)]
        made = tuple(
            SimCamera(
                id=next(ids),
                name="" if number % 10 == 9 else PLACES[number % len(PLACES)],  # every tenth name is empty
                bridge=bridges[number // CAMERAS_A_BRIDGE],
                rate=rate * weight / sum(weights),
                namespaces=tuple(rng.choices(NAMESPACES, k=rng.randint(1, 3))),
                ages_s=_ages(rng),
            )
            for number, weight in enumerate(weights)
        )
        return cls(seed, made, bridges)

    def rows(self) -> list[list[Any]]:
        """List its devices as the cloud does."""
        rows = []
        for bridge in self.bridges:
            own = [camera for camera in self.cameras if camera.bridge is bridge]
            rows.append(device_row(bridge.id, bridge.name, "bridge", [camera.id for camera in own]))
            rows += [device_row(camera.id, camera.name, "camera", [bridge.id]) for camera in own]
        return rows


def device_row(device_id: str, name: str | None, kind: str, links: Sequence[str]) -> list[Any]:
    """Make one row of 27 to 29 items; `links` are a camera's bridge or a bridge's cameras."""
    attached = [[link, ATTACHED] for link in links]
    row = [ACCOUNT_ID, device_id, name, kind, attached, ATTACHED, "swr", ["demo"]]
    return row + [None] * (19 + int(device_id, 16) % 3)


def _ages(rng: random.Random) -> tuple[tuple[str, float], ...]:
    """Draw half a minute to days since each kind's latest value; one camera in ten never had any."""
    drawn = tuple((name, min(30.0 + rng.lognormvariate(8.5, 2.0), 800_000.0)) for name in ("ANNT", "ALRS"))
    return () if rng.random() < 0.1 else drawn
