"""The invariant of a replay: the same input gives the same bytes, and a run's replay what the run had written."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from runs import CAMERAS, NOON_US, SECOND, Message, Reconnect, Step, annt, event_time, run, scripts, texts

from eelogger.errors import DiskError, NothingToShow, UsageError
from eelogger.lines import parse_delay_line
from eelogger.logdir.days import day_of
from eelogger.model import Camera, Verdict
from eelogger.paths import LogPaths
from eelogger.replay import replay

FRONT, BACK = CAMERAS
HOUR = 3600 * SECOND
LATE_US = NOON_US + 11 * HOUR
COMPARED = ("**/*_100e*.log", "**/gaps.log", "**/maxeventdelay.log", "**/cameras.json")


def contents(root: Path) -> dict[str, bytes]:
    """What a replay has to make again, byte for byte."""
    found: dict[str, bytes] = {}
    for pattern in COMPARED:
        found |= texts(root, pattern)
    return found


def verdicts(path: Path) -> list[Verdict]:
    """The verdicts of a delay log."""
    parsed = [parse_delay_line(line) for line in path.read_text().split("\n")[:-1]]
    return [row[0] for row in parsed if row]


@settings(max_examples=15)
@given(scripts(LATE_US, pauses=(HOUR, 9 * HOUR)))
def test_a_replay_of_a_run_over_days_with_gaps_is_the_run(script: list[Step]) -> None:
    async def both(root: Path) -> None:
        async with run(root / "run") as this:
            this.play(script)
        if not texts(root / "run", "**/*_stream.log"):
            with pytest.raises(NothingToShow):
                await replay([root / "run"], root / "again")
            return
        result = await replay([root / "run"], root / "again")
        assert contents(root / "again") == contents(root / "run")
        uuids = [LogPaths(root / name).uuids for name in ("run", "again")]
        first, second = (sorted(path.read_bytes().split()) if path.exists() else [] for path in uuids)
        assert first == second
        assert result.unreadable == 0
        assert result.updates == sum(len(step.data) for step in script if isinstance(step, Message))
        await replay([root / "again"], root / "third")
        assert contents(root / "third") == contents(root / "run")

    with TemporaryDirectory() as folder:
        asyncio.run(both(Path(folder)))


async def days_of_events(root: Path) -> None:
    """Two days, with a gap over midnight and an event soon after each subscription."""
    script: list[Step] = [
        Reconnect(LATE_US, LATE_US),
        Message(LATE_US + SECOND, {FRONT: {"event": {"ANNT": annt(LATE_US - HOUR, "stale")}}}),
        Message(LATE_US + 2 * SECOND, {FRONT: {"event": {"ANNT": annt(LATE_US, "a")}}}),
        Reconnect(LATE_US + 5 * SECOND, LATE_US + 2 * HOUR),
        Message(LATE_US + 2 * HOUR + 7, {FRONT: {"event": {"ANNT": annt(LATE_US - 9, "b")}}}),
        Message(LATE_US + 2 * HOUR + 8, {FRONT: {"event": {"ANNT": annt(LATE_US + 2 * HOUR - 9, "c")}}}),
    ]
    async with run(root) as this:
        this.play(script)


async def test_days_and_gaps_are_told_apart(tmp_path: Path) -> None:
    await days_of_events(tmp_path / "run")
    result = await replay([tmp_path / "run"], tmp_path / "again")
    assert result.days == ["2026-11-22", "2026-11-23"]
    assert contents(tmp_path / "again") == contents(tmp_path / "run")
    log = Path(f"Front Door_{FRONT}.log")
    assert [v.kind for v in verdicts(tmp_path / "again/days/2026-11-22" / log)] == ["initial", "measured"]
    first, second = verdicts(tmp_path / "again" / log)
    assert (first.kind, second.kind) == ("initial", "measured")
    assert second.after_gap_us == HOUR  # the part of the gap that is this day's


async def test_a_camera_added_later_has_no_gap_before_it(tmp_path: Path) -> None:
    async with run(tmp_path / "run", {FRONT: CAMERAS[FRONT]}) as this:
        this.play([Reconnect(NOON_US, NOON_US), Reconnect(NOON_US + 5 * SECOND, NOON_US + 9 * SECOND)])
        this.writer.register(BACK, this.paths.stem(BACK, CAMERAS[BACK].name))
        this.recorder.know(CAMERAS)
        this.recorder.subscribed(NOON_US + 20 * SECOND, [BACK])
        this.play(
            [Message(NOON_US + 30 * SECOND, {c: {"event": {"ANNT": annt(NOON_US + 29 * SECOND, c)}} for c in CAMERAS})]
        )
    (tmp_path / "run/cameras.json").unlink()
    await replay([tmp_path / "run"], tmp_path / "again")
    assert [v.after_gap_us for v in verdicts(tmp_path / f"again/Front Door_{FRONT}.log")] == [4 * SECOND]
    assert [v.after_gap_us for v in verdicts(tmp_path / f"again/Hof, hinten_{BACK}.log")] == [None]


async def test_single_days_can_be_replayed(tmp_path: Path) -> None:
    await days_of_events(tmp_path / "run")
    result = await replay([tmp_path / "run/days/2026-11-22"], tmp_path / "one")
    assert result.days == ["2026-11-22"]
    archived = contents(tmp_path / "run/days/2026-11-22")
    assert contents(tmp_path / "one") == archived
    copytree(tmp_path / "run", tmp_path / "2026-11-23")
    rmtree(tmp_path / "2026-11-23/days")
    await replay([tmp_path / "2026-11-23", tmp_path / "run/days/2026-11-22"], tmp_path / "both")
    assert contents(tmp_path / "both") == contents(tmp_path / "run")


OLD_LINES = f"""\
2026-11-22 12:00:00.5 -- {{"event": {{"ANNT": {{"timestamp": "20261122115859.000", "uuid": "a", "ns": 103}}}}}}
this is no line
2026-11-22T14:00:01+02:00 -- {{"event": {{"ANNT": {{"timestamp": "20261122115800.000", "uuid": "b", "ns": 103}}}}}}
2026-11-22T12:00:02Z -- [1, 2]
2026-11-22T12:00:03.25Z -- {{"event": {{"ALRS": {{"timestamp": "{event_time(NOON_US - 56_750_000)}", "eventid": -1}}}}}}
2026-11-23T00:00:00.000001 -- {{"event": {{"ANNT": {{"timestamp": "20261123000000.000", "uuid": "c", "ns": 103}}}}}}
"""


@pytest.mark.parametrize("form", ["file", "directory", "stream folder"])
async def test_files_of_the_older_script_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "old/stream" / f"Front Door_{FRONT}_stream.log"
    path.parent.mkdir(parents=True)
    path.write_text(OLD_LINES)
    source = {"file": path, "directory": tmp_path / "old", "stream folder": path.parent}[form]
    result = await replay([source], tmp_path / "new")
    assert (result.days, result.cameras, result.updates, result.unreadable) == (["2026-11-22", "2026-11-23"], 1, 4, 2)
    (earlier,) = (tmp_path / "new").glob("days/2026-11-22/*_100e*.log")
    # Older than its arrival by more than a minute: only the first value of a four-CC is the state before.
    assert [(v.identity[:6], v.kind) for v in verdicts(earlier)] == [
        ("a", "initial"),
        ("b", "measured"),
        ("ALRS:1", "measured"),
    ]
    assert [v.delay_us for v in verdicts(tmp_path / "new" / earlier.name)] == [1]
    assert earlier.name == f"Front Door_{FRONT}.log"
    assert day_of(verdicts(earlier)[0].arrived_us) == "2026-11-22"


async def test_a_day_without_gaps_is_known_by_its_health(tmp_path: Path) -> None:
    """Where a run would have said so, a first value that is late is late, and no state before."""
    script: list[Step] = [Message(NOON_US, {FRONT: {"event": {"ANNT": annt(NOON_US - HOUR, "late")}}})]
    async with run(tmp_path / "run") as this:
        this.play(script)
    await replay([tmp_path / "run"], tmp_path / "unknown")
    (tmp_path / "run/health.log").write_text("time=2026-11-22T12:00:00.000000Z state=connected\n")
    await replay([tmp_path / "run"], tmp_path / "known")
    log = f"Front Door_{FRONT}.log"
    assert [v.kind for v in verdicts(tmp_path / "unknown" / log)] == ["initial"]
    assert [v.kind for v in verdicts(tmp_path / "known" / log)] == ["measured"]


async def test_what_is_to_be_measured_can_be_chosen_and_named(tmp_path: Path) -> None:
    events = {"ANNT": annt(NOON_US, "a", 101), "EMES": {"timestamp": event_time(NOON_US), "eventid": 3}}
    async with run(tmp_path / "run") as this:
        this.play([Reconnect(NOON_US, NOON_US), Message(NOON_US + 5, {FRONT: {"event": events}})])
    result = await replay(
        [tmp_path / "run"], tmp_path / "again", events={"ANNT", "EMES"}, namespaces={103}, ns_values={101: "Doors"}
    )
    assert result.verdicts == {"ignored": 1, "measured": 1}
    assert [v.event for v in verdicts(tmp_path / f"again/Front Door_{FRONT}.log")] == ["motion start"]


async def test_progress_ends_with_everything(tmp_path: Path) -> None:
    await days_of_events(tmp_path / "run")
    seen: list[tuple[int, int]] = []
    await replay([tmp_path / "run"], tmp_path / "again", lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == sum(map(len, texts(tmp_path / "run", "**/*_stream.log").values()))


async def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    await days_of_events(tmp_path / "run")
    before = contents(tmp_path / "run")
    (tmp_path / "file").touch()
    for target in (tmp_path / "run", tmp_path / "file"):
        with pytest.raises(UsageError):
            await replay([tmp_path / "run"], target)
    assert contents(tmp_path / "run") == before
    (tmp_path / "empty").mkdir()
    await replay([tmp_path / "run"], tmp_path / "empty")
    assert contents(tmp_path / "empty") == before


@pytest.mark.parametrize("name", ["missing", "empty", "foreign.txt", f"X_{FRONT}_stream.log"])
async def test_nothing_readable_is_nothing_to_show(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign.txt").write_text("x")
    (tmp_path / f"X_{FRONT}_stream.log").write_bytes(b"\0\xff\nno line\n2026-11-22 -- 5\n9999999 -- {}\n")
    with pytest.raises(NothingToShow, match=name):
        await replay([tmp_path / name], tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_a_full_disk_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await days_of_events(tmp_path / "run")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("eelogger.writing.disk.os.write", full)
    with pytest.raises(DiskError):
        await replay([tmp_path / "run"], tmp_path / "again")


def test_names_are_those_of_cameras_json_else_of_the_files(tmp_path: Path) -> None:
    asyncio.run(days_of_events(tmp_path / "run"))
    (tmp_path / "run/cameras.json").unlink()
    (tmp_path / "run/days/2026-11-22/cameras.json").write_text('{"100e0001": {"name": "Tür/1", "bridge": "100bb009"}}')
    asyncio.run(replay([tmp_path / "run"], tmp_path / "again"))
    (earlier,) = (tmp_path / "again").glob("days/2026-11-22/*_100e*.log")
    (later,) = (tmp_path / "again").glob("*_100e*.log")
    parsed = [parse_delay_line(path.read_text().split("\n")[0]) for path in (earlier, later)]
    assert [row[1] for row in parsed if row] == [Camera(FRONT, "Tür/1", "100bb009"), Camera(FRONT, "Front Door")]
    assert (earlier.name, later.name) == (f"Tür_1_{FRONT}.log", f"Front Door_{FRONT}.log")


def test_reading_needs_no_descriptor_for_each_file(tmp_path: Path) -> None:
    """Ten thousand cameras are merged with a handful of open files."""
    resource = pytest.importorskip("resource")
    (tmp_path / "stream").mkdir()
    for number in range(300):
        camera_id = f"100f{number:04x}"
        (tmp_path / "stream" / f"x_{camera_id}_stream.log").write_text(
            f'2026-11-22T12:00:{number % 60:02}Z -- {{"event": {{}}}}\n' * 3
        )
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 20, limits[1]))
    try:
        result = asyncio.run(replay([tmp_path], tmp_path / "again"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert result.updates == 900
