"""The lines of `summary.log` and of a run's closing table; `snapshots.encoded` leaves the empty ones out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from ..measure.camera_statistics import CameraStatistics
from ..measure.seconds import seconds3
from ..model import DUPLICATE, EARLY, HOUR_US, IGNORED, INITIAL, MEASURED, UNDATED, UNIDENTIFIED, Verdict
from .figures import FEW, NO_BRIDGE, Figures, Row, figures_of, first_sights, keep_worst, shown, summed_in_steps
from .run_state import NO_EVENTS, RunState
from .sentences import CONTAINS, SUSPECT, camera_label, gaps_text, group_name, headlines, is_shown, suspect
from .text import cell, clock_time, count, cut, milliseconds, moment, printable, share, short, span, table, wrapped

CAMERAS: Final = 200  # nobody reads more in a file that is made anew every few seconds
STEPS: Final = "▁▂▃▄▅▆▇█"
STEP_US: Final = 250_000  # one scale for all cameras and days, so that pictures can be compared
_OF_CAMERA: Final = ("min", "avg", "p50", "p95", "p99", "max")
_OF_BRIDGE: Final = ("min", "p50", "p95")
_CLOSING: Final = ("events", "min_s", "avg_s", "p50_s", "p95_s", "p99_s", "max_s")
_SUSPECT: Final = {"early": "early", "all_dated_p50_s": "all_p50_s", "all_dated_p95_s": "all_p95_s"}


def render(state: RunState) -> Iterator[str]:
    """The summary."""
    totals, suspects, cameras, shares = first_sights(NO_EVENTS), 0, list[Row](), list[float]()
    bridges = defaultdict[str, list[tuple[CameraStatistics, float]]](list)
    for camera, statistics, part in state.cameras_of_day():
        bridges[camera.bridge].append((statistics, part))
        shares.append(part)
        totals.update(first_sights(statistics))
        suspects += statistics.suspect
        recent = Figures(statistics.recent(None, state.until_us), observed=part)
        keep_worst(cameras, Row(camera.id, camera.name, recent, camera.bridge), CAMERAS)
        yield ""
    lasted = span(max(0, state.written_us - state.since_us))  # a run that stopped says when by itself
    yield printable(state.headline or f"{state.state} since {moment(state.since_us)} ({lasted})")
    yield f"written    {moment(state.written_us)}; running since {moment(state.started_us)}"
    previews = yield from summed_in_steps(map(Figures, list(state.previews.values())))
    for label, text in _head(state, totals, suspects, state.observed_by_all(shares), previews):
        yield from wrapped(f"{label:<11}", text)
    since = clock_time((state.until_us // HOUR_US - 1) * HOUR_US)
    if len(bridges) > 1:
        yield from _bridges(state, bridges, since)
    yield from _cameras(state, cameras, len(shares), since)


def _head(
    state: RunState, totals: Mapping[str, int], suspects: int, observed: float, previews: Figures
) -> Iterator[tuple[str, str]]:
    """What must be seen before any figure: totals, clock, network, own error, gaps, what is suspect."""
    yield "day", f"{_counts(totals)} ({state.date} UTC, what stands in the delay logs)"
    since_start = {kind: state.totals.get(kind, 0) for kind in (DUPLICATE, IGNORED, UNIDENTIFIED)}
    since_start |= {"pre": previews.events} if previews.events else {}
    reasons = f" ({_counts(dict(Counter(state.rejected).most_common()))})" if state.rejected else ""
    yield "this run", f"{_counts(since_start | {'rejected': sum(state.rejected.values())})}{reasons}"
    if previews.events:
        p50, p95, most = shown(previews, ("p50_s", "p95_s", "max_s"))
        yield "previews", f"delay of their timestamps since this start: p50 {p50} s, p95 {p95} s, max {most} s"
    offset, kernel, clock = state.offset, state.kernel, "not compared with the cloud's yet"
    if offset is not None:
        clock = f"{offset.sentence()}; cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s"
    if kernel is not None:
        error = f"synchronised, error at most {span(kernel.maxerror_us)}" if kernel.synchronised else "NOT synchronised"
        clock += f"; kernel: {error}"
    yield "clock", clock
    yield "network", f"round trip {f'{milliseconds(state.rtt[0])} ({state.rtt[1]})' if state.rtt else 'unknown'}"
    yield "own error", _own_error(state)
    last = []  # also those that only taint figures (steps, suspends)
    for gap in [gap for gap in state.coverage.gaps if gap.kind != "gap" or is_shown(gap)][-3:]:
        kind, at = "" if gap.kind == "gap" else f"{gap.kind} ", clock_time(gap.from_us, seconds=True)
        why = f"{gap.reason} {state.camera(gap.camera_id).name or gap.camera_id}".rstrip()
        last.append(f"{kind}{at} {span(gap.to_us - gap.from_us)} {printable(why)}")
    gaps = gaps_text(state.coverage.gaps) + (f"; last: {', '.join(last)}" if last else "")
    yield "observed", f"{share(observed)} of the day; {gaps}"
    if state.disk:
        yield "disk", f"{printable(state.disk)}; {count(state.held_lines, 'line')} held in memory"
    yield "meaning", CONTAINS
    if left := list(state.left.items()):
        some = "; ".join(f"{state.camera(i).name or i}: {status} {text}" for i, (_, status, text) in left[:5])
        yield "left", cut(printable(f"the server dropped {count(len(left), 'camera')}: {some}"), 2 * 108)
    if suspects:
        yield "?", f"{count(suspects, 'camera')}: {SUSPECT}"


def _own_error(state: RunState) -> str:
    own = state.own_error
    if not own.n:
        return "not measured yet"
    p99, most, limit, write = map(milliseconds, (own.p99_us, own.max_us, own.threshold_us, state.write_p99_us))
    return f"p99 {p99}, max {most}; above {limit} a line carries lag_s=; disk write p99 {write}"


def _counts(totals: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n:,}" for kind, n in totals.items())


def _more(hidden: int, what: str) -> str:
    return f"… and {count(hidden, f'more {what}')}" if hidden else ""


def _durations(figures: Figures, names: Iterable[str], columns: int) -> str:
    all_us = figures.durations_us
    return "".join(f"{short(all_us[name]) if all_us else '-':>{columns}}" for name in names)


def _bridges(state: RunState, bridges: dict[str, list[tuple[CameraStatistics, float]]], since: str) -> Iterator[str]:
    worst = list[Row]()
    for bridge, cameras in bridges.items():
        recent = yield from summed_in_steps(Figures(each.recent(None, state.until_us)) for each, _ in cameras)
        keep_worst(worst, Row(bridge, bridge or NO_BRIDGE, recent), 20)
    titles = "".join(f"{name:>7}" for name in _OF_BRIDGE)
    yield (
        f"\nBRIDGES ({len(bridges):,}), worst p95 since {since} first."
        " One slow bridge: its site is slow. All slow: the cloud or this machine."
    )
    yield f"{'bridge':<10}{'cameras':>9}{'events':>8}{titles} │{'day':>8}{titles} observed"
    for row in worst:
        cameras = bridges[row.id]
        whole = yield from summed_in_steps(figures_of(each) for each, _ in cameras)
        recent_text, day_text = (f"{of.events:>8}{_durations(of, _OF_BRIDGE, 7)}" for of in (row.figures, whole))
        name = cell(("?" if whole.suspect else "") + row.name, 10)
        part = sum(observed for _, observed in cameras) / len(cameras)
        yield f"{name}{len(cameras):>9,}{recent_text} │{day_text}{share(part):>9}"
    yield _more(len(bridges) - len(worst), "bridge")


def _cameras(state: RunState, worst: list[Row], number: int, since: str) -> Iterator[str]:
    titles = "".join(f"{name:>6}" for name in _OF_CAMERA)
    yield f"\nCAMERAS ({number:,}), worst p95 since {since} first, fewer than {FEW} events last. Seconds, UTC."
    first_s, last_s = STEP_US / 1e6, (STEP_US << 6) / 1e6
    yield f"p95 of each hour: {STEPS[0]} up to {first_s:g} s, each step doubles, {STEPS[-1]} over {last_s:g} s"
    yield f"{'name':<29} {'id':<8}  {'bridge':<8}  00    06    12    18     {'max at':>15}    clean max at observed"
    yield f"{f'since {since}: events':>28} {'latest':>8}{titles} │{'day':>7}{titles}"
    for row in worst:
        statistics = state.day.cameras.get(row.id, NO_EVENTS)
        maxima = "".join(f"{_maximum(day.get(row.id)):>15} " for day in (state.day.worst, state.day.clean))
        name = cell(("?" if statistics.suspect else "") + (row.name or "(no name)"), 29)
        hours, part = "".join(map(_step, statistics.hourly_p95)), share(row.figures.observed or 0)
        yield f"{name} {cell(row.id, 8)}  {cell(row.bridge, 8)}  {hours} {maxima}{part:>8}"
        if statistics.suspect:
            yield f"  ? {suspect(figures_of(statistics))}"
        groups = statistics.groups
        for group in [*([None] if len(groups) > 1 else []), *groups]:
            label = "all" if group is None else group_name(group, state.names)
            recent, day = Figures(statistics.recent(group, state.until_us)), Figures(statistics.day(group))
            latest = clock_time(statistics.latest_us(group), seconds=True)
            of_recent = f"{recent.events:>7} {latest}{_durations(recent, _OF_CAMERA, 6)}"
            yield f"  {cell(label, 19)}{of_recent} │{day.events:>7}{_durations(day, _OF_CAMERA, 6)}"
    yield _more(number - len(worst), "camera")


def _step(us: int | None) -> str:
    doublings = 0 if us is None else (-(-max(us, 1) // STEP_US) - 1).bit_length()
    return " " if us is None else STEPS[min(doublings, len(STEPS) - 1)]


def _maximum(verdict: Verdict | None) -> str:
    return f"{short(verdict.delay_us or 0)} {clock_time(verdict.arrived_us, seconds=True)}" if verdict else "-"


def closing_table(state: RunState, columns: int = 0) -> Iterator[str]:
    """The table of the day's worst cameras, and the sentences to send. `columns` limits both (0: any)."""
    if state.reading is not None:
        yield f"The day's files are still being read ({share(state.reading)}): there are no figures yet."
        return
    used, worst, parts, shares, suspects = Counter[str](), list[Row](), list[Figures](), list[float](), 0
    for camera, statistics, part in state.cameras_of_day():
        used[camera.name] += 1
        shares.append(part)
        if statistics is not NO_EVENTS:
            parts.append(figures_of(statistics, state.day.worst.get(camera.id), part))
            suspects += statistics.suspect
            keep_worst(worst, Row(camera.id, camera.name, parts[-1]), 20)
        yield ""
    rows = [replace(row, name=camera_label(state.camera(row.id), used)) for row in worst]
    whole = yield from summed_in_steps(parts)
    whole.observed = state.observed_by_all(shares)
    whose = camera_label(state.camera(whole.max_event.camera_id), used) if whole.max_event else ""
    if rows:
        yield f"Delays of {state.date} (UTC) in seconds, worst p95 first, under {FEW} events last:"
        more = _SUSPECT if any(row.figures.suspect for row in rows) else {}
        cells = [[row.title, *shown(row.figures, (*_CLOSING, *more))] for row in rows]
        yield from table(["camera", *_CLOSING, *more.values()], cells, within=columns, spare=("min_s", "avg_s"))
    yield _more(len(parts) - len(worst), "camera")
    if quiet := len(shares) - len(parts):
        yield f"{count(quiet, 'camera')} without an event"
    if suspects:
        yield from wrapped("? ", f"{count(suspects, 'camera')}: {SUSPECT}", columns or 120)
    totals = {MEASURED: whole.events, EARLY: whole.early.n, INITIAL: whole.initial, UNDATED: whole.undated}
    told = [f"First-seen events: {_counts(totals)}"] if rows else []
    told += [*headlines(rows, Row("", "All cameras", whole), whose), f"Own error: {_own_error(state)}"]
    for sentence in told:
        yield from wrapped("", sentence, columns or len(sentence))
