"""Handler: every value gets the verdict the order of judgement demands, each rule at both its ends."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eelogger.day import Day
from eelogger.errors import MessageError
from eelogger.handler import Handler
from eelogger.lines import parse_stream_line
from eelogger.model import (
    DUPLICATE,
    EARLY,
    IGNORED,
    INITIAL,
    LOGGED_KINDS,
    MEASURED,
    UNDATED,
    UNIDENTIFIED,
    Reject,
    Verdict,
)

A, B = "100e1e23", "100e1e24"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SUB = 1_795_338_440_000_000
"""When the cameras were subscribed."""
SECOND = 1_000_000
EVENTS = ("ANNT", "ALRS")
US = 1 / SECOND


def us(seconds: float) -> int:
    """The moment so many seconds after the subscription."""
    return SUB + round(seconds * SECOND)


def stamp(moment_us: int) -> str:
    """A timestamp as the vendor writes it, to the microsecond."""
    return (EPOCH + timedelta(microseconds=moment_us)).strftime("%Y%m%d%H%M%S.%f")


def timestamp(dated: float | None) -> dict[str, str]:
    """The key `timestamp`, or none."""
    return {} if dated is None else {"timestamp": stamp(us(dated))}


def annt(uuid: object, dated: float | None = 1, **more: object) -> dict[str, Any]:
    """An annotation; `dated` in seconds after the subscription, None when it has no timestamp."""
    return {"type": "ANNT", "uuid": uuid, "ns": 103, **timestamp(dated), **more}


def alrs(eventid: object, dated: float | None = 1, **more: object) -> dict[str, Any]:
    """An alert, which has an event id and no uuid."""
    return {"type": "ALRS", "eventid": eventid, **timestamp(dated), **more}


class Came(NamedTuple):
    """An event that arrived so many seconds after the subscription, and what it is expected to be."""

    at: float
    event: dict[str, Any]
    kind: str
    camera_id: str = A


class Subscribed(NamedTuple):
    """A subscription of these cameras."""

    at: float
    camera_ids: tuple[str, ...] = (A, B)


Story = list[Came | Subscribed]
ORDER: dict[str, Story] = {
    "a four-CC that is not asked for is ignored, whatever else it is": [
        Came(2, {"type": "EMES"}, IGNORED),
        Came(2, {"type": "EMES", "eventid": 1, "timestamp": stamp(us(1))}, IGNORED),
        Came(2, {"type": "annt", "uuid": "u"}, IGNORED),
        Came(2, {"type": "", "uuid": "u"}, IGNORED),
    ],
    "no identity comes before no date": [
        Came(2, annt(None, None), UNIDENTIFIED),
        Came(2, annt("", 1), UNIDENTIFIED),
        Came(2, annt(None, 1, eventid=5), UNIDENTIFIED),
        Came(2, annt(None, 1, eventid=5), UNIDENTIFIED),
        Came(2, alrs(None, None), UNIDENTIFIED),
    ],
    "a uuid of 256 characters is one, of 257 none": [
        Came(2, annt("u" * 256), MEASURED),
        Came(2, annt("u" * 256), DUPLICATE),
        Came(2, annt("u" * 257), UNIDENTIFIED),
        Came(2, annt("u" * 10_000), UNIDENTIFIED),
    ],
    "a duplicate comes before no date": [
        Came(2, annt("u"), MEASURED),
        Came(3, annt("u", None), DUPLICATE),
        Came(3, annt("u", 99), DUPLICATE),
        Came(3, annt("u", 1, op=4), DUPLICATE),
    ],
    "an undated sight is a first sight": [
        Came(2, annt("u", None), UNDATED),
        Came(3, annt("u", 1), DUPLICATE),
        Came(3, annt("v", 1, timestamp="20261332090718.889"), UNDATED),
        Came(3, annt("w", 1, timestamp="19991231235959.999"), UNDATED),
        Came(3, annt("x", 1, timestamp=20261122090718), UNDATED),
        Came(3, alrs(7, None), UNDATED),
    ],
    "one identity on two cameras, and under two four-CCs, is one": [
        Came(2, annt("u"), MEASURED),
        Came(2, annt("u"), DUPLICATE, B),
        Came(2, alrs(1, uuid="u"), DUPLICATE),
    ],
    "an alert is told apart by four-CC, camera, id and timestamp": [
        Came(3, alrs(-1, 1), MEASURED),
        Came(3, alrs(4_294_967_295, 1), DUPLICATE),
        Came(3, alrs(-2, 1), MEASURED),
        Came(3, alrs(-1, 2), MEASURED),
        Came(3, alrs(-1, 1), MEASURED, B),
        Came(3, alrs(None, 1), MEASURED),
        Came(3, alrs(None, 1), DUPLICATE),
    ],
    "early begins below zero": [
        Came(2, annt("u", 2), MEASURED),
        Came(2, annt("v", 2 + US), EARLY),
        Came(2, annt("w", 2 - US), MEASURED),
        Came(2, annt("v", 2 + US), DUPLICATE),
    ],
    "early comes before initial": [
        Came(-5, annt("u", -4), EARLY),
    ],
}  # fmt: skip
FIRST: dict[str, Story] = {
    "dated before the subscription, by a microsecond": [Came(2, annt("u", -US), INITIAL)],
    "dated exactly at the subscription": [Came(2, annt("u", 0), MEASURED)],
    "dated days before": [Came(2, annt("u", -300_000), INITIAL)],
    "came 60 seconds after it": [Came(60, annt("u", -1), INITIAL)],
    "came 60 seconds and a microsecond after it": [Came(60 + US, annt("u", -1), MEASURED)],
    "only the first": [
        Came(2, annt("u", -1), INITIAL),
        Came(2, annt("v", -1), MEASURED),
        Came(3, annt("u", -1), DUPLICATE),
    ],
    "each four-CC has its own first": [Came(2, annt("u", -1), INITIAL), Came(2, alrs(1, -1), INITIAL)],
    "each camera has its own first": [Came(2, annt("u", -1), INITIAL), Came(2, annt("v", -1), INITIAL, B)],
    "a namespace has no first of its own": [
        Came(2, annt("u", -1, ns=101), INITIAL),
        Came(2, annt("v", -1, ns=103), MEASURED),
    ],
    "a measured one uses it up": [Came(2, annt("u", 1), MEASURED), Came(2, annt("v", -1), MEASURED)],
    "a repeat uses it up": [
        Came(2, annt("u", 1), MEASURED),
        Subscribed(10),
        Came(11, annt("u", 1), DUPLICATE),
        Came(11, annt("v", 9), MEASURED),
    ],
    "an undated one uses it up": [Came(2, annt("u", None), UNDATED), Came(2, annt("v", -1), MEASURED)],
    "an early one uses it up": [Came(2, annt("u", 3), EARLY), Came(2, annt("v", -1), MEASURED)],
    "one without identity uses it up": [Came(2, annt(None), UNIDENTIFIED), Came(2, annt("v", -1), MEASURED)],
    "it does not come back": [
        Came(2, annt("u", 1), MEASURED),
        Came(70, annt("v", -1), MEASURED),
        Came(3, annt("w", -1), MEASURED),
    ],
    "after a new subscription there is a first again": [
        Came(2, annt("u", -1), INITIAL),
        Subscribed(100),
        Came(102, annt("v", 99), INITIAL),
        Came(102, annt("w", 99), MEASURED),
    ],
    "a repeat of an initial one is a duplicate in the next subscription": [
        Came(2, annt("u", -1), INITIAL),
        Subscribed(100),
        Came(102, annt("u", -1), DUPLICATE),
    ],
    "a camera added later counts from its own subscription": [
        Subscribed(0, (A,)),
        Came(2, annt("u", -1), INITIAL),
        Subscribed(100, (B,)),
        Came(101, annt("v", 99), INITIAL, B),
        Came(101, annt("w", 99), MEASURED, A),
        Came(160, alrs(1, 100 - US), INITIAL, B),
        Came(160, alrs(2, 100), MEASURED, B),
    ],
    "without a subscription nothing is initial": [
        Subscribed(0, (B,)),
        Came(2, annt("u", -1), MEASURED, A),
    ],
}  # fmt: skip


def play(handler: Handler, *story: Came | Subscribed) -> list[Verdict]:
    """Give the handler a story; the verdicts, all as expected."""
    verdicts: list[Verdict] = []
    for step in story:
        if isinstance(step, Subscribed):
            handler.subscribed(step.camera_ids, us(step.at))
            continue
        verdict = handler.handle_event(step.camera_id, step.event, us(step.at))
        assert verdict.kind == step.kind, (len(verdicts), step)
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in {**ORDER, **FIRST}.items()])
def test_the_order_of_judgement(story: Story) -> None:
    handler = Handler(EVENTS)
    if not isinstance(story[0], Subscribed):
        handler.subscribed([A, B], us(0))
    verdicts = play(handler, *story)
    assert sum(handler.totals.values()) == len(verdicts)
    for verdict in verdicts:
        assert (verdict.figures is not None) is (verdict.kind == MEASURED)
        assert (verdict.delay_us is not None) is (verdict.kind in (MEASURED, EARLY, INITIAL))
        assert (verdict.event_us is not None) is (verdict.kind in (MEASURED, EARLY, INITIAL))
        assert verdict.identity or verdict.kind in (UNIDENTIFIED, IGNORED)
        if verdict.delay_us is not None and verdict.event_us is not None:
            assert verdict.arrived_us - verdict.event_us == verdict.delay_us
            assert (verdict.delay_us < 0) is (verdict.kind == EARLY)


# What is measured at all


def test_only_the_namespaces_asked_for_are_measured() -> None:
    handler = Handler(EVENTS, {101, 103})
    play(
        handler,
        Came(2, annt("1", ns=101), MEASURED),
        Came(2, annt("2", ns="103"), MEASURED),
        Came(2, annt("3", ns=102), IGNORED),
        Came(2, annt("4", ns=None), IGNORED),
        Came(2, annt("5", ns=True), IGNORED),
        Came(2, annt(None, ns=102), IGNORED),
        Came(2, alrs(6), MEASURED),
        Came(2, alrs(7, ns=102), IGNORED),
        Came(2, alrs(8, ns=101), MEASURED),
    )
    everything = Handler(EVENTS)
    play(everything, *(Came(2, annt(str(ns), ns=ns), MEASURED) for ns in (None, True, 0, -1, 300, 9_999_999_999)))


def test_what_is_ignored_is_not_marked_as_seen_but_uses_first_up() -> None:
    handler = Handler(EVENTS, {103})
    play(
        handler,
        Subscribed(0),
        Came(2, annt("u", -1, ns=102), IGNORED),
        Came(2, {**annt("v", -1), "type": "EMES"}, IGNORED),
        Came(2, annt("u", -1), MEASURED),
        Came(2, annt("v", -1), MEASURED),
        Came(2, annt("u", -1, ns=102), IGNORED),
    )


@pytest.mark.parametrize(
    ("ns", "number", "event", "group"),
    [
        (103, 103, "Intrusion", 103),
        ("103", 103, "Intrusion", 103),
        (101, 101, "Line Events", 101),
        (106, 106, "Object Left/Removed", 106),
        (300, 300, "GPS data", 300),
        (301, 301, "namespace 301", 301),
        (302, 302, "namespace 302", 302),
        (-1, -1, "namespace -1", -1),
        (0, 0, "namespace 0", 0),
        (True, None, "annotation", "ANNT"),
        (False, None, "annotation", "ANNT"),
        (103.0, None, "annotation", "ANNT"),
        (math.nan, None, "annotation", "ANNT"),
        (None, None, "annotation", "ANNT"),
        ("", None, "annotation", "ANNT"),
        ("front", None, "annotation", "ANNT"),
        ([103], None, "annotation", "ANNT"),
        (10**12, None, "annotation", "ANNT"),
    ],
    ids=str,
)
def test_namespace_and_group(ns: object, number: int | None, event: str, group: int | str) -> None:
    names = {101: "Line Events (counting)", 103: "Intrusion", 106: "Object Left/Removed", 300: "GPS data", 302: "(x)"}
    handler = Handler(EVENTS, None, names)
    handler.handle_event(A, annt("other", ns=104), us(2))
    verdict = handler.handle_event(A, annt("u", ns=ns), us(2))
    assert (verdict.kind, verdict.ns, verdict.event) == (MEASURED, number, event)
    assert verdict.figures is not None
    assert (verdict.figures.n, verdict.figures.group_n) == (2, 1)
    assert handler.day.cameras[A].groups == [104, group]


def test_a_four_cc_without_namespace_is_its_own_group_and_description() -> None:
    handler = Handler(("ALRS", "XYZW"))
    assert handler.handle_event(A, alrs(1), us(2)).event == "ROI alert start"
    assert handler.handle_event(A, {**alrs(1), "type": "XYZW"}, us(2)).event == "XYZW"
    assert handler.day.cameras[A].groups == ["ALRS", "XYZW"]
    handler.name_namespaces({7: "Seven"})
    assert handler.handle_event(A, alrs(2, ns=7), us(2)).event == "Seven"


# What a verdict carries


def test_a_verdict_carries_what_the_event_said() -> None:
    event = annt("8d5e", 1, op=1, seq="2", mpack={"x": 1})
    verdict = Handler(EVENTS).handle_event(A, event, us(2.5), lag_us=12_345)
    assert verdict[:9] == (MEASURED, A, "ANNT", 103, "Intrusion", "8d5e", us(2.5), us(1), 1_500_000)
    assert (verdict.op, verdict.seq) == (1, 2)
    assert (verdict.after_gap_us, verdict.lag_us, verdict.new_max) == (None, 12_345, True)
    assert verdict.data == event
    strange = Handler(EVENTS).handle_event(A, annt("v", 1, op=True, seq=1.5), us(2))
    assert (strange.op, strange.seq, strange.lag_us) == (None, None, None)


def test_early_keeps_its_negative_delay_and_stays_out_of_the_figures() -> None:
    handler = Handler(EVENTS)
    early = handler.handle_event(A, annt("u", 12.5), us(2))
    assert (early.kind, early.delay_us, early.figures, early.new_max) == (EARLY, -10_500_000, None, False)
    assert handler.day.worst == {}
    assert handler.last is None
    measured = handler.handle_event(A, annt("v", 2), us(2))
    assert measured.delay_us == 0
    assert measured.new_max
    assert handler.last == measured
    assert measured.figures is not None
    assert (measured.figures.n, measured.figures.min_s, measured.figures.max_s) == (1, "0.000", "0.000")
    stats = handler.day.cameras[A]
    assert (stats.n, stats.early, stats.early_share, stats.initial, stats.undated) == (1, 1, 0.5, 0, 0)


def test_the_day_counts_what_is_not_measured_and_leaves_duplicates_no_trace() -> None:
    handler = Handler(EVENTS)
    play(
        handler,
        Subscribed(0),
        Came(2, annt("u", -1), INITIAL),
        Came(2, annt("v", None), UNDATED),
        Came(2, annt("w", None), UNDATED),
        Came(2, annt("w", None), DUPLICATE),
        Came(2, annt(None), UNIDENTIFIED, B),
        Came(2, {"type": "EMES"}, IGNORED, B),
    )
    stats = handler.day.cameras[A]
    assert (stats.n, stats.initial, stats.undated, stats.early) == (0, 1, 2, 0)
    assert set(handler.day.cameras) == {A}
    assert handler.totals == {INITIAL: 1, UNDATED: 2, DUPLICATE: 1, UNIDENTIFIED: 1, IGNORED: 1}


def test_after_gap_stands_on_the_first_measured_event_of_each_camera() -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A, B], us(0), 7 * SECOND)
    story = [
        Came(1, {"type": "EMES"}, IGNORED),
        Came(1, annt("u", -1), INITIAL),
        Came(1, annt("u", -1), DUPLICATE),
        Came(1, annt("v", None), UNDATED),
        Came(1, annt("w", 9), EARLY),
        Came(2, annt("x"), MEASURED),
        Came(2, annt("y"), MEASURED),
        Came(2, annt("z"), MEASURED, B),
    ]
    gaps = [verdict.after_gap_us for verdict in play(handler, *story)]
    assert gaps == [None] * 5 + [7 * SECOND, None, 7 * SECOND]
    handler.subscribed([A], us(10), 0)
    assert play(handler, Came(11, annt("1", 11), MEASURED))[0].after_gap_us == 0
    handler.subscribed([A], us(20), 5 * SECOND)
    handler.subscribed([A], us(30))
    assert play(handler, Came(31, annt("2", 31), MEASURED))[0].after_gap_us == 5 * SECOND, "no event told of it yet"
    for at_s, gap_s in ((40, 3), (40, 9), (48, 5), (48, 4), (50, 2)):
        handler.subscribed([A], us(at_s), gap_s * SECOND)
    assert play(handler, Came(51, annt("3", 51), MEASURED))[0].after_gap_us == (9 + 5 + 2) * SECOND


@pytest.mark.parametrize("lag_us", [None, 0, 1, 10**9])
def test_lag_is_passed_through_whatever_the_verdict(lag_us: int | None) -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A], us(0))
    update = {"event": {"ANNT": [annt("u", -1), annt("u"), annt("v", None), annt("w", 9), annt("x"), {}], "EMES": {}}}
    verdicts = handler.log_event_data(A, update, us(2), {A: Log()}, lag_us=lag_us)
    assert {verdict.kind for verdict in verdicts} == LOGGED_KINDS | {DUPLICATE, UNIDENTIFIED, IGNORED}
    assert {verdict.lag_us for verdict in verdicts} == {lag_us}


def test_new_max_is_strictly_greater_and_only_measured_events_count() -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A], us(0))
    delays = [("i", -10), ("a", 45), ("b", 45), ("c", 44), ("d", 46), ("e", 45), ("late", -30)]
    verdicts = [handler.handle_event(A, annt(uuid, dated), us(50)) for uuid, dated in delays]
    assert [verdict.new_max for verdict in verdicts] == [False, True, False, True, False, False, True]
    assert handler.day.worst == {A: verdicts[-1]}
    assert handler.day.worst_changes == 3
    other = handler.handle_event(B, annt("f", 49), us(50))
    assert other.new_max, "each camera has its own"


def test_a_new_day_begins_figures_anew_and_forgets_nothing_else() -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A], us(0), 7 * SECOND)
    yesterday = handler.day
    play(handler, Came(2, annt("u", -9), INITIAL), Came(9, alrs(1, 1), MEASURED))
    handler.subscribed([A], us(20), 3 * SECOND)
    assert handler.new_day() is yesterday
    assert handler.day.cameras == {}
    assert yesterday.cameras[A].n == 1
    verdicts = play(
        handler,
        Came(21, annt("u", -9), DUPLICATE),
        Came(21, annt("v", 19), MEASURED),
        Came(21, alrs(2, 19), INITIAL),
    )
    assert verdicts[1].figures is not None
    assert (verdicts[1].figures.n, verdicts[1].new_max, verdicts[1].after_gap_us) == (1, True, 3 * SECOND)
    assert handler.totals == {INITIAL: 2, MEASURED: 2, DUPLICATE: 1}


# Updates


class Log:
    """A stream log that remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> None:
        """Take one line."""
        self.texts.append(text)


def update(handler: Handler, data: Mapping[str, Any], at: float = 2) -> tuple[list[Verdict], list[str]]:
    """What the handler makes of an update, and the stream lines it wrote."""
    log = Log()
    verdicts = handler.log_event_data(A, dict(data), us(at), {A: log, B: Log()})
    return verdicts, log.texts


def test_an_update_is_one_stream_line_and_a_verdict_for_each_value() -> None:
    rejects: list[Reject] = []
    handler = Handler(EVENTS, on_reject=rejects.append)
    data = {"event": {"ANNT": [annt("u"), None, annt("v")], "ALRS": alrs(1), "EMES": 5}, "pre": "x", "new": [math.nan]}
    verdicts, texts = update(handler, data)
    assert [(verdict.type, verdict.kind) for verdict in verdicts] == [("ANNT", MEASURED)] * 2 + [("ALRS", MEASURED)]
    assert [reject.reason for reject in rejects] == ["value-not-an-object"] * 2
    assert [parse_stream_line(text) for text in texts] == [(us(2), {**data, "new": [None]})]


@pytest.mark.parametrize(
    "data", [{}, {"pre": "20261122090718.889"}, {"event": {}}, {"event": {"ANNT": []}}, {"error": []}]
)
def test_an_update_without_events_is_a_stream_line(data: dict[str, Any]) -> None:
    verdicts, texts = update(Handler(EVENTS), data)
    assert verdicts == []
    assert len(texts) == 1


def test_previews_are_counted_without_verdicts_by_the_same_rules() -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A], us(0))
    for at, pre in [
        (2, stamp(us(-US))),  # the latest before the subscription
        (2, stamp(us(-1))),
        (2, ["x", None, stamp(us(2)), 7, stamp(us(1.5))]),
        (2, stamp(us(2 + US))),  # early
        (2, {"a": 1}),
    ]:
        verdicts, texts = update(handler, {"pre": pre, "event": {}}, at)
        assert (verdicts, len(texts)) == ([], 1)
    figures = handler.previews[A]
    assert (figures.n, figures.min_us, figures.max_us, figures.total_us) == (3, 0, 3_000_000, 3_500_000)
    assert handler.totals == {"pre": 3}
    assert handler.day.cameras == {}


def test_the_first_preview_of_a_subscription_counts_when_it_was_taken_after_it_began() -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A], us(0))
    update(handler, {"pre": stamp(us(0))}, 2)
    assert handler.previews[A].max_us == 2_000_000


@pytest.mark.parametrize("event", [None, [], 7, "ANNT"])
def test_an_event_that_is_no_object_is_a_stream_line_and_a_reject(event: object) -> None:
    rejects: list[Reject] = []
    verdicts, texts = update(Handler(EVENTS, on_reject=rejects.append), {"event": event})
    assert (verdicts, len(texts)) == ([], 1)
    assert rejects == [Reject("event-not-an-object", A, json.dumps(event))]


def test_of_a_list_under_a_four_cc_only_the_first_value_is_the_first() -> None:
    handler = Handler(EVENTS)
    handler.subscribed([A], us(0))
    verdicts, _ = update(handler, {"event": {"ANNT": [annt("u", -1), annt("v", -1)], "ALRS": [7, alrs(1, -1)]}})
    assert [verdict.kind for verdict in verdicts] == [INITIAL, MEASURED, INITIAL]


def test_what_cannot_be_written_is_not_judged() -> None:
    handler = Handler(EVENTS)
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]
    log = Log()
    data = {"event": {"ANNT": annt("u"), "ALRS": {"x": deep}}}
    with pytest.raises(MessageError, match="nested-too-deep"):
        handler.log_event_data(A, data, us(2), {A: log})
    with pytest.raises(KeyError):
        handler.log_event_data(B, {"event": {"ANNT": annt("u")}}, us(2), {A: log})
    assert log.texts == []
    assert handler.totals == {}
    assert handler.handle_event(A, annt("u"), us(2)).kind == MEASURED, "it was not marked as seen"
    data.clear()
    while deep:  # taken apart by hand, so that no destructor has to go down all levels
        deep = deep[0]


HOSTILE = r'[null, true, 7, -1.5, NaN, Infinity, "", "a\n\u001b\ud800", [], [[]], {}, {"a": 1}, "20261122090718"]'
ODD = st.sampled_from([*json.loads(HOSTILE), "x" * 10_000])


@given(
    st.dictionaries(
        st.sampled_from(["ANNT", "ALRS", "EMES", "\ud800"]),
        ODD
        | st.lists(
            ODD | st.fixed_dictionaries({}, optional=dict.fromkeys(("uuid", "ns", "timestamp", "eventid", "op"), ODD))
        ),
    )
    | ODD,
    ODD,
)
def test_any_update_gives_verdicts_and_rejects(event: Any, pre: Any) -> None:
    rejects: list[Reject] = []
    handler = Handler((*EVENTS, "\ud800"), on_reject=rejects.append)
    handler.subscribed([A], us(0))
    verdicts, texts = update(handler, {"event": event, "pre": pre})
    assert len(texts) == 1
    assert handler.totals == Counter(verdict.kind for verdict in verdicts)
    values = [len(value) if type(value) is list else 1 for value in event.values()] if type(event) is dict else [1]
    assert len(verdicts) + len(rejects) == sum(values)


# Against a slow model


class Sight(NamedTuple):
    """One event of a long story, in the terms of the model."""

    wait_us: int
    camera_id: str
    four_cc: str
    name: str
    ns: int | None
    age_us: int | None
    subscribe: bool


SIGHTS = st.builds(
    Sight,
    st.sampled_from([0, 1, 400_000, 20 * SECOND]) | st.integers(0, 30 * SECOND),
    st.sampled_from([A, B]),
    st.sampled_from(["ANNT", "ANNT", "ALRS", "EMES"]),
    st.sampled_from("abcdefgh"),
    st.sampled_from([None, 101, 103, 999]),
    st.none()
    | st.sampled_from([0, 1, -1, 500])
    | st.integers(-SECOND, 60 * SECOND)
    | st.integers(0, 40 * 86_400 * SECOND),
    st.sampled_from([False] * 5 + [True]),
)
STORIES = st.lists(SIGHTS, min_size=1, max_size=40)


def told(story: list[Sight]) -> list[tuple[str, Verdict]]:
    """Each event's kind as the design words it, from a list of all that came before, and the handler's verdict."""
    handler, now_us = Handler(EVENTS, {101, 103}), SUB
    subscribed: dict[str, tuple[int, int]] = {}
    came: list[tuple[str, str]] = []
    known: set[str] = set()
    result = []
    for sight in story:
        now_us += sight.wait_us
        if sight.subscribe:
            handler.subscribed([sight.camera_id], now_us)
            subscribed[sight.camera_id] = now_us, len(came)
        event = {"type": sight.four_cc, "ns": sight.ns, "uuid": sight.name}
        dated_us = None if sight.age_us is None else now_us - sight.age_us
        if dated_us is not None:
            event["timestamp"] = stamp(dated_us)
        at_us, since = subscribed.get(sight.camera_id, (None, 0))
        first = (sight.camera_id, sight.four_cc) not in came[since:]
        came.append((sight.camera_id, sight.four_cc))
        if sight.four_cc == "EMES" or sight.ns == 999 or (sight.four_cc == "ANNT" and sight.ns is None):
            kind = IGNORED
        elif sight.name in known:
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
            known.add(sight.name)
        result.append((kind, handler.handle_event(sight.camera_id, event, now_us)))
    return result


@given(STORIES)
def test_every_verdict_is_the_one_the_design_words(story: list[Sight]) -> None:
    judged = told(story)
    assert [verdict.kind for _, verdict in judged] == [kind for kind, _ in judged]


def three(value: Fraction | int) -> str:
    """Microseconds as seconds with three decimals, half to even."""
    exact = Fraction(value)
    return str((Decimal(round(exact / 1_000)) / 1_000).quantize(Decimal("0.001"), ROUND_HALF_EVEN))


def is_quantile(text: str, per_cent: int, delays_us: list[int]) -> bool:
    """Whether the text is within 1 % (below 1 ms: half of one) of the nearest rank, and rounded to a millisecond."""
    exact_us = sorted(delays_us)[math.ceil(per_cent * len(delays_us) / 100) - 1]
    told_us = int(Decimal(text) * SECOND)
    return min(delays_us) - 500 <= told_us <= max(delays_us) + 500 and abs(told_us - exact_us) <= exact_us / 100 + 1_000


@settings(max_examples=60)
@given(STORIES)
def test_running_figures_are_those_recomputed_from_the_measured_verdicts_so_far(story: list[Sight]) -> None:
    of_camera: dict[str, list[int]] = defaultdict(list)
    of_group: dict[tuple[str, int | str], list[int]] = defaultdict(list)
    for _, verdict in told(story):
        if verdict.kind != MEASURED:
            assert verdict.figures is None
            continue
        assert verdict.delay_us is not None
        assert verdict.figures is not None
        before, group = of_camera[verdict.camera_id], of_group[verdict.camera_id, verdict.ns or verdict.type]
        assert verdict.new_max is (not before or verdict.delay_us > max(before))
        before.append(verdict.delay_us)
        group.append(verdict.delay_us)
        n, p50, p95, p99, *exact = verdict.figures
        assert n == len(before)
        assert exact == [
            three(Fraction(sum(before), len(before))),
            three(min(before)),
            three(max(before)),
            len(group),
            three(Fraction(sum(group), len(group))),
        ]
        assert all(is_quantile(text, p, before) for text, p in ((p50, 50), (p95, 95), (p99, 99)))


@settings(max_examples=40)
@given(STORIES)
def test_the_same_events_taken_up_again_give_the_same_lines(story: list[Sight]) -> None:
    handler, fresh = Handler(EVENTS), Day()
    logged = [verdict for _, verdict in told(story) if verdict.kind in LOGGED_KINDS]
    for camera_id in (A, B):
        handler.handle_event(camera_id, annt(f"gone-{camera_id}", -1_000), us(2))
        handler.day.restart(camera_id, None)
    again = [handler.day.again(verdict) for verdict in logged]
    assert again == logged
    assert again == [fresh.again(verdict) for verdict in logged]
    assert handler.day.worst == fresh.worst
    assert handler.day.clean == fresh.clean


def test_an_event_taken_up_again_carries_the_figures_of_the_day_it_is_taken_up_in() -> None:
    handler = Handler(EVENTS)
    events = [annt("u", -1), annt("v", 0), annt("w", 1)]
    _, second, third = (handler.handle_event(A, event, us(2)) for event in events)
    day = Day()
    again = day.again(second)
    assert again.figures is not None
    assert (again.figures.n, again.figures.max_s, again.new_max) == (1, "2.000", True)
    again = day.again(third)
    assert again.figures is not None
    assert (again.figures.n, again.figures.max_s, again.new_max) == (2, "2.000", False)
    assert {each.event_us for each in (day.worst[A], day.clean[A])} == {us(0)}
    before = day.worst_changes
    day.restart(A, None)
    assert (day.worst, day.clean, day.cameras[A].n) == ({}, {}, 0)
    assert day.worst_changes > before


def test_what_is_not_measured_is_counted_again_when_taken_up_again() -> None:
    handler, day = Handler(EVENTS), Day()
    handler.subscribed([A], us(0))
    for event in (annt("u", -1), annt("v", None), annt("w", 9)):
        verdict = handler.handle_event(A, event, us(2))
        assert day.again(verdict) is verdict
    stats = day.cameras[A]
    assert (stats.n, stats.initial, stats.undated, stats.early) == (0, 1, 1, 1)
