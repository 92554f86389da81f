"""Retry or end: the one table that says what each failure of a connection attempt means, and what may help.

    refused key (401, 403), certificate              ends the run, or a login renews the key
    any other error of the tree but those below      ends the run
    CloudError, SettingsError, everything else       is retried for ever, also at the first start

Settings were good when the run began, so trouble with them (a CA file that went away) may pass like any other.
Invariant: every exception and every end of a connection has a short reason for `gaps.log` and a hint for people.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI, ProxyError

from ..errors import CloudError, EeloggerError, KeyRefused, SettingsError
from ..net.answer import retry_after_s
from ..net.rest_errors import certificate_refused

_NETWORK: Final = "check this machine's network, firewall and DNS"
_ADDRESS: Final = "check EEN_BRANDING and EEN_BASE_URL"
_PROXY: Final = "check HTTPS_PROXY and NO_PROXY"
_CLOUD: Final = "the cloud has a problem of its own"
_NOW_AND_THEN: Final = "the cloud ends connections now and then; nothing to do unless it goes on"
_OURS: Final = "the cloud did not like what this program sent: if it goes on, please report it"
_NOT_WEBSOCKET: Final = "a proxy or firewall on the way may not let WebSockets pass"
_ACCOUNT: Final = "the key is good: is EEN_ACCOUNT_ID its account?"

_STATUS_HINTS: Final = {
    404: "check EEN_ACCOUNT_ID",
    407: "the proxy wants credentials: http://user:password@proxy in HTTPS_PROXY",
    408: "the cloud is slow to answer",
    429: "the cloud asks for fewer connections",
}

_END_HINTS: Final = {
    "closed-1002": _OURS,
    "closed-1003": _OURS,
    "closed-1006": "it broke off without a word: check the network, and what on the way may cut long connections",
    "closed-1007": _OURS,
    "closed-1008": "the cloud ended the session by its rules: if it goes on, check key and EEN_ACCOUNT_ID",
    "closed-1009": _OURS,
    "closed-1010": _OURS,
    "failed-1002": _NOT_WEBSOCKET,
    "failed-1009": "a message was larger than 64 MiB: please report it",
    "no-pong": _NETWORK,
    "no-ack": _NETWORK,
    "broken-off": "see eelogger.log; please report it",
    "error-401": _ACCOUNT,
    "error-412": _ACCOUNT,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure to retry: a token for `gaps.log`, a sentence, a hint, and how long the server asks to wait."""

    reason: str
    message: str
    hint: str = ""
    retry_after_s: float | None = None


def judge(error: BaseException, host: str = "", *, proxied: bool = False) -> Trouble | EeloggerError:
    """What to do about a failed attempt: retry (`Trouble`), or end with the error returned."""
    match error:
        case CloudError():
            reason = f"rest-{error.status}" if error.status else "rest"
            return Trouble(reason, str(error), error.hint, error.retry_after_s)
        case SettingsError():
            return Trouble("settings", " ".join(str(error).split()), error.hint)
        case EeloggerError():
            return error
        case InvalidStatus():
            return _judge_status(error)
        case ssl.SSLCertVerificationError():
            return certificate_refused(error, host or "the event stream")
        case InvalidProxy() | ProxyError() | ImportError():  # what is missing is support of SOCKS
            hint = "set HTTPS_PROXY to an http proxy" if isinstance(error, ImportError) else _PROXY
            return Trouble("proxy", f"the way through the proxy fails: {_name(error)}", hint)
        case InvalidURI():
            return Trouble("redirect", "the server redirects to an address that is none", _ADDRESS)
        case InvalidHandshake():
            return Trouble(
                "handshake", f"the server's answer is no WebSocket handshake: {_name(error)}", _NOT_WEBSOCKET
            )
        case OSError():
            return _judge_network(error, _PROXY if proxied else "")
    return Trouble("unexpected", f"an unexpected failure: {_name(error)}", "see eelogger.log; please report it")


def ended(reason: str) -> Trouble:
    """What to say about a connection that was open and ended, by its reason for `gaps.log`."""
    return Trouble(reason, f"the event stream ended: {reason}", _END_HINTS.get(reason, _NOW_AND_THEN))


def _judge_network(error: OSError, proxy_hint: str) -> Trouble:
    match error:
        case socket.gaierror():
            return Trouble("dns", "the host name does not resolve", proxy_hint or f"{_NETWORK}, and EEN_BRANDING")
        case ConnectionRefusedError():
            return Trouble("refused-tcp", "the connection is refused", proxy_hint or f"{_NETWORK}, and EEN_BASE_URL")
        case TimeoutError():
            return Trouble("timeout", "the server does not answer in time", proxy_hint or _NETWORK)
        case ssl.SSLError():
            return Trouble("tls", "no TLS can be agreed on", "something between here and there speaks no TLS")
    why = error.strerror or "none of the host's addresses can be reached"
    return Trouble("network", f"the network fails: {why}", proxy_hint or _NETWORK)


def _judge_status(error: InvalidStatus) -> Trouble | EeloggerError:
    status = error.response.status_code
    if status in (401, 403):
        return KeyRefused(
            f"the event stream refuses the session key (HTTP {status})",
            "the key may have expired or EEN_ACCOUNT_ID is not its account: run `python app.py login`",
        )
    hint = _STATUS_HINTS.get(status, _CLOUD if status >= 500 else _ADDRESS)
    if 300 <= status < 400:
        hint = "it redirects elsewhere, where the key is never sent: check EEN_BRANDING or EEN_BASE_URL"
    # Servers differ in how they write a header's name.
    headers = {name.title(): value for name, value in error.response.headers.raw_items()}
    return Trouble(f"http-{status}", f"the event stream answers HTTP {status}", hint, retry_after_s(headers))


def _name(error: BaseException) -> str:
    # Texts of the libraries' exceptions can hold headers or a proxy's address, and so secrets: only the kind is told.
    return type(error).__name__
