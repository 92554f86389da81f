"""`login`: ask who you are, log in, and put branding, account id and key into the settings file.

Decides what is asked in which order and how the file is changed; the steps of a login are `auth`'s, how a question
reaches a person is the caller's. Invariant: the password is written nowhere, the file is replaced as a whole with
mode 0600 and its owner kept, and every line that is not one of the three settings stays as it is.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Final, Protocol

from dotenv.parser import parse_stream

from ..errors import DiskError, LoginRefused
from ..net.auth import Credentials, login
from ..settings import ENV_FILE, Settings, load
from ..text.tables import printable

_WAYS: Final = {"sms": "SMS", "email": "e-mail"}
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+").fullmatch
_QUOTED = re.compile(r"""[^\S\r\n]*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL).match
_COMMENT = re.compile(r"\s+#").search


class Person(Protocol):
    """Whoever can be asked; both return one line without its end and raise `EOFError` when there is none."""

    def ask(self, prompt: str) -> str:
        """An answer that may be seen."""

    def ask_secret(self, prompt: str) -> str:
        """An answer that nobody may see."""


async def log_in(env_file: Path, log_dir: Path | None, person: Person, say: Callable[[str], object]) -> list[str]:
    """Log in and write the settings file; returns what to tell then, a line each.

    `say` shows a line at once. Raises `LoginRefused`, `CloudError`, `SettingsError`, or `DiskError` when the file
    cannot be written.
    """
    settings = _settings(env_file, log_dir)
    _make_sure_it_can_be_written(env_file)
    try:
        known = f" [{printable(settings.username)}]" if settings.username else ""
        username = person.ask(f"User name (e-mail address){known}: ").strip() or settings.username
        password = person.ask_secret("Password: ") if username else ""
        if not username or not password:
            raise LoginRefused("a login needs both user name and password", "start it again and type both")
        credentials = await login(settings, username, password, _SecondFactor(person, say))
    except EOFError:
        raise LoginRefused("the input ended before the login did", "give each answer on a line of its own") from None
    written = write_credentials(env_file, credentials)
    return [
        f"Logged in. {', '.join(written)} now stand in {printable(str(env_file))} (mode 0600); the password does not.",
        *_overruled(env_file, log_dir, credentials),
        "The key dies by a logout or after a time without use; a running logger keeps it alive, and reads a new one.",
        "Next: python app.py check, then python app.py",
    ]


class _SecondFactor:
    """`auth.SecondFactor` by questions to a person."""

    def __init__(self, person: Person, say: Callable[[str], object]) -> None:
        self._person = person
        self._say = say

    async def choose(self, choices: Mapping[str, str]) -> str:
        """The only way there is, else the one chosen."""
        if len(choices) == 1:
            way = next(iter(choices))
            self._say(f"A code is sent by {_WAYS[way]} to {choices[way]}.")
            return way
        for way, address in choices.items():
            self._say(f"  {way}: a code by {_WAYS[way]} to {address}")
        answer = self._person.ask(f"Which way ({' or '.join(choices)})? ").strip().lower().replace("-", "")
        return next((way for way in choices if answer and way.startswith(answer)), answer)

    async def code(self, attempt: int) -> str:
        """The code, once more when it was wrong; an empty answer gives up."""
        code = self._person.ask("Code: " if attempt == 1 else "That code was not accepted. Code (empty: give up): ")
        # Asking has held the event loop: a connection that the server closed meanwhile is to be seen as closed.
        await asyncio.sleep(0.01)
        return code


def write_credentials(env_file: Path, credentials: Credentials) -> list[str]:
    """Put them into the settings file, whose other lines stay; returns the names written; raises `DiskError`."""
    values = {
        "EEN_BRANDING": credentials.branding,
        "EEN_ACCOUNT_ID": credentials.account_id,
        "EEN_AUTH_KEY": credentials.auth_key,
    }
    known = {name: value for name, value in values.items() if value}
    # The file that a link leads to is changed, not the link.
    path = env_file.resolve()
    try:
        before = path.read_bytes() if path.exists() else b""
        _replace(path, changed(before, known))
    except OSError as error:
        raise DiskError(
            f"{printable(str(env_file))} cannot be written: {error.strerror or error}", "check its directory's owner"
        ) from None
    return list(known)


def changed(before: bytes, values: Mapping[str, str]) -> bytes:
    """The content of a settings file with these values; a name that is not in it gets a line at its end."""
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    text = before.removeprefix(mark).decode("utf-8", "surrogateescape")
    bindings = list(parse_stream(StringIO(text)))
    # Of several lines of one name the last counts.
    last = {binding.key: number for number, binding in enumerate(bindings) if binding.key in values}
    parts = [
        _with_value(binding.original.string, values[binding.key or ""])
        if last.get(binding.key) == number
        else binding.original.string
        for number, binding in enumerate(bindings)
    ]
    end = "\r\n" if "\r\n" in text else "\n"
    if parts and not parts[-1].endswith(("\n", "\r")):
        parts.append(end)
    parts += [f"{name}={_quoted(value)}{end}" for name, value in values.items() if name not in last]
    return mark + "".join(parts).encode("utf-8", "surrogateescape")


def _with_value(line: str, value: str) -> str:
    """A line of a settings file with another value; what stands before and behind it is kept."""
    head, equals, rest = line.partition("=")
    if not equals:
        head, rest = line.rstrip(), line[len(line.rstrip()) :]
    elif quoted := _QUOTED(rest):
        rest = rest[quoted.end() :]
        rest = f" {rest}" if rest.startswith("#") else rest  # behind a bare value it would belong to that
    else:
        comment = _COMMENT(rest)
        rest = rest[comment.start() if comment else len(rest.rstrip()) :]
    return f"{head}={_quoted(value)}{rest}"


def _quoted(value: str) -> str:
    # None of the three may hold a double quote or a backslash.
    return value if _PLAIN(value) else f'"{value}"'


def _replace(path: Path, content: bytes) -> None:
    """Put the content in the place of the file in one step, for its owner's eyes only."""
    fd, beside = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # which makes it with mode 0600
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        with suppress(OSError, AttributeError):  # root changes a user's file; elsewhere there is nothing to do
            owner = path.stat()
            os.chown(beside, owner.st_uid, owner.st_gid)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _settings(env_file: Path, log_dir: Path | None) -> Settings:
    """What is set already: where to log in, an API key; the file itself may be missing."""
    return load(
        None, env_file if env_file == ENV_FILE or env_file.exists() else None, log_dir=log_dir, need_credentials=False
    )


def _make_sure_it_can_be_written(env_file: Path) -> None:
    """Before a person types a password and a code for nothing."""
    folder = env_file.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DiskError(f"no file can be written in {printable(str(folder))}", "check its owner, or use --env-file")


def _overruled(env_file: Path, log_dir: Path | None, credentials: Credentials) -> list[str]:
    """A warning when the environment says otherwise than the file now does, since it wins."""
    found = load(None, env_file, log_dir=log_dir, need_credentials=False)
    pairs = (
        ("EEN_BRANDING", found.branding, credentials.branding),
        ("EEN_ACCOUNT_ID", found.account_id, credentials.account_id),
        ("EEN_AUTH_KEY", found.auth_key, credentials.auth_key),
    )
    names = [name for name, effective, written in pairs if written and effective != written]
    if not names:
        return []
    told = f"But the environment sets {', '.join(names)} otherwise, and wins over the file"
    return [f"{told}: unset {'it' if len(names) == 1 else 'them'} there."]
