"""Show a report as one HTML page that needs nothing else; text comes printable and is escaped here."""

from collections.abc import Iterator
from html import escape
from typing import Final

from .. import __version__
from ..views.figures import texts
from ..views.sentences import CONTAINS
from ..views.text import moment
from .build import Report
from .export import FIGURES, heading, is_number, tables
from .plots import image, missing
from .read import sentences

SHOWN: Final = 1_000
_HEAD: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:;
 base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Event delays</title>
<style>
:root { color-scheme: light dark; --bg: #fff; --card: #f4f6f8; --fg: #16202a; --muted: #5a6773; --warn: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #12171c; --card: #1c242c; --fg: #e6ebf0; --muted: #9aa7b3; --warn: #ff8a80; }
  img { filter: invert(1) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; font: 16px/1.45 system-ui, sans-serif;
  background: var(--bg); color: var(--fg); }
h1, h2 { font-size: 1.25rem; margin: 1.5rem 0 .5rem; } p { margin: .3rem 0; }
.muted, small, dt, th { color: var(--muted); }
.warn { border-left: 4px solid var(--warn); padding: .3rem .8rem; }
.warn, .cards div { background: var(--card); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.cards div { padding: .5rem .7rem; } .cards b { display: block; font-size: 1.25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .8rem 0; }
dd { margin: 0; overflow-wrap: anywhere; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .28rem .55rem; border-bottom: 1px solid var(--card); white-space: nowrap;
  vertical-align: top; }
tr > :first-child { text-align: left; white-space: normal; min-width: 8rem; position: sticky; left: 0;
  background: var(--bg); }
.text { text-align: left; } .text:last-child { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; }
td small { display: block; font-family: ui-monospace, monospace; }
summary { cursor: pointer; list-style: none; text-decoration: underline dotted; }
img { width: 100%; height: auto; display: block; }
@media (max-width: 640px) { body { padding: .7rem } dl { grid-template-columns: 1fr; gap: 0 } dt { margin-top: .5em } }
</style>
</head>
<body>
<h1>How late camera events arrived</h1>
"""
_FOOT: Final = f"""<h2>What a delay contains</h2>
<p>{escape(CONTAINS)}</p>
<p>It is the arrival at this machine minus the event’s own timestamp. Percentiles are within 1 %. <em>Clean</em> maxima
leave out events after a gap, events that came while the logger itself was late, and those not seen at their creation.
Early events (before their own timestamp) and initial state enter no figure. Open a maximum for its time and event.</p>
"""


def html(report: Report) -> Iterator[str]:
    """The page in pieces."""
    yield f"{_HEAD}<p class=muted>{escape(report.query.period(report.from_us, report.to_us))}</p>\n"
    yield from (f"<p>{escape(sentence)}</p>\n" for sentence in report.headlines)
    yield from (f"<p class=warn>{escape(sentence)}</p>\n" for sentence in report.suspects)
    total = texts(report.total.figures)
    cards = (f"<div><small>{heading(name)}</small><b>{_figure(name, total[name])}</b></div>" for name in FIGURES)
    yield f"<div class=cards>{''.join(cards)}</div>\n"
    lines = (f"<dt>{escape(name)}</dt><dd>{escape(sentence)}</dd>" for name, sentence in report.conditions.items())
    yield f"<dl>{''.join(lines)}</dl>\n"
    if why := missing():
        yield f"<p class=warn>{escape(why)}</p>\n"
    elif report.total.figures.events:
        period = report.from_us, report.to_us
        narrow, wide = (image(report.timeline, report.gaps, *period, width_px) for width_px in (380, 1040))
        title = "Delay over time, shaded where nothing was observed, and its distribution"
        yield f'<h2>{title}</h2>\n<picture><source media="(max-width: 640px)" srcset="{narrow}">'
        yield f'<img src="{wide}" alt="{title}"></picture>\n'
    for title, caption, columns, rows in tables(report):
        name = title.lower().replace(" ", "-")
        yield f"<h2>{title}</h2>\n<p class=muted>{caption}</p>\n<div class=scroll><table id={name}>\n"
        titles = (f"<th{'' if is_number(name) else ' class=text'}>{heading(name)}" for name in columns)
        yield f"<thead><tr>{''.join(titles)}</tr></thead>\n<tbody>\n"
        for row in rows[:SHOWN]:
            yield from _row(columns, row)
        yield "</tbody></table></div>\n"
        if len(rows) > SHOWN:
            yield f"<p class=muted>… and {len(rows) - SHOWN:,} more; --json has all.</p>\n"
    yield _FOOT
    yield from (f"<p class=muted>{escape(sentence)}</p>\n" for sentence in sentences(report.skipped))
    yield f"<p class=muted>Made {moment(report.made_us)} by eelogger {__version__}. All times are UTC.</p>\n"
    yield "</body>\n</html>\n"


def _figure(name: str, value: str) -> str:
    return f'<span data-figure="{name}">{escape(value or "-")}</span>'


def _row(columns: tuple[str, ...], row: dict[str, str]) -> Iterator[str]:
    yield f"<tr><td>{escape(row[columns[0]])}<small>{row.get('note', '')}</small>"
    for name in columns[1:]:
        cell, of = _figure(name, row[name]) if is_number(name) else escape(row[name]), name.removesuffix("_s")
        if at := row.get(f"{of}_at_utc"):
            event = f"<small>{at}</small><small>{escape(row[f'{of}_uuid'])}</small>"
            cell = f"<details><summary>{cell}</summary>{event}</details>"
        yield f"<td{'' if is_number(name) else ' class=text'}>{cell}"
    yield "</tr>\n"
