"""The status line fits every terminal, gives way in a fixed order and never mixes with what is printed above it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.screen.console import PIPE_COLUMNS, Console
from eelogger.screen.terminal import AboveLine, Glance, StatusLine, keep, status_line
from eelogger.text.tables import width

ROOT = Path(__file__).resolve().parent.parent
MINUTE = 60_000_000
FULL = Glance(
    state="connected",
    uptime_us=125 * MINUTE,
    cameras=12,
    events=4120,
    last_us=412_000,
    last_camera="Front Door",
    p95_us=1_900_000,
    rtt_us=23_400,
    gaps=1,
    lag_us=300,
    clock_us=None,
)


class Screen:
    """A terminal that knows carriage return and line feed, and characters of two columns: its lines of text."""

    def __init__(self, columns: int = 200) -> None:
        self.columns = columns
        self.lines: list[list[str]] = [[]]
        self.at = 0
        self.wrapped = False

    def write(self, text: str) -> None:
        for char in re.sub(r"\x1b\[[0-9;]*m", "", text):
            if char == "\r":
                self.at = 0
            elif char == "\n":
                self.lines.append([])
                self.at = 0
            else:
                self._put(char)

    def _put(self, char: str) -> None:
        line, columns = self.lines[-1], width(char)
        if self.at + columns > self.columns:
            self.wrapped = True
        line.extend([" "] * (self.at + columns - len(line)))
        if columns:
            line[self.at : self.at + columns] = [char, *[""] * (columns - 1)]
        self.at += columns

    @property
    def text(self) -> list[str]:
        return ["".join(line).rstrip() for line in self.lines]


def test_a_wide_terminal_shows_everything() -> None:
    assert status_line(FULL, 200) == (
        "connected · 2 h 05 min · 12 cameras · 4,120 events · last 0.41 s · Front Door · p95 1.9 s"
        " · RTT 23.4 ms · 1 gap · own 0.3 ms"
    )


def test_what_is_not_known_yet_is_left_out() -> None:
    assert status_line(Glance("connecting", 1_400_000, 0, 0), 80) == "connecting · 1 s · 0 cameras · 0 events · no gap"


def test_the_least_important_gives_way_first() -> None:
    shown = [status_line(FULL, columns) for columns in (100, 90, 80, 60, 40, 24, 8)]
    assert shown == [
        "connected · 2 h 05 min · 12 cameras · 4,120 events · last 0.41 s · p95 1.9 s · RTT 23.4 ms · 1 gap",
        "connected · 2 h 05 min · 12 cameras · 4,120 events · last 0.41 s · p95 1.9 s · 1 gap",
        "connected · 2 h 05 min · 12 cameras · 4,120 events · last 0.41 s · p95 1.9 s",
        "connected · 4,120 events · last 0.41 s · p95 1.9 s",
        "connected · 4,120 events · last 0.41 s",
        "connected · last 0.41 s",
        "connec…",
    ]


def test_colours_are_beside_the_text_and_only_on_demand() -> None:
    coloured = status_line(FULL, 200, colour=True)
    assert "\x1b" not in status_line(FULL, 200)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == status_line(FULL, 200)
    assert coloured.startswith("\x1b[32mconnected\x1b[0m · ")
    assert "\x1b[33m1 gap\x1b[0m" in coloured
    assert "\x1b[33mconnecting\x1b[0m" in status_line(Glance("connecting", 0, 0, 0), 80, colour=True)


def test_a_wrong_clock_and_an_own_error_are_pointed_at() -> None:
    shown = status_line(Glance("connected", 0, 1, 1, lag_us=12_000, clock_us=-2_100_000), 120, colour=True)
    assert "\x1b[33mclock off by 2.1 s\x1b[0m" in shown
    assert "\x1b[33mown 12.0 ms\x1b[0m" in shown


durations = st.none() | st.integers(0, 10**14)
glances = st.builds(
    Glance,
    state=st.text(max_size=30),
    uptime_us=st.integers(0, 10**14),
    cameras=st.integers(0, 10**5),
    events=st.integers(0, 10**10),
    last_us=durations,
    last_camera=st.text(max_size=40),
    p95_us=durations,
    rtt_us=durations,
    gaps=st.integers(0, 10**4),
    lag_us=durations,
    clock_us=st.none() | st.integers(-(10**12), 10**12),
)


@given(glances, st.integers(1, 200), st.booleans())
def test_any_glance_fits_any_terminal(glance: Glance, columns: int, colour: bool) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", status_line(glance, columns, colour=colour))
    assert width(text) <= max(1, columns - 1)
    assert text.isprintable()


@given(st.lists(st.text("aé門カ 0", min_size=1, max_size=20), max_size=8))
def test_each_line_covers_the_one_before(texts: list[str]) -> None:
    screen = Screen()
    line = StatusLine(screen.write)
    for text in texts:
        line.show(text)
        assert screen.text == [text.rstrip()]
    line.clear()
    assert screen.text == [""]
    assert screen.at == 0


def test_what_is_printed_stands_above_the_line() -> None:
    screen = Screen()
    line = StatusLine(screen.write)
    line.show("\x1b[32mconnected\x1b[0m · 12 cameras")
    with line.aside():
        screen.write("a remark\n")
    assert screen.text == ["a remark", "connected · 12 cameras"]
    with pytest.raises(ValueError, match="wrong"), line.aside():
        raise ValueError("wrong")
    assert screen.text == ["a remark", "connected · 12 cameras"]
    line.clear()
    with line.aside():
        screen.write("another\n")
    assert screen.text == ["a remark", "another", ""]


def test_log_records_stand_above_the_line() -> None:
    screen = Screen()
    line = StatusLine(screen.write)

    class Written(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            screen.write(f"{record.getMessage()}\n")

    log = logging.Logger("status line")
    log.addHandler(AboveLine(Written(), line))
    line.show("connected")
    log.warning("the connection was lost")
    assert screen.text == ["the connection was lost", "connected"]


async def test_the_line_is_kept_up_to_date_and_taken_away() -> None:
    screen = Screen()
    drawn = asyncio.Event()
    glances_seen = iter([None, FULL])

    def glance() -> Glance | None:
        return next(glances_seen, FULL)

    def draw(seen: Glance) -> str:
        drawn.set()
        return status_line(seen, 80)

    keeping = asyncio.create_task(keep(StatusLine(screen.write), glance, draw))
    await asyncio.wait_for(drawn.wait(), 10)
    await asyncio.sleep(0)
    assert screen.text[-1].startswith("connected")
    keeping.cancel()
    await asyncio.wait([keeping])
    assert screen.text == [""]


CHILD = """
import asyncio, logging, sys
from eelogger.screen.console import Console
from eelogger.screen.terminal import Glance

console = Console(sys.stdin, sys.stdout, sys.stderr)
logging.getLogger().addHandler(console.log_handler(logging.Formatter("LOG %(message)s")))
seen = [
    Glance("connecting", 0, 0, 0),
    Glance("connected", 1_000_000, 7, 3, last_us=5_000_000, last_camera="正門 カメラ"),
]

async def main():
    drawing = asyncio.create_task(console.keep_status_line(lambda: seen[0] if len(seen) > 1 else seen[-1], colour=True))
    await asyncio.sleep(0.05)
    logging.warning("one")
    seen.pop(0)
    await asyncio.sleep(1.1)
    console.write("asked for\\n")
    logging.warning("two")
    drawing.cancel()
    await asyncio.wait([drawing])
    console.write(f"columns {console.columns()}\\n")

asyncio.run(main())
"""


def on_a_terminal(columns: int, *command: str, **environment: str) -> str:
    """What a command writes on a real terminal of so many columns, escape sequences and all."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR" and not name.startswith("EEN_")}
    with subprocess.Popen(
        [sys.executable, *command], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=env | environment
    ) as child:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says so when the other side is closed
            while chunk := os.read(ours, 4096):
                shown += chunk
        os.close(ours)
    assert child.returncode == 0, shown.decode()
    return shown.decode()


def test_on_a_real_terminal_the_line_stays_one_line() -> None:
    shown = on_a_terminal(60, "-c", CHILD)
    screen = Screen(60)
    screen.write(shown)
    assert screen.text == ["LOG one", "asked for", "LOG two", "columns 60", ""]
    assert not screen.wrapped
    assert "connected" in shown
    assert "\x1b[32m" in shown


@pytest.mark.parametrize("colour", [True, False])
def test_a_run_keeps_its_line_below_everything_else(tmp_path: Path, colour: bool) -> None:
    environment = {} if colour else {"NO_COLOR": "1"}
    shown = on_a_terminal(70, "app.py", "--demo", "--seconds", "6", "--log-dir", str(tmp_path), **environment)
    screen = Screen(10_000)
    screen.write(shown)
    assert screen.text[0].startswith("demo cloud: ")
    assert screen.text[1].startswith("Delays of "), "nothing of the status line is left"
    assert ("\x1b[32mconnected\x1b[0m · " if colour else "\rconnected · ") in shown
    assert ("\x1b" in shown) is colour
    drawn = [part for part in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;]*m", "", shown)) if " cameras · " in part]
    assert drawn
    assert max(map(width, drawn)) < 70


def test_without_a_terminal_there_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(sys.stdin, sys.stdout, sys.stderr)
    asyncio.run(console.keep_status_line(lambda: FULL, colour=True))
    assert not console.is_terminal()
    assert console.columns() == PIPE_COLUMNS
    assert capsys.readouterr() == ("", "")
