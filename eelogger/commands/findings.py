"""What `check` found, as a table with hints and an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ..errors import AlreadyRunning, EeloggerError
from ..views.tables import Column, table, wrapped

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "FAILED"
_COLUMNS: Final = 76
_ANY: Final = 10_000  # a path or command in a hint is to be copied: it is never cut


class Finding(NamedTuple):
    """What was tested and what came out; `hints` say what to do, `exit_code` how a run would end, 0: it would not."""

    what: str
    result: str
    hints: tuple[str, ...] = ()
    exit_code: int = 0

    @property
    def verdict(self) -> str:
        """One word: a problem has a hint, and one that ends a run has an exit code."""
        return FAILED if self.exit_code else WARNING if self.hints else OK


def failed_by(what: str, error: EeloggerError) -> Finding:
    """The row of an error that ends a run, or that a run would meet again and again (`CloudError`)."""
    return Finding(what, str(error), (error.hint,) if error.hint else (), error.exit_code)


def exit_code(findings: Sequence[Finding]) -> int:
    """How a run would end now: by the first finding that failed."""
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """The lines of the table, each hint below its finding, and a last sentence."""
    rows = []
    for finding in findings:
        first, *more = wrapped("", finding.result, _COLUMNS)
        more += [line for hint in finding.hints for line in wrapped("→ ", hint, _COLUMNS)]
        rows += [(finding.what, first, finding.verdict), *(("", line, "") for line in more)]
    yield from table([Column(title, False, _ANY) for title in ("what", "result", "verdict")], rows)
    yield ""
    code = exit_code(findings)
    if code == AlreadyRunning.exit_code:
        yield f"Another logger already uses this directory (exit code {code})."
    elif code:
        failed = next(finding.what for finding in findings if finding.exit_code)
        yield f"A run would not log anything now: see {failed} above (exit code {code})."
    else:
        yield f"A run can start{'; see the warnings' if any(finding.hints for finding in findings) else ''}."
