"""Rejects: all are counted, and whatever a stranger sends, `rejected.log` stays within its rate and its size a day."""

from json import dumps
from pathlib import Path

from played import Played, annt

from eelogger.model import Camera, Reject
from eelogger.recorder import BURST, DAY_BYTES, PER_SECOND, Rejects
from eelogger.storage.formats import parse_pairs

SECOND = 1_000_000
NOON_US = 1_795_348_800 * SECOND
LINE_BYTES = 4096  # no line can be longer: 2 KiB of text, and the camera's first 64 characters escaped


class Sink:
    """A `Rejects` and the lines it wrote."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rejects = Rejects(self.lines.append)

    def add(self, at_us: int, text: str = "x", reason: str = "not-json", camera_id: str = "", size: int = 7) -> bool:
        """Add one; whether it was written."""
        before = len(self.lines)
        self.rejects.add(Reject(reason, camera_id, text), at_us, size)
        return len(self.lines) > before


def test_a_reject_is_counted_and_shown_with_its_true_size() -> None:
    sink = Sink()
    assert sink.add(NOON_US, "y" * 4096, "torn-line", size=200_000)
    keys = parse_pairs(sink.lines[0])
    assert (keys["reason"], keys["bytes"], len(keys["text"])) == ("torn-line", "200000", 2046)
    assert sink.rejects.counts == {"torn-line": 1}


def test_an_id_in_other_letters_is_that_of_the_list(tmp_path: Path) -> None:
    run = Played(tmp_path, {"100e00ab": Camera("100e00ab", "Yard")})
    run.recorder.know({"100e00ab": Camera("100e00ab", "Yard")})
    event = {"ANNT": annt(NOON_US, "u"), "EMES": 5}
    data = {"100E00AB": {"event": event, "error": {"status_code": 404}}, "100e00ac": {}}
    (notice,) = run.recorder.record(dumps({"data": data}).encode(), NOON_US)
    assert (notice.camera_id, notice.status_code) == ("100e00ab", 404)
    assert list(run.handler.day.cameras) == ["100e00ab"]
    assert run.recorder.rejects.counts == {"unknown-camera": 1, "value-not-an-object": 1}


def test_the_rate_at_both_ends() -> None:
    sink = Sink()
    assert [sink.add(NOON_US) for _ in range(BURST + 1)] == [True] * BURST + [False]
    one_us = SECOND // PER_SECOND
    assert not sink.add(NOON_US + one_us - 1)
    assert sink.add(NOON_US + one_us)
    assert not sink.add(NOON_US + one_us)
    assert not sink.add(NOON_US - SECOND), "a clock put back saves nothing up"
    later = NOON_US + 3600 * SECOND
    # An hour saves up no more than a burst.
    assert [sink.add(later) for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert sink.rejects.counts == {"not-json": 2 * BURST + 6}


def test_the_size_of_a_day_at_both_ends() -> None:
    sink = Sink()
    at_us = NOON_US
    while sink.add(at_us, "\x00" * 10_000):
        at_us += SECOND
    written = sum(len(line.encode()) for line in sink.lines)
    assert DAY_BYTES < written <= DAY_BYTES + LINE_BYTES
    assert not sink.add(at_us + 3600 * SECOND, "")
    sink.rejects.size = 0
    assert sink.add(at_us + 3600 * SECOND, "")
    assert sink.rejects.counts["not-json"] == len(sink.lines) + 2
