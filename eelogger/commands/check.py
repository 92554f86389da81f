"""Test what a run needs, in its order; only a refused login is remembered, in `.state`."""

import argparse
import asyncio
import errno
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Final

from ..clock import kernel_state, resolution_us
from ..cloud import loop_delay
from ..cloud.cameras import no_camera, sign_in
from ..cloud.sign_in import Credentials
from ..errors import AlreadyRunning, DiskError, EeloggerError, Refused, SettingsError
from ..model import Camera, DateSample
from ..settings import PROGRAM, Settings, load, log_dir_of
from ..storage.disk_errors import explain, free_bytes
from ..storage.lock import HANGS, RUNNING, process_state, refusal
from ..storage.paths import LogPaths
from ..storage.state import read_refused_login, remember_refused_login
from ..views.console import Console
from ..views.text import count, span, table, wrapped
from .cloud_probe import Finding, annotation_list, clock, failed_by, listen, network

LITTLE_BYTES: Final = 1 << 30  # less free space than this is a warning: a busy account fills it within days
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
    text, code = report(check(options.env_file, options.log_dir, wait_s=5.0))
    console.write(text)
    return code


def report(findings: Sequence[Finding]) -> tuple[str, int]:
    """The table, each hint below its finding, and a last sentence; the exit code of the first finding that failed."""
    rows: list[tuple[str, str, str]] = []
    for finding in findings:
        lines = [*wrapped("", finding.result, _COLUMNS)]
        lines += [line for hint in finding.hints for line in wrapped("→ ", hint, _COLUMNS)]
        rows += zip_longest([finding.what], lines, [finding.verdict], fillvalue="")
    last = f"A run can start{'; see the warnings' if any(finding.hints for finding in findings) else ''}."
    what, code = next(((f.what, f.exit_code) for f in findings if f.exit_code), ("", 0))
    if code == AlreadyRunning.exit_code:
        last = f"Another logger already uses this directory (exit code {code})."
    elif code:
        last = f"A run would not log anything now: see {what} above (exit code {code})."
    titles = "what", "result", "verdict"
    lines = [*table(titles, rows, left=titles, widest=_ANY), "", last]
    return "".join(f"{line}\n" for line in lines), code


def check(env_file: Path, log_dir: Path | None, *, wait_s: float) -> list[Finding]:
    """All findings; clock and event stream take so long at most when nothing more comes."""
    settings = None
    try:
        settings = load(env_file, log_dir)
        where = f" and {env_file}" if os.path.exists(env_file) else ""
        complete = Finding("settings", f"complete, from the environment{where}", settings.warnings)
    except SettingsError as error:
        hints = [f"{problem.name} {problem.message}: {problem.hint}" for problem in error.problems]
        said = f"{count(len(hints), 'setting')} cannot be used"
        complete = Finding("settings", said, [*hints, *error.warnings], error.exit_code)
    paths = LogPaths(settings.log_dir if settings else log_dir_of(env_file, log_dir))
    is_alone = process_state(paths).kind not in (RUNNING, HANGS)
    others = Finding("other loggers", "none at work in this log directory")
    if not is_alone:
        others = failed_by("other loggers", refusal(paths))
    findings = [complete, others, _directory(paths), _clock()]
    return [*findings, *(loop_delay.run(_cloud(settings, paths, wait_s, is_alone=is_alone)) if settings else ())]


def _directory(paths: LogPaths) -> Finding:
    """Whether lines can be written and days moved; the free space."""
    folder = next(path for path in (paths.root, *paths.root.parents) if os.path.lexists(path))
    said = "writable, days can be moved" if folder == paths.root else "writable, a run makes it"
    place = paths.root
    try:
        with suppress(FileNotFoundError):
            os.stat(place)  # its name may be too long
        for place in (folder, *filter(os.path.lexists, (paths.stream_dir, paths.days_dir))):
            with tempfile.NamedTemporaryFile(prefix=".check-", dir=place, buffering=0) as probe:
                probe.write(bytes(4096))
        if (place := folder) == paths.root:
            files = [path for _, _, path in (*paths.delay_files(), *paths.stream_files())]
            files += [paths.root / name for name in (*paths.ours, paths.uuids.name, paths.state.name, paths.lock.name)]
            for path in files:
                if path.exists() and not os.access(path, os.W_OK):
                    raise PermissionError(errno.EACCES, f"{path.name} cannot be written")
    except OSError as error:
        what, hint = explain(error)
        return Finding("log directory", f"{place}: {what}", [hint], DiskError.exit_code)
    hints = []
    if (room := free_bytes(folder)) is not None:
        said += f", {room / 1e9:,.1f} GB free"
        hints = ["free some space, or keep less: EEN_KEEP_DAYS, EEN_LOG_MAX_BYTES"] if room < LITTLE_BYTES else []
    return Finding("log directory", f"{paths.root}: {said}", hints)


def _clock() -> Finding:
    """What this machine knows of its own clock; how far it is off is for the cloud's answers to tell."""
    kernel, hints, said = kernel_state(), [], "this system does not tell whether its clock is synchronised"
    if kernel is not None and not kernel.synchronised:
        said = "the kernel says that its clock is NOT synchronised"
        hints = ["see below how far it is off; keep it right with a time service (chrony, systemd-timesyncd, w32time)"]
    elif kernel:
        said = f"synchronised, error at most {span(kernel.maxerror_us)}"
    waited = f"events that waited over {loop_delay.threshold_us() / 1000:g} ms here carry lag_s="
    return Finding("clock service", f"{said}; resolution {resolution_us()} µs: {waited}", hints)


async def _cloud(settings: Settings, paths: LogPaths, wait_s: float, *, is_alone: bool) -> list[Finding]:
    """The cloud's side; what cannot be tested without an earlier success is left out."""
    credentials = Credentials(read_refused_login(paths))
    signed, samples, cameras, way = settings, list[DateSample](), dict[str, Camera](), list[str]()
    try:
        try:
            signed, listed = await sign_in(settings, credentials, samples.append, may_log_in=is_alone)
        finally:
            remember_refused_login(paths, credentials.remembered)  # an attempt to log in counts, here as in a run
    except EeloggerError as error:
        findings = [failed_by("key" if isinstance(error, Refused) else "cameras", error)]
        if not samples:  # without any answer there is nothing more to be learned
            return findings
    else:
        by_login, hints = "; a login brought it" if signed.auth_key != settings.auth_key else "", []
        if by_login and settings.auth_key:
            hints = [f"EEN_AUTH_KEY is refused: take it out, or log in again with `{PROGRAM} login`"]
        cameras = listed.kept(signed)
        skipped = ", ".join(f"{number} {reason}" for reason, number in sorted(listed.skipped.items())) or "none"
        said = f"{len(cameras)} of {count(len(listed.cameras), 'camera')} to log; skipped: {skipped}"
        found = Finding("cameras", said) if cameras else failed_by("cameras", no_camera(listed))
        findings = [Finding("key", f"accepted{by_login}", hints), found]
    tests = [clock(signed, samples, wait_s)]
    if cameras:
        tests += [listen(signed, cameras, wait_s, way), annotation_list(signed, cameras)]
    off, *more = await asyncio.gather(*tests)
    return [*findings, off, network(signed, samples, way), *more]
