"""One request, one connection: REST answers and their errors, TLS, the stamped WebSocket and how it ended.

What to do about an error is decided in `reconnect`.
"""
