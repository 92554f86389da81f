"""A made-up account: cameras, bridges, rates and delays, all fixed by a seed.

Pure. Decides what exists and how it behaves over time; when something happens is `script`'s, what it looks like on
the wire `events`'. The same arguments give the same world on every machine and in every run.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any, Final

from .devices import ATTACHED, IDLE, IGNORED, device_row

CAMERAS_A_BRIDGE: Final = 8
NAMESPACE_WEIGHTS: Final[dict[int, float]] = {
    101: 30, 102: 20, 103: 14, 104: 8, 105: 3, 106: 5, 107: 2, 108: 6, 109: 4, 110: 2, 111: 3, 112: 3,
}  # fmt: skip
"""How often each analytic is met; 101 to 112 are the documented ones [doc]."""
STATEFUL: Final = ("ANNT", "ALRS", "EMES", "EMEE")
"""Four-CCs of which a camera may have a latest value when somebody subscribes."""
PLACES: Final = (
    "Front Door", "Loading Dock", "Parking North", "Parking South", "Lobby", "Reception", "Warehouse Aisle",
    "Server Room", "Back Gate", "Stairwell", "Cash Desk", "Yard / East Fence", "Café Terrace", "Elevator",
    "Break Room", "Roof", "Corridor", "Forklift Lane", "Main Entrance", "Vault",
)  # fmt: skip
SITES: Final = ("Harbour", "Airport", "Old Town", "Mill Street", "Depot", "Campus")
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Delays:
    """Lognormal around `median_s`, but a share `outliers` lies evenly in 5 to 20 s; `shift_s` is a clock error."""

    median_s: float
    sigma: float = 0.45
    outliers: float = 0.003
    shift_s: float = 0.0

    def draw(self, rng: random.Random) -> float:
        """One delay in seconds."""
        if rng.random() < self.outliers:
            return self.shift_s + rng.uniform(5.0, 20.0)
        return self.shift_s + self.median_s * math.exp(self.sigma * rng.gauss(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Bridge:
    """What cameras of a site report through; its delays are theirs."""

    id: str
    name: str
    delays: Delays


@dataclass(frozen=True, slots=True)
class SimCamera:
    """A camera: `rate` in events a second, `namespaces` it annotates, `ages_s` of its latest values at the start."""

    id: str
    name: str
    bridge: Bridge
    rate: float
    namespaces: tuple[int, ...]
    ages_s: tuple[tuple[str, float], ...]
    other_bridge: str = ""
    """A second bridge that sees the camera but ignores it, listed before its own."""


@dataclass(frozen=True, slots=True)
class World:
    """An account; `cameras` are the attached ones, `ignored_id` and `unattached_id` two that no event comes from."""

    seed: int
    account_id: str
    cameras: tuple[SimCamera, ...]
    bridges: tuple[Bridge, ...]
    ignored_id: str
    unattached_id: str
    rate: float
    pre_per_s: float

    @classmethod
    def demo(cls, seed: int = 2) -> World:
        """Twelve cameras on two bridges, eight events a second: something to see of each within 20 s.

        With seed 2 that includes a delay of the tail.
        """
        return cls.of(cameras=12, rate=8.0, seed=seed)

    @classmethod
    def of(
        cls,
        cameras: int = 4,
        rate: float = 0.0,
        seed: int = 1,
        *,
        delays: Delays | None = None,
        pre_per_s: float = 1.0,
        account_id: str = "00012345",
    ) -> World:
        """`cameras` attached cameras that send `rate` events (ANNT and ALRS, repeats included) a second together.

        `delays` replaces the bridges' own; `pre_per_s` is the rate of preview timestamps of each camera.
        """
        rng = random.Random(f"eelogger world {seed}")
        ids = _ids(rng)
        bridges = tuple(
            _bridge(rng, next(ids), number, delays) for number in range(max(1, math.ceil(cameras / CAMERAS_A_BRIDGE)))
        )
        weights = [rng.lognormvariate(0.0, 0.7) for _ in range(cameras)]
        share = rate / sum(weights) if weights else 0.0
        names = [_name(number) for number in range(cameras)]
        rows = tuple(
            SimCamera(
                id=next(ids),
                name=names[number],
                bridge=bridges[number // CAMERAS_A_BRIDGE],
                rate=weights[number] * share,
                namespaces=_namespaces(rng),
                ages_s=_ages(rng),
                other_bridge=bridges[0].id if number % 16 == 15 else "",
            )
            for number in range(cameras)
        )
        return cls(seed, account_id, rows, bridges, next(ids), next(ids), rate, pre_per_s)

    def rows(self) -> list[list[Any]]:
        """The device list: bridges and cameras, one camera ignored (IGND), one attached to no account."""
        account = self.account_id
        listed: list[list[Any]] = []
        for bridge in self.bridges:
            links = [(camera.id, ATTACHED) for camera in self.cameras if camera.bridge is bridge]
            listed.append(device_row(account, bridge.id, bridge.name, "bridge", links))
            for camera in self.cameras:
                if camera.bridge is bridge:
                    others = [(camera.other_bridge, IGNORED)] if camera.other_bridge else []
                    links = [*others, (bridge.id, ATTACHED)]
                    listed.append(device_row(account, camera.id, camera.name, "camera", links))
        first = self.bridges[0].id
        listed.append(device_row(account, self.ignored_id, "Spare", "camera", [(first, IGNORED)], IGNORED))
        listed.append(device_row(None, self.unattached_id, "New Camera", "camera", [(first, IDLE)], IDLE))
        return listed


def _ids(rng: random.Random) -> Any:
    used: set[str] = set()
    while True:
        name = f"100{rng.randrange(16**5):05x}"
        if name not in used:
            used.add(name)
            yield name


def _bridge(rng: random.Random, bridge_id: str, number: int, delays: Delays | None) -> Bridge:
    own = Delays(median_s=rng.uniform(0.3, 1.0))
    turn = number // len(SITES)
    return Bridge(bridge_id, SITES[number % len(SITES)] + (f" {turn + 1}" if turn else ""), delays or own)


def _name(number: int) -> str:
    """Places in turn, then numbered; every tenth name is empty, every twelfth the one before once more."""
    if number % 10 == 9:
        return ""
    if number % 12 == 11:
        number -= 1
    turn, place = divmod(number, len(PLACES))
    return PLACES[place] + (f" {turn + 1}" if turn else "")


def _namespaces(rng: random.Random) -> tuple[int, ...]:
    names, weights = list(NAMESPACE_WEIGHTS), list(NAMESPACE_WEIGHTS.values())
    return tuple(rng.choices(names, weights, k=rng.randint(1, 3)))


def _ages(rng: random.Random) -> tuple[tuple[str, float], ...]:
    """Half a minute to days since each kind's latest value; one camera in ten never had any."""
    drawn = tuple((four_cc, min(30.0 + rng.lognormvariate(8.5, 2.0), 9 * DAY_S)) for four_cc in STATEFUL)
    return () if rng.random() < 0.1 else drawn
