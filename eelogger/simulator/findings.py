"""What a comparison found: sentences with file, line and identity, under the kind of damage each one is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

SHOWN: Final = 5


@dataclass(slots=True)
class Comparison:
    """What is wrong, by kind; `str()` is for people."""

    sent: int = 0
    arrived: int = 0
    logged: int = 0
    missing_stream: list[str] = field(default_factory=list)
    missing_delay: list[str] = field(default_factory=list)
    missing_identity: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong_delay: list[str] = field(default_factory=list)
    wrong_verdict: list[str] = field(default_factory=list)
    wrong_fields: list[str] = field(default_factory=list)
    wrong_figures: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def findings(self) -> dict[str, list[str]]:
        """The kinds of damage that were found."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: found for name, found in named.items() if isinstance(found, list) and found}

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = [f"{self.sent} values sent, {self.arrived} in stream logs, {self.logged} lines in delay logs"]
        for name, found in self.findings.items():
            lines.append(f"{name.replace('_', ' ')}: {len(found)}")
            lines += [f"  {text}" for text in found[:SHOWN]]
        return "\n".join(lines if self.findings else [*lines, "no difference"])
