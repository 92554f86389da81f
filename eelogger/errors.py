"""What can go wrong, as one tree: a message, a hint, a reason token for machines, an exit code.

Rooms raise these; `cli` prints message and hint once and ends with `exit_code`. Any other exception is a defect of the
program and keeps its traceback.
"""

from collections.abc import Iterable
from typing import NamedTuple


class EeloggerError(Exception):
    """The root: `str()` is the message, `hint` what the operator can do, `reason` a token that never changes.

    `facts` are the further attributes that a subclass names.
    """

    exit_code, reason = 70, "defect"

    def __init__(self, message: str, hint: str = "", *, reason: str = "", **facts: float | None) -> None:
        super().__init__(message)
        self.hint = hint
        self.reason = reason or self.reason
        vars(self).update(facts)


class UsageError(EeloggerError):
    """The command line makes no sense."""

    exit_code, reason = 2, "usage"


class NothingToShow(EeloggerError):
    """There are no readable logs where they were looked for."""

    exit_code, reason = 66, "nothing-to-show"


class NoCamera(EeloggerError):
    """The camera list holds no attached camera that the settings keep; fatal at the start only."""

    exit_code, reason = 69, "no-camera"


class CloudError(EeloggerError):
    """A REST call failed in a way that may pass; `status` is None when no answer came.

    A run tries again for ever. What asks only once (`login`, `check`) ends with this code.
    """

    exit_code, reason = 69, "cloud"
    status: int | None = None
    retry_after_s: float | None = None


class DiskError(EeloggerError):
    """The log directory, or a file that was asked for, cannot be written; `lost_lines` is what that cost."""

    exit_code, reason = 74, "disk"
    lost_lines = 0


class AlreadyRunning(EeloggerError):
    """Another process has this log directory; `stale_s` is None while it shows signs of life."""

    exit_code, reason = 75, "already-running"
    stale_s: int | None = None


class Refused(EeloggerError):
    """What no retry can mend without a person."""

    exit_code, reason = 77, "refused"


class KeyRefused(Refused):
    """The session key is not, or no longer, valid."""

    reason = "key-refused"


class LoginRefused(Refused):
    """User name, password or second factor was not accepted."""

    reason = "login-refused"


class CertificateRefused(Refused):
    """The server's certificate does not verify."""

    reason = "certificate"


class Problem(NamedTuple):
    """One setting that cannot be used: its name, what is wrong, what would be right."""

    name: str
    message: str
    hint: str


class SettingsError(EeloggerError):
    """Settings are missing or malformed; `problems` holds all of them, `warnings` what is odd beside them."""

    exit_code, reason = 78, "settings"

    def __init__(self, problems: list[Problem], warnings: Iterable[str] = ()) -> None:
        self.problems = problems
        self.warnings = tuple(warnings)
        lines = [f"{p.name}: {p.message} ({p.hint})" for p in problems] + [f"besides, {text}" for text in self.warnings]
        text = "".join(f"\n  {line}" for line in lines)
        super().__init__(f"the settings cannot be used:{text}")


class MessageError(EeloggerError):
    """One WebSocket message could not be read; the stream goes on. `reason` stands in `rejected.log`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"unreadable message: {reason}", reason=reason)
