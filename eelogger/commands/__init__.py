"""The commands beside a run: a module each, with `add_arguments` and `run`."""

import argparse
import os
from contextlib import suppress
from typing import Final

from ..errors import NothingToShow
from ..settings import log_dir_of
from ..storage.lock import DIED, HANGS, NEVER, STOPPED
from ..storage.paths import LogPaths
from ..views.text import printable

# How a logger that does not work is described, by its `ProcessState.kind`.
NOT_RUNNING: Final = {NEVER: "has not run yet", STOPPED: "is stopped", DIED: "died", HANGS: "hangs"}


def count(text: str) -> int:
    """Parse a whole number from 0 on."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def seconds(text: str) -> float:
    """Parse a positive number of seconds."""
    with suppress(ValueError):
        if 0 < float(text) < 1e9:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")


def paths_to_read(options: argparse.Namespace) -> LogPaths:
    """The log directory; raises `NothingToShow` when it cannot be read."""
    paths = LogPaths(log_dir_of(options.env_file, options.log_dir))
    try:
        os.listdir(paths.root)
    except OSError as error:
        message = f"the log directory {printable(paths.root)} cannot be read: {error.strerror}"
        raise NothingToShow(message, "start the logger first, or give --log-dir") from None
    return paths
