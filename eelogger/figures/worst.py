"""Which worst values can be defended: the *clean* maximum beside the plain one.

Decides when the logger itself, or the way an event came, may be to blame for a delay; the plain maximum is kept by
`day`. Invariant: a clean worst is a measured event that carries no taint and whose first sight was its creation.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

from ..model import MEASURED, Verdict

CREATE_OP: Final = 1
"""`op` of an annotation's creation. A later one seen first (a modify may carry the creation's timestamp) dates from
before we could see it."""


def is_clean(verdict: Verdict) -> bool:
    """Measured, neither after a gap nor while we were busy or reading was paused, and not a late first sight."""
    return (
        verdict.kind == MEASURED
        and verdict.after_gap_us is None
        and verdict.lag_us is None
        and verdict.op in (None, CREATE_OP)
    )


def note_clean(worst: MutableMapping[str, Verdict], verdict: Verdict) -> None:
    """Keep the verdict as its camera's clean worst if it is one; call it for each measured verdict."""
    before = worst.get(verdict.camera_id)
    if verdict.delay_us is None or (before and before.delay_us is not None and before.delay_us >= verdict.delay_us):
        return
    if is_clean(verdict):
        worst[verdict.camera_id] = verdict._replace(data=None)
