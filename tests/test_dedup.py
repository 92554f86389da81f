"""Dedup knows what the two identity logs hold, and the latest of each camera and four-CC."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from eelogger.measure.dedup import GENERATION, Dedup

A, B = "100e1e23", "100e1e24"
SIGHTS = st.tuples(st.text(max_size=2), st.sampled_from([A, B]), st.sampled_from(["ANNT", "ALRS"]))


def new_ones(dedup: Dedup, identities: Iterable[str], camera_id: str = A) -> list[str]:
    """Those of the identities that had not been seen."""
    return [identity for identity in identities if not dedup.seen(identity, camera_id, "ANNT")]


def numbered(count: int, name: str = "u") -> list[str]:
    """That many identities."""
    return [f"{name}{i}" for i in range(count)]


class IdentityLogs:
    """The two files as the writer keeps them: a line for each first sight, rotated when one is full."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.current: list[str] = []
        self.old: list[str] = []

    def write(self, identity: str) -> None:
        self.current.append(identity)
        if len(self.current) >= self.limit:
            self.old, self.current = self.current, []

    def read(self) -> Dedup:
        """What the next start knows."""
        dedup = Dedup(self.limit)
        dedup.restore(self.old)
        dedup.turn()
        dedup.restore(self.current)
        return dedup


@given(st.lists(SIGHTS), st.randoms())
def test_any_shuffle_with_repeats_leaves_each_identity_once(sights: list[tuple[str, str, str]], random: Random) -> None:
    repeated = sights * 3
    random.shuffle(repeated)
    dedup = Dedup()
    passed = [identity for identity, camera_id, four_cc in repeated if not dedup.seen(identity, camera_id, four_cc)]
    assert passed == list(dict.fromkeys(identity for identity, _, _ in repeated)), "it is the first sight that passes"
    assert len(dedup) == len(passed)


@given(st.lists(SIGHTS, max_size=120), st.integers(1, 6))
def test_known_is_what_the_identity_logs_hold_and_the_latest_of_each_kind(
    sights: list[tuple[str, str, str]], limit: int
) -> None:
    dedup, logs = Dedup(limit), IdentityLogs(limit)
    latest: dict[tuple[str, str], str] = {}
    for identity, camera_id, four_cc in sights:
        expected = identity in {*logs.old, *logs.current} or latest.get((camera_id, four_cc)) == identity
        assert dedup.seen(identity, camera_id, four_cc) is expected
        latest[camera_id, four_cc] = identity
        if not expected:
            logs.write(identity)
        restarted = logs.read()
        for known in (dedup, restarted):
            assert len(known) == len(logs.old) + len(logs.current)
            assert all(line in known for line in [*logs.old, *logs.current])
    # A restart behaves the same from here on, also in when it forgets.
    restarted = logs.read()
    for identity in numbered(2 * limit):
        assert restarted.seen(identity, "other", "EMES") is dedup.seen(identity, "other", "EMES")
        assert len(restarted) == len(dedup)


def test_two_generations_of_100_000_are_known() -> None:
    assert GENERATION == 100_000
    dedup, first, second = Dedup(), numbered(GENERATION), numbered(GENERATION - 1, "v")
    assert new_ones(dedup, [*first, *second]) == [*first, *second]
    assert len(dedup) == 2 * GENERATION - 1
    assert new_ones(dedup, ["one more"], B) == ["one more"]
    assert len(dedup) == GENERATION, "both logs are full: the older one is gone"


def test_logs_that_are_shorter_or_longer_than_the_limit_are_read_as_they_are() -> None:
    dedup = Dedup(10)
    dedup.restore(["a", "b", "b", "a"])
    assert len(dedup) == 2
    dedup.turn()
    dedup.turn()
    dedup.restore(numbered(9))
    assert "a" in dedup, "an empty generation is none"
    dedup.restore(["u0", "a"])
    assert len(dedup) == 11, "a line that is known already counts once"
    dedup.restore(numbered(10, "v"))
    assert "a" not in dedup
    assert len(dedup) == 10 + 9


def test_identities_that_look_alike_are_told_apart() -> None:
    alike = ["\ud800", "\ud801", "?", "\ufffd", "8D5E", "8d5e", "8d5e ", "x" * 255, "x" * 256]
    assert new_ones(Dedup(), alike * 2) == alike
