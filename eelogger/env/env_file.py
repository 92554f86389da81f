"""A `.env` file as a map from name to text, and which of its names are mistakes.

What cannot be read becomes a problem, what is only unwise a warning; `settings` decides what the texts mean.
Values are taken literally: no `$NAME` is expanded. Invariant: no message repeats a value.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from ..errors import Problem
from .settings_table import SETTINGS
from .validators import shown

_MAX_BYTES: Final = 1 << 20
_NAMES: Final = tuple(row.name for row in SETTINGS)

_SECRET = re.compile(rb"^\s*(?:export\s+)?EEN_(?:AUTH_KEY|PASSWORD|API_KEY)\s*=\s*[^\s#]", re.MULTILINE).search


def read_env_file(path: Path | None, problems: list[Problem], warnings: list[str], *, optional: bool) -> dict[str, str]:
    """The names and values of a file; empty when there is no `path`, or no such file and it is `optional`."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if not optional:
            problems.append(_problem(path, "does not exist", "check --env-file"))
        return {}
    except OSError as wrong:
        problems.append(_problem(path, f"cannot be read: {wrong.strerror}", "check its owner and mode"))
        return {}
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077 and _SECRET(content):
        told = f"{_name(path)} holds secrets and is open to others (mode {mode & 0o777:04o})"
        warnings.append(f"{told}; run: chmod 600 {_name(path)}")
    return _parse(path, content, problems)


def unknown_names(environ: Mapping[str, str], filed: Mapping[str, str]) -> list[str]:
    """A warning for each name that was probably meant for us but is no setting, with the nearest one."""
    found = {name: name.upper() for name in environ if name.upper().startswith("EEN_")}
    # In a file also the names of the older script count: branding, accountId, auth_key.
    found |= {name: "EEN_" + name.upper().removeprefix("EEN_") for name in filed}
    warnings = []
    for name, meant in found.items():
        near = difflib.get_close_matches(meant, _NAMES, n=1, cutoff=0.8)
        if name not in _NAMES and (near or name.upper().startswith("EEN_")):
            warnings.append(f"{shown(name)} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return warnings


def _parse(path: Path, content: bytes, problems: list[Problem]) -> dict[str, str]:
    if len(content) > _MAX_BYTES:
        problems.append(_problem(path, "is larger than 1 MiB", "this is no settings file"))
        return {}
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        hint = "save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8)"
        problems.append(_problem(path, "is not UTF-8 text", hint))
        return {}
    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            where = f"line {binding.original.line} cannot be read"
            problems.append(_problem(path, where, "write NAME=value; close every quotation mark"))
        elif binding.key is not None:
            values[binding.key] = binding.value or ""
    return values


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem(_name(path), message, hint)


def _name(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else ascii(text)
