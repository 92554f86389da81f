"""The summary's first lines: what the logger is doing, and how far its figures can be trusted.

Decides what must be seen before any figure: state, totals by verdict, clock, network, own error, gaps, warnings.
Invariant: bounded, whatever happened; foreign text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..figures.histogram import P50, P95
from ..model import DUPLICATE, EARLY, IGNORED, INITIAL, MEASURED, UNDATED, UNIDENTIFIED, Camera, Gap
from ..text import words
from ..text.tables import cell, cut, printable, short, wrapped
from ..text.units import seconds3
from .closing import doubt
from .standing import OwnError, Standing

STOPPED: Final = "STOPPED"
PRE: Final = "pre"
_SHOWN: Final = 5
_LONGEST: Final = 2 * 108


def top(standing: Standing) -> Iterator[str]:
    """The first lines, newlines included, in pieces: the totals go through all cameras."""
    lasted = words.span(max(0, standing.written_us - standing.since_us))
    # A run that stopped says when by itself.
    since = "" if standing.state.startswith(STOPPED) else f" since {words.moment(standing.since_us)} ({lasted})"
    yield f"{printable(standing.state)}{since}\n"
    yield f"written    {words.moment(standing.written_us)}; running since {words.moment(standing.started_us)}\n"
    totals: dict[str, int] = dict.fromkeys((MEASURED, EARLY, INITIAL, UNDATED), 0)
    doubted = []
    for camera_id, stats in list(standing.day.cameras.items()):
        for kind, n in ((MEASURED, stats.n), (EARLY, stats.early), (INITIAL, stats.initial), (UNDATED, stats.undated)):
            totals[kind] += n
        if stats.censored:
            doubted.append((camera_id, stats))
        yield ""
    yield from _said("day", f"{_counts(totals)} ({standing.date} UTC, what stands in the delay logs)")
    yield from _said("this run", f"{_counts(_since_start(standing))}{_rejected(standing.rejected)}")
    yield from _said("clock", _clock(standing))
    yield from _said("network", printable(standing.network) or "not measured yet")
    yield from _said("own error", own_error_sentence(standing.own_error))
    yield from _said("observed", f"{words.share(standing.observed(''))} of the day; {_gaps(standing)}")
    yield from _said("meaning", words.CONTAINS)
    yield from _bounded("left", [_left(standing.cameras, *item) for item in standing.left.items()])
    if doubted:
        yield from _said("?", words.CENSORED)
    yield from _bounded("?", [f"{_name(standing.cameras, camera_id)}: {doubt(stats)}" for camera_id, stats in doubted])
    for warning in standing.warnings:
        yield from _said("WARNING", printable(warning))
    yield from _previews(standing)


def _counts(totals: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n:,}" for kind, n in totals.items())


def _since_start(standing: Standing) -> dict[str, int]:
    kinds = [DUPLICATE, IGNORED, UNIDENTIFIED, *([PRE] if PRE in standing.counted else [])]
    counts = {kind: standing.counted.get(kind, 0) for kind in kinds}
    return {**counts, "rejected": sum(standing.rejected.values())}


def _rejected(rejected: Mapping[str, int]) -> str:
    most = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    reasons = [f"{printable(reason)} {n:,}" for reason, n in most[:_SHOWN]]
    more = [f"{len(most) - _SHOWN} more reasons"] if len(most) > _SHOWN else []
    return f" ({', '.join(reasons + more)})" if reasons else ""


def _clock(standing: Standing) -> str:
    offset, kernel = standing.offset, standing.kernel
    said = "not compared with the cloud's yet"
    if offset is not None:
        said = f"{offset.sentence()}; cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s"
    if kernel is None:
        return f"{said}; the kernel does not tell whether it is synchronised"
    if not kernel.synchronised:
        return f"{said}; kernel: NOT synchronised"
    return f"{said}; kernel: synchronised, error at most {words.span(kernel.maxerror_us)}"


def own_error_sentence(own: OwnError | None) -> str:
    """How much of a delay may be the logger's own doing."""
    if own is None:
        return "not measured yet"
    text = f"p99 {_ms(own.p99_us)}, max {_ms(own.max_us)}; above {_ms(own.threshold_us)} a line carries lag_s="
    return text if own.write_p99_us is None else f"{text}; disk write p99 {_ms(own.write_p99_us)}"


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms"


def _gaps(standing: Standing) -> str:
    # Steps and suspends taint, only these blind.
    gaps = [gap for gap in standing.gaps if gap.kind == "gap"]
    if not gaps:
        return "no gap" + _others(standing)
    longest, whole = (f(gap.to_us - gap.from_us for gap in gaps) for f in (max, sum))
    last = ", ".join(_gap(gap, standing.cameras) for gap in gaps[-3:])
    said = f"{words.count(len(gaps), 'gap')}, {words.span(whole)} in all, longest {words.span(longest)}; last: {last}"
    return said + _others(standing)


def _others(standing: Standing) -> str:
    others = [gap for gap in standing.gaps if gap.kind != "gap"]
    return f"; also {', '.join(_gap(gap, standing.cameras) for gap in others[-3:])}" if others else ""


def _gap(gap: Gap, cameras: Mapping[str, Camera]) -> str:
    whose = f" {_name(cameras, gap.camera_id)}" if gap.camera_id else ""
    kind = "" if gap.kind == "gap" else f"{gap.kind} "
    span = words.span(gap.to_us - gap.from_us)
    return f"{kind}{words.clock_time(gap.from_us, seconds=True)} {span} {printable(gap.reason)}{whose}"


def _left(cameras: Mapping[str, Camera], camera_id: str, notice: tuple[str, int, str]) -> str:
    _, status, message = notice
    return f"{_name(cameras, camera_id)}: the server dropped it: {status} {printable(message)}"


def _name(cameras: Mapping[str, Camera], camera_id: str) -> str:
    camera = cameras.get(camera_id)
    return printable(camera.name or camera_id if camera else camera_id)


def _bounded(label: str, texts: list[str]) -> Iterator[str]:
    for text in texts[:_SHOWN]:
        yield from _said(label, cut(text, _LONGEST))
    if len(texts) > _SHOWN:
        yield from _said(label, f"… and {words.count(len(texts) - _SHOWN, 'more camera')}")


def _said(label: str, text: str) -> Iterator[str]:
    return (f"{line}\n" for line in wrapped(f"{label:<11}", text))


def _previews(standing: Standing) -> Iterator[str]:
    rows = [(camera_id, h, h.quantiles_us((P50, P95))) for camera_id, h in standing.previews.items() if h.n]
    if not rows:
        return
    yield "\nPREVIEW PROBE, delay of preview timestamps since this start, worst p95 first\n"
    yield f"{'name':<29} {'events':>9}{'p50':>7}{'p95':>7}{'max':>7}\n"
    rows.sort(key=lambda row: -row[2][1])
    for camera_id, h, quantiles in rows[: 2 * _SHOWN]:
        figures = "".join(f"{short(us):>7}" for us in (*quantiles, h.max_us))
        yield f"{cell(_name(standing.cameras, camera_id), 29)} {h.n:>9,}{figures}\n"
    if len(rows) > 2 * _SHOWN:
        yield f"… and {words.count(len(rows) - 2 * _SHOWN, 'more camera')}\n"
