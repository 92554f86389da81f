"""The recorder: whose a message is, and in which order what is known of cameras and what they send takes effect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import NOON_US, SECOND, annt, run

from eelogger.model import Camera, CloudNotice


@pytest.mark.parametrize(
    ("listed", "sent"), [("100e1e23", "100E1E23"), ("100E1E23", "100e1e23"), ("100E1e23", "100e1E23")]
)
async def test_an_id_is_the_lists_however_the_stream_writes_it(tmp_path: Path, listed: str, sent: str) -> None:
    data = {"event": {"ANNT": annt(NOON_US, "a")}, "error": [{"status_code": 404, "message": "gone"}]}
    async with run(tmp_path, {listed: Camera(listed, "Front")}) as this:
        this.recorder.subscribed(NOON_US - 90 * SECOND)
        message = json.dumps({"status_code": 200, "data": {sent: data}}).encode()
        assert this.recorder.record(message, NOON_US + SECOND) == [CloudNotice(listed, 404, "gone")]
        assert this.recorder.rejects.counts == {}
    (line,) = (tmp_path / f"Front_{listed}.log").read_text().splitlines()
    assert f" camera={listed} " in line
    assert len((tmp_path / "stream" / f"Front_{listed}_stream.log").read_text().splitlines()) == 1


async def test_a_camera_that_is_not_listed_makes_no_file(tmp_path: Path) -> None:
    async with run(tmp_path, {"100e1e23": Camera("100e1e23", "Front")}) as this:
        data = {"error": [{"status_code": 404, "message": "gone"}], "event": {"ANNT": annt(NOON_US, "a")}}
        message = json.dumps({"status_code": 200, "data": {"100e1e24": data}}).encode()
        assert this.recorder.record(message, NOON_US + SECOND) == [CloudNotice("100e1e24", 404, "gone")]
        assert this.recorder.rejects.counts == {"unknown-camera": 1}
    assert not list(tmp_path.glob("**/*100e1e24*"))
