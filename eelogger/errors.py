"""What can go wrong, as one tree; each leaf says in a sentence what happened and in a hint what to do.

Rooms raise these; the edge (`cli`) prints message and hint once and ends with `exit_code`. An exception that is
not in this tree is a defect of the program and keeps its traceback.

    EeloggerError
    ├── UsageError (2)           the command line makes no sense
    ├── NothingToShow (66)       no readable logs where they were looked for
    ├── NoCamera (69)            the account has no camera to log
    ├── DiskError (74)           lines could not be written and the buffer is full
    ├── AlreadyRunning (75)      another process has this log directory
    ├── Refused (77)             what no retry can mend without a person
    │   ├── KeyRefused               the session key is not, or no longer, valid
    │   ├── LoginRefused             user name, password or code was not accepted
    │   └── CertificateRefused       the server's certificate does not verify
    ├── SettingsError (78)       settings missing or malformed, all of them at once
    ├── CloudError               a REST call failed and may be tried again
    └── MessageError             one WebSocket message could not be read; the stream goes on
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class EeloggerError(Exception):
    """The root: `str()` is the message, `hint` what the operator can do about it."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(EeloggerError):
    """The command line makes no sense."""

    exit_code = 2


class NothingToShow(EeloggerError):
    """There are no readable logs where they were looked for."""

    exit_code = 66


class NoCamera(EeloggerError):
    """The camera list holds no attached camera that the settings keep; fatal at the start only."""

    exit_code = 69


class DiskError(EeloggerError):
    """The log directory cannot be written; `lost_lines` says how many lines that cost, `why` only what is wrong."""

    exit_code = 74

    def __init__(self, message: str, hint: str = "", lost_lines: int = 0, why: str = "") -> None:
        super().__init__(message, hint)
        self.lost_lines = lost_lines
        self.why = why or message


class AlreadyRunning(EeloggerError):
    """Another process has this log directory; `stale_s` is None while it shows signs of life."""

    exit_code = 75

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        pid: int | None = None,
        since: str = "",
        stale_s: int | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.pid = pid
        self.since = since
        self.stale_s = stale_s


class Refused(EeloggerError):
    """What no retry can mend without a person."""

    exit_code = 77


class KeyRefused(Refused):
    """The session key is not, or no longer, valid."""


class LoginRefused(Refused):
    """User name, password or second factor was not accepted."""


class CertificateRefused(Refused):
    """The server's certificate does not verify."""


@dataclass(frozen=True)
class Problem:
    """One setting that cannot be used: its name, what is wrong, what would be right."""

    name: str
    message: str
    hint: str


class SettingsError(EeloggerError):
    """Settings are missing or malformed; `problems` holds all of them, `warnings` what is odd beside them."""

    exit_code = 78

    def __init__(self, problems: list[Problem], warnings: Iterable[str] = ()) -> None:
        self.problems = problems
        self.warnings = tuple(warnings)
        lines = [f"{p.name}: {p.message} ({p.hint})" for p in problems] + [f"besides, {text}" for text in self.warnings]
        told = "".join(f"\n  {line}" for line in lines)
        super().__init__(f"the settings cannot be used:{told}", "see .env.example, it explains every setting")


class CloudError(EeloggerError):
    """A REST call failed in a way that may pass; `status` is None when no answer came.

    A run tries again for ever; what asks only once (`login`, `check`) ends with the code of "nothing to log".
    """

    exit_code = 69

    def __init__(
        self, message: str, hint: str = "", *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.retry_after_s = retry_after_s


class MessageError(EeloggerError):
    """One WebSocket message could not be read; `reason` is a short token for counts and `rejected.log`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"unreadable message: {reason}")
        self.reason = reason
