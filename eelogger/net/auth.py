"""Who we are to the cloud: is the key still good, and how to get a new one by logging in.

Decides the steps of the login, with and without a second factor; when to log in, and how long to wait after a
refusal, is `session`'s, how a person is asked is `login`'s. Invariant: password, code, token and key are in no
`repr` and no exception.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from ..env.validators import Invalid, account, dns_label, session_key
from ..errors import CloudError, LoginRefused
from ..settings import Settings
from .answer import Answer
from .rest import Rest
from .rest_errors import refusal

MAX_CODES: Final = 3
"""How often a wrong code is asked for again."""

_REFUSALS: Final = frozenset({400, 401, 402, 403, 412, 460, 461, 462})
"""What the login answers when a person has to act: wrong password, account suspended, inactive, disabled."""

_WRONG_CODE: Final = 406


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login brought; `branding` is "" when the cloud names none."""

    branding: str
    account_id: str
    auth_key: str = field(repr=False)


class SecondFactor(Protocol):
    """A person who can receive a code; `choices` maps "sms" and "email" to a masked address."""

    async def choose(self, choices: Mapping[str, str]) -> str:
        """Where the code is to be sent: one of the keys of `choices`."""

    async def code(self, attempt: int) -> str:
        """The code that arrived; `attempt` counts from 1, "" gives up."""


async def is_authorised(rest: Rest) -> bool:
    """Whether the cloud accepts the key; asking keeps it alive. Raises `CloudError` when it cannot be told."""
    answer = await rest.request("GET", "/g/aaa/isauth")
    if answer.status in (401, 403):
        return False
    if 200 <= answer.status < 300:
        return True
    raise refusal(answer.status, f"{rest.base.host}", answer.retry_after_s)


async def login(
    settings: Settings, username: str, password: str, second_factor: SecondFactor | None = None
) -> Credentials:
    """Log in at the settings' login origin; raises `LoginRefused` when a person has to act, else `CloudError`."""
    # An old key would make this the old session's request.
    async with Rest(replace(settings, auth_key=""), base=settings.login_base) as rest:
        asked = await _call(rest, "/g/aaa/authenticate", {"username": username, "password": password})
        found = _object(asked)
        token = found.get("token")
        if not isinstance(token, str) or not token:
            raise CloudError("the login answer holds no token", "is EEN_BASE_URL right?")
        choices = found.get("two_factor_authentication_code")
        if choices:
            answer = await _with_code(rest, token, choices, second_factor)
        else:
            answer = await _call(rest, "/g/aaa/authorize", {"token": token})
    return _credentials(answer, settings)


async def _with_code(rest: Rest, token: str, choices: Any, person: SecondFactor | None) -> Answer:
    if person is None:
        raise LoginRefused("the login asks for a second factor", "run `python app.py login` and enter the code")
    offered = {
        kind: "".join(c for c in str(choices[kind])[:80] if c.isprintable())
        for kind in ("sms", "email")
        if isinstance(choices, dict) and choices.get(kind)
    }
    if not offered:
        raise CloudError(
            "the login asks for a second factor that is neither SMS nor e-mail", "paste EEN_AUTH_KEY from a browser"
        )
    kind = await person.choose(offered)
    if kind not in offered:
        raise LoginRefused("no way for the second factor was chosen", f"choose {' or '.join(offered)}")
    await _call(rest, "/g/aaa/two_factor_authenticate", {"token": token, "two_factor_authentication_type": kind})
    for attempt in range(1, MAX_CODES + 1):
        code = (await person.code(attempt)).strip()
        if not code:
            break
        answer = await rest.request(
            "POST", "/g/aaa/authorize", {"token": token, "two_factor_authentication_code": code}
        )
        if answer.status != _WRONG_CODE:
            return _checked(rest, answer)
    raise LoginRefused("the code of the second factor was not accepted", "start the login again for a new code")


async def _call(rest: Rest, path: str, body: Mapping[str, str]) -> Answer:
    return _checked(rest, await rest.request("POST", path, body))


def _checked(rest: Rest, answer: Answer) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    if answer.status in _REFUSALS:
        raise LoginRefused(
            f"{rest.base.host} refuses the login (status {answer.status})",
            "check user name and password by signing in with a browser; repeated failures may lock the account",
        )
    raise refusal(answer.status, f"{rest.base.host}", answer.retry_after_s)


def _credentials(answer: Answer, settings: Settings) -> Credentials:
    user = _object(answer)
    key = answer.cookies.get("auth_key") or answer.cookies.get("videobank_sessionid") or ""
    branding = str(user.get("active_brand_subdomain") or "")
    try:
        return Credentials(
            dns_label(branding) if branding or not (settings.branding or settings.base_url) else "",
            account(str(user.get("active_account_id") or settings.account_id)),
            session_key(key),
        )
    except Invalid as wrong:
        told = f"the login answer lacks something: {wrong.message}"
    raise CloudError(told, "set EEN_BRANDING and EEN_ACCOUNT_ID, or paste EEN_AUTH_KEY from a browser")


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CloudError("the login answer is no JSON object", "is EEN_BASE_URL right?")
    return found
