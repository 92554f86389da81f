"""Signing in, with and without a second factor; when a login is made at all stands in test_session."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest
from aiohttp import web
from sites import API_KEY, KEY, PASSWORD, serve, settings_for
from virtual import virtually

from eelogger.cloud.sign_in import FRESH_S, Credentials, SessionKey, login
from eelogger.errors import CloudError, EeloggerError, KeyRefused, LoginRefused

CODE = "planted-123456"
TOKEN = "planted-token"


async def fails(kind: type[EeloggerError], call: Awaitable[Any]) -> Any:
    """The error a call ends with, which shows no secret."""
    with pytest.raises(kind) as caught:
        await call
    shown = f"{caught.value!r}{vars(caught.value)}" + "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in (KEY, PASSWORD, API_KEY, CODE, TOKEN) if secret in shown]
    assert caught.value.hint
    return caught.value


class LoginServer:
    """The login as documented; attributes make it misbehave."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.factor: dict[str, str] = {}
        self.user: Any = {"active_account_id": "00012345", "active_brand_subdomain": "C000"}
        self.cookies = {"auth_key": KEY}
        self.token: Any = TOKEN
        self.calls: list[tuple[str, Any]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        step = request.path.removeprefix("/g/aaa/")
        body = await request.json()
        self.calls.append((step, body))
        assert "Cookie" not in request.headers
        assert request.headers["Authentication"] == f"{API_KEY}:"
        if step in self.statuses:
            return web.Response(status=self.statuses[step], text=KEY)
        if step == "authenticate":
            if body != {"username": "ops", "password": PASSWORD}:
                return web.Response(status=401)
            more = {"two_factor_authentication_code": self.factor} if self.factor else {}
            return web.json_response({"token": self.token} | more)
        if step == "authorize":
            assert body["token"] == TOKEN
            if self.factor and body.get("two_factor_authentication_code") != CODE:
                return web.Response(status=406)
            user = web.json_response(self.user)
            for name, value in self.cookies.items():
                user.set_cookie(name, value, httponly=True)
            return user
        assert body == {"token": TOKEN, "two_factor_authentication_type": "sms"}
        return web.json_response({})


class Person:
    """Chooses SMS and enters these codes, one after the other."""

    def __init__(self, *codes: str, choice: str = "sms") -> None:
        self.codes = list(codes)
        self.choice = choice
        self.choices: Mapping[str, str] = {}
        self.attempts: list[int] = []

    async def choose(self, choices: Mapping[str, str]) -> str:
        self.choices = choices
        return self.choice

    async def code(self, attempt: int) -> str:
        self.attempts.append(attempt)
        return self.codes.pop(0)


async def log_in(server: LoginServer, person: Person | None = None, password: str = PASSWORD) -> SessionKey:
    async with serve(server) as site:
        return await login(settings_for(site), "ops", password, person)


async def test_login() -> None:
    server = LoginServer()
    found = await log_in(server)
    assert found == SessionKey("c000", "00012345", KEY)
    assert KEY not in repr(found)
    assert [step for step, _ in server.calls] == ["authenticate", "authorize"]
    server.cookies = {"videobank_sessionid": KEY, "auth_key": ""}
    assert (await log_in(server)).auth_key == KEY, "the older cookie counts too"
    await fails(LoginRefused, log_in(server, password="wrong"))


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
        {"token": None},
        {"token": 5},
        {"cookies": {}},
        {"cookies": {"auth_key": "a b"}},
        {"user": []},
        {"user": {"active_account_id": "../x"}},
        {"user": {"active_account_id": "1", "active_brand_subdomain": "evil.test/"}},
        *({"factor": factor} for factor in ({"pigeon": "x"}, {"sms": None}, "sms", ["sms"])),
    ],
)
async def test_login_answers_that_lack_something(change: dict[str, Any]) -> None:
    server = LoginServer()
    vars(server).update(change)
    await fails(CloudError, log_in(server, Person(CODE)))


async def test_login_with_a_second_factor() -> None:
    server, person = LoginServer(), Person("wrong", f" {CODE} ")
    server.factor = {"sms": "*** 779\x1b[2J", "email": "***@x", "pigeon": "y"}
    assert (await log_in(server, person)).auth_key == KEY
    assert person.choices == {"sms": "*** 779[2J", "email": "***@x"}
    assert person.attempts == [1, 2]
    assert [step for step, _ in server.calls] == ["authenticate", "two_factor_authenticate", *["authorize"] * 2]


@pytest.mark.parametrize(
    ("person", "calls"),
    [(None, 1), (Person(choice=""), 1), (Person("a", "b", "c"), 5), (Person(""), 2)],
    ids=["nobody to ask", "no choice", "three wrong codes", "gives up"],
)
async def test_second_factors_that_fail(person: Person | None, calls: int) -> None:
    server = LoginServer()
    server.factor = {"sms": "*** 779"}
    await fails(LoginRefused, log_in(server, person))
    assert len(server.calls) == calls


# Which key a run uses


def test_a_key_of_ones_own_comes_first_and_a_refused_one_never_again() -> None:
    async def run() -> None:
        async with serve(LoginServer()) as site:
            settings = settings_for(site, username="ops", password=PASSWORD, auth_key="k1")
            credentials = Credentials()
            assert (await credentials.sign_in(settings)).auth_key == "k1"
            assert credentials.refuse("k1", settings_for(site, auth_key="k2")), "another one was pasted"
            assert not credentials.refuse("k1", settings_for(site, auth_key="k1"))
            with pytest.raises(KeyRefused):
                await credentials.sign_in(settings_for(site, auth_key="k1"))
            signed = await credentials.sign_in(settings)
            assert (signed.auth_key, signed.account_id) == (KEY, "1")
            assert (await credentials.sign_in(settings)).auth_key == KEY, "kept"
            assert not credentials.refuse(KEY, settings), "refused at once, a new login would not help"
            await asyncio.sleep(FRESH_S)
            assert credentials.refuse(KEY, settings)

    virtually(run())
