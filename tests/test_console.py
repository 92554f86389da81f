"""One line at the bottom that mixes with nothing, and output that never holds up a run."""

from __future__ import annotations

import asyncio
import fcntl
import io
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eelogger.views.console import PENDING, PIPE_COLUMNS, Console, LogHandler, progress
from eelogger.views.tables import width

ROOT = Path(__file__).resolve().parent.parent


class Screen(io.StringIO):
    """A terminal of wide lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = [[]]
        self.at = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for part in text:
            if part == "\r":
                self.at = 0
            elif part == "\n":
                self.lines.append([])
                self.at = 0
            else:
                line, end = self.lines[-1], self.at + width(part)
                line.extend([" "] * (end - len(line)))
                line[self.at : end] = [part, ""][: end - self.at]
                self.at = end
        return len(text)

    @property
    def text(self) -> list[str]:
        return ["".join(line).rstrip() for line in self.lines]


def shown(text: str) -> Callable[[int], str]:
    return lambda columns: text


@given(texts=st.lists(st.text("aé門カ 0", min_size=1, max_size=20), max_size=8))
def test_each_line_covers_the_one_before(texts: list[str]) -> None:
    screen = Screen()
    console = Console(None, screen, screen)
    for text in [*texts, ""]:
        console.show(shown(text))
        assert screen.text == [text.rstrip()]
        assert screen.at == 0


def test_what_is_printed_stands_above_the_line() -> None:
    screen = Screen()
    console = Console(None, screen, screen)
    log = logging.Logger("status line")
    log.addHandler(LogHandler(console))
    console.show(shown("connected · 12 cameras"))
    console.info("a remark")
    console.write("asked for\n")
    log.warning("lost")
    assert screen.text == ["a remark", "asked for", "lost", "connected · 12 cameras"]
    console.show(shown(""))
    console.error("last")
    assert screen.text[3:] == ["last", ""]


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_leaves_remarks_out_and_no_line_where_there_is_no_terminal(quiet: bool) -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(None, out, err)
    console.quiet = quiet
    console.show(shown("connected"))
    console.info("remark")
    console.error("trouble")
    console.write("asked for\n")
    assert out.getvalue() == "asked for\n"
    assert err.getvalue() == ("trouble\n" if quiet else "remark\ntrouble\n")
    assert (console.columns(), console.terminals) == (PIPE_COLUMNS, [])


def test_a_closed_stream_swallows_text_and_answers_come_through_a_pipe() -> None:
    console = Console(None, None, None)
    console.write("a")
    console.error("a")
    console.show(shown("a"))
    console.close()
    for ask in (console.ask, console.ask_secret):
        with pytest.raises(EOFError):
            ask("user: ")
    console = Console(io.StringIO("somebody\r\nsecret\n"), io.StringIO(), io.StringIO())
    assert (console.ask("user: "), console.ask_secret("password: ")) == ("somebody", "secret")


def child(script: str, **streams: object) -> subprocess.Popen[str]:
    head = "import asyncio, os, sys, time\nfrom eelogger.views.console import Console\n"
    head += "console = Console(sys.stdin, sys.stdout, sys.stderr)\n"
    return subprocess.Popen([sys.executable, "-c", head + script], cwd=ROOT, text=True, **streams)  # type: ignore[call-overload, no-any-return]


STALLED = """
async def main():
    longest, last = 0.0, time.monotonic()
    for i in range(400):
        console.write("x" * 4095 + "\\n")
        console.info("a remark")
        await asyncio.sleep(0)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    began = time.monotonic()
    console.close()
    sys.stderr.write(f"longest {longest:.3f} end {time.monotonic() - began:.3f}\\n")
asyncio.run(main())
"""


def test_a_pipe_that_does_not_drain_never_stalls_the_loop_and_is_waited_for_a_bounded_time() -> None:
    with child(STALLED, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        err = process.stderr.read() if process.stderr else ""
        assert process.wait(20) == 0
    assert err.startswith("a remark\n" * 400), "remarks are not held up by what goes elsewhere"
    found = re.search(r"longest ([0-9.]+) end ([0-9.]+)\n", err)
    assert found, err
    assert float(found[1]) < 0.5
    assert float(found[2]) < 3


async def test_what_was_dropped_is_counted_once_the_pipe_drains_again() -> None:
    reading, writing = os.pipe()
    written = 2 * PENDING
    with open(writing, "w") as out:
        console = Console(None, out, None)
        for _ in range(written):
            console.write("x" * 99 + "\n")
        taken = b""
        while len(taken) < 100 * PENDING:
            taken += await asyncio.to_thread(os.read, reading, 65536)
        console.write("and on\n")
        while not taken.endswith(b"and on\n"):
            taken += await asyncio.to_thread(os.read, reading, 65536)
    os.close(reading)
    dropped = re.findall(rb"^\(([0-9]+) texts are left out here", taken, re.MULTILINE)
    assert dropped
    assert taken.count(b"x\n") + sum(map(int, dropped)) == written


def test_a_reader_that_has_gone_is_a_broken_pipe() -> None:
    script = "async def main(): console.write('x\\n')\n"
    script += "try:\n    while True:\n        asyncio.run(main())\n        time.sleep(0.001)\n"
    script += "except BrokenPipeError:\n    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n    sys.exit(7)"
    with child(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "x\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(20) == 7


def test_a_command_waits_for_its_reader_and_loses_nothing() -> None:
    script = "async def main(): console.write('a\\n')\nasyncio.run(main())\n"
    script += "for i in range(300): console.write('x' * 4095 + '\\n')\nconsole.close()"
    with child(script, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        time.sleep(0.5)
        assert len(process.stdout.read()) == 2 + 300 * 4096
        assert process.wait(20) == 0


KEEPS_A_LINE = """
async def main():
    drawing = asyncio.create_task(console.keep_status_line(lambda columns: "connected · 正門"))
    await asyncio.sleep(0.2)
    console.error("one")
    await asyncio.sleep(0.2)
    console.write("two\\n")
    drawing.cancel()
    await asyncio.wait([drawing])
    console.write(f"columns {console.columns()}\\n")
    console.close()
"""
IN_BACKGROUND = """
if os.fork() == 0:
    os.setpgid(0, 0)
    time.sleep(0.1)
    asyncio.run(main())
    os._exit(0)
os.wait()
"""


def on_a_terminal(script: str) -> str:
    """What a script writes on a real terminal of 60 columns, which it controls."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    take = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    with child(
        take + script, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"TERM": "xterm"},
    ) as process:  # fmt: skip
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                text += chunk
        except OSError:  # Linux says so when the other side is closed
            pass
        os.close(ours)
        assert process.wait(20) == 0, text.decode()
    return text.decode()


def test_on_a_real_terminal_the_line_stays_below_and_in_the_background_there_is_none() -> None:
    text = on_a_terminal(KEEPS_A_LINE + "asyncio.run(main())")
    screen = Screen()
    screen.write(text)
    assert screen.text == ["one", "two", "columns 60", ""]
    assert "connected · 正門" in text
    assert on_a_terminal(KEEPS_A_LINE + IN_BACKGROUND).replace("\r\n", "\n") == "one\ntwo\ncolumns 60\n"


def test_a_bar_is_shown_for_long_work_alone_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, now_s = Screen(), 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with progress("reading", Console(None, screen, screen)) as advance:
        advance(1, 10)
        assert screen.text == [""]
        now_s = 10.0
        advance(42, 100)
        assert screen.text == ["reading  42%"]
    assert screen.text == [""]
