"""The tree of all expected errors. Any other exception is a defect and keeps its traceback."""

from typing import NamedTuple


class EeloggerError(Exception):
    """The root: `str()` is the message, `hint` what the operator can do, `reason` a token that never changes.

    `status` is that of an HTTP answer, 0 where none came; `retry_after_s` is what that asked for.
    """

    exit_code, reason = 70, "defect"

    def __init__(
        self, message: str, hint: str = "", *, reason: str = "", status: int = 0, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.hint, self.reason = hint, reason or self.reason
        self.status, self.retry_after_s = status, retry_after_s


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
    """A call failed in a way that may pass. A run tries again for ever; other commands end with this code."""

    exit_code, reason = 69, "cloud"


class DiskError(EeloggerError):
    """The log directory or an output file cannot be written."""

    exit_code, reason = 74, "disk"


class AlreadyRunning(EeloggerError):
    """Another process has this log directory; the reason is `hangs` when it shows no sign of life."""

    exit_code, reason = 75, "already-running"


class Refused(EeloggerError):
    """An error that a person has to mend."""

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

    def __init__(self, problems: list[Problem], warnings: tuple[str, ...] = ()) -> None:
        self.problems, self.warnings = problems, warnings
        lines = [f"{p.name} {p.message} ({p.hint})" for p in problems] + [f"besides, {text}" for text in warnings]
        super().__init__("the settings cannot be used:" + "".join(f"\n  {line}" for line in lines))


class MessageError(EeloggerError):
    """One WebSocket message could not be read; the stream goes on. `reason` stands in `rejected.log`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"unreadable message: {reason}", reason=reason)
