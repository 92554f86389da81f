"""Moments and patterns: what a report is asked for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_logs import HOUR, KNOWN
from run_states import NOON_US

from eelogger.errors import UsageError
from eelogger.report.query import Query, parse_moment
from eelogger.storage.formats import time_text

NOW_US = NOON_US + HOUR


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (" now ", "2026-11-22T13:00:00.000000Z"), ("5s", "2026-11-22T12:59:55.000000Z"),
        ("90m", "2026-11-22T11:30:00.000000Z"), ("24h", "2026-11-21T13:00:00.000000Z"),
        ("7d", "2026-11-15T13:00:00.000000Z"), ("2w", "2026-11-08T13:00:00.000000Z"),
        ("999999999w", "1970-01-01T00:00:00.000000Z"), ("1960-01-01", "1970-01-01T00:00:00.000000Z"),
        ("2026-11-01", "2026-11-01T00:00:00.000000Z"), ("2026-11-01T08:30", "2026-11-01T08:30:00.000000Z"),
        ("2026-11-01T08:30:00+01:00", "2026-11-01T07:30:00.000000Z"),
        ("2026-11-01 08:30 UTC", "2026-11-01T08:30:00.000000Z"), ("2026-11-01 Z", "2026-11-01T00:00:00.000000Z"),
        ("2026-07-01 08:30 Europe/Berlin", "2026-07-01T06:30:00.000000Z"),
        ("2026-11-01 Europe/Berlin", "2026-10-31T23:00:00.000000Z"),
        ("2026-11-22T09:07:20.123456Z", "2026-11-22T09:07:20.123456Z"),
    ],
)  # fmt: skip
def test_moments(text: str, moment: str) -> None:
    assert time_text(parse_moment(text, NOW_US, "--since")) == moment


@pytest.mark.parametrize(
    "text",
    ["", "yesterday evening", "25:00", "2026-13-01", "5y", "2026-11-01T00:00Z Europe/Berlin", "9999-12-31T23:59-14:00"],
)
def test_what_is_no_moment_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--since") as caught:
        parse_moment(text, NOW_US, "--since")
    assert caught.value.reason == "no-moment"


@pytest.mark.parametrize("zone", ["Europe/Nix", "Europe", "Q"])
def test_an_unknown_zone_is_said_with_what_to_do(zone: str) -> None:
    with pytest.raises(UsageError, match=f"--since: there is no time zone {zone}$") as caught:
        parse_moment(f"2026-11-01 08:30 {zone}", NOW_US, "--since")
    assert (caught.value.reason, "tzdata" in caught.value.hint) == ("no-such-zone", True)


@pytest.mark.parametrize(
    ("patterns", "group", "wanted"),
    [
        ({"cameras": ["100E0000"]}, 103, True), ({"cameras": ["front*", "nobody"]}, 103, True),
        ({"cameras": ["Front [D]oor"]}, 103, False), ({"namespaces": ["intru*"]}, 103, True),
        ({"namespaces": ["roi alert*"]}, "ALRS", True), ({"cameras": ["front*"], "namespaces": ["104"]}, 103, False),
    ],
)  # fmt: skip
def test_patterns(patterns: dict[str, Any], group: int | str, wanted: bool) -> None:
    assert Query(Path(), **patterns).wants(KNOWN["100e0000"], group) is wanted


def test_a_report_says_what_it_is_about_and_an_anonymous_one_names_nothing() -> None:
    query = Query(Path("logs"), cameras=["front*", "a\x1b"], namespaces=["103"])
    hour = "2026-11-22 12:00:00 UTC to 2026-11-22 13:00:00 UTC (60 min 00 s)"
    assert query.period(NOON_US, NOW_US) == f"{hour}; only camera front* or a\\x1b; namespace 103, logs"
    assert replace(query, anonymise=True).period(NOON_US, NOW_US) == f"{hour}; only some patterns"
    assert Query(Path("logs")).period(NOON_US, NOW_US) == f"{hour}, logs"
