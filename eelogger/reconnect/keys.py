"""Which session key an attempt uses: the one set, else one had by logging in; none that was refused before.

Decides when a login is tried and how a refused one is remembered (`.state`, so that a cron job every minute never
locks an account); the steps of a login are `auth`'s. Invariant: a login that was refused is not repeated before its
time, unless user name, password or login address changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ..backoff import RefusedLogin
from ..clock import now_us
from ..errors import KeyRefused, LoginRefused
from ..net.auth import Credentials, login
from ..settings import Settings
from ..text.times import time_text

FRESH_S: Final = 60.0
"""A key from a login that is refused this soon is no expired key: logging in again would not help."""

_REFUSED: Final = "the login is refused"
"""Said alike when it happens and while it is waited for: a cron job tells the same trouble once a day."""

_log = logging.getLogger(__name__)


class Keys:
    """The keys of one run; `remembered` is what `.state` says of a refused login, `on_change` has it written."""

    def __init__(self, remembered: RefusedLogin | None = None, on_change: Callable[[], None] = lambda: None) -> None:
        self.remembered = remembered
        self._on_change = on_change
        self._own: Credentials | None = None
        self._own_since = 0.0
        self._refused: set[str] = set()

    async def sign_in(self, settings: Settings) -> Settings:
        """The settings with a key that has not been refused; logs in for one if need be.

        Raises `KeyRefused` when there is no way to one, `LoginRefused` when the login is, or was lately, refused.
        """
        if settings.auth_key and settings.auth_key not in self._refused:
            return settings
        if self._own is None or self._own.auth_key in self._refused:
            if not settings.has_login:
                raise KeyRefused("the session key is refused", "run `python app.py login`, or set a new EEN_AUTH_KEY")
            self._own = await self._login(settings)
            self._own_since = _now_s()
        return settings.signed_in(self._own.branding, self._own.account_id, self._own.auth_key)

    def refuse(self, key: str, settings: Settings) -> bool:
        """Never use this key again; False when these settings offer no other way."""
        fresh = self._own is not None and key == self._own.auth_key and _now_s() - self._own_since < FRESH_S
        self._refused.add(key)
        if settings.auth_key and settings.auth_key not in self._refused:
            return True
        return settings.has_login and not fresh

    async def _login(self, settings: Settings) -> Credentials:
        fingerprint = settings.fingerprint()
        refused = self.remembered
        if refused is not None and refused.blocks(fingerprint, now_us()):
            raise _refusal(refused, "it was refused before: correct EEN_USERNAME and EEN_PASSWORD")
        try:
            credentials = await login(settings, settings.username, settings.password)
        except LoginRefused as error:
            self.remembered = RefusedLogin.after(refused, fingerprint, now_us())
            self._on_change()
            raise _refusal(self.remembered, f"{error}: {error.hint}") from None
        _log.info("logged in, a new session key is in use")
        if self.remembered is not None:
            self.remembered = None
            self._on_change()
        return credentials


def _refusal(refused: RefusedLogin, why: str) -> LoginRefused:
    until = time_text(refused.until_us)
    return LoginRefused(_REFUSED, f"{why}; the next try is at {until}, with other settings at once")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
