"""The running figures of a delay log, recomputed from its own measured lines.

Pure. Count, minimum, maximum and average are checked on every line, percentiles on the last one: the average to the
half of the last decimal shown, percentiles to the 1 % a histogram of ratio 1.02 promises.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from .logdir import DelayLine, seconds_us

ROUNDING_US: Final = 501
"""Half a millisecond, and half a microsecond for an average that was rounded before."""
PERCENTILE_ERROR: Final = 0.0101
PERCENTILES: Final = (("p50_s", 50), ("p95_s", 95), ("p99_s", 99))


def wrong_figures(lines: Sequence[DelayLine]) -> Iterator[str]:
    """What is wrong in one delay log, a sentence each."""
    delays: list[int] = []
    groups: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    total = low = high = 0
    for line in lines:
        delay_us = seconds_us(line.fields.get("delay_s", ""))
        if line.fields.get("verdict") != "measured":
            if "n" in line.fields:
                yield f"{line.where}: figures on a line that is not measured"
            continue
        if delay_us is None:
            yield f"{line.where}: measured without a delay"
            continue
        low, high = (min(low, delay_us), max(high, delay_us)) if delays else (delay_us, delay_us)
        delays.append(delay_us)
        total += delay_us
        group = groups[line.fields.get("ns") or line.fields.get("type", "")]
        group[0] += 1
        group[1] += delay_us
        counts = {"n": len(delays), "ns_n": group[0]}
        averages = {"avg_s": total / len(delays), "min_s": low, "max_s": high, "ns_avg_s": group[1] / group[0]}
        yield from _wrong(line, counts, averages)
    if delays:
        yield from _wrong_percentiles(next(line for line in reversed(lines) if "n" in line.fields), sorted(delays))


def _wrong(line: DelayLine, counts: dict[str, int], values: dict[str, float]) -> Iterator[str]:
    for name, count in counts.items():
        if line.fields.get(name) != str(count):
            yield f"{line.where}: {name}={line.fields.get(name)}, recomputed {count}"
    for name, value in values.items():
        shown_us = seconds_us(line.fields.get(name, ""))
        if shown_us is None or abs(shown_us - value) > ROUNDING_US:
            yield f"{line.where}: {name}={line.fields.get(name)}, recomputed {value / 1e6:.6f}"


def _wrong_percentiles(line: DelayLine, ordered: Sequence[int]) -> Iterator[str]:
    for name, percent in PERCENTILES:
        true_us = ordered[math.ceil(percent * len(ordered) / 100) - 1]
        shown_us = seconds_us(line.fields.get(name, ""))
        # Below 1 ms all delays share the first bucket, hence the second millisecond.
        if shown_us is None or abs(shown_us - true_us) > PERCENTILE_ERROR * true_us + ROUNDING_US + 1000:
            yield f"{line.where}: {name}={line.fields.get(name)}, recomputed {true_us / 1e6:.6f}"
