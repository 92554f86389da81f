"""Dedup: within the window each identity is new once, a repeat renews, and a server's initial state is never new."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from eelogger.dedup import WINDOW, Dedup

A, B = "100e1e23", "100e1e24"
MOST = WINDOW + WINDOW // 4
"""What the window may grow to before the oldest are let go."""

SIGHTS = st.tuples(st.text(max_size=3), st.sampled_from([A, B]), st.sampled_from(["ANNT", "ALRS"]))


def new_ones(dedup: Dedup, identities: Iterable[str], camera_id: str = A) -> list[str]:
    """Those of the identities that had not been seen."""
    return [identity for identity in identities if not dedup.seen(identity, camera_id, "ANNT")]


def numbered(count: int, name: str = "u") -> list[str]:
    """That many identities."""
    return [f"{name}{i}" for i in range(count)]


@given(st.lists(SIGHTS), st.randoms())
def test_any_shuffle_with_repeats_leaves_each_identity_once(sights: list[tuple[str, str, str]], random: Random) -> None:
    repeated = sights * 3
    random.shuffle(repeated)
    dedup = Dedup()
    passed = [identity for identity, camera_id, four_cc in repeated if not dedup.seen(identity, camera_id, four_cc)]
    assert sorted(passed) == sorted({identity for identity, _, _ in sights})
    assert passed == list(dict.fromkeys(identity for identity, _, _ in repeated)), (
        "and it is the first sight that passes"
    )
    assert len(dedup) == len(passed)


class Told:
    """Dedup as the design words it: the identities in the order of their last sight, and the latest of each kind."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.order: dict[str, None] = {}
        self.latest: dict[tuple[str, str], str] = {}

    def seen(self, identity: str, camera_id: str, four_cc: str) -> tuple[bool, bool]:
        """Whether the identity must be known, and whether it may be."""
        may = identity in self.order
        must = identity in islice(reversed(self.order), self.window)
        must = must or self.latest.get((camera_id, four_cc)) == identity
        self.order.pop(identity, None)
        self.order[identity] = None
        self.latest[camera_id, four_cc] = identity
        return must, may


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 12))
def test_what_must_be_known_is_known_and_nothing_else_ever(seed: int, window: int, restored: int) -> None:
    dedup, told, random = Dedup(window), Told(window), Random(seed)
    known = [f"u{random.randrange(60)}" for _ in range(restored)]
    dedup.restore(known)
    for identity in known:
        told.seen(identity, "none", "none")
    for step in range(300):
        flood = numbered(2_000, f"{step}-") if step % 100 == 50 else []
        for identity in (*flood, f"u{random.randrange(60)}"):
            camera_id, four_cc = random.choice([A, B]), random.choice(["ANNT", "ALRS"])
            must, may = told.seen(identity, camera_id, four_cc)
            seen = dedup.seen(identity, camera_id, four_cc)
            assert seen or not must
            assert may or not seen


def test_the_window_is_200_000_and_memory_is_bounded() -> None:
    assert WINDOW == 200_000
    dedup, first = Dedup(), numbered(WINDOW)
    assert new_ones(dedup, first) == first
    assert new_ones(dedup, first) == [], "the oldest of a full window is still known"
    later = numbered(MOST, "v")
    largest = 0
    for identity in later:
        assert not dedup.seen(identity, A, "ANNT")
        largest = max(largest, len(dedup))
    assert WINDOW < largest <= MOST
    assert new_ones(dedup, first[:100]) == first[:100], "what left the window is new again"
    assert new_ones(dedup, later[-WINDOW + 100 :]) == [], "a hundred have come since"


def test_a_repeat_renews_its_identity() -> None:
    dedup = Dedup()
    new_ones(dedup, ["kept", "left"], B)
    new_ones(dedup, ["latest"], B)
    for start in range(0, 2 * MOST, 100_000):
        new_ones(dedup, numbered(100_000, f"{start}-"))
        assert dedup.seen("kept", A, "ANNT")
    assert new_ones(dedup, ["kept", "left"], A) == ["left"]


def test_what_repeats_push_back_is_not_forgotten() -> None:
    dedup, repeated = Dedup(window=80), numbered(19)
    for number in range(40):
        new_ones(dedup, [f"once-{number}", *repeated])
    assert new_ones(dedup, [f"once-{number}" for number in range(40)]) == []


def test_the_latest_of_each_camera_and_four_cc_is_never_forgotten() -> None:
    dedup = Dedup()
    cameras = [f"{i:08x}" for i in range(50)]
    for camera_id in cameras:
        for four_cc in ("ANNT", "ALRS"):
            for turn in ("old", "repeated", "latest", "repeated"):
                dedup.seen(f"{turn}-{four_cc}-{camera_id}", camera_id, four_cc)
    flood = numbered(MOST)
    assert new_ones(dedup, flood) == flood
    for camera_id in cameras:
        for four_cc in ("ANNT", "ALRS"):
            assert dedup.seen(f"repeated-{four_cc}-{camera_id}", camera_id, four_cc), "the latest sight was a repeat"
    for camera_id in cameras:
        assert not dedup.seen(f"latest-ANNT-{camera_id}", camera_id, "ANNT")
        assert not dedup.seen(f"old-ALRS-{camera_id}", camera_id, "ALRS")
    assert new_ones(dedup, flood[-1:]) == []


def test_a_latest_that_was_seen_only_once_is_not_forgotten_either() -> None:
    dedup = Dedup()
    assert new_ones(dedup, ["once"], B) == ["once"]
    new_ones(dedup, numbered(MOST))
    assert "once" not in dedup
    assert new_ones(dedup, ["once"], B) == []


def test_what_was_read_from_disk_is_known() -> None:
    dedup = Dedup(window=10)
    dedup.restore(numbered(30))
    assert new_ones(dedup, numbered(30)[20:]) == []
    assert new_ones(dedup, ["u9"]) == ["u9"]
    dedup.restore_latest(B, "ANNT", "u3")
    assert not dedup.seen("u4", B, "ALRS")
    assert dedup.seen("u3", B, "ANNT")
    renewed = Dedup(window=2)
    renewed.restore(["a", "b", "c", "d", "e", "a"])
    assert new_ones(renewed, ["e", "a", "b"]) == ["b"], "the last occurrence on disk counts"


def test_identities_that_look_alike_are_told_apart() -> None:
    alike = ["\ud800", "\ud801", "?", "\ufffd", "8D5E", "8d5e", "8d5e ", "x" * 255, "x" * 256]
    assert new_ones(Dedup(), alike * 2) == alike


def test_the_latest_can_be_asked_for() -> None:
    dedup = Dedup()
    dedup.restore_latest(A, "ANNT", "x")
    new_ones(dedup, ["y", "z", "y"], B)
    dedup.seen("z", A, "ALRS")
    assert set(dedup.latest()) == {(A, "ANNT", "x"), (B, "ANNT", "y"), (A, "ALRS", "z")}
    assert "y" in dedup
    assert "w" not in dedup
