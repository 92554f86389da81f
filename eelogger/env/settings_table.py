"""Every setting in one row: its name, how it is read, its default, its meaning.

This table is the only place for names and defaults: `settings` reads by it, `.env.example` is its text, and README
and `--help` are checked against it. It also knows what a run cannot do without. What an environment or a file says
is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..errors import Problem
from . import validators as v


class Setting(NamedTuple):
    """One setting: `default` as it would be written, `unset` the value of an empty one without a default."""

    name: str
    parse: Callable[[str], Any]
    unset: Any
    default: str
    example: str
    meaning: str

    @property
    def field(self) -> str:
        """The name of the attribute of `Settings`: `EEN_LOG_DIR` is `log_dir`."""
        return self.name.removeprefix("EEN_").lower()

    def read(self, text: str, base: Path) -> Any:
        """The value of a text, a relative path completed from `base`; raises `Invalid`."""
        if not text:
            return self.unset
        if not text.isprintable() and self.name != "EEN_PASSWORD":
            raise v.Invalid("holds a control character or is not UTF-8", "type it anew, without pasting")
        value = self.parse(text)
        if not isinstance(value, Path):
            return value
        path = (base / value).absolute()
        if self.name == "EEN_CA_FILE":
            v.check_certificates(path)
        return path


SETTINGS: Final = (
    Setting("EEN_BRANDING", v.dns_label, "", "", "c000", "active brand subdomain, one DNS label"),
    Setting("EEN_ACCOUNT_ID", v.account, "", "", "00012345", "account id (8 digits)"),
    Setting("EEN_AUTH_KEY", v.session_key, "", "", f"c000~{0:032d}", "session key, the auth_key cookie"),
    Setting("EEN_USERNAME", v.plain, "", "", "ops@example.com", "log in instead of, or to renew, a key"),
    Setting(
        "EEN_PASSWORD", v.plain, "", "", "", "belongs to the user name; quote it with '...' if it holds # or blanks"
    ),
    Setting("EEN_API_KEY", v.header_token, "", "", "", "sent as `Authentication: <key>:` when set"),
    Setting(
        "EEN_BASE_URL",
        v.origin,
        "",
        "",
        "https://gateway.example:8443",
        "another origin (tests, gateways) for REST, login and WebSocket; http for loopback only",
    ),
    Setting("EEN_CA_FILE", v.path, None, "", "company-ca.pem", "further CA certificates (PEM)"),
    Setting("EEN_LOG_DIR", v.path, None, "logs", "", "where everything is written; --log-dir wins"),
    Setting("EEN_EVENTS", v.four_ccs, (), "ANNT,ALRS", "", "four-CCs to subscribe and measure"),
    Setting("EEN_RESOURCES", v.resources, (), "event", "", "resources to subscribe; event,pre adds preview timestamps"),
    Setting("EEN_NAMESPACES", v.numbers, None, "", "101,103", "annotation namespaces to measure; empty: all"),
    Setting("EEN_NAMESPACE_NAMES", v.names, (), "", "300=GPS data;301=Doors", "names for more namespaces"),
    Setting(
        "EEN_CAMERAS", v.items, (), "", "100e1e23,Front*", "keep only these: ids, or name patterns with *; empty: all"
    ),
    Setting(
        "EEN_BRIDGES", v.items, (), "", "100bb001,Site A*", "keep only cameras on these bridges; written as EEN_CAMERAS"
    ),
    Setting("EEN_KEEP_DAYS", v.days, None, "30", "", "days of history that stay"),
    Setting("EEN_LOG_MAX_BYTES", v.size_or_off, None, "off", "10G", "bytes of history that stay, oldest days go first"),
    Setting("EEN_DISK_BUFFER_BYTES", v.size, None, "64M", "", "held in memory while the disk cannot be written"),
    Setting(
        "EEN_METRICS_FILE", v.path, None, "", "eelogger.prom", "figures for a Prometheus text collector; empty: off"
    ),
)
"""One row a setting, in the order in which people need them."""

CREDENTIALS: Final = ("EEN_BRANDING", "EEN_ACCOUNT_ID", "EEN_AUTH_KEY", "EEN_USERNAME", "EEN_PASSWORD")
"""Who logs in where; `.env.example` leaves these open, all others commented out."""

_LOGIN: Final = "run `python app.py login`, or"

_HEAD: Final = """\
# Settings of the Web-socket Event Delay Logger. Copy with `install -m 600 .env.example .env`, then fill in.
# The environment wins over this file; an empty value is an unset one. No blanks around the =.
# A relative path is taken from the directory of this file.
# Either `python app.py login` writes the first three for you, or paste them, or give user name and password.
"""


def env_example() -> str:
    """The text of `.env.example`."""
    parts = [_HEAD]
    for row in SETTINGS:
        told = f" (example: {row.example})" if row.name in CREDENTIALS and row.example else ""
        value = row.default or row.example
        line = f"{row.name}=" if row.name in CREDENTIALS else f"#{row.name}={value}"
        parts.append(f"\n# {row.meaning}{told}\n{line}\n")
    return "".join(parts)


def missing(values: Mapping[str, Any], malformed: set[str]) -> list[Problem]:
    """What a run lacks: a login, or key, account and branding (or base URL); `malformed` are told elsewhere."""
    user, password = values["username"], values["password"]
    if user and password:
        return []
    if (user or password) and not values["auth_key"]:
        name = "EEN_PASSWORD" if user else "EEN_USERNAME"
        told = Problem(name, "is not set", "a login needs both user name and password")
        return [] if name in malformed else [told]
    hints = {
        "EEN_AUTH_KEY": f"{_LOGIN} paste the auth_key cookie, or set EEN_USERNAME and EEN_PASSWORD",
        "EEN_ACCOUNT_ID": f"{_LOGIN} copy the 8 digits from the account settings",
        "EEN_BRANDING": f"{_LOGIN} give the part before .eagleeyenetworks.com in the browser, such as c000",
    }
    if values["base_url"] or "EEN_BASE_URL" in malformed:
        del hints["EEN_BRANDING"]
    unset = [row.name for row in SETTINGS if row.name in hints and not values[row.field]]
    return [Problem(name, "is not set", hints[name]) for name in unset if name not in malformed]
