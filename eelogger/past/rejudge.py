"""What was read from a stream log is judged a second time: by a start the little that has no lines, by `replay` all.

Decides what the handler is told of subscriptions that are long over, and what of a second judgement counts; the order
is `wayback`'s. Invariant: an update judged again has no effect but the lines it had not had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

from .. import wire
from ..errors import MessageError
from ..figures.observation import NO_RECORD, UNKNOWN, is_missed
from ..handler import Handler
from ..model import LOGGED_KINDS, Gap, Reject
from ..recorder import Recorder
from ..text.times import DAY_US
from .wayback import Update

OLD_US: Final = 60_000_000
"""Where no subscription is on record, a first value older than this at its arrival was the state before."""


class RereadHandler(Handler):
    """Judges as ever, but knows files that stand alone, without a record of subscriptions."""

    recorded = True
    _unknown = False
    unknown_us = (0, 0)
    """The time, in this day or the last that had one, of which nobody knows when it was observed."""

    def begin_part(self, recorded: bool) -> None:
        """Other files follow."""
        self.recorded = recorded
        self._begun: set[tuple[str, str]] = set()

    def arrived(self, at_us: int) -> None:
        """An update follows, in the order of arrival; one that was not recorded makes its time unknown."""
        if not self.recorded:
            first_us = self.unknown_us[0] if self._unknown else at_us
            self.unknown_us, self._unknown = (first_us, at_us + 1), True

    def reached(self, gap: Gap) -> None:
        """Take up a line of `gaps.log`: after an unknown time, which that line tells already, all is on record."""
        if gap.kind == UNKNOWN:
            self.recorded, self._unknown = True, False

    def take_unknown(self) -> Gap | None:
        """The unknown time of a day that ends, for its `gaps.log`."""
        known, self._unknown = not self._unknown, False
        return None if known else Gap(UNKNOWN, *self.unknown_us, NO_RECORD)

    def may_be_initial(self, camera_id: str, four_cc: str, timestamp: int) -> int | None:
        if self.recorded:
            return super().may_be_initial(camera_id, four_cc, timestamp)
        if (camera_id, four_cc) in self._begun:
            return None
        self._begun.add((camera_id, four_cc))
        return timestamp - OLD_US


def subscribe(handler: Handler, gap: Gap, camera_ids: Iterable[str], *, missed: bool = True) -> None:
    """Tell the handler of the subscription that ended a gap; `missed`: the first event after it is yet to come.

    What of a gap was cut off at midnight ended with none, and is the day's before.
    """
    cut_off = gap.from_us < gap.to_us and gap.to_us % DAY_US == 0
    if not is_missed(gap):  # all cameras of the day are known by now, also those that were added then
        handler.begin_cameras(camera_ids)
    if gap.kind == "gap" and not cut_off:
        gap_us = gap.to_us - gap.from_us if missed and is_missed(gap) else None
        handler.subscribed(camera_ids, gap.to_us, gap_us)


class _Nowhere:
    """The stream log for an update that is in its own already."""

    def write(self, text: str) -> None:
        """Nothing."""


def use_up_first(handler: Handler, update: Update) -> None:
    """Judge nothing, but let the values that follow not be the first ones of their subscription."""
    for event in wire.split_events(update.camera_id, update.data)[0]:
        handler.may_be_initial(update.camera_id, event["type"], update.arrived_us)


def record_again(recorder: Recorder, update: Update) -> bool:
    """Give an update its lines, if they can be made; what has no lines was counted by the run in which it came."""
    handler = recorder.handler
    totals, on_reject = handler.totals.copy(), handler.on_reject
    handler.on_reject = _ignore
    try:
        events_only = {"event": update.data["event"]}
        recorder.record_update(update.camera_id, events_only, update.arrived_us, None, defaultdict(_Nowhere))
    except MessageError:
        return False
    else:
        return True
    finally:
        handler.on_reject = on_reject
        handler.totals = totals + Counter({k: n for k, n in (handler.totals - totals).items() if k in LOGGED_KINDS})


def _ignore(reject: Reject) -> None:
    pass
