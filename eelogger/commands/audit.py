"""Compare what the cloud recorded with what arrived; nothing is written into the log directory."""

import argparse
import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..clock import now_us
from ..cloud import loop_delay
from ..cloud.annotations import AnnotationLists
from ..cloud.cameras import sign_in
from ..cloud.rest import Rest
from ..cloud.sign_in import Credentials
from ..errors import NothingToShow, UsageError
from ..measure.clock_offset import Offset, OffsetBounds
from ..measure.coverage import ADDED
from ..model import HOUR_US, Camera, DateSample, Gap, Group
from ..report.build import first_observed_us, gaps_in, read_health
from ..report.export import BOM
from ..report.losses import Found, csv_text, json_text, text
from ..report.query import FOREVER_US, Query, parse_moment
from ..report.reconcile import Reconciliation, find_logs, identities, mark
from ..settings import PROGRAM, Settings, load
from ..storage.camera_files import read_cameras
from ..storage.line_blocks import Skipped
from ..storage.lock import HANGS, RUNNING, process_state
from ..storage.paths import LogPaths
from ..storage.state import read_refused_login, read_state
from ..views.console import STDOUT, Console, output_file, progress
from ..views.text import count, moment, printable, span

AT_ONCE: Final = 2  # cameras that are compared at a time, each with one request under way
UNDER_WAY_US: Final = 300_000_000  # a younger event may still be on its way, or not be recorded yet
SETTLE_S: Final = 1.0  # a listed event that arrived stands in the identity log after so long
_STATE_US: Final = 15_000_000  # `.state` is at most 10 s behind an idle logger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `audit`."""
    parser.epilog = "WHEN and PATTERN: see report --help. Exit code 1: an event never arrived; 66: nothing to compare."
    parser.add_argument("--since", metavar="WHEN", default="24h", help="beginning of the period (default: 24h)")
    parser.add_argument("--until", metavar="WHEN", help="its end, not included (default: 5 minutes ago)")
    for name in ("camera", "bridge", "namespace"):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="PATTERN", help=f"only this {name}")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row for each missing event; - is stdout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, for programs; - is stdout")


def run(options: argparse.Namespace, console: Console) -> int:
    """Show what is missing; 1 when something is that should have arrived. Raises what a run raises, `NothingToShow`."""
    if options.csv is not None and options.csv == options.json:
        raise UsageError("two outputs cannot go to the same place", "give each a file of its own; - is stdout, for one")
    settings = load(options.env_file, options.log_dir)
    query = _query(options, settings)
    outputs = {place: pieces for place, pieces in ((options.csv, csv_text), (options.json, json_text)) if place}
    with ExitStack() as stack:
        files = {place: stack.enter_context(output_file(place, console.write)) for place in outputs}
        audit = Audit(settings, query)
        try:
            with progress("asking", console) as advance:
                loop_delay.run(audit.compare(advance))
        except (Exception, KeyboardInterrupt):  # what is known so far is shown
            if audit.found.results and STDOUT not in files:
                console.write(text(audit.found, console.columns()))
            raise
        found = audit.found
        if not (found.total["recorded"] or found.total["unrecorded"]):
            failure = next((result.failure for result in found.results.values() if result.failure), "")
            why = f"no list that holds an event could be read: {failure}" if failure else "the cloud recorded nothing"
            why = why if found.cameras else "no camera of the list is asked for"
            hint = f"look at --since, --until and the patterns, and see {PROGRAM} check"
            raise NothingToShow(f"nothing to compare: {why}", hint)
        for place, put in files.items():
            put([BOM] * (place == options.csv and place != STDOUT))
            put(outputs[place](found))
    if STDOUT not in files:
        console.write(text(found, console.columns()))
    for place in files:
        if place != STDOUT:
            console.info(f"written: {printable(place)}")
    return 1 if found.total["missing"] else 0


def _query(options: argparse.Namespace, settings: Settings) -> Query:
    at_us = now_us() // 1000 * 1000  # the cloud's times have milliseconds
    since_us = parse_moment(options.since, at_us, "--since")
    until_us = min(at_us, parse_moment(options.until, at_us, "--until")) if options.until else at_us - UNDER_WAY_US
    if since_us >= until_us:
        raise UsageError("--since is not before --until", "the default end is 5 minutes ago: --until now")
    if "ANNT" not in settings.events:
        raise NothingToShow("annotations are not logged, and the cloud lists nothing else", "see EEN_EVENTS")
    patterns = options.camera, options.bridge, options.namespace
    return Query(settings.log_dir, since_us, until_us, *patterns, names=settings.namespace_table)


class Audit:
    """One comparison; `found` grows, and is partial until all cameras are compared."""

    def __init__(self, settings: Settings, query: Query) -> None:
        paths, made_us = LogPaths(settings.log_dir), now_us()
        self._logs, self._known = logs, _ = find_logs(query), identities(paths)
        samples = list[DateSample]()
        is_alone = process_state(paths).kind not in (RUNNING, HANGS)
        signing_in = sign_in(settings, Credentials(read_refused_login(paths)), samples.append, may_log_in=is_alone)
        self._settings, listed = loop_delay.run(signing_in)
        query = replace(query, bridge_names=listed.bridges)
        cameras = {i: camera for i, camera in listed.kept(self._settings).items() if query.wants_camera(camera)}
        self._logged_now, _ = read_cameras(paths)
        # When nobody listened: gaps on record, the time before the first observation and after the last.
        begun_us, state = first_observed_us(paths) or FOREVER_US, read_state(paths)
        last_us = state.alive_us if state else 0
        self._gaps = gaps_in(logs.folders, query.since_us, query.until_us)
        self._gaps += [Gap("gap", 0, begun_us, "before"), Gap("gap", last_us, FOREVER_US, "after")]
        minutes = read_health(logs.folders, query.since_us, query.until_us)
        minutes = [each for each in minutes if each.keys() >= {"clock_offset_s", "clock_bound_s"}]
        offsets = [Offset(each["clock_offset_s"], each["clock_bound_s"]) for each in minutes]
        offsets += filter(None, [OffsetBounds(samples).offset(made_us)])
        self._clock_us = max((abs(each.offset_us) + each.bound_us for each in offsets if each.warns), default=0)
        notes = [*_notes(query, made_us, self._settings.namespaces, begun_us, last_us)]
        if self._clock_us:
            off = f"The clock may be up to {span(self._clock_us)} wrong"
            notes.append(f"{off}: what happened so near a gap counts as fallen into it.")
        if gone := len(logs.files.keys() - listed.cameras.keys()):
            notes.append(f"{count(gone, 'camera')} with delay logs left the camera list, and cannot be audited.")
        self.found = Found(query, made_us, cameras, listed.bridges, {}, [], notes, is_partial=True)
        self._hours_done = 0

    async def compare(self, advance: Callable[[int, int], None]) -> None:
        """Compare all cameras; `advance` is told the hours done and in all. May be broken off at any time."""
        limit, found = asyncio.Semaphore(AT_ONCE), self.found
        async with Rest(self._settings) as rest:
            lists = AnnotationLists(rest, self._settings.namespaces)
            await asyncio.gather(*(self._compare(camera, lists, limit, advance) for camera in found.cameras.values()))
        await asyncio.sleep(SETTLE_S if found.missing else 0)
        # What arrived after the delay log was read, and before the list was, is not missing.
        known = identities(LogPaths(self._settings.log_dir))
        for camera, each in found.missing:
            if mark(each.uuid) in known:
                found.results[camera.id].hours[each.hour_us].subtract(each.counts_as)
        missing = [(camera, each) for camera, each in found.missing if mark(each.uuid) not in known]
        self.found = replace(found, missing=missing, is_partial=False)

    async def _compare(
        self, camera: Camera, lists: AnnotationLists, limit: asyncio.Semaphore, advance: Callable[[int, int], None]
    ) -> None:
        found, query, logged = self.found, self.found.query, self._settings.namespaces
        hours = 1 + (query.until_us - 1) // HOUR_US - query.since_us // HOUR_US

        def wants(group: Group) -> bool:
            return (logged is None or group in logged) and query.wants(camera, group)

        async with limit:
            gaps = [gap for gap in self._gaps if gap.camera_id in ("", camera.id)]
            added = sorted(gap.to_us for gap in gaps if gap.reason == ADDED)
            if camera.id not in self._logged_now:
                added.append(query.until_us)
            result, skipped = Reconciliation(gaps, added, self._known, self._clock_us), Skipped()
            found.results[camera.id] = result
            result.deliver(self._logs.rows(camera.id, skipped), query, wants)
            result.damaged = skipped.lines
            if skipped.files:  # all its events would be called missing
                result.fail(query.since_us, f"its delay log cannot be read: {skipped.files[0].strerror}", hours)
                return
            async for hour in lists.hours(camera.id, query.since_us, query.until_us):
                if hour.rows is None:
                    result.fail(hour.from_us, hour.failure)
                else:
                    asked = (row for row in hour.rows if wants("ANNT" if row[2] is None else row[2]))
                    found.missing.extend((camera, each) for each in result.take(hour.from_us, hour.to_us, asked))
                result.unreadable += hour.unreadable
                self._hours_done += 1
                advance(self._hours_done, len(found.cameras) * hours)
            result.finish()


def _notes(query: Query, made_us: int, logged: Iterable[int] | None, begun_us: int, last_us: int) -> Iterator[str]:
    yield "The cloud lists annotations (ANNT) alone: ROI alerts and other four-CCs are not audited."
    if logged is not None:
        yield f"EEN_NAMESPACES leaves out others than {sorted(logged)}: these are not audited either."
    if query.until_us > made_us - UNDER_WAY_US:
        yield "Events of the last 5 minutes may still be under way, or not be recorded yet."
    if begun_us == FOREVER_US:
        yield "Nothing on record says when somebody listened: all that is missing counts as in gaps."
        return
    if query.since_us < begun_us:
        yield f"Nothing was observed before {moment(begun_us)}, the first moment on record."
    if last_us + _STATE_US < query.until_us:
        yield f"Nothing was observed after {moment(last_us)}, the last moment on record."
