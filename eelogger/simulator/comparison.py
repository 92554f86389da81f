"""The judgement: what a ledger says was sent against what a log directory says arrived.

Independent of the logger's own reading in every step. Where only the logger can know (its own subscription time, what
it was about to write when it was killed) both answers are right; everything else has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from .events import RESOURCES_AS_EVENTS
from .figures import wrong_figures
from .findings import Comparison
from .ledger import Entry
from .logdir import Arrival, DelayLine, Key, Logs, logged_us, read_logs, seconds_us

INITIAL_WITHIN_US: Final = 60_000_000
SUBSCRIBING_US: Final = 5_000_000
"""How long before its arrival here a subscription may have been written by the client."""


def compare(
    entries: Iterable[Entry],
    log_dir: Path,
    *,
    lateness_s: float = 1.0,
    excused: Iterable[tuple[int, int]] = (),
    measured: Callable[[Entry], bool] = lambda entry: True,
) -> Comparison:
    """Judge `log_dir` (of one logger, alone on this cloud) by `entries`.

    `lateness_s`: an arrival may be logged that long after the send instant. `excused`: periods (from, to in
    microseconds) of which what was sent may be missing, as the last 100 ms before a kill. `measured`: whether the
    logger was told to measure this kind; what it ignores has no delay line.
    """
    return _Judge(list(entries), read_logs(log_dir), round(lateness_s * 1e6), list(excused), measured).judge()


class _Judge:
    def __init__(
        self,
        entries: Sequence[Entry],
        logs: Logs,
        lateness_us: int,
        excused: Sequence[tuple[int, int]],
        measured: Callable[[Entry], bool],
    ) -> None:
        self.entries, self.logs, self.lateness_us, self.periods = entries, logs, lateness_us, excused
        self.lines = [line for lines in logs.delay_files for line in lines]
        self.found = Comparison(len(entries), len(logs.arrivals), len(self.lines), unreadable=logs.unreadable)
        self.stamps = {(arrival.key[2], arrival.arrived_us) for arrival in logs.arrivals}
        self.by_identity: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.identity and entry.four_cc not in RESOURCES_AS_EVENTS and measured(entry):
                self.by_identity[entry.identity].append(entry)

    def judge(self) -> Comparison:
        self.judge_stream()
        self.judge_delays()
        self.judge_identities()
        for lines in self.logs.delay_files:
            self.found.wrong_figures += wrong_figures(lines)
        return self.found

    def is_excused(self, entry: Entry) -> bool:
        return any(start <= entry.send_us <= end for start, end in self.periods)

    def judge_stream(self) -> None:
        sends: dict[Key, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            sends[entry.key].append(entry)
        arrivals: dict[Key, list[Arrival]] = defaultdict(list)
        for arrival in self.logs.arrivals:
            arrivals[arrival.key].append(arrival)
        for key, lines in arrivals.items():
            self.match(sends.pop(key, []), sorted(lines, key=lambda arrival: arrival.arrived_us))
        for left in sends.values():
            self.miss(left)

    def match(self, sends: list[Entry], arrivals: list[Arrival]) -> None:
        """Give each arrival the latest send before it, so that an excused loss does not shift all later ones."""
        waiting = sorted(sends, key=lambda entry: entry.send_ns, reverse=True)
        open_sends: list[Entry] = []
        for arrival in arrivals:
            while waiting and waiting[-1].send_us <= arrival.arrived_us:
                open_sends.append(waiting.pop())
            if open_sends:
                entry = open_sends.pop()
                late_us = arrival.arrived_us - entry.send_us
                if late_us > self.lateness_us and not self.is_excused(entry):
                    self.found.wrong_delay.append(f"{arrival.where}: logged {late_us} us after it was sent")
            elif not sends:
                self.found.unknown.append(f"{arrival.where}: never sent: {_name(arrival.key)}")
            elif waiting:
                waiting.pop()
                self.found.wrong_delay.append(f"{arrival.where}: logged before it was sent")
            else:
                self.found.twice.append(f"{arrival.where}: more often than sent: {_name(arrival.key)}")
        self.miss(open_sends + waiting)

    def miss(self, entries: Iterable[Entry]) -> None:
        self.found.missing_stream += [_name(entry.key) for entry in entries if not self.is_excused(entry)]

    def judge_delays(self) -> None:
        by_identity: dict[str, list[DelayLine]] = defaultdict(list)
        for line in self.lines:
            by_identity[line.fields.get("uuid", "")].append(line)
        for identity, entries in self.by_identity.items():
            if identity not in by_identity and not all(map(self.is_excused, entries)):
                self.found.missing_delay.append(_name(entries[0].key))
        for identity, lines in by_identity.items():
            if identity not in self.by_identity:
                self.found.unknown += [f"{line.where}: never sent: {identity!r}" for line in lines]
                continue
            self.found.twice += [f"{line.where}: once more: {identity}" for line in lines[1:]]
            self.judge_line(lines[0], self.by_identity[identity])

    def judge_line(self, line: DelayLine, sends: Sequence[Entry]) -> None:
        arrived_us = line.arrived_us
        entry = self.measured_send(line, sends)
        if entry is None:
            self.found.wrong_delay.append(f"{line.where}: not the first sight of what was sent, or its time is wrong")
            return
        if (entry.identity, arrived_us) not in self.stamps:
            self.found.wrong_delay.append(f"{line.where}: no stream line has this arrival")
        expected = None if entry.event_us is None else arrived_us - entry.event_us
        if _delay_us(line) != expected:
            self.found.wrong_delay.append(f"{line.where}: delay_s={line.fields.get('delay_s')}, true {expected} us")
        if (verdict := line.fields.get("verdict", "")) not in (right := verdicts(entry, arrived_us)):
            self.found.wrong_verdict.append(f"{line.where}: {verdict}, expected {' or '.join(sorted(right))}")
        shown = [line.camera_id, *(line.fields.get(name) for name in ("camera", "type", "ns"))]
        true = [entry.camera_id, entry.camera_id, entry.four_cc, None if entry.ns is None else str(entry.ns)]
        if shown != true:
            self.found.wrong_fields.append(f"{line.where}: {shown}, true {true}")

    def measured_send(self, line: DelayLine, sends: Sequence[Entry]) -> Entry | None:
        """The send this line is about: the first one, or after excused ones the last up to the next that it can be."""
        event_time = line.fields.get("event_time")
        found = None
        for entry in sends:
            same = (None if event_time is None else logged_us(event_time)) == entry.event_us
            if same and 0 <= line.arrived_us - entry.send_us <= self.lateness_us:
                found = entry
            if not self.is_excused(entry):
                break
        return found

    def judge_identities(self) -> None:
        seen: set[str] = set()
        logged = {line.fields.get("uuid", "") for line in self.lines}
        for identity in self.logs.identities:
            if identity in seen:
                self.found.twice.append(f"processed_event_uuids.log: once more: {identity!r}")
            elif identity not in self.by_identity:
                self.found.unknown.append(f"processed_event_uuids.log: never sent: {identity!r}")
            elif identity not in logged:
                self.found.missing_delay.append(f"in processed_event_uuids.log only: {identity}")
            seen.add(identity)
        if not self.logs.identities_cut:
            self.found.missing_identity += sorted((logged & self.by_identity.keys()) - seen)


def verdicts(entry: Entry, arrived_us: int) -> set[str]:
    """What a logger may call this first sight: one verdict, or two where only its own clock can tell."""
    if entry.event_us is None:
        return {"undated"}
    if arrived_us < entry.event_us:
        return {"early"}
    if not entry.opening:
        return {"measured"}
    latest = entry.subscribed_us
    earliest = max(entry.opened_us, latest - SUBSCRIBING_US)
    right = set()
    if entry.event_us < latest and arrived_us <= latest + INITIAL_WITHIN_US:
        right.add("initial")
    if entry.event_us >= earliest or arrived_us > earliest + INITIAL_WITHIN_US:
        right.add("measured")
    return right


def _delay_us(line: DelayLine) -> int | None:
    text = line.fields.get("delay_s")
    return None if text is None else seconds_us(text)


def _name(key: Key) -> str:
    camera_id, four_cc, identity, event_us = key
    return f"{camera_id} {four_cc} {identity or '(no identity)'} dated {event_us}"
