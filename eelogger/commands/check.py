"""`check`: everything a run needs, tested once, in the order in which a run would come upon it.

Decides what is tested on this machine: settings, directory, clock; the cloud's side is for `cloud_check`, how it is
shown for `findings`. Invariant: nothing is changed but one probe file, which is removed, and a logger at work in the
same directory notices nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ..clock import kernel_state, resolution_us
from ..errors import SettingsError
from ..logdir.presence import HANGS, RUNNING, presence
from ..net.lag import threshold_us
from ..paths import LogPaths
from ..settings import Settings, load, log_dir_of
from ..text import words
from ..text.tables import printable
from ..version import __version__
from ..writing.trouble import HINTS
from .cloud_check import check_cloud
from .findings import FAILED, OK, WARNING, Finding

LITTLE_BYTES: Final = 1 << 30
"""Less free space than this is said: a busy account fills it within days."""
_PROBE_BYTES: Final = 4096


async def check(env_file: Path | None, log_dir: Path | None, *, wait_s: float = 5.0) -> list[Finding]:
    """All findings; `wait_s` is how long the event stream is listened to when nothing comes."""
    findings = [_versions()]
    settings: Settings | None = None
    try:
        settings = load(None, env_file, log_dir=log_dir)
        findings.append(_settings(settings, env_file))
    except SettingsError as error:
        hints = tuple(f"{problem.name} {problem.message}: {problem.hint}" for problem in error.problems)
        hints += error.warnings
        said = words.count(len(error.problems), "setting")
        findings.append(Finding("settings", f"{said} cannot be used", FAILED, hints, error.exit_code))
    paths = LogPaths(settings.log_dir if settings else log_dir_of(None, env_file, log_dir))
    findings += [_instance(paths), _directory(paths), *_clock()]
    if settings is not None:
        at_work = presence(paths).kind in (RUNNING, HANGS)
        findings += await check_cloud(settings, paths, at_work=at_work, wait_s=wait_s)
    return findings


def _versions() -> Finding:
    uses = f"websockets {version('websockets')}, aiohttp {version('aiohttp')}"
    system = f"{platform.system()} {platform.release()}"
    return Finding(
        "versions", printable(f"eelogger {__version__}, Python {platform.python_version()}, {uses}, {system}")
    )


def _settings(settings: Settings, env_file: Path | None) -> Finding:
    filed = env_file is not None and env_file.exists()
    where = f"from the environment and {printable(str(env_file))}" if filed else "from the environment"
    login = "user name and password" if settings.has_login else ""
    key = "session key" if settings.auth_key else ""
    said = f"complete, {where}; signs in by {' or '.join(filter(None, (key, login)))}"
    return Finding("settings", said, WARNING if settings.warnings else OK, settings.warnings)


def _instance(paths: LogPaths) -> Finding:
    who = presence(paths)
    if who.kind not in (RUNNING, HANGS):
        return Finding("other loggers", "none at work in this log directory")
    said = (
        f"process {who.pid or '?'} is at work in this log directory since {printable(who.since) or 'an unknown time'}"
    )
    hint = "look at it: python app.py status; two loggers need two log directories"
    if who.kind == HANGS:
        said += f", without a sign of life for {words.span(int(who.untouched_s * 1_000_000))}"
        hint = "it probably hangs: end it, then start anew"
    return Finding("other loggers", said, FAILED, (hint,), 75)


def _directory(paths: LogPaths) -> Finding:
    """Whether lines can be written, and how much room there is."""
    where = printable(str(paths.root))
    exists = paths.root.is_dir()
    if paths.root.exists() and not exists:
        return Finding("log directory", f"{where} is no directory", FAILED, ("log elsewhere (EEN_LOG_DIR)",), 74)
    folder = paths.root if exists else _nearest(paths.root)
    problem = _probe(folder) if exists else _no_access(folder)
    if problem:
        return Finding("log directory", f"{where}: {problem[0]}", FAILED, (problem[1],), 74)
    closed = [path for path in _append_files(paths) if not os.access(path, os.W_OK)]
    if closed:
        said = f"{where}: {words.count(len(closed), 'file')} cannot be written, {printable(closed[0].name)} for one"
        return Finding(
            "log directory", said, FAILED, ("they may be another user's: run as that user, or chown them",), 74
        )
    free = shutil.disk_usage(folder).free
    said = f"{where}{'' if exists else ' (a run makes it)'}: writable, {free / 1e9:,.1f} GB free"
    if free < LITTLE_BYTES:
        return Finding(
            "log directory", said, WARNING, ("free some space, or keep less: EEN_KEEP_DAYS, EEN_LOG_MAX_BYTES",)
        )
    return Finding("log directory", said)


def _nearest(path: Path) -> Path:
    """The nearest thing above that exists: what a missing directory would be made in."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def _no_access(folder: Path) -> tuple[str, str] | None:
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return None
    return f"cannot be made in {printable(str(folder))}", "check its owner, or log elsewhere (EEN_LOG_DIR)"


def _probe(folder: Path) -> tuple[str, str] | None:
    """What is wrong with writing a file there, and what to do; the file is gone afterwards."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".check-", dir=folder) as probe:
            probe.write(b"\0" * _PROBE_BYTES)
            probe.flush()
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "check the disk, or log elsewhere (EEN_LOG_DIR)")
        return f"no file can be written: {error.strerror}", hint
    return None


def _append_files(paths: LogPaths) -> Iterator[Path]:
    yield from (paths.root / name for name in paths.day_files())
    yield from (path for path in (paths.uuids, paths.state, paths.lock) if path.exists())


def _clock() -> Iterator[Finding]:
    """What this machine knows of its own clock; how far it is off is for the cloud's answers to tell."""
    kernel = kernel_state()
    if kernel is None:
        yield Finding("clock service", "this system does not tell whether its clock is synchronised")
    elif kernel.synchronised:
        yield Finding("clock service", f"synchronised, error at most {words.span(kernel.maxerror_us)}")
    else:
        hint = "see below how far it is off; keep it right with a time service (chrony, systemd-timesyncd, w32time)"
        yield Finding("clock service", "the kernel says that its clock is NOT synchronised", WARNING, (hint,))
    resolution, threshold = resolution_us(), threshold_us(resolution_us())
    step = f"{resolution} µs" if resolution < 1000 else f"{resolution / 1000:.0f} ms"
    yield Finding("clock resolution", f"{step}; events that waited over {threshold / 1000:g} ms here carry lag_s=")
