"""Dedup knows what the two identity logs hold, and the latest of each camera and four-CC."""

from hypothesis import given, strategies as st

from eelogger.measure.handler import GENERATION, Dedup

A, B = "100e1e23", "100e1e24"
ALIKE = ["\ud800", "\ud801", "?", "\ufffd"]
SIGHTS = st.tuples(
    st.text(max_size=2) | st.sampled_from(ALIKE), st.sampled_from([A, B]), st.sampled_from(["ANNT", "ALRS"])
)


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
        for known in (dedup, logs.read()):
            assert {sight[0] for sight in sights if sight[0] in known} == {*logs.old, *logs.current}
    # A restart behaves the same from here on, also in when it forgets.
    restarted = logs.read()
    for identity in map(str, range(2 * limit)):
        assert restarted.seen(identity, "other", "EMES") is dedup.seen(identity, "other", "EMES")
        assert all((sight[0] in restarted) is (sight[0] in dedup) for sight in sights)


def test_two_generations_of_100_000_are_known() -> None:
    assert GENERATION == 100_000
    dedup = Dedup()
    for number in range(2 * GENERATION - 1):
        assert not dedup.seen(f"u{number}", A, "ANNT")
    assert "u0" in dedup
    assert not dedup.seen("one more", B, "ANNT")
    assert ("u99999" in dedup, "u100000" in dedup) == (False, True), "both logs are full: the older one is gone"
