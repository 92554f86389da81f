"""Signing in; the second factor stands in test_login, when a login is made at all in test_session."""

import asyncio
import traceback
from collections.abc import Awaitable
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiohttp import web
from sites import API_KEY, KEY, PASSWORD, serve, settings_for
from virtual import virtually

from eelogger.cloud.sign_in import FRESH_S, Credentials, SessionKey, login
from eelogger.errors import CloudError, EeloggerError, KeyRefused, LoginRefused

TOKEN = "planted-token"


async def fails(kind: type[EeloggerError], call: Awaitable[Any]) -> Any:
    """The error a call ends with, which shows no secret."""
    with pytest.raises(kind) as caught:
        await call
    shown = f"{caught.value!r}{vars(caught.value)}" + "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in (KEY, PASSWORD, API_KEY, TOKEN) if secret in shown]
    assert caught.value.hint
    return caught.value


class LoginServer:
    """The login as documented; attributes make it misbehave."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.factor: Any = None
        self.user: Any = {"active_account_id": "00012345", "active_brand_subdomain": "C000"}
        self.cookies = {"auth_key": KEY}
        self.token: Any = TOKEN

    async def __call__(self, request: web.Request) -> web.Response:
        step, body = request.path.removeprefix("/g/aaa/"), await request.json()
        assert "Cookie" not in request.headers
        assert request.headers["Authentication"] == f"{API_KEY}:"
        if step in self.statuses:
            return web.Response(status=self.statuses[step], text=KEY)
        if step == "authenticate":
            if body != {"username": "ops", "password": PASSWORD}:
                return web.Response(status=401)
            return web.json_response({"token": self.token, "two_factor_authentication_code": self.factor})
        assert (step, body) == ("authorize", {"token": TOKEN})
        user = web.json_response(self.user)
        for name, value in self.cookies.items():
            user.set_cookie(name, value, httponly=True)
        return user


async def log_in(server: LoginServer, person: Any = None, password: str = PASSWORD) -> SessionKey:
    async with serve(server) as site:
        return await login(settings_for(site), "ops", password, person)


async def test_login() -> None:
    server = LoginServer()
    found = await log_in(server)
    assert found == SessionKey("c000", "00012345", KEY)
    assert KEY not in repr(found)
    server.cookies = {"videobank_sessionid": KEY, "auth_key": ""}
    assert (await log_in(server)).auth_key == KEY, "the older cookie counts too"
    await fails(LoginRefused, log_in(server, password="wrong"))
    server.factor = {"sms": "*** 779"}
    await fails(LoginRefused, log_in(server))  # nobody can give it


@pytest.mark.parametrize("step", ["authenticate", "authorize"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 412, 460, 461, 462, 404, 429, 500, 503])
async def test_a_login_that_fails_is_refused_or_may_pass(step: str, status: int) -> None:
    server = LoginServer()
    server.statuses[step] = status
    if status in (404, 429, 500, 503):
        assert (await fails(CloudError, log_in(server))).status == status
    else:
        assert (await fails(LoginRefused, log_in(server))).exit_code == 77


@pytest.mark.parametrize(
    "change",
    [
        *({"token": None}, {"token": 5}, {"cookies": {}}, {"cookies": {"auth_key": "a b"}}, {"user": []}),
        *(
            {"user": user}
            for user in ({"active_account_id": "../x"}, {"active_account_id": "1", "active_brand_subdomain": "a/"})
        ),
        *({"factor": factor} for factor in ({"pigeon": "x"}, {"sms": None}, "sms", ["sms"])),
    ],
)
async def test_login_answers_that_lack_something(change: dict[str, Any]) -> None:
    server = LoginServer()
    vars(server).update(change)
    await fails(CloudError, log_in(server, AsyncMock()))


# Which key a run uses


def test_a_key_that_is_refused_right_after_its_login_ends_the_run() -> None:
    """A new login would not help; later it does."""

    async def run() -> None:
        async with serve(LoginServer()) as site:
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
