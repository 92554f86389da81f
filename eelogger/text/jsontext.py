"""A value as JSON on one line, in ASCII, as it stands in log files.

Decides that non-finite numbers become null, which other readers of JSON understand, and that what is nested too deep
is an error. Invariant: the text is that of `json.dumps`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import MessageError


def _encoder() -> Callable[[Any, int], Iterable[str]]:
    """The C encoder of `JSONEncoder.encode`, in pieces, for values that came as JSON and so hold no cycle.

    The library makes it anew for each value, at half the price of a small one; here it is made once. Where there is
    none, or it is not what it is today, the library's own way is taken.
    """
    plain = json.JSONEncoder(allow_nan=False, check_circular=False)
    example = {"a": [1, "", None, True], "b": {}}
    try:
        module: Any = json.encoder
        made = module.c_make_encoder(
            None, plain.default, module.encode_basestring_ascii, None, ": ", ", ", *[False] * 3
        )
        if "".join(made(example, 0)) == plain.encode(example):
            return made  # type: ignore[no-any-return]
    except (AttributeError, TypeError):
        pass
    return lambda value, _: (plain.encode(value),)


_encoded = _encoder()


def json_text(value: Any) -> str:
    """The value as JSON in ASCII, non-finite numbers as null; raises `MessageError` when nested too deep."""
    try:
        try:
            return "".join(_encoded(value, 0))
        except ValueError:
            return "".join(_encoded(_finite(value), 0))
    except RecursionError:
        raise MessageError("nested-too-deep") from None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
