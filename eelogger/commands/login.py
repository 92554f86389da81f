"""Log in, and write branding, account id and key to the settings file. The password is written nowhere."""

import argparse
import asyncio
import os
import signal
import tempfile
from codecs import BOM_UTF8
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dotenv import set_key

from ..cloud import loop_delay
from ..cloud.sign_in import login
from ..errors import DiskError, LoginRefused
from ..settings import PROGRAM, load
from ..views.console import Console
from ..views.text import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: a login asks."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Ask, log in, write; raises `LoginRefused`, `CloudError`, `SettingsError`, `DiskError`."""
    # asyncio would put a handler of its own in the place of Python's, and wait for the answer to the open question.
    signal.signal(signal.SIGINT, lambda *args: signal.default_int_handler(*args))
    path: Path = options.env_file
    where = printable(path)
    # What is set already: where to log in, an API key. The file itself may be missing.
    settings = load(path if os.path.exists(path) else None, options.log_dir, need_credentials=False)
    if not os.access(path.resolve().parent, os.W_OK | os.X_OK):  # before a person types a password and a code
        raise DiskError(f"{where} cannot be written", "its directory must exist and be writable; or use --env-file")
    known = f" [{printable(settings.username)}]" if settings.username else ""
    try:
        username = console.ask(f"User name (e-mail address){known}: ").strip() or settings.username
        password = console.ask("Password: ", is_secret=True) if username else ""
        if not password:
            raise LoginRefused("a login needs both user name and password", "start it again and type both")
        signed = loop_delay.run(login(replace(settings, username=username, password=password), _Person(console)))
    except EOFError:
        raise LoginRefused("the input ended before the login did", "give each answer on a line of its own") from None
    values = {"EEN_BRANDING": signed.branding, "EEN_ACCOUNT_ID": signed.account_id, "EEN_AUTH_KEY": signed.auth_key}
    written = {name: value for name, value in values.items() if value}
    write_settings(path, written)
    console.write(f"Logged in. {', '.join(written)} now stand in {where} (mode 0600); the password does not.\n")
    found = load(path, options.log_dir, need_credentials=False)
    if others := [name for name in written if getattr(found, name.removeprefix("EEN_").lower()) != written[name]]:
        console.write(f"But the environment sets {', '.join(others)} otherwise, and wins: unset it there.\n")
    console.write(f"A running logger takes the new key by itself. Next: {PROGRAM} check, then {PROGRAM}\n")
    return 0


class _Person(NamedTuple):
    """The second factor, by questions on the console."""

    console: Console

    async def choose(self, choices: Mapping[str, str]) -> str:
        """The only way there is, else the one chosen."""
        for way, address in choices.items():
            self.console.info(f"Code by {way}: {printable(address)}")
        if len(choices) == 1:
            return next(iter(choices))
        answer = self.console.ask(f"Which way ({' or '.join(choices)})? ").strip().lower().replace("-", "")
        return next((way for way in choices if answer and way.startswith(answer)), answer)

    async def code(self, attempt: int) -> str:
        """The code, once more when it was wrong; an empty answer gives up."""
        again = "That code was not accepted. Code (empty: give up): "
        code = self.console.ask("Code: " if attempt == 1 else again)
        # Asking has held the event loop: it has to see that the server closed the connection meanwhile.
        await asyncio.sleep(0.01)
        return code


def write_settings(env_file: Path, values: Mapping[str, str]) -> None:
    """Set these names in the settings file (mode 0600). It is replaced in one step. Raises `DiskError`."""
    path = env_file.resolve()  # the file that a link leads to is changed, not the link
    try:
        before = path.read_bytes() if path.exists() else b""
        mark, end = BOM_UTF8 if before.startswith(BOM_UTF8) else b"", b"\r\n" if b"\r\n" in before else b"\n"
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder:
            scratch = Path(folder, "new")
            scratch.touch(0o600)
            scratch.write_bytes(before.removeprefix(mark).replace(b"\r\n", b"\n"))
            for name, value in values.items():
                set_key(scratch, name, value, "auto", encoding="latin-1")  # any bytes come back as they were
            scratch.write_bytes(mark + scratch.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", end))
            with suppress(OSError, AttributeError):  # root changes a user's file; elsewhere there is nothing to do
                os.chown(scratch, path.stat().st_uid, path.stat().st_gid)
            os.replace(scratch, path)
    except OSError as error:
        message = f"{printable(env_file)} cannot be written: {error.strerror or error}"
        raise DiskError(message, "check its directory's owner") from None
