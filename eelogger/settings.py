"""The settings of one run: environment and `.env` in, one frozen object out, all problems at once.

The only room that reads the environment (proxies included). `settings_table` says which settings there are,
`validators` what each accepts; here is decided where a value comes from (the environment wins, empty is unset),
what a run needs, and what follows from it: addresses, filters. Invariant: no secret is in a `repr`, a problem or a
warning.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from .env.env_file import read_env_file, unknown_names
from .env.settings_table import CREDENTIALS, SETTINGS, Setting, missing
from .env.validators import KEY_SHAPE, Invalid, is_loopback
from .errors import Problem, SettingsError
from .model import NAMESPACES, Camera

ROOT: Final = Path(__file__).resolve().parent.parent
"""Where `app.py` stands."""

ENV_FILE: Final = ROOT / ".env"
"""The default settings file: the only one that may be missing."""

_DOMAIN: Final = "eagleeyenetworks.com"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was asked to do; each field is the setting of the same name, "" or None when unset."""

    branding: str
    account_id: str
    auth_key: str = field(repr=False)
    username: str = field(repr=False)
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    base_url: str
    ca_file: Path | None
    log_dir: Path
    events: tuple[str, ...]
    resources: tuple[str, ...]
    namespaces: frozenset[int] | None
    namespace_names: tuple[tuple[int, str], ...]
    cameras: tuple[str, ...]
    bridges: tuple[str, ...]
    keep_days: int
    log_max_bytes: int | None
    disk_buffer_bytes: int
    metrics_file: Path | None
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

    def rest_base(self, branding: str = "") -> str:
        """The origin of REST calls, by default for the branding set."""
        return self.base_url or f"https://{branding or self.branding}.{_DOMAIN}"

    def websocket_uri(self, branding: str = "", account_id: str = "") -> str:
        """The address of the event stream: wss, or ws when the base URL is http."""
        scheme, _, host = self.rest_base(branding).partition("://")
        account = account_id or self.account_id
        return f"{'ws' if scheme == 'http' else 'wss'}://{host}/api/v2/Device/{account}/Events"

    def keeps(self, camera: Camera, bridge_name: str = "") -> bool:
        """Whether `EEN_CAMERAS` and `EEN_BRIDGES` keep this camera; they go by id or by name."""
        return _matches(self.cameras, camera.id, camera.name) and _matches(self.bridges, camera.bridge, bridge_name)

    def signed_in(self, branding: str, account_id: str, auth_key: str) -> Settings:
        """These settings with a new key; a branding and account that were set stay."""
        return replace(
            self,
            branding=self.branding or branding,
            account_id=self.account_id or account_id,
            auth_key=auth_key,
        )

    def fingerprint(self) -> str:
        """Tells whether the login changed since it was refused; four hex digits, so that it tells nothing else.

        16 bits cannot give a password away; one change in 65,536 goes unnoticed and waits for the next try.
        """
        text = "\0".join((self.username, self.password, self.login_base))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=2, person=b"eelogger").hexdigest()


def load(
    environ: Mapping[str, str] | None,
    env_file: Path | None,
    *,
    log_dir: Path | None = None,
    need_credentials: bool = True,
) -> Settings:
    """Read all settings; `environ` None is this process's. Raises `SettingsError` with every problem and
    warning found.

    Without `need_credentials` (login, report) missing credentials are fine and malformed ones only a warning.
    """
    environ = os.environ if environ is None else environ
    problems: list[Problem] = []
    warnings: list[str] = []
    filed = read_env_file(env_file, problems, warnings, optional=env_file == ENV_FILE)
    warnings += unknown_names(environ, filed)
    values: dict[str, Any] = {}
    for row in SETTINGS:
        text, base = _find(row, environ, filed, env_file)
        try:
            values[row.field] = row.read(text, base)
        except Invalid as wrong:
            values[row.field] = row.unset
            problems.append(Problem(row.name, wrong.message, wrong.hint))
    if log_dir is not None:
        values["log_dir"] = log_dir.absolute()
    if need_credentials:
        problems += missing(values, {problem.name for problem in problems})
    else:
        warnings += [f"{p.name}: {p.message} ({p.hint})" for p in problems if p.name in CREDENTIALS]
        problems = [p for p in problems if p.name not in CREDENTIALS]
    if values["auth_key"] and not values["base_url"] and not KEY_SHAPE.fullmatch(values["auth_key"]):
        warnings.append("EEN_AUTH_KEY does not look like a session key (c000~ and 32 hex digits)")
    if problems:
        raise SettingsError(problems, warnings)
    return Settings(**values, warnings=tuple(warnings))


def wants_colour() -> bool:
    """Whether the environment leaves colour on (`NO_COLOR`, see no-color.org)."""
    return not os.environ.get("NO_COLOR")


def log_dir_of(environ: Mapping[str, str] | None, env_file: Path | None, log_dir: Path | None) -> Path:
    """The log directory alone, whatever else is wrong with the settings."""
    if log_dir is not None:
        return log_dir.absolute()
    filed = read_env_file(env_file, [], [], optional=True)
    row = next(row for row in SETTINGS if row.name == "EEN_LOG_DIR")
    text, base = _find(row, os.environ if environ is None else environ, filed, env_file)
    try:
        found: Path = row.read(text, base)
    except Invalid:
        return ROOT / row.default
    return found


def demo(base_url: str, account_id: str, auth_key: str, log_dir: Path | None = None) -> Settings:
    """Settings for the demo cloud: all default but `EEN_LOG_DIR`; without it `logs/demo`."""
    environ = {"EEN_BASE_URL": base_url, "EEN_ACCOUNT_ID": account_id, "EEN_AUTH_KEY": auth_key}
    told = os.environ.get("EEN_LOG_DIR", "").strip()
    return load(environ | {"EEN_LOG_DIR": told or str(ROOT / "logs" / "demo")}, None, log_dir=log_dir)


def proxy_for(url: str) -> str | None:
    """The proxy for a URL, by the rules of the websockets library, so that REST and WebSocket take the same way.

    Loopback never has one. The answer may hold a password: never print it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme in ("https", "wss")
    port = parts.port or (443 if secure else 80)
    if is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{port}"):
        return None
    proxies = urllib.request.getproxies()
    for scheme in ("wss", "socks", "https") if secure else ("ws", "socks", "https", "http"):
        proxy = proxies.get(scheme)
        if proxy:
            # curl accepts host:port alone, so it stands in many environments.
            proxy = proxy if "://" in proxy else f"http://{proxy}"
            return proxy.replace("http://", "socks5h://", 1) if scheme == "socks" else proxy
    return None


def _find(
    row: Setting, environ: Mapping[str, str], filed: Mapping[str, str], env_file: Path | None
) -> tuple[str, Path]:
    """The text of a setting, and the directory that a relative path in it starts from: where it was written."""
    for source, base in ((environ, Path()), (filed, env_file.parent if env_file else Path())):
        text = source.get(row.name, "")
        # Blanks around a value are slips of the hand, but a password may begin with one.
        text = text if row.name == "EEN_PASSWORD" else text.strip()
        if text:
            return text, base
    return row.default, ROOT


def _matches(wanted: tuple[str, ...], *texts: str) -> bool:
    # Only * and ? are wild: camera names hold brackets, and "Gate [2]" must mean itself.
    patterns = [item.casefold().replace("[", "[[]") for item in wanted]
    return not wanted or any(fnmatchcase(text.casefold(), p) for p in patterns for text in texts)
