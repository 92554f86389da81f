"""Read the environment and `.env` into one frozen object; no secret is in a `repr`, a problem or a warning."""

# ruff: noqa: RUF009 (`_set` makes a field)
import os
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from . import setting_types as t
from .errors import Problem, SettingsError
from .model import NAMESPACES, Camera
from .setting_types import Invalid

_HOME: Final = Path(__file__).resolve().parent.parent
# Where `.env` and `logs` are: beside `app.py`, or in the current directory where the package is installed.
ROOT: Final = _HOME if (_HOME / "app.py").exists() else Path()
# What a user types to start it: help and hints call the program so.
PROGRAM: Final = "eelogger" if ROOT != _HOME or Path(sys.argv[0]).stem == "eelogger" else "python app.py"

ENV_FILE: Final = ROOT / ".env"  # the default settings file: the only one that may be missing

_DOMAIN: Final = "eagleeyenetworks.com"


class Setting(NamedTuple):
    """One setting of the environment and the field that holds it; `unset` is the value of an empty text."""

    name: str
    field: str
    unset: Any
    parse: Callable[[str], Any]
    help: str
    example: str
    default: str  # as a user would write it


Texts = tuple[str, ...]
Names = tuple[tuple[int, str], ...]
_UNSET: Final[dict[Any, Any]] = {str: "", Texts: (), Names: ()}  # by type


def _set(parse: Callable[[str], Any], meaning: str, example: str = "", default: str = "", secret: bool = False) -> Any:
    return field(repr=not secret, metadata={"row": (parse, meaning, example, default)})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was asked to do; `keep_days` is `EEN_KEEP_DAYS`, and so on; "" or None when unset."""

    branding: str = _set(t.dns_label, "active brand subdomain, one DNS label", "c000")
    account_id: str = _set(t.account, "account id (8 digits)", "00012345")
    auth_key: str = _set(t.session_key, "session key, the auth_key cookie", f"c000~{0:032d}", secret=True)
    username: str = _set(str, "user name; with a password it gets or renews a key", "ops@example.com", secret=True)
    password: str = _set(str, "password of that user; quote it with '...' if it holds # or blanks", secret=True)
    api_key: str = _set(t.header_token, "sent as `Authentication: <key>:` when set", secret=True)
    base_url: str = _set(
        t.origin,
        "another origin (tests, gateways) for REST, login and WebSocket; http for loopback only",
        "https://gateway.example:8443",
    )
    ca_file: Path | None = _set(Path, "file with further CA certificates (PEM)", "company-ca.pem")
    log_dir: Path = _set(Path, "where everything is written; --log-dir wins", default="logs")
    events: Texts = _set(t.four_ccs, "event types (four-CCs) to subscribe and measure", default="ANNT,ALRS")
    resources: Texts = _set(t.resources, "resources to subscribe; event,pre adds preview timestamps", default="event")
    namespaces: tuple[int, ...] | None = _set(t.numbers, "annotation namespaces to measure; empty: all", "101,103")
    namespace_names: Names = _set(t.names, "names for further namespaces", "300=GPS data;301=Doors")
    cameras: Texts = _set(t.items, "log only these cameras: ids, or names with * and ?; empty: all", "100e1e23,Front*")
    bridges: Texts = _set(t.items, "log only cameras on these bridges; written as EEN_CAMERAS", "100bb001,Site A*")
    keep_days: int = _set(t.days, "days of history to keep", default="30")
    log_max_bytes: int | None = _set(t.size_or_off, "bytes of history to keep; the oldest days go first", default="off")
    disk_buffer_bytes: int = _set(t.size, "bytes held in memory while the disk cannot be written", default="64M")
    metrics_file: Path | None = _set(Path, "file for Prometheus' textfile collector; empty: off", "eelogger.prom")
    warnings: tuple[str, ...] = ()

    @property
    def has_login(self) -> bool:
        """Whether a key can be had, or renewed, by logging in."""
        return bool(self.username and self.password)

    @property
    def login_base(self) -> str:
        """The origin that logs in."""
        return self.base_url or f"https://login.{_DOMAIN}"

    @property
    def namespace_table(self) -> dict[int, str]:
        """The names of annotation namespaces: the built-in ones and those set."""
        return NAMESPACES | dict(self.namespace_names)

    def rest_base(self) -> str:
        """The origin of REST calls."""
        return self.base_url or f"https://{self.branding}.{_DOMAIN}"

    def websocket_uri(self) -> str:
        """The address of the event stream: wss, or ws when the base URL is http."""
        scheme, _, host = self.rest_base().partition("://")
        return f"{'ws' if scheme == 'http' else 'wss'}://{host}/api/v2/Device/{self.account_id}/Events"

    def keeps(self, camera: Camera, bridge_name: str = "") -> bool:
        """Whether `EEN_CAMERAS` and `EEN_BRIDGES` keep this camera; they go by id or by name."""
        wanted = t.matches(self.cameras, camera.id, camera.name)
        return wanted and t.matches(self.bridges, camera.bridge, bridge_name)

    def signed_in(self, branding: str, account_id: str, auth_key: str) -> "Settings":
        """These settings with a new key; a branding and account that were set stay."""
        branding, account_id = self.branding or branding, self.account_id or account_id
        return replace(self, branding=branding, account_id=account_id, auth_key=auth_key)

    def fingerprint(self) -> str:
        """Tell whether the login changed since it was refused: 16 bits, which give no password away."""
        text = "\0".join((self.username, self.password, self.login_base))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=2, person=b"eelogger").hexdigest()


# All settings, in the order in which people need them.
SETTINGS: Final = tuple(
    Setting(f"EEN_{f.name.upper()}", f.name, _UNSET.get(f.type), *f.metadata["row"])
    for f in fields(Settings)
    if f.metadata
)

# Who logs in where; `.env.example` leaves these open and all others commented out.
CREDENTIALS: Final = tuple(row.name for row in SETTINGS[:5])

# What a run needs unless it logs in; the branding only without a base URL.
_NEEDED: Final = {
    "auth_key": f"run `{PROGRAM} login`, or paste the auth_key cookie, or set both EEN_USERNAME and EEN_PASSWORD",
    "account_id": f"run `{PROGRAM} login`, or copy the 8 digits as the README says",
    "branding": "give the part before .eagleeyenetworks.com in the browser's address, such as c000",
}


def load(
    env_file: Path | None = None,
    log_dir: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    need_credentials: bool = True,
) -> Settings:
    """Read all settings; raises `SettingsError` with every problem."""
    values, problems, warnings = _read(env_file, log_dir, os.environ if environ is None else environ)
    unset = {row.field: row.unset for row in SETTINGS if values.get(row.field) is None}
    settings = Settings(**(values | unset), warnings=tuple(warnings))
    if not need_credentials:  # malformed ones count as missing
        problems = [problem for problem in problems if problem.name not in CREDENTIALS]
    elif not settings.has_login:
        given = {*values, "branding"} if "base_url" in values else values
        lacking = [(f"EEN_{name.upper()}", hint) for name, hint in _NEEDED.items() if name not in given]
        problems += [Problem(name, "is not set", hint) for name, hint in lacking]
    if problems:
        raise SettingsError(problems, settings.warnings)
    return settings


def log_dir_of(env_file: Path | None, log_dir: Path | None) -> Path:
    """The log directory alone, whatever else is wrong with the settings."""
    values, _, _ = _read(env_file, log_dir, os.environ)
    return values["log_dir"] or ROOT / "logs"


def demo_settings(reach: Mapping[str, str], log_dir: Path | None) -> Settings:
    """Settings for an embedded cloud: all default but what reaches it, and `EEN_LOG_DIR`; without it `logs/demo`."""
    folder = os.environ.get("EEN_LOG_DIR", "").strip() or str(ROOT / "logs" / "demo")
    return load(None, log_dir, environ={**reach, "EEN_LOG_DIR": folder})


def proxy_for(url: str) -> str | None:
    """The proxy for a URL, the same for REST and WebSocket; it may hold a password: never print it."""
    parts = urlsplit(url)  # http and ws lead to this machine only
    host, proxies = parts.hostname or "", urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or t.is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{parts.port or 443}"):
        return None
    # curl accepts host:port alone, so it stands in many environments.
    return proxy if "://" in proxy else f"http://{proxy}"


def _read(
    env_file: Path | None, log_dir: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem], list[str]]:
    """The values by field (None for a malformed one), problems, warnings."""
    if env_file == ENV_FILE and not os.path.exists(ENV_FILE):
        env_file = None
    filed, problems, warnings = t.read_env_file(env_file) if env_file else ({}, [], [])
    for name in sorted({*environ, *filed} - {row.name for row in SETTINGS}):
        if name.upper().startswith("EEN_"):
            warnings.append(f"{name[:60]!a} is not a setting: the README lists all")
    values: dict[str, Any] = {"log_dir": log_dir.absolute()} if log_dir else {}
    for row in SETTINGS:
        own, of_file = environ.get(row.name, ""), filed.get(row.name, "")
        if row.field != "password":  # it may begin with a blank: around others blanks are slips of the hand
            own, of_file = own.strip(), of_file.strip()
        text = own or of_file or row.default
        if not text or row.field in values:
            continue
        values[row.field] = None
        try:
            if not text.isprintable() and row.field != "password":
                raise Invalid("holds a control character or is not UTF-8", "type it anew, without pasting")
            value = row.parse(text)
            if isinstance(value, Path):  # a relative path starts where its text was written
                base = Path() if own else env_file.parent if env_file and of_file else ROOT
                # Where `Path.expanduser` raises, this leaves `~name` as it is.
                value = (base / os.path.expanduser(value)).absolute()
            if row.field == "ca_file":
                t.check_certificates(value)
            values[row.field] = value
        except Invalid as wrong:
            problems.append(Problem(row.name, *wrong.args))
    return values, problems, warnings
