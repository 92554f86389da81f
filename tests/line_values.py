"""Strategies for what can stand in a line: hostile texts, verdicts and their cameras."""

from hypothesis import strategies as st

from eelogger.measure.seconds import seconds3
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Camera, RunningFigures, Verdict

HOSTILE = ' ="\\\n\r\t\x00\x1b\x7f\x85\x9b\xad\u200b\u2028\u202e\ud800\udfff\ufeff\U000e0001é前🚪--'


def as_json_gives_it(text: str) -> str:
    """No text from JSON holds a surrogate pair in two halves."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)), max_size=30).map(as_json_gives_it)
NAMES = TEXTS | st.sampled_from(["Front Door", 'a "b" \\', "time=1 delay_s=2", "x -- {}"])
CAMERAS = st.builds(Camera, st.from_regex(r"[0-9a-f]{8}", fullmatch=True) | TEXTS, NAMES, TEXTS)
MOMENTS = st.integers(946_684_800_000_000, 4_102_444_799_999_999)  # 2000 to 2099
DURATIONS = st.integers(0, 10**16 - 2) | st.integers(0, 3_000_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
_SECONDS = DURATIONS.map(seconds3)
_FIGURES = st.builds(RunningFigures, st.integers(1, 10**9), *[_SECONDS] * 6, st.integers(1, 10**9), _SECONDS)
_INTEGERS = st.none() | st.integers(-9_999_999_999, 9_999_999_999)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Any first sight there can be, with or without each optional key."""
    kind, arrived_us = draw(st.sampled_from([MEASURED, MEASURED, EARLY, INITIAL, UNDATED])), draw(MOMENTS)
    delay_us = {EARLY: -1 - draw(DURATIONS), UNDATED: None}.get(kind, draw(DURATIONS))
    event_us = None if delay_us is None else arrived_us - delay_us
    return Verdict(
        kind,
        "set by the camera",
        draw(st.sampled_from(["ANNT", "ALRS"]) | TEXTS),
        draw(_INTEGERS),
        draw(st.sampled_from(["Intrusion", "ROI alert start"]) | TEXTS),
        draw(st.sampled_from(["8d5e", "ALRS:100e1e23:1:20261122"]) | TEXTS.filter(bool)),
        arrived_us,
        event_us,
        delay_us,
        draw(_FIGURES) if kind == MEASURED else None,
        draw(_INTEGERS),
        draw(_INTEGERS),
        draw(st.none() | DURATIONS),
        draw(st.none() | DURATIONS),
        kind == MEASURED and draw(st.booleans()),
        draw(OBJECTS),
    )
