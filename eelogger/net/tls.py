"""What TLS trusts: one context for REST and WebSocket, from the system's CAs and `EEN_CA_FILE`.

Verification is always on; what a certificate that does not verify means is for `rest_errors`.
"""

from __future__ import annotations

import ssl
from functools import lru_cache

from ..errors import Problem, SettingsError
from ..settings import Settings


def tls_context(settings: Settings) -> ssl.SSLContext:
    """System CAs and `EEN_CA_FILE`, built once for each state of that file; raises `SettingsError`."""
    path = settings.ca_file
    try:
        return _context(str(path) if path else None, path.stat().st_mtime_ns if path else 0)
    except OSError as wrong:
        told = Problem("EEN_CA_FILE", f"cannot be used: {wrong.strerror}", "give a PEM file")
    raise SettingsError([told])


@lru_cache(maxsize=2)  # reading some 150 system certificates takes tens of milliseconds of the event loop
def _context(ca_file: str | None, _mtime_ns: int) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context
