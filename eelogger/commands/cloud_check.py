"""`check`, the cloud's side: key, camera list, clock, network, and whether the event stream really delivers.

Goes the same way as a run (`keys`, `cameras`, `stream`), once. A handshake proves nothing, so it subscribes and
listens. Invariant: whatever happens gives findings; while a logger is at work no login is made, which could end that
logger's session.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from typing import Final

from ..cameras import CameraList, fetch_cameras, no_camera
from ..clock import now_us
from ..errors import CloudError, EeloggerError, KeyRefused
from ..figures.offset import Offset, OffsetBounds
from ..logdir.state import read_state
from ..model import DateSample
from ..net.auth import is_authorised
from ..net.rest import Rest
from ..paths import LogPaths
from ..reconnect.keys import Keys
from ..reconnect.policy import Trouble
from ..settings import Settings, proxy_for
from ..text import words
from ..text.tables import printable
from ..text.units import seconds3
from .findings import FAILED, NOTHING_TO_LOG, OK, WARNING, Finding, failed
from .listening import Heard, listen

CLOCK_ANSWERS: Final = 7
"""The first bounds the offset to ± 0.5 s, each further one halves that."""
PRECISE_US: Final = 25_000
_STREAM: Final = "event stream"


async def check_cloud(settings: Settings, paths: LogPaths, *, at_work: bool, wait_s: float) -> list[Finding]:
    """The findings, in the order of a run; what cannot be tested without an earlier success is left out."""
    if at_work and not settings.auth_key:
        said = "not tested: it would take a login, which could end the session of the logger at work"
        return [Finding("key", said, WARNING, ("ask that logger instead: python app.py status",))]
    state = read_state(paths)
    samples: list[DateSample] = []
    findings: list[Finding] = []
    cameras: list[str] = []
    try:
        settings, finding = await _sign_in(settings, Keys(state.login if state else None), samples, at_work=at_work)
        findings.append(finding)
        cameras = await _list_cameras(settings, samples, findings)
    except EeloggerError as error:
        findings.append(failed("cameras" if findings else "key", error))
    if not samples:
        return findings  # nothing answers: there is nothing more to be learned
    if not cameras:
        return [*findings, await _compare_clocks(settings, samples), _network(settings, samples, None)]
    clock, heard = await asyncio.gather(_compare_clocks(settings, samples), listen(settings, cameras, wait_s))
    return [*findings, clock, _network(settings, samples, heard), _stream(heard, len(cameras), wait_s)]


async def _sign_in(
    settings: Settings, keys: Keys, samples: list[DateSample], *, at_work: bool
) -> tuple[Settings, Finding]:
    """The settings with a key that works, and how it was had; raises what ends a run."""
    signed = await keys.sign_in(settings)
    try:
        async with Rest(signed, on_date=samples.append) as rest:
            accepted = await is_authorised(rest)
    except CloudError as error:
        if not samples:
            raise
        return signed, Finding("key", f"cannot be tested: {error}", WARNING, _hints(error.hint))
    if accepted:
        return signed, Finding("key", "accepted" if settings.auth_key else "accepted; a login brought it")
    hint = "log in again with `python app.py login`, or paste a new EEN_AUTH_KEY into .env"
    if at_work or not keys.refuse(signed.auth_key, settings):
        raise KeyRefused("the cloud does not accept the session key", hint)
    said = "EEN_AUTH_KEY is refused; a login brought another key"
    return await keys.sign_in(settings), Finding("key", said, WARNING, (f"take EEN_AUTH_KEY out, or {hint}",))


async def _list_cameras(settings: Settings, samples: list[DateSample], findings: list[Finding]) -> list[str]:
    async with Rest(settings, on_date=samples.append) as rest:
        listed = await fetch_cameras(rest)
    kept = listed.kept(settings)
    findings.append(_cameras(listed, len(kept)))
    return list(kept)


def _cameras(listed: CameraList, kept: int) -> Finding:
    if not kept:
        return failed("cameras", no_camera(listed))
    left_out = len(listed.cameras) - kept
    said = f"{words.count(kept, 'camera')} to log"
    if left_out:
        said += f"; EEN_CAMERAS and EEN_BRIDGES leave out {left_out}"
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(listed.skipped.items()))
    return Finding("cameras", f"{said}; skipped: {skipped or 'none'}")


async def _compare_clocks(settings: Settings, samples: list[DateSample]) -> Finding:
    """Ask for the cloud's time again and again, each time when its second is about to turn."""
    bounds = OffsetBounds()
    contradict = [sample for sample in list(samples) if bounds.add(sample)]
    try:
        async with Rest(settings, on_date=samples.append) as rest:
            for _ in range(CLOCK_ANSWERS - 1):
                offset = bounds.offset(now_us())
                if offset is not None and offset.bound_us <= max(PRECISE_US, _round_trip_us(samples)):
                    break
                await _until_second_turns(offset, samples)
                taken = len(samples)
                await rest.request("GET", "/g/aaa/isauth")
                contradict += [sample for sample in samples[taken:] if bounds.add(sample)]
    except EeloggerError as error:
        if not samples:
            return Finding("clock", f"not compared with the cloud's: {error}", WARNING, _hints(error.hint))
    offset = bounds.offset(now_us())
    if offset is None:
        return Finding(
            "clock", "not compared: the cloud's answers say no time", WARNING, ("see the clock service above",)
        )
    return _said_of_clock(offset, len(samples), contradicted=bool(contradict))


def _said_of_clock(offset: Offset, answers: int, *, contradicted: bool) -> Finding:
    said = f"cloud − local {seconds3(offset.offset_us)} s ± {seconds3(offset.bound_us)} s, by {answers} answers"
    if contradicted:
        return Finding("clock", said, WARNING, ("the answers contradict each other: a clock, here or there, was set",))
    if offset.warns:
        return Finding("clock", said, WARNING, (f"{offset.sentence()}; set the clock right",))
    return Finding("clock", said)


async def _until_second_turns(offset: Offset | None, samples: Sequence[DateSample]) -> None:
    """Wait so that the request meets the cloud when its second turns, by the middle of what is known."""
    if offset is not None:
        met_us = now_us() + _round_trip_us(samples) // 2 + offset.offset_us
        await asyncio.sleep(-met_us % 1_000_000 / 1e6)


def _round_trip_us(samples: Sequence[DateSample]) -> int:
    return round(statistics.median(sample.received_us - sample.sent_us for sample in samples))


def _network(settings: Settings, samples: Sequence[DateSample], heard: Heard | None) -> Finding:
    parts = [f"REST round trip {seconds3(_round_trip_us(samples))} s (median of {len(samples)})"]
    if heard is not None and heard.handshake_s is not None:
        parts.append(f"WebSocket handshake {heard.handshake_s:.3f} s")
        known = heard.ping_us is not None
        parts.append(f"ping {seconds3(heard.ping_us or 0)} s" if known else "the server does not answer pings")
        parts.append(heard.tls or "no TLS (loopback)")
    if proxy_for(settings.rest_base()):
        parts.append("through a proxy")
    return Finding("network", "; ".join(parts))


def _stream(heard: Heard, cameras: int, wait_s: float) -> Finding:
    """Whether the subscription delivers; a handshake alone proves nothing."""
    broken = _broken(heard)
    if broken is not None:
        return broken
    hints: list[str] = []
    refused = {notice.camera_id: notice for notice in heard.notices if notice.camera_id}
    for one in list(refused.values())[:1]:
        whose = words.count(len(refused), "camera")
        hints.append(f"{whose} refused, such as {one.camera_id}: {one.status_code} {printable(repr(one.message))}")
    if heard.first_s is None:
        said = f"subscribed to {words.count(cameras, 'camera')}; nothing came within {wait_s:g} s"
        hints.append("a quiet account sends nothing until something happens; else look at EEN_EVENTS")
    else:
        said = f"delivers: first data {heard.first_s:.3f} s after subscribing, {words.count(heard.updates, 'update')}"
        said += f" of {len(heard.cameras)} of {words.count(cameras, 'camera')}"
    if heard.early:
        came = f"{heard.early} of {words.count(heard.dated, 'dated event')} came before their own timestamp"
        hints.append(f"{came}: a camera's clock, or this machine's, is wrong")
    if heard.ended:
        hints.append(f"but then the server ended it: {heard.ended}")
    return Finding(_STREAM, said, WARNING if hints else OK, tuple(hints))


def _broken(heard: Heard) -> Finding | None:
    """The finding of a stream that brought no data and will not; None where there is hope."""
    if isinstance(heard.error, EeloggerError):
        return failed(_STREAM, heard.error)
    if isinstance(heard.error, Trouble):
        return Finding(_STREAM, heard.error.message, FAILED, _hints(heard.error.hint), NOTHING_TO_LOG)
    told = [notice for notice in heard.notices if not notice.camera_id]
    if heard.updates or not (told or heard.ended):
        return None
    said = f"the server ends it at once ({heard.ended})"
    if told:
        said = f"the server answers {told[0].status_code} {printable(repr(told[0].message))} to the subscription"
    return Finding(_STREAM, said, FAILED, ("is EEN_ACCOUNT_ID this key's account?",), NOTHING_TO_LOG)


def _hints(hint: str) -> tuple[str, ...]:
    return (hint,) if hint else ()
