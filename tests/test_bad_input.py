"""Whatever a server sends: the run goes on, the reason is counted, and no other event is harmed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from running import running

from eelogger.simulator import Cloud, World
from eelogger.text.logfmt import parse

NOW = "20261122120000.000"


def data(camera: str, cam_data: object) -> str:
    return json.dumps({"status_code": 200, "message": "OK", "data": {camera: cam_data}})


def annt(camera: str, **fields: object) -> str:
    return data(camera, {"event": {"ANNT": {"cameraid": camera, "ns": 103, "timestamp": NOW, **fields}}})


def unreadable(camera: str) -> list[tuple[str | bytes, str]]:
    """Messages and the reason each is rejected with."""
    return [
        ("{not json", "not-json"),
        ("", "empty"),
        (b"\x00\xff\xfe", "not-utf-8"),
        ("[1, 2]", "not-an-object"),
        ('"text"', "not-an-object"),
        ("null", "not-an-object"),
        ('{"status_code": 200}', "no-data"),
        ('{"status_code": 200, "data": null}', "no-data"),
        ('{"status_code": 200, "data": []}', "no-data"),
        (data("deadbeef", {"event": {}}), "unknown-camera"),
        (data("../../etc/passwd", {"event": {}}), "unknown-camera"),
        (data(camera, None), "camera-data-not-an-object"),
        (data(camera, {"event": None}), "event-not-an-object"),
        (data(camera, {"event": []}), "event-not-an-object"),
        (data(camera, {"event": {"ANNT": None}}), "value-not-an-object"),
        (data(camera, {"event": {"ANNT": [1]}}), "value-not-an-object"),
        (data(camera, {"event": {"ANNT": 7}}), "value-not-an-object"),
        ("[" * 20_000 + "]" * 20_000, "nested-too-deep"),
    ]


def odd(camera: str) -> list[str]:
    """Messages that can be read: their events are measured or told apart, and none is rejected."""
    long_number = "9" * 5_000
    return [
        annt(camera, uuid="") + "",
        annt(camera, uuid=5),
        annt(camera, uuid="u" * 10_000),
        annt(camera, uuid="line\nbreak\x1b[31m"),
        annt(camera, uuid="\ud800"),
        annt(camera, uuid="no-ns", ns=None),
        annt(camera, uuid="text-ns", ns="103"),
        annt(camera, uuid="bool-ns", ns=True),
        annt(camera, uuid="no-time", timestamp=None),
        annt(camera, uuid="number-time", timestamp=20261122120000),
        annt(camera, uuid="impossible", timestamp="20261332000000.000"),
        annt(camera, uuid="year-1", timestamp="00010101000000.000"),
        annt(camera, uuid="year-9999", timestamp="99991231235959.999"),
        *(
            annt(camera, uuid=f"digits-{n}", timestamp=NOW[:15].rstrip("." if n == 0 else "") + "1" * n)
            for n in range(10)
        ),
        f'{{"status_code": 200, "data": {{"{camera}": {{"x": {long_number}, "y": NaN, "z": 1e999, '
        f'"event": {{"ANNT": {{"uuid": "numbers", "ns": 103, "seq": {long_number}, "timestamp": "{NOW}"}}}}}}}}}}',
        annt(camera, uuid="2-mib", mpack="m" * 2 * 1024 * 1024),
        data(camera, {"error": [{"status_code": 404, "message": "gone"}]}),
        '{"status_code": 400, "message": "bad \\u001b[2J", "data": {}}',
    ]


def rejected(log_dir: Path) -> Counter[str]:
    lines = (log_dir / "rejected.log").read_text().splitlines()
    assert all(len(line) < 2300 and line.isprintable() for line in lines)
    return Counter(parse(line)["reason"] for line in lines)


async def test_no_message_stops_the_run_or_harms_another(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    async with Cloud(World.of(cameras=2)) as cloud, running(cloud, logs) as logger:
        camera, other = (camera.id for camera in cloud.world.cameras)
        await cloud.wait_subscribed(2)
        good = []
        for message, _ in unreadable(camera):
            await (cloud.send_text(message) if isinstance(message, str) else cloud.send_bytes(message))
            good.append(await cloud.emit(other, delay_s=0.1))
        for text in odd(camera):
            await cloud.send_text(text)
            good.append(await cloud.emit(other, delay_s=0.1))
        assert await logger.stop() == 0
    assert "Traceback" not in logger.stderr
    assert logger.stderr.isprintable() or "\x1b" not in logger.stderr
    assert rejected(logs) == Counter(reason for _, reason in unreadable(camera))
    log = next(logs.glob(f"*_{other}.log")).read_text()
    assert all(log.count(event.identity) == 1 for event in good)
    judged = {
        keys["uuid"]: keys["verdict"]
        for line in next(logs.glob(f"*_{camera}.log")).read_text().splitlines()
        if (keys := parse(line))
    }
    undated = {uuid for uuid, verdict in judged.items() if verdict == "undated"}
    assert undated == {"no-time", "number-time", "impossible", "year-1", "year-9999"}
    assert {f"digits-{n}" for n in range(10)} | {"line\nbreak\x1b[31m", "numbers", "2-mib", "text-ns"} <= judged.keys()
    stream = next((logs / "stream").glob(f"*_{camera}_stream.log")).read_text()
    assert all(json.loads(line.split(" -- ", 1)[1]) is not None for line in stream.splitlines())


async def test_a_wild_camera_list_gives_safe_files(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    async with Cloud(World.of(cameras=1)) as cloud:
        names = [
            None, "twin", "twin", "n" * 300, "../../../escape", "a/b\\c:d", "tab\tbell\x07", "\u202egnp.exe", "...",
            "CON", "nul.txt", "processed_event", "  spaced  ", "日本語" * 60, "",
        ]  # fmt: skip
        for number, name in enumerate(names):
            cloud.add_camera(f"2000{number:04x}", name)
        rows: list[list[object]] = [
            [],
            ["x"],
            ["a", "b", "c", "camera"],
            [1, "uuids", "processed_event", "camera", [], "ATTD"],
        ]
        rows.append(["1", "../../evil", "evil", "camera", [], "ATTD"])
        cloud.device_rows += rows
        async with running(cloud, logs) as logger:
            await cloud.wait_subscribed(1 + len(names))
            events = [await cloud.emit(f"2000{number:04x}", delay_s=0.1) for number in range(len(names))]
            assert await logger.stop() == 0
    files = sorted(path.relative_to(logs) for path in logs.rglob("*.log"))
    for number, event in enumerate(events):
        mine = [path for path in files if f"_2000{number:04x}" in path.name]
        assert len(mine) == 2, mine
        assert event.identity in (logs / next(path for path in mine if path.parent == Path())).read_text()
        assert all(len(path.name.encode()) <= 255 and path.name.isprintable() for path in mine)
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "logs.env"}
    assert (logs / "processed_event_uuids.log").read_text().count("\n") >= len(names)
