"""Write numbers, durations, moments and foreign text, made harmless, for people: in sentences and in columns."""

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..measure.seconds import seconds6
from ..storage.formats import time_text

Texts = Sequence[str]

NARROWEST: Final = 14  # a name cut shorter cannot be recognised


def printable(value: object) -> str:
    """The value's text with backslash escapes for all that is unprintable (controls, bidi, lone surrogates)."""
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
    """The text cut to so many columns; a cut text ends in …."""
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
    """Lines of printable text, broken between words. The label stands before the first one."""
    wrapper = textwrap.TextWrapper(columns, label, " " * len(label), break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(text) or [label]


def table(
    titles: Texts, rows: Iterable[Texts], *, left: Texts = (), widest: int = 32, within: int = 0, spare: Texts = ()
) -> Iterator[str]:
    """The lines of a table, without newlines; those `left` (if none, the first) hold text, others figures.

    `widest` bounds foreign text. To stay `within` so many columns (0: any) text is cut, the widest first. Where that is
    not enough, the columns of these `spare` titles are left out, in this order. Figures are never cut.
    """
    shown = [titles, *([cut(printable(text), widest) for text in row] for row in rows)]
    columns = [(texts, max(map(width, texts)), texts[0] in (left or titles[:1])) for texts in zip(*shown, strict=True)]
    for title in spare if within else ():
        if sum(2 + (min(w, NARROWEST) if is_left else w) for _, w, is_left in columns) <= within + 2:
            break
        columns = [column for column in columns if column[0][0] != title]
    widths, is_text = [w for _, w, _ in columns], [is_left for _, _, is_left in columns]
    room = within - 2 * (len(columns) - 1)
    giving = [i for i, gives in enumerate(is_text) if gives and within]
    while giving and sum(widths) > room and widths[column := max(giving, key=widths.__getitem__)] > NARROWEST:
        widths[column] -= 1
    for row in zip(*(texts for texts, _, _ in columns), strict=True):
        cells = (cell(text, w, right=not is_left) for text, w, is_left in zip(row, widths, is_text, strict=True))
        yield "  ".join(cells).rstrip()


def decimal(us: int, places: int) -> str:
    """Seconds with 1 to 6 decimals, rounded half to even."""
    return seconds6(round(us, places - 6))[: places - 6 or None]


def short(us: int) -> str:
    """Seconds in 5 columns: as many of 3 decimals as fit, then hours and days."""
    for places in (3, 2, 1):
        if len(text := decimal(us, places)) <= 5:
            return text
    seconds = round(us / 1e6)
    if seconds < 100_000:
        return str(seconds)
    hours = seconds / 3600
    return f"{hours:.1f}h" if hours < 99.9 else f"{hours / 24:.1f}d" if hours < 2397 else f"{hours / 24:.0f}d"


def span(us: int) -> str:
    """A duration as one says it: "0.35 s", "14.2 s", "4 min 20 s", "3 h 05 min", "12 d 4 h"."""
    if us < 0:
        return "−" + span(-us)
    if us < 120_000_000:
        return f"{decimal(us, 1 if us >= 950_000 else 2 if us >= 95_000 else 3)} s"
    minutes, seconds = divmod(us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 2:
        return f"{hours * 60 + minutes} min {seconds:02d} s"
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def milliseconds(us: int) -> str:
    """`3.1 ms`."""
    return f"{us / 1000:.1f} ms"


def share(part: float) -> str:
    """A share as per cent with one decimal, cut, never rounded up: 0.9999 is "99.9 %"."""
    if part >= 1:
        return "100 %"
    return f"{min(999, int(part * 1000 + 1e-9)) / 10:.1f} %"  # the float of 0.29 lies just below


def count(n: int, one: str, many: str = "") -> str:
    """`1 gap`, `1,204 gaps`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def clock_time(us: int, *, seconds: bool = False) -> str:
    """The time of day in UTC, `03:12`; the caller says UTC."""
    return time_text(us)[11 : 19 if seconds else 16]


def moment(us: int) -> str:
    """`2026-11-22 09:07:20 UTC`."""
    return time_text(us)[:19].replace("T", " ") + " UTC"
