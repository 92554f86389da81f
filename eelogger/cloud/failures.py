"""Say what each failure means, and when to try again.

A `CloudError` is tried again for ever, every other error ends a run. No message holds a library's text, in which
headers or a proxy's password may stand.
"""

import asyncio
import logging
import random
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from aiohttp import http_exceptions as http
from websockets import exceptions as ws

from ..errors import CertificateRefused, CloudError, EeloggerError, KeyRefused
from ..model import Timing
from ..settings import PROGRAM

_NETWORK: Final = "check this machine's network, firewall and DNS"
_ADDRESS: Final = "check EEN_BRANDING, EEN_ACCOUNT_ID and EEN_BASE_URL"
_PROXY: Final = "check HTTPS_PROXY, ALL_PROXY, NO_PROXY and the proxy's user name and password"
_NAMES: Final = f"{_NETWORK}, and EEN_BRANDING; where only a proxy leads out, set HTTPS_PROXY"
_NO_WEBSOCKET: Final = "a proxy or firewall on the way may not let WebSockets pass"
ACCOUNT_HINT: Final = "the key is good: is EEN_ACCOUNT_ID its account?"
KEY_HINT: Final = f"log in again with `{PROGRAM} login`, or paste a new EEN_AUTH_KEY into .env"

_Kinds = type[BaseException] | tuple[type[BaseException], ...]
# The first row whose type fits; what broke into an answer was read from `__cause__` before.
_EXCEPTIONS: Final[tuple[tuple[_Kinds, str, str, str], ...]] = (
    ((http.LineTooLong, ws.SecurityError), "too-large", "{host} sends too many or too long headers", _ADDRESS),
    (http.ContentEncodingError, "encoding", "{host} answers in an encoding that was not asked for", _ADDRESS),
    ((ws.InvalidProxyStatus, aiohttp.ClientHttpProxyError), "proxy", "the proxy refuses {host}: status {why}", _PROXY),
    (aiohttp.ClientProxyConnectionError, "proxy", "cannot reach the proxy for {host}: {why}", _PROXY),
    (aiohttp.NonHttpUrlClientError, "proxy", "the proxy for {host} is no http one", _PROXY),
    ((ImportError, ws.InvalidProxy, ws.ProxyError), "proxy", "the proxy for {host} is no http one", _PROXY),
    (ValueError, "address", "the address of {host} or of its proxy is malformed", f"{_ADDRESS}, and HTTPS_PROXY"),
    (socket.gaierror, "dns", "cannot find the address of {host}", _NAMES),
    (ConnectionRefusedError, "refused-tcp", "{host} refuses the connection", f"{_NETWORK}, and EEN_BASE_URL"),
    (TimeoutError, "timeout", "{host} does not answer in time", _NETWORK),
    (ssl.SSLError, "tls", "cannot agree on TLS with {host}", "something between here and there speaks no TLS"),
    (aiohttp.ClientPayloadError, "broken-answer", "the answer of {host} broke off or cannot be decoded", _NETWORK),
    (aiohttp.ServerDisconnectedError, "no-answer", "{host} closed the connection without an answer", _NETWORK),
    (aiohttp.ClientResponseError, "no-http", "{host} does not answer in HTTP", _ADDRESS),
    (ws.InvalidHandshake, "handshake", "{host} does not shake hands as a WebSocket", _NO_WEBSOCKET),
    (OSError, "network", "cannot connect to {host}: {why}", _NETWORK),
    (Exception, "unexpected", "the call to {host} failed ({kind})", "see eelogger.log; please report it"),
)

# What the proxy is the first to be asked about, where there is one.
_OF_PROXY: Final = frozenset({"address", "dns", "refused-tcp", "network", "timeout", "no-answer", "no-http"})

# By status, or by its hundreds.
_STATUSES: Final[dict[int, tuple[str, str]]] = {
    402: ("says the account is suspended", "ask the account's owner"),
    403: ("forbids it, though the key may be good", f"a gateway may be in the way, or {_ADDRESS}"),
    407: ("is a proxy and wants credentials", "give http://user:password@proxy in HTTPS_PROXY"),
    429: ("says there were too many requests", "it is tried again after the time it asks for"),
    3: ("redirects, and the key goes nowhere else", f"{_ADDRESS}; is a sign-in page between you and the internet?"),
    5: ("fails", "the cloud has a problem of its own"),
}

# The most a server's Retry-After is believed: longer, and one wrong header would blind the logger for a day.
RETRY_AFTER_MAX_S: Final = 600.0
_JITTER: Final = 0.5

# By X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH.
_CERTIFICATES: Final = {
    **dict.fromkeys((9, 10), "check this machine's date and time first; the certificate's dates do not include it"),
    **dict.fromkeys((62, 64), f"{_ADDRESS}; something else answers under this name"),
}

_ENDS: Final[dict[str, str]] = {
    "closed-1006": "it broke off without a word: check the network, and what on the way may cut long connections",
    "closed-1008": "the cloud ended the session by its rules: if it goes on, check key and EEN_ACCOUNT_ID",
    "failed-1002": _NO_WEBSOCKET,
    "failed-1009": "a message was larger than 64 MiB; if it goes on, please report it",
    "no-pong": _NETWORK,
    "no-ack": _NETWORK,
    "broken-off": "see eelogger.log; please report it",
    "error-401": ACCOUNT_HINT,
    "error-412": ACCOUNT_HINT,
}


def failure(error: Exception, host: str, *, proxied: bool = False) -> EeloggerError:
    """The error for a call or handshake that brought no readable answer, or no good one."""
    if isinstance(error, ws.InvalidStatus):
        # Servers differ in how they write a header's name.
        headers = {name.title(): value for name, value in error.response.headers.raw_items()}
        return refusal(error.response.status_code, host, headers)
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = _CERTIFICATES.get(cause.verify_code, "if a proxy inspects TLS, give its CA certificate as EEN_CA_FILE")
        return CertificateRefused(f"the certificate of {host} is not valid: {cause.verify_message}", hint)
    _, reason, message, hint = next(row for row in _EXCEPTIONS if isinstance(cause, row[0]))
    if proxied and reason in _OF_PROXY:
        reason, message, hint = "proxy", "cannot reach {host} through the proxy: {why}", _PROXY
    return CloudError(message.format(host=host, why=_why(error), kind=type(error).__name__), hint, reason=reason)


def refusal(status: int, host: str, headers: Mapping[str, str]) -> EeloggerError:
    """The error for an answer that is not the good one."""
    if status == 401:
        return KeyRefused(f"{host} does not accept the key (status 401)", KEY_HINT)
    kind = status if status in _STATUSES else status // 100
    message, hint = _STATUSES.get(kind, ("answers unexpectedly", _ADDRESS))
    asked = headers.get("Retry-After", "").strip()
    asked_s = float(asked) if re.fullmatch(r"[0-9]{1,9}", asked) else None
    message = f"{host} {message} (status {status})"
    return CloudError(message, hint, reason=f"http-{status}", status=status, retry_after_s=asked_s)


def ended(reason: str) -> CloudError:
    """The error for a connection that was open and ended, by its reason for `gaps.log`."""
    hint = _ENDS.get(reason, "the cloud ends connections now and then; nothing to do unless it goes on")
    return CloudError(f"the event stream ended: {reason}", hint, reason=reason)


class Backoff:
    """The pauses between attempts: 1, 2, 4 … 32 s and up to half as much again, then 60 s.

    So there are at most 8 attempts in the first minute, and then one a minute.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._next_s = timing.first_retry_s

    def next_delay(self, up_for_s: float = 0.0, data_for_s: float = 0.0, retry_after_s: float | None = None) -> float:
        """Seconds to wait after a connection that was open and brought data for so long, 0 when it never opened."""
        timing = self._timing
        # A handshake proves nothing; a quiet account is believed when it was open for the longest pause.
        if data_for_s >= timing.steady_s or up_for_s >= timing.longest_retry_s:
            self._next_s = timing.first_retry_s
        delay_s = min(timing.longest_retry_s, self._next_s * (1 + _JITTER * random.random()))
        self._next_s = min(timing.longest_retry_s, 2 * self._next_s)
        return max(delay_s, min(retry_after_s or 0.0, RETRY_AFTER_MAX_S))


class FailureSeries:
    """Failures of one kind: the first of a row is a warning, its repeats are DEBUG lines, its end is one line."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._since_s: float | None = None
        self._recovered = False

    def failed(self, message: str, *, worked: bool = True) -> None:
        """Tell of a failure; a new row begins when it `worked` in between."""
        begins = self._since_s is None or (self._recovered and worked)
        if begins:
            self._since_s, self._recovered = asyncio.get_running_loop().time(), False
        self._log.log(logging.WARNING if begins else logging.DEBUG, "%s", message)

    def over(self, message: str) -> None:
        """Tell once that it works again, and how long that took."""
        if self._since_s is not None and not self._recovered:
            self._log.warning("%s after %.1f s", message, asyncio.get_running_loop().time() - self._since_s)
            self._recovered = True


def log_defect(log: logging.Logger, message: str, error: BaseException) -> None:
    """Log an exception nobody expected, with its traceback but without its text, which may hold headers."""
    log.error("%s", message, exc_info=(RuntimeError, RuntimeError(type(error).__name__), error.__traceback__))


def _cause(error: BaseException) -> BaseException:
    # Libraries wrap what a certificate, a name or a header did.
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return error
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    inner: BaseException | None = error if isinstance(error, (aiohttp.ClientResponseError, ws.InvalidMessage)) else None
    while inner is not None and not isinstance(inner, (http.LineTooLong, http.ContentEncodingError, ws.SecurityError)):
        inner = inner.__cause__ or inner.__context__
    return inner or error


def _why(error: Any) -> str:
    if isinstance(error, (ws.InvalidProxyStatus, aiohttp.ClientHttpProxyError)):
        return str(error.status if isinstance(error, aiohttp.ClientHttpProxyError) else error.response.status_code)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "no answer" if isinstance(error, (TimeoutError, aiohttp.ClientError)) else "no address answers"
