"""Observation: the gaps are exactly when nothing was watched, cut at midnight; the share is what is left of the day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.figures.observation import ADDED, STARTED, Observation, covered_us
from eelogger.model import Gap

A, B = "100e1e23", "100e1e24"
WHOLE = ""
SPAN = 40
"""The brute-force model counts these many moments one by one."""


class Watched:
    """What an observation knows, moment by moment: whether nothing is seen, and of which cameras nothing is."""

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


def live(story: list[tuple[int, str]]) -> Iterator[tuple[Observation, Watched, list[Gap], int]]:
    """Play a story; after each of its days: the observation, the model, the day's gap lines and where the day began."""
    observation, watched, lines, began = Observation(0), Watched(), list[Gap](), 0
    for moment, action in [*story, (SPAN, "midnight")]:
        watched.until(moment)
        what, _, camera = action.partition(" ")
        if action == "midnight":
            yield observation, watched, lines + observation.midnight(moment), began
            lines, began = [], moment
        elif action == "lost":
            observation.lost(moment, "closed-1001")
            watched.now[WHOLE] = True
        elif action == "begun":
            lines += observation.cameras_begun(moment)
            ended = observation.begun(moment)
            lines += [ended] if ended else []
            watched.now = dict.fromkeys(watched.now, False)
        elif what == "lost":
            observation.camera_lost(camera, moment, "error-404")
            watched.now[camera] = True
        elif not watched.now[WHOLE]:
            lines.append(observation.camera_begun(camera, moment))
            watched.now[camera] = False


@given(STORIES)
@example([(1, f"lost {A}"), (5, "lost"), (9, "begun")])
@example([(1, f"lost {A}"), (5, "lost"), (7, "midnight"), (9, "begun")])
def test_the_gap_lines_of_each_day_are_when_nothing_was_watched(story: list[tuple[int, str]]) -> None:
    for _, watched, lines, began in live(story):
        end = len(watched.blind[WHOLE])
        for who in (WHOLE, A, B):
            told = [gap for gap in lines if gap.camera_id in (WHOLE, who)]
            assert all(began <= gap.from_us <= gap.to_us <= end for gap in told)
            covered = [any(gap.from_us <= moment < gap.to_us for gap in told) for moment in range(began, end)]
            assert covered == [watched.is_blind(who, moment) for moment in range(began, end)]


@given(STORIES, st.integers(0, SPAN), st.integers(0, SPAN), st.sampled_from([WHOLE, A, B]))
@example([(1, f"lost {A}"), (9, "begun")], 0, SPAN, A)
@example([(1, f"lost {A}"), (5, "lost"), (9, "begun")], 0, SPAN, A)
def test_the_share_is_that_of_the_watched_moments(story: list[tuple[int, str]], start: int, end: int, who: str) -> None:
    observation, watched = Observation(0), Watched()
    for moment, action in story:
        watched.until(moment)
        what, _, camera = action.partition(" ")
        if action == "lost":
            observation.lost(moment, "no-pong")
            watched.now[WHOLE] = True
        elif action == "begun":
            observation.begun(moment)
            watched.now = dict.fromkeys(watched.now, False)
        elif what == "lost":
            observation.camera_lost(camera, moment, "error-410")
            watched.now[camera] = True
        elif what == "begun" and not watched.now[WHOLE]:
            observation.camera_begun(camera, moment)
            watched.now[camera] = False
    watched.until(SPAN)
    assert (observation.blind_since_us is not None) is watched.now[WHOLE]
    moments = range(start, end)
    seen = sum(not watched.is_blind(who, moment) for moment in moments)
    expected = seen / len(moments) if moments else 1.0
    assert observation.observed_share(start, end, who) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 45))), st.integers(0, SPAN), st.integers(0, SPAN))
def test_overlaps_are_covered_once(spans: list[tuple[int, int]], start: int, end: int) -> None:
    expected = sum(any(a <= moment < b for a, b in spans) for moment in range(start, end))
    assert covered_us(spans, start, max(start, end)) == expected


@given(STORIES)
def test_gaps_read_back_from_disk_give_the_same_share(story: list[tuple[int, str]]) -> None:
    observation, lines = Observation(0), list[Gap]()
    for moment, action in story:
        if action == "lost":
            observation.lost(moment, "closed-1006")
        elif action == "begun":
            lines += [*observation.cameras_begun(moment), *filter(None, [observation.begun(moment)])]
        elif action == f"lost {A}":
            observation.camera_lost(A, moment, "error-404")
    observation.begun(SPAN)
    restored = Observation(0)
    for line in [*lines, *(gap for gap in observation.gaps if gap not in lines)]:
        restored.restore(line)
    for who in (WHOLE, A, B):
        assert restored.observed_share(0, SPAN, who) == observation.observed_share(0, SPAN, who)
    assert restored.gaps == [gap for gap in restored.gaps if gap.to_us > gap.from_us]


def test_the_first_of_several_causes_counts() -> None:
    observation = Observation(0)
    observation.lost(10, "no-pong")
    observation.lost(20, "dns")
    observation.camera_lost(A, 12, "error-404")
    observation.camera_lost(A, 13, "error-410")
    assert observation.cameras_begun(30) == [Gap("gap", 12, 30, "error-404", A)]
    assert observation.begun(30) == Gap("gap", 10, 30, "no-pong")
    assert observation.begun(40) is None


def test_an_outage_without_length_has_a_line_and_missed_nothing() -> None:
    observation = Observation(0)
    observation.lost(10, "closed-1001")
    assert observation.begun(10) == Gap("gap", 10, 10, "closed-1001")
    assert observation.gaps == []


def test_a_gap_across_midnight_is_two_lines_and_the_days_share_nothing() -> None:
    observation = Observation(0)
    observation.lost(2, "first")
    observation.begun(4)
    observation.camera_lost(A, 5, "error-404")
    observation.lost(8, "stopped")
    assert observation.observed_share(0, 10) == pytest.approx(0.6)
    assert observation.observed_share(0, 10, A) == pytest.approx(0.3)
    assert observation.midnight(10) == [Gap("gap", 8, 10, "stopped"), Gap("gap", 5, 10, "error-404", A)]
    assert observation.gaps == []
    assert observation.midnight(10) == [], "nothing of the new day has passed"
    assert observation.cameras_begun(15) == [Gap("gap", 10, 15, "error-404", A)]
    assert observation.begun(15) == Gap("gap", 10, 15, "stopped")
    assert observation.observed_share(10, 20) == pytest.approx(0.5)


def test_a_copy_as_it_stands_does_not_change() -> None:
    observation = Observation(0)
    observation.lost(2, "first")
    observation.begun(4)
    observation.camera_lost(A, 5, "error-404")
    observation.lost(8, "stopped")
    copy = observation.as_it_stands()
    before = copy.gaps, copy.blind_since_us, copy.observed_share(0, 10), copy.observed_share(0, 10, A)
    observation.begun(9)
    observation.midnight(10)
    observation.camera_lost(B, 13, "error-404")
    assert (copy.gaps, copy.blind_since_us, copy.observed_share(0, 10), copy.observed_share(0, 10, A)) == before
    assert copy.observed_share(0, 20, B) == pytest.approx(0.3)


def test_a_very_first_start_that_takes_a_minute_is_none() -> None:
    began_us = 1_795_000_000_000_000
    observation = Observation(since_us=began_us)
    observation.lost(began_us, STARTED)
    observation.begun(began_us + 60_000_000)
    assert observation.gaps == []


def test_a_very_first_start_that_takes_longer_is_an_outage() -> None:
    observation = Observation(since_us=0)
    observation.lost(0, STARTED)
    observation.begun(60_000_001)
    assert len(observation.gaps) == 1
    assert observation.observed_share(0, 2 * 60_000_001) == pytest.approx(0.5)


def test_the_moments_of_the_very_first_start_are_not_missed() -> None:
    observation = Observation(since_us=100)
    observation.lost(100, STARTED)
    assert observation.blind_since_us == 100
    assert observation.observed_share(0, 200) == 0.0, "nothing has been observed so far"
    assert observation.begun(150) == Gap("gap", 100, 150, STARTED), "the line is there, replay needs the subscription"
    assert observation.gaps == []
    assert observation.observed_share(0, 200) == 1.0
    observation.lost(150, "closed-1001")
    assert observation.observed_share(0, 200) == pytest.approx(0.5), "only from `since` on was it meant to be observed"
    assert observation.observed_share(0, 100) == observation.observed_share(200, 200) == 1.0


def test_a_new_camera_has_a_line_without_length_and_a_gone_one_none() -> None:
    observation = Observation(0)
    assert observation.camera_begun(A, 10) == Gap("gap", 10, 10, ADDED, A)
    assert observation.gaps == []
    observation.camera_lost(A, 20, "error-404")
    observation.camera_gone(A)
    observation.camera_gone(B)
    assert observation.cameras_begun(30) == []
    assert observation.observed_share(0, 30, A) == 1.0


@pytest.mark.parametrize("kind", ["suspend", "clock-step", "backlog"])
def test_other_kinds_are_shown_and_blind_nobody(kind: str) -> None:
    observation = Observation(0)
    observation.restore(Gap(kind, 10, 20, "reason"))
    assert observation.gaps == [Gap(kind, 10, 20, "reason")]
    assert observation.observed_share(0, 100) == 1.0


def test_what_is_blind_at_a_start_was_not_before_the_end_of_the_last_gap_on_record() -> None:
    """`.state` may be older than `gaps.log`: a time in which something was observed would count as missed, twice."""
    observation = Observation(0)
    observation.lost(10, "died")
    for gap in (
        Gap("gap", 5, 20, "closed-1001"),
        Gap("suspend", 20, 29, "sleep"),
        Gap("gap", 20, 28, "error-404", A),
        Gap("gap", 12, 15, "stopped"),
    ):
        observation.restore(gap)
    assert observation.begun(30) == Gap("gap", 20, 30, "died")


def test_a_gap_ends_no_earlier_than_it_began() -> None:
    observation = Observation(0)
    observation.lost(10, "died")
    observation.restore(Gap("gap", 5, 50, "a clock that was put back since"))
    assert observation.begun(30) == Gap("gap", 30, 30, "died")
