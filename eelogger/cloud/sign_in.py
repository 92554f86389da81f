"""Find a session key, by logging in if needed.

A login that was refused is not repeated for 6 hours, also across restarts: a cron job every minute must not lock the
account. Password, code, token and key are in no `repr` and no exception.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ..clock import now_us
from ..errors import CloudError, KeyRefused, LoginRefused
from ..model import HOUR_US, RefusedLogin
from ..setting_types import Invalid, account, dns_label, session_key
from ..settings import PROGRAM, Settings
from .failures import KEY_HINT, refusal
from .rest import Answer, Rest

REFUSED_US: Final = 6 * HOUR_US
FRESH_S: Final = 60.0  # a key from a login that is refused this soon is no expired key: logging in again would not help
MAX_CODES: Final = 3  # how often a code of the second factor may be entered

# What the login answers when a person has to act: wrong password, account suspended, inactive, disabled.
_REFUSALS: Final = frozenset({400, 401, 402, 403, 412, 460, 461, 462})
_WRONG_CODE: Final = 406
_PASTE: Final = "paste EEN_AUTH_KEY from a browser"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What a login brought."""

    branding: str
    account_id: str
    auth_key: str = field(repr=False)


class SecondFactor(Protocol):
    """A person who can receive a code."""

    # One of the keys of `choices`, which maps "sms" and "email" to a masked address.
    async def choose(self, choices: Mapping[str, str]) -> str: ...

    async def code(self, attempt: int) -> str: ...  # `attempt` counts from 1; "" gives up


class Credentials:
    """The keys of one run; `remembered` is a refused login.

    `on_change` gets the one to remember from now on, None when a login worked again.
    """

    def __init__(
        self,
        remembered: RefusedLogin | None = None,
        on_change: Callable[[RefusedLogin | None], None] = lambda refused: None,
    ) -> None:
        self.remembered, self._on_change = remembered, on_change
        self._own: SessionKey | None = None
        self._own_since_s = 0.0
        self._refused: set[str] = set()

    async def sign_in(self, settings: Settings) -> Settings:
        """Return the settings with a key that was not refused yet, if need be by a login."""
        if settings.auth_key and settings.auth_key not in self._refused:
            return settings
        if self._own is None or self._own.auth_key in self._refused:
            if not settings.has_login:
                raise KeyRefused("the session key is refused", KEY_HINT)
            self._own = await self._login(settings)
            self._own_since_s = asyncio.get_running_loop().time()
        return settings.signed_in(self._own.branding, self._own.account_id, self._own.auth_key)

    def refuse(self, key: str, settings: Settings) -> bool:
        """Never use this key again; False when these settings offer no other way."""
        is_own = self._own is not None and key == self._own.auth_key
        fresh = is_own and asyncio.get_running_loop().time() - self._own_since_s < FRESH_S
        self._refused.add(key)
        if settings.auth_key and settings.auth_key not in self._refused:
            return True
        return settings.has_login and not fresh

    async def _login(self, settings: Settings) -> SessionKey:
        fingerprint, before = settings.fingerprint(), self.remembered
        # A clock that was put back does not make the wait longer.
        if before and before.fingerprint == fingerprint and 0 < before.until_us - now_us() <= REFUSED_US:
            raise _refused(before, "it was refused before: correct EEN_USERNAME and EEN_PASSWORD")
        try:
            key = await login(settings, settings.username, settings.password)
            self.remembered = None
        except LoginRefused as error:
            self.remembered = RefusedLogin(fingerprint, now_us() + REFUSED_US)
            raise _refused(self.remembered, f"{error}: {error.hint}") from None
        finally:
            if self.remembered != before:
                self._on_change(self.remembered)
        _log.info("logged in, a new session key is in use")
        return key


async def is_authorised(rest: Rest) -> bool:
    """Ask whether the cloud accepts the key, which keeps it alive; raises `CloudError` when it does not tell."""
    try:
        await rest.get("/g/aaa/isauth")
    except (KeyRefused, CloudError) as error:
        if isinstance(error, CloudError) and error.status != 403:
            raise
        return False
    return True


async def login(settings: Settings, username: str, password: str, person: SecondFactor | None = None) -> SessionKey:
    """Log in at the settings' login origin; raises `LoginRefused` when a person has to act, else `CloudError`."""
    # With an old key this would be the old session's request.
    async with Rest(replace(settings, auth_key=""), base=settings.login_base) as rest:
        first = await _call(rest, "/g/aaa/authenticate", {"username": username, "password": password})
        said = _object(first)
        token, choices = said.get("token"), said.get("two_factor_authentication_code")
        if not isinstance(token, str) or not token:
            raise CloudError("the login answer holds no token", "is EEN_BASE_URL right?", reason="login-answer")
        if choices:
            answer = await _with_code(rest, token, choices, person)
        else:
            answer = await _call(rest, "/g/aaa/authorize", {"token": token})
    return _session_key(answer, settings)


async def _with_code(rest: Rest, token: str, choices: Any, person: SecondFactor | None) -> Answer:
    if person is None:
        raise LoginRefused("the login asks for a second factor", f"run `{PROGRAM} login` and enter the code")
    offered = {
        kind: "".join(c for c in str(choices[kind])[:80] if c.isprintable())
        for kind in ("sms", "email")
        if isinstance(choices, dict) and choices.get(kind)
    }
    if not offered:
        message = "the login asks for a second factor that is neither SMS nor e-mail"
        raise CloudError(message, _PASTE, reason="login-answer")
    kind = await person.choose(offered)
    if kind not in offered:
        raise LoginRefused("no way for the second factor was chosen", f"choose {' or '.join(offered)}")
    await _call(rest, "/g/aaa/two_factor_authenticate", {"token": token, "two_factor_authentication_type": kind})
    for attempt in range(1, MAX_CODES + 1):
        if not (code := (await person.code(attempt)).strip()):
            break
        try:
            return await _call(rest, "/g/aaa/authorize", {"token": token, "two_factor_authentication_code": code})
        except CloudError as error:
            if error.status != _WRONG_CODE:
                raise
    raise LoginRefused("the code of the second factor was not accepted", "start the login again for a new code")


async def _call(rest: Rest, path: str, body: Mapping[str, str]) -> Answer:
    answer = await rest.call(path, body)
    if 200 <= answer.status < 300:
        return answer
    if answer.status in _REFUSALS:
        hint = "check user name and password by signing in with a browser; repeated failures may lock the account"
        raise LoginRefused(f"{rest.host} refuses the login (status {answer.status})", hint)
    raise refusal(answer.status, rest.host, answer.headers)


def _session_key(answer: Answer, settings: Settings) -> SessionKey:
    user = _object(answer)
    key = answer.cookies.get("auth_key") or answer.cookies.get("videobank_sessionid") or ""
    branding = str(user.get("active_brand_subdomain") or "")
    try:
        if branding or not (settings.branding or settings.base_url):
            branding = dns_label(branding)
        number = account(str(user.get("active_account_id") or settings.account_id))
        return SessionKey(branding, number, session_key(key))
    except Invalid as wrong:
        message = f"the login answer lacks something: {wrong.args[0]}"
    raise CloudError(message, f"set EEN_BRANDING and EEN_ACCOUNT_ID, or {_PASTE}", reason="login-answer")


def _object(answer: Answer) -> dict[str, Any]:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CloudError("the login answer is no JSON object", "is EEN_BASE_URL right?", reason="login-answer")
    return value


def _refused(refused: RefusedLogin, why: str) -> LoginRefused:
    # The message stays the same while it is waited for: cron hears of one trouble once a day.
    until = datetime.fromtimestamp(refused.until_us / 1e6, UTC)
    hint = f"{why}; the next try is at {until:%Y-%m-%d %H:%M} UTC, with other settings at once"
    return LoginRefused("the login is refused", hint)
