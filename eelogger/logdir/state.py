"""`.state`: where a run stands, for the next one to go on from; text from values and back.

Decides the form (JSON with readable times); when it is written is for `snapshots`, what follows from it for
`service`. Invariant: what `state_text` writes `read_state` reads back; a file that is missing, damaged or of another
kind is as good as none, and unknown keys are let pass.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..backoff import RefusedLogin
from ..paths import LogPaths, is_day
from ..text.times import parse_time, time_text
from .blocks import read_file


@dataclass(frozen=True, slots=True)
class State:
    """`alive_us`: last moment known observing; `done_us`: all that arrived up to then has all its lines on disk.

    `day` is the one whose files stand in the log directory; `since_us` when its first observation was meant to begin;
    `login` a refused login to be waited for. `clean` when the run ended by itself.
    """

    day: str
    alive_us: int
    done_us: int
    clean: bool
    since_us: int
    login: RefusedLogin | None = None


def state_text(state: State) -> str:
    """The content of `.state`."""
    content: dict[str, Any] = {
        "day": state.day,
        "alive": time_text(state.alive_us),
        "done": time_text(state.done_us),
        "clean": state.clean,
        "since": time_text(state.since_us),
    }
    if state.login is not None:
        content["login"] = state.login.to_json()
    return json.dumps(content, indent=0) + "\n"


def read_state(paths: LogPaths) -> State | None:
    """What the last run left; None when it left nothing that can be read."""
    try:
        content = json.loads(read_file(paths.state))
        alive, done, since = (parse_time(content[key]) for key in ("alive", "done", "since"))
        day = content["day"]
        # A day is made a path of later on.
        if not is_day(day):
            return None
        return State(
            day, alive, done, content.get("clean") is True, since, RefusedLogin.from_json(content.get("login"))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
