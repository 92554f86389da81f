"""Building a report: read what the period needs, once, and put the figures together.

Decides the period that is reported and what is said when there is nothing; printing and files are for others.
Invariant: reads only; a running logger is not disturbed, and no lock is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from ..clock import now_us
from ..errors import NothingToShow
from ..model import Gap
from ..paths import LogPaths
from ..text import words
from .anonymous import Labels
from .cells import Cells
from .excerpts import Excerpts
from .figures import Tables
from .reading import Progress, Reading, folders
from .selection import FOREVER_US, Selection
from .values import Logged, Report, ReportOptions, Worst
from .vitals import NOT_RUNNING, Health, first_observed_us, gaps_in, last_observed_us, observed_share


def build(
    options: ReportOptions,
    *,
    progress: Progress = lambda done, total: None,
    on_event: Callable[[Logged], None] | None = None,
    at_us: int | None = None,
) -> Report:
    """The report of a log directory; `on_event` is called with each event in it; raises `NothingToShow`.

    `at_us` is the present, for reports that have no end.
    """
    present_us = now_us() if at_us is None else at_us
    selection = Selection(
        options.since_us or 0,
        FOREVER_US if options.until_us is None else options.until_us,
        options.cameras,
        options.bridges,
        options.namespaces,
        options.names,
    )
    unreadable: list[OSError] = []
    where = folders(LogPaths(options.log_dir), selection.from_us, selection.to_us, unreadable)
    reading = Reading(where, progress, unreadable)
    labels = Labels(reading.named | reading.cameras) if options.anonymise else None
    cells = Cells(selection, options.worst, options.min_delay_us, _relabelled(on_event, labels))
    reading.into(cells)
    if not cells.cells():
        raise _nothing(options, reading, cells)
    report = _put_together(options, selection, where, reading, cells, present_us)
    return report if labels is None else labels.report(report)


def _relabelled(on_event: Callable[[Logged], None] | None, labels: Labels | None) -> Callable[[Logged], None] | None:
    if on_event is None or labels is None:
        return on_event
    relabel = labels.logged
    return lambda event: on_event(relabel(event))


def _put_together(
    options: ReportOptions,
    selection: Selection,
    where: list[LogPaths],
    reading: Reading,
    cells: Cells,
    present_us: int,
) -> Report:
    """The report of what has been counted, with the gaps and the health of its period."""
    from_us, to_us, last_us = _period(options, LogPaths(options.log_dir), cells, present_us)
    gaps = gaps_in(where, from_us, to_us)
    if to_us > last_us:
        gaps.append(Gap("gap", last_us, to_us, NOT_RUNNING))
    worst = cells.worst()
    health = Health(from_us, to_us, [event.verdict.arrived_us for event in worst])
    health.read(where)
    known = {camera.id: camera for camera in reading.cameras.values() if selection.wants_camera(camera)}
    excerpts = Excerpts(where)
    tables = Tables(cells.cells(), known, observed_share(gaps, from_us, to_us), options.names)
    return Report(
        source=str(options.log_dir),
        made_us=present_us,
        from_us=from_us,
        to_us=to_us,
        last_observed_us=last_us,
        total=tables.total(),
        bridges=tables.by_bridge(),
        cameras=tables.by_camera(),
        namespaces=tables.by_namespace(),
        cells=tables.by_cell(),
        worst=[_worst(excerpts, event, health) for event in worst],
        slots=list(cells.timeline.slots()),
        gaps=gaps,
        minutes=health.minutes(),
        own_error=health.whole,
        skipped=replace(reading.skipped, lines=reading.skipped.lines + cells.contradictory),
        filters=selection.said(),
    )


def _worst(excerpts: Excerpts, event: Logged, health: Health) -> Worst:
    arrived_us = event.verdict.arrived_us
    return Worst(event, health.at(arrived_us), excerpts.body(event.camera.id, arrived_us))


def _period(options: ReportOptions, paths: LogPaths, cells: Cells, present_us: int) -> tuple[int, int, int]:
    """Beginning and end of what is reported, and the last moment in it that is known to be observed."""
    first_us = first_observed_us(paths)
    from_us = max(options.since_us or 0, cells.first_us if first_us is None else min(first_us, cells.first_us))
    known_us = last_observed_us(paths, present_us)
    # The event itself is within the period.
    last_us = max(known_us or 0, cells.last_us + 1)
    asked = options.until_us is not None or options.since_us is not None
    to_us = min(options.until_us or present_us, max(present_us, last_us)) if asked else last_us
    return from_us, max(to_us, from_us), min(last_us, to_us)


def _nothing(options: ReportOptions, reading: Reading, cells: Cells) -> NothingToShow:
    skipped = reading.skipped
    try:
        entries = len(os.listdir(options.log_dir))
    except (FileNotFoundError, NotADirectoryError):
        return NothingToShow(f"there is no directory {options.log_dir}", "--log-dir says where the logs are")
    except OSError as error:
        return NothingToShow(f"{options.log_dir} cannot be read: {error.strerror}", "check its owner and mode")
    found = [words.count(reading.files, "delay log")]
    if skipped.files:
        found.append(f"{words.count(skipped.files, 'file')} without a delay line")
    if skipped.errors:
        found.append(f"{words.count(skipped.errors, 'file or folder', 'files or folders')} that cannot be read")
    if cells.outside:
        found.append(f"{words.count(cells.outside, 'event')} outside the period")
    if not reading.files:
        found.append(f"{words.count(entries, 'entry', 'entries')} in all")
    return NothingToShow(
        f"no event to report in {options.log_dir}: found {', '.join(found)}",
        "look at --since, --until and the patterns" if reading.files else "--log-dir says where the logs are",
    )
