"""What `check` found, and how it is shown: a table with a hint under each problem, and the exit code of a run.

Values and text only; finding out is for `check` and `cloud_check`. Invariant: the exit code is that of the first
finding that failed, and findings stand in the order in which a run would come upon them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import EeloggerError
from ..text.tables import Column, table, wrapped

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "FAILED"
NOTHING_TO_LOG: Final = 69
"""Also of a cloud that cannot be reached: a run would go on trying, and log nothing meanwhile."""

_RESULT_COLUMNS: Final = 76
_HINT_COLUMNS: Final = 104


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was tested and what came out; `hints` say what to do, `exit_code` how a run would end."""

    what: str
    result: str
    verdict: str = OK
    hints: tuple[str, ...] = ()
    exit_code: int = 0


def failed(what: str, error: EeloggerError) -> Finding:
    """The row of an error that ends a run, or that a run would meet again and again (`CloudError`)."""
    return Finding(what, str(error), FAILED, (error.hint,) if error.hint else (), error.exit_code)


def exit_code(findings: Sequence[Finding]) -> int:
    """How a run would end now."""
    return next((finding.exit_code for finding in findings if finding.verdict == FAILED), 0)


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """The table, without newlines, and a last sentence."""
    texts = [list(wrapped("", finding.result, _RESULT_COLUMNS)) for finding in findings]
    columns = (
        Column("what", right=False),
        Column("result", right=False, widest=_RESULT_COLUMNS),
        Column("verdict", right=False),
    )
    rows = [(finding.what, text[0], finding.verdict) for finding, text in zip(findings, texts, strict=True)]
    title, *lines = table(columns, rows)
    yield title
    indent = " " * (2 + max(len(row[0]) for row in rows))
    for finding, text, line in zip(findings, texts, lines, strict=True):
        yield line
        yield from (f"{indent}{more}" for more in text[1:])
        for hint in finding.hints:
            yield from wrapped(f"{indent}→ ", hint, _HINT_COLUMNS)
    yield ""
    yield _conclusion(findings)


def _conclusion(findings: Sequence[Finding]) -> str:
    code = exit_code(findings)
    warnings = sum(finding.verdict == WARNING for finding in findings)
    if code:
        first = next(finding for finding in findings if finding.verdict == FAILED)
        return f"A run would not log anything now: {first.what} failed (exit code {code})."
    return f"A run can start{'; see the warnings' if warnings else ''}."
