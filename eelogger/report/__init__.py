"""`python app.py report`: what the delay logs of a period say, as tables, CSV, JSON, a page with plots, or evidence.

    selection → reading → rows → cells → figures ┐
                                 vitals, excerpts ┴ build → Report → text, export, page, evidence

Works on files alone: no lock, no settings, no network. Invariant: everything shown comes from one `Report`.
"""

from .build import build
from .evidence import check_place, write_evidence
from .export import csv_lines, event_csv_line, events_csv_header, json_text
from .page import html
from .plots import MISSING, available
from .selection import parse_moment
from .terminal import WIDEST, text
from .values import Logged, Report, ReportOptions

__all__ = [
    "MISSING",
    "WIDEST",
    "Logged",
    "Report",
    "ReportOptions",
    "available",
    "build",
    "check_place",
    "csv_lines",
    "event_csv_line",
    "events_csv_header",
    "html",
    "json_text",
    "parse_moment",
    "text",
    "write_evidence",
]
