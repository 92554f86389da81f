"""The REST side: camera list, `isauth`, login with and without a second factor, and the faults scripted for them.

Answers from `CloudState` only. A key is taken from the cookie `auth_key` or, older, `videobank_sessionid` [doc]; error
bodies are plain text, since they need not be JSON [doc].
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from .state import Call, CloudState

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LIST_PATH: Final = "/g/device/list"
TOKEN_VALID_S: Final = 30.0
"""Between authenticate and authorize [doc]."""
SECOND_FACTOR_VALID_S: Final = 900.0
"""The same when a code has to be fetched from a phone [doc]."""


def may_pass(state: CloudState, request: web.BaseRequest) -> bool:
    """Whether the request carries the session key: in one of two cookies, for the WebSocket also as `?A=` [doc]."""
    cookies = request.cookies
    given = [cookies.get("auth_key"), cookies.get("videobank_sessionid")]
    if request.path.startswith("/api/"):
        given.append(request.query.get("A"))
    return bool(state.auth_key) and state.auth_key in given


class Rest:
    """Handlers over one `CloudState`; tokens of logins under way are its only own state."""

    def __init__(self, state: CloudState) -> None:
        self._state = state
        self._tokens: dict[str, float] = {}

    def routes(self) -> list[web.RouteDef]:
        """What is served; any other path is 404."""
        return [
            web.get(LIST_PATH, self.device_list),
            web.get(LIST_PATH + "/", self.trailing_slash),
            web.get("/g/aaa/isauth", self.isauth),
            web.post("/g/aaa/authenticate", self.authenticate),
            web.post("/g/aaa/two_factor_authenticate", self.two_factor_authenticate),
            web.post("/g/aaa/authorize", self.authorize),
        ]

    def middleware(self) -> Any:
        """Notes each call, then lets scripted faults answer before the handlers."""

        @web.middleware
        async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
            state = self._state
            state.calls.append(Call(time.monotonic(), request.method, request.path_qs, dict(request.headers)))
            upgrade = request.path.startswith("/api/")
            await asyncio.sleep(state.handshake_delay_s if upgrade else state.delay_rest_s)
            if state.redirect_to is not None:
                return web.Response(status=302, headers={"Location": state.redirect_to + request.path_qs})
            status = state.rest_status.get(request.path)
            if request.path == LIST_PATH and state.list_status is not None:
                status = state.list_status
            headers = state.rest_headers
            if upgrade:
                status, headers = state.handshake_status, state.handshake_headers
            return await handler(request) if status is None else _refusal(status, headers)

        return faults

    async def date_header(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """A `Date` in whole seconds, cut, by the cloud's own clock; on upgrades too."""
        seconds = int(time.time() + self._state.date_offset_s)
        response.headers["Date"] = email.utils.formatdate(seconds, usegmt=True)

    async def device_list(self, request: web.Request) -> web.StreamResponse:
        """All devices in one array, no paging [doc]."""
        if not may_pass(self._state, request):
            return _refusal(401)
        body = self._state.list_body
        text = json.dumps(self._state.device_rows) if body is None else body
        return web.Response(text=text, content_type="application/json")

    async def trailing_slash(self, request: web.Request) -> web.StreamResponse:
        """`/g/device/list/` is an error of the server [seen]."""
        return _refusal(500)

    async def isauth(self, request: web.Request) -> web.StreamResponse:
        """200 or 401 [doc]."""
        return web.json_response(True) if may_pass(self._state, request) else _refusal(401)

    async def authenticate(self, request: web.Request) -> web.StreamResponse:
        """User name and password for a token, which is short-lived unless a second factor is asked for [doc]."""
        state = self._state
        fields = await _fields(request, "username", "password")
        if fields is None:
            return _refusal(400)
        if state.api_key and request.headers.get("Authentication") != f"{state.api_key}:":
            return _refusal(401)
        if (fields["username"], fields["password"]) != (state.username, state.password):
            return _refusal(401)
        token = secrets.token_hex(16)
        self._tokens[token] = time.monotonic() + (SECOND_FACTOR_VALID_S if state.second_factor else TOKEN_VALID_S)
        answer: dict[str, Any] = {"token": token}
        if state.second_factor:
            answer["two_factor_authentication_code"] = dict(state.second_factor)
        return web.json_response(answer)

    async def two_factor_authenticate(self, request: web.Request) -> web.StreamResponse:
        """Send a code over the way the user chose [doc]."""
        fields = await _fields(request, "token", "two_factor_authentication_type")
        if fields is None or fields["two_factor_authentication_type"] not in self._state.second_factor:
            return _refusal(400)
        if not self._is_valid(fields["token"]):
            return _refusal(401)
        self._state.codes_sent.append(fields["two_factor_authentication_type"])
        return web.json_response({})

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """The token (and the code, where one was demanded; 406 when wrong) for user object and cookie [doc]."""
        state = self._state
        fields = await _fields(request, "token")
        if fields is None:
            return _refusal(400)
        if not self._is_valid(fields["token"]):
            return _refusal(401)
        code = fields.get("two_factor_authentication_code")
        if state.second_factor and (code != state.second_factor_code or not state.codes_sent):
            return _refusal(406)
        del self._tokens[fields["token"]]
        user = {
            "user_id": "ca0e1cf2",
            "email": state.username,
            "active_account_id": state.account_id,
            "active_brand_subdomain": state.branding,
        }
        answer = web.json_response(user)
        answer.set_cookie("auth_key", state.auth_key, path="/", httponly=True)
        answer.set_cookie("videobank_sessionid", state.auth_key, path="/", httponly=True)
        return answer

    def expire_tokens(self) -> None:
        """Let every login under way run out of time."""
        self._tokens.clear()

    def _is_valid(self, token: str) -> bool:
        return self._tokens.get(token, 0.0) > time.monotonic()


async def _fields(request: web.Request, *needed: str) -> dict[str, str] | None:
    try:
        body = json.loads(await request.text())
    except ValueError:
        return None
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in needed):
        return None
    return body


def _refusal(status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{status}: refused\n", headers=headers)
