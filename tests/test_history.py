"""The invariant of a start: memory and files afterwards are those of a run that never ended."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import CAMERAS, NOON_US, SECOND, Message, Reconnect, Run, Step, annt, run, scripts, texts

from eelogger.lines import delay_line, label, parse_delay_line
from eelogger.logdir.rejects import DAY_BYTES
from eelogger.logdir.tails import heal_tails
from eelogger.model import EARLY, INITIAL, MEASURED, UNDATED, Camera, Figures, Gap, Verdict
from eelogger.past.delaylog import _ROWS, DelayLog
from eelogger.past.wayback import Update, UpdateSequence, offset_since
from eelogger.paths import LogPaths
from eelogger.replay import replay

FRONT, BACK = CAMERAS


def restart(this: Run, done_us: int | None = None) -> None:
    """Read everything, as a start does."""
    for _ in this.history.load(done_us):
        pass
    if done_us is not None:
        for _ in this.history.way_back(done_us):
            pass


def knowledge(this: Run) -> dict[str, Any]:
    """What a run knows of its day, in a form that can be compared."""
    day = this.handler.day
    return {
        f"{what} of {camera_id}": value
        for camera_id, stats in sorted(day.cameras.items())
        for what, value in {
            "figures": [stats.figures(group) for group in sorted(stats.groups, key=str)],
            "recent": [stats.recent(group, stats.latest_us()).n for group in sorted(stats.groups, key=str)],
            "hours": stats.hourly_p95,
            "early, initial, undated": (stats.early, stats.initial, stats.undated),
            "worst": day.worst[camera_id]._replace(figures=None) if camera_id in day.worst else None,
            "clean": day.clean[camera_id]._replace(figures=None) if camera_id in day.clean else None,
        }.items()
    }


async def one_run(root: Path, script: list[Step]) -> Run:
    async with run(root) as this:
        this.play(script)
    return this


def one_event(camera_id: str) -> list[Step]:
    """A subscription and one event of a camera."""
    return [Reconnect(NOON_US, NOON_US), Message(NOON_US + 5, {camera_id: {"event": {"ANNT": annt(NOON_US, "a")}}})]


def latest_in_lines(root: Path) -> set[tuple[str, str, str]]:
    """Camera, four-CC and identity of the last first sight of each; repeats have no line."""
    latest = {}
    for text in texts(root, "*_100e*.log").values():
        for line in text.decode().splitlines():
            verdict = parse_delay_line(line)[0]  # type: ignore[index]
            latest[verdict.camera_id, verdict.type] = verdict.identity
    return {(*key, identity) for key, identity in latest.items()}


@settings(max_examples=20)
@given(scripts())
def test_a_restart_knows_what_the_run_knew(script: list[Step]) -> None:
    async def both(root: Path) -> None:
        before = await one_run(root, script)
        files = texts(root)
        async with run(root) as after:
            restart(after)
        assert knowledge(after) == knowledge(before)
        assert texts(root) == files
        assert set(after.handler.dedup.latest()) == latest_in_lines(root)
        assert after.observation.gaps == before.observation.gaps
        assert after.writer.uuid_lines == len(before.handler.dedup)
        assert after.history.unreadable == 0
        assert after.history.done_bytes == after.history.total_bytes

    with TemporaryDirectory() as folder:
        asyncio.run(both(Path(folder)))


@settings(max_examples=25)
@given(scripts(), st.data())
def test_whatever_a_crash_left_out_is_there_after_the_next_start(script: list[Step], data: st.DataObject) -> None:
    """Stream logs are whole; from some moment on delay logs and identities are missing, each from its own."""

    async def crash(folder: Path) -> None:
        full = await one_run(folder / "full", script)
        whole = texts(folder / "full", "*.log")
        arrivals = [step.at_us for step in script]
        done_us = data.draw(st.sampled_from(arrivals))
        copytree(folder / "full", folder / "crashed")
        for path in (folder / "crashed").glob("*_100e*.log"):
            _cut(path, done_us, data)
        paths = LogPaths(folder / "crashed")
        _cut_uuids(paths, folder / "crashed", done_us, data)
        paths.max_delay.unlink(missing_ok=True)
        heal_tails(paths)
        async with run(folder / "crashed") as after:
            restart(after, done_us)
        crashed = texts(folder / "crashed", "*.log")
        uuids = paths.uuids.name
        assert sorted(crashed.pop(uuids, b"").split()) == sorted(whole.pop(uuids, b"").split())
        assert crashed == whole
        assert knowledge(after) == knowledge(full)

    with TemporaryDirectory() as folder:
        asyncio.run(crash(Path(folder)))


def _cut(path: Path, done_us: int, data: st.DataObject) -> None:
    """Lose a part of the lines that are newer than `done_us`, the last line that stays perhaps only half."""
    lines = path.read_bytes().splitlines(keepends=True)
    old = [line for line in lines if parse_delay_line(line.decode())[0].arrived_us < done_us]  # type: ignore[index]
    kept = data.draw(st.integers(len(old), len(lines)))
    torn = lines[kept][: data.draw(st.integers(0, 40))] if kept < len(lines) else b""
    path.write_bytes(b"".join(lines[:kept]) + torn)


def _cut_uuids(paths: LogPaths, root: Path, done_us: int, data: st.DataObject) -> None:
    """Identities are written after their delay lines: lose some of those, and all whose line is lost."""
    verdicts = [
        parse_delay_line(line)[0]  # type: ignore[index]
        for path in root.glob("*_100e*.log")
        for line in path.read_text().split("\n")[:-1]
    ]
    there = {v.identity: v.arrived_us for v in verdicts}
    if not paths.uuids.exists():
        return
    rows = [row for row in paths.uuids.read_text().split("\n")[:-1] if row in there]
    old = [row for row in rows if there[row] < done_us]
    new = [row for row in rows if there[row] >= done_us]
    kept = old + new[: data.draw(st.integers(0, len(new)))]
    paths.uuids.write_text("".join(f"{row}\n" for row in kept))


def verdicts() -> st.SearchStrategy[tuple[Verdict, Camera]]:
    """Any verdict that gets a line, of a camera of any name."""
    text = st.text(max_size=12) | st.sampled_from(
        ["Front Door", 'a "b" \\', "time=1 delay_s=2", "x -- {}", "\n", "\ud800"]
    )
    figures = st.builds(Figures, st.integers(1, 10**6), *[st.just("1.234")] * 6, st.integers(1, 99), st.just("0.100"))
    whole = st.integers(0, 10**13)

    @st.composite
    def build(draw: st.DrawFn) -> tuple[Verdict, Camera]:
        kind = draw(st.sampled_from([MEASURED, MEASURED, EARLY, INITIAL, UNDATED]))
        arrived_us = NOON_US + draw(st.integers(0, 40_000 * SECOND))
        delay_us = {EARLY: -1 - draw(st.integers(0, 10**9)), UNDATED: None}.get(kind, draw(st.integers(0, 10**9)))
        verdict = Verdict(
            kind,
            "100e0001",
            draw(st.sampled_from(["ANNT", "ALRS", "E=ES", ""])),
            draw(st.none() | st.integers(-5, 400)),
            draw(text),
            draw(text.filter(bool)),
            arrived_us,
            None if delay_us is None else arrived_us - delay_us,
            delay_us,
            draw(figures) if kind == MEASURED else None,
            draw(st.none() | st.integers(-2, 5)),
            draw(st.none() | st.integers(-2, 5)),
            draw(st.none() | whole),
            draw(st.none() | whole),
            draw(st.booleans()),
        )
        return verdict, Camera("100e0001", draw(text), draw(text))

    return build()


@settings(max_examples=50)
@given(st.lists(verdicts(), max_size=12))
def test_the_fast_way_reads_what_the_plain_way_reads(rows: list[tuple[Verdict, Camera]]) -> None:
    written = [delay_line(verdict, label(camera)) for verdict, camera in rows]
    fast, plain = DelayLog(NOON_US + 9 * SECOND), DelayLog(NOON_US + 9 * SECOND)
    fast.take("".join(written).encode())
    for line in written:
        plain._take_line(line[:-1].encode())
    assert _content(fast) == _content(plain)
    assert plain.unreadable == 0


@settings(max_examples=50)
@given(st.lists(verdicts(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_fast_way_takes_no_damaged_line_for_another(
    rows: list[tuple[Verdict, Camera]], chance: random.Random
) -> None:
    """Pairs lost, doubled or exchanged, parts of lines: what the fast way takes, the plain way reads alike."""
    written = []
    for verdict, camera in rows:
        words = delay_line(verdict, label(camera))[:-1].split(" ")
        for _ in range(chance.randrange(3)):
            index = chance.randrange(len(words))
            words[index : index + 1] = chance.choice(
                [[], [words[index]] * 2, [chance.choice(words)], ["x=1", "=", '"']]
            )
            words = words or ["x"]
        written.append(" ".join(words)[: chance.choice([None, None, 150])])
    fast, plain = DelayLog(), DelayLog()
    fast.take("".join(f"{line}\n" for line in written).encode())
    for line in filter(None, "".join(f"{line}\n" for line in written).split("\n")):
        plain._take_line(line.encode())
    assert _content(fast) == _content(plain)


def _content(log: DelayLog) -> Any:
    stats = log.stats
    return (
        {group: stats.figures(group) for group in stats.groups},
        (stats.early, stats.initial, stats.undated, log.unreadable),
        (log.worst, log.clean, log.latest, log.recent),
    )


def test_the_usual_line_takes_the_fast_way() -> None:
    verdict = Verdict(MEASURED, FRONT, "ANNT", 103, "Intrusion", "8d5e", NOON_US, NOON_US - 5, 5, None, 1, 7)
    figures = Figures(12, "0.700", "1.900", "2.300", "0.810", "0.210", "2.400", 3, "0.700")
    for v in (
        verdict._replace(figures=figures, new_max=True),
        verdict._replace(figures=figures, after_gap_us=7, lag_us=20_000, type="ALRS", ns=None, op=None, seq=None),
        verdict._replace(kind=EARLY, delay_us=-5, event_us=NOON_US + 5),
        verdict._replace(kind=INITIAL),
    ):
        for name in ("Front Door", 'a "b" \\', "Tür"):
            assert len(_ROWS(delay_line(v, label(Camera(FRONT, name, ""))).encode())) == 1


async def test_identities_of_a_line_without_its_identity_are_known_and_written(tmp_path: Path) -> None:
    script: list[Step] = [
        Reconnect(NOON_US, NOON_US),
        Message(NOON_US + SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US, "a")}}}),
    ]
    await one_run(tmp_path, script)
    paths = LogPaths(tmp_path)
    paths.uuids.write_text("")
    async with run(tmp_path) as after:
        restart(after, NOON_US)
        after.play(script[1:])
    assert paths.uuids.read_text() == "a\n"
    assert after.handler.totals["duplicate"] == 1
    assert len((tmp_path / f"Front Door_{FRONT}.log").read_text().splitlines()) == 1


async def test_the_way_back_counts_nothing_twice_and_rejects_nothing_again(tmp_path: Path) -> None:
    event = {"ANNT": [annt(NOON_US, "a"), annt(NOON_US, "a"), 5], "EMES": {"eventid": 1}}
    script: list[Step] = [Reconnect(NOON_US, NOON_US), Message(NOON_US + SECOND, {FRONT: {"event": event}})]
    await one_run(tmp_path, script)
    paths = LogPaths(tmp_path)
    (tmp_path / f"Front Door_{FRONT}.log").unlink()
    paths.uuids.unlink()
    rejected = paths.rejected.read_text()
    async with run(tmp_path) as after:
        restart(after, NOON_US)
        assert after.handler.totals == {MEASURED: 1}
        assert not after.recorder.rejects.counts
    assert after.writer.done_us == NOON_US + SECOND
    assert paths.rejected.read_text() == rejected


async def test_values_with_lines_are_still_the_first_of_their_subscription(tmp_path: Path) -> None:
    """The second value of a four-CC is no initial state, also when only the first one has its line."""
    script: list[Step] = [
        Reconnect(NOON_US, NOON_US),
        Message(NOON_US + SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US + 9, "first")}}}),
        Message(NOON_US + 50 * SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US - SECOND, "second")}}}),
    ]
    await one_run(tmp_path, script)
    before = texts(tmp_path)
    paths, log = LogPaths(tmp_path), tmp_path / f"Front Door_{FRONT}.log"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    paths.uuids.write_text("first\n")
    async with run(tmp_path) as after:
        restart(after, NOON_US + 50 * SECOND)
    assert texts(tmp_path) == before
    assert b"verdict=initial" not in log.read_bytes()


async def test_a_log_that_changes_after_it_was_read_is_noticed(tmp_path: Path) -> None:
    await one_run(tmp_path, one_event(FRONT))
    log = tmp_path / f"Front Door_{FRONT}.log"
    async with run(tmp_path) as after:
        restart(after)
        log.write_bytes(b"")
        after.play([Message(NOON_US + SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US, "b")}}})])
    assert b" n=1 " in log.read_bytes()


async def test_two_files_of_one_camera_are_both_read(tmp_path: Path) -> None:
    """A rename was cut short: the lines are under two names."""
    await one_run(tmp_path, one_event(FRONT))
    (tmp_path / f"Front Door_{FRONT}.log").rename(tmp_path / f"Another_{FRONT}.log")
    async with run(tmp_path, {}) as after:
        restart(after, NOON_US)
        assert after.history.stems == {FRONT: [f"Another_{FRONT}", f"Front Door_{FRONT}"]}
        assert after.handler.day.cameras[FRONT].n == 1
        worst = after.handler.day.worst[FRONT]
        assert worst.data is not None
    assert not (tmp_path / f"Front Door_{FRONT}.log").exists()


async def test_without_the_snapshot_the_worst_event_is_found_in_the_stream_log(tmp_path: Path) -> None:
    script: list[Step] = [Reconnect(NOON_US, NOON_US)]
    script += [
        Message(NOON_US + n * SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US, f"u{n}")}}})
        for n in random.Random(1).sample(range(1, 400), 300)
    ]
    script.sort(key=lambda step: step.at_us)
    await one_run(tmp_path, script)
    snapshot = LogPaths(tmp_path).max_delay
    before = snapshot.read_bytes()
    assert b" -- {" in before
    for damage in (b"", b"garbage\n\xff", before.replace(b"uuid=u", b"uuid=v")):
        snapshot.write_bytes(damage)
        async with run(tmp_path) as after:
            restart(after)
        assert snapshot.read_bytes() == before
    snapshot.write_bytes(b"")
    async with run(tmp_path) as after:
        assert after.history.reread(BACK) is None
        read = after.history.reread(FRONT)
        assert read is not None
        assert read.stats.n == 300
        assert read.worst is not None
        assert read.worst.data is not None


async def test_cameras_are_called_as_cameras_json_says_or_as_their_files(tmp_path: Path) -> None:
    await one_run(tmp_path, one_event(BACK))
    async with run(tmp_path) as after:
        assert after.history.cameras() == CAMERAS
    LogPaths(tmp_path).cameras.write_text('{"100e0001": 5}')
    async with run(tmp_path) as after:
        assert after.history.cameras() == {BACK: Camera(BACK, "Hof, hinten")}


async def test_a_camera_that_left_the_account_still_gets_its_lines(tmp_path: Path) -> None:
    script: list[Step] = [
        Reconnect(NOON_US, NOON_US),
        Message(NOON_US + 5, {BACK: {"event": {"ANNT": annt(NOON_US, "a")}}}),
    ]
    await one_run(tmp_path, script)
    log = tmp_path / f"Hof, hinten_{BACK}.log"
    before = log.read_bytes()
    log.unlink()
    LogPaths(tmp_path).uuids.unlink()
    async with run(tmp_path, {FRONT: CAMERAS[FRONT]}) as after:
        restart(after, NOON_US)
    assert log.read_bytes() == before


@settings(max_examples=50)
@given(st.lists(st.integers(0, 100), max_size=60), st.integers(0, 101), st.integers(1, 60))
def test_the_search_from_the_end_finds_the_lines_after_the_last_older_one(
    seconds: list[int], since: int, length: int
) -> None:
    lines = [f"2026-11-22T12:{s // 60:02}:{s % 60:02}.000000+00:00 -- {{}}{' ' * (s * length)}\n" for s in seconds]
    older = [index for index, s in enumerate(seconds) if s < since]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "stream.log"
        path.write_text("".join(lines))
        expected = len("".join(lines[: older[-1] + 1])) if older else 0
        assert offset_since(path, NOON_US + since * SECOND) == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(1, 3)), max_size=20))
def test_updates_come_by_arrival_then_camera_then_line(rows: list[tuple[int, str, int]]) -> None:
    with TemporaryDirectory() as folder:
        files = {camera_id: Path(folder) / camera_id for camera_id in "abc"}
        for path in files.values():
            path.touch()
        for number, (second, camera_id, _) in enumerate(sorted(rows)):
            with files[camera_id].open("a") as file:
                file.write(f'2026-11-22T12:00:0{second}.000000+00:00 -- {{"line": {number}}}\nno line\n\n')
        gaps = [Gap("gap", 0, NOON_US + second * SECOND, "") for second in (0, 3)]
        sequence = UpdateSequence(reversed(files.items()), gaps)
        items = [item for item in sequence if item is not None]
        assert sequence.done_bytes == sequence.total_bytes
    updates = [item for item in items if isinstance(item, Update)]
    assert [item.data["line"] for item in updates] == list(range(len(rows)))
    assert [item.camera_id for item in updates] == [camera_id for _, camera_id, _ in sorted(rows)]
    assert [items.index(gap) for gap in gaps] == [0, 1 + sum(second < 3 for second, _, _ in rows)]
    assert sequence.unreadable == len(rows)


def test_steps_are_short_in_bytes(tmp_path: Path) -> None:
    """Between two yields no more than a block is read, so that the event loop is never kept long."""
    verdict = Verdict(MEASURED, FRONT, "ANNT", 103, "Intrusion", "8d5e", NOON_US, NOON_US - 5, 5)
    path = tmp_path / "x.log"
    path.write_text(delay_line(verdict, label(CAMERAS[FRONT])) * 3000)
    log = DelayLog()
    assert max(log.read(path)) <= 40_000
    assert log.stats.n == 3000


@pytest.mark.parametrize("missing", ["days", "stream"])
async def test_an_empty_directory_is_no_history(tmp_path: Path, missing: str) -> None:
    async with run(tmp_path / missing, {}) as after:
        restart(after, NOON_US)
        assert after.history.cameras() == {}
        assert after.history.total_bytes == 0


async def test_gaps_before_a_restart_count_for_the_next_measured_event(tmp_path: Path) -> None:
    script = one_event(FRONT)
    for at_us in (NOON_US + 10 * SECOND, NOON_US + 20 * SECOND):
        script.append(Reconnect(at_us - 3 * SECOND, at_us))
    message = Message(NOON_US + 91 * SECOND, {FRONT: {"event": {"ANNT": annt(NOON_US + 90 * SECOND, "z")}}})
    lost = [Reconnect(NOON_US + 30 * SECOND, NOON_US + 32 * SECOND, FRONT)]
    await one_run(tmp_path / "whole", [*script, *lost, message])
    await one_run(tmp_path / "cut", [*script, *lost])
    async with run(tmp_path / "cut") as after:
        restart(after, NOON_US + 80 * SECOND)
        after.play([message])
    await replay([tmp_path / "whole"], tmp_path / "again")
    for name in ("whole", "cut", "again"):
        (log,) = (tmp_path / name).glob(f"*_{FRONT}.log")
        assert "after_gap_s=8.000000" in log.read_text().splitlines()[-1], name


async def test_a_camera_without_files_has_missed_the_gaps_too(tmp_path: Path) -> None:
    """But one that was added on the day only those since."""
    gaps: list[Step] = [Reconnect(NOON_US + n * SECOND - 3 * SECOND, NOON_US + n * SECOND) for n in (10, 20)]
    added: list[Step] = [Reconnect(NOON_US, NOON_US), gaps[0]]
    begun: list[Step] = [*one_event(FRONT), *gaps]
    message = Message(NOON_US + 91 * SECOND, {BACK: {"event": {"ANNT": annt(NOON_US + 90 * SECOND, "z")}}})
    for name, script, missed_s in (("known", begun, 6), ("added", added, 3)):
        async with run(tmp_path / name) as before:
            before.play(script)
            if name == "added":
                before.recorder.subscribed(NOON_US + 15 * SECOND, [BACK])
                before.play(gaps[1:])
        async with run(tmp_path / name) as after:
            restart(after, NOON_US + 80 * SECOND)
            after.play([message])
        (log,) = (tmp_path / name).glob(f"*_{BACK}.log")
        assert f"after_gap_s={missed_s}.000000" in log.read_text().splitlines()[-1], name


async def test_what_was_rejected_today_counts_after_a_restart(tmp_path: Path) -> None:
    rejected = LogPaths(tmp_path).rejected
    for size in (0, DAY_BYTES, DAY_BYTES + 1):
        rejected.write_bytes(b"x" * size)
        async with run(tmp_path, {}) as after:
            after.recorder.record(b"no JSON", NOON_US)
        assert (rejected.stat().st_size > size) is (size <= DAY_BYTES)
        assert after.recorder.rejects.counts == {"not-json": 1}


async def test_a_stop_before_a_camera_was_read_leaves_it_a_stream_log(tmp_path: Path) -> None:
    await one_run(tmp_path, one_event(BACK))
    async with run(tmp_path, {}) as after:
        next(after.history.load())
        after.recorder.know({BACK: CAMERAS[BACK]})
        after.recorder.keep_only()
        after.play([Message(NOON_US + 10, {BACK: {"event": {"ANNT": annt(NOON_US, "b")}}})])
    kept = [text.count(b"\n") for name, text in texts(tmp_path).items() if "stream" in name]
    assert kept == [2]
    assert not any(b"uuid=b" in text for text in texts(tmp_path, "*_100e*.log").values())
