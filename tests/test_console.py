"""One line at the bottom that mixes with nothing, output that never holds up a run, files that are whole."""

import asyncio
import io
import os
import pty
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from eelogger.views.console import PENDING, PIPE_COLUMNS, Console, output_file, progress
from eelogger.views.text import width

ROOT = Path(__file__).resolve().parent.parent


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def shown(text: str) -> list[str]:
    """What stands in each line after all its texts were written over each other."""
    lines = []
    for line in text.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            new = [cell for char in part for cell in [char, ""][: width(char)]]
            cells[: len(new)] = new
        lines.append("".join(cells).rstrip())
    return lines


def test_a_narrower_terminal_keeps_no_scraps(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, columns = Screen(), 100
    console = Console(None, screen, screen)
    monkeypatch.setattr(console, "columns", lambda stream=None: columns)
    console.show("x" * 99)
    columns, before = 40, len(screen.getvalue())
    console.error("a remark")
    assert screen.getvalue()[before:] == "\r\x1b[J\r\ra remark\n", "too wide now, it waits"
    console.show("y" * 39)
    assert shown(screen.getvalue())[-1] == "y" * 39


@given(texts=st.lists(st.text("aé門カ 0", min_size=1, max_size=20), max_size=8))
def test_each_line_covers_the_one_before(texts: list[str]) -> None:
    screen = Screen()
    console = Console(None, screen, screen)
    for text in [*texts, ""]:
        console.show(text)
        assert shown(screen.getvalue()) == [text.rstrip()]
        assert screen.getvalue().endswith("\r" if texts else "")


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_leaves_remarks_out_and_no_line_where_there_is_no_terminal(quiet: bool) -> None:
    out, err = io.StringIO(), io.StringIO()
    for console in (Console(io.StringIO("somebody\r\nsecret\n"), out, err), Console(None, None, None)):
        console.quiet = quiet
        console.show("connected")
        console.info("remark")
        console.error("trouble")
        console.write("asked for\n")
        assert (console.columns(), console.terminals) == (PIPE_COLUMNS, [])
        if console.out:
            assert (console.ask("user: "), console.ask("password: ", is_secret=True)) == ("somebody", "secret")
        with pytest.raises(EOFError):
            console.ask("user: ")
    assert out.getvalue() == "asked for\n"
    assert err.getvalue() == ("trouble\n" if quiet else "remark\ntrouble\n")


async def test_a_pipe_that_nobody_reads_holds_up_nothing_and_what_was_dropped_is_counted() -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as out:
        err = io.StringIO()
        console = Console(None, out, err)
        await console.keep_status_line(lambda columns: "")
        for _ in range(2 * PENDING):
            console.write("x" * 99 + "\n")
        console.info("a remark")
        began_s = time.monotonic()
        console.close()
        assert time.monotonic() - began_s < 2
        assert err.getvalue() == "a remark\n"
        taken = b""
        while len(taken) < 100 * PENDING:
            taken += await asyncio.to_thread(os.read, reading, 65536)
        console.write("and on\n")
        while not taken.endswith(b"and on\n"):
            taken += await asyncio.to_thread(os.read, reading, 65536)
    os.close(reading)
    dropped = re.findall(rb"^\(([0-9]+) texts are left out here", taken, re.MULTILINE)
    assert dropped
    assert taken.count(b"x\n") + sum(map(int, dropped)) == 2 * PENDING


KEEPS_A_LINE = """
import asyncio, fcntl, logging, os, sys, termios
from eelogger.views.console import Console, LogHandler
console = Console(sys.stdin, sys.stdout, sys.stderr)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
async def main():
    drawing = asyncio.create_task(console.keep_status_line(lambda columns: "connected · 正門"))
    await asyncio.sleep(0.2)
    console.error("one")
    await asyncio.sleep(0.2)
    console.write("two\\n")
    handler = LogHandler()
    handler.console = console
    handler.handle(logging.makeLogRecord({"msg": "three"}))
    drawing.cancel()
    await asyncio.wait([drawing])
    console.close()
if BACKGROUND and os.fork():
    os.wait()
else:
    if BACKGROUND:
        os.setpgid(0, 0)
    asyncio.run(main())
"""


@pytest.mark.parametrize("background", [False, True])
def test_on_a_real_terminal_the_line_stays_below_and_in_the_background_there_is_none(background: bool) -> None:
    ours, theirs = pty.openpty()
    line = [sys.executable, "-c", KEEPS_A_LINE.replace("BACKGROUND", str(background))]
    with subprocess.Popen(
        line, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                text += chunk
        except OSError:  # Linux says so when the other side is closed
            os.close(ours)
        assert process.wait(20) == 0, text.decode()
    assert shown(text.decode().replace("\r\n", "\n")) == ["one", "two", "three", ""]
    assert ("connected · 正門" in text.decode()) is not background


def test_long_work_shows_how_far_it_is_and_leaves_nothing() -> None:
    screen = Screen()
    with progress("reading", Console(None, screen, screen)) as advance:
        advance(42, 100)
        assert shown(screen.getvalue()) == ["reading  42%"]
    assert shown(screen.getvalue()) == [""]


def write(path: Path, pieces: Iterable[str]) -> None:
    with output_file(path, lambda text: None) as put:
        put(pieces)


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    write(path, ["one\n", "ä\ud800\n"])
    path.chmod(0o640)
    with pytest.raises(ZeroDivisionError):
        write(path, (str(1 // n) for n in (1, 0)))
    assert path.read_bytes() == "one\nä\\ud800\n".encode()
    write(path, "two")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("two", 0o640)
    assert os.listdir(tmp_path) == ["figures.csv"]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("before")
    link.symlink_to(target)
    write(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "through")
    assert os.read(reader, 100) == b"through"
    assert pipe.is_fifo()
    os.close(reader)
