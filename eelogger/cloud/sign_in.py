"""Find a session key, by logging in if needed; password, code, token and key are in no `repr` and no exception."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ..clock import now_us
from ..errors import CloudError, KeyRefused, LoginRefused
from ..model import HOUR_US, RefusedLogin
from ..setting_types import Invalid, account, dns_label, session_key
from ..settings import PROGRAM, Settings
from .failures import KEY_HINT
from .rest import Rest

REFUSED_US: Final = 6 * HOUR_US  # not repeated so long, also across restarts: a cron job must not lock the account
FRESH_S: Final = 60.0  # a key refused so soon after its login has not expired: another login would not help

# What the login answers when a person has to act: wrong password, account suspended, inactive, disabled.
_REFUSALS: Final = frozenset({400, 401, 402, 403, 412, 460, 461, 462})
_PASTE: Final = "set EEN_BRANDING, EEN_ACCOUNT_ID and EEN_BASE_URL, or paste EEN_AUTH_KEY from a browser"

_log = logging.getLogger(__name__)


class SecondFactor(Protocol):
    """A person who can receive a code."""

    async def choose(self, choices: Mapping[str, str]) -> str: ...  # a key of `choices`, masked addresses by kind
    async def code(self, attempt: int) -> str: ...  # `attempt` counts from 1; "" gives up


class Credentials:
    """The keys of one run; `remembered` is a refused login, which is not repeated for 6 hours."""

    def __init__(self, remembered: RefusedLogin | None = None) -> None:
        self.remembered = remembered
        self._own: Settings | None = None  # with what the latest login brought
        self._own_since_s = 0.0
        self._refused: set[str] = set()

    async def sign_in(self, settings: Settings) -> Settings:
        """Return the settings with a key that was not refused. It may log in."""
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
        self._refused.add(key)
        if settings.auth_key and settings.auth_key not in self._refused:
            return True
        is_own = self._own is not None and key == self._own.auth_key
        is_fresh = is_own and asyncio.get_running_loop().time() - self._own_since_s < FRESH_S
        return settings.has_login and not is_fresh

    async def _login(self, settings: Settings) -> Settings:
        fingerprint, refused = settings.fingerprint(), self.remembered
        why = "it was refused before: correct EEN_USERNAME and EEN_PASSWORD"
        # A clock that was put back does not make the wait longer.
        if not (refused and refused.fingerprint == fingerprint and 0 < refused.until_us - now_us() <= REFUSED_US):
            try:
                own = await login(settings)
                self.remembered = None
                _log.info("logged in, a new session key is in use")
                return own
            except LoginRefused as error:
                refused = self.remembered = RefusedLogin(fingerprint, now_us() + REFUSED_US)
                why = f"{error}: {error.hint}"
        until = datetime.fromtimestamp(refused.until_us / 1e6, UTC)
        hint = f"{why}; the next try is at {until:%Y-%m-%d %H:%M} UTC, with other settings at once"
        # The message stays the same while it is waited for: cron mails one problem once a day.
        raise LoginRefused("the login is refused", hint)


async def login(settings: Settings, person: SecondFactor | None = None) -> Settings:
    """Log in; returns the settings with what that brought. Raises `LoginRefused` when a person has to act."""
    # With an old key this would be the old session's request.
    async with Rest(replace(settings, auth_key="", base_url=settings.login_base)) as rest:
        first = await _call(rest, "authenticate", {"username": settings.username, "password": settings.password})
        token, choices = first.get("token"), first.get("two_factor_authentication_code")
        if not isinstance(token, str) or not token:
            raise CloudError("the login answer holds no token", _PASTE, reason="login-answer")
        if choices:
            user = await _with_code(rest, token, choices, person)
        else:
            user = await _call(rest, "authorize", {"token": token})
        key = rest.cookies.get("auth_key") or rest.cookies.get("videobank_sessionid") or ""
    branding = str(user.get("active_brand_subdomain") or "")
    try:
        return replace(
            settings,
            branding=dns_label(branding) if branding or not (settings.branding or settings.base_url) else "",
            account_id=account(str(user.get("active_account_id") or settings.account_id)),
            auth_key=session_key(key),
        )
    except Invalid as wrong:
        message = f"something in the login answer {wrong.args[0]}"
    raise CloudError(message, _PASTE, reason="login-answer")


async def _with_code(rest: Rest, token: str, choices: Any, person: SecondFactor | None) -> dict[str, Any]:
    if person is None:
        raise LoginRefused("the login asks for a second factor", f"run `{PROGRAM} login` and enter the code")
    choices = choices if isinstance(choices, dict) else {}
    if not (offered := {kind: str(choices[kind])[:80] for kind in ("sms", "email") if choices.get(kind)}):
        raise CloudError("the second factor is neither SMS nor e-mail", _PASTE, reason="login-answer")
    kind = await person.choose(offered)
    if kind not in offered:
        raise LoginRefused("no way for the second factor was chosen", f"choose {' or '.join(offered)}")
    await _call(rest, "two_factor_authenticate", {"token": token, "two_factor_authentication_type": kind})
    for attempt in (1, 2, 3):
        if not (code := (await person.code(attempt)).strip()):
            break
        try:
            return await _call(rest, "authorize", {"token": token, "two_factor_authentication_code": code})
        except CloudError as error:
            if error.status != 406:  # a wrong code
                raise
    raise LoginRefused("the code of the second factor was not accepted", "start the login again for a new code")


async def _call(rest: Rest, step: str, body: Mapping[str, str]) -> dict[str, Any]:
    try:
        answer = await rest.call(f"/g/aaa/{step}", body)
        return answer if isinstance(answer, dict) else {}
    except (KeyRefused, CloudError) as error:
        if error.status not in _REFUSALS:
            raise
        hint = "check user name and password by signing in with a browser; repeated failures may lock the account"
        raise LoginRefused(f"{rest.host} refuses the login (status {error.status})", hint) from None
