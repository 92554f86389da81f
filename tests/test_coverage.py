"""The gaps are exactly when nothing was watched, cut at midnight; the share is what is left of the day."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, strategies as st

from eelogger.measure.coverage import ADDED, STARTED, Coverage, is_missed
from eelogger.model import Gap

A, B = "100e1e23", "100e1e24"
WHOLE = ""
SPAN = 40  # the brute-force model counts these many moments one by one


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
            ended, (coverage, halves) = coverage, coverage.next_day(moment)
            yield ended, watched, lines + halves, range(began, moment)
            lines, began = [], moment
        elif action == "lost":
            coverage.open_gap(moment, "closed-1001")
            watched.now[WHOLE] = True
        elif action == "begun":
            lines += coverage.close_gaps(moment)
            watched.now = dict.fromkeys(watched.now, False)
        elif what == "lost":
            coverage.open_gap(moment, "error-404", camera)
            watched.now[camera] = True
        elif not watched.now[WHOLE]:
            lines += coverage.close_gaps(moment, [camera])
            watched.now[camera] = False
        assert coverage.blind.keys() == {who for who, is_blind in watched.now.items() if is_blind}


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
            assert coverage.shares(moments.start, moments.stop)(who) == expected
        assert restored.gaps == [gap for gap in lines if gap.to_us > gap.from_us]


def test_a_gap_over_midnight_keeps_its_reason_which_is_the_first_of_several() -> None:
    coverage = Coverage(0)
    for at_us, reason, camera_id in ((5, "error-404", A), (8, "stopped", ""), (9, "dns", ""), (9, "error-410", A)):
        coverage.open_gap(at_us, reason, camera_id)
    next_day, halves = coverage.next_day(10)
    assert halves == [Gap("gap", 8, 10, "stopped"), Gap("gap", 5, 10, "error-404", A)]
    assert next_day.close_gaps(15) == [Gap("gap", 10, 15, "stopped"), Gap("gap", 10, 15, "error-404", A)]
    assert coverage.observed_share(0, 10) == pytest.approx(0.8), "the day that ended stays as it is"


def test_the_moments_of_the_very_first_start_are_not_missed() -> None:
    coverage = Coverage(since_us=100)
    coverage.open_gap(100, STARTED)
    (gap,) = coverage.close_gaps(150)
    assert gap == Gap("gap", 100, 150, STARTED), "the line is there, replay needs the subscription"
    assert coverage.gaps == []
    assert coverage.observed_share(0, 200) == 1.0
    coverage.open_gap(150, "closed-1001")
    assert coverage.observed_share(0, 200) == pytest.approx(0.5), "only from `since` on was it meant to be observed"
    assert coverage.observed_share(0, 100) == coverage.observed_share(200, 200) == 1.0


def test_a_new_camera_has_a_line_without_length() -> None:
    coverage = Coverage(0)
    assert coverage.close_gaps(10, [A]) == [Gap("gap", 10, 10, ADDED, A)]
    assert coverage.gaps == []


def test_other_kinds_are_shown_without_length_too_and_blind_nobody() -> None:
    coverage = Coverage(0)
    others = [Gap("suspend", 10, 20, "sleep"), Gap("clock-step", 15, 15, "put back")]
    for gap in others:
        coverage.restore(gap)
    assert (coverage.gaps, coverage.observed_share(0, 100)) == (others, 1.0)


def test_what_is_blind_at_a_start_was_not_before_the_end_of_the_last_gap_on_record() -> None:
    """`.state` may be older than `gaps.log`: a time in which something was observed would count as missed, twice."""
    coverage = Coverage(0)
    coverage.open_gap(10, "died")
    coverage.restore(Gap("gap", 5, 20, "closed-1001"))
    coverage.restore(Gap("suspend", 20, 29, "sleep"))
    coverage.restore(Gap("gap", 20, 28, "error-404", A))
    coverage.restore(Gap("gap", 12, 15, "stopped"))
    assert coverage.close_gaps(30) == [Gap("gap", 20, 30, "died")]


def test_a_clock_put_back_makes_no_gap_that_ends_before_it_begins() -> None:
    coverage = Coverage(0)
    coverage.open_gap(50, "no-pong")
    coverage.restore(Gap("gap", 5, 60, "a clock that was put back since"))
    next_day, halves = coverage.next_day(40)
    assert (halves, next_day.blind) == ([], coverage.blind)
    assert coverage.close_gaps(40) == [Gap("gap", 40, 40, "no-pong")]
    assert len(coverage.gaps) == 1


def test_what_may_have_been_missed() -> None:
    for reason, us, missed in (
        (ADDED, 99_000_000, False), (STARTED, 60_000_000, False), (STARTED, 60_000_001, True), ("no-pong", 0, True),
    ):  # fmt: skip
        assert is_missed(Gap("gap", 5, 5 + us, reason)) is missed
