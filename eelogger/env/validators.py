"""From the text of one setting to its value, or the reason why it cannot be used.

Each function takes a non-empty text and returns the value or raises `Invalid` with what is wrong and what would be
right. Which setting uses which function stands in `settings_table`; where the text comes from, and what an empty
one means, is decided in `settings`. Invariant: no message repeats the text of a secret.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Final

KEY_SHAPE: Final = re.compile(r"[a-z][0-9]{3}~[0-9a-fA-F]{32}")
"""What a session key of the public cloud looks like; gateways and test servers may use others."""

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ORIGIN = re.compile(
    r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}))(?::([0-9]{1,5}))?/?", re.IGNORECASE | re.ASCII
)
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMG]?)(?:i?B)?", re.IGNORECASE)
_RESOURCES = ("event", "pre", "thumb", "video", "status")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Invalid(ValueError):
    """A text that is no value: what is wrong with it, and what would be right."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(text: str) -> str:
    """A text as a message may repeat it: quoted, escaped, cut."""
    return ascii(text if len(text) <= 60 else text[:60] + "...")


def dns_label(text: str) -> str:
    """One DNS label, lower case: letters, digits and inner hyphens, at most 63."""
    if not _LABEL.fullmatch(text):
        # Not repeated, nor is an account id: people paste a key into the wrong line.
        raise Invalid("is no subdomain", "give only the part before .eagleeyenetworks.com, such as c000")
    return text.lower()


def account(text: str) -> str:
    """An account id: 8 digits as a rule, any 1 to 20 letters, digits, - and _ are accepted."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", text):
        raise Invalid("is no account id", "give the 8 digits alone, such as 00012345")
    return text


def session_key(text: str) -> str:
    """A session key that can stand in a Cookie header."""
    if not re.fullmatch(r"[!-~]+", text) or re.search(r'[;,"\\]', text):
        raise Invalid(
            "is not a key: a character in it cannot stand in a cookie",
            "paste the value of the auth_key cookie alone, without its name, quotes or blanks",
        )
    return text


def header_token(text: str) -> str:
    """An API key that can stand in a header."""
    if not re.fullmatch(r"[!-~]+", text):
        raise Invalid("holds a blank or a character outside ASCII", "paste the API key alone")
    return text


def plain(text: str) -> str:
    """Any text; the cloud decides."""
    return text


def path(text: str) -> Path:
    """A path, `~` expanded; a relative one is completed by the caller."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise Invalid(f"{shown(text)} names an unknown home directory", "give the full path") from None


def check_certificates(file: Path) -> None:
    """Raise `Invalid` unless the file holds CA certificates."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError as wrong:
        told = f"no certificate in {shown(str(file))}: {wrong.strerror}"
        raise Invalid(told, "give a PEM file that this user may read") from None


def origin(text: str) -> str:
    """`scheme://host[:port]`: https, or http for this machine only."""
    match = _ORIGIN.fullmatch(text)
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


def four_ccs(text: str) -> tuple[str, ...]:
    """A list of four-CCs, upper case, each once."""
    return tuple(dict.fromkeys(_four_cc(item) for item in items(text)))


def resources(text: str) -> tuple[str, ...]:
    """A list of resources that holds `event` or `pre`, for without them nothing would be measured."""
    names = tuple(dict.fromkeys(item.lower() for item in items(text)))
    for name in names:
        if name not in _RESOURCES:
            raise Invalid(f"{shown(name)} is no resource", f"choose among {', '.join(_RESOURCES)}")
    if "event" not in names and "pre" not in names:
        raise Invalid("would subscribe nothing that can be measured", "add event")
    return names


def numbers(text: str) -> frozenset[int]:
    """A list of annotation namespaces."""
    return frozenset(_number(item) for item in items(text))


def names(text: str) -> tuple[tuple[int, str], ...]:
    """`300=GPS data;301=Doors`: names for annotation namespaces."""
    table: dict[int, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        number, equals, name = part.partition("=")
        if not equals or not name.strip():
            raise Invalid(f"{shown(part)} is no number=name", "write 300=GPS data;301=Doors")
        table[_number(number.strip())] = name.strip()
    return tuple(table.items())


def items(text: str) -> tuple[str, ...]:
    """A comma-separated list without blanks around its items, which holds at least one."""
    found = tuple(item for item in (item.strip() for item in text.split(",")) if item)
    if not found:
        raise Invalid("is a list without items", "separate the items by commas, or leave it empty")
    return found


def days(text: str) -> int:
    """A number of days, 1 to 36,500."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 36_500:
        raise Invalid(f"{shown(text)} is no number of days", "give a whole number from 1 on, such as 30")
    return int(text)


def size(text: str) -> int:
    """Bytes: a whole number, or one with K, M or G (powers of 1024)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise Invalid(f"{shown(text)} is no size", "give bytes, or a number with K, M or G, such as 64M")
    count = int(match[1]) * _UNITS[match[2].upper()]
    if count < 1 << 20:
        raise Invalid(f"{shown(text)} is less than 1 MiB", "did you mean megabytes? Write 64M")
    return count


def size_or_off(text: str) -> int | None:
    """Bytes, or None for `off`."""
    return None if text.lower() in ("off", "none", "0") else size(text)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _four_cc(item: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{4}", item):
        raise Invalid(f"{shown(item)} is no four-CC", "give four letters or digits each, such as ANNT,ALRS")
    return item.upper()


def _number(item: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", item):
        raise Invalid(f"{shown(item)} is no namespace number", "give whole numbers, such as 101,103")
    return int(item)
