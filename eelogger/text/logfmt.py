"""logfmt: `key=value` pairs of one line, the form Loki, Vector and lnav read.

Decides how foreign text is written so that it can neither forge a pair or a line, nor reach a terminal unescaped,
nor fail to encode; leaves the choice of keys to `lines`. Invariant: `parse(" ".join(pair(k, v) …))` gives the
values back, whatever they hold.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

_BARE = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
_string = json.JSONDecoder().raw_decode
_PAIR = re.compile(r'([!#-<>-~]+)=(?:"|([^\s"]*))')


@lru_cache(maxsize=256)  # names of events come again and again, and each identity is written twice
def quote(text: str) -> str:
    """The text as a logfmt value: bare where it can be, else a JSON string with printable non-ASCII kept."""
    if _BARE(text):
        return text
    if text and text.isprintable() and not any(c in text for c in ' ="\\'):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    if quoted.isprintable():
        return quoted
    # json.dumps leaves DEL, C1, bidi controls and lone surrogates as they are.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


def pair(key: str, value: object) -> str:
    """One `key=value`; a value that is no string is written as `str` gives it."""
    return f"{key}={quote(value if isinstance(value, str) else str(value))}"


def parse(line: str) -> dict[str, str]:
    """The pairs of a line; what is not a pair is skipped, of a key given twice the first counts.

    Stops at ` -- `, which introduces an event's JSON in `maxeventdelay.log`.
    """
    pairs: dict[str, str] = {}
    at, end = 0, len(line)
    while at < end:
        match = _PAIR.match(line, at)
        if match is None:
            if line.startswith("-- ", at):
                break
            space = line.find(" ", at)
            at = end if space < 0 else space + 1
            continue
        value = match[2]
        at = match.end()
        if value is None:
            try:
                value, at = _string(line, at - 1)
            except ValueError:
                break
        pairs.setdefault(match[1], value)
        at += 1
    return pairs
