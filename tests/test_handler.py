"""Every value gets the verdict that the order of judgement demands, each rule at both its ends."""

from collections.abc import Container
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, strategies as st

from eelogger.measure.camera_statistics import Day
from eelogger.measure.handler import Handler
from eelogger.model import DUPLICATE, EARLY, IGNORED, INITIAL, MEASURED, NAMESPACES, UNDATED, UNIDENTIFIED, Verdict

A, B = "100e1e23", "100e1e24"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SUB = 1_795_338_440_000_000  # when the cameras were subscribed
SECOND = 1_000_000
EVENTS = ("ANNT", "ALRS")  # below, times are seconds after the subscription
US = 1 / SECOND


def us(seconds: float) -> int:
    return SUB + round(seconds * SECOND)


def stamp(moment_us: int) -> str:
    return (EPOCH + timedelta(microseconds=moment_us)).strftime("%Y%m%d%H%M%S.%f")


def annt(uuid: object, dated: float | None = 1, **more: object) -> dict[str, Any]:
    """An annotation; `dated` in seconds after the subscription, None when it has no timestamp."""
    return {"type": "ANNT", "uuid": uuid, "ns": 103, "timestamp": None if dated is None else stamp(us(dated)), **more}


def alrs(eventid: object, dated: float | None = 1, **more: object) -> dict[str, Any]:
    """An alert, which has an event id and no uuid."""
    return {"type": "ALRS", "eventid": eventid, "timestamp": None if dated is None else stamp(us(dated)), **more}


class Came(NamedTuple):
    """An event that arrived so many seconds after the subscription, and what it is expected to be."""

    at: float
    event: dict[str, Any]
    kind: str
    camera_id: str = A


# What the property below cannot meet: no identity, and both ends of each border.
STORIES: dict[str, list[Came]] = {
    "no identity comes before no date": [
        Came(2, annt(None, None), UNIDENTIFIED), Came(2, annt("", 1), UNIDENTIFIED),
        Came(2, alrs(None, None), UNIDENTIFIED),
    ],
    "an alert is told apart by four-CC, camera, id and timestamp": [
        Came(3, alrs(-1, 1), MEASURED), Came(3, alrs(4_294_967_295, 1), DUPLICATE), Came(3, alrs(-2, 1), MEASURED),
        Came(3, alrs(-1, 2), MEASURED), Came(3, alrs(-1, 1), MEASURED, B),
    ],
    "early comes before initial": [Came(-5, annt("u", -4), EARLY)],
    "early begins below zero": [Came(2, annt("u", 2), MEASURED), Came(2, annt("v", 2 + US), EARLY)],
    "dated before the subscription, by a microsecond": [Came(2, annt("u", -US), INITIAL)],
    "dated exactly at the subscription": [Came(2, annt("u", 0), MEASURED)],
    "came 60 seconds after it": [Came(60, annt("u", -1), INITIAL)],
    "came 60 seconds and a microsecond after it": [Came(60 + US, annt("u", -1), MEASURED)],
    "it does not come back": [Came(70, annt("v", -1), MEASURED), Came(3, annt("w", -1), MEASURED)],
}  # fmt: skip


def judging(events: Container[str] = EVENTS, namespaces: Container[int] | None = None) -> Handler:
    return Handler(events, namespaces, NAMESPACES)


def play(handler: Handler, *story: Came) -> list[Verdict]:
    """Give the handler a story; the verdicts, all as expected."""
    verdicts: list[Verdict] = []
    for step in story:
        verdict = handler.handle_event(step.camera_id, step.event, us(step.at))
        assert verdict.kind == step.kind, (len(verdicts), step)
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in STORIES.items()])
def test_the_order_of_judgement(story: list[Came]) -> None:
    handler = judging()
    handler.subscribed([A, B], us(0))
    verdicts = play(handler, *story)
    assert sum(handler.totals.values()) == len(verdicts)
    for verdict in verdicts:
        assert (verdict.figures is not None) is (verdict.kind == MEASURED)
        assert verdict.kind == MEASURED or not verdict.new_max
        assert verdict.identity or verdict.kind in (UNIDENTIFIED, IGNORED)
        assert (verdict.delay_us is not None) is (verdict.kind in (MEASURED, EARLY, INITIAL))
        assert verdict.event_us == (None if verdict.delay_us is None else verdict.arrived_us - verdict.delay_us)


# What is measured at all


def test_only_the_namespaces_asked_for_are_measured() -> None:
    rows = [
        (annt("1", ns=101), MEASURED), (annt("2", ns="103"), MEASURED), (annt("4", ns=None), IGNORED),
        (annt(None, ns=102), IGNORED), (alrs(6), MEASURED), (alrs(7, ns=102), IGNORED),
    ]  # fmt: skip
    play(judging(EVENTS, {101, 103}), *(Came(2, event, kind) for event, kind in rows))
    play(judging(), *(Came(2, annt(str(ns), ns=ns), MEASURED) for ns in (None, True, 0, -1, 300)))
    assert play(judging(("XYZW",)), Came(2, {**alrs(1), "type": "XYZW"}, MEASURED))[0].event == "XYZW"


@pytest.mark.parametrize(
    ("ns", "number", "event", "group"),
    [
        (103, 103, "Intrusion", 103), ("101", 101, "Line Events", 101), (301, 301, "namespace 301", 301),
        (302, 302, "namespace 302", 302), (True, None, "annotation", "ANNT"),
    ],
)  # fmt: skip
def test_namespace_and_group(ns: object, number: int | None, event: str, group: int | str) -> None:
    handler = Handler(EVENTS, None, {101: "Line Events (counting)", 103: "Intrusion", 302: "(x)"})
    handler.handle_event(A, annt("other", ns=104), us(2))
    verdict = handler.handle_event(A, annt("u", ns=ns), us(2))
    assert (verdict.kind, verdict.ns, verdict.event) == (MEASURED, number, event)
    assert verdict.figures is not None
    assert (verdict.figures.n, verdict.figures.group_n) == (2, 1)
    assert list(handler.day.cameras[A].groups) == [104, group]


def test_every_documented_namespace_and_four_cc_has_its_name() -> None:
    namespaces = (
        "Line Events,Object Tracking,Intrusion,Loitering,Tamper,Object Left/Removed,Fall/Duress,Crowd,Wrong Direction,"
        "QR Code,IO Output Record,IO Input Record,namespace 113"
    )
    four_ccs = {
        "ANNT": "annotation", "ALRS": "ROI alert start", "ALRE": "ROI alert end", "ALMS": "motion alert start",
        "ALME": "motion alert end", "EMES": "motion start", "EMEE": "motion end", "ENES": "application event start",
        "ENEE": "application event end", "ROMS": "region motion start", "ROME": "region motion end",
        "RCON": "camera online", "RCOF": "camera offline", "XYZW": "XYZW",
    }  # fmt: skip
    events = [annt("u", ns=ns) for ns in range(101, 114)] + [annt("u", ns=None) | {"type": each} for each in four_ccs]
    named = [judging().handle_event(A, event, us(2)).event for event in events]
    assert named == [*namespaces.split(","), *four_ccs.values()]


# What a verdict carries


def test_a_verdict_carries_what_the_event_said() -> None:
    event = annt("8d5e", 1, op=1, seq="2", mpack={"x": 1})
    verdict = judging().handle_event(A, event, us(2.5), lag_us=12_345)
    assert verdict[:9] == (MEASURED, A, "ANNT", 103, "Intrusion", "8d5e", us(2.5), us(1), 1_500_000)
    assert verdict[10:] == (1, 2, None, 12_345, True, event)
    strange = judging().handle_event(A, annt("v", 1, op=True, seq=1.5), us(2))
    assert (strange.op, strange.seq, strange.lag_us) == (None, None, None)


def test_the_day_counts_what_is_not_measured_and_leaves_duplicates_no_trace() -> None:
    handler = judging()
    handler.subscribed([A, B], us(0))
    play(
        handler, Came(2, annt("u", -1), INITIAL), Came(2, annt("v", None), UNDATED),
        Came(2, annt("w", None), UNDATED), Came(2, annt("w", None), DUPLICATE), Came(2, annt("x", 12.5), EARLY),
        Came(2, annt(None), UNIDENTIFIED, B), Came(2, {"type": "EMES"}, IGNORED, B),
    )  # fmt: skip
    stats = handler.day.cameras[A]
    assert (stats.n, stats.initial, stats.undated, stats.early.n) == (0, 1, 2, 1)
    assert stats.early.max_us == 10_500_000
    assert (set(handler.day.cameras), handler.day.worst, handler.last) == ({A}, {}, None)
    assert handler.totals == {INITIAL: 1, UNDATED: 2, DUPLICATE: 1, EARLY: 1, UNIDENTIFIED: 1, IGNORED: 1}
    measured = handler.handle_event(A, annt("y", 2), us(2))
    assert (measured.delay_us, measured.new_max, handler.last) == (0, True, measured)
    assert (handler.day.worst, stats.n) == ({A: measured}, 1)


def test_after_gap_stands_on_the_first_measured_event_of_each_camera() -> None:
    handler = judging()
    handler.subscribed([A, B], us(0), 7 * SECOND)
    story = [
        Came(1, {"type": "EMES"}, IGNORED), Came(1, annt("u", -1), INITIAL), Came(1, annt("u", -1), DUPLICATE),
        Came(1, annt("v", None), UNDATED), Came(1, annt("w", 9), EARLY), Came(2, annt("x"), MEASURED),
        Came(2, annt("y"), MEASURED), Came(2, annt("z"), MEASURED, B),
    ]  # fmt: skip
    gaps = [verdict.after_gap_us for verdict in play(handler, *story)]
    assert gaps == [None] * 5 + [7 * SECOND, None, 7 * SECOND]
    handler.subscribed([A], us(30), 0)
    assert play(handler, Came(31, annt("2", 31), MEASURED))[0].after_gap_us == 0, "a clock was put back in it"
    for at_s, gap_s in ((40, 3), (40, 9), (48, 5)):
        handler.subscribed([A], us(at_s), gap_s * SECOND)
    assert play(handler, Came(51, annt("3", 51), MEASURED))[0].after_gap_us == (9 + 5) * SECOND
    handler.subscribed([A, B], us(60), 7 * SECOND)
    handler.subscribed([A, "100e0000"], us(60))
    verdicts = play(handler, Came(61, annt("4", 61), MEASURED), Came(61, annt("5", 61), MEASURED, B))
    assert [verdict.after_gap_us for verdict in verdicts] == [None, 7 * SECOND], "the first is a new camera"


def test_a_new_day_begins_figures_anew_and_forgets_nothing_else() -> None:
    handler = judging()
    handler.subscribed([A], us(0), 7 * SECOND)
    yesterday = handler.day
    play(handler, Came(2, annt("u", -9), INITIAL), Came(9, alrs(1, 1), MEASURED))
    handler.subscribed([A], us(20), 3 * SECOND)
    handler.day = Day()
    assert yesterday.cameras[A].n == 1
    story = Came(21, annt("u", -9), DUPLICATE), Came(21, annt("v", 19), MEASURED), Came(21, alrs(2, 19), INITIAL)
    verdict = play(handler, *story)[1]
    assert (verdict.new_max, verdict.after_gap_us, handler.day.cameras[A].n) == (True, 3 * SECOND, 1)
    assert handler.totals == {INITIAL: 2, MEASURED: 2, DUPLICATE: 1}


# Updates


def test_an_update_is_a_verdict_for_each_value_in_their_order() -> None:
    handler = judging()
    handler.subscribed([A], us(0))
    data = {"event": {"ANNT": [annt("u", -1), None, annt("v", -1)], "EMES": 5, "ALRS": [7, alrs(1, -1)]}, "pre": "x"}
    verdicts, rejects = handler.judge(A, data, us(2), 0)
    assert {verdict.lag_us for verdict in verdicts} == {0}
    assert [(v.type, v.kind) for v in verdicts] == [("ANNT", INITIAL), ("ANNT", MEASURED), ("ALRS", INITIAL)]
    assert [v.identity for v in verdicts[:2]] == ["u", "v"]
    assert [(reject.reason, reject.camera_id) for reject in rejects] == [("value-not-an-object", A)] * 3


def test_previews_are_counted_without_verdicts_by_the_same_rules() -> None:
    handler = judging()
    handler.subscribed([A], us(0))
    for pre in (
        stamp(us(-US)), stamp(us(-1)),  # the first is the latest before the subscription
        ["x", None, stamp(us(2)), 7, stamp(us(1.5))],
        stamp(us(2 + US)), {"a": 1},  # early, and none
    ):  # fmt: skip
        assert handler.judge(A, {"pre": pre, "event": {}}, us(2)) == ([], [])
    figures = handler.previews[A]
    assert (figures.n, figures.min_us, figures.max_us, figures.total_us) == (3, 0, 3_000_000, 3_500_000)
    assert handler.totals == {"pre": 3}
    assert handler.day.cameras == {}
    handler.subscribed([B], us(0))
    handler.judge(B, {"pre": stamp(us(0))}, us(2))
    assert handler.previews[B].max_us == 2_000_000, "taken when the subscription began"


def test_values_before_a_restart_use_up_first_and_leave_no_other_trace() -> None:
    handler = judging()
    handler.subscribed([A, B], us(0))
    handler.use_up_first(A, {"event": {"ANNT": [7, annt("u", -1)], "EMES": 7}, "pre": stamp(us(-1))}, us(2))
    handler.use_up_first(A, {"event": 5}, us(2))
    assert (handler.totals, handler.day.cameras, "u" in handler.dedup) == ({}, {}, False)
    play(handler, Came(3, annt("u", -1), MEASURED), Came(3, alrs(1, -1), INITIAL), Came(3, annt("v", -1), INITIAL, B))


Sight = tuple[int, str, str, str, int | None, int | None, bool]
SIGHTS = st.tuples(
    # How long after the one before, camera, four-CC, uuid, namespace, age at arrival, whether subscribed before.
    st.sampled_from([0, 1, 400_000, 20 * SECOND]) | st.integers(0, 30 * SECOND),
    st.sampled_from([A, B]),
    st.sampled_from(["ANNT", "ANNT", "ALRS", "EMES"]),
    st.sampled_from("abcdefgh"),
    st.sampled_from([None, 101, 103, 999]),
    st.none() | st.sampled_from([0, 1, -1, 500]) | st.integers(-SECOND, 60 * SECOND) | st.integers(0, 4 * 10**12),
    st.sampled_from([False] * 5 + [True]),
)


@given(st.lists(SIGHTS, min_size=1, max_size=40))
def test_every_verdict_is_the_one_the_design_words(story: list[Sight]) -> None:
    """The model works each verdict out from a list of all that came before."""
    handler, now_us = judging(EVENTS, {101, 103}), SUB
    subscribed: dict[str, tuple[int, int]] = {}
    came: list[tuple[str, str]] = []
    known: set[str] = set()
    for wait_us, camera_id, four_cc, uuid, ns, age_us, is_subscribed in story:
        now_us += wait_us
        if is_subscribed:
            handler.subscribed([camera_id], now_us)
            subscribed[camera_id] = now_us, len(came)
        event = {"type": four_cc, "ns": ns, "uuid": uuid}
        dated_us = None if age_us is None else now_us - age_us
        if dated_us is not None:
            event["timestamp"] = stamp(dated_us)
        at_us, since = subscribed.get(camera_id, (None, 0))
        first = (camera_id, four_cc) not in came[since:]
        came.append((camera_id, four_cc))
        if four_cc == "EMES" or ns == 999 or (four_cc == "ANNT" and ns is None):
            kind = IGNORED
        elif uuid in known:
            kind = DUPLICATE
        elif dated_us is None:
            kind = UNDATED
        elif dated_us > now_us:
            kind = EARLY
        elif at_us is not None and first and dated_us < at_us and now_us <= at_us + 60 * SECOND:
            kind = INITIAL
        else:
            kind = MEASURED
        if kind != IGNORED:
            known.add(uuid)
        assert handler.handle_event(camera_id, event, now_us).kind == kind
