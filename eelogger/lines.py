"""The exact text of each line in the log files, and the way back from text to value.

Decides keys, their order and decimals (README, "The files"); leaves figures to `stats` and quoting to `logfmt`.
Readers go by key: unknown keys are ignored, missing ones absent, so logs of every version stay readable.
Invariant: a line parsed back is the value it came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from .errors import MessageError
from .model import Camera, Figures, Gap, Reject, Verdict
from .text.jsontext import json_text
from .text.logfmt import pair, parse, quote
from .text.times import micros, parse_time, time_text
from .text.units import seconds6

REJECT_TEXT_CHARS = 2048

_arrival_text = lru_cache(maxsize=1)(time_text)
"""All that one read brought has the same arrival, and a message has it on every line."""


class Label(NamedTuple):
    """The parts of a delay line that are the same for all events of one camera."""

    name: str
    tail: str


def label(camera: Camera) -> Label:
    """The constant parts of a camera's lines, quoted once."""
    return Label(quote(camera.name), f"camera={quote(camera.id)} bridge={quote(camera.bridge)}")


def delay_line(verdict: Verdict, camera: Label) -> str:
    """One line of a delay log, newline included: what a person looks for first, the optional keys last."""
    return f"{_pairs(verdict, verdict.figures, camera)}\n"


def worst_line(verdict: Verdict, camera: Label) -> str:
    """One line of `maxeventdelay.log`: a delay line without statistics, then the event as it came."""
    try:
        event = json_text(verdict.data)
    except MessageError:  # how deep Python writes depends on who calls; the stream log has the event
        event = "null"
    return f"{_pairs(verdict, None, camera)} -- {event}\n"


def _pairs(verdict: Verdict, figures: Figures | None, camera: Label) -> str:
    # Taken apart once: a named field costs five times as much to look up as a local name.
    kind, _, four_cc, ns, event, identity, arrived_us, event_us, delay_us, *_ = verdict
    delay = "" if delay_us is None else f" delay_s={seconds6(delay_us)}"
    number = "" if ns is None else f" ns={ns}"
    of_day = of_group = ""
    if figures is not None:
        n, p50, p95, p99, avg, least, most, group_n, group_avg = figures
        of_day = f" n={n} p50_s={p50} p95_s={p95} p99_s={p99} avg_s={avg} min_s={least} max_s={most}"
        of_group = f" ns_n={group_n} ns_avg_s={group_avg}"
    event_time = "" if event_us is None else f" event_time={time_text(event_us)}"
    return (
        f"time={_arrival_text(arrived_us)}{delay} verdict={kind} event={quote(event)} name={camera.name}{of_day}"
        f"{number}{of_group} type={quote(four_cc)} {camera.tail}{event_time} uuid={quote(identity)}{_options(verdict)}"
    )


def _options(verdict: Verdict) -> str:
    op, seq, after_gap_us, lag_us, new_max = verdict[10:15]
    text = "" if op is None else f" op={op}"
    if seq is not None:
        text += f" seq={seq}"
    if after_gap_us is not None:
        text += f" after_gap_s={seconds6(after_gap_us)}"
    if lag_us is not None:
        text += f" lag_s={seconds6(lag_us)}"
    return f"{text} new_max=1" if new_max else text


def parse_delay_line(text: str) -> tuple[Verdict, Camera] | None:
    """The verdict and camera of a line of a delay log or of `maxeventdelay.log`; None when it is neither."""
    keys = parse(text)
    try:
        arrived_us = parse_time(keys["time"])
        kind, type_, camera_id = keys["verdict"], keys["type"], keys["camera"]
        verdict = Verdict(
            kind,
            camera_id,
            type_,
            _optional(int, keys.get("ns")),
            keys.get("event", type_),
            keys.get("uuid", ""),
            arrived_us,
            parse_time(keys["event_time"]) if "event_time" in keys else None,
            _optional(micros, keys.get("delay_s")),
            _parse_figures(keys),
            _optional(int, keys.get("op")),
            _optional(int, keys.get("seq")),
            _optional(micros, keys.get("after_gap_s")),
            _optional(micros, keys.get("lag_s")),
            keys.get("new_max") == "1",
        )
    except (KeyError, ValueError):
        return None
    return verdict, Camera(camera_id, keys.get("name", ""), keys.get("bridge", ""))


def _parse_figures(keys: dict[str, str]) -> Figures | None:
    if "n" not in keys:
        return None
    p50, p95, p99, avg, least, most = (keys.get(f"{k}_s", "") for k in ("p50", "p95", "p99", "avg", "min", "max"))
    group = int(keys.get("ns_n", 0)), keys.get("ns_avg_s", "")
    return Figures(int(keys["n"]), p50, p95, p99, avg, least, most, *group)


def stream_line(arrived_us: int, cam_data: dict[str, Any]) -> str:
    """One line of a stream log; raises `MessageError` when the data is nested too deep to be written."""
    return f"{_arrival_text(arrived_us)[:-1]}+00:00 -- {json_text(cam_data)}\n"


def parse_stream_line(text: str) -> tuple[int, Any] | None:
    """Arrival in microseconds and the camera's data; also of the older `timestamp -- JSON` form; None if neither."""
    stamp, separator, body = text.partition(" -- ")
    if not separator:
        return None
    try:
        return parse_time(stamp.strip()), json.loads(body)
    except (ValueError, RecursionError):
        return None


def gap_line(gap: Gap) -> str:
    """One line of `gaps.log`."""
    camera = f" {pair('camera', gap.camera_id)}" if gap.camera_id else ""
    return (
        f"kind={gap.kind} from={time_text(gap.from_us)} to={time_text(gap.to_us)}"
        f" seconds={seconds6(gap.to_us - gap.from_us)} {pair('reason', gap.reason)}{camera}\n"
    )


def parse_gap_line(text: str) -> Gap | None:
    """The gap of a line of `gaps.log`, None when it is none."""
    keys = parse(text)
    try:
        times = parse_time(keys["from"]), parse_time(keys["to"])
        return Gap(keys["kind"], *times, keys.get("reason", ""), keys.get("camera", ""))
    except (KeyError, ValueError):
        return None


def reject_line(arrived_us: int, reject: Reject, size: int) -> str:
    """One line of `rejected.log`: `size` is in bytes, the text is escaped and cut at 2 KiB."""
    cut = reject.text[:REJECT_TEXT_CHARS]
    while len(text := json.dumps(cut)) > REJECT_TEXT_CHARS:
        cut = cut[: len(cut) * REJECT_TEXT_CHARS // len(text)]
    return (
        f"time={time_text(arrived_us)} {pair('reason', reject.reason)} {pair('camera', reject.camera_id[:64])}"
        f" bytes={size} text={text}\n"
    )


def _optional(read: Callable[[str], int], text: str | None) -> int | None:
    return None if text is None else read(text)
