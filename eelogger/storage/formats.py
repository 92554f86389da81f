"""The exact text of each line in the log files, and back; readers go by key, so that every version stays readable."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from ..errors import MessageError
from ..measure.seconds import micros, seconds6
from ..model import Camera, Gap, Reject, Verdict

REJECT_TEXT_CHARS: Final = 2048

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_YEARS_US: Final = range(-62_135_596_800_000_000, 253_402_300_800_000_000)  # 1 to 9999
_BARE = re.compile(r'[^ ="\\]+').fullmatch
_PAIRS = re.compile(r'(?:^| )(?:([!#-<>-~]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)|-- )').finditer


def time_text(us: int) -> str:
    """`2026-11-22T09:07:20.123456Z`."""
    return f"{_second_text(us // 1_000_000)}.{us % 1_000_000:06d}Z"


def parse_time(text: str) -> int:
    """Read an ISO 8601 time; without a zone it is UTC. Raises `ValueError`."""
    when = datetime.fromisoformat(text)
    us = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
    if us not in _YEARS_US:
        raise ValueError(f"not within the years 1 to 9999 in UTC: {text}")
    return us


@lru_cache(maxsize=4096)  # arrivals and event times cluster in the seconds around now
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# All that one read brought has the same arrival, and a message has it on every line.
_arrival_text = lru_cache(maxsize=1)(time_text)


@lru_cache(maxsize=256)  # names of events come again and again, and each identity is written twice
def quote(text: str) -> str:
    """Write a logfmt value: bare where possible, else as a JSON string; printable non-ASCII stays."""
    if _BARE(text) and text.isprintable():
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    if quoted.isprintable():
        return quoted
    # json.dumps leaves DEL, C1, bidi controls and lone surrogates as they are.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


def pairs_text(values: Mapping[str, object]) -> str:
    """The pairs as `key=value key=value`; None is left out."""
    return " ".join(f"{key}={quote(str(value))}" for key, value in values.items() if value is not None)


def parse_pairs(line: str) -> dict[str, str]:
    """Read the pairs of a line up to ` -- `. Other text is skipped; the first of equal keys counts."""
    pairs: dict[str, str] = {}
    for match in _PAIRS(line):
        key, value = match.groups()
        if key is None:
            break
        if value.startswith('"'):
            try:
                value = json.loads(value)
            except ValueError:
                break
        pairs.setdefault(key, value)
    return pairs


Label = tuple[str, str]  # the texts of a camera's name and of its ids, the same on all its lines


def label(camera: Camera) -> Label:
    """Quote the constant parts of a camera's lines once."""
    return quote(camera.name), f"camera={quote(camera.id)} bridge={quote(camera.bridge)}"


def delay_line(verdict: Verdict, camera: Label) -> str:
    """One line of a delay log, newline included; change `storage.delaylog`'s expression with it."""
    # Taken apart once: a named field costs five times as much to look up as a local name.
    kind, _, four_cc, ns, event, identity, arrived_us, event_us, delay_us, figures, *_ = verdict
    op, seq, gap_us, lag_us, new_max = verdict[10:15]
    name, ids = camera
    delay = "" if delay_us is None else f" delay_s={seconds6(delay_us)}"
    number = "" if ns is None else f" ns={ns}"
    of_day = of_group = ""
    if figures is not None:
        n, p50, p95, p99, avg, least, most, group_n, group_avg = figures
        of_day = f" n={n} p50_s={p50} p95_s={p95} p99_s={p99} avg_s={avg} min_s={least} max_s={most}"
        of_group = f" ns_n={group_n} ns_avg_s={group_avg}"
    event_time = "" if event_us is None else f" event_time={time_text(event_us)}"
    options = "" if op is None else f" op={op}"
    if seq is not None:
        options += f" seq={seq}"
    if gap_us is not None:
        options += f" after_gap_s={seconds6(gap_us)}"
    if lag_us is not None:
        options += f" lag_s={seconds6(lag_us)}"
    if new_max:
        options += " new_max=1"
    return (
        f"time={_arrival_text(arrived_us)}{delay} verdict={kind} event={quote(event)} name={name}{of_day}"
        f"{number}{of_group} type={quote(four_cc)} {ids}{event_time} uuid={quote(identity)}{options}\n"
    )


def worst_line(verdict: Verdict, camera: Label) -> str:
    """One line of `maxeventdelay.log`: a delay line without statistics, then the event as it came."""
    event = "null"  # how deep Python writes depends on who calls; the stream log has the event
    with suppress(MessageError):
        event = _json_text(verdict.data)
    return f"{delay_line(verdict._replace(figures=None), camera)[:-1]} -- {event}\n"


def parse_delay_line(text: str) -> tuple[Verdict, Camera] | None:
    """Read a delay line, also of `maxeventdelay.log`, without figures and event. None for other lines."""
    keys = parse_pairs(text)

    def optional(read: Callable[[str], int], key: str) -> int | None:
        return read(keys[key]) if key in keys else None

    try:
        camera = Camera(keys["camera"], keys.get("name", ""), keys.get("bridge", ""))
        kind, four_cc, arrived_us = keys["verdict"], keys["type"], parse_time(keys["time"])
        event, identity, is_max = keys.get("event", four_cc), keys.get("uuid", ""), keys.get("new_max") == "1"
        ns, op, seq = (optional(int, key) for key in ("ns", "op", "seq"))
        delay_us, gap_us, lag_us = (optional(micros, key) for key in ("delay_s", "after_gap_s", "lag_s"))
        times = arrived_us, optional(parse_time, "event_time"), delay_us
    except (KeyError, ValueError):
        return None
    return Verdict(kind, camera.id, four_cc, ns, event, identity, *times, None, op, seq, gap_us, lag_us, is_max), camera


def parse_identity(text: str) -> str:
    """Read a line of `processed_event_uuids.log`."""
    return parse_pairs(f"uuid={text}").get("uuid", "") if text.startswith('"') else text


def _encoder() -> Callable[[Any], str]:
    """The C encoder of `JSONEncoder.encode`, made once: the library makes it anew for each value, at half the price."""
    plain = json.JSONEncoder(allow_nan=False, check_circular=False)
    with suppress(AttributeError, TypeError):  # there is none, or it is not what it is today
        module: Any = json.encoder
        as_ascii = module.encode_basestring_ascii
        made = module.c_make_encoder(None, plain.default, as_ascii, None, ": ", ", ", False, False, False)
        if "".join(made({"a": [1, ""], "b": {}}, 0)) == '{"a": [1, ""], "b": {}}':
            return lambda value: "".join(made(value, 0))
    return plain.encode


_encode = _encoder()


def _json_text(value: Any) -> str:
    try:
        try:
            return _encode(value)
        except ValueError:
            return _encode(json.loads(json.dumps(value), parse_constant=lambda _: None))
    except RecursionError:
        raise MessageError("nested-too-deep") from None


def stream_line(arrived_us: int, cam_data: dict[str, Any]) -> str:
    """One line of a stream log; raises `MessageError` when the data is nested too deep to be written."""
    return f"{_arrival_text(arrived_us)[:-1]}+00:00 -- {_json_text(cam_data)}\n"


def parse_stream_line(line: bytes) -> tuple[int, dict[str, Any]] | None:
    """Read a stream line: arrival in µs and data. It may be the older script's `timestamp -- JSON`; else None."""
    try:
        stamp, _, body = line.decode().partition(" -- ")
        arrived_us, data = parse_time(stamp.strip()), json.loads(body)
    except (ValueError, RecursionError):
        return None
    return (arrived_us, data) if isinstance(data, dict) else None


def gap_line(gap: Gap) -> str:
    """One line of `gaps.log`."""
    times = {"from": time_text(gap.from_us), "to": time_text(gap.to_us), "seconds": seconds6(gap.to_us - gap.from_us)}
    return pairs_text({"kind": gap.kind} | times | {"reason": gap.reason, "camera": gap.camera_id or None}) + "\n"


def parse_gap_line(text: str) -> Gap | None:
    """Read a line of `gaps.log`; None when it is none."""
    keys = parse_pairs(text)
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
    keys = {"time": time_text(arrived_us), "reason": reject.reason, "camera": reject.camera_id[:64], "bytes": size}
    return f"{pairs_text(keys)} text={text}\n"
