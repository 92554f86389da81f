"""The gaps are exactly when nothing was watched, cut at midnight; the share is what is left of the day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.measure.coverage import ADDED, STARTED, Coverage, covered_us, is_missed
from eelogger.model import Gap

A, B = "100e1e23", "100e1e24"
WHOLE = ""
SPAN = 40
"""The brute-force model counts these many moments one by one."""


class Watched:
    """What is known, moment by moment: whether nothing is seen, and of which cameras nothing is."""

    def __init__(self) -> None:
        self.blind: dict[str, list[bool]] = {WHOLE: [], A: [], B: []}
        self.now = dict.fromkeys(self.blind, False)

    def until(self, moment: int) -> None:
        """Let time pass."""
        for who, moments in self.blind.items():
            moments.extend([self.now[who]] * (moment - len(moments)))

    def is_blind(self, who: str, moment: int) -> bool:
        """Whether the account, or this camera, was not watched then."""
        return self.blind[WHOLE][moment] or (who != WHOLE and self.blind[who][moment])


ACTIONS = st.sampled_from(
    ["lost", "begun", "midnight", *(f"{what} {camera}" for what in ("lost", "begun") for camera in (A, B))]
)
STORIES = st.lists(st.tuples(st.integers(0, SPAN - 1), ACTIONS), max_size=12).map(sorted)


def days(story: list[tuple[int, str]]) -> Iterator[tuple[Coverage, Watched, list[Gap], range]]:
    """Play a story; at the end of each of its days: the coverage, the model, the day's gap lines and its moments."""
    coverage, watched, lines, began = Coverage(0), Watched(), list[Gap](), 0
    for moment, action in [*story, (SPAN, "midnight")]:
        watched.until(moment)
        what, _, camera = action.partition(" ")
        if action == "midnight":
            before = coverage.frozen()
            yield before, watched, lines + coverage.midnight(moment), range(began, moment)
            lines, began = [], moment
        elif action == "lost":
            coverage.open_gap(moment, "closed-1001")
            watched.now[WHOLE] = True
        elif action == "begun":
            lines += coverage.close_camera_gaps(moment)
            lines += filter(None, [coverage.close_gap(moment)])
            watched.now = dict.fromkeys(watched.now, False)
        elif what == "lost":
            coverage.open_camera_gap(camera, moment, "error-404")
            watched.now[camera] = True
        elif not watched.now[WHOLE]:
            lines.append(coverage.close_camera_gap(camera, moment))
            watched.now[camera] = False
        assert (coverage.blind_since_us is not None) is watched.now[WHOLE]


@given(STORIES)
@example([(1, f"lost {A}"), (5, "lost"), (9, "begun")])
@example([(1, f"lost {A}"), (5, "lost"), (7, "midnight"), (9, "begun")])
def test_the_gap_lines_of_each_day_are_when_nothing_was_watched(story: list[tuple[int, str]]) -> None:
    for _, watched, lines, day in days(story):
        for who in (WHOLE, A, B):
            told = [gap for gap in lines if gap.camera_id in (WHOLE, who)]
            assert all(day.start <= gap.from_us <= gap.to_us <= day.stop for gap in told)
            covered = [any(gap.from_us <= moment < gap.to_us for gap in told) for moment in day]
            assert covered == [watched.is_blind(who, moment) for moment in day]


@given(STORIES, st.integers(0, SPAN), st.integers(0, SPAN))
@example([(1, f"lost {A}"), (9, f"begun {A}")], 0, SPAN)
@example([(1, f"lost {A}"), (5, "lost"), (9, "begun")], 0, SPAN)
def test_the_share_of_each_day_is_that_of_the_watched_moments(
    story: list[tuple[int, str]], start: int, end: int
) -> None:
    for coverage, watched, lines, day in days(story):
        restored = Coverage(0)
        for gap in lines:
            restored.restore(gap)
        moments = day[start:end]
        for who in (WHOLE, A, B):
            seen = sum(not watched.is_blind(who, moment) for moment in moments)
            expected = pytest.approx(seen / len(moments) if moments else 1.0)
            # Until its lines are written, a day's open gaps reach up to the moment that is asked for.
            assert coverage.observed_share(moments.start, moments.stop, who) == expected
            assert restored.observed_share(moments.start, moments.stop, who) == expected
        assert restored.gaps == [gap for gap in lines if gap.to_us > gap.from_us]


@given(st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 45))), st.integers(0, SPAN), st.integers(0, SPAN))
def test_overlaps_are_covered_once(spans: list[tuple[int, int]], start: int, end: int) -> None:
    expected = sum(any(a <= moment < b for a, b in spans) for moment in range(start, end))
    assert covered_us(spans, start, max(start, end)) == expected


def test_the_first_of_several_causes_counts() -> None:
    coverage = Coverage(0)
    coverage.open_gap(10, "no-pong")
    coverage.open_gap(20, "dns")
    coverage.open_camera_gap(A, 12, "error-404")
    coverage.open_camera_gap(A, 13, "error-410")
    assert coverage.close_camera_gaps(30) == [Gap("gap", 12, 30, "error-404", A)]
    assert coverage.close_gap(30) == Gap("gap", 10, 30, "no-pong")
    assert coverage.close_gap(40) is None


def test_an_outage_without_length_has_a_line_and_missed_nothing() -> None:
    coverage = Coverage(0)
    coverage.open_gap(10, "closed-1001")
    assert coverage.close_gap(10) == Gap("gap", 10, 10, "closed-1001")
    assert coverage.gaps == []


def test_a_frozen_day_does_not_change_when_its_gaps_go_on_after_midnight() -> None:
    coverage = Coverage(0)
    coverage.open_gap(2, "first")
    coverage.close_gap(4)
    coverage.open_camera_gap(A, 5, "error-404")
    coverage.open_gap(8, "stopped")
    copy = coverage.frozen()
    before = copy.gaps, copy.blind_since_us, copy.observed_share(0, 10), copy.observed_share(0, 10, A)
    assert coverage.midnight(10) == [Gap("gap", 8, 10, "stopped"), Gap("gap", 5, 10, "error-404", A)]
    assert coverage.gaps == coverage.midnight(10) == [], "nothing of the new day has passed"
    assert coverage.close_camera_gaps(15) == [Gap("gap", 10, 15, "error-404", A)]
    assert coverage.close_gap(15) == Gap("gap", 10, 15, "stopped"), "the same cause in two lines"
    coverage.open_camera_gap(B, 16, "error-404")
    assert (copy.gaps, copy.blind_since_us, copy.observed_share(0, 10), copy.observed_share(0, 10, A)) == before
    assert copy.observed_share(0, 20, B) == pytest.approx(0.3)


def test_the_moments_of_the_very_first_start_are_not_missed() -> None:
    coverage = Coverage(since_us=100)
    coverage.open_gap(100, STARTED)
    assert coverage.blind_since_us == 100
    assert coverage.observed_share(0, 200) == 0.0, "nothing has been observed so far"
    assert coverage.close_gap(150) == Gap("gap", 100, 150, STARTED), "the line is there, replay needs the subscription"
    assert coverage.gaps == []
    assert coverage.observed_share(0, 200) == 1.0
    coverage.open_gap(150, "closed-1001")
    assert coverage.observed_share(0, 200) == pytest.approx(0.5), "only from `since` on was it meant to be observed"
    assert coverage.observed_share(0, 100) == coverage.observed_share(200, 200) == 1.0


def test_a_new_camera_has_a_line_without_length_and_a_gone_one_none() -> None:
    coverage = Coverage(0)
    assert coverage.close_camera_gap(A, 10) == Gap("gap", 10, 10, ADDED, A)
    assert coverage.gaps == []
    coverage.open_camera_gap(A, 20, "error-404")
    coverage.camera_gone(A)
    coverage.camera_gone(B)
    assert coverage.close_camera_gaps(30) == []
    assert coverage.observed_share(0, 30, A) == 1.0


@pytest.mark.parametrize("kind", ["suspend", "clock-step", "backlog"])
def test_other_kinds_are_shown_and_blind_nobody(kind: str) -> None:
    coverage = Coverage(0)
    coverage.restore(Gap(kind, 10, 20, "reason"))
    assert coverage.gaps == [Gap(kind, 10, 20, "reason")]
    assert coverage.observed_share(0, 100) == 1.0


def test_what_is_blind_at_a_start_was_not_before_the_end_of_the_last_gap_on_record() -> None:
    """`.state` may be older than `gaps.log`: a time in which something was observed would count as missed, twice."""
    coverage = Coverage(0)
    coverage.open_gap(10, "died")
    for gap in (
        Gap("gap", 5, 20, "closed-1001"),
        Gap("suspend", 20, 29, "sleep"),
        Gap("gap", 20, 28, "error-404", A),
        Gap("gap", 12, 15, "stopped"),
    ):
        coverage.restore(gap)
    assert coverage.close_gap(30) == Gap("gap", 20, 30, "died")


def test_a_clock_put_back_makes_no_gap_that_ends_before_it_begins() -> None:
    coverage = Coverage(0)
    coverage.open_gap(50, "no-pong")
    coverage.open_camera_gap(A, 50, "error-404")
    coverage.open_camera_gap(B, 50, "error-404")
    assert coverage.close_camera_gap(A, 20) == Gap("gap", 20, 20, "error-404", A)
    assert coverage.close_camera_gaps(30) == [Gap("gap", 30, 30, "error-404", B)]
    coverage.restore(Gap("gap", 5, 60, "a clock that was put back since"))
    assert coverage.close_gap(40) == Gap("gap", 40, 40, "no-pong")
    assert len(coverage.gaps) == 1


def test_a_bridge_is_observed_as_much_as_all_its_cameras_are() -> None:
    coverage = Coverage(0)
    coverage.open_gap(0, "no-pong")
    coverage.close_gap(20)
    coverage.open_camera_gap(A, 20, "error-404")
    coverage.close_camera_gap(A, 60)
    coverage.open_camera_gap(B, 50, "error-410")
    cameras = {A: 0.4, B: 0.3, "100e1e25": 0.8, "100e1e26": 0.8}
    share = coverage.shares(0, 100)
    for camera_id, expected in {**cameras, WHOLE: 0.8}.items():
        assert share(camera_id) == coverage.observed_share(0, 100, camera_id) == pytest.approx(expected)
    assert coverage.observed_shares(0, 100, cameras) == pytest.approx((0.4 + 0.3 + 0.8 + 0.8) / 4)
    assert coverage.observed_shares(0, 100, []) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("reason", "seconds", "missed"),
    [(ADDED, 0, False), (ADDED, 99, False), (STARTED, 60, False), (STARTED, 60.000001, True), ("no-pong", 0, True)],
)
def test_what_may_have_been_missed(reason: str, seconds: float, missed: bool) -> None:
    assert is_missed(Gap("gap", 5, 5 + round(seconds * 1e6), reason)) is missed
