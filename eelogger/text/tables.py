"""Text in columns for the terminal and `summary.log`: how a cell looks, never what is in it.

Foreign text is made harmless here (nothing unprintable, no bidi control, no flood of combining marks) and takes the
columns it really takes on a terminal: East Asian wide characters two, combining marks none. Invariant: a cell of
width w occupies exactly w columns, whatever the cloud calls a camera.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

STEPS: Final = "▁▂▃▄▅▆▇█"
STEP_US: Final = 250_000
"""The lowest step of a sparkline ends at a quarter of a second and each further one is twice as high: one scale for
all cameras and days, so that pictures can be compared."""
NARROWEST: Final = 10
"""A name cut shorter is no longer known for one."""
MARKS: Final = 4
"""Combining marks kept on one character: enough for every language, too few to paint over other lines."""


class Column(NamedTuple):
    """One column of a table; `widest` bounds what foreign text may take."""

    title: str
    right: bool = True
    widest: int = 32


def printable(text: str) -> str:
    """The text with everything unprintable (controls, bidi controls, lone surrogates) as backslash escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_harmless(text))


def _harmless(text: str) -> Iterator[str]:
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks > MARKS:
            continue
        yield char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """The columns that printable text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff":
        return 0  # marks, and Hangul vowels and finals, which join the character before
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """The text in at most so many columns, … at the end of what does not fit."""
    if width(text) <= columns:
        return text
    taken, room = [], columns - 1
    for char in text:
        room -= _char_width(char)
        if room < 0:
            break
        taken.append(char)
    return "".join(taken).rstrip() + "…"


def cell(text: str, columns: int, *, right: bool = False) -> str:
    """Foreign text in exactly so many columns."""
    shown = cut(printable(text), columns)
    blank = " " * (columns - width(shown))
    return blank + shown if right else shown + blank


def wrapped(label: str, text: str, columns: int = 120) -> Iterator[str]:
    """Lines of `text`, which is printable, between words, beside a label that stands on the first one only."""
    indent = " " * width(label)
    line = ""
    for word in text.split():
        if line and width(indent) + width(line) + 1 + width(word) > columns:
            yield label + line
            label, line = indent, word
        else:
            line = f"{line} {word}" if line else word
    yield label + line


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, indent: str = "", within: int = 0
) -> Iterator[str]:
    """The lines of a table, without newlines: titles, then the rows; as wide as it must be.

    To stay `within` so many columns text on the left gives way, the widest first; figures are never cut.
    """
    shown = [[cut(printable(text), column.widest) for column, text in zip(columns, row, strict=True)] for row in rows]
    widths = [max([width(c.title), *(width(row[i]) for row in shown)]) for i, c in enumerate(columns)]
    room = within - len(indent) - 2 * (len(columns) - 1)
    giving = [i for i, c in enumerate(columns) if not c.right and within]
    while giving and sum(widths) > room and widths[widest := max(giving, key=widths.__getitem__)] > NARROWEST:
        widths[widest] -= 1
    for row in ([column.title for column in columns], *shown):
        cells = (cell(text, w, right=c.right) for c, text, w in zip(columns, row, widths, strict=True))
        yield (indent + "  ".join(cells)).rstrip()


def sparkline(values_us: Iterable[int | None]) -> str:
    """One character for each duration in µs, each step twice the one below; blank where there is none."""
    return "".join(" " if us is None else STEPS[_step(us)] for us in values_us)


def _step(us: int) -> int:
    # The number of doublings of the lowest step that are needed to reach the value.
    return min(len(STEPS) - 1, (-(-max(us, 1) // STEP_US) - 1).bit_length())


def sparkline_legend() -> str:
    """What the steps of a sparkline mean, in a few words."""
    return f"{STEPS[0]} up to {STEP_US / 1e6:g} s, each step doubles, {STEPS[-1]} over {(STEP_US << 6) / 1e6:g} s"


def nearest(dividend: int, divisor: int) -> int:
    """The quotient rounded to the nearest integer, half to even."""
    quotient, rest = divmod(dividend, divisor)
    return quotient + (2 * rest > divisor or (2 * rest == divisor and quotient & 1))


_DECIMALS: Final = ((9_999_500, 3), (99_995_000, 2), (999_950_000, 1))
"""Below so many µs a figure has so many decimals: what would round to a digit more gets one decimal less."""


def short(us: int, *, doubtful: bool = False) -> str:
    """Seconds in 5 columns (6 with a sign): 3 decimals below 10 s, then fewer, then hours and days.

    A doubtful figure gives its last decimal for a `?`: 1.904 is "1.90?"; 12346 has none and is "3.4h?".
    """
    if us < 0:
        return "-" + short(-us, doubtful=doubtful)
    text = _short(us)
    if not doubtful:
        return text
    if "." in text and text[-1].isdigit():
        text = text[:-1].rstrip(".")
    elif len(text) == 5 and text.isdigit():  # no decimal to give, and no column for the sign
        text = f"{us / 3_600_000_000:.1f}h"
    return f"{text}?"


def _short(us: int) -> str:
    for below_us, decimals in _DECIMALS:
        if us < below_us:
            digits = str(nearest(us, 10 ** (6 - decimals))).rjust(decimals + 1, "0")
            return f"{digits[:-decimals]}.{digits[-decimals:]}"
    seconds = nearest(us, 1_000_000)
    if seconds < 100_000:
        return str(seconds)
    hours = seconds / 3600
    return f"{hours:.1f}h" if hours < 99.9 else f"{hours / 24:.1f}d" if hours < 2397 else f"{hours / 24:.0f}d"


def short_count(n: int) -> str:
    """A count in 6 columns: from a million on in thousands or millions."""
    if n < 1_000_000:
        return str(n)
    return f"{n / 1e6:.1f}M" if n < 999_950_000 else f"{n / 1e9:.1f}G"
