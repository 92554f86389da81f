"""What each step of an event costs in this process, without socket, thread or disk: where to look first.

Best of several passes over the same messages; beside them stands what reading and writing JSON alone takes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from eelogger import lines, wire
from eelogger.dedup import Dedup
from eelogger.handler import Handler
from eelogger.model import Camera, Verdict
from eelogger.stats import CameraStats

from .targets import Row
from .traffic import messages, world

CAMERAS: Final = 20
PASSES: Final = 7


class _Log:
    def write(self, text: str) -> None:
        """Nothing."""


def rooms(events: int) -> Iterator[Row]:
    """Each step, in the order in which an event meets them."""
    texts = list(messages(CAMERAS, events))
    data = [text.encode() for text in texts[::2]]
    now_us = time.time_ns() // 1000
    yield _row("floor: json.loads and json.dumps, an event", lambda one: json.dumps(json.loads(one)), texts[::2])
    yield _row("floor: json.loads and json.dumps, a preview", lambda one: json.dumps(json.loads(one)), texts[1::2])
    yield _row("wire.read_message, an event", wire.read_message, data)
    yield _row("wire.read_message, a preview", wire.read_message, [text.encode() for text in texts[1::2]])
    updates = [update for one in data for update in wire.read_message(one).updates]
    yield _row("lines.stream_line", lambda update: lines.stream_line(now_us, update.data), updates)
    yield _row("wire.split_events", lambda update: wire.split_events(*update), updates)
    found = [(update.camera_id, wire.split_events(*update)[0][0]) for update in updates]
    yield _row("wire.identity", lambda one: wire.identity(*one), found)
    yield _row("wire.event_time_us", lambda one: wire.event_time_us(one[1]["timestamp"]), found)
    yield from _judging(found, now_us)


def _judging(found: Sequence[tuple[str, dict[str, Any]]], now_us: int) -> Iterator[Row]:
    dedup, stats = Dedup(), CameraStats()
    yield _row("dedup.seen", lambda one: dedup.seen(one[1].get("uuid", ""), one[0], "ANNT"), found)
    delays_us = [now_us - (wire.event_time_us(event["timestamp"]) or 0) for _, event in found]
    yield _row("stats.observe", lambda delay_us: stats.observe(now_us, delay_us, 103), delays_us)
    yield _row("stats.figures", lambda _: stats.figures(103), delays_us)
    verdicts: list[Verdict] = []
    yield _row("handler.handle_event, all of it", lambda one: verdicts.append(_judge(one, now_us)), found)
    labels = {
        camera.id: lines.label(Camera(camera.id, camera.name, camera.bridge.id)) for camera in world(CAMERAS).cameras
    }
    yield _row("lines.delay_line", lambda v: lines.delay_line(v, labels[v.camera_id]), verdicts[-len(found) :])


_handler = Handler(("ANNT", "ALRS"))


def _judge(one: tuple[str, dict[str, Any]], now_us: int) -> Verdict:
    # Each pass would otherwise find nothing but duplicates.
    _handler.dedup = Dedup()
    return _handler.handle_event(*one, now_us)


def _row(name: str, step: Callable[[Any], object], inputs: Sequence[Any]) -> Row:
    best_s = min(_seconds(step, inputs) for _ in range(PASSES))
    return Row(name, max(0.0, best_s) / len(inputs) * 1e6, "µs")


def _seconds(step: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    began = time.perf_counter()
    for one in inputs:
        step(one)
    return time.perf_counter() - began
