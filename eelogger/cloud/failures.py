"""Say what each failure means, and whether to try again. A `CloudError` is retried for ever, others end a run.

No message holds a library's text, in which headers or a proxy's password may stand.
"""

import asyncio
import logging
import os
import random
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp
from aiohttp import http_exceptions as http
from websockets import exceptions as ws

from ..errors import CertificateRefused, CloudError, EeloggerError, KeyRefused
from ..model import Timing
from ..settings import PROGRAM

_NETWORK: Final = "check this machine's network, firewall and DNS"
_ADDRESS: Final = "check EEN_BRANDING, EEN_ACCOUNT_ID and EEN_BASE_URL"
_THROUGH: Final = "cannot reach {host} through the proxy: {why}"
_PROXY: Final = "check HTTPS_PROXY, ALL_PROXY, NO_PROXY (http alone, no socks) and the proxy's user name and password"
GATEWAY_HINT: Final = "check EEN_BASE_URL, and the gateway or proxy on the way"
NOT_ASKED_FOR: Final = "answers in an encoding that was not asked for"
ACCOUNT_HINT: Final = "is EEN_ACCOUNT_ID the account of this key?"
KEY_HINT: Final = f"log in again with `{PROGRAM} login`, or paste a new EEN_AUTH_KEY into .env"

_PROXY_ERRORS: Final = (aiohttp.ClientHttpProxyError, aiohttp.NonHttpUrlClientError, ws.InvalidProxy, ws.ProxyError)
# The first row that fits an exception or one of its causes, so what libraries raise stands before what they wrap.
_EXCEPTIONS: Final[tuple[tuple[Any, str, str, str], ...]] = (
    ((http.LineTooLong, ws.SecurityError), "too-large", "{host} sends too many or too long headers", _ADDRESS),
    (aiohttp.ClientPayloadError, "broken-answer", "the answer of {host} broke off or cannot be decoded", _NETWORK),
    (http.ContentEncodingError, "encoding", f"{{host}} {NOT_ASKED_FOR}", GATEWAY_HINT),
    ((ImportError, *_PROXY_ERRORS), "proxy", _THROUGH, _PROXY),
    (ws.InvalidHandshake, "handshake", "{host} opens no WebSocket", "a proxy or firewall may not let WebSockets pass"),
    (ValueError, "address", "the address of {host} or of its proxy is malformed", f"{_ADDRESS}, and HTTPS_PROXY"),
    (socket.gaierror, "dns", "cannot find the address of {host}", f"{_NETWORK}, EEN_BRANDING and HTTPS_PROXY"),
    (TimeoutError, "timeout", "{host} does not answer in time", _NETWORK),
    (ssl.SSLError, "tls", "cannot agree on TLS with {host}", "something between here and there speaks no TLS"),
    (aiohttp.ClientResponseError, "no-http", "{host} does not answer in HTTP", _ADDRESS),
    ((OSError, aiohttp.ServerDisconnectedError), "network", "cannot connect to {host}: {why}", _NETWORK),
    (Exception, "unexpected", "the call to {host} failed ({kind})", "see eelogger.log; please report it"),
)
_WRAPPERS: Final = (aiohttp.ClientError, http.HttpProcessingError, ws.WebSocketException)

# What the proxy is the first to be asked about, where there is one.
_OF_PROXY: Final = frozenset({"address", "dns", "network", "timeout", "no-http"})

# By status, or by its hundreds.
_STATUSES: Final[dict[int, tuple[str, str]]] = {
    402: ("says the account is suspended", "ask the account's owner"),
    403: ("forbids it, though the key may be good", f"a gateway may be in the way, or {_ADDRESS}"),
    429: ("says there were too many requests", "it is tried again after the time it asks for"),
    3: ("redirects, and the key goes nowhere else", f"{_ADDRESS}; is a sign-in page between you and the internet?"),
    5: ("fails", "the cloud has a problem of its own"),
}

_log = logging.getLogger(__name__)


def failure(error: Exception, host: str, *, proxied: bool = False) -> EeloggerError:
    """The error for a call or handshake without a good answer."""
    if isinstance(error, ws.InvalidStatus):
        # Servers differ in how they write a header's name.
        headers = {name.title(): value for name, value in error.response.headers.raw_items()}
        return refusal(error.response.status_code, host, headers)
    causes: list[BaseException] = [error]
    while isinstance(causes[-1], _WRAPPERS) and (inner := causes[-1].__cause__ or causes[-1].__context__):
        causes.append(inner)
    if isinstance(causes[-1], ssl.SSLCertVerificationError):
        hint = "check this machine's date and EEN_BASE_URL; if a proxy inspects TLS, give its CA as EEN_CA_FILE"
        return CertificateRefused(f"the certificate of {host} is not valid: {causes[-1].verify_message}", hint)
    _, reason, message, hint = next(row for row in _EXCEPTIONS if any(isinstance(each, row[0]) for each in causes))
    if proxied and reason in _OF_PROXY:
        reason, message, hint = "proxy", _THROUGH, _PROXY
    errno = getattr(error, "errno", None) or 0
    why = os.strerror(errno) if errno > 0 else "no answer"
    if any(isinstance(each, socket.gaierror) for each in causes):
        why = "its name is not known"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        why = f"status {error.status}"
    elif isinstance(error, ws.InvalidProxyStatus):
        why = f"status {error.response.status_code}"
    return CloudError(message.format(host=host, why=why, kind=type(error).__name__), hint, reason=reason)


def refusal(status: int, host: str, headers: Mapping[str, str]) -> EeloggerError:
    """The error for an answer that is not the good one."""
    if status == 401:
        return KeyRefused(f"{host} does not accept the key (status 401)", KEY_HINT, status=401)
    message, hint = _STATUSES.get(status) or _STATUSES.get(status // 100) or ("answers unexpectedly", _ADDRESS)
    asked = headers.get("Retry-After", "").strip()
    # At most 10 minutes: one wrong header would blind the logger for a day.
    asked_s = min(float(asked), 600.0) if re.fullmatch(r"[0-9]{1,9}", asked) else 0.0
    message = f"{host} {message} (status {status})"
    return CloudError(message, hint, reason=f"http-{status}", status=status, retry_after_s=asked_s)


def ended(reason: str) -> CloudError:
    """The error for a connection that ended, by its reason in `gaps.log`."""
    of_account = reason in ("error-401", "error-412", "closed-1008")
    hint = ACCOUNT_HINT if of_account else f"connections end now and then; if it goes on, {_NETWORK}"
    return CloudError(f"the event stream ended: {reason}", hint, reason=reason)


def pauses(timing: Timing) -> Iterator[float]:
    """Seconds between attempts: 1, 2, 4 … 32 and up to half as much again, then 60; so 8 in the first minute."""
    next_s = timing.first_retry_s
    while True:
        yield min(timing.longest_retry_s, next_s * (1 + 0.5 * random.random()))
        next_s *= 2 if next_s < timing.longest_retry_s else 1


class FailureSeries:
    """Failures in a row: the first is a WARNING. Repeats are DEBUG; so is the first minute after a recovery."""

    _since_s: float | None = None
    _is_told = False
    _told_s = _quiet_until_s = 0.0

    def failed(self, message: str) -> None:
        """Tell of a failure."""
        now_s = asyncio.get_running_loop().time()
        self._since_s = now_s if self._since_s is None else self._since_s
        is_news = not self._is_told and now_s >= self._quiet_until_s
        if is_news:
            self._is_told, self._told_s = True, now_s
        _log.log(logging.WARNING if is_news else logging.DEBUG, "%s", message)

    def over(self, message: str) -> None:
        """Tell once that it works again, and how long that took."""
        now_s = asyncio.get_running_loop().time()
        if self._since_s is not None:
            # Else one that comes and goes would never be told again.
            self._quiet_until_s = min(now_s + 60, self._told_s + 3600)
            if self._is_told:
                _log.warning("%s after %.1f s", message, now_s - self._since_s)
        self._since_s, self._is_told = None, False


def log_defect(message: str, error: BaseException) -> None:
    """Log an unexpected exception with its traceback. Its text is left out: it may hold headers."""
    _log.error("%s", message, exc_info=(RuntimeError, RuntimeError(type(error).__name__), error.__traceback__))
