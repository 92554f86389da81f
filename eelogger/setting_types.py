"""Turn a setting's text into its value; read a `.env` file. An error never repeats the text."""

import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from .errors import Problem

_ORIGIN = r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}))(?::([0-9]{1,5}))?/?"
_SECRET = re.compile(rb"^\s*(?:export\s+)?EEN_(?:AUTH_KEY|PASSWORD|API_KEY)\s*=\s*[^\s#]", re.MULTILINE).search
_is_name = re.compile(r"\w+").fullmatch


class Invalid(ValueError):
    """A text that cannot be used. Its two arguments say what is wrong, and what would be right."""


def fitting(pattern: str, message: str, hint: str, convert: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """A parser of texts that match the whole pattern. An error does not repeat the text: it may be a key."""

    def parse(text: str) -> Any:
        if not re.fullmatch(pattern, text):
            raise Invalid(message, hint)
        return convert(text)

    return parse


def listed(parse: Callable[[str], Any], text: str) -> tuple[Any, ...]:
    """A comma-separated list, blanks around its items left out: each value once, at least one."""
    found = dict.fromkeys(parse(item.strip()) for item in text.split(",") if item.strip())
    if not found:
        raise Invalid("is a list without items", "separate the items by commas, or leave it empty")
    return tuple(found)


account = fitting(r"[A-Za-z0-9_-]{1,20}", "is not an account id", "give the 8 digits alone, such as 00012345")
session_key = fitting(
    r'(?:(?![;,"\\])[!-~])+',
    "is not a key: a character in it cannot stand in a cookie",
    "paste the value of the auth_key cookie alone, without its name, quotes or blanks",
)
header_token = fitting(r"[!-~]+", "holds a blank or a character outside ASCII", "paste the API key alone")
dns_label = fitting(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    "is not a subdomain",
    "give only the part before .eagleeyenetworks.com, such as c000",
    str.lower,
)
days = fitting(r"[1-9][0-9]{0,3}", "is not a number of days", "give a whole number from 1 on, such as 30", int)
items = partial(listed, str)
four_ccs = partial(listed, fitting("[A-Za-z0-9]{4}", "is not a list of four-CCs", "as in ANNT,ALRS", str.upper))
_number = fitting("-?[0-9]{1,9}", "holds an item that is not a number", "give whole numbers, such as 101,103", int)
numbers = partial(listed, _number)
_resource = fitting(
    "(?i:event|pre|thumb|video|status)", "holds an unknown resource", "choose among event, pre, thumb, video", str.lower
)


def resources(text: str) -> tuple[str, ...]:
    """A list of resources with `event` or `pre`: only these are measured."""
    names = listed(_resource, text)
    if "event" not in names and "pre" not in names:
        raise Invalid("would subscribe nothing that can be measured", "add event")
    return names


def names(text: str) -> tuple[tuple[int, str], ...]:
    """`300=GPS data;301=Doors`: names for annotation namespaces."""
    table: dict[int, str] = {}
    for part in filter(str.strip, text.split(";")):
        number, _, name = (piece.strip() for piece in part.partition("="))
        if not name:
            raise Invalid("holds an item that is not number=name", "for example 300=GPS data;301=Doors")
        table[_number(number)] = name
    return tuple(table.items())


def size(text: str) -> int:
    """Bytes: a whole number, or one with K, M or G (powers of 1024)."""
    match = re.fullmatch(r"([0-9]{1,15}) ?([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not match:
        raise Invalid("is not a size", "give bytes, or a number with K, M or G, such as 64M")
    count = int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2].upper()]
    if count < 1 << 20:
        raise Invalid("is less than 1 MiB", "did you mean megabytes? Write 64M")
    return count


def size_or_off(text: str) -> int | None:
    """Bytes, or None for `off`."""
    return None if text.lower() in ("off", "none", "0") else size(text)


def check_certificates(file: Path) -> None:
    """Raise `Invalid` unless the file holds CA certificates."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError as error:
        why = "holds no valid certificate" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
        raise Invalid(why, "give a PEM file that this user may read") from None


def origin(text: str) -> str:
    """`scheme://host[:port]`: https, or http for this machine only."""
    match = re.fullmatch(_ORIGIN, text, re.IGNORECASE | re.ASCII)
    if not match or int(match[3] or 1) > 65_535 or (match[2].startswith("[") and not _address(match[2])):
        hint = "give scheme, host and port alone, such as https://gateway.example:8443"
        raise Invalid("is not the address of a server", hint)
    scheme, host = match[1].lower(), match[2].lower()
    if scheme == "http" and not is_loopback(host):
        raise Invalid("would send the key unencrypted", "use https; http is for this machine only, such as 127.0.0.1")
    return f"{scheme}://{host}" + (f":{int(match[3])}" if match[3] else "")


def is_loopback(host: str) -> bool:
    """Whether this name or address can only be this machine: 127.0.0.0/8, ::1, localhost."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def matches(patterns: Iterable[str], *texts: str) -> bool:
    """Whether any text matches any pattern, or there is none; only * and ? are wild, case does not matter."""
    # Camera names hold brackets, and "Gate [2]" must mean itself.
    wanted = [pattern.casefold().replace("[", "[[]") for pattern in patterns]
    return not wanted or any(fnmatchcase(text.casefold(), pattern) for pattern in wanted for text in texts)


def read_env_file(path: Path) -> tuple[dict[str, str], list[Problem], list[str]]:
    """The names and literal values of a file, no `$NAME` expanded; problems and warnings."""
    name = str(path) if str(path).isprintable() else ascii(str(path))
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
        bindings = list(parse_stream(StringIO(content.decode("utf-8-sig"))))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return {}, [Problem(name, f"cannot be read: {why}", "check --env-file, its owner and mode")], []
    warnings = []
    if os.name == "posix" and mode & 0o077 and _SECRET(content):
        open_to = f"{name} holds secrets and is open to others (mode {mode & 0o777:04o})"
        warnings.append(f"{open_to}; run: chmod 600 {name}")
    hint = "write NAME=value; close every quotation mark"
    problems = [Problem(name, f"line {b.original.line} cannot be read", hint) for b in bindings if b.error]
    values: dict[str, str] = {}
    for binding in bindings:
        key = binding.key or ""
        if binding.value is not None and _is_name(key):
            values[key] = binding.value
        elif "EEN_" in key.upper():  # it is not repeated: `EEN_PASSWORD:secret` has no other name
            warnings.append(f"line {binding.original.line} of {name} does not count: write NAME=value")
    return values, problems, warnings


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
