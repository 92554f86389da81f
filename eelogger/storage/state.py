"""Keep `.state` (where a run goes on) and `.said` (what cron was told). A damaged one counts as none."""

import json
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from ..model import RefusedLogin
from .disk import replace
from .formats import parse_time, time_text
from .line_blocks import read_object
from .paths import LogPaths, is_day

DAY_S: Final = 86_400
HOUR_S: Final = 3_600
_YEAR_3000_US: Final = 32_503_680_000_000_000


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands."""

    day: str  # whose files stand in the log directory
    alive_us: int  # last moment known observing
    done_us: int  # all that arrived before has all its lines on disk
    clean: bool  # the run ended by itself
    since_us: int  # when the day's first observation was meant to begin


def state_text(state: State, login: RefusedLogin | None = None) -> str:
    """The content of `.state`, with the refused login to wait for."""
    alive, done, since = map(time_text, (state.alive_us, state.done_us, state.since_us))
    content = {"day": state.day, "alive": alive, "done": done, "clean": state.clean, "since": since}
    return json.dumps(content | {"login": login and asdict(login)}, indent=0) + "\n"


def read_state(paths: LogPaths) -> State | None:
    """Read what the last run left; None when that is nothing."""
    content = read_object(paths.state)
    with suppress(ValueError, KeyError, TypeError):
        alive_us, done_us, since_us = (parse_time(content[key]) for key in ("alive", "done", "since"))
        if is_day(content["day"]) and all(0 <= us < _YEAR_3000_US for us in (alive_us, done_us, since_us)):
            return State(content["day"], alive_us, done_us, content.get("clean") is True, since_us)
    return None


def read_refused_login(paths: LogPaths) -> RefusedLogin | None:
    """Read the refused login, also where `check` alone has written the file."""
    match read_object(paths.state).get("login"):
        case {"fingerprint": str(fingerprint), "until_us": int(until_us)} if 0 <= until_us < _YEAR_3000_US:
            return RefusedLogin(fingerprint, until_us)
    return None


def remember_refused_login(paths: LogPaths, login: RefusedLogin | None) -> None:
    """Set or remove the refused login in `.state`. The rest stays; `OSError` is passed over."""
    if read_refused_login(paths) != login:
        content = read_object(paths.state) | {"login": login and asdict(login)}
        with suppress(OSError):
            replace(os.fspath(paths.state), json.dumps(content, indent=0) + "\n")


def is_news(paths: LogPaths, reason: str, now_s: float, every_s: float = DAY_S) -> bool:
    """Whether `reason` was not told within `every_s`; it counts as told from now on."""
    told = _told(paths)
    if 0 <= now_s - told.get(reason, -DAY_S) < every_s:
        return False
    # What is older than a day tells nothing any more.
    _tell(paths, {what: at_s for what, at_s in told.items() if abs(now_s - at_s) < DAY_S} | {reason: now_s})
    return True


def forget(paths: LogPaths, lasting: Collection[str] = ()) -> None:
    """Forget what cron was told, since a run works again. The `lasting` reasons stay."""
    told = _told(paths)
    if told.keys() - lasting:
        _tell(paths, {reason: at_s for reason, at_s in told.items() if reason in lasting})


def _told(paths: LogPaths) -> dict[str, float]:  # where this or `_tell` fails, the program says more than it must
    return {reason: at_s for reason, at_s in read_object(paths.said).items() if isinstance(at_s, float)}


def _tell(paths: LogPaths, told: dict[str, float]) -> None:
    with suppress(OSError):
        replace(os.fspath(paths.said), json.dumps(told))
