"""Judge a log directory by what a cloud sent.

Its parsers, identities and arithmetic are its own: an oracle must not share what it judges. Where only the logger can
know (its own subscription time, what it was about to write when it was killed), both answers are right.
"""

import datetime as dt
import json
import math
import re
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eelogger.simulator import Event, SentEvent

Key = tuple[str, str, str, int | None]  # camera, four-CC, identity, event time: what a stream line is matched by
STREAM_NAME = re.compile(r".*_([0-9A-Fa-f]{8})_stream\.log", re.DOTALL)
DELAY_NAME = re.compile(r".*_([0-9A-Fa-f]{8})\.log", re.DOTALL)
STREAM_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00) -- (\{.*\})", re.ASCII)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s="\\]+)(?: |$)')
SECONDS = re.compile(r"-?\d+\.(\d{3}|\d{6})", re.ASCII)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATENESS_US = 1_000_000  # an arrival may be so much later than the send
ROUNDING_US = 501  # half a millisecond, and half a microsecond for an average that was rounded before
PERCENTILES = (("p50_s", 50), ("p95_s", 95), ("p99_s", 99))
PERCENTILE_ERROR = 0.0101
FIRST_BUCKET_US = 1000  # all delays below 1 ms share a bucket
ROTATED_AT = 100_000  # from so many identities on, the oldest are in no file any more


class DelayLine(NamedTuple):
    where: str
    camera_id: str  # the file's
    arrived_us: int
    pairs: dict[str, str]


@dataclass(slots=True)
class Logs:
    arrivals: list[tuple[str, int, Key]] = field(default_factory=list)
    delay_files: list[list[DelayLine]] = field(default_factory=list)  # oldest first
    identities: list[str] = field(default_factory=list)
    gaps: list[dict[str, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class Findings(defaultdict[str, list[str]]):
    """What is wrong, by kind of damage; `str()` is for people."""

    def __init__(self, sent: int, logs: Logs) -> None:
        super().__init__(list)
        self.sent, self.arrived, self.logged = sent, len(logs.arrivals), sum(map(len, logs.delay_files))
        self["unreadable"] += logs.unreadable

    @property
    def ok(self) -> bool:
        return not any(self.values())

    def __str__(self) -> str:
        lines = [f"{self.sent} values sent, {self.arrived} in stream logs, {self.logged} lines in delay logs"]
        for kind, found in self.items():
            if found:
                lines += [f"{kind}: {len(found)}", *(f"  {text}" for text in found[:5])]
        return "\n".join(lines)


# Reading


def read_logs(root: Path) -> Logs:
    """Read everything under `root` and `root/days`."""
    logs = Logs()
    for folder in [*sorted((root / "days").glob("*")), root]:
        for path in sorted((folder / "stream").glob("*.log")):
            if match := STREAM_NAME.fullmatch(path.name):
                logs.arrivals += _arrivals(path, match[1], logs.unreadable)
        for path in sorted(folder.glob("*.log")):
            if match := DELAY_NAME.fullmatch(path.name):
                logs.delay_files.append(list(_delays(path, match[1], logs.unreadable)))
        for where, line in _lines(folder / "gaps.log", logs.unreadable):
            pairs = pairs_of(line)
            if pairs is None or not {"from", "to", "kind", "reason", "seconds"} <= pairs.keys():
                logs.unreadable.append(f"{where}: {line[:80]}")
            else:
                logs.gaps.append(pairs)
    for name in ("processed_event_uuids.log.1", "processed_event_uuids.log"):
        logs.identities += [line for _, line in _lines(root / name, logs.unreadable)]
    return logs


def _lines(path: Path, unreadable: list[str]) -> Iterator[tuple[str, str]]:
    """`(where, line)` of each whole line; split at newlines only."""
    if not path.exists():
        return
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        unreadable.append(f"{path.name}: torn last line of {len(rest)} bytes")
    for number, line in enumerate(lines, 1):
        where = f"{path.parent.name}/{path.name}:{number}"
        try:
            yield where, line.decode("utf-8")
        except UnicodeDecodeError:
            unreadable.append(f"{where}: not UTF-8")


def _arrivals(path: Path, camera_id: str, unreadable: list[str]) -> Iterator[tuple[str, int, Key]]:
    for where, line in _lines(path, unreadable):
        match = STREAM_LINE.fullmatch(line)
        try:
            arrived_us, data = (_iso_us(match[1]), json.loads(match[2])) if match else (0, None)
        except ValueError:
            data = None
        if data is None:
            unreadable.append(f"{where}: {line[:80]}")
            continue
        for four_cc, value in data.get("event", {}).items():
            for body in value if isinstance(value, list) else [value]:
                yield where, arrived_us, key_of(Event.read(camera_id, four_cc, body))


def key_of(event: Event) -> Key:
    return event.camera_id, event.four_cc, event.identity, event.event_us


def _delays(path: Path, camera_id: str, unreadable: list[str]) -> Iterator[DelayLine]:
    for where, line in _lines(path, unreadable):
        pairs = pairs_of(line)
        arrived_us = time_us((pairs or {}).get("time"))
        if pairs is None or arrived_us is None:
            unreadable.append(f"{where}: {line[:80]}")
        else:
            yield DelayLine(where, camera_id, arrived_us, pairs)


def pairs_of(line: str) -> dict[str, str] | None:
    """The pairs of a logfmt line; None when a piece is no pair, or a key comes twice."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(line):
        match = PAIR.match(line, position)
        if match is None or match[1] in pairs:
            return None
        try:
            pairs[match[1]] = json.loads(match[2]) if match[2].startswith('"') else match[2]
        except ValueError:
            return None
        position = match.end()
    return pairs


def time_us(text: str | None) -> int | None:
    """The µs of `2026-11-22T09:07:20.123456Z`; None for any other text."""
    return _iso_us(text) if text and TIME.fullmatch(text) else None


def _iso_us(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - EPOCH) // dt.timedelta(microseconds=1)


def micros(text: str | None) -> int | None:
    """The µs of seconds with exactly three or six decimals; None for any other text."""
    match = SECONDS.fullmatch(text or "")
    return None if match is None else int(match[0].replace(".", "")) * 10 ** (6 - len(match[1]))


# Judging


def compare(sent: Iterable[SentEvent], log_dir: Path, *, excused: Iterable[tuple[int, int]] = ()) -> Findings:
    """Judge the logs of one logger, alone on its cloud; what was sent in `excused` periods (µs) may be missing."""
    return _Judge(list(sent), read_logs(log_dir), list(excused)).judge()


class _Judge:
    def __init__(self, sent: Sequence[SentEvent], logs: Logs, excused: Sequence[tuple[int, int]]) -> None:
        self.sent, self.logs, self.periods = sent, logs, excused
        self.found = Findings(len(sent), logs)
        self.lines = [line for lines in logs.delay_files for line in lines]
        self.stamps = {(key[2], arrived_us) for _, arrived_us, key in logs.arrivals}
        self.by_identity: dict[str, list[SentEvent]] = defaultdict(list)
        for item in sent:
            if item.event.identity:
                self.by_identity[item.event.identity].append(item)

    def judge(self) -> Findings:
        self.judge_stream()
        self.judge_delays()
        self.judge_identities()
        for lines in self.logs.delay_files:
            self.found["wrong figures"] += wrong_figures(lines)
        return self.found

    def is_excused(self, item: SentEvent) -> bool:
        return any(start <= item.sent_us <= end for start, end in self.periods)

    def judge_stream(self) -> None:
        sends: dict[Key, list[SentEvent]] = defaultdict(list)
        for item in self.sent:
            sends[key_of(item.event)].append(item)
        arrivals: dict[Key, list[tuple[str, int]]] = defaultdict(list)
        for where, arrived_us, key in self.logs.arrivals:
            arrivals[key].append((where, arrived_us))
        for key, lines in arrivals.items():
            self.match(key, sends.pop(key, []), sorted(lines, key=lambda line: line[1]))
        for left in sends.values():
            self.miss(left)

    def match(self, key: Key, sends: list[SentEvent], arrivals: list[tuple[str, int]]) -> None:
        """Give each arrival the latest send before it, so that an excused loss does not shift the later ones."""
        waiting = sorted(sends, key=lambda item: item.sent_us, reverse=True)
        open_sends: list[SentEvent] = []
        for where, arrived_us in arrivals:
            while waiting and waiting[-1].sent_us <= arrived_us:
                open_sends.append(waiting.pop())
            if open_sends:
                item = open_sends.pop()
                if arrived_us - item.sent_us > LATENESS_US and not self.is_excused(item):
                    self.found["wrong delay"].append(f"{where}: {arrived_us - item.sent_us} µs after it was sent")
            elif not sends:
                self.found["unknown"].append(f"{where}: never sent: {key}")
            elif waiting:
                waiting.pop()
                self.found["wrong delay"].append(f"{where}: logged before it was sent")
            else:
                self.found["twice"].append(f"{where}: more often than sent: {key}")
        self.miss(open_sends + waiting)

    def miss(self, items: Iterable[SentEvent]) -> None:
        self.found["missing in stream"] += [str(key_of(item.event)) for item in items if not self.is_excused(item)]

    def judge_delays(self) -> None:
        by_identity: dict[str, list[DelayLine]] = defaultdict(list)
        for line in self.lines:
            by_identity[line.pairs.get("uuid", "")].append(line)
        arrived = {key[2] for _, _, key in self.logs.arrivals}
        for identity, items in self.by_identity.items():
            # What is in a stream log is kept: an excuse does not count for its delay line.
            if identity not in by_identity and (identity in arrived or not all(map(self.is_excused, items))):
                self.found["missing delay line"].append(str(key_of(items[0].event)))
        for identity, lines in by_identity.items():
            if identity not in self.by_identity:
                self.found["unknown"] += [f"{line.where}: never sent: {identity!r}" for line in lines]
                continue
            self.found["twice"] += [f"{line.where}: once more: {identity}" for line in lines[1:]]
            self.judge_line(lines[0], self.by_identity[identity])

    def judge_line(self, line: DelayLine, sends: Sequence[SentEvent]) -> None:
        possible = self.first_sights(line, sends)
        if not possible:
            self.found["wrong delay"].append(f"{line.where}: not a first sight of what was sent, or at a wrong time")
            return
        event = possible[0].event
        if (event.identity, line.arrived_us) not in self.stamps:
            self.found["wrong delay"].append(f"{line.where}: no stream line has this arrival")
        true = None if event.event_us is None else line.arrived_us - event.event_us
        if micros(line.pairs.get("delay_s")) != true:
            self.found["wrong delay"].append(f"{line.where}: delay_s={line.pairs.get('delay_s')}, true {true} µs")
        right = set[str]().union(*(item.verdicts(line.arrived_us) for item in possible))
        if (verdict := line.pairs.get("verdict", "")) not in right:
            self.found["wrong verdict"].append(f"{line.where}: {verdict}, expected {' or '.join(sorted(right))}")
        namespace = str(event.body["ns"]) if "ns" in event.body else None
        shown = [line.camera_id, *(line.pairs.get(name) for name in ("camera", "type", "ns"))]
        right_ones = [event.camera_id, event.camera_id, event.four_cc, namespace]
        if shown != right_ones:
            self.found["wrong fields"].append(f"{line.where}: {shown}, true {right_ones}")

    def first_sights(self, line: DelayLine, sends: Sequence[SentEvent]) -> list[SentEvent]:
        """The sends this line may be about: the first one, and after excused ones the next ones too."""
        found = []
        for item in sends:
            is_same = time_us(line.pairs.get("event_time")) == item.event.event_us
            if is_same and 0 <= line.arrived_us - item.sent_us <= LATENESS_US:
                found.append(item)
            if not self.is_excused(item):
                break
        return found

    def judge_identities(self) -> None:
        logged = {line.pairs.get("uuid", "") for line in self.lines}
        seen: set[str] = set()
        for identity in self.logs.identities:
            if identity in seen:
                self.found["twice"].append(f"processed_event_uuids.log: once more: {identity!r}")
            elif identity not in self.by_identity:
                self.found["unknown"].append(f"processed_event_uuids.log: never sent: {identity!r}")
            elif identity not in logged:
                self.found["missing delay line"].append(f"in processed_event_uuids.log only: {identity}")
            seen.add(identity)
        if len(seen) < ROTATED_AT:
            self.found["missing identity"] += sorted((logged & self.by_identity.keys()) - seen)


# Figures


def wrong_figures(lines: Sequence[DelayLine]) -> Iterator[str]:
    """What is wrong with the running figures of one delay log, recomputed from its own measured lines."""
    delays: list[int] = []
    groups: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        pairs = line.pairs
        delay_us = micros(pairs.get("delay_s"))
        if pairs.get("verdict") != "measured" or delay_us is None:
            if "n" in pairs:
                yield f"{line.where}: figures on a line that is not measured"
            continue
        group = groups[pairs.get("ns") or pairs.get("type", "")]
        insort(delays, delay_us)
        group.append(delay_us)
        for key, number in (("n", len(delays)), ("ns_n", len(group))):
            if pairs.get(key) != str(number):
                yield f"{line.where}: {key}={pairs.get(key)}, recomputed {number}"
        for key, true_us, error_us in _figures(delays, group):
            if abs((micros(pairs.get(key)) or 0) - true_us) > ROUNDING_US + error_us:
                yield f"{line.where}: {key}={pairs.get(key)}, recomputed {true_us / 1e6:.6f}"


def _figures(delays: list[int], group: list[int]) -> Iterator[tuple[str, float, float]]:
    """`(key, true, how far it may be off)` of each figure, in µs; `delays` are in order."""
    yield "min_s", delays[0], 0
    yield "max_s", delays[-1], 0
    yield "avg_s", sum(delays) / len(delays), 0
    yield "ns_avg_s", sum(group) / len(group), 0
    for key, percent in PERCENTILES:
        true_us = delays[math.ceil(percent * len(delays) / 100) - 1]
        yield key, true_us, PERCENTILE_ERROR * true_us + FIRST_BUCKET_US
