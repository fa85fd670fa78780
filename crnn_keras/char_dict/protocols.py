"""Protocols by which benchmarks compare texts."""

from __future__ import annotations

import string
from collections.abc import Callable

from crnn_keras.utils.checks import TEXT, check_arguments

_ALPHANUMERIC = set(string.digits + string.ascii_lowercase)


@check_arguments(text=TEXT)
def alphanumeric(text: str) -> str:
    """Returns a text by the protocol of the field's benchmarks: lower-case letters and digits.

    Example:

    >>> alphanumeric("It's 5")
    'its5'
    """
    return "".join(character for character in text.lower() if character in _ALPHANUMERIC)


@check_arguments(text=TEXT)
def exact(text: str) -> str:
    """Returns a text as it is."""
    return text


PROTOCOLS: dict[str, Callable[[str], str]] = {"exact": exact, "alphanumeric": alphanumeric}
