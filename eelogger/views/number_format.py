"""Write numbers, durations and moments for people."""

from ..measure.seconds import seconds6
from ..storage.formats import time_text


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
