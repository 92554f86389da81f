"""Lay out foreign text, made harmless, in the columns it really takes: wide characters two, combining marks none."""

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

NARROWEST: Final = 10  # a name cut shorter cannot be recognised


def printable(value: object) -> str:
    """The value's text with all that is unprintable (controls, bidi controls, lone surrogates) as backslash escapes."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


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
    room, end = columns - 1, 0
    while (room := room - _char_width(text[end])) >= 0:
        end += 1
    return text[:end].rstrip() + "…"


def cell(text: str, columns: int, *, right: bool = False) -> str:
    """Foreign text in exactly so many columns."""
    shown = cut(printable(text), columns)
    blank = " " * (columns - width(shown))
    return blank + shown if right else shown + blank


def wrapped(label: str, text: str, columns: int = 120) -> list[str]:
    """Lines of printable text, broken between words, beside a label that stands on the first one only."""
    wrapper = textwrap.TextWrapper(columns, label, " " * len(label), break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(text) or [label]


def table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = (), widest: int = 32, within: int = 0
) -> Iterator[str]:
    """The lines of a table, without newlines; those `left` (if none, the first) hold text, others figures.

    `widest` bounds foreign text. To stay `within` so many columns text gives way, the widest first, figures never.
    """
    shown = [titles, *([cut(printable(text), widest) for text in row] for row in rows)]
    widths = [max(map(width, texts)) for texts in zip(*shown, strict=True)]
    is_text = [title in (left or titles[:1]) for title in titles]
    room = within - 2 * (len(titles) - 1)
    giving = [i for i, gives in enumerate(is_text) if gives and within]
    while giving and sum(widths) > room and widths[column := max(giving, key=widths.__getitem__)] > NARROWEST:
        widths[column] -= 1
    for row in shown:
        cells = (cell(text, w, right=not is_left) for text, w, is_left in zip(row, widths, is_text, strict=True))
        yield "  ".join(cells).rstrip()
