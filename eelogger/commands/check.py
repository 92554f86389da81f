"""Test everything a run needs and print what was found.

The order is that in which a run would come upon it. Nothing is changed but a probe file, which is removed, and in
`.state` a login that was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .. import __version__
from ..clock import kernel_state, resolution_us
from ..cloud.cameras import CameraList, fetch_cameras, no_camera
from ..cloud.loop_delay import threshold_us
from ..cloud.rest import Rest
from ..cloud.sign_in import Credentials
from ..errors import AlreadyRunning, DiskError, EeloggerError, KeyRefused, Refused, SettingsError
from ..model import DateSample
from ..settings import Settings, load, log_dir_of
from ..storage.days import check_move
from ..storage.disk_errors import explain, free_bytes, free_inodes
from ..storage.lock import HANGS, RUNNING, ProcessState, process_state
from ..storage.paths import LogPaths
from ..storage.state import read_refused_login, remember_refused_login
from ..views.console import Console
from ..views.number_format import count, span
from ..views.tables import printable
from .cloud_probe import annotation_list, clock, listen, network, stream
from .findings import Finding, exit_code, failed_by, report

LITTLE_BYTES: Final = 1 << 30  # less free space than this is said: a busy account fills it within days
LITTLE_INODES: Final = 10_000
WAIT_S: Final = 5.0
_PROBE_BYTES: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--self-test`."""
    parser.add_argument("--self-test", action="store_true", help="measure known delays of an embedded cloud")


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the findings; returns the exit code a run would have."""
    if options.self_test:
        from . import selftest  # with the embedded cloud, which no other check needs

        return selftest.run(options, console)
    console.info("checking; this takes some seconds")
    findings = asyncio.run(check(options.env_file, options.log_dir))
    console.write("".join(f"{line}\n" for line in report(findings)))
    return exit_code(findings)


async def check(env_file: Path, log_dir: Path | None, *, wait_s: float = WAIT_S) -> list[Finding]:
    """All findings; clock and event stream take so long at most when nothing more comes."""
    packages = f"websockets {version('websockets')}, aiohttp {version('aiohttp')}"
    system = f"{platform.system()} {platform.release()}"
    said = f"eelogger {__version__}, Python {platform.python_version()}, {packages}, {system}"
    findings = [Finding("versions", printable(said))]
    settings: Settings | None = None
    try:
        settings = load(None, env_file, log_dir=log_dir)
        findings.append(_settings(settings, env_file))
    except SettingsError as error:
        hints = tuple(f"{problem.name} {problem.message}: {problem.hint}" for problem in error.problems)
        said = f"{count(len(error.problems), 'setting')} cannot be used"
        findings.append(Finding("settings", said, hints + error.warnings, error.exit_code))
    paths = LogPaths(settings.log_dir if settings else log_dir_of(None, env_file, log_dir))
    process = process_state(paths)
    findings += [_other_loggers(process), _directory(paths), *_clock()]
    if settings is not None:
        findings += await _cloud(settings, paths, wait_s, is_alone=process.kind not in (RUNNING, HANGS))
    return findings


def _settings(settings: Settings, env_file: Path) -> Finding:
    where = f"from the environment{f' and {printable(str(env_file))}' if env_file.exists() else ''}"
    ways = ("session key" if settings.auth_key else "", "user name and password" if settings.has_login else "")
    return Finding("settings", f"complete, {where}; signs in by {' or '.join(filter(None, ways))}", settings.warnings)


def _other_loggers(process: ProcessState) -> Finding:
    if process.kind not in (RUNNING, HANGS):
        return Finding("other loggers", "none at work in this log directory")
    since = printable(process.since) or "an unknown time"
    said = f"process {process.pid or '?'} is at work in this log directory since {since}"
    hint = "look at it: python app.py status; two loggers need two log directories"
    if process.kind == HANGS:
        said += f", without a sign of life for {span(int(process.untouched_s * 1_000_000))}"
        hint = "it probably hangs: end it, then start anew"
    return Finding("other loggers", said, (hint,), AlreadyRunning.exit_code)


def _directory(paths: LogPaths) -> Finding:
    """Whether lines can be written, a day be moved, and how much room there is."""
    where, exists = printable(str(paths.root)), os.path.lexists(paths.root)
    folder = paths.root if exists else next(parent for parent in paths.root.absolute().parents if parent.exists())
    if problem := _unwritable(paths, folder):
        said, hint = problem
        return Finding("log directory", f"{where}: {said}", (hint,), DiskError.exit_code)
    room, inodes = free_bytes(folder), free_inodes(folder)
    said = f"{where}: writable, days can be moved" if exists else f"{where} (a run makes it): writable"
    hints = []
    if room is not None:
        said += f", {room / 1e9:,.1f} GB free"
        if room < LITTLE_BYTES:
            hints.append("free some space, or keep less: EEN_KEEP_DAYS, EEN_LOG_MAX_BYTES")
    if inodes is not None and inodes < LITTLE_INODES:
        hints.append(f"only {count(inodes, 'inode')} left: remove some files")
    return Finding("log directory", said, tuple(hints))


def _unwritable(paths: LogPaths, folder: Path) -> tuple[str, str] | None:
    """What is wrong and what helps; `folder` is the log directory, or where it would be made."""
    exists = folder == paths.root
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = "no directory that can be written" if exists else f"cannot be made in {printable(str(folder))}"
        return what, "check its owner, or log elsewhere (EEN_LOG_DIR)"
    if not exists:
        return None
    try:
        with tempfile.NamedTemporaryFile(prefix=".check-", dir=folder, buffering=0) as probe:
            probe.write(bytes(_PROBE_BYTES))
        check_move(paths)
    except OSError as error:
        return explain(error)
    files = [path for _, _, path in (*paths.delay_files(), *paths.stream_files())]
    files += [paths.root / name for name in (*paths.ours(), paths.uuids.name, paths.state.name, paths.lock.name)]
    if closed := [path for path in files if path.exists() and not os.access(path, os.W_OK)]:
        what = f"{count(len(closed), 'file')} cannot be written, such as {printable(closed[0].name)}"
        return what, "they may be another user's: run as that user, or chown them"
    return None


def _clock() -> Iterator[Finding]:
    """What this machine knows of its own clock; how far it is off is for the cloud's answers to tell."""
    kernel = kernel_state()
    if kernel is None:
        yield Finding("clock service", "this system does not tell whether its clock is synchronised")
    elif kernel.synchronised:
        yield Finding("clock service", f"synchronised, error at most {span(kernel.maxerror_us)}")
    else:
        hint = "see below how far it is off; keep it right with a time service (chrony, systemd-timesyncd, w32time)"
        yield Finding("clock service", "the kernel says that its clock is NOT synchronised", (hint,))
    resolution = resolution_us()
    step = f"{resolution} µs" if resolution < 1000 else f"{resolution / 1000:.0f} ms"
    waited_ms = threshold_us(resolution) / 1000
    yield Finding("clock resolution", f"{step}; events that waited over {waited_ms:g} ms here carry lag_s=")


async def _cloud(settings: Settings, paths: LogPaths, wait_s: float, *, is_alone: bool) -> list[Finding]:
    """The cloud's side; what cannot be tested without an earlier success is left out."""
    if not (is_alone or settings.auth_key):
        said = "not tested: it would take a login, which could end the session of the logger at work"
        return [Finding("key", said, ("ask that logger instead: python app.py status",))]
    samples: list[DateSample] = []
    try:
        signed, listed = await _sign_in(settings, paths, samples, may_log_in=is_alone)
    except EeloggerError as error:
        row = failed_by("key" if isinstance(error, Refused) else "cameras", error)
        # Without any answer there is nothing more to be learned.
        return [row, await clock(settings, samples, wait_s), network(settings, samples)] if samples else [row]
    cameras = listed.kept(signed)
    findings = [_key(settings, signed), _cameras(listed, len(cameras))]
    if not cameras:
        return [*findings, await clock(signed, samples, wait_s), network(signed, samples)]
    off, heard = await asyncio.gather(clock(signed, samples, wait_s), listen(signed, cameras, wait_s))
    findings += [off, network(signed, samples, heard), stream(heard, wait_s)]
    return [*findings, await annotation_list(signed, next(iter(cameras)))]


async def _sign_in(
    settings: Settings, paths: LogPaths, samples: list[DateSample], *, may_log_in: bool
) -> tuple[Settings, CameraList]:
    """Find a key with which the camera list can be read; an attempt to log in counts, here as in a run."""
    credentials = Credentials(read_refused_login(paths), partial(remember_refused_login, paths))
    while True:
        signed = await credentials.sign_in(settings)
        try:
            async with Rest(signed, on_date=samples.append) as rest:
                return signed, await fetch_cameras(rest)
        except KeyRefused:
            if not (may_log_in and credentials.refuse(signed.auth_key, settings)):
                raise


def _key(settings: Settings, signed: Settings) -> Finding:
    if not settings.auth_key or settings.auth_key == signed.auth_key:
        return Finding("key", "accepted" if settings.auth_key else "accepted; a login brought it")
    hint = "take EEN_AUTH_KEY out, or log in again with `python app.py login`"
    return Finding("key", "EEN_AUTH_KEY is refused; a login brought another key", (hint,))


def _cameras(listed: CameraList, kept: int) -> Finding:
    if not kept:
        return failed_by("cameras", no_camera(listed))
    said = f"{count(kept, 'camera')} to log"
    if left_out := len(listed.cameras) - kept:
        said += f"; EEN_CAMERAS and EEN_BRIDGES leave out {left_out}"
    skipped = ", ".join(f"{number} {reason}" for reason, number in sorted(listed.skipped.items()))
    return Finding("cameras", f"{said}; skipped: {skipped or 'none'}")
