"""`.state`: where a run stands, for the next one to go on from.

JSON with readable times. A file that is missing or damaged is as good as none; unknown keys are passed over.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from ..model import RefusedLogin
from .disk import replace
from .formats import parse_time, time_text
from .line_blocks import read_file
from .paths import LogPaths, is_day

_YEAR_3000_US: Final = 32_503_680_000_000_000


@dataclass(frozen=True, slots=True)
class State:
    """`alive_us`: last moment known observing; `done_us`: all that arrived before has all its lines on disk.

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
    alive, done, since = map(time_text, (state.alive_us, state.done_us, state.since_us))
    return _text({"day": state.day, "alive": alive, "done": done, "clean": state.clean, "since": since}, state.login)


def read_state(paths: LogPaths) -> State | None:
    """What the last run left; None when it left nothing that can be read."""
    content = _read(paths)
    with suppress(ValueError, KeyError, TypeError):
        alive_us, done_us, since_us = (parse_time(content[key]) for key in ("alive", "done", "since"))
        # a day becomes a path.
        if is_day(content["day"]) and all(0 <= us < _YEAR_3000_US for us in (alive_us, done_us, since_us)):
            return State(content["day"], alive_us, done_us, content.get("clean") is True, since_us, _login(content))
    return None


def read_refused_login(paths: LogPaths) -> RefusedLogin | None:
    """The refused login in `.state`, also where `check` alone has written that file."""
    return _login(_read(paths))


def remember_refused_login(paths: LogPaths, login: RefusedLogin | None) -> None:
    """Put a refused login into `.state`, or take it out, and keep the rest; what cannot be written is passed over."""
    content = _read(paths)
    if _login(content) == login:
        return
    with suppress(OSError):
        replace(os.fspath(paths.state), _text(content, login))


def _text(content: dict[str, Any], login: RefusedLogin | None) -> str:
    content.pop("login", None)
    return json.dumps(content | ({"login": asdict(login)} if login else {}), indent=0) + "\n"


def _read(paths: LogPaths) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_file(paths.state))
        if isinstance(content, dict):
            return content
    return {}


def _login(content: dict[str, Any]) -> RefusedLogin | None:
    match content.get("login"):
        case {"fingerprint": str(fingerprint), "until_us": int(until_us)} if 0 <= until_us < _YEAR_3000_US:
            return RefusedLogin(fingerprint, until_us)
    return None
