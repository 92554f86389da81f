"""Lines: a line parsed back is the value it came from; times are exact; no foreign text forges a line or a pair."""

import contextlib
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from line_values import CAMERAS, HOSTILE, MOMENTS, OBJECTS, TEXTS, as_json_gives_it, verdicts

from eelogger.errors import MessageError
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Gap, Reject, RunningFigures, Verdict
from eelogger.storage import formats
from eelogger.storage.formats import pairs_text, parse_pairs, parse_time, quote, time_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str) -> int:
    """A moment as `datetime` counts it."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def finite(value: Any) -> Any:
    """JSON as the log files hold it."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def assert_one_line(text: str) -> str:
    """The text without its newline: one line, printable, and UTF-8 can hold it."""
    assert text.endswith("\n")
    assert text.encode()[:-1].decode().isprintable()
    return text[:-1]


ARRIVED_US, EVENT_US = us("2026-11-22T09:07:20.123456+00:00"), us("2026-11-22T09:07:18.889+00:00")
FIGURES = RunningFigures(12, "0.700", "1.900", "2.300", "0.810", "0.210", "2.400", 3, "0.700")
DATA = {"uuid": "8d5e", "ns": 103, "x": math.nan, "type": "ANNT"}
VERDICT = Verdict(MEASURED, "100e1e23", "ANNT", 103, "Intrusion", "8d5e", ARRIVED_US, EVENT_US, 1_234_456)
VERDICT = VERDICT._replace(figures=FIGURES, data=DATA)
CAMERA = Camera("100e1e23", "Front Door", "100bb001")
HEAD = "time=2026-11-22T09:07:20.123456Z"
WHO = "type=ANNT camera=100e1e23 bridge=100bb001"
WHEN = "event_time=2026-11-22T09:07:18.889000Z"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            f'{HEAD} delay_s=1.234456 verdict=measured event=Intrusion name="Front Door" n=12 p50_s=0.700 p95_s=1.900'
            f" p99_s=2.300 avg_s=0.810 min_s=0.210 max_s=2.400 ns=103 ns_n=3 ns_avg_s=0.700 {WHO} {WHEN} uuid=8d5e",
        ),
        (
            {"kind": INITIAL, "op": 1, "seq": -2, "after_gap_us": 61_000_000, "lag_us": 12_345, "new_max": True},
            f'{HEAD} delay_s=1.234456 verdict=initial event=Intrusion name="Front Door" ns=103 {WHO} {WHEN} uuid=8d5e'
            " op=1 seq=-2 after_gap_s=61.000000 lag_s=0.012345 new_max=1",
        ),
        (
            {"kind": EARLY, "delay_us": -5, "ns": None, "event": "annotation"},
            f'{HEAD} delay_s=-0.000005 verdict=early event=annotation name="Front Door" {WHO} {WHEN} uuid=8d5e',
        ),
        (
            {"kind": UNDATED, "delay_us": None, "event_us": None},
            f'{HEAD} verdict=undated event=Intrusion name="Front Door" ns=103 {WHO} uuid=8d5e',
        ),
    ],
    ids=[MEASURED, INITIAL, EARLY, UNDATED],
)
def test_a_delay_line_to_the_letter(changes: dict[str, Any], line: str) -> None:
    verdict = VERDICT._replace(figures=None if changes else VERDICT.figures)._replace(**changes)
    assert formats.delay_line(verdict, formats.label(CAMERA)) == f"{line}\n"


@given(verdicts(), CAMERAS)
def test_a_delay_line_comes_back(verdict: Verdict, camera: Camera) -> None:
    line = assert_one_line(formats.delay_line(verdict, formats.label(camera)))
    expected = verdict._replace(camera_id=camera.id, figures=None, data=None), camera
    assert formats.parse_delay_line(line) == formats.parse_delay_line(f"{line}\n") == expected
    worst = assert_one_line(formats.worst_line(verdict, formats.label(camera)))
    assert formats.parse_delay_line(worst) == expected
    head = formats.delay_line(verdict._replace(figures=None), formats.label(camera)).rstrip("\n")
    assert worst.startswith(f"{head} -- ")
    assert json.loads(worst[len(head) + 4 :]) == finite(verdict.data)


def test_unknown_keys_are_passed_over_and_missing_ones_are_absent() -> None:
    read = formats.parse_delay_line(f"{HEAD} verdict=measured n=x new_in_2027=1 type=ANNT camera=100e1e23")
    verdict = Verdict(MEASURED, "100e1e23", "ANNT", None, "ANNT", "", VERDICT.arrived_us, None, None)
    assert read == (verdict, Camera("100e1e23", ""))


@given(TEXTS | st.text('=" -{}time:2026T.Z\\\n', max_size=80))
@example("a=" * 50_000)
@example('a="' * 50_000)
@example('a="\\u12" b=1')
def test_any_text_is_a_value_or_none(text: str) -> None:
    assert all(re.fullmatch(r"[!#-<>-~]+", key) and isinstance(value, str) for key, value in parse_pairs(text).items())
    formats.parse_delay_line(text)
    formats.parse_gap_line(text)
    formats.parse_stream_line(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ValueError):
        assert type(parse_time(text)) is int


@given(st.integers(0, us("2099-12-31T23:59:59+00:00")), OBJECTS)
@example(us("2026-11-22T09:07:20.123456+00:00"), {"event": {"ANNT": {"x": [math.nan, {"y": -math.inf}]}}})
def test_a_stream_line_comes_back(arrived_us: int, data: dict[str, Any]) -> None:
    line = assert_one_line(formats.stream_line(arrived_us, data)).encode("ascii")
    assert formats.parse_stream_line(line) == formats.parse_stream_line(line + b"\n") == (arrived_us, finite(data))


def test_a_stream_line_to_the_letter() -> None:
    line = formats.stream_line(us("2026-11-22T09:07:20.000456+00:00"), {"pre": "é\n", "x": [math.inf, 0.5, None, {}]})
    assert line == '2026-11-22T09:07:20.000456+00:00 -- {"pre": "\\u00e9\\n", "x": [null, 0.5, null, {}]}\n'


def test_without_an_encoder_in_c_the_json_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert formats._encoder()(DATA | {"x": [0.5, {}, "é"]}) == formats._encode(DATA | {"x": [0.5, {}, "é"]})


def test_a_stream_line_of_the_older_script_is_read() -> None:
    at_us = us("2024-05-01T12:00:00.123456+00:00")
    for stamp in ("2024-05-01T12:00:00.123456", "2024-05-01 12:00:00.123456", "2024-05-01T14:00:00.123456+02:00"):
        assert formats.parse_stream_line(f'{stamp} -- {{"a": " -- "}}\n'.encode()) == (at_us, {"a": " -- "})
    for text in ("", "x -- {}", "2026-11-22 --{}", " -- {}", "2026-11-22 -- []", "2026-11-22 -- " + "[" * 20_000):
        assert formats.parse_stream_line(text.encode()) is None


@pytest.mark.parametrize("core", [1, math.nan])
def test_nested_too_deep_is_said_and_the_worst_line_stands_without_it(core: float) -> None:
    deep: Any = core
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(MessageError) as caught:
        formats.stream_line(0, {"a": deep})
    assert caught.value.reason == "nested-too-deep"
    assert formats.worst_line(VERDICT._replace(data={"a": deep}), formats.label(CAMERA)).endswith(" -- null\n")
    del caught
    while isinstance(deep, list):  # taken apart by hand, so that no destructor has to go down all levels
        deep = deep[0]


def test_a_gap_line_to_the_letter() -> None:
    gap = Gap("gap", us("2026-11-22T09:07:20+00:00"), us("2026-11-22T09:07:21.5+00:00"), "closed-1001")
    text = "kind=gap from=2026-11-22T09:07:20.000000Z to=2026-11-22T09:07:21.500000Z seconds=1.500000 reason="
    one = Gap(gap.kind, gap.from_us, gap.to_us, "error 404", "100e1e23")
    for what, line in ((gap, f"{text}closed-1001\n"), (one, f'{text}"error 404" camera=100e1e23\n')):
        assert formats.gap_line(what) == line
        assert formats.parse_gap_line(line) == what
    for before in ("kind=gap ", "2026", "to="):
        assert formats.parse_gap_line(text.replace(before, "x", 1)) is None


@given(MOMENTS, st.builds(Reject, TEXTS, TEXTS, TEXTS), st.integers(0, 2**26), st.integers(1, 400))
@example(0, Reject("not-json", "", "\x00"), 1, 10_000)
@example(0, Reject("not-json", "c" * 10_000, "\U0001f6aa"), 1, 10_000)
def test_a_reject_line_is_escaped_and_bounded(arrived_us: int, reject: Reject, size: int, times: int) -> None:
    whole = reject._replace(text=reject.text * times)
    line = assert_one_line(formats.reject_line(arrived_us, whole, size))
    keys = parse_pairs(line)
    assert list(keys) == ["time", "reason", "camera", "bytes", "text"]
    assert (parse_time(keys["time"]), keys["reason"], keys["bytes"]) == (arrived_us, reject.reason, str(size))
    assert keys["camera"] == as_json_gives_it(reject.camera_id[:64])
    assert as_json_gives_it(whole.text).startswith(keys["text"])
    written = json.dumps(keys["text"])
    assert line.endswith(f" bytes={size} text={written}")
    assert len(written) <= formats.REJECT_TEXT_CHARS
    assert keys["text"] == whole.text or len(written) > formats.REJECT_TEXT_CHARS * 0.9


@given(st.integers(0, us("9999-12-31T23:59:59+00:00")))
@example(0)
@example(999_999)
def test_a_time_comes_back_and_is_what_datetime_says(moment_us: int) -> None:
    text = time_text(moment_us)
    assert parse_time(text) == moment_us
    assert text == (EPOCH + timedelta(microseconds=moment_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


RAW = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE + "aZ09-_.,:;/'#[]{}")), max_size=40)


@given(RAW)
@example("".join(map(chr, range(256))))
@example("\ud83d\ude00")
@example(" -- ")
@example('" verdict=measured delay_s=0.1 x="')
def test_a_quoted_value_comes_back_and_is_bare_only_where_it_can_be(text: str) -> None:
    quoted, back = quote(text), as_json_gives_it(text)
    assert quoted.isprintable()
    quoted.encode()
    assert (json.loads(quoted) if quoted.startswith('"') else quoted) == back
    assert quoted.startswith('"') is not (bool(text) and text.isprintable() and not set(text) & set(' ="\\'))
    line = f"before=1 {pairs_text({'key': text, 'none': None})} after=2 before={quoted} -- {quoted}"
    assert parse_pairs(line) == {"before": "1", "key": back, "after": "2"}


def test_the_last_value_of_a_line_that_went_through_windows_counts() -> None:
    assert parse_pairs('held="a b" lag_s=4.5\r\n') == {"held": "a b", "lag_s": "4.5"}
    assert parse_pairs('a=1 b="\\u12" c=1') == {"a": "1"}, "nothing counts that stands behind a damaged value"


def test_printable_text_stays_readable_in_quotes() -> None:
    texts = {"Tür": "Tür", "前門 🚪": '"前門 🚪"', 'a"b\n': r'"a\"b\n"', "\u202etxt": r'"\u202etxt"'}
    assert {text: quote(text) for text in texts} == texts
