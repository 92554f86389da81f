"""Signing in; the second factor stands in test_login, when a login is made at all in test_session."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiohttp import web
from sites import API_KEY, KEY, PASSWORD, serve, settings_for
from virtual import virtually

from eelogger.cloud.sign_in import FRESH_S, Credentials, login
from eelogger.errors import CloudError, EeloggerError, KeyRefused, LoginRefused
from eelogger.settings import Settings

TOKEN = "planted-token"


async def fails(kind: type[EeloggerError], call: Awaitable[Any]) -> Any:
    """The error a call ends with, which shows no secret."""
    with pytest.raises(kind) as caught:
        await call
    shown = f"{caught.value!r}{vars(caught.value)}" + "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in (KEY, PASSWORD, API_KEY, TOKEN) if secret in shown]
    assert caught.value.hint
    return caught.value


USER = {"active_account_id": "00012345", "active_brand_subdomain": "C000"}


@asynccontextmanager
async def login_server(
    *, status: dict[str, int] | None = None, token: Any = TOKEN, factor: Any = None, user: Any = USER,
    cookies: dict[str, str] | None = None,
) -> AsyncIterator[str]:  # fmt: skip
    """The login as documented, but for what is given; `status` goes by step."""

    async def handle(request: web.Request) -> web.Response:
        step, body = request.path.removeprefix("/g/aaa/"), await request.json()
        assert "Cookie" not in request.headers
        assert request.headers["Authentication"] == f"{API_KEY}:"
        if status and step in status:
            return web.Response(status=status[step], text=KEY)
        if step == "authenticate":
            if body != {"username": "ops", "password": PASSWORD}:
                return web.Response(status=401)
            return web.json_response({"token": token, "two_factor_authentication_code": factor})
        assert (step, body) == ("authorize", {"token": TOKEN})
        answer = web.json_response(user)
        for name, value in ({"auth_key": KEY} if cookies is None else cookies).items():
            answer.set_cookie(name, value, httponly=True)
        return answer

    async with serve(handle) as site:
        yield site


async def log_in(person: Any = None, password: str = PASSWORD, **odd: Any) -> Settings:
    async with login_server(**odd) as site:
        return await login(settings_for(site, username="ops", password=password), person)


async def test_login() -> None:
    found = await log_in()
    assert (found.branding, found.account_id, found.auth_key) == ("c000", "00012345", KEY)
    assert KEY not in repr(found)
    older = await log_in(cookies={"videobank_sessionid": KEY, "auth_key": ""})
    assert older.auth_key == KEY, "the older cookie counts too"
    await fails(LoginRefused, log_in(password="wrong"))
    await fails(LoginRefused, log_in(factor={"sms": "*** 779"}))  # nobody can give it


@pytest.mark.parametrize("step", ["authenticate", "authorize"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 412, 460, 461, 462, 404, 429, 500, 503])
async def test_a_login_that_fails_is_refused_or_may_pass(step: str, status: int) -> None:
    if status in (404, 429, 500, 503):
        assert (await fails(CloudError, log_in(status={step: status}))).status == status
    else:
        assert (await fails(LoginRefused, log_in(status={step: status}))).exit_code == 77


@pytest.mark.parametrize(
    "odd",
    [
        *({"token": None}, {"token": 5}, {"cookies": {}}, {"cookies": {"auth_key": "a b"}}),
        {"user": {"active_account_id": "../x"}},
        {"user": {"active_account_id": "1", "active_brand_subdomain": "a/"}},
        *({"factor": factor} for factor in ({"pigeon": "x"}, {"sms": None}, "sms", ["sms"])),
    ],
)
async def test_login_answers_that_lack_something(odd: dict[str, Any]) -> None:
    await fails(CloudError, log_in(AsyncMock(), **odd))


def test_a_key_that_is_refused_right_after_its_login_ends_the_run() -> None:
    """A new login would not help; later it does."""

    async def run() -> None:
        async with login_server() as site:
            settings = settings_for(site, username="ops", password=PASSWORD, auth_key="k1")
            credentials = Credentials()
            assert credentials.refuse("k1", settings)
            assert (await credentials.sign_in(settings)).auth_key == KEY
            assert not credentials.refuse(KEY, settings)
            await asyncio.sleep(FRESH_S)
            assert credentials.refuse(KEY, settings)
            with pytest.raises(KeyRefused):
                await credentials.sign_in(settings_for(site, auth_key="k1"))

    virtually(run())
