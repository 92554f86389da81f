"""The version, in a room that imports nothing, because many speak of it."""

from typing import Final

__version__: Final = "0.1.0"
