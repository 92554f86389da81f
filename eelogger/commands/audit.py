"""Compare the annotations that the cloud recorded with those that arrived.

It reads beside a running logger, needs no lock, and writes nothing into the log directory.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from ..clock import now_us
from ..cloud.annotations import AnnotationLists
from ..cloud.cameras import CameraList, sign_in
from ..cloud.rest import Rest
from ..cloud.sign_in import Credentials
from ..errors import KeyRefused, NothingToShow, UsageError
from ..measure.clock_offset import Offset, OffsetBounds
from ..measure.coverage import ADDED
from ..model import HOUR_US, Camera, DateSample, Gap, Group, Timing
from ..report.conditions import first_observed_us, gaps_in, read_health
from ..report.export import BOM
from ..report.losses import Found, csv_text, json_text, text
from ..report.query import FOREVER_US, Query, parse_moment
from ..report.reconcile import DelayLogs, Missing, Reconciliation, mark
from ..settings import PROGRAM, Settings, load
from ..storage.camera_files import read_cameras
from ..storage.line_blocks import Skipped
from ..storage.lock import HANGS, RUNNING, process_state
from ..storage.paths import LogPaths
from ..storage.state import read_refused_login, read_state
from ..views.console import Console, progress
from ..views.number_format import count, moment, span
from ..views.output_file import STDOUT, OutputFile
from ..views.tables import printable

AT_ONCE: Final = 2  # cameras that are compared at a time, each with one request under way
UNDER_WAY_US: Final = 300_000_000  # a younger event may still be on its way, or not be recorded yet
SETTLE_S: Final = 1.0  # what is in a list was sent; after so long it stands in the identity log, if it arrived
_STATE_US: Final = 15_000_000  # `.state` is at most 10 s behind an idle logger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `audit`."""
    parser.epilog = (
        "WHEN: now, or as in report --help, where PATTERN is explained too. Exit codes: 0 nothing is missing that"
        " should have arrived, 1 something is, 66 nothing to compare, 69, 77, 78 as a run, 130 broken off."
    )
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
    audit = Audit(settings, _query(options, settings))
    outputs = {place: pieces for place, pieces in ((options.csv, csv_text), (options.json, json_text)) if place}
    with ExitStack() as stack:
        files = {place: stack.enter_context(OutputFile(place, console.write)) for place in outputs}
        try:
            with progress("asking", console) as audit.advance:
                asyncio.run(audit.compare())
        except (Exception, KeyboardInterrupt):  # what is known so far is shown
            if audit.results and STDOUT not in files:
                console.write("".join(text(audit.found(is_partial=True), console.columns())))
            raise
        found = audit.found()
        _require(found)
        for place, file in files.items():
            file.write([BOM] * (place == options.csv and place != STDOUT))
            file.write(outputs[place](found))
    if STDOUT not in files:
        console.write("".join(text(found, console.columns())))
    for place in files:
        if place != STDOUT:
            console.info(f"written: {printable(str(place))}")
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


def _require(found: Found) -> None:
    if found.total["recorded"] or found.total["unrecorded"]:
        return
    why, hint = "the cloud recorded no annotation in this period", "look at --since, --until and the patterns"
    if not found.cameras:
        why = "no camera of the list is asked for"
    elif found.total["unknown"]:
        failure = next(result.failure for result in found.results.values() if result.failure)
        why, hint = f"no list that holds an event could be read: {failure}", f"see {PROGRAM} check"
    raise NothingToShow(f"nothing to compare: {why}", hint)


class Audit:
    """One comparison; `results` are those of the cameras so far, `missing` what did not arrive."""

    def __init__(self, settings: Settings, query: Query) -> None:
        self.results: dict[str, Reconciliation] = {}
        self.missing: list[tuple[Camera, Missing]] = []
        self.advance: Callable[[int, int], None] = lambda done, total: None
        self._settings, self._query, self._paths = settings, query, LogPaths(settings.log_dir)
        self._made_us = now_us()
        self._listed, self._cameras, self._offsets = CameraList(), dict[str, Camera](), OffsetBounds()
        self._is_over, self._done = False, 0

    async def compare(self) -> None:
        """Compare all cameras; may be broken off at any time."""
        try:
            self._logs = await asyncio.to_thread(DelayLogs, self._query)
            settings, self._listed = await self._sign_in()
            self._query = replace(self._query, bridge_names=self._listed.bridges)
            self._cameras = {i: c for i, c in self._listed.kept(settings).items() if self._query.wants_camera(c)}
            self._look_for_gaps()
            async with Rest(settings, on_date=self._date) as rest:
                lists, waiting = AnnotationLists(rest, settings.namespaces, Timing()), iter(self._cameras.values())
                async with asyncio.TaskGroup() as group:
                    for _ in range(AT_ONCE):
                        group.create_task(self._work(waiting, lists))
            await asyncio.sleep(SETTLE_S if self.missing else 0)
            known = await asyncio.to_thread(self._logs.read_known)
            # What arrived after the delay log was read, and before the list was, is not missing.
            for camera, each in self.missing:
                if mark(each.uuid) in known:
                    self.results[camera.id].hours[each.hour_us].subtract(each.counts_as)
            self.missing = [(camera, each) for camera, each in self.missing if mark(each.uuid) not in known]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            self._is_over = True

    def found(self, *, is_partial: bool = False) -> Found:
        """What was found so far."""
        results, names = self.results, self._listed.bridges
        return Found(self._query, self._made_us, self._cameras, names, results, self.missing, self._notes(), is_partial)

    async def _sign_in(self) -> tuple[Settings, CameraList]:
        """Find a key that reads the camera list; not by a login beside a logger, whose session that may end."""
        may_log_in = process_state(self._paths).kind not in (RUNNING, HANGS)
        if not (self._settings.auth_key or may_log_in):
            message = "no key is set, and a login could end the session of the logger at work"
            raise KeyRefused(message, f"`{PROGRAM} login` writes a key to .env")
        credentials = Credentials(read_refused_login(self._paths))
        return await sign_in(self._settings, credentials, self._date, may_log_in=may_log_in)

    def _date(self, sample: DateSample) -> None:
        self._offsets.add(sample)

    def _wants(self, camera: Camera, group: Group) -> bool:
        logged = self._settings.namespaces
        return (logged is None or group in logged) and self._query.wants(camera, group)

    def _look_for_gaps(self) -> None:
        """When nobody listened: gaps on record, the time before the first observation and after the last."""
        period, where, state = (self._query.since_us, self._query.until_us), self._logs.where, read_state(self._paths)
        self._begun_us = first_observed_us(self._paths) or FOREVER_US
        self._last_us = state.alive_us if state else 0
        self._gaps = gaps_in(where, *period)
        self._gaps += [Gap("gap", 0, self._begun_us, "before"), Gap("gap", self._last_us, FOREVER_US, "after")]
        minutes = (each for each in read_health(where, *period) if {"clock_offset_s", "clock_bound_s"} <= each.keys())
        offsets = [Offset(each["clock_offset_s"], each["clock_bound_s"]) for each in minutes]
        offsets += filter(None, [self._offsets.offset(now_us())])
        self._clock_us = max((abs(each.offset_us) + each.bound_us for each in offsets if each.warns), default=0)
        self._logged_now = read_cameras(self._paths)

    async def _work(self, waiting: Iterator[Camera], lists: AnnotationLists) -> None:
        query, logs = self._query, self._logs
        hours = 1 + (query.until_us - 1) // HOUR_US - query.since_us // HOUR_US
        for camera in waiting:
            gaps = [gap for gap in self._gaps if gap.camera_id in ("", camera.id)]
            added = sorted(gap.to_us for gap in gaps if gap.reason == ADDED)
            if camera.id not in self._logged_now:
                added.append(query.until_us)
            result = self.results[camera.id] = Reconciliation(gaps, added, logs.known, self._clock_us)
            skipped = Skipped()
            rows = logs.rows(camera.id, skipped, self._on_read)
            await asyncio.to_thread(result.deliver, rows, query, partial(self._wants, camera))
            result.damaged = skipped.lines
            if skipped.files:  # all that stands in there would be called missing
                result.fail(query.since_us, f"its delay log cannot be read: {skipped.files[0].strerror}", hours)
                continue
            async for hour in lists.hours(camera.id, query.since_us, query.until_us):
                if hour.rows is None:
                    result.fail(hour.from_us, hour.failure)
                else:
                    asked = (row for row in hour.rows if self._wants(camera, "ANNT" if row.ns is None else row.ns))
                    self.missing += ((camera, each) for each in result.take(hour.from_us, hour.to_us, asked))
                result.unreadable += hour.unreadable
                self._done += 1
                self.advance(self._done, len(self._cameras) * hours)
            result.finish()

    def _on_read(self, size: int) -> None:
        if self._is_over:
            raise RuntimeError("broken off")

    def _notes(self) -> list[str]:
        query, logged = self._query, self._settings.namespaces
        found = ["The cloud lists annotations (ANNT) alone: ROI alerts and other four-CCs are not audited."]
        if logged is not None:
            found.append(f"EEN_NAMESPACES leaves out others than {sorted(logged)}: these are not audited either.")
        if query.until_us > self._made_us - UNDER_WAY_US:
            found.append("Events of the last 5 minutes may still be under way, or not be recorded yet.")
        if self._begun_us == FOREVER_US:
            found.append("Nothing on record says when somebody listened: all that is missing counts as in gaps.")
        elif query.since_us < self._begun_us:
            found.append(f"Nothing was observed before {moment(self._begun_us)}, the first moment on record.")
        if self._begun_us < FOREVER_US and self._last_us + _STATE_US < query.until_us:
            found.append(f"Nothing was observed after {moment(self._last_us)}, the last moment on record.")
        if self._clock_us:
            off = f"The clock may be up to {span(self._clock_us)} wrong"
            found.append(f"{off}: what happened so near a gap counts as fallen into it.")
        if gone := len(self._logs.camera_ids - self._listed.cameras.keys()):
            found.append(f"{count(gone, 'camera')} with delay logs left the camera list, and cannot be audited.")
        return found
