"""Small HTTP servers on loopback, settings that lead to them, and secrets to plant."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from eelogger.settings import Settings, load

KEY = "c000~" + "0" * 31 + "7"
PASSWORD = "planted-password"
API_KEY = "planted-api-key"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serve(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers every path by `handler`; yields its origin."""
    server = web.Server(handler)  # type: ignore[arg-type]
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield f"{'https' if context else 'http'}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await server.shutdown()


def settings_for(base: str, **more: str) -> Settings:
    """Settings for an origin; `more` are settings without their EEN_."""
    named = {f"EEN_{name.upper()}": value for name, value in more.items()}
    reach = {"EEN_BASE_URL": base, "EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": KEY, "EEN_API_KEY": API_KEY}
    return load(environ=reach | named)
