"""Lines: a line parsed back is the value it came from; times and durations are exact; no foreign text forges a line."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eelogger import lines
from eelogger.errors import MessageError
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Figures, Gap, Reject, Verdict
from eelogger.text import jsontext
from eelogger.text.jsontext import json_text
from eelogger.text.logfmt import parse
from eelogger.text.times import micros, parse_time, time_text
from eelogger.text.units import seconds3, seconds6

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOSTILE = ' ="\\\n\r\t\x00\x1b\x7f\x85\u2028\u202e\ud800\U000e0001é前🚪--'


def us(text: str) -> int:
    """A moment as microseconds, the way `datetime` counts them."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def as_json_gives_it(text: str) -> str:
    """No text from JSON holds a surrogate pair in two halves."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)), max_size=30).map(as_json_gives_it)
MOMENTS = st.integers(us("2000-01-01T00:00:00+00:00"), us("2099-12-31T23:59:59.999999+00:00"))
DURATIONS = st.integers(0, 10**15) | st.integers(0, 3_000_000)
INTEGERS = st.none() | st.integers(-9_999_999_999, 9_999_999_999)
SECONDS = DURATIONS.map(seconds3)
FIGURES = st.builds(Figures, st.integers(1), *[SECONDS] * 6, st.integers(1), SECONDS)
CAMERAS = st.builds(Camera, st.from_regex(r"[0-9a-f]{8}", fullmatch=True) | TEXTS, TEXTS, TEXTS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Any first sight there can be, with or without each optional key."""
    kind, arrived_us = draw(st.sampled_from([MEASURED, EARLY, INITIAL, UNDATED])), draw(MOMENTS)
    delay_us = {EARLY: -1 - draw(DURATIONS), UNDATED: None}.get(kind, draw(DURATIONS))
    event_us = None if delay_us is None else arrived_us - delay_us
    return Verdict(
        kind,
        "set by the camera",
        draw(st.sampled_from(["ANNT", "ALRS"]) | TEXTS),
        draw(INTEGERS),
        draw(st.sampled_from(["Intrusion", "ROI alert start"]) | TEXTS),
        draw(TEXTS | st.text(HOSTILE, min_size=256, max_size=256).map(as_json_gives_it)),
        arrived_us,
        event_us,
        delay_us,
        draw(FIGURES) if kind == MEASURED else None,
        draw(INTEGERS),
        draw(INTEGERS),
        draw(st.none() | DURATIONS),
        draw(st.none() | DURATIONS),
        kind == MEASURED and draw(st.booleans()),
        draw(OBJECTS),
    )


def finite(value: Any) -> Any:
    """JSON as the log files hold it: non-finite numbers are null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def assert_one_line(text: str) -> str:
    """The text without its newline: one line, printable, and UTF-8 can hold it."""
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    text.encode()
    return text[:-1]


# Delay logs and maxeventdelay.log


VERDICT = Verdict(
    MEASURED,
    "100e1e23",
    "ANNT",
    103,
    "Intrusion",
    "8d5e",
    us("2026-11-22T09:07:20.123456+00:00"),
    us("2026-11-22T09:07:18.889+00:00"),
    1_234_456,
    Figures(12, "0.700", "1.900", "2.300", "0.810", "0.210", "2.400", 3, "0.700"),
    data={"uuid": "8d5e", "ns": 103, "x": math.nan, "type": "ANNT"},
)
CAMERA = Camera("100e1e23", "Front Door", "100bb001")
HEAD = "time=2026-11-22T09:07:20.123456Z"
WHO = "type=ANNT camera=100e1e23 bridge=100bb001"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            f'{HEAD} delay_s=1.234456 verdict=measured event=Intrusion name="Front Door" n=12 p50_s=0.700 p95_s=1.900'
            " p99_s=2.300 avg_s=0.810 min_s=0.210 max_s=2.400 ns=103 ns_n=3 ns_avg_s=0.700"
            f" {WHO} event_time=2026-11-22T09:07:18.889000Z uuid=8d5e",
        ),
        (
            {
                "kind": INITIAL,
                "figures": None,
                "op": 1,
                "seq": -2,
                "after_gap_us": 61_000_000,
                "lag_us": 12_345,
                "new_max": True,
            },
            f'{HEAD} delay_s=1.234456 verdict=initial event=Intrusion name="Front Door" ns=103'
            f" {WHO} event_time=2026-11-22T09:07:18.889000Z uuid=8d5e"
            " op=1 seq=-2 after_gap_s=61.000000 lag_s=0.012345 new_max=1",
        ),
        (
            {"kind": EARLY, "figures": None, "delay_us": -5, "ns": None, "event": "annotation"},
            f'{HEAD} delay_s=-0.000005 verdict=early event=annotation name="Front Door"'
            f" {WHO} event_time=2026-11-22T09:07:18.889000Z uuid=8d5e",
        ),
        (
            {"kind": UNDATED, "figures": None, "delay_us": None, "event_us": None},
            f'{HEAD} verdict=undated event=Intrusion name="Front Door" ns=103 {WHO} uuid=8d5e',
        ),
    ],
    ids=[MEASURED, INITIAL, EARLY, UNDATED],
)
def test_a_delay_line_to_the_letter(changes: dict[str, Any], line: str) -> None:
    assert lines.delay_line(VERDICT._replace(**changes), lines.label(CAMERA)) == f"{line}\n"


def test_a_worst_line_to_the_letter() -> None:
    assert lines.worst_line(VERDICT._replace(new_max=True), lines.label(CAMERA)) == (
        f'{HEAD} delay_s=1.234456 verdict=measured event=Intrusion name="Front Door" ns=103 {WHO}'
        " event_time=2026-11-22T09:07:18.889000Z uuid=8d5e new_max=1"
        ' -- {"uuid": "8d5e", "ns": 103, "x": null, "type": "ANNT"}\n'
    )


@given(verdicts(), CAMERAS)
def test_a_delay_line_comes_back(verdict: Verdict, camera: Camera) -> None:
    line = assert_one_line(lines.delay_line(verdict, lines.label(camera)))
    expected = verdict._replace(camera_id=camera.id, data=None), camera
    assert lines.parse_delay_line(line) == lines.parse_delay_line(f"{line}\n") == expected


@settings(max_examples=50)
@given(verdicts(), CAMERAS)
def test_a_worst_line_comes_back_with_its_event(verdict: Verdict, camera: Camera) -> None:
    bare = verdict._replace(figures=None)
    line = assert_one_line(lines.worst_line(verdict, lines.label(camera)))
    head = lines.delay_line(bare, lines.label(camera)).rstrip("\n")
    assert lines.parse_delay_line(line) == (bare._replace(camera_id=camera.id, data=None), camera)
    assert line.startswith(f"{head} -- ")
    assert json.loads(line[len(head) + 4 :]) == finite(verdict.data)


@settings(max_examples=50)
@given(verdicts(), CAMERAS, st.data())
def test_a_torn_line_is_a_verdict_or_nothing(verdict: Verdict, camera: Camera, data: st.DataObject) -> None:
    line = lines.delay_line(verdict, lines.label(camera))
    torn = lines.parse_delay_line(line[: data.draw(st.integers(0, len(line)))])
    assert torn is None or torn[0].arrived_us == verdict.arrived_us


LONG_INT = "9" * 5_000


@pytest.mark.parametrize(
    "line",
    [
        "",
        "time=2026-11-22T09:07:20.123456Z verdict=measured type=ANNT",
        "time=yesterday verdict=measured type=ANNT camera=1",
        "time=0001-01-01T00:00:00+23:59 verdict=measured type=ANNT camera=1",
        "time=9999-12-31T23:59:59-23:59 verdict=measured type=ANNT camera=1",
        "time=2026-13-32T09:07:20.123456Z verdict=measured type=ANNT camera=1",
        f"{HEAD} verdict=measured type=ANNT camera=1 delay_s=",
        f"{HEAD} verdict=measured type=ANNT camera=1 delay_s=nan",
        f"{HEAD} verdict=measured type=ANNT camera=1 delay_s=1e3",
        f"{HEAD} verdict=measured type=ANNT camera=1 delay_s=1.-5",
        f"{HEAD} verdict=measured type=ANNT camera=1 delay_s={LONG_INT}",
        f"{HEAD} verdict=measured type=ANNT camera=1 n=x",
        f"{HEAD} verdict=measured type=ANNT camera=1 op={LONG_INT}",
        f"{HEAD} verdict=measured type=ANNT camera=1 event_time=x",
        "kind=gap from=2026-11-22T09:07:20.123456Z to=2026-11-22T09:07:20.123456Z",
    ],
    ids=lambda line: line[-50:],
)
def test_what_is_no_delay_line(line: str) -> None:
    assert lines.parse_delay_line(line) is None


def test_unknown_keys_are_let_pass_and_missing_ones_are_absent() -> None:
    read = lines.parse_delay_line(f"{HEAD} verdict=measured new_in_2027=1 type=ANNT camera=100e1e23")
    assert read is not None
    verdict, camera = read
    assert verdict == Verdict(MEASURED, "100e1e23", "ANNT", None, "ANNT", "", VERDICT.arrived_us, None, None)
    assert camera == Camera("100e1e23", "")
    read = lines.parse_delay_line(f"{HEAD} verdict=measured n=3 p95_s=0.125 type=ANNT camera=100e1e23")
    assert read is not None
    assert read[0].figures == Figures(3, "", "0.125", "", "", "", "", 0, "")


@given(TEXTS | st.text('=" -{}time:2026T.Z', max_size=80))
def test_any_text_is_a_value_or_none(text: str) -> None:
    lines.parse_delay_line(text)
    lines.parse_gap_line(text)
    lines.parse_stream_line(text)


# Stream logs


@given(st.integers(0, us("2099-12-31T23:59:59+00:00")), OBJECTS)
@example(us("2026-11-22T09:07:20.123456+00:00"), {"event": {"ANNT": {"x": [math.nan, {"y": -math.inf}]}}})
def test_a_stream_line_comes_back(arrived_us: int, data: dict[str, Any]) -> None:
    line = assert_one_line(lines.stream_line(arrived_us, data))
    assert line.isascii()
    assert lines.parse_stream_line(line) == lines.parse_stream_line(f"{line}\n") == (arrived_us, finite(data))


def test_a_stream_line_to_the_letter() -> None:
    line = lines.stream_line(us("2026-11-22T09:07:20.000456+00:00"), {"pre": "é\n", "x": [math.inf, 0.5]})
    assert line == '2026-11-22T09:07:20.000456+00:00 -- {"pre": "\\u00e9\\n", "x": [null, 0.5]}\n'


def test_where_the_fast_encoder_is_missing_the_text_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    monkeypatch.setattr(jsontext, "_encoded", jsontext._encoder())
    assert json_text({"a": [1, "é", None, math.inf], "b": {}}) == '{"a": [1, "\\u00e9", null, null], "b": {}}'


@pytest.mark.parametrize(
    "stamp", ["2024-05-01T12:00:00.123456", "2024-05-01 12:00:00.123456", "2024-05-01T14:00:00.123456+02:00"]
)
def test_a_stream_line_of_an_older_version_is_read(stamp: str) -> None:
    assert lines.parse_stream_line(f'{stamp} -- {{"a": " -- "}}\n') == (
        us("2024-05-01T12:00:00.123456+00:00"),
        {"a": " -- "},
    )


@pytest.mark.parametrize(
    "text", ["", "x -- {}", "2026-11-22 -- {", "2026-11-22 --{}", " -- {}", "2026-11-22 -- " + "[" * 20_000]
)
def test_what_is_no_stream_line(text: str) -> None:
    assert lines.parse_stream_line(text) is None


@pytest.mark.parametrize("core", [1, math.nan])
@pytest.mark.parametrize("levels", [300, 600, 20_000])
def test_nested_too_deep_is_said_and_the_worst_line_stands_without_it(levels: int, core: float) -> None:
    deep: Any = core
    for _ in range(levels):
        deep = [deep]
    data = {"a": deep}
    if levels == 20_000:
        with pytest.raises(MessageError, match=r"^unreadable message: nested-too-deep$"):
            json_text(data)
    with contextlib.suppress(MessageError):
        assert lines.stream_line(0, data).isascii()
    line = lines.worst_line(VERDICT._replace(data=data), lines.label(CAMERA))
    assert line.endswith(" -- null\n") or levels < 20_000
    while isinstance(data.get("a"), list):  # taken apart by hand, so that no destructor has to go down all levels
        data["a"] = data["a"][0]


# gaps.log and rejected.log


@given(
    st.builds(
        Gap, st.sampled_from(["gap", "suspend", "clock-step", "backlog"]), MOMENTS, MOMENTS, TEXTS, st.just("") | TEXTS
    )
)
def test_a_gap_line_comes_back(gap: Gap) -> None:
    line = assert_one_line(lines.gap_line(gap))
    assert lines.parse_gap_line(line) == gap
    assert micros(parse(line)["seconds"]) == gap.to_us - gap.from_us


def test_a_gap_line_to_the_letter() -> None:
    gap = Gap("gap", us("2026-11-22T09:07:20+00:00"), us("2026-11-22T09:07:21.5+00:00"), "closed-1001")
    text = (
        "kind=gap from=2026-11-22T09:07:20.000000Z to=2026-11-22T09:07:21.500000Z seconds=1.500000 reason=closed-1001"
    )
    assert lines.gap_line(gap) == f"{text}\n"
    one = Gap(gap.kind, gap.from_us, gap.to_us, "error 404", "100e1e23")
    assert lines.gap_line(one) == text.replace("closed-1001", '"error 404" camera=100e1e23') + "\n"
    assert lines.parse_gap_line(text.replace(" reason=closed-1001", "")) == Gap(gap.kind, gap.from_us, gap.to_us, "")
    assert lines.parse_gap_line(text.replace("kind=gap ", "")) is None
    assert lines.parse_gap_line(text.replace("from=2026", "from=x")) is None


@given(MOMENTS, st.builds(Reject, TEXTS, TEXTS, TEXTS), st.integers(0, 2**26), st.integers(1, 400))
@example(0, Reject("not-json", "", "\x00"), 1, 10_000)
@example(0, Reject("not-json", "c" * 10_000, "\U0001f6aa"), 1, 10_000)
@example(0, Reject("not-json", "\x00" * 10_000, 'a"\\'), 1, 700)
def test_a_reject_line_is_escaped_and_bounded(arrived_us: int, reject: Reject, size: int, times: int) -> None:
    whole = reject._replace(text=reject.text * times)
    line = assert_one_line(lines.reject_line(arrived_us, whole, size))
    keys = parse(line)
    assert list(keys) == ["time", "reason", "camera", "bytes", "text"]
    assert (parse_time(keys["time"]), keys["reason"], keys["bytes"]) == (arrived_us, reject.reason, str(size))
    assert keys["camera"] == as_json_gives_it(reject.camera_id[:64])
    assert as_json_gives_it(whole.text).startswith(keys["text"])
    written = json.dumps(keys["text"])
    assert line.endswith(f" bytes={size} text={written}")
    assert len(written) <= lines.REJECT_TEXT_CHARS
    assert keys["text"] == whole.text or len(written) > lines.REJECT_TEXT_CHARS * 0.9


@pytest.mark.parametrize(("length", "kept"), [(2_046, 2_046), (2_047, 2_046), (10_000, 2_046)])
def test_a_reject_shows_two_kib_of_text_quotes_included(length: int, kept: int) -> None:
    line = lines.reject_line(0, Reject("not-json", "", "x" * length), length)
    assert parse(line)["text"] == "x" * kept


# Times and durations


@given(st.integers(0, us("9999-12-31T23:59:59+00:00")))
@example(0)
@example(999_999)
@example(us("2099-12-31T23:59:59.999999+00:00"))
def test_a_time_comes_back_and_is_what_datetime_says(moment_us: int) -> None:
    text = time_text(moment_us)
    assert parse_time(text) == moment_us
    assert text == (EPOCH + timedelta(microseconds=moment_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_every_iso_form_is_read(when: datetime) -> None:
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    try:
        expected = (aware.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except OverflowError:  # outside the years 1 to 9999 in UTC
        with pytest.raises(ValueError, match="years 1 to 9999"):
            parse_time(when.isoformat())
        return
    if aware.utcoffset() is not None and not aware.utcoffset().microseconds:  # type: ignore[union-attr]
        assert parse_time(when.isoformat()) == expected
        assert parse_time(when.isoformat(" ")) == expected


@pytest.mark.parametrize("read", [parse_time, micros])
@given(text=TEXTS | st.text("0123456789-+:.TZ ", max_size=32))
@example(text="0001-01-01T00:00:00+23:59")
@example(text="9999-12-31T23:59:59-23:59")
@example(text="9" * 5_000)
def test_what_is_no_time_or_duration_is_a_value_error(read: Callable[[str], int], text: str) -> None:
    with contextlib.suppress(ValueError):
        assert type(read(text)) is int


@given(st.integers(-(10**18), 10**18))
@example(0)
@example(-1)
@example(-999_999)
@example(-1_000_000)
@example(999_999)
@example(1_000_000)
def test_six_decimals_come_back(duration_us: int) -> None:
    assert micros(seconds6(duration_us)) == duration_us
    assert Decimal(seconds6(duration_us)) == Decimal(duration_us).scaleb(-6)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("1", 1_000_000), ("1.", 1_000_000), ("-1.5", -1_500_000), ("0.1234569", 123_456), ("-0.000001", -1)],
)
def test_micros(text: str, value: int) -> None:
    assert micros(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        ".5",
        "--1",
        "1-",
        "+1",
        " 1",
        "1 ",
        "1_0",
        "1.5_0",
        "1.-5",
        "1. 5",
        "1,5",
        "1e3",
        "nan",
        "inf",
        "١",
    ],
)
def test_no_micros(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        micros(text)
