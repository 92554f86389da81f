"""Make up an account and what its cameras see: rates, delays and script are fixed by a seed."""

import heapq
import random
import uuid
from collections.abc import Iterator, Sequence
from itertools import count
from math import ceil, exp
from typing import Any, Final, NamedTuple

from .events import CREATE, END, HEARTBEAT

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

HEARTBEAT_S: Final = (3.0, 9.8)  # heartbeats are at most 10 s apart
ALERT_SHARE: Final = 0.2  # how many annotations have an ALRS in the message of their creation
# How many events follow from one start (one heartbeat on average): starts are made so much rarer.
EVENTS_A_START: Final = 3 + ALERT_SHARE
WARM_UP_S: Final = 40.0  # the script begins this much earlier, unseen, so that the rate is right from the start
# One annotation in so many is recorded but never delivered, the 20th first, so that a short demo has one.
SWALLOWED, FIRST_SWALLOWED = 200, 20


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
        """Make cameras that together send `rate` events a second, repeats included."""
        rng = random.Random(f"eelogger account {seed}")
        groups = max(1, ceil(cameras / CAMERAS_A_BRIDGE))
        ids = iter([f"100{number:05x}" for number in rng.sample(range(16**5), groups + cameras + 2)])
        bridges = tuple(Bridge(next(ids), SITES[site % len(SITES)], rng.uniform(0.3, 1.0)) for site in range(groups))
        weights = [rng.lognormvariate(0.0, 0.7) for _ in range(cameras)]
        made = []
        for number, weight in enumerate(weights):
            name = "" if number % 10 == 9 else PLACES[number % len(PLACES)]  # every tenth name is empty
            namespaces = tuple(rng.choices(NAMESPACES, k=rng.randint(1, 3)))
            # Half a minute to days since each kind's latest value; one camera in ten never had any.
            ages_s = tuple((kind, min(30.0 + rng.lognormvariate(8.5, 2.0), 800_000.0)) for kind in ("ANNT", "ALRS"))
            ages_s = () if rng.random() < 0.1 else ages_s
            bridge, own_rate = bridges[number // CAMERAS_A_BRIDGE], rate * weight / sum(weights)
            made.append(SimCamera(next(ids), name, bridge, own_rate, namespaces, ages_s))
        return cls(seed, tuple(made), bridges)

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


class Beat(NamedTuple):
    """One value, due `due_s` after the start and `delay_s` after it happened."""

    due_s: float
    delay_s: float
    camera_id: str
    four_cc: str
    fields: dict[str, Any]
    swallowed: bool


def beats(account: Account) -> Iterator[Beat]:
    """Write the endless script, by `due_s`; but for uuids it is the same for the same account."""
    rng = random.Random(f"eelogger script {account.seed}")
    order, began = count(), count(1)
    heap: list[tuple[float, int, Beat | SimCamera]] = [
        (rng.expovariate(camera.rate / EVENTS_A_START) - WARM_UP_S, next(order), camera)
        for camera in account.cameras
        if camera.rate > 0
    ]
    heapq.heapify(heap)
    while heap:
        due_s, _, item = heapq.heappop(heap)
        if isinstance(item, Beat):
            if due_s >= 0:
                yield item
            continue
        # Only of those that are seen from their creation on.
        swallowed = due_s >= 0 and next(began) % SWALLOWED == FIRST_SWALLOWED
        for beat in _life(rng, item, due_s, swallowed):
            heapq.heappush(heap, (beat.due_s, next(order), beat))
        next_s = due_s + rng.expovariate(item.rate / EVENTS_A_START)
        heapq.heappush(heap, (next_s, next(order), item))


def _life(rng: random.Random, camera: SimCamera, at_s: float, swallowed: bool) -> Iterator[Beat]:
    """Write one annotation: creation, heartbeats, end; sometimes an alert beside it."""
    same = {"uuid": str(uuid.uuid4()), "ns": rng.choice(camera.namespaces)}

    def beat(op: int, seq: int) -> Beat:
        is_long = rng.random() < 0.003
        delay_s = rng.uniform(5.0, 20.0) if is_long else camera.bridge.median_s * exp(0.45 * rng.gauss(0.0, 1.0))
        return Beat(at_s + delay_s, delay_s, camera.id, "ANNT", {**same, "op": op, "seq": seq}, swallowed)

    created = beat(CREATE, 0)
    yield created
    if rng.random() < ALERT_SHARE:
        yield created._replace(four_cc="ALRS", fields={}, swallowed=False)
    seq = 1
    while rng.random() < 0.5:
        at_s += rng.uniform(*HEARTBEAT_S)
        yield beat(HEARTBEAT, seq)
        seq += 1
    at_s += rng.uniform(0.5, HEARTBEAT_S[1])
    yield beat(END, seq)
