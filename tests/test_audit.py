"""`audit`: what the cloud's own ledger says was recorded, delivered and lost is what the command says, to the event."""

import asyncio
import csv
import io
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from aiohttp import web
from fault_cloud import FaultCloud
from hypothesis import given, strategies as st
from launch import APP, command, credentials, environment, launch
from report_logs import write_logs
from run_states import NOON_US, cameras, verdict
from sites import serve

from eelogger.cli import main
from eelogger.model import INITIAL, MEASURED, Camera, Gap, Timing, Verdict
from eelogger.report.losses import Found, numbers, text
from eelogger.report.query import Query
from eelogger.report.reconcile import Counts, Missing, Reconciliation
from eelogger.simulator import Account, Event
from eelogger.simulator.events import make
from eelogger.storage.delaylog import DelayRow
from eelogger.storage.formats import parse_time
from eelogger.storage.paths import day_of

SECOND = 1_000_000
HOUR = 3600 * SECOND
LIST = "/annt/annt/list"
KINDS = ("recorded", "delivered", "missing", "gap", "unrecorded", "unknown")


class Told(NamedTuple):
    """How the command ended, and what it wrote."""

    code: int
    out: str
    err: str
    found: dict[str, Any]
    rows: list[dict[str, str]]

    def counts(self, *kinds: str) -> list[int]:
        return [self.found["total"][kind] for kind in kinds or KINDS]

    def camera(self, camera_id: str) -> dict[str, Any]:
        return next(row for row in self.found["cameras"] if row["camera_id"] == camera_id)


async def ask(env: dict[str, str], log_dir: Path, *args: str | Path) -> Told:
    """Give the command here, with both files and short pauses; eight hours until now, where nothing else is said."""
    places = {name: log_dir.parent / f"audit.{name}" for name in ("csv", "json")}
    for place in places.values():
        place.unlink(missing_ok=True)
    line: list[str | Path] = ["audit", "--log-dir", log_dir, "--since", "8h", "--until", "now"]
    line += [part for name, place in places.items() for part in (f"--{name}", place)]
    settings, out, err = patch.dict(os.environ, environment(None, None, env), clear=True), io.StringIO(), io.StringIO()
    quick = patch("eelogger.cloud.annotations.Timing", partial(Timing, first_retry_s=0.01, longest_retry_s=0.02))
    with settings, quick, redirect_stdout(out), redirect_stderr(err):
        code = await asyncio.to_thread(main, [*map(str, (*line, *args)), "--env-file", os.devnull])
    assert "Traceback" not in err.getvalue()
    found = json.loads(places["json"].read_text("utf-8")) if places["json"].exists() else {}
    rows = [*csv.DictReader(io.StringIO(places["csv"].read_text("utf-8-sig")))] if found else []
    return Told(code, " ".join(out.getvalue().split()), err.getvalue(), found, rows)


def cameras_of(account: Account) -> dict[str, Camera]:
    return {camera.id: Camera(camera.id, camera.name, camera.bridge.id) for camera in account.cameras}


def record(cloud: FaultCloud, camera_id: str, at_us: int, **fields: Any) -> Event:
    """Let the cloud record an annotation, and deliver it to nobody."""
    event = make(camera_id, "ANNT", at_us, fields)
    cloud.record(event)
    return event


def arrived(event: Event, delay_us: int = SECOND // 2) -> Verdict:
    """The verdict of a delivered event."""
    at_us = (event.event_us or 0) + delay_us
    return verdict(event.camera_id, delay_us, at_us, event.body["ns"], identity=event.identity)


def now_us() -> int:
    return time.time_ns() // 1000


def logs(log_dir: Path, verdicts: list[Verdict], account: Account, **more: Any) -> None:
    """Logs of a logger that has listened for two days until now."""
    write_logs(log_dir, verdicts, cameras_of(account), **({"since_us": 0, "alive_us": now_us()} | more))
    (log_dir / "days" / day_of(now_us() - 24 * HOUR)).mkdir(parents=True, exist_ok=True)


async def test_every_count_is_the_ledgers_by_camera_and_hour(cloud: FaultCloud, log_dir: Path) -> None:
    """Some hundred events: delivered, swallowed, in gaps of all and of one camera; a list that lacks every fifth."""
    chance, now, first = random.Random(14), now_us(), cloud.camera_ids()[0]
    gaps = [
        Gap("gap", now - 4 * HOUR, now - 4 * HOUR + HOUR // 3, "closed-1006"),
        Gap("gap", now - 2 * HOUR, now - 2 * HOUR + HOUR // 2, "error-404", first),
    ]
    before = Gap("gap", 0, now - 5 * HOUR, "")
    cloud.leave_out = 5
    truth: Counter[tuple[str, int, str]] = Counter()
    delivered, lost = [], {}
    for number in range(1, 601):
        camera_id, at_us = chance.choice(cloud.camera_ids()), now - chance.randrange(60, 7 * 3600) * SECOND
        blind = [gap for gap in (*gaps, before) if gap.camera_id in ("", camera_id)]
        in_gap = any(gap.from_us <= at_us < gap.to_us for gap in blind)
        if any(-70 * SECOND < at_us - gap.from_us < 0 for gap in blind):
            at_us -= 70 * SECOND
        event = record(cloud, camera_id, at_us, ns=chance.choice([101, 103]))
        arrives, listed = not in_gap and chance.random() < 0.9, number % 5 != 0
        if arrives:
            delivered.append(arrived(event, chance.randrange(min(HOUR, now - at_us))))
        kinds = {"recorded": listed, "delivered": listed and arrives, "unrecorded": arrives and not listed}
        kinds |= {"missing": listed and not (arrives or in_gap), "gap": listed and not arrives and in_gap}
        truth.update({(camera_id, (event.event_us or 0) // HOUR, kind): 1 for kind, holds in kinds.items() if holds})
        if listed and not arrives:
            lost[event.identity] = (camera_id, "gap" if in_gap else "observed", str(event.body["ns"]), event.event_us)
    logs(log_dir, delivered, cloud.account, gaps=gaps, since_us=before.to_us)
    told = await ask(credentials(cloud), log_dir)
    found = Counter[tuple[str, int, str]]()
    for camera in told.found["cameras"]:
        for hour in camera["hours"]:
            at = parse_time(hour["from_utc"]) // HOUR
            found.update({(camera["camera_id"], at, kind): hour[kind] for kind in KINDS if hour[kind]})
    assert (told.code, found) == (1, truth)
    rows = [(row, parse_time(row["event_time_utc"])) for row in told.rows]
    assert {row["uuid"]: (row["camera_id"], row["status"], row["ns"], at_us) for row, at_us in rows} == lost
    assert len(told.rows) == len(lost) > 50
    assert ",".join(told.rows[0]) == "camera,camera_id,bridge_id,namespace,ns,event_time_utc,uuid,status"
    total = told.found["total"]
    sums = {kind: sum(n for (_, _, each), n in truth.items() if each == kind) for kind in KINDS}
    assert {kind: total[kind] for kind in KINDS} == {kind: told.found["bridges"][0][kind] for kind in KINDS} == sums
    assert total["share_lost"] == total["missing"] / (total["recorded"] - total["gap"])


async def test_a_run_is_audited_to_the_event_and_its_directory_stays_as_it_is(cloud: FaultCloud, log_dir: Path) -> None:
    first, second, _ = cloud.camera_ids()
    cloud.initial_state = True  # values of the past days, which this cloud does not record
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        await asyncio.sleep(0.2)
        cloud.swallow = 2
        swallowed = {(await cloud.emit(camera)).identity for camera in (first, second)}
        arrives = [await cloud.emit(camera) for camera in (first, first, second)]
        await cloud.emit(first, "ALRS")
        await logger.wait_for("processed_event_uuids.log", arrives[-1].identity)
        assert await logger.stop() == 0
    await asyncio.sleep(0.1)
    unheard = await cloud.emit(first)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in log_dir.rglob("*") if path.is_file()}
    env = credentials(cloud)
    told = await ask(env, log_dir)
    assert (told.code, told.counts()) == (1, [6, 3, 2, 1, 0, 0])
    status = {row["uuid"]: row["status"] for row in told.rows}
    assert status == dict.fromkeys(swallowed, "observed") | {unheard.identity: "gap"}
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in log_dir.rglob("*") if p.is_file()} == before
    assert (await ask(env, log_dir, "--camera", second)).counts("recorded", "missing") == [2, 1]
    site = cloud.account.bridges[0].name
    assert (await ask(env, log_dir, "--namespace", "Intrusion", "--bridge", site)).counts("recorded") == [6]
    assert (await ask(env, log_dir, "--namespace", "101")).code == 66
    assert (await ask(env, log_dir, "--bridge", f"not {site}")).code == 66
    cloud.record_late_s = 60
    assert (await ask(env, log_dir)).counts() == [0, 0, 0, 0, 3, 0]


async def test_what_arrives_while_it_reads_is_not_missing(cloud: FaultCloud, log_dir: Path) -> None:
    """Beside a running logger: the list knows an event that came after the delay log was read."""
    camera = cloud.camera_ids()[0]
    async with launch(cloud, log_dir) as logger:
        await cloud.wait_subscribed(3)
        known = [await cloud.emit(camera) for _ in range(2)]
        await logger.wait_for("processed_event_uuids.log", known[-1].identity)
        cloud.delay_rest_s = 0.5
        asking = asyncio.create_task(ask(credentials(cloud), log_dir, "--camera", camera, "--since", "30s"))
        while not cloud.called(LIST):
            await asyncio.sleep(0.01)
        await cloud.emit(camera, delay_s=3)
        told = await asking
        assert (told.code, told.counts("recorded", "missing", "gap"), told.rows) == (0, [3, 0, 0], [])


async def test_the_default_period_is_a_day_that_ended_five_minutes_ago(cloud: FaultCloud, log_dir: Path) -> None:
    for age_s in (60, 290, 320, 86_370, 86_410):
        record(cloud, cloud.camera_ids()[0], now_us() - age_s * SECOND)
    logs(log_dir, [], cloud.account)
    told = await asyncio.to_thread(command, "audit", "--log-dir", log_dir, cloud=cloud)
    assert told.code == 1


# When nobody listened


def listening(cloud: FaultCloud, log_dir: Path, event: Event, **more: Any) -> None:
    """Logs with a few events whose delay is 2 s, but not with this one."""
    others = [record(cloud, event.camera_id, (event.event_us or 0) - n * 1100 * SECOND) for n in range(1, 10)]
    logs(log_dir, [arrived(each, 2 * SECOND) for each in others], cloud.account, **more)


@pytest.mark.parametrize(
    ("from_s", "to_s", "kind", "reason", "whose", "clock_s", "counted"),
    [
        (-5, 5, "gap", "started", None, 0, "gap"), (-5, 5, "suspend", "sleep", None, 0, "gap"),
        (0, 5, "gap", "error-404", 0, 0, "gap"), (-5, 5, "gap", "error-404", 1, 0, "missing"),
        (1, 9, "gap", "closed-1006", None, 0, "edge"),  # it was on its way: its delay may have been 2 s
        (3, 9, "gap", "closed-1006", None, 0, "missing"), (-9, 0, "gap", "closed-1006", None, 0, "missing"),
        (-9, -3, "gap", "closed-1006", None, 20, "edge"),
        (600, 600, "gap", "added", 0, 0, "gap"),  # and not seen for 18 minutes before it was added
        (-600, -600, "gap", "added", 0, 0, "missing"),
    ],
)  # fmt: skip
async def test_which_gap_an_event_falls_into(
    cloud: FaultCloud, log_dir: Path, from_s: int, to_s: int, kind: str, reason: str, whose: int | None, clock_s: int,
    counted: str,
) -> None:  # fmt: skip
    event = record(cloud, cloud.camera_ids()[0], now_us() - HOUR)
    from_us, to_us = ((event.event_us or 0) + seconds * SECOND for seconds in (from_s, to_s))
    gap = Gap(kind, from_us, to_us, reason, "" if whose is None else cloud.camera_ids()[whose])
    listening(cloud, log_dir, event, gaps=[gap])
    cloud.date_offset_s = clock_s
    told = await ask(credentials(cloud), log_dir)
    assert told.counts("recorded", "missing", "gap", "edge") == [
        10, counted == "missing", counted != "missing", counted == "edge",
    ]  # fmt: skip
    assert (told.found["total"]["share_bounds"][1] > 0.4) == (counted != "gap")
    assert (told.code, "clock may be up to" in told.out) == (counted == "missing", clock_s > 0)


@pytest.mark.parametrize("what", ["before", "after", "no record", "not logged"])
async def test_what_was_not_observed_at_all(cloud: FaultCloud, log_dir: Path, what: str) -> None:
    event = record(cloud, cloud.camera_ids()[0], now_us() - HOUR)
    at_us = event.event_us or 0
    more = {"before": {"since_us": at_us + SECOND}, "after": {"alive_us": at_us - SECOND}}
    listening(cloud, log_dir, event, **more.get(what, {}))
    if what == "no record":
        (log_dir / ".state").unlink()
    if what == "not logged":
        rest = {i: {"name": c.name} for i, c in cameras_of(cloud.account).items() if i != event.camera_id}
        (log_dir / "cameras.json").write_text(json.dumps(rest))
    told = await ask(credentials(cloud), log_dir)
    assert (told.code, told.counts("recorded", "delivered", "missing", "gap")) == (0, [10, 9, 0, 1])
    assert told.out.count("- Nothing ") == (what != "not logged")


async def test_a_list_that_begins_later_is_not_held_against_the_cloud(cloud: FaultCloud, log_dir: Path) -> None:
    camera, hour_us = cloud.camera_ids()[0], now_us() // HOUR * HOUR
    events = [make(camera, "ANNT", hour_us - number * HOUR // 2 + SECOND, {}) for number in range(1, 13)]
    for event in (events[0], *events[2:6]):
        cloud.record(event)
    logs(log_dir, [arrived(each) for each in events], cloud.account)
    told = await ask(credentials(cloud), log_dir)
    assert told.counts() == [5, 5, 0, 0, 1, 0]
    assert "6 events delivered before that cannot be compared" in told.out


async def test_a_delay_log_that_cannot_be_read_is_unknown_not_lost(cloud: FaultCloud, log_dir: Path) -> None:
    first, second, _ = cloud.camera_ids()
    listening(cloud, log_dir, record(cloud, first, now_us() - HOUR))
    record(cloud, second, now_us() - HOUR)
    path = next(log_dir.rglob(f"*_{first}.log"))
    path.rename(f"{path}.gz")
    told = await ask(credentials(cloud), log_dir)
    assert (told.code, told.found["complete"]) == (1, False)
    found = [(row["recorded"], row["missing"], row["unknown"] >= 8) for row in map(told.camera, (first, second))]
    assert found == [(0, 0, True), (1, 1, False)]


# What a list may hold, and how a request may fail


class Lists:
    """A cloud with three cameras; `bodies` are texts or statuses of their lists, else an event an hour is listed."""

    def __init__(self) -> None:
        self.account = Account.of(cameras=3)
        self.first, self.second, self.third = (camera.id for camera in self.account.cameras)
        self.bodies: dict[str, str | int] = {}
        self.asked: list[dict[str, str]] = []
        self.now = self.most = 0  # requests under way
        self.pause_s = 0.0
        self.env = {"EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": "c000~" + "0" * 32}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/g/device/list":
            return web.json_response(self.account.rows())
        if request.path != LIST:
            return web.Response(text="true")
        self.now, query = self.now + 1, dict(request.query)
        self.most = max(self.most, self.now)
        self.asked.append(query)
        await asyncio.sleep(self.pause_s)
        self.now -= 1
        body = self.bodies.get(query["id"], json.dumps([[f"u{query['id']}@", "@", 103, "x"]]))
        if isinstance(body, int):
            return web.Response(status=body)
        return web.Response(text=body.replace("@", query["start_timestamp"]), content_type="text/html")


@pytest.fixture
async def lists(log_dir: Path) -> AsyncIterator[Lists]:
    """Such a cloud, beside logs in which nothing was delivered."""
    lists = Lists()
    logs(log_dir, [], lists.account)
    async with serve(lists.handle) as lists.env["EEN_BASE_URL"]:
        yield lists


async def test_requests_are_an_hour_each_and_two_at_a_time(lists: Lists, log_dir: Path) -> None:
    lists.pause_s = 0.05
    told = await ask(lists.env | {"EEN_NAMESPACES": "103,101"}, log_dir)
    assert (told.code, lists.most) == (1, 2)
    for camera_id in (lists.first, lists.second):
        asked = [query for query in lists.asked if query["id"] == camera_id]
        assert len(asked) == told.camera(camera_id)["recorded"] == 9
        assert all(one["end_timestamp"] == two["start_timestamp"] for one, two in pairwise(asked))
        assert {query["start_timestamp"][10:] for query in asked[1:]} == {"0000.000"}
        assert all((query["exclusive"], query["namespace"]) == ("1", "101,103") for query in asked)


@pytest.mark.parametrize(
    ("body", "recorded", "unknown", "unreadable"),
    [
        (401, 0, True, 0), (503, 0, True, 0), ("null", 0, True, 0), ("<html>sign in</html>", 0, True, 0),
        ("[" * 100_000, 0, True, 0), ("[]", 0, False, 0), ('[null, {"uuid": "a"}]', 0, True, 0),
        ('[null, [], [1], [null, "x"], "u", {"uuid": 1}, ["a"], ["b", null], ["c", 3, {}]]', 3, False, 6),
        ('[["a", "@", 999, null], ["a", "@", 999, null], ["b", "@", "103", 1, 2, 3], ["", "@", 1]]', 2, False, 1),
        ('[["a", "20200101000000.000", 103, null], ["b", "@", 103]]', 1, False, 0),
    ],
)  # fmt: skip
async def test_any_list_is_rows_or_unknown(
    lists: Lists, log_dir: Path, body: str | int, recorded: int, unknown: bool, unreadable: int
) -> None:
    lists.bodies[lists.first] = body
    told = await ask(lists.env, log_dir)
    one, other = map(told.camera, (lists.first, lists.second))
    assert (one["recorded"], one["missing"], bool(one["unknown"])) == (recorded, recorded, unknown)
    assert (other["recorded"], other["unknown"], told.found["complete"]) == (9, 0, not unknown)
    assert re.findall("([0-9]+) rows of the lists", told.out) == [f"{9 * unreadable}"] * bool(unreadable)


async def test_an_audit_that_could_read_no_list_says_so_and_asks_no_more(lists: Lists, log_dir: Path) -> None:
    lists.bodies = dict.fromkeys((lists.first, lists.second, lists.third), 500)
    told = await ask(lists.env, log_dir, "--since", "30h")
    assert (told.code, "status 500" in told.err, told.out) == (66, True, "")
    assert len(lists.asked) <= 8 + 3 * 3 + 1


async def test_what_is_known_is_shown_when_it_is_broken_off(lists: Lists, log_dir: Path) -> None:
    lists.pause_s = 0.1
    async with launch(None, log_dir, "audit", "--since", "8h", "--until", "now", env=lists.env) as audit:
        while [query["id"] for query in lists.asked].count(lists.first) < 3:
            await asyncio.sleep(0.05)
        assert await audit.stop(signal.SIGINT) == 130
    assert "\nPARTIAL: broken off at 2 of 3 cameras\n" in audit.stdout


@pytest.mark.parametrize(
    ("arguments", "env", "code"),
    [
        (["--since", "1m", "--until", "5m"], {}, 2), (["--csv", "x", "--json", "x"], {}, 2),
        (["--camera", "nobody"], {}, 66), ([], {}, 66), ([], {"EEN_EVENTS": "ALRS"}, 66),
        ([], {"EEN_AUTH_KEY": ""}, 78), ([], {"EEN_AUTH_KEY": "c000~" + "1" * 32}, 77),
        (["--log-dir", "/nowhere"], {}, 66),
    ],
)  # fmt: skip
async def test_exit_codes(
    cloud: FaultCloud, log_dir: Path, arguments: list[str], env: dict[str, str], code: int
) -> None:
    logs(log_dir, [], cloud.account)
    told = await ask(credentials(cloud) | env, log_dir, *arguments)
    assert (told.code, told.found) == (code, {}), told.err


async def test_the_demo_prints_the_command_that_audits_it(log_dir: Path, tmp_path: Path) -> None:
    async with launch(None, log_dir, "--demo", shell=f'exec "$@" 2>{tmp_path}/err') as demo:
        await demo.wait_for("processed_event_uuids.log", "-")
        told = re.search("EEN_.*", (tmp_path / "err").read_text())
        assert told
        shell = told[0].replace("python app.py", f"{sys.executable} {APP}")
        pipe, env = asyncio.subprocess.PIPE, environment(None, None)
        audit = await asyncio.create_subprocess_shell(shell, env=env, stdout=pipe)
        out, _ = await asyncio.wait_for(audit.communicate(), 20)
    assert (audit.returncode, out.count(b"All cameras: of ")) == (0, 1)


# The parts


def test_the_worst_are_shown_first_with_what_bounds_the_answer() -> None:
    known = cameras(*(f"c{number:02d}" for number in range(52)))
    known["100e0000"] = Camera("100e0000", "alone")
    results = {camera_id: Reconciliation([], [], set(), 0) for camera_id in known}
    for number, result in enumerate(results.values()):
        for hour in range(2):
            counts = Counts(recorded=1000 + number // 50, missing=number // 26, gap=hour, edge=hour, unrecorded=hour)
            result.hours[NOON_US + hour * HOUR] = counts
    results["100e0000"].hours = {NOON_US: Counts(recorded=20_000, missing=1), NOON_US + HOUR: Counts(unknown=1)}
    one = results["100e0001"]
    one.failure, one.unreadable, one.damaged, one.unlisted, one.begins_us = "status 500", 1, 2, 3, NOON_US
    query = Query(Path("logs"), NOON_US, NOON_US + 2 * HOUR)
    found = Found(query, NOON_US, known, {"100bb001": "Yard"}, results, [], ["First."], True)
    lines = [" ".join(line.split()) for line in text(found, 300).split("\n")]
    assert (lines[1], lines[-1]) == ("PARTIAL: broken off at 52 of 52 cameras", "")
    assert [*lines[5:12], *lines[-13:-10]] == [
        "bridge recorded delivered missing in gaps lost % 95 % bounds unrecorded unknown h worst hour",
        "Yard (100bb001) 102,004 101,901 52 51 0.05 0.04–0.12 51 0 11-22 12:00: 26",
        "no bridge 20,000 19,999 1 0 <0.01 <0.01–0.03 0 1 11-22 12:00: 1", "",
        "camera recorded delivered missing in gaps lost % 95 % bounds unrecorded unknown h worst hour",
        "c50 2,002 1,999 2 1 0.10 0.03–0.44 1 0 11-22 12:00: 1",
        "c51 2,002 1,999 2 1 0.10 0.03–0.44 1 0 11-22 12:00: 1", "c23 2,000 1,999 0 1 0.00 0.00–0.28 1 0 -",
        "all 122,004 121,900 53 51 0.04 0.03–0.10 51 1 11-22 12:00: 27", "… and 2 more cameras; --json has all",
    ]  # fmt: skip
    notes = [re.findall(r"^[0-9]+|[0-9]+ events|status.*", note) for note in found.all_notes()]
    assert notes == [[], ["51"], ["1"], ["2"], ["1", "3 events"], ["1", "status 500."]]


def test_what_arrived_first_as_an_initial_value_or_a_heartbeat_is_not_missing() -> None:
    row = DelayRow(NOON_US, 5, MEASURED, "ANNT", 103, "u1", 4, False, b"")
    late = row._replace(delay_us=50 * SECOND, kind=INITIAL, identity="u2", op=1)
    # Nor does its age say how long an event may be on its way when a gap begins.
    one = Reconciliation([Gap("gap", NOON_US + 30 * SECOND, NOON_US + 40 * SECOND, "dns")], [], set(), 0)
    one.deliver([[row], [late]], Query(Path()), lambda group: True)
    listed = [("U1", NOON_US, 103), ("u2", None, None), ("u3", NOON_US, None)]
    assert [*one.take(NOON_US, NOON_US + HOUR, listed)] == [Missing("u3", None, NOON_US, NOON_US, ("missing",))]
    one.finish()
    assert one.hours == {NOON_US: Counts(recorded=3, missing=1, unrecorded=0)}


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 50))
def test_the_bounds_hold_the_share(arrived_n: int, missing: int, edge: int) -> None:
    counts = Counts(recorded=arrived_n + missing + edge, missing=missing, gap=edge, edge=edge)
    found = numbers(counts)
    low, high = found["share_bounds"]
    assert 0 <= low <= (found["share_lost"] or 0) <= high <= 1
    assert (low == 0, high == 1) == (missing == 0, arrived_n == 0)
