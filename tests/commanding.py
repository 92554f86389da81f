"""Commands as a person gives them: in a process of their own, or here, where they are faster; and a demo to look at."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from running import ROOT, environment

from eelogger.commands import dispatch as commands
from eelogger.commands.arguments import parser
from eelogger.errors import EeloggerError

APP = ROOT / "app.py"
CHILD = ROOT / "tests" / "child.py"
COLUMNS = 100


class Said(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


class Screen:
    """A console that remembers; `shown` are the lines that were drawn over each other."""

    def __init__(self) -> None:
        self.out = ""
        self.err = ""
        self.shown: list[str] = []

    def write(self, text: str) -> None:
        self.out += text

    def tell(self, text: str) -> None:
        self.err += f"{text}\n"

    def show(self, draw: Callable[[int], str]) -> None:
        self.shown.append(draw(COLUMNS))

    def ask(self, prompt: str) -> str:
        raise EOFError

    ask_secret = ask

    def columns(self, piped: int = COLUMNS) -> int:
        return piped


def here(*args: str | Path, screen: Screen | None = None) -> Said:
    """Give a command in this process; errors end it as `cli` does, without a `.env`."""
    screen = screen or Screen()
    defaults = argparse.Namespace(log_dir=None, env_file=None, verbose=0, quiet=False)
    try:
        code = commands.run(parser().parse_args(list(map(str, args)), defaults), screen)
    except EeloggerError as error:
        return Said(error.exit_code, screen.out, f"{screen.err}{error}\n{error.hint}\n")
    except SystemExit as error:  # argparse
        return Said(int(error.code or 0), screen.out, screen.err)
    return Said(code, screen.out, screen.err)


def program(*args: str | Path, env: Mapping[str, str] | None = None, script: Path = APP) -> Said:
    """Give a command as a process, with the settings of `env` and no others."""
    command = [sys.executable, str(script), "--env-file", os.devnull, *map(str, args)]
    settings = environment(None, Path("nowhere"), env)
    done = subprocess.run(command, env=settings, capture_output=True, timeout=60, encoding="utf-8", check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def bound(*args: str | Path) -> Said:
    """As a process that heeds the rights of files, also when root runs the tests."""
    return program(*args, env={"CHILD_BOUND": "1"}, script=CHILD)


def demo(log_dir: Path, measured: int = 12) -> Path:
    """A log directory as `--demo` leaves it when it is stopped after so many measured events."""
    command = [sys.executable, str(APP), "--demo", "-q", "--log-dir", str(log_dir)]
    process = subprocess.Popen(command, env=environment(None, log_dir))
    try:
        end_s = time.monotonic() + 60
        while (
            sum(path.read_text("utf-8").count("verdict=measured") for path in log_dir.glob("*_????????.log")) < measured
        ):
            assert process.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    return log_dir
