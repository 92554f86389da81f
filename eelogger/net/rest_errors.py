"""What a failed REST call means: from the library's exception, or the status, to an error of our tree with a hint.

The policy is a table: who is to blame, what to do. Texts are made from the host, the reason of the operating system
and the status alone, never from the library's own text, which may show headers.
"""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from ..errors import CertificateRefused, CloudError, EeloggerError, KeyRefused

_KEY_HINT: Final = "log in again with `python app.py login`, or paste a new EEN_AUTH_KEY into .env"
_NETWORK_HINT: Final = "check this machine's network, firewall and DNS"
_PROXY_HINT: Final = "check HTTPS_PROXY, NO_PROXY and the proxy's user name and password"
_BRANDING_HINT: Final = "check EEN_BRANDING and EEN_BASE_URL"
_CLOUD_HINT: Final = "the cloud has a problem of its own; it is tried again"

_EXCEPTIONS: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (aiohttp.ClientProxyConnectionError, "cannot reach the proxy for {host}: {why}", _PROXY_HINT),
    (aiohttp.ClientHttpProxyError, "the proxy refuses to connect to {host}: status {why}", _PROXY_HINT),
    (
        aiohttp.NonHttpUrlClientError,
        "the proxy for {host} is neither http nor https",
        "set HTTPS_PROXY to an http proxy",
    ),
    (aiohttp.InvalidURL, "the address of {host} or its proxy is malformed", "check HTTPS_PROXY and EEN_BASE_URL"),
    (aiohttp.ClientConnectorDNSError, "cannot find the address of {host}", f"{_NETWORK_HINT}, and EEN_BRANDING"),
    (
        aiohttp.ClientConnectorSSLError,
        "cannot agree on TLS with {host}",
        "something between here and there speaks no TLS",
    ),
    (aiohttp.ConnectionTimeoutError, "cannot connect to {host} within 10 s", _NETWORK_HINT),
    (TimeoutError, "no answer from {host} within 30 s", _NETWORK_HINT),
    (aiohttp.ClientConnectorError, "cannot connect to {host}: {why}", _NETWORK_HINT),
    (aiohttp.ClientPayloadError, "the answer of {host} broke off or cannot be decoded", _NETWORK_HINT),
    (aiohttp.ClientConnectionError, "{host} closed the connection without an answer", _NETWORK_HINT),
    (aiohttp.ClientResponseError, "{host} does not answer in HTTP", _BRANDING_HINT),
    (Exception, "the call to {host} failed ({kind})", _NETWORK_HINT),
)

_STATUSES: Final[dict[int, tuple[str, str]]] = {
    400: ("says the request is malformed", _BRANDING_HINT),
    402: ("says the account is suspended", "ask the account's owner"),
    404: ("does not know the address", _BRANDING_HINT),
    408: ("ran out of patience", _CLOUD_HINT),
    429: ("says there were too many requests", "it is tried again after the time it asks for"),
}


def failure(exc: Exception, host: str) -> EeloggerError:
    """The error for a call that brought no readable answer."""
    cause = exc.certificate_error if isinstance(exc, aiohttp.ClientConnectorCertificateError) else exc
    if isinstance(cause, ssl.SSLCertVerificationError):
        return certificate_refused(cause, host)
    _, message, hint = next(row for row in _EXCEPTIONS if isinstance(exc, row[0]))
    why = exc.strerror if isinstance(exc, OSError) else getattr(exc, "status", "")
    return CloudError(message.format(host=host, why=why or "no reason given", kind=type(exc).__name__), hint)


def certificate_refused(error: ssl.SSLCertVerificationError, host: str) -> CertificateRefused:
    """The certificate of `host` does not verify: expired, too new, foreign or for another name."""
    expired, too_new = error.verify_code == 10, error.verify_code == 9  # X509_V_ERR_CERT_*
    hint = "if a proxy of yours inspects TLS, give its CA certificate as EEN_CA_FILE"
    if expired or too_new:
        hint = "check this machine's date and time first; the certificate's dates do not include it"
    elif error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        hint = f"{_BRANDING_HINT}; something else answers under this name"
    return CertificateRefused(f"the certificate of {host} is not valid: {error.verify_message}", hint)


def refusal(status: int, host: str, retry_after_s: float | None) -> EeloggerError:
    """The error for an answer that is not 2xx."""
    if status in (401, 403):
        return KeyRefused(f"{host} does not accept the key (status {status})", _KEY_HINT)
    message, hint = _STATUSES.get(status, ("fails" if status >= 500 else "answers unexpectedly", _CLOUD_HINT))
    return CloudError(f"{host} {message} (status {status})", hint, status=status, retry_after_s=retry_after_s)
