"""Test everything a run needs and print what was found.

The order is that in which a run would come upon it. Nothing is changed but a probe file, which is removed, and in
`.state` a login that was refused.
"""

import argparse
import asyncio
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .. import __version__
from ..clock import kernel_state, resolution_us
from ..cloud.cameras import CameraList, no_camera, sign_in
from ..cloud.loop_delay import threshold_us
from ..cloud.sign_in import Credentials
from ..errors import AlreadyRunning, DiskError, EeloggerError, Refused, SettingsError
from ..model import DateSample
from ..settings import PROGRAM, Settings, load, log_dir_of
from ..storage.days import check_move
from ..storage.disk_errors import explain, free_bytes
from ..storage.lock import HANGS, RUNNING, ProcessState, process_state
from ..storage.paths import LogPaths
from ..storage.state import read_refused_login, remember_refused_login
from ..views.console import Console
from ..views.number_format import count, span
from ..views.tables import Column, printable, table, wrapped
from .cloud_probe import Finding, annotation_list, clock, failed_by, listen, network

LITTLE_BYTES: Final = 1 << 30  # less free space than this is said: a busy account fills it within days
WAIT_S: Final = 5.0
_PROBE_BYTES: Final = 4096
_COLUMNS: Final = 76
_ANY: Final = 10_000  # a path or command in a hint is to be copied: it is never cut


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


def exit_code(findings: Sequence[Finding]) -> int:
    """How a run would end now: by the first finding that failed."""
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """The lines of the table, each hint below its finding, and a last sentence."""
    rows = []
    for finding in findings:
        first, *more = wrapped("", finding.result, _COLUMNS)
        more += [line for hint in finding.hints for line in wrapped("→ ", hint, _COLUMNS)]
        rows += [(finding.what, first, finding.verdict), *(("", line, "") for line in more)]
    yield from table([Column(title, False, _ANY) for title in ("what", "result", "verdict")], rows)
    yield ""
    code = exit_code(findings)
    if code == AlreadyRunning.exit_code:
        yield f"Another logger already uses this directory (exit code {code})."
    elif code:
        failed = next(finding.what for finding in findings if finding.exit_code)
        yield f"A run would not log anything now: see {failed} above (exit code {code})."
    else:
        yield f"A run can start{'; see the warnings' if any(finding.hints for finding in findings) else ''}."


async def check(env_file: Path, log_dir: Path | None, *, wait_s: float = WAIT_S) -> list[Finding]:
    """All findings; clock and event stream take so long at most when nothing more comes."""
    packages = f"websockets {version('websockets')}, aiohttp {version('aiohttp')}"
    system = f"{platform.system()} {platform.release()}"
    said = f"eelogger {__version__}, Python {platform.python_version()}, {packages}, {system}"
    settings, finding = _settings(env_file, log_dir)
    paths = LogPaths(settings.log_dir if settings else log_dir_of(env_file, log_dir))
    process = process_state(paths)
    findings = [Finding("versions", printable(said)), finding, _other_loggers(process), _directory(paths), *_clock()]
    if settings is not None:
        findings += await _cloud(settings, paths, wait_s, is_alone=process.kind not in (RUNNING, HANGS))
    return findings


def _settings(env_file: Path, log_dir: Path | None) -> tuple[Settings | None, Finding]:
    try:
        settings = load(env_file, log_dir)
    except SettingsError as error:
        hints = tuple(f"{problem.name} {problem.message}: {problem.hint}" for problem in error.problems)
        said = f"{count(len(error.problems), 'setting')} cannot be used"
        return None, Finding("settings", said, hints + error.warnings, error.exit_code)
    where = f"from the environment{f' and {printable(str(env_file))}' if os.path.exists(env_file) else ''}"
    ways = ["session key"] if settings.auth_key else []
    ways += ["user name and password"] if settings.has_login else []
    said = f"complete, {where}; signs in by {' or '.join(ways)}"
    return settings, Finding("settings", said, settings.warnings)


def _other_loggers(process: ProcessState) -> Finding:
    if process.kind not in (RUNNING, HANGS):
        return Finding("other loggers", "none at work in this log directory")
    since = printable(process.since) or "an unknown time"
    said = f"process {process.pid or '?'} is at work in this log directory since {since}"
    hint = f"look at it: {PROGRAM} status; two loggers need two log directories"
    if process.kind == HANGS:
        said += f", without a sign of life for {span(int(process.untouched_s * 1_000_000))}"
        hint = "it probably hangs: end it, then start anew"
    return Finding("other loggers", said, (hint,), AlreadyRunning.exit_code)


def _directory(paths: LogPaths) -> Finding:
    """Whether lines can be written, a day be moved, and how much room there is."""
    where, exists = printable(str(paths.root)), os.path.lexists(paths.root)
    folder = (
        paths.root if exists else next(parent for parent in paths.root.absolute().parents if os.path.exists(parent))
    )
    try:
        problem, hint = _unwritable(paths, folder)
    except OSError as error:
        problem, hint = explain(error)
    if problem:
        return Finding("log directory", f"{where}: {problem}", (hint,), DiskError.exit_code)
    room = free_bytes(folder)
    said = f"{where}: writable, days can be moved" if exists else f"{where} (a run makes it): writable"
    if room is None:
        return Finding("log directory", said)
    hints = ("free some space, or keep less: EEN_KEEP_DAYS, EEN_LOG_MAX_BYTES",) if room < LITTLE_BYTES else ()
    return Finding("log directory", f"{said}, {room / 1e9:,.1f} GB free", hints)


def _unwritable(paths: LogPaths, folder: Path) -> tuple[str, str]:
    """What is wrong, "" for nothing, and what helps; `folder` is the log directory, or where it would be made."""
    exists = folder == paths.root
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = "no directory that can be written" if exists else f"cannot be made in {printable(str(folder))}"
        return what, "check its owner, or log elsewhere (EEN_LOG_DIR)"
    if exists:
        with tempfile.NamedTemporaryFile(prefix=".check-", dir=folder, buffering=0) as probe:
            probe.write(bytes(_PROBE_BYTES))
        check_move(paths)
        files = [path for _, _, path in (*paths.delay_files(), *paths.stream_files())]
        files += [paths.root / name for name in (*paths.ours, paths.uuids.name, paths.state.name, paths.lock.name)]
        if closed := [path for path in files if path.exists() and not os.access(path, os.W_OK)]:
            what = f"{count(len(closed), 'file')} cannot be written, such as {printable(closed[0].name)}"
            return what, "they may be another user's: run as that user, or chown them"
    return "", ""


def _clock() -> Iterator[Finding]:
    """What this machine knows of its own clock; how far it is off is for the cloud's answers to tell."""
    kernel, resolution = kernel_state(), resolution_us()
    if kernel is not None and not kernel.synchronised:
        hint = "see below how far it is off; keep it right with a time service (chrony, systemd-timesyncd, w32time)"
        yield Finding("clock service", "the kernel says that its clock is NOT synchronised", (hint,))
    else:
        said = "this system does not tell whether its clock is synchronised"
        yield Finding("clock service", f"synchronised, error at most {span(kernel.maxerror_us)}" if kernel else said)
    step = f"{resolution} µs" if resolution < 1000 else f"{resolution / 1000:.0f} ms"
    waited_ms = threshold_us(resolution) / 1000
    yield Finding("clock resolution", f"{step}; events that waited over {waited_ms:g} ms here carry lag_s=")


async def _cloud(settings: Settings, paths: LogPaths, wait_s: float, *, is_alone: bool) -> list[Finding]:
    """The cloud's side; what cannot be tested without an earlier success is left out."""
    if not (is_alone or settings.auth_key):
        said = "not tested: it would take a login, which could end the session of the logger at work"
        return [Finding("key", said, (f"ask that logger instead: {PROGRAM} status",))]
    samples: list[DateSample] = []
    # An attempt to log in counts, here as in a run.
    credentials = Credentials(read_refused_login(paths), partial(remember_refused_login, paths))
    try:
        signed, listed = await sign_in(settings, credentials, samples.append, may_log_in=is_alone)
    except EeloggerError as error:
        row = failed_by("key" if isinstance(error, Refused) else "cameras", error)
        # Without any answer there is nothing more to be learned.
        return [row, await clock(settings, samples, wait_s), network(settings, samples)] if samples else [row]
    cameras = listed.kept(signed)
    key = Finding("key", "accepted" if settings.auth_key else "accepted; a login brought it")
    if settings.auth_key not in ("", signed.auth_key):
        hint = f"take EEN_AUTH_KEY out, or log in again with `{PROGRAM} login`"
        key = Finding("key", "EEN_AUTH_KEY is refused; a login brought another key", (hint,))
    findings = [key, _cameras(listed, len(cameras))]
    if not cameras:
        return [*findings, await clock(signed, samples, wait_s), network(signed, samples)]
    off, (heard, stream) = await asyncio.gather(clock(signed, samples, wait_s), listen(signed, cameras, wait_s))
    findings += [off, network(signed, samples, heard), stream]
    return [*findings, await annotation_list(signed, next(iter(cameras)))]


def _cameras(listed: CameraList, kept: int) -> Finding:
    if not kept:
        return failed_by("cameras", no_camera(listed))
    said = f"{count(kept, 'camera')} to log"
    if left_out := len(listed.cameras) - kept:
        said += f"; EEN_CAMERAS and EEN_BRIDGES leave out {left_out}"
    skipped = ", ".join(f"{number} {reason}" for reason, number in sorted(listed.skipped.items()))
    return Finding("cameras", f"{said}; skipped: {skipped or 'none'}")
