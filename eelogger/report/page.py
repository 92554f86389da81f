"""A report as one HTML page that needs nothing else: no network, no script, for any screen, light and dark.

Decides what stands where; figures are the texts of `columns`, sentences those of `statements`, drawings come from
`plots`. Invariant: foreign text enters only through `_e`, and a content security policy forbids everything but style.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from ..figures.observation import is_missed
from ..text import words
from ..text.tables import printable
from ..version import __version__
from .columns import FIGURES, figures, shown, worst_fields
from .plots import MISSING, available, distribution, over_time
from .statements import conditions, doubts, headlines, period, skipped
from .style import STYLE
from .values import Report, Row, Worst

SHOWN: Final = 1_000
_WIDE_PX: Final = 1040
_NARROW_PX: Final = 380
_LONGEST_JSON: Final = 20_000
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_COLUMNS: Final = (*FIGURES, "early", "undated", "observed_percent")
_TITLES: Final = tuple(name.replace("_s", " s").replace("_percent", " %").replace("_", " ") for name in _COLUMNS)
_TIMES: Final = {"max_s": ("max_at_utc", "max_uuid"), "clean_max_s": ("clean_max_at_utc", "clean_max_uuid")}
_WORST: Final = (
    ("delay_s", "delay s"), ("op", "op"), ("seq", "seq"), ("after_gap_s", "after gap s"), ("lag_s", "lag s"),
    ("clock_offset_s", "cloud − local s"), ("clock_bound_s", "± s"), ("rtt_s", "RTT s"),
)  # fmt: skip


def html(report: Report) -> Iterator[str]:
    """The page in pieces."""
    yield (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Event delays, {_e(words.moment(report.from_us))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    yield from _head(report)
    yield from _plots(report)
    if len(report.bridges) > 1:
        yield from _table(
            "bridge", "One slow bridge points to a site, all of them to the cloud or to us", report.bridges
        )
    yield from _table("camera", "Worst p95 first, those with fewer than 20 events last", report.cameras)
    yield from _table("namespace", "Annotation namespaces, or four-CCs where there is none", report.namespaces)
    yield from _worst(report)
    yield from _gaps(report)
    yield from _foot(report)
    yield "</body>\n</html>\n"


def _e(text: str) -> str:
    return escape(printable(text), quote=True)


def _head(report: Report) -> Iterator[str]:
    source = f" · {_e(report.source)}" if report.source else ""
    yield f"<h1>How late camera events arrived</h1>\n<p class=muted>{_e(period(report))}{source}</p>\n"
    yield from (f"<p class=headline>{_e(sentence)}</p>\n" for sentence in headlines(report))
    if doubted := "".join(f"<p>{_e(sentence)}</p>" for sentence in doubts(report)):
        yield f"<div class=warn>{doubted}</div>\n"
    names = ("events", "p50_s", "p95_s", "p99_s", "max_s", "clean_max_s", "early", "observed_percent")
    titles = ("events", "median", "95 % within", "99 % within", "worst", "worst, clean", "early", "observed")
    units = ["", *[" s"] * 5, "", " %"]
    yield "<div class=cards>"
    for name, title, unit, value in zip(names, titles, units, shown(report.total, names), strict=True):
        figure = f'<span data-figure="{name}">{_e(value)}</span>{unit if value[:1].isdigit() else ""}'
        yield f"<div><span>{title}</span><b>{figure}</b></div>"
    yield "</div>\n<dl>"
    yield from (f"<dt>{_e(name)}</dt><dd>{_e(sentence)}</dd>" for name, sentence in conditions(report))
    yield "</dl>\n"


def _plots(report: Report) -> Iterator[str]:
    if not report.total.n:
        return
    if not available():
        yield f"<p class=warn>{_e(MISSING)}</p>\n"
        return
    for title, draw in (
        ("Over time: delay, and what the instrument says of itself; shaded where nothing was observed", over_time),
        ("Distribution of delays", distribution),
    ):
        yield f"<h2>{_e(title)}</h2>\n"
        for kind, width in (("wide", _WIDE_PX), ("narrow", _NARROW_PX)):
            yield f"<div class={kind}>{draw(report, width)}</div>\n"


def _table(what: str, caption: str, rows: Sequence[Row]) -> Iterator[str]:
    yield f"<h2>By {what}</h2>\n<p class=muted>{_e(caption)}; open a maximum for its time and event</p>\n"
    yield f"<div class=scroll><table id=by-{what}>\n"
    yield f"<thead><tr><th>{what}</th>"
    yield "".join(f"<th>{title}</th>" for title in _TITLES) + "</tr></thead>\n<tbody>\n"
    for row in rows[:SHOWN]:
        ids = f' data-camera="{_e(row.camera.id)}"' if row.camera else ""
        yield f"<tr{ids}><td>{_e(row.label)}</td>{''.join(_cells(row))}</tr>\n"
    yield "</tbody></table></div>\n"
    if len(rows) > SHOWN:
        yield f"<p class=muted>… and {words.count(len(rows) - SHOWN, f'more {what}')}; all are in the CSV.</p>\n"


def _cells(row: Row) -> Iterator[str]:
    """The figures; a maximum opens to show when it was and which event."""
    values = figures(row)
    for name, text in zip(_COLUMNS, shown(row, _COLUMNS), strict=True):
        figure = f'<span data-figure="{name}">{_e(text)}</span>'
        at, uuid = (values[key] for key in _TIMES[name]) if name in _TIMES else ("", "")
        if at:
            figure = f"<details><summary>{figure}</summary><small>{_e(at)}</small><small>{_e(uuid)}</small></details>"
        yield f"<td>{figure}</td>"


def _worst(report: Report) -> Iterator[str]:
    if not report.worst:
        return
    yield "<h2>Worst events</h2>\n"
    yield "<p class=muted>With clock and round trip of their minute; open one for the event</p>\n"
    yield "<div class=scroll><table id=worst>\n"
    yield "<thead><tr><th>camera</th>" + "".join(f"<th>{_e(title)}</th>" for _, title in _WORST)
    yield "<th class=left>arrived (UTC), namespace, event</th></tr></thead>\n<tbody>\n"
    for worst in report.worst[:SHOWN]:
        fields = worst_fields(worst)
        yield f"<tr><td>{_e(fields['name'])}</td>"
        yield "".join(f'<td data-figure="{name}">{_e(fields[name] or "-")}</td>' for name, _ in _WORST)
        yield f"<td class=left>{_event(worst, fields)}</td></tr>\n"
    yield "</tbody></table></div>\n"


def _event(worst: Worst, fields: dict[str, str]) -> str:
    """When and what, which opens to show the uuid and the event as it came."""
    summary = f"{fields['arrived_utc']} {fields['event']}"
    body = f"<pre>{_json(worst.body)}</pre>" if worst.body else ""
    return f"<details><summary>{_e(summary)}</summary><small>{_e(fields['uuid'])}</small>{body}</details>"


def _json(body: str) -> str:
    try:
        text = json.dumps(json.loads(body), indent=1, ensure_ascii=True)
    except (ValueError, RecursionError):
        text = body
    more = "\n…" if len(text) > _LONGEST_JSON else ""
    return "\n".join(map(_e, text[:_LONGEST_JSON].split("\n"))) + more


def _gaps(report: Report) -> Iterator[str]:
    """All times in which something was missed or tainted, the longest first; folded, there may be many."""
    found = [gap for gap in report.gaps if gap.to_us > gap.from_us and is_missed(gap)]
    found.sort(key=lambda gap: gap.from_us - gap.to_us)
    if not found:
        return
    yield f"<h2>Gaps</h2>\n<details><summary>{words.count(len(found), 'gap')}, the longest first</summary>"
    yield "<div class=scroll><table id=gaps>\n<thead><tr><th>kind</th><th>from (UTC)</th><th>lasted</th>"
    yield "<th class=left>reason</th><th class=left>camera</th></tr></thead>\n<tbody>\n"
    for gap in found[:SHOWN]:
        lasted = words.span(gap.to_us - gap.from_us)
        yield f"<tr><td>{_e(gap.kind)}</td><td>{_e(words.moment(gap.from_us)[:19])}</td><td>{_e(lasted)}</td>"
        yield f"<td class=left>{_e(gap.reason)}</td><td class=left>{_e(gap.camera_id or 'all')}</td></tr>\n"
    yield "</tbody></table></div></details>\n"


def _foot(report: Report) -> Iterator[str]:
    yield f"<h2>What a delay contains</h2>\n<p>{_e(words.CONTAINS)}</p>\n"
    yield (
        "<p>It is the arrival at this machine minus the event’s own timestamp. Percentiles are within 1 %."
        " <em>Clean</em> maxima leave out events after a gap, events that came while the logger itself was late, and"
        " those not seen at their creation. Early events (before their own timestamp) and initial state enter no"
        " figure.</p>\n"
    )
    yield from (f"<p class=muted>{_e(sentence)}</p>\n" for sentence in skipped(report))
    made = f"Made {words.moment(report.made_us)} by eelogger {__version__}."
    yield f"<p class=muted>{_e(made)} All times are UTC.</p>\n"
